// @ts-check
// What an operator should know.

/** @import {Snapshot} from '../types.js' */

import { each, h } from '../dom.js';
import { instant, visible } from '../format.js';
import { mark, nodeLink } from './parts.js';

/** @param {HTMLElement} list @param {Snapshot} lab */
export function drawFindings(list, lab) {
  each(list, lab.findings, ({ id, node }) => `${id} ${node}`, (finding) =>
    h('li', {}, mark('finding'), h('div', {},
      h('p', {}, h('strong', {}, visible(finding.id)), ' ', h('span', { class: 'quiet' }, visible(finding.severity)), ' ',
        finding.node.includes('/') ? nodeLink(finding.node, finding.node) : visible(finding.node), ' ',
        h('span', { class: 'quiet' }, instant(finding.at_us))),
      h('p', {}, visible(finding.detail)))), () => {});
}
