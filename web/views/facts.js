// @ts-check
// Facts as lines of a log, newest first.

/** @import {State} from '../main.js' */
/** @import {Mark} from '../types.js' */

import { each, h } from '../dom.js';
import { instant, visible } from '../format.js';
import { isTraffic } from '../store.js';
import { nodeLink } from './parts.js';

/** How many lines are in the page. */
const LINES_MAX = 100;

/** @typedef {Pick<Mark, 'seq' | 'at_us' | 'node' | 'kind' | 'text'>} Line */

/**
 * The newest decisions: those of the timeline reach further back than the facts that the page holds.
 * @param {State} state @param {(line: Line) => boolean} wanted @param {number} most
 */
export function decisions({ timeline, facts, at }, wanted, most) {
  /** @type {Map<number, Line>} */
  const all = new Map();
  for (const { marks } of timeline?.lanes ?? []) for (const line of marks) if (line.at_us <= (at ?? Infinity)) all.set(line.seq, line);
  for (const fact of facts) if (!isTraffic(fact)) all.set(fact.seq, fact);
  return [...all.values()].filter(wanted).sort((a, b) => a.seq - b.seq).slice(-most);
}

/** @param {HTMLElement} list @param {Line[]} facts oldest first */
export function lines(list, facts) {
  const newest = facts.slice(-LINES_MAX).reverse();
  each(list, newest, ({ seq }) => String(seq), (fact) => h('li', { 'data-kind': fact.kind, 'data-seq': fact.seq },
    h('time', {}, instant(fact.at_us)), ' ',
    fact.node.includes('/') ? nodeLink(fact.node, fact.node) : h('span', {}, visible(fact.node)), ' ',
    h('span', { class: 'text' }, visible(fact.text))), () => {});
}
