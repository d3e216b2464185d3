// @ts-check
// The bar at the bottom, for every page: live, or an instant that is looked at. The handle's track
// shows faults as bands and failed expectations as ticks.

/** @import {State} from './store.js' */
/** @import {Timeline} from './types.js' */

import { byId, h, redo, s, say, set } from './dom.js';
import { instant, plural, visible } from './format.js';
import { query } from './router.js';

/** How often the address follows while time plays. */
const PLAY_MS = 250;

/** Nearer than this to now is live. */
const NEAR_US = 200_000;

/** An instant as the address has it: `12.4` seconds. @param {number} us */
export function atText(us) {
  return String(us / 1_000_000);
}

/** The instant that the address asks for, in microseconds. */
export function atAsked() {
  const text = query.get('at');
  const us = Math.round(Number(text) * 1_000_000);
  return text === null || text === '' || !Number.isFinite(us) || us < 0 ? null : us;
}

/** An instant as people write it, in microseconds: `12.4`, `0:12.4`, `1:02:12`; null when it is none. @param {string} text */
export function written(text) {
  const [, hours = '0', minutes = '0', seconds] = /^(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)$/.exec(text.trim()) ?? [];
  const us = seconds === undefined ? NaN : Math.round(((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1_000_000);
  return Number.isSafeInteger(us) ? us : null;
}

/** Looks at an instant; null is live. @param {number | null} us @param {boolean} [push] */
export function look(us, push = false) {
  query.set({ at: us === null ? null : atText(Math.max(0, Math.round(us))) }, push);
}

/** What an instant is told as: `12.4 s, fault latency on proxy/1`. @param {number} us @param {Timeline | null} timeline */
export function told(us, timeline) {
  const faults = (timeline?.faults ?? []).filter((fault) => fault.from_us <= us && (fault.to_us ?? Infinity) > us);
  return [`${(us / 1_000_000).toFixed(1)} s`, ...faults.map(({ text }) => visible(text))].join(', ');
}

/** Every instant at which something was decided, in order. @param {Timeline} timeline */
export function stops(timeline) {
  const all = [...timeline.lanes.flatMap(({ marks }) => marks.map(({ at_us: at }) => at)),
    ...timeline.faults.flatMap(({ from_us: from, to_us: to }) => (to === null ? [from] : [from, to])),
    ...timeline.expectations.flatMap(({ ticks }) => ticks.map(({ at_us: at }) => at))];
  return [...new Set(all)].sort((a, b) => a - b);
}

export class TimeBar {
  #instant = /** @type {HTMLInputElement} */ (byId('instant'));
  #scrub = /** @type {HTMLInputElement} */ (byId('scrub'));
  #speed = /** @type {HTMLSelectElement} */ (byId('speed'));
  #marks = byId('marks');
  #playing = 0;
  /** The instant that play showed last; another one was chosen by hand. @type {number | null} */
  #at = null;
  /** @type {State | null} */
  #state = null;

  constructor() {
    this.#scrub.addEventListener('input', () => {
      this.#halt();
      look(Number(this.#scrub.value));
    });
    byId('clock').addEventListener('click', () => this.ask());
    byId('jump').addEventListener('submit', (event) => {
      const us = written(this.#instant.value);
      set(this.#instant, { 'aria-invalid': us === null ? 'true' : null });
      if (us === null) event.preventDefault();
      else {
        this.#halt();
        look(us, true);
      }
    });
    byId('play').addEventListener('click', () => this.toggle());
    byId('back').addEventListener('click', () => this.step(-1));
    byId('forth').addEventListener('click', () => this.step(1));
    byId('live').addEventListener('click', () => {
      this.#halt();
      look(null, true);
      byId('play').focus();
    });
  }

  /** Asks which instant to go to: the handle is too coarse for a second of a long run. */
  ask() {
    const { at, now } = this.#state ?? {};
    if (!now) return;
    this.#instant.value = instant(at ?? now.at_us);
    set(this.#instant, { 'aria-invalid': null });
    /** @type {HTMLDialogElement} */ (byId('jump')).showModal();
    this.#instant.select();
  }

  /** Live: stops here. At an instant: plays on, or stops. A run that is over begins anew. */
  toggle() {
    const { at, now } = this.#state ?? {};
    if (!now) return;
    if (at === null && this.#isLive()) look(now.at_us, true);
    else if (this.#playing) this.#halt();
    else this.#play();
    this.draw(this.#state);
  }

  #isLive() {
    return this.#state?.link === 'live' && this.#state.now?.ended_us == null;
  }

  #play() {
    const state = this.#state;
    if (!state?.now) return;
    const end = state.now.at_us;
    const over = (state.at ?? end) >= end - NEAR_US;
    let at = over ? state.now.oldest_us : state.at ?? end;
    let [before, shown] = [performance.now(), 0];
    const go = (/** @type {number} */ time) => {
      if (!this.#playing) return;
      at += Math.max(0, time - before) * 1_000 * Number(this.#speed.value);
      before = time;
      const most = this.#state?.now?.at_us ?? 0;
      if (at >= most - NEAR_US) {
        this.#halt();
        look(this.#isLive() ? null : most);
        return;
      }
      if (time - shown >= PLAY_MS) {
        shown = time;
        this.#at = Math.round(at);
        look(at);
      }
      this.#playing = requestAnimationFrame(go);
    };
    this.#at = null;
    this.#playing = requestAnimationFrame(go);
  }

  #halt() {
    cancelAnimationFrame(this.#playing);
    this.#playing = 0;
  }

  /** To the next decision, or the one before. @param {1 | -1} way */
  step(way) {
    const { at, now, timeline } = this.#state ?? {};
    if (!now || !timeline) return;
    this.#halt();
    const here = at ?? now.at_us;
    const all = stops(timeline).filter((us) => us >= timeline.oldest_us);
    const next = way > 0 ? all.find((us) => us > here) : all.findLast((us) => us < here);
    if (next !== undefined) look(next);
  }

  /** @param {State | null} state */
  draw(state) {
    this.#state = state;
    if (!state?.now) return;
    const { at, now, timeline, link } = state;
    if (this.#playing && this.#at !== null && at !== this.#at) this.#halt();
    const [low, high] = [now.oldest_us, Math.max(1, now.at_us, at ?? 0)];
    const here = at ?? high;
    set(this.#scrub, { min: low, max: high, step: 1_000, 'aria-valuetext': at === null && link !== 'file' ? 'live' : told(here, timeline) });
    this.#scrub.value = String(here);
    const live = this.#isLive();
    redo(byId('clock'), `${at} ${now.at_us}`, () => [instant(at ?? now.at_us), at === null ? null : h('span', { class: 'roomy' }, ` of ${instant(now.at_us)}`)]);
    const word = at === null ? live ? 'Pause' : 'Play' : this.#playing ? 'Pause' : 'Play';
    const play = byId('play');
    say(play, word);
    set(play, { 'aria-pressed': String(at === null ? live : this.#playing > 0) });
    const back = byId('live');
    back.hidden = at === null;
    set(back, { 'aria-label': live ? 'Back to live' : 'To the end' });
    redo(back, String(live), () => (live ? [h('span', { class: 'roomy' }, 'Back to '), 'live'] : [h('span', { class: 'roomy' }, 'To the '), 'end']));
    document.body.classList.toggle('past', at !== null);
    say(byId('stand'), `${plural((state.snapshot ?? now).seq, 'fact')} · rules ${(state.snapshot ?? now).generation}`);
    if (timeline) this.#draw(timeline, low, high);
  }

  /** @param {Timeline} timeline @param {number} low @param {number} high */
  #draw(timeline, low, high) {
    const x = (/** @type {number} */ us) => Math.round((Math.min(high, Math.max(low, us)) - low) / (high - low || 1) * 1_000);
    const bands = timeline.faults.map(({ from_us: from, to_us: to }) => [x(from), Math.max(2, x(to ?? high) - x(from))]);
    const ticks = timeline.expectations.flatMap((expectation) => expectation.ticks.filter(({ state }) => state === 'failed').map(({ at_us: us }) => x(us)));
    redo(this.#marks, JSON.stringify([bands, ticks]), () => [
      ...bands.map(([left, width]) => s('rect', { class: 'band', x: left, y: 0, width, height: 10 })),
      ...ticks.map((left) => s('rect', { class: 'tick', x: left - 1, y: 0, width: 3, height: 10 })),
    ]);
  }
}
