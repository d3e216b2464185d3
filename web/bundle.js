// @ts-check
// A run that is over and wholly here, in one object: a file that was opened, or the report that this
// page is. It answers as a lab does.
//
//   await openRun(file)              Bundle of a file: JSON, the same packed by gzip, or a report

/** @import {Bundle, Moved, Request, Timeline, Why} from './types.js' */
/** @import {Listener, Span} from './source.js' */

import { Refused } from './api.js';

/** How large a file with a run may be, and what it may unpack to. */
export const FILE_BYTES_MAX = 64 << 20;
export const RUN_BYTES_MAX = 256 << 20;

/** The version of the shape that is read here. */
const VERSION = 1;

/** What a source has before its bundle is read. @type {Bundle} */
const NOTHING = {
  schema: 'twodoors.bundle/1', run: { name: '', mode: 'virtual', seed: 0, scenario: null, started_unix_us: null },
  timeline: { from_us: 0, to_us: 0, oldest_us: 0, at_us: 0, ready_us: null, began_us: null, ended_us: null, ends_us: null,
    faults: [], rests: [], steps: [], expectations: [], lanes: [], rates: { step_us: 1, from_us: 0, dns: [], flows: [], failures: [] } },
  snapshots: [], facts: [], facts_more: 0, whys: {}, visits: [], report: null,
};

/** A run that is over and wholly here; a report's own is unpacked while the page already stands. */
export class BundleSource {
  kind = /** @type {const} */ ('file');
  /** @type {Bundle} */
  #bundle = NOTHING;
  #coming;

  /** @param {Bundle | Promise<Bundle>} bundle @param {string} [name] of the file */
  constructor(bundle, name = '') {
    this.#coming = bundle;
    this.name = name;
    if (!(bundle instanceof Promise)) this.#take(bundle);
  }

  /** @param {Bundle} bundle */
  #take(bundle) {
    this.#bundle = bundle;
    this.name ||= bundle.run.name;
  }

  get bundle() {
    return this.#bundle;
  }

  /** @param {Listener} listener */
  async follow(listener) {
    try {
      this.#take(await this.#coming);
    } catch (error) {
      listener.broken(error instanceof Error ? error.message : '');
      return;
    }
    const last = this.#bundle.snapshots.at(-1);
    if (last) listener.snapshot(last);
    listener.facts(this.#bundle.facts);
    listener.link('file');
  }

  close() {}

  async again() {}

  /** The newest of the states that were folded at or before an instant. @param {number} us */
  async snapshotAt(us) {
    const { snapshots } = this.#bundle;
    const found = snapshots.findLast((snapshot) => snapshot.at_us <= us) ?? snapshots[0];
    if (!found) throw new Refused('This run holds no state.', 410);
    return found;
  }

  /** @param {Span} [part] @returns {Promise<Timeline>} */
  async timeline({ from_us, to_us } = {}) {
    const whole = this.#bundle.timeline;
    const [from, to] = [from_us ?? whole.from_us, to_us ?? whole.to_us];
    const inside = ({ at_us: at = 0 }) => at >= from && at <= to;
    return { ...whole, from_us: from, to_us: to,
      lanes: whole.lanes.map((lane) => ({ ...lane, marks: lane.marks.filter(inside) })) };
  }

  /** @param {string} node @param {number | null} us @returns {Promise<Why>} */
  async why(node, us) {
    const { earlier, whys } = this.#bundle;
    const told = earlier?.[node];
    const why = us === null || !earlier ? whys[node] : told?.findLast(({ at_us: at }) => at <= us)?.why;
    if (!why && us !== null && whys[node]) throw new Refused(`The run holds no dial or visit of ${node} that ended before this instant.`, 404);
    if (!why) throw new Refused(`The run holds no chain of decisions of ${node}.`, 404);
    return why;
  }

  /** @param {string} node @param {number} number @returns {Promise<Request>} */
  async request(node, number) {
    const found = this.#bundle.visits.find((visit) => visit.node === node && visit.number === number);
    if (!found) throw new Refused(`The run does not hold request ${number} of ${node}.`, 410);
    return found;
  }

  /** @returns {Promise<Moved>} */
  async whatif() {
    throw new Refused('This run is over: only a running lab can say what another network would change.', 409);
  }
}

/** Reads a bundle; throws a sentence when it is none. @param {string} text @returns {Bundle} */
export function readBundle(text) {
  let bundle;
  try {
    bundle = JSON.parse(text);
  } catch {
    throw new Error(/^\s*\{\s*"schema"\s*:\s*"twodoors\.bundle\//.test(text)
      ? 'This file begins as a run of twodoors and breaks off or is damaged: copy or export it again.'
      : 'This file is not JSON; a run is exported on the page Timeline.');
  }
  const version = Number(/^twodoors\.bundle\/(\d{1,6})$/.exec(String(bundle?.schema))?.[1] ?? 0);
  if (version > VERSION) {
    throw new Error(`This run was written by a newer twodoors (its schema is ${version}, this page reads up to ${VERSION}): open it with that one.`);
  }
  if (version !== VERSION || !Array.isArray(bundle.snapshots) || !bundle.snapshots.length) {
    throw new Error('This file is not a run of twodoors (schema twodoors.bundle/1 with at least one state).');
  }
  const whole = bundle.snapshots.every((/** @type {any} */ state) => Number.isFinite(state?.at_us) && Array.isArray(state.agents))
    && [bundle.facts, bundle.visits, bundle.timeline?.lanes].every(Array.isArray) && bundle.run?.name !== undefined && bundle.whys;
  if (!whole) throw new Error('This run is damaged: states, facts or its timeline are missing in it. Export it again.');
  return bundle;
}

const mib = (/** @type {number} */ bytes) => `${Math.round(bytes / (1 << 20))} MiB`;

/** Unpacks gzip, and no more of it than a run may have. @param {Blob} packed @returns {Promise<string>} */
async function unpack(packed) {
  const reader = packed.stream().pipeThrough(new DecompressionStream('gzip')).getReader();
  /** @type {BlobPart[]} */
  const parts = [];
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw new Error('This file begins as a packed run and breaks off or is damaged: copy or export it again.');
    });
    if (done) return new Blob(parts).text();
    bytes += value.byteLength;
    if (bytes > RUN_BYTES_MAX) {
      await reader.cancel();
      throw new Error(`This file unpacks to more than ${mib(RUN_BYTES_MAX)}, which is more than a run has.`);
    }
    parts.push(value);
  }
}

/** Reads what a report carries: gzip, written in base64. @param {string} text @returns {Promise<Bundle>} */
export async function readEmbedded(text) {
  let bytes;
  try {
    bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    throw new Error('The run in this report is damaged: the file breaks off, or was changed. Write it again with --html.');
  }
  return readBundle(await unpack(new Blob([bytes])));
}

/** Reads a run from a file; throws a sentence when there is none in it. @param {Blob} file @returns {Promise<Bundle>} */
export async function openRun(file) {
  if (file.size > FILE_BYTES_MAX) {
    throw new Error(`This file has ${mib(file.size)}; a run has up to ${mib(FILE_BYTES_MAX)}, so it was not read.`);
  }
  const [first, second] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  if (first === 0x1f && second === 0x8b) return readBundle(await unpack(file));
  const text = await file.text();
  const [, run] = /^<!doctype html>[^]*<script type="application\/gzip;base64" id="bundle">([^<]*)(?:<|$)/i.exec(text) ?? [];
  return run === undefined ? readBundle(text) : readEmbedded(run);
}
