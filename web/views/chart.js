// @ts-check
// Lines over the last minute: one small one for a row, three below each other for a door.

/** @import {Snapshot} from '../types.js' */

import { h, s, say, set } from '../dom.js';
import { count, span } from '../format.js';

/** @typedef {(number | null)[]} Numbers oldest first */

/** Points that a chart draws at most. */
const POINTS = 300;

/** So far apart, two numbers have no line between them. */
const GAP = 6;

/** A rate is the mean of so many seconds: one flow in two seconds is 0.5/s, not a saw of 0 and 1. */
export const RATE_OVER = 5;

/**
 * Counts of each second as rates. The newest second is not over yet, and so does not count.
 * @param {Numbers | undefined} counts
 */
export function rates(counts = []) {
  const whole = counts.length > 1 ? counts.slice(0, -1) : counts;
  return whole.map((_, index) => {
    const last = whole.slice(Math.max(0, index + 1 - RATE_OVER), index + 1);
    return last.reduce((/** @type {number} */ sum, n) => sum + (n ?? 0), 0) / last.length;
  });
}

/** A rate's number: `0.4`. @param {number} n */
export function perSecond(n) {
  return n >= 10 ? count(Math.round(n)) : n.toFixed(1);
}

/**
 * The path of a line; where numbers are long missing there is none, and one alone is a point.
 * @param {Numbers} numbers
 * @param {number} width
 * @param {number} height
 * @param {number} most
 */
export function path(numbers, width, height, most) {
  const step = width / Math.max(1, numbers.length - 1);
  let last = -GAP;
  return numbers.map((number, index) => {
    if (number === null) return '';
    const point = `${round(index * step)} ${round(height - 1 - (height - 2) * number / (most || 1))}`;
    const joined = index - last < GAP;
    last = index;
    if (joined) return `L${point}`;
    return `M${point}${numbers.slice(index + 1, index + GAP).every((next) => next === null) ? 'h.1' : ''}`;
  }).join('');
}

/** @param {number} n */
function round(n) {
  return Math.round(n * 10) / 10;
}

/** The largest of the numbers, 0 without any. @param {Numbers} numbers */
export function most(numbers) {
  return numbers.reduce((/** @type {number} */ all, n) => Math.max(all, n ?? 0), 0);
}

/**
 * A line as small as a word.
 * @param {Numbers} counts of each second
 * @param {string} what
 */
export function spark(counts, what) {
  const numbers = rates(counts);
  const top = most(numbers);
  const now = perSecond(numbers.at(-1) ?? 0);
  return h('span', { class: 'spark' },
    s('svg', { viewBox: '0 0 72 16', width: 72, height: 16, role: 'img', 'aria-label': `${what}: ${now} now, ${perSecond(top)} at most` },
      s('path', { d: path(numbers, 72, 16, top) })), h('span', { class: 'n' }, now));
}

const STRIPS = /** @type {const} */ ([
  ['flows', 'flows/s', perSecond],
  ['failures', 'refused or cut/s', perSecond],
  ['latency_p95_us', 'answer p95', span],
]);

/** Rate, errors and latency of one door on one time axis. */
export class DoorChart {
  #strips = STRIPS.map(([field, title, word]) => {
    const line = s('path', { class: 'line' });
    const area = s('path', { class: 'area' });
    const top = h('span', { class: 'top' });
    const now = h('b', {});
    const drawing = s('svg', { viewBox: '0 0 600 40', preserveAspectRatio: 'none', role: 'img' }, area, line);
    return { field, title, word, line, area, top, now, drawing, element: h('figure', { class: `strip ${field}` },
      h('figcaption', {}, `${title} `, now, ', most ', top), drawing) };
  });
  element = h('div', { class: 'charts' }, ...this.#strips.map(({ element }) => element));

  /** @param {Snapshot} lab @param {string} door */
  draw(lab, door) {
    for (const { field, title, word, line, area, top, now, drawing } of this.#strips) {
      const seconds = (lab.rates[field][door] ?? []).slice(-POINTS);
      const numbers = field === 'latency_p95_us' ? seconds : rates(seconds);
      const highest = most(numbers);
      const newest = numbers.slice(-GAP).findLast((number) => number !== null) ?? null;
      const drawn = path(numbers, 600, 40, highest);
      set(line, { d: highest > 0 ? drawn : '' });
      set(area, { d: highest > 0 && !numbers.includes(null) ? `${drawn}L600 40L0 40Z` : '' });
      say(now, newest === null ? '–' : word(newest));
      say(top, numbers.some((number) => number !== null) ? word(highest) : '–');
      set(drawing, { 'aria-label': `${title} through ${door}: ${newest === null ? 'none' : word(newest)} now, ${word(highest)} at most` });
    }
  }
}
