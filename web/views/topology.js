// @ts-check
// The picture: two tinted lanes, a door in each, one pool behind both.

/** @import {Box, Edge, Layout} from './layout.js' */
/** @import {Fact, Snapshot} from '../types.js' */

import { byId, each, rows, s, say, set } from '../dom.js';
import { count, plural, short, visible } from '../format.js';
import { layout } from './layout.js';
import { icon } from './parts.js';

/** How many dots travel at once; more say no more. */
const DOTS_MAX = 40;

/** How long a dot takes from one box to the next. */
const HOP_MS = 420;

const still = matchMedia('(prefers-reduced-motion: reduce)');

/**
 * What a box says.
 * @typedef {object} Words
 * @property {string} title
 * @property {string} [sub]
 * @property {string} [note]
 * @property {string} [last] where the state would stand
 * @property {string} [number] on the right
 * @property {string} state one word, empty when all is well
 * @property {'user' | 'agent' | 'door' | null} icon
 */

/** @typedef {'idle' | 'busy' | 'bad' | 'unknown'} Mood */

export class Topology {
  #svg = /** @type {SVGSVGElement} */ (/** @type {unknown} */ (byId('picture')));
  #lanes = s('g');
  #wall = s('g', { class: 'wall' });
  #edges = s('g', { class: 'edges' });
  #captions = s('g');
  #labels = s('g', { class: 'labels' });
  #boxes = s('g', { class: 'boxes' });
  #dots = s('g', { class: 'dots', 'aria-hidden': 'true' });
  /** @type {Layout | null} */
  #layout = null;
  #key = '';
  /** @type {string | null} */
  #chosen = null;
  /** @type {{node: SVGElement, hops: SVGPathElement[], from: number, bad: boolean}[]} */
  #moving = [];

  constructor() {
    this.#svg.append(this.#lanes, this.#wall, this.#edges, this.#captions, this.#labels, this.#dots, this.#boxes);
  }

  /**
   * @param {Snapshot} lab
   * @param {string | null} chosen
   */
  draw(lab, chosen) {
    const width = Math.max(320, Math.floor(byId('picture-box').clientWidth));
    this.#chosen = chosen;
    const places = layout(lab, width);
    const key = JSON.stringify([width, places.height, places.edges.map(({ id }) => id)]);
    if (key !== this.#key) {
      this.#key = key;
      this.#frame(places, lab);
      this.#clear();
    }
    this.#layout = places;
    const near = chosen === null ? null : reach(places, chosen);
    this.#drawEdges(places, lab, near);
    this.#drawBoxes(places, lab, near);
    drawTable(places, lab);
  }

  /**
   * Lets dots run for what happened.
   * @param {Fact[]} facts
   */
  move(facts) {
    if (still.matches || document.hidden || !this.#layout) return;
    for (const fact of facts.slice(-DOTS_MAX)) {
      const client = fact.node.replace(/^agent\//, 'dial/');
      if (fact.kind === 'visit_answered') {
        this.#run([client, 'view', fact.balancer && `balancer/${fact.balancer}`,
          fact.proxy && `proxy/${fact.proxy}`, fact.agent && `agent/${fact.agent}`], false);
      } else if (fact.kind === 'visit_failed') {
        this.#run([client, 'view', fact.balancer && `balancer/${fact.balancer}`], true);
      } else if (fact.kind === 'claimed') {
        this.#run([client, 'view', fact.balancer && `balancer/${fact.balancer}`,
          `proxy/${fact.proxy}`, fact.node], false);
      } else if (fact.kind === 'door_used' && fact.purpose !== 'visit') {
        this.#run([client, 'view', fact.balancer && `balancer/${fact.balancer}`], false);
      }
    }
  }

  /** @param {Layout} places @param {Snapshot} lab */
  #frame(places, lab) {
    set(this.#svg, {
      viewBox: `0 0 ${places.width} ${places.height}`,
      width: places.width,
      height: places.height,
    });
    const { pool, wall } = places;
    this.#lanes.replaceChildren(
      s('rect', { class: 'pool', x: pool.x, y: pool.y, width: pool.w, height: pool.h, rx: 6 }),
      ...places.lanes.flatMap((lane) => {
        const ranges = lab.networks[lane.lane]?.ranges ?? [];
        const name = s('text', { class: 'lane-name', x: lane.x + 14, y: lane.y + 22 },
          s('tspan', { class: 'strong' }, short(visible(lane.name || 'no network'), 18)));
        const beside = places.turned ? { x: lane.x + 14, dy: 15 } : { dx: 8 };
        name.append(s('tspan', { class: 'mono', ...beside }, short(ranges.join(' '), 20)));
        return [
          s('rect', { class: `lane lane-${lane.lane % 4}`, x: lane.x, y: lane.y, width: lane.w,
            height: lane.h, rx: 6 }),
          s('g', { class: `ink-${lane.lane % 4}` }, name),
        ];
      }),
    );
    this.#captions.replaceChildren(...places.captions.map(({ text, x, y }) =>
      s('text', { class: 'caption', x, y }, text)));
    this.#wall.replaceChildren(s('line', wall));
  }

  /** @param {Layout} places @param {Snapshot} lab @param {Set<string> | null} near */
  #drawEdges(places, lab, near) {
    each(this.#edges, places.edges, (edge) => edge.id, () => s('path'), (path, edge) => {
      const { mood, weight } = edgeState(edge, lab);
      const dim = near !== null && !(near.has(edge.from) && near.has(edge.to));
      const ink = edge.lane === null ? 'ink-none' : `ink-${edge.lane % 4}`;
      const tunnel = edge.to.startsWith('agent/') ? ' tunnel' : '';
      set(path, { d: edge.d, class: `edge ${ink} ${mood} w${weight}${tunnel}${dim ? ' dim' : ''}` });
    });
    const labelled = places.turned ? [] : places.edges.flatMap((edge) => {
      const text = edgeLabel(edge, lab, places);
      return text ? [{ edge, text }] : [];
    });
    each(this.#labels, labelled, ({ edge }) => edge.id, () => s('text'), (label, { edge, text }) => {
      const { mood } = edgeState(edge, lab);
      const ink = mood === 'bad' ? 'is-bad' : edge.lane === null ? 'ink-none' : `ink-${edge.lane % 4}`;
      const dim = near !== null && !(near.has(edge.from) && near.has(edge.to));
      set(label, { x: edge.middle[0], y: edge.middle[1] - 7, class: `edge-label ${edge.to.startsWith('balancer/') ? 'in-lane ' : ''}${ink}${dim ? ' dim' : ''}` });
      say(label, text);
    });
  }

  /** @param {Layout} places @param {Snapshot} lab @param {Set<string> | null} near */
  #drawBoxes(places, lab, near) {
    each(this.#boxes, [...places.boxes.values()], (box) => box.id, makeBox, (group, box) => {
      const words = boxWords(box, lab);
      const dim = near !== null && !near.has(box.id);
      const lane = box.lane === null ? '' : ` ink-${box.lane % 4}`;
      const chosen = box.node !== '' && box.node === this.#chosen;
      set(group, {
        class: `box ${box.kind}${lane}${words.state ? ` is-${words.state}` : ''}${dim ? ' dim' : ''}${chosen ? ' chosen' : ''}`,
        transform: `translate(${Math.round(box.x)} ${Math.round(box.y)})`,
        'data-box': box.id,
        'aria-current': chosen ? 'true' : null,
      });
      fillBox(group, box, words);
    });
  }

  /** @param {(string | null)[]} stops @param {boolean} bad */
  #run(stops, bad) {
    const places = this.#layout;
    if (!places || this.#moving.length >= DOTS_MAX) return;
    /** @type {SVGPathElement[]} */
    const hops = [];
    let at = stops[0] ?? '';
    let lane = 0;
    for (const next of stops.slice(1)) {
      const from = at;
      const edge = places.edges.find((e) => e.from === from
        && (next === 'view' ? e.to.startsWith('view/') : e.to === next));
      if (!edge) break;
      const path = [...this.#edges.children][places.edges.indexOf(edge)];
      if (!(path instanceof SVGPathElement)) break;
      if (!hops.length) lane = edge.lane ?? 0;
      hops.push(path);
      at = edge.to;
    }
    if (!hops.length) return;
    const dot = bad
      ? s('path', { class: 'dot bad', d: 'M-4 -4 L4 4 M4 -4 L-4 4' })
      : s('circle', { class: `dot ink-${lane % 4}`, r: 3.5 });
    this.#dots.append(dot);
    this.#moving.push({ node: dot, hops, from: performance.now(), bad });
    if (this.#moving.length === 1) requestAnimationFrame((now) => this.#step(now));
  }

  /** @param {number} now */
  #step(now) {
    this.#moving = this.#moving.filter(({ node, hops, from }) => {
      const way = Math.max(0, now - from) / HOP_MS;
      const path = hops[Math.floor(way)];
      if (!path?.isConnected) {
        node.remove();
        return false;
      }
      const ease = way % 1;
      const { x, y } = path.getPointAtLength(path.getTotalLength() * ease);
      set(node, { transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` });
      return true;
    });
    if (this.#moving.length) requestAnimationFrame((next) => this.#step(next));
  }

  #clear() {
    this.#dots.replaceChildren();
    this.#moving = [];
  }
}

/**
 * Everything on a path through the chosen node.
 * @param {Layout} places
 * @param {string} node
 */
function reach(places, node) {
  const start = [...places.boxes.values()].filter((box) => box.node === node || box.id === node);
  const found = new Set(start.map((box) => box.id));
  const walk = (/** @type {string} */ id, /** @type {'from' | 'to'} */ side) => {
    for (const edge of places.edges) {
      const other = side === 'from' ? edge.to : edge.from;
      if (edge[side] === id && !found.has(other)) {
        found.add(other);
        walk(other, side);
      }
    }
  };
  for (const box of start) {
    walk(box.id, 'from');
    walk(box.id, 'to');
  }
  return found;
}

/** @param {Box} box */
function makeBox(box) {
  const group = box.node
    ? s('a', { href: `?node=${encodeURIComponent(box.node)}`, 'data-node': box.node })
    : s('g');
  return group;
}

/** @type {WeakMap<Element, string>} */
const filled = new WeakMap();

/** @param {SVGElement} group @param {Box} box @param {Words} words */
function fillBox(group, box, words) {
  const key = JSON.stringify([box.w, box.h, words]);
  if (filled.get(group) === key) return;
  filled.set(group, key);
  const { w, h: height } = box;
  const left = words.icon ? 30 : 12;
  const tall = height > 34;
  const number = words.number ?? '';
  const nameY = !tall ? height / 2 + 4.5 : height < 50 ? 20 : 22;
  const fits = Math.floor((w - left - 10 - (tall ? 0 : number.length * 7)) / 7.6);
  const parts = /** @type {SVGElement[]} */ ([
    s('rect', { class: 'shape', width: w, height, rx: box.kind === 'client' ? height / 2 : 6 }),
  ]);
  /** @type {string[]} */
  const told = [];
  const text = (/** @type {string} */ name, /** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ words) => {
    told.push(words);
    // The space keeps the words of two lines apart for those who hear them.
    parts.push(s('text', { class: name, x, y }, `${words} `));
  };
  if (words.icon) {
    parts.push(s('g', { class: 'icon', transform: `translate(10 ${nameY - 11.5})` }, icon(words.icon)));
  }
  text('name', left, nameY, short(visible(words.title), fits));
  if (number) text('number', w - 12, nameY, number);
  const small = Math.floor((w - 20) / 5.8);
  if (words.sub) text('sub', 12, nameY + (height < 50 ? 16 : 18), short(visible(words.sub), small));
  if (words.note) text('sub', 12, nameY + 34, short(visible(words.note), small));
  if (words.last && !words.state) text('sub', 12, nameY + 51, short(visible(words.last), small));
  if (words.state && height > 50) text('state', 12, height - 10, words.state);
  if (box.node) set(group, { 'aria-label': `${box.node.split('/')[0]} ${told.join(' ')}` });
  group.replaceChildren(s('title', {}, visible(box.name)), ...parts);
}

/** @param {Box} box @param {Snapshot} lab @returns {Words} */
function boxWords(box, lab) {
  const admin = (/** @type {string} */ word) => (word === 'ready' ? '' : word);
  if (box.kind === 'client') {
    const agent = box.id.startsWith('dial/') && lab.agents.find((a) => a.name === box.name);
    if (agent) {
      const up = agent.tunnels.filter((tunnel) => tunnel.up).length;
      return { title: box.name, number: admin(agent.admin) || `${up}/${agent.tunnels.length}`,
        state: admin(agent.admin), icon: 'agent' };
    }
    const user = lab.users.find((u) => u.name === box.name);
    return { title: box.name, number: admin(user?.admin ?? 'ready') || count(user?.answered ?? 0),
      state: admin(user?.admin ?? 'ready'), icon: 'user' };
  }
  if (box.kind === 'view') {
    const view = lab.dns.views.find((v) => v.name === box.name);
    return { title: box.name, sub: `match ${view?.rules.join(', ') ?? ''}`,
      note: plural(view?.answers ?? 0, 'answer'), state: '', icon: null };
  }
  if (box.kind === 'balancer') {
    const door = lab.balancers.find((b) => b.name === box.name);
    if (!door) return { title: box.name, state: '', icon: 'door' };
    return { title: box.name, sub: door.listen[0] ?? '',
      note: `${plural(door.opened, 'flow')}, ${count(door.open)} open`,
      last: door.meant_for === null ? '' : `meant for ${door.meant_for}`,
      state: admin(door.admin), icon: 'door' };
  }
  if (box.kind === 'proxy') {
    const proxy = lab.proxies.find((p) => p.name === box.name);
    const state = admin(proxy?.admin ?? 'ready') || poolState(lab, box.name);
    return { title: `proxy ${box.name}`, sub: plural(proxy?.tunnels ?? 0, 'tunnel'), state, icon: null };
  }
  if (box.kind === 'agent') {
    const agent = lab.agents.find((a) => a.name === box.name);
    const up = agent?.tunnels.filter((tunnel) => tunnel.up).length ?? 0;
    const full = agent?.tunnels.length ?? 0;
    return { title: box.name, sub: admin(agent?.admin ?? 'ready') || `${up}/${full} tunnels`,
      state: admin(agent?.admin ?? 'ready'), icon: 'agent' };
  }
  return { title: box.name, state: '', icon: null };
}

/** @param {Snapshot} lab @param {string} proxy */
function poolState(lab, proxy) {
  const seen = lab.balancers.flatMap((door) => door.backends.filter((b) => b.proxy === proxy));
  const up = seen.filter((b) => b.health === 'up' || b.health === 'falling').length;
  if (!seen.length || up === seen.length) return '';
  if (seen.every((b) => b.health === 'unknown')) return 'unknown';
  return up === 0 ? 'down' : 'partly';
}

/**
 * @param {Edge} edge
 * @param {Snapshot} lab
 * @returns {{mood: Mood, weight: 0 | 1 | 2 | 3, words: string}}
 */
function edgeState(edge, lab) {
  const [, from = ''] = edge.from.split(/\/(.*)/s);
  const [kind, to = ''] = edge.to.split(/\/(.*)/s);
  if (kind === 'view') {
    const agent = edge.from.startsWith('dial/') && lab.agents.find((a) => a.name === from);
    const user = lab.users.find((u) => u.name === from);
    const used = agent ? agent.tunnels.some((t) => t.made > 0) : (user?.answered ?? 0) > 0;
    return { mood: used ? 'busy' : 'idle', weight: used ? 1 : 0, words: used ? 'asks' : 'would ask' };
  }
  if (kind === 'balancer') {
    const door = lab.balancers.find((b) => b.name === to);
    const network = edge.lane === null ? null : lab.networks[edge.lane]?.name;
    const opened = door?.networks.find((c) => c.network === network)?.opened ?? 0;
    if (door?.admin === 'stopped') return { mood: 'bad', weight: 1, words: 'door stopped' };
    return { mood: opened ? 'busy' : 'idle', weight: weightOf(opened), words: plural(opened, 'flow') };
  }
  if (kind === 'proxy') {
    const backend = lab.balancers.find((b) => b.name === from)?.backends.find((b) => b.proxy === to);
    const health = backend?.health ?? 'unknown';
    const words = `${health}, ${plural(backend?.total ?? 0, 'flow')}`;
    if (health === 'down' || health === 'rising') return { mood: 'bad', weight: 1, words };
    if (health === 'unknown') return { mood: 'unknown', weight: 0, words };
    return { mood: backend?.total ? 'busy' : 'idle', weight: weightOf(backend?.total ?? 0), words };
  }
  const tunnel = lab.agents.find((a) => a.name === to)?.tunnels.find((t) => t.proxy === from);
  if (tunnel?.up) return { mood: 'busy', weight: 1, words: `tunnel up through ${tunnel.balancer ?? 'no door'}` };
  if (tunnel?.made) return { mood: 'bad', weight: 1, words: 'tunnel lost' };
  return { mood: 'idle', weight: 0, words: 'no tunnel yet' };
}

/** @param {number} flows @returns {0 | 1 | 2 | 3} */
function weightOf(flows) {
  return flows === 0 ? 0 : flows < 10 ? 1 : flows < 100 ? 2 : 3;
}

/** @param {Edge} edge @param {Snapshot} lab @param {Layout} places */
function edgeLabel(edge, lab, places) {
  const from = places.boxes.get(edge.from);
  const to = places.boxes.get(edge.to);
  if (!from || !to) return '';
  const room = to.x - from.x - from.w;
  if (to.kind === 'balancer' && room > 78) {
    const door = lab.balancers.find((b) => b.name === to.name);
    return door?.listen[0]?.replace(/:\d+$/, '') ?? '';
  }
  if (to.kind === 'proxy' && edgeState(edge, lab).mood === 'bad') {
    const door = lab.balancers.find((b) => b.name === from.name);
    return door?.backends.find((b) => b.proxy === to.name)?.health ?? '';
  }
  return '';
}

/** @param {Layout} places @param {Snapshot} lab */
function drawTable(places, lab) {
  const body = byId('paths-rows');
  if (body.closest('details')?.open) {
    rows(body, places.edges, (edge) => edge.id, (edge) => [
      edge.from.replace(/^dial\//, 'agent/'),
      edge.to,
      edge.lane === null ? '' : lab.networks[edge.lane]?.name ?? '',
      edgeState(edge, lab).words,
    ]);
  }
}
