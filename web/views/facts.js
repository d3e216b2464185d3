// @ts-check
// The log of facts: for the whole lab, and for one node.

/** @import {Fact} from '../types.js' */

import { byId, each, h } from '../dom.js';
import { instant, visible } from '../format.js';
import { nodeLink } from './parts.js';

/** How many lines are in the page. */
const LINES_MAX = 100;

/** Facts that come with every flow or answer; the rest are decisions that somebody may judge. */
const TRAFFIC = new Set(['dns_counted', 'dns_answered', 'flow_opened', 'flow_connected',
  'flow_closed', 'service_chosen', 'routed', 'request_ended', 'gossip_sent', 'visit_answered']);

/** @param {Fact[]} facts @param {boolean} traffic */
export function drawLog(facts, traffic) {
  const shown = traffic ? facts : facts.filter((fact) => !TRAFFIC.has(fact.kind)
    && !(fact.kind === 'door_used' && fact.purpose === 'visit'));
  lines(byId('log'), shown);
}

/** @param {Fact[]} facts @param {string} node */
export function drawNodeFacts(facts, node) {
  const [, name] = node.split(/\/(.*)/s);
  const about = facts.filter((fact) => fact.node === node
    || (node.startsWith('proxy/') && 'proxy' in fact && fact.proxy === name)
    || (node.startsWith('balancer/') && 'balancer' in fact && fact.balancer === name));
  lines(byId('node-facts'), about.slice(-12));
}

/** @param {HTMLElement} list @param {Fact[]} facts oldest first */
function lines(list, facts) {
  const newest = facts.slice(-LINES_MAX).reverse();
  each(list, newest, ({ seq }) => String(seq), (fact) => h('li', { 'data-kind': fact.kind, 'data-seq': fact.seq },
    h('time', {}, instant(fact.at_us)), ' ',
    fact.node.includes('/') ? nodeLink(fact.node, fact.node) : h('span', {}, fact.node), ' ',
    h('span', { class: 'text' }, visible(fact.text))), () => {});
}
