// @ts-check
// A run in a file, made of the wire's sample: what the tests of the viewer open.

import { readFileSync } from 'node:fs';

/** @import {Agent, Bundle, Fact, Mark, Snapshot, Timeline} from '../../web/types.js' */

/** How long the made run is. */
export const ENDS_US = 60_000_000;

/** When its fault is in force, and when its expectation fails. */
export const FAULT_US = { from: 20_000_000, to: 30_000_000 };
export const FAILED_US = 24_000_000;

/** Names as an enemy would have them: markup, control bytes, right to left. */
export const HOSTILE = '<img src=x onerror=alert(1)>\u0007\u202Egnp.exe';

/** @returns {Snapshot} */
function sample() {
  return JSON.parse(readFileSync(new URL('../fixtures/wire/snapshot.json', import.meta.url), 'utf8'));
}

/**
 * @param {{marks?: number, agents?: number, facts?: number}} [size] marks in each lane, agents, facts
 * @returns {Bundle}
 */
export function bundle({ marks = 40, agents = 4, facts = 50 } = {}) {
  const first = sample();
  const agent = /** @type {Agent} */ (first.agents[0]);
  const lab = {
    ...first, name: `made ${HOSTILE}`, mode: /** @type {const} */ ('virtual'), oldest_us: 0, ended_us: ENDS_US, ended_why: 'the timeline is played',
    // Agent 7 came in through the other door.
    balancers: first.balancers.map((door) => (agents > 7 && door.name === 'external'
      ? { ...door, networks: [...door.networks.filter(({ network }) => network !== 'internal'), { network: 'internal', opened: 1, refused: 0 }] } : door)),
    agents: Array.from({ length: agents }, (_, n) => ({ ...agent, name: n ? `agent-${n}` : HOSTILE, network: n % 3 ? 'internal' : 'external',
      tunnels: first.proxies.map(({ name: proxy }) => ({ ...agent.tunnels[0], proxy, up: n % 5 > 0, since_us: 0, balancer: n === 7 ? 'external' : n % 3 ? 'internal' : 'external', made: 1, gap_us: null, after_rise_us: null, verified: null })) })),
  };
  const snapshots = Array.from({ length: 61 }, (_, second) => /** @type {Snapshot} */ ({ ...lab, seq: second * 10 + 1, at_us: second * 1_000_000,
    faults: second >= 20 && second < 30 ? [{ id: 1, text: 'latency 40ms on balancer/internal', word: 'latency', target: 'balancer/internal', since_us: FAULT_US.from, until_us: FAULT_US.to }] : [] }));
  /** @type {(lane: Timeline['lanes'][number]['lane'], node: string) => Timeline['lanes'][number]} */
  const lane = (name, node) => ({ lane: name, more: 0, marks: Array.from({ length: marks }, (_, n) => /** @type {Mark} */ ({
    seq: 10_000 * (name.length + 1) + n, at_us: Math.round(ENDS_US * (n + 0.5) / marks), node, kind: 'dial_failed',
    text: n % 7 ? `dial ${n} of ${name}` : `dial ${n} failed: ${HOSTILE}`, severity: n % 7 ? 'ok' : 'bad', request: node.startsWith('user/') ? n : null })) });
  return {
    schema: 'twodoors.bundle/1',
    run: { name: 'made', mode: 'virtual', seed: 1, scenario: 'made.yaml', started_unix_us: null },
    timeline: {
      from_us: 0, to_us: ENDS_US, oldest_us: 0, at_us: ENDS_US, ready_us: 300_000, began_us: 300_000, ended_us: ENDS_US, ends_us: ENDS_US,
      faults: [{ id: 1, target: 'balancer/internal', text: 'latency 40ms on balancer/internal', from_us: FAULT_US.from, to_us: FAULT_US.to, lifted: true }],
      rests: [{ node: 'proxy/2', act: 'drain', from_us: 40_000_000, to_us: 45_000_000 }],
      steps: [{ index: 0, at_us: FAULT_US.from, ended_us: FAULT_US.from, text: 'fault latency', place: null, state: 'done' }],
      expectations: [{ index: 0, text: 'agents in internal use balancer/internal', place: null, state: 'failed',
        ticks: [{ at_us: FAILED_US, state: 'failed', text: 'agent-7 used balancer/external' }] }],
      lanes: [lane('dns', 'dns'), lane('balancers', 'balancer/internal'), lane('agents', 'agent/agent-1'), lane('users', 'user/alice')],
      rates: { step_us: 1_000_000, from_us: 0, dns: Array.from({ length: 60 }, (_, n) => n % 5), flows: Array.from({ length: 60 }, (_, n) => n % 9), failures: Array.from({ length: 60 }, (_, n) => (n === 24 ? 3 : 0)) },
    },
    snapshots,
    facts: Array.from({ length: facts }, (_, n) => /** @type {Fact} */ ({ seq: 200_000 + n, at_us: Math.round(ENDS_US * n / facts), node: 'user/alice', text: `visited orders, ${n}`,
      kind: 'visit_answered', request: n, app: 'orders', balancer: 'external', network: 'external', proxy: '1', agent: 'agent-1', status: 200, bytes: 10, took_us: 900 })),
    facts_more: 0,
    whys: { 'agent/agent-1': { node: 'agent/agent-1', title: 'dial 1', outcome: 'through the internal door', ok: true, number: null, steps: [
      { stage: 'view', node: 'view/private', text: HOSTILE, why: 'rule internal matches', place: { file: 'made.yaml', line: 12, column: 1 }, at_us: 1, took_us: 80, seq: 1, ok: true }] } },
    visits: [{ node: 'user/alice', number: 3, began_us: 5_000_000, ended_us: 5_012_000, outcome: '200 from orders', ok: true, hops: [
      { node: 'dns', text: 'A 127.46.0.2', why: 'rule any', from_us: 5_000_000, to_us: 5_000_400, seq: 1 },
      { node: 'balancer/external', text: HOSTILE, why: null, from_us: 5_000_400, to_us: null, seq: 2 }] }],
    report: null,
  };
}
