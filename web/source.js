// @ts-check
// Where the state comes from: a lab over HTTP here, or a bundle in bundle.js. Both answer the same
// questions; the state at an instant was folded in Rust, never here.
//
//   source.follow(listener)          until source.close()
//   await source.snapshotAt(us)      Snapshot; throws Refused with status 410 when no longer held
//   await source.timeline({from_us, to_us})
//   await source.why(node, us)       us null: now
//   await source.request('user/alice', 7)

/** @import {Fact, Moved, Request, Snapshot, Timeline, Why} from './types.js' */
/** @import {BundleSource} from './bundle.js' */

import { Refused, ask } from './api.js';

/** How the page stands with its source. @typedef {'loading' | 'live' | 'lost' | 'ended' | 'file'} Link */

/**
 * @typedef {object} Listener
 * @property {(snapshot: Snapshot) => void} snapshot
 * @property {(facts: Fact[]) => void} facts
 * @property {() => void} overflow some facts were missed
 * @property {(link: Link) => void} link
 * @property {(text: string) => void} broken there is nothing to show, and why
 */

/** @typedef {{from_us?: number | null, to_us?: number | null}} Span */
/** @typedef {ApiSource | BundleSource} Source */

/** How long to wait before a closed stream is asked for again. */
const RETRY_MS = 1_500;

/** How many facts before the snapshot are asked for, so that the log is not empty. */
const LOOK_BACK = 5_000;

/** @param {Record<string, string | number | null | undefined>} terms */
function tail(terms) {
  const known = Object.entries(terms).filter(([, value]) => value != null);
  return known.length ? `?${new URLSearchParams(known.map(([name, value]) => [name, String(value)]))}` : '';
}

/** A lab that answers at this page's own address. */
export class ApiSource {
  kind = /** @type {const} */ ('lab');
  name = '';
  /** @type {Listener | null} */
  #listener = null;
  /** @type {EventSource | null} */
  #stream = null;
  #timer = 0;
  /** The newest fact that was heard, and of which run: a new stream goes on after it. */
  #seen = 0;
  #run = '';

  /** @param {Listener} listener */
  follow(listener) {
    this.#listener = listener;
    document.addEventListener('visibilitychange', this.#see);
    return this.#begin();
  }

  close() {
    document.removeEventListener('visibilitychange', this.#see);
    this.#listener = null;
    this.#hush();
  }

  /** Asks once more, now. */
  again() {
    this.#hush();
    return this.#begin();
  }

  // A hidden page holds no connection: browsers allow six to one host, and nobody looks.
  #see = () => {
    if (document.hidden) this.#hush();
    else if (!this.#stream) this.#begin();
  };

  #hush() {
    clearTimeout(this.#timer);
    this.#stream?.close();
    this.#stream = null;
  }

  async #begin() {
    clearTimeout(this.#timer);
    try {
      /** @type {Snapshot} */
      const snapshot = await ask('/api/snapshot');
      if (!this.#listener || this.#stream || document.hidden) return;
      const same = snapshot.run === this.#run && this.#seen > snapshot.seq - LOOK_BACK;
      this.#run = snapshot.run;
      this.#listener.snapshot(snapshot);
      this.#subscribe(same ? this.#seen : Math.max(0, snapshot.seq - LOOK_BACK));
    } catch {
      this.#later('lost');
    }
  }

  /** @param {Link} link */
  #later(link) {
    this.#listener?.link(link);
    this.#hush();
    if (this.#listener && !document.hidden) this.#timer = setTimeout(() => this.#begin(), RETRY_MS);
  }

  /** @param {number} since */
  #subscribe(since) {
    const stream = new EventSource(`/api/facts?since=${since}`);
    this.#stream = stream;
    let ended = false;
    const on = (/** @type {string} */ name, /** @type {(data: any) => void} */ take) =>
      stream.addEventListener(name, (event) => {
        if (this.#stream === stream) take(event instanceof MessageEvent && event.data ? JSON.parse(event.data) : null);
      });
    on('open', () => this.#listener?.link('live'));
    on('facts', (/** @type {Fact[]} */ facts) => {
      this.#seen = facts.at(-1)?.seq ?? this.#seen;
      this.#listener?.facts(facts);
    });
    on('snapshot', (snapshot) => this.#listener?.snapshot(snapshot));
    // Facts are missing, or the lab is another one: begin anew.
    on('overflow', () => {
      this.#seen = 0;
      this.#listener?.overflow();
      this.again();
    });
    stream.addEventListener('ended', () => {
      ended = true;
      if (this.#stream === stream) this.#later('ended');
    });
    stream.addEventListener('error', () => {
      if (ended || this.#stream !== stream) return;
      // The browser tries again by itself with the last number that it saw, unless it gave up.
      if (stream.readyState === EventSource.CLOSED) this.#later('lost');
      else this.#listener?.link('lost');
    });
  }

  /** @param {number} us @returns {Promise<Snapshot>} */
  snapshotAt(us) {
    return ask(`/api/snapshot${tail({ at_us: us })}`);
  }

  /** @param {Span} [part] @returns {Promise<Timeline>} */
  timeline({ from_us = null, to_us = null } = {}) {
    return ask(`/api/timeline${tail({ from_us, to_us })}`);
  }

  /** @param {string} node @param {number | null} us @returns {Promise<Why>} */
  why(node, us) {
    return ask(`/api/why${tail({ node, at_us: us })}`);
  }

  /** One visit of a user, or one dial of an agent. @param {string} node @param {number} number @returns {Promise<Request>} */
  request(node, number) {
    const [kind = '', name = ''] = node.split(/\/(.*)/s);
    return ask(`/api/${kind === 'user' ? 'visits' : 'dials'}/${encodeURIComponent(name)}/${number}`);
  }

  /** What would change for a client in another network. @param {string} node @param {string} network @returns {Promise<Moved>} */
  whatif(node, network) {
    return ask('/api/whatif', { node, network });
  }
}
