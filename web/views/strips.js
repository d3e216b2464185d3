// @ts-check
// What a door shows of the last minute: a small line for each row, three below each other for itself.

/** @import {Snapshot} from '../types.js' */
/** @import {Numbers} from './chart.js' */

import { h, s, say, set } from '../dom.js';
import { span, visible } from '../format.js';
import { GAP, most, path, perSecond, rates } from './chart.js';

/** Points that a chart draws at most. */
const POINTS = 300;

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
    s('svg', { viewBox: '0 0 72 16', width: 72, height: 16, role: 'img', 'aria-label': `${visible(what)}: ${now} now, ${perSecond(top)} at most` },
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
      set(drawing, { 'aria-label': `${title} through ${visible(door)}: ${newest === null ? 'none' : word(newest)} now, ${word(highest)} at most` });
    }
  }
}
