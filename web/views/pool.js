// @ts-check
// The doors, and the pool as each of them sees it.

/** @import {Snapshot} from '../types.js' */

import { byId, h, rows } from '../dom.js';
import { bytes, count, instant, plural, visible } from '../format.js';
import { cell, laneOf, nodeLink, plain, state } from './parts.js';

/**
 * Makes a table's head anew when its columns changed.
 * @param {HTMLElement} head
 * @param {[string, string?][]} columns text and class
 */
export function columns(head, columns) {
  const key = columns.map(([text]) => text).join('\n');
  if (head.dataset['key'] === key) return;
  head.dataset['key'] = key;
  head.replaceChildren(h('tr', {}, ...columns.map(([text, name]) =>
    h('th', { scope: 'col', class: name ?? null }, visible(text)))));
}

/** @param {Snapshot} lab */
export function drawPool(lab) {
  const networks = [...lab.networks.map(({ name }) => /** @type {string | null} */ (name))];
  if (lab.balancers.some((door) => door.networks.some(({ network }) => network === null))) {
    networks.push(null);
  }
  columns(byId('doors-head'), [['door'], ['state'],
    ...networks.map((name) => /** @type {[string, string]} */ ([`from ${name ?? 'elsewhere'}`, 'n'])),
    ['open', 'n'], ['refused', 'n'], ['bytes', 'n']]);
  rows(byId('doors-rows'), lab.balancers, (door) => door.name, (door) => [
    cell(door.name, () => [nodeLink(`balancer/${door.name}`, door.name),
      h('span', { class: 'under mono' }, door.listen.join(' '))], laneOf(lab, door.network)),
    cell(door.admin, () => [state(door.admin)]),
    ...networks.map((name) => {
      const opened = door.networks.find(({ network }) => network === name)?.opened ?? 0;
      return plain(count(opened), opened ? `n ${laneOf(lab, name)} strong` : 'n quiet');
    }),
    plain(count(door.open), 'n'),
    plain(count(door.refused + door.no_backend), door.refused + door.no_backend ? 'n strong' : 'n quiet'),
    plain(bytes(door.bytes_up + door.bytes_down), 'n'),
  ]);

  columns(byId('pool-head'), [['proxy'],
    ...lab.balancers.map(({ name }) => /** @type {[string]} */ ([`at door ${name}`])),
    ['tunnels', 'n'], ['requests', 'n'], ['no tunnel', 'n']]);
  rows(byId('pool-rows'), lab.proxies, (proxy) => proxy.name, (proxy) => [
    cell(`${proxy.name} ${proxy.admin}`, () => [nodeLink(`proxy/${proxy.name}`, proxy.name),
      proxy.admin === 'ready' ? null : ' ', proxy.admin === 'ready' ? null : state(proxy.admin)]),
    ...lab.balancers.map((door) => {
      const seen = door.backends.find((backend) => backend.proxy === proxy.name);
      if (!seen) return '';
      const words = `${seen.health} ${seen.since_us} ${seen.total} ${seen.open}`;
      return cell(words, () => {
        const whole = h('span', { title: `${seen.cause}, at ${instant(seen.since_us)}` },
          state(seen.health), ' ', h('span', { class: 'under' }, `${plural(seen.total, 'flow')}, ${count(seen.open)} open`));
        return [whole];
      });
    }),
    plain(count(proxy.tunnels), 'n'),
    plain(count(proxy.routed), 'n'),
    plain(count(proxy.no_tunnel), proxy.no_tunnel ? 'n strong' : 'n quiet'),
  ]);
}
