// @ts-check
// What is broken now, the worst first: one line at the top of every page, which leads to its place.

/** @import {Snapshot} from './types.js' */

import { plural, short, visible } from './format.js';

/** @typedef {{state: 'up' | 'falling' | 'down', text: string, page: 'topology' | 'pool' | 'scenarios', terms: Record<string, string>}} Trouble */

/** How much of an expectation's text fits the line. */
const TEXT = 60;

/**
 * Clients that go through the door of another network than their own, now.
 * @param {Snapshot} lab
 * @returns {{node: string, network: string, door: string}[]}
 */
export function astray(lab) {
  const wrong = (/** @type {string | null | undefined} */ name, /** @type {string} */ network, /** @type {string} */ role) => {
    const door = lab.balancers.find((b) => b.name === name);
    return door?.network != null && door.network !== network && door.meant_for !== role;
  };
  return [
    ...lab.agents.flatMap(({ name, network, tunnels }) => {
      const tunnel = tunnels.find(({ up, balancer }) => up && wrong(balancer, network, 'agents'));
      return tunnel?.balancer ? [{ node: `agent/${name}`, network, door: tunnel.balancer }] : [];
    }),
    ...lab.users.flatMap(({ name, network, last }) =>
      (last?.balancer && wrong(last.balancer, network, 'users') ? [{ node: `user/${name}`, network, door: last.balancer }] : [])),
  ];
}

/** `billing and orders`, `billing, orders and 3 more` @param {string[]} names */
export function listed(names) {
  const all = [...new Set(names)].map(visible);
  if (all.length < 2) return all.join('');
  const more = all.length > 3 ? `${all.length - 2} more` : all.at(-1);
  return `${all.slice(0, all.length > 3 ? 2 : -1).join(', ')} and ${more}`;
}

/**
 * Everything that is wrong, the worst first: who is cut off, what is down, who goes astray, what does
 * not hold, what was done on purpose.
 * @param {Snapshot} lab
 * @returns {Trouble[]}
 */
export function troubles(lab) {
  /** @type {Trouble[]} */
  const found = [];
  const dead = lab.balancers.filter(({ backends, admin }) => admin === 'stopped'
    || (backends.length > 0 && backends.every(({ health, admin: own }) => health === 'down' || own === 'stopped')));
  if (dead.length) {
    found.push({ state: 'down', text: `${dead.length === 1 ? 'door' : 'doors'} ${listed(dead.map(({ name }) => name))}: nobody gets through`,
      page: 'pool', terms: { filter: dead.length === 1 ? `door:${dead[0]?.name}` : '' } });
  }
  const lost = lab.agents.filter(({ admin, tunnels }) => admin === 'ready' && tunnels.some(({ made }) => made) && tunnels.every(({ up }) => !up));
  if (lost.length) {
    found.push({ state: 'down', text: `${lost.length === 1 ? 'agent' : 'agents'} ${listed(lost.map(({ name }) => name))} without a tunnel`,
      page: 'topology', terms: { node: `agent/${lost[0]?.name}` } });
  }
  const healths = lab.balancers.flatMap(({ name, backends }) => backends.map(({ proxy, health, admin }) => ({ door: name, proxy, health, admin })));
  // What was stopped or drained on purpose is told as that.
  const down = healths.filter(({ health, admin }) => health === 'down' && admin === 'ready');
  if (down.length) {
    const doors = new Set(down.map(({ door }) => door));
    found.push({ state: 'down', text: `proxy ${listed(down.map(({ proxy }) => proxy))} down${doors.size < lab.balancers.length ? ` at door ${listed([...doors])}` : ''}`,
      page: 'pool', terms: { filter: 'health:down' } });
  }
  const wrong = astray(lab);
  if (wrong.length) {
    found.push({ state: 'down', text: `${listed(wrong.map(({ node }) => node.replace(/^\w+\//, '')))} misrouted through door ${listed(wrong.map(({ door }) => door))}`,
      page: 'topology', terms: { node: wrong[0]?.node ?? '' } });
  }
  const failed = (lab.expectations ?? []).filter(({ state }) => state === 'failed');
  if (failed.length) {
    found.push({ state: 'down', text: `${failed.length === 1 ? 'expectation' : `${failed.length} expectations`} failed: ${short(visible(failed[0]?.text ?? ''), TEXT)}`,
      page: 'scenarios', terms: {} });
  }
  if (lab.faults.length) {
    const [first] = lab.faults;
    found.push({ state: 'falling', text: lab.faults.length === 1 ? `fault ${visible(first?.word ?? '')} on ${visible(first?.target ?? '')}` : plural(lab.faults.length, 'fault'),
      page: 'scenarios', terms: {} });
  }
  const resting = [...lab.balancers.filter((door) => !dead.includes(door)).map(({ name, admin }) => ({ text: `door ${name}`, admin })), ...lab.proxies.map(({ name, admin }) => ({ text: `proxy ${name}`, admin }))]
    .filter(({ admin }) => admin !== 'ready');
  if (resting.length) {
    const stopped = resting.find(({ admin }) => admin === 'stopped');
    const [first] = stopped ? [stopped] : resting;
    const trouble = /** @type {Trouble} */ ({ state: stopped ? 'down' : 'falling', page: 'pool', text: resting.length === 1 ? `${visible(first?.text ?? '')} ${visible(first?.admin ?? '')}` : `${resting.length} not in service`,
      terms: { filter: resting.every(({ admin }) => admin === first?.admin) ? `configured:${first?.admin}` : '!configured:ready' } });
    if (stopped) found.splice(dead.length ? 1 : 0, 0, trouble);
    else found.push(trouble);
  }
  const odd = healths.filter(({ health, admin }) => health !== 'up' && health !== 'down' && admin === 'ready');
  if (odd.length) {
    const words = new Set(odd.map(({ health }) => health));
    found.push({ state: 'falling', text: `proxy ${listed(odd.map(({ proxy }) => proxy))} ${words.size === 1 ? odd[0]?.health : 'not up'}`,
      page: 'pool', terms: { filter: words.size === 1 ? `health:${odd[0]?.health}` : '!health:up' } });
  }
  return found;
}

/** The line for the top of the page. @param {Snapshot} lab @returns {Trouble} */
export function worst(lab) {
  const found = troubles(lab);
  const [first] = found;
  const checked = lab.balancers.some(({ backends }) => backends.length);
  if (!first) return { state: 'up', text: checked ? 'all up' : 'nothing to check', page: 'pool', terms: {} };
  const more = found.length > 1 ? ` +${found.length - 1}` : '';
  return { ...first, text: first.text + more };
}
