// @ts-check
// What the page knows: the newest state, the latest facts, the timeline, and what is looked at:
// now, or an instant. It has no rules of its own.

/** @import {Link, Source} from './source.js' */
/** @import {Fact, Snapshot, Timeline} from './types.js' */

import { Refused } from './api.js';

/** How many facts of either kind are kept for the log. */
const FACTS_MAX = 1_000;

/** How often the timeline is asked for while the lab runs. */
const TIMELINE_MS = 2_000;

/** Facts that come with every flow or answer; the rest are decisions that somebody may judge. */
const TRAFFIC = new Set(['dns_counted', 'dns_carried', 'dns_forwarded', 'dns_answered', 'flow_opened', 'flow_connected', 'checked',
  'flow_closed', 'service_chosen', 'routed', 'request_ended', 'gossip_sent', 'visit_answered']);

/** Whether a fact, or its line on the timeline, is traffic: users only visit. @param {{kind: string, node: string}} fact */
export function isTraffic({ kind, node }) {
  return TRAFFIC.has(kind) || (kind === 'door_used' && node.startsWith('user/'));
}

/**
 * Keeps the newest decisions and the newest traffic, so that neither drives out the other.
 * @param {Fact[]} facts oldest first
 */
function newest(facts) {
  if (facts.length <= FACTS_MAX) return facts;
  let [decisions, traffic] = [0, 0];
  return facts.reverse().filter((fact) =>
    (isTraffic(fact) ? (traffic += 1) : (decisions += 1)) <= FACTS_MAX).reverse();
}

/** How many new facts wait for the next frame; a hidden page has none for long. */
const FRESH_MAX = 200;

/**
 * What a page draws.
 * @typedef {object} State
 * @property {Snapshot | null} snapshot the state that is looked at
 * @property {Fact[]} facts oldest first, none later than what is looked at
 * @property {Link} link `file`: a run that is over and wholly here; only `live` can be acted on
 * @property {number | null} at the instant that is looked at; null is live
 * @property {Snapshot | null} now the newest state
 * @property {Timeline | null} timeline
 * @property {{text: string, oldest: number | null} | null} gone why the instant cannot be shown
 * @property {string | null} broken why there is nothing to show at all
 */

/** Holds the state and tells one drawer of changes, at most once a frame. */
export class Store {
  /** @type {State} */
  #now = { snapshot: null, facts: [], link: 'loading', at: null, now: null, timeline: null, gone: null, broken: null };
  /** @type {Fact[]} */
  #fresh = [];
  #waiting = false;
  #draw;
  /** @type {Source} */
  #source;
  #asking = false;
  #timer = 0;
  #ends = false;

  /** @param {Source} source @param {(state: State, fresh: Fact[]) => void} draw */
  constructor(source, draw) {
    this.#source = source;
    this.#draw = draw;
    document.addEventListener('visibilitychange', () => this.touch());
    this.use(source);
  }

  get state() {
    return this.#now;
  }

  get source() {
    return this.#source;
  }

  /** Begins anew with another source. @param {Source} source */
  use(source) {
    this.#source.close();
    this.#source = source;
    this.#ends = false;
    this.#now = { ...this.#now, snapshot: null, now: null, facts: [], link: 'loading', timeline: null, gone: null, broken: null };
    source.follow({
      snapshot: (snapshot) => this.#takeSnapshot(snapshot),
      facts: (facts) => this.#takeFacts(facts),
      overflow: () => this.#change({ facts: [] }),
      link: (link) => this.#takeLink(link),
      broken: (text) => this.#change({ broken: text }),
    });
    this.touch();
  }

  /** @param {Partial<State>} changes */
  #change(changes) {
    this.#now = { ...this.#now, ...changes };
    this.touch();
  }

  /** @param {Snapshot} snapshot */
  #takeSnapshot(snapshot) {
    const before = this.#now.now;
    const another = before !== null && before.run !== snapshot.run;
    const facts = another ? [] : this.#now.facts;
    this.#change({ now: snapshot, facts, ...another ? { timeline: null } : {} });
    if (this.#now.at === null) this.#change({ snapshot });
    else if (!this.#now.snapshot || another) this.#fetch();
    if (!before || another) this.#askTimeline();
  }

  /** @param {Fact[]} facts */
  #takeFacts(facts) {
    const last = this.#now.facts.at(-1)?.seq ?? 0;
    const fresh = facts.filter((fact) => fact.seq > last);
    if (this.#now.at === null) this.#fresh = [...this.#fresh, ...fresh].slice(-FRESH_MAX);
    const all = [...this.#now.facts, ...fresh];
    this.#change({ facts: this.#source.kind === 'file' ? all : newest(all) });
  }

  /** @param {Link} link */
  #takeLink(link) {
    // A lab that said that it ends does not answer afterwards.
    if (this.#now.link === 'ended' && link === 'lost') return;
    this.#change({ link });
    if (link === 'live' && !this.#now.timeline) this.#askTimeline();
  }

  /** Looks at an instant; null is live. @param {number | null} at */
  look(at) {
    if (at === this.#now.at) return;
    this.#change({ at, gone: null, ...at === null ? { snapshot: this.#now.now } : {} });
    if (at !== null && this.#now.now) this.#fetch();
  }

  /** One question at a time: who drags the handle gets the newest instant, not a queue. */
  async #fetch() {
    if (this.#asking) return;
    this.#asking = true;
    let asked = null;
    while (this.#now.at !== null && this.#now.at !== asked) {
      asked = this.#now.at;
      const source = this.#source;
      try {
        const snapshot = await source.snapshotAt(asked);
        if (this.#now.at !== null && source === this.#source) this.#change({ snapshot, gone: null });
      } catch (error) {
        const held = error instanceof Refused && error.status === 410;
        const text = error instanceof Error ? error.message : '';
        if (this.#now.at === asked) {
          this.#change({ gone: { text, oldest: held ? this.#now.now?.oldest_us ?? null : null } });
        }
      }
    }
    this.#asking = false;
  }

  async #askTimeline() {
    clearTimeout(this.#timer);
    const source = this.#source;
    try {
      const timeline = await source.timeline();
      if (source !== this.#source) return;
      this.#ends = timeline.ended_us !== null;
      this.#change({ timeline });
    } catch {
      // Next time: the state of the link says already that nobody answers.
    }
    if (source.kind === 'lab' && !this.#ends && source === this.#source) this.#timer = setTimeout(() => this.#tick(), TIMELINE_MS);
  }

  #tick() {
    if (!document.hidden && this.#now.link === 'live') this.#askTimeline();
    else this.#timer = setTimeout(() => this.#tick(), TIMELINE_MS);
  }

  /** Asks for a frame; a hidden page gets none. */
  touch() {
    if (this.#waiting || document.hidden) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      const { at, facts } = this.#now;
      const fresh = this.#fresh;
      this.#fresh = [];
      this.#draw(at === null ? this.#now : { ...this.#now, facts: facts.filter((fact) => fact.at_us <= at) }, fresh);
    });
  }
}
