// @ts-check
// Small parts that several views share.

/** @import {Snapshot} from '../types.js' */
/** @import {Cell} from '../dom.js' */

import { h, s } from '../dom.js';
import { inAddress, visible } from '../format.js';

const SHAPES = {
  agent: 'M2 2.5h10v6H2zM5 11.5h4M7 8.5v3',
  door: 'M3 12.5v-11h8v11M1.5 12.5h11M8.5 7.2v.6',
  user: 'M7 1.8a2.6 2.6 0 1 1 0 5.2 2.6 2.6 0 0 1 0-5.2M2 12.5c.4-2.6 2.4-4 5-4s4.6 1.4 5 4',
  up: 'M3 7.5l2.8 2.8L11 4.5',
  down: 'M3.5 3.5l7 7M10.5 3.5l-7 7',
  change: 'M3 9l4-4 4 4',
  unknown: 'M3.5 7h.1M7 7h.1M10.5 7h.1',
  pause: 'M5 3v8M9 3v8',
  finding: 'M7 1.8l5.6 10.4H1.4zM7 5.8v3M7 10.4v.1',
};

/**
 * An icon of 14 by 14 in the colour of its text.
 * @param {keyof typeof SHAPES} name
 */
export function icon(name) {
  return s('path', { class: 'stroke', d: SHAPES[name] });
}

/**
 * An icon for use outside of a drawing.
 * @param {keyof typeof SHAPES} name
 */
export function mark(name) {
  return s('svg', { class: 'mark', viewBox: '0 0 14 14', width: 14, height: 14, 'aria-hidden': 'true' }, icon(name));
}

/**
 * A state: its word, its icon and its colour.
 * @param {string} word
 */
export function state(word) {
  const names = /** @type {Record<string, keyof typeof SHAPES>} */ ({
    up: 'up', ready: 'up', falling: 'change', rising: 'change', down: 'down', stopped: 'down',
    lost: 'down', draining: 'change', drained: 'pause',
  });
  return h('span', { class: `state is-${word}` }, mark(names[word] ?? 'unknown'), visible(word));
}

/**
 * The tint of a network's lane.
 * @param {Snapshot} lab
 * @param {string | null} network
 */
export function laneOf(lab, network) {
  const lane = lab.networks.findIndex(({ name }) => name === network);
  return lane < 0 ? 'ink-none' : `ink-${lane % 4}`;
}

/**
 * The tint of a door.
 * @param {Snapshot} lab
 * @param {string | null} balancer
 */
export function laneOfDoor(lab, balancer) {
  return laneOf(lab, lab.balancers.find(({ name }) => name === balancer)?.network ?? null);
}

/**
 * The tint of a view.
 * @param {Snapshot} lab
 * @param {string | null} view
 */
export function laneOfView(lab, view) {
  return laneOf(lab, lab.networks.find((network) => network.view === view)?.name ?? null);
}

/**
 * A small tinted label.
 * @param {string} text
 * @param {string} lane
 */
export function pill(text, lane) {
  return h('span', { class: `pill ${lane}` }, visible(text));
}

/**
 * A link that chooses a node.
 * @param {string} node
 * @param {string} text
 */
export function nodeLink(node, text) {
  return h('a', { href: `/topology?node=${inAddress(node)}`, 'data-node': node }, visible(text));
}

/**
 * A cell with parts, compared by its words.
 * @param {string} words
 * @param {() => (Node | string | null)[]} parts
 * @param {string} [name] class
 * @returns {Cell}
 */
export function cell(words, parts, name) {
  return name === undefined ? { words, parts } : { words, parts, class: name };
}

/**
 * A cell of plain text.
 * @param {string} text
 * @param {string} name class
 * @returns {Cell}
 */
export function plain(text, name) {
  return { words: text, parts: () => [text], class: name };
}

/**
 * A word that tells what it means.
 * @param {string} name in glossary.js
 * @param {string} [text]
 */
export function term(name, text = name) {
  return h('span', { class: 'term', tabindex: '0', 'data-term': name }, text);
}
