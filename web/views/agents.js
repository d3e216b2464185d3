// @ts-check
// The matrix of agents by proxies.

/** @import {Snapshot, Tunnel} from '../types.js' */

import { byId, h, rows } from '../dom.js';
import { span, visible } from '../format.js';
import { cell, laneOf, laneOfDoor, nodeLink, pill, state } from './parts.js';
import { columns } from './pool.js';

/** @param {Snapshot} lab */
export function drawAgents(lab) {
  columns(byId('agents-head'), [['agent'],
    ...lab.proxies.map(({ name }) => /** @type {[string]} */ ([`proxy ${name}`])), ['last failure']]);
  rows(byId('agents-rows'), lab.agents, (agent) => agent.name, (agent) => {
    const up = agent.tunnels.filter((tunnel) => tunnel.up && tunnel.verified !== null);
    const names = [...new Set(up.map((tunnel) => tunnel.verified ?? ''))].sort();
    return [
      cell(`${agent.name} ${agent.admin} ${names.join(' ')}`, () => [
        nodeLink(`agent/${agent.name}`, agent.name), ' ', pill(agent.network, laneOf(lab, agent.network)),
        ...names.map((name) => h('span', { class: 'under' }, `verified ${visible(name)}`)),
        agent.admin === 'ready' ? null : h('span', { class: 'under' }, state(agent.admin))]),
      ...agent.tunnels.map((tunnel) => tunnelCell(lab, tunnel)),
      cell(agent.last_error ?? '', () => [h('span', { class: 'clamp quiet', title: visible(agent.last_error ?? '') },
        visible(agent.last_error ?? ''))], 'wrap'),
    ];
  });
}

/** @param {Snapshot} lab @param {Tunnel} tunnel */
function tunnelCell(lab, tunnel) {
  const word = tunnel.up ? 'up' : tunnel.made ? 'lost' : 'none';
  const words = JSON.stringify([word, tunnel.balancer, tunnel.gap_us, tunnel.after_rise_us]);
  return cell(words, () => {
    if (word === 'none') return [h('span', { class: 'quiet' }, 'not yet')];
    const gap = tunnel.up && tunnel.gap_us !== null
      ? [h('span', { class: 'under' }, `gap ${span(tunnel.gap_us)}`),
        tunnel.after_rise_us === null ? null
          : h('span', { class: 'under' }, `${span(tunnel.after_rise_us)} after up`)]
      : [];
    return [state(word), ' ', tunnel.up && tunnel.balancer !== null
      ? pill(tunnel.balancer, laneOfDoor(lab, tunnel.balancer)) : null, ...gap];
  });
}
