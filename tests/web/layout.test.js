// @ts-check
// The places of the picture, without a browser.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { layout, pieces } from '../../web/views/layout.js';

/** @import {Box} from '../../web/views/layout.js' */
/** @import {Snapshot} from '../../web/types.js' */

/** @returns {Snapshot} */
function sample() {
  const file = new URL('../fixtures/wire/snapshot.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** @param {number} agents @param {number} users @param {number} proxies @returns {Snapshot} */
function crowd(agents, users, proxies) {
  const lab = sample();
  const [agent, user, proxy] = [lab.agents[0], lab.users[0], lab.proxies[0]];
  assert(agent && user && proxy);
  lab.proxies = Array.from({ length: proxies }, (_, n) => ({ ...proxy, name: `${n}` }));
  lab.agents = Array.from({ length: agents }, (_, n) => ({ ...agent, name: `agent-${n}` }));
  lab.users = Array.from({ length: users }, (_, n) => ({ ...user, name: `user-${n}` }));
  return lab;
}

const labs = { sample: sample(), crowd: crowd(120, 80, 9), small: crowd(1, 0, 1), empty: crowd(0, 0, 0) };

for (const [name, lab] of Object.entries(labs)) {
  for (const width of [320, 360, 679, 680, 768, 1_232, 1_392]) {
    test(`no two boxes of ${name} overlap at ${width}, and all are inside`, () => {
      const places = layout(lab, width);
      const { boxes, height, width: wide, edges } = places;
      const all = [...boxes.values()];
      for (const box of all) {
        const inside = box.x >= 0 && box.y >= 0 && box.x + box.w <= wide && box.y + box.h <= height;
        assert(inside && box.w > 60, `${box.id} ${JSON.stringify(box)} in ${wide} by ${height}`);
      }
      const wall = pieces(places);
      for (const { x1, y1, x2, y2 } of wall) {
        for (const box of all) {
          assert(!(x1 < box.x + box.w && x2 > box.x && y1 < box.y + box.h && y2 > box.y), `the wall crosses ${box.id}`);
        }
      }
      // One piece more than there are doors in it, unless a door stands at its end.
      const crossed = pieces({ ...places, boxes: new Map() })[0];
      assert(crossed && (crossed.x1 === places.wall.x1 && crossed.y2 === places.wall.y2), 'without doors it is whole');
      assert(wall.length > 1, `${name} at ${width}: the doors open it`);
      all.forEach((a, index) => all.slice(index + 1).forEach((b) => assert(apart(a, b), `${a.id} ${b.id}`)));
      for (const edge of edges) assert.doesNotMatch(edge.d, /NaN|undefined|Infinity/);
      assert.equal(new Set(edges.map(({ id }) => id)).size, edges.length);
    });
  }
}

test('nothing jumps: counts do not move a box', () => {
  const lab = sample();
  const before = layout(lab, 1_232);
  for (const door of lab.balancers) door.open += 1_000;
  for (const agent of lab.agents) for (const tunnel of agent.tunnels) tunnel.up = !tunnel.up;
  assert.deepEqual([...layout(lab, 1_232).boxes], [...before.boxes]);
});

test('each network has its lane, and its door stands in it', () => {
  const { lanes, boxes } = layout(sample(), 1_232);
  assert.deepEqual(lanes.map(({ name }) => name), ['internal', 'external']);
  assert.deepEqual(['internal', 'external'].map((name) => boxes.get(`balancer/${name}`)?.lane), [0, 1]);
});

test('a client that uses the other door is drawn across', () => {
  const lab = sample();
  const door = lab.balancers.find(({ name }) => name === 'external');
  assert(door);
  door.networks = [{ network: 'internal', opened: 3, refused: 0 }];
  const crossing = layout(lab, 1_232).edges.filter(({ lane, to }) => lane === 0 && to === 'balancer/external');
  assert.equal(crossing.length, 1);
});

/** @param {Box} a @param {Box} b */
function apart(a, b) {
  return a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
}
