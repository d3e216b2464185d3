// @ts-check
// The users: what they got last, and which way it went.

/** @import {Snapshot} from '../types.js' */

import { byId, rows } from '../dom.js';
import { count, span, visible } from '../format.js';
import { cell, laneOf, laneOfDoor, nodeLink, pill, plain } from './parts.js';

/** @param {Snapshot} lab */
export function drawUsers(lab) {
  rows(byId('users-rows'), lab.users, (user) => user.name, (user) => {
    const failed = user.failures.map(({ reason, count: n }) => `${count(n)} ${reason.replace('_', ' ')}`);
    const last = user.last;
    return [
      cell(user.name, () => [nodeLink(`user/${user.name}`, user.name), ' ', pill(user.network, laneOf(lab, user.network))]),
      plain(count(user.answered), 'n'),
      plain(failed.join(', ') || 'none', failed.length ? 'strong' : 'quiet'),
      plain(last ? `${visible(last.app)} ${last.status}` : 'not yet', last ? '' : 'quiet'),
      last?.balancer == null ? '' : cell(last.balancer, () => [pill(last.balancer ?? '', laneOfDoor(lab, last.balancer))]),
      last?.proxy ?? '',
      plain(last ? span(last.took_us) : '', 'n'),
    ];
  });
}
