// @ts-check
// One visit or dial as its hops, each with the time that it took: bars on one axis.

/** @import {Request} from '../types.js' */

import { h, s } from '../dom.js';
import { instant, span, visible } from '../format.js';
import { nodeLink } from './parts.js';

/** @param {Request} request */
export function waterfall({ node, number, began_us: began, ended_us: ended, outcome, hops }) {
  const last = ended ?? Math.max(began, ...hops.map(({ from_us: from, to_us: to }) => to ?? from));
  const length = Math.max(1, last - began);
  const x = (/** @type {number} */ us) => Math.min(1, Math.max(0, (us - began) / length)) * 300;
  return h('div', { class: 'hops' },
    h('p', {}, h('strong', {}, `${visible(node)} ${number}: ${visible(outcome)}`), ' ',
      h('span', { class: 'quiet' }, `from ${instant(began)}, ${ended === null ? 'not over yet' : span(ended - began)}`)),
    h('ol', {}, ...hops.map((hop) => {
      const to = hop.to_us ?? hop.from_us;
      return h('li', {}, h('span', { class: 'hop' }, /^(agent|user|balancer|proxy)\//.test(hop.node) ? nodeLink(hop.node, hop.node) : visible(hop.node)),
        h('span', { class: 'told' }, visible(hop.text), hop.why ? h('span', { class: 'quiet' }, ` ${visible(hop.why)}`) : null),
        s('svg', { viewBox: '0 0 300 10', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
          s('rect', { x: x(hop.from_us), y: 2, width: Math.max(2, x(to) - x(hop.from_us)), height: 6 })),
        h('span', { class: 'n mono' }, hop.to_us === null ? `+${span(hop.from_us - began)}` : span(hop.to_us - hop.from_us)));
    })));
}
