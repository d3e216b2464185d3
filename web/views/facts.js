// @ts-check
// The log of facts: for the whole lab, and for one node.

/** @import {Fact} from '../types.js' */

import { byId, each, h } from '../dom.js';
import { instant, visible } from '../format.js';
import { isTraffic } from '../store.js';
import { nodeLink } from './parts.js';

/** How many lines are in the page. */
const LINES_MAX = 100;

/** @param {Fact[]} facts @param {boolean} traffic */
export function drawLog(facts, traffic) {
  const shown = traffic ? facts : facts.filter((fact) => !isTraffic(fact));
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
