// @ts-check
// What was done to the lab on purpose and is in force: above everything, so that nobody wonders.

/** @import {Snapshot} from '../types.js' */

import { byId, each, h, say } from '../dom.js';
import { instant, visible } from '../format.js';
import { mark } from './parts.js';

/** @param {Snapshot} lab */
export function drawFaults(lab) {
  byId('faults').hidden = lab.faults.length === 0;
  each(byId('faults-list'), lab.faults, ({ id }) => String(id), (fault) =>
    h('li', {}, mark('finding'), h('p', {}, h('strong', {}, visible(fault.text)), ' ', h('span', { class: 'quiet' }))),
  (element, fault) => {
    const quiet = element.querySelector('.quiet');
    const until = fault.until_us === null ? '' : ` until ${instant(fault.until_us)}`;
    if (quiet) say(quiet, `since ${instant(fault.since_us)}${until}`);
  });
}
