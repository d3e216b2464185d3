// @ts-check
// What an operator should know.

/** @import {Snapshot} from '../types.js' */

import { byId, each, h } from '../dom.js';
import { instant, visible } from '../format.js';
import { mark, nodeLink } from './parts.js';

/** @param {Snapshot} lab */
export function drawFindings(lab) {
  byId('findings-none').hidden = lab.findings.length > 0;
  each(byId('findings-list'), lab.findings, ({ id, node }) => `${id} ${node}`, (finding) =>
    h('li', {}, mark('finding'), h('div', {},
      h('p', {}, h('strong', {}, finding.id), ' ', h('span', { class: 'quiet' }, finding.severity), ' ',
        finding.node.includes('/') ? nodeLink(finding.node, finding.node) : finding.node, ' ',
        h('span', { class: 'quiet' }, instant(finding.at_us))),
      h('p', {}, visible(finding.detail)))), () => {});
}
