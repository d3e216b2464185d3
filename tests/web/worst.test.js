// @ts-check
// The line at the top of every page: what is worst now, and where it leads. Pure.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { troubles, worst } from '../../web/worst.js';

/** @import {Snapshot} from '../../web/types.js' */

/** A lab of the sample in which all is well, changed. @param {(lab: Snapshot) => void} [change] */
function lab(change = () => {}) {
  /** @type {Snapshot} */
  const sample = JSON.parse(readFileSync(new URL('../fixtures/wire/snapshot.json', import.meta.url), 'utf8'));
  const well = structuredClone(sample);
  well.faults = [];
  well.expectations = [];
  for (const door of well.balancers) {
    door.admin = 'ready';
    door.network = door.name;
    for (const one of door.backends) [one.health, one.admin] = ['up', 'ready'];
  }
  for (const proxy of well.proxies) proxy.admin = 'ready';
  well.agents = [];
  well.users = [];
  change(well);
  return well;
}

/** @param {Snapshot} lab */
const first = (lab) => /** @type {Snapshot['balancers'][number]} */ (lab.balancers[0]);

test('a lab in which all is well says so', () => {
  assert.deepEqual(troubles(lab()), []);
  assert.equal(worst(lab()).text, 'all up');
  assert.equal(worst(lab()).state, 'up');
});

test('an instance that is down is named, and the line leads to those that are down', () => {
  const said = worst(lab((now) => {
    const [one] = first(now).backends;
    if (one) one.health = 'down';
  }));
  assert.equal(said.state, 'down');
  assert.match(said.text, /^proxy \w+ down|nobody gets through/);
  assert.equal(said.page, 'pool');
});

test('a door through which nobody gets is worse than what was done on purpose', () => {
  const now = lab((made) => {
    first(made).backends.forEach((one) => { one.health = 'down'; });
    made.faults = [{ id: 1, word: 'refuse', target: 'proxy/1', since_us: 0, until_us: null, ...{ text: 'refuse on proxy/1' } }];
  });
  const name = first(now).name;
  assert.equal(troubles(now).at(0)?.text, `door ${name}: nobody gets through`);
  assert.match(worst(now).text, / \+\d$/);
  assert.equal(troubles(now).at(-1)?.text, 'fault refuse on proxy/1');
});

test('what draining and faults alone do is no failure', () => {
  const now = lab((made) => {
    const [proxy] = made.proxies;
    if (proxy) proxy.admin = 'draining';
  });
  assert.equal(worst(now).state, 'falling');
  assert.match(worst(now).text, /^proxy .+ draining$/);
});

test('a failed expectation is told by its words', () => {
  const said = worst(lab((now) => {
    now.expectations = [{ index: 0, text: 'agents in internal use balancer/internal', state: 'failed', place: null, evidence: 1, why: null, at_us: 1, settled: true, measured: null }];
  }));
  assert.equal(said.text, 'expectation failed: agents in internal use balancer/internal');
  assert.equal(said.page, 'scenarios');
});
