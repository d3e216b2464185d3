// @ts-check
// What the page knows: the newest snapshot and the latest facts. It has no rules of its own.

/** @import {Link} from './api.js' */
/** @import {Fact, Snapshot} from './types.js' */

/** How many facts of either kind are kept for the log. */
const FACTS_MAX = 1_000;

/** Facts that come with every flow or answer; the rest are decisions that somebody may judge. */
const TRAFFIC = new Set(['dns_counted', 'dns_answered', 'flow_opened', 'flow_connected',
  'flow_closed', 'service_chosen', 'routed', 'request_ended', 'gossip_sent', 'visit_answered']);

/** @param {Fact} fact */
export function isTraffic(fact) {
  return TRAFFIC.has(fact.kind) || (fact.kind === 'door_used' && fact.purpose === 'visit');
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
 * @typedef {object} State
 * @property {Snapshot | null} snapshot
 * @property {Fact[]} facts oldest first
 * @property {Link} link
 */

/** Holds the state and tells one drawer of changes, at most once a frame. */
export class Store {
  /** @type {State} */
  #now = { snapshot: null, facts: [], link: 'loading' };
  /** @type {State} What is shown; it stands still while paused. */
  #shown = this.#now;
  /** @type {Fact[]} */
  #fresh = [];
  #held = 0;
  #paused = false;
  #waiting = false;
  /** @type {(state: State, fresh: Fact[]) => void} */
  #draw;

  /** @param {(state: State, fresh: Fact[]) => void} draw */
  constructor(draw) {
    this.#draw = draw;
    document.addEventListener('visibilitychange', () => this.touch());
  }

  get paused() {
    return this.#paused;
  }

  /** Facts that came while paused. */
  get held() {
    return this.#held;
  }

  get state() {
    return this.#shown;
  }

  /** @param {Snapshot} snapshot */
  takeSnapshot(snapshot) {
    const before = this.#now.snapshot;
    const facts = before && before.run !== snapshot.run ? [] : this.#now.facts;
    this.#now = { ...this.#now, snapshot, facts };
    this.touch();
  }

  /** @param {Fact[]} facts */
  takeFacts(facts) {
    const last = this.#now.facts.at(-1)?.seq ?? 0;
    const fresh = facts.filter((fact) => fact.seq > last);
    this.#now = { ...this.#now, facts: newest([...this.#now.facts, ...fresh]) };
    if (this.#paused) this.#held += fresh.length;
    else this.#fresh = [...this.#fresh, ...fresh].slice(-FRESH_MAX);
    this.touch();
  }

  /** Forgets the facts: some are missing after them. */
  forget() {
    this.#now = { ...this.#now, facts: [] };
    this.touch();
  }

  /** @param {Link} link */
  takeLink(link) {
    // A lab that said that it ends does not answer afterwards.
    if (this.#now.link === 'ended' && link === 'lost') return;
    this.#now = { ...this.#now, link };
    this.touch();
  }

  /** @param {boolean} paused */
  pause(paused) {
    this.#paused = paused;
    this.#held = 0;
    this.touch();
  }

  /** Asks for a frame; a hidden page gets none. */
  touch() {
    if (this.#waiting || document.hidden) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      const link = this.#now.link;
      this.#shown = this.#paused ? { ...this.#shown, link } : this.#now;
      const fresh = this.#fresh;
      this.#fresh = [];
      this.#draw(this.#shown, fresh);
    });
  }
}
