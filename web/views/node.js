// @ts-check
// The chosen node: what it did last, and what can be done with it.

/** @import {Act, Snapshot} from '../types.js' */

import { mayChange, operate } from '../api.js';
import { byId, h, say } from '../dom.js';
import { visible } from '../format.js';
import { state } from './parts.js';

/** @type {Act[]} */
const ACTS = ['stop', 'start', 'drain'];

let drawn = '';

/** @param {Snapshot} lab @param {string | null} node */
export function drawNode(lab, node) {
  const known = node !== null && find(lab, node);
  byId('node').hidden = !known;
  if (!known || node === null) {
    drawn = '';
    return;
  }
  const key = `${node} ${known.admin}`;
  if (key === drawn) return;
  if (!drawn.startsWith(`${node} `)) say(byId('node-said'), '');
  const fresh = !drawn.startsWith(`${node} `);
  drawn = key;
  byId('node-title').replaceChildren(visible(node), ' ', state(known.admin));
  if (fresh && mayChange()) {
    byId('node-acts').replaceChildren(...ACTS.map((act) => {
      const button = h('button', { type: 'button', 'aria-label': `${act} ${node}` }, act);
      button.addEventListener('click', async () => say(byId('node-said'), await operate(node, act)));
      return button;
    }));
  }
}

/** @param {Snapshot} lab @param {string} node */
function find(lab, node) {
  const [kind, name] = node.split(/\/(.*)/s);
  const lists = { agent: lab.agents, balancer: lab.balancers, proxy: lab.proxies, user: lab.users };
  const list = lists[/** @type {keyof typeof lists} */ (kind)] ?? [];
  return [...list].find((item) => item.name === name);
}
