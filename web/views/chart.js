// @ts-check
// Lines over the last minute, and counts of each second as rates.

import { count } from '../format.js';

/** @typedef {(number | null)[]} Numbers oldest first */

/** So far apart, two numbers have no line between them. */
export const GAP = 6;

/** A rate is the mean of so many seconds, a multiple of 2 and 3: one flow in two or three seconds is a level line, not a saw. */
export const RATE_OVER = 6;

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
