// @ts-check
// The picture: two tinted lanes, a door in each, one pool behind both.

/** @import {Box, Edge, Layout} from './layout.js' */
/** @import {Fact, Snapshot} from '../types.js' */

import { each, h, s, say, set } from '../dom.js';
import { columns, count, inAddress, instant, plural, short, span, visible } from '../format.js';
import { RATE_OVER, perSecond as number, rates } from './chart.js';
import { RESOURCES_FROM, layout, pieces, viewsSeen } from './layout.js';
import { icon } from './parts.js';
import { astray } from '../worst.js';

/** How many dots travel at once; more say no more. */
const DOTS_MAX = 40;

/** How many columns the names beside a misrouted line have. */
const STRAYS = 40;

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

/** @typedef {'idle' | 'busy' | 'bad' | 'unknown' | 'astray' | 'strayed'} Mood */

/** What is left of a fault: `42 s`, `19:57`. @param {number} us */
function remaining(us) {
  const seconds = Math.max(0, Math.ceil(us / 1_000_000));
  return seconds < 100 ? `${seconds} s` : instant(seconds * 1_000_000).replace(/\.\d$/, '');
}

/** The newest rate. @param {(number | null)[] | undefined} counts of each second */
export function rate(counts) {
  return rates((counts ?? []).slice(-RATE_OVER - 1)).at(-1) ?? 0;
}

/** `0.4/s` @param {number} n */
export function perSecond(n) {
  return `${number(n)}/s`;
}

/**
 * The boxes on the way of one client: only what it really uses now.
 * @param {Snapshot} lab
 * @param {string} node
 * @returns {Set<string> | null} null when it is no client
 */
export function wayOf(lab, node) {
  const [kind, name] = node.split(/\/(.*)/s);
  const agent = kind === 'agent' ? lab.agents.find((a) => a.name === name) : undefined;
  const user = kind === 'user' ? lab.users.find((u) => u.name === name) : undefined;
  if (!agent && !user) return null;
  const network = (agent ?? user)?.network;
  const view = viewsSeen(lab).get(node) ?? lab.networks.find((n) => n.name === network)?.view;
  const way = new Set([agent ? `dial/${name}` : node, `view/${view}`]);
  if (agent) {
    for (const { up, proxy, balancer } of agent.tunnels) {
      if (up) way.add(`proxy/${proxy}`).add(`balancer/${balancer}`).add(node);
    }
    for (const app of agent.apps) way.add(`app/${app}`);
  }
  if (user?.last) {
    const { balancer, proxy, agent: end, app } = user.last;
    way.add(`balancer/${balancer}`).add(`proxy/${proxy}`).add(`agent/${end}`).add(`app/${app}`);
  }
  return way;
}

export class Picture {
  #svg = s('svg', { id: 'picture', role: 'group', 'aria-labelledby': 'topology-title', 'aria-describedby': 'topology-about' });
  element = h('div', { class: 'picture-box' }, this.#svg);
  #lanes = s('g');
  #wall = s('g', { class: 'wall' });
  #edges = s('g', { class: 'edges' });
  #captions = s('g');
  #labels = s('g', { class: 'labels' });
  #boxes = s('g', { class: 'boxes' });
  #badges = s('g', { class: 'badges' });
  #dots = s('g', { class: 'dots', 'aria-hidden': 'true' });
  /** @type {Layout | null} */
  #layout = null;
  #key = '';
  /** @type {string | null} */
  #chosen = null;
  /** @type {string | null} */
  #group = null;
  /** @type {{node: SVGElement, hops: SVGPathElement[], from: number, bad: boolean}[]} */
  #moving = [];

  constructor() {
    this.#svg.append(s('defs', {}, s('pattern', { id: 'hatch', width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
      s('rect', { class: 'hatch-ground', width: 6, height: 6 }), s('rect', { class: 'hatch-line', width: 2, height: 6 }))),
    this.#lanes, this.#wall, this.#edges, this.#captions, this.#labels, this.#dots, this.#boxes, this.#badges);
  }

  /**
   * @param {Snapshot} lab
   * @param {string | null} chosen
   * @param {string | null} group
   */
  draw(lab, chosen, group) {
    this.#group = group;
    const width = Math.max(320, Math.floor(this.element.clientWidth));
    this.#chosen = chosen;
    const places = layout(lab, width);
    const key = JSON.stringify([width, places.height, places.edges.map(({ id }) => id)]);
    if (key !== this.#key) {
      this.#key = key;
      this.#frame(places, lab);
      this.#clear();
    }
    this.#layout = places;
    const near = chosen === null ? null : nearOf(places, lab, chosen);
    this.#drawEdges(places, lab, near);
    this.#drawBoxes(places, lab, near);
    this.#drawBadges(places, lab);
    return places;
  }

  /** Puts the focus on a node. @param {string} node */
  focus(node) {
    const name = CSS.escape(node);
    const link = this.#svg.querySelector(`a[data-node="${name}"], a[data-group="${name}"]`);
    if (link instanceof SVGElement) link.focus();
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
          fact.proxy && `proxy/${fact.proxy}`, fact.agent && `agent/${fact.agent}`, `app/${fact.app}`], false);
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
    const { pool } = places;
    this.#lanes.replaceChildren(
      s('rect', { class: 'pool', x: pool.x, y: pool.y, width: pool.w, height: pool.h, rx: 6 }),
      ...places.lanes.flatMap((lane) => {
        const ranges = lab.networks[lane.lane]?.ranges ?? [];
        const name = s('text', { class: 'lane-name', x: lane.x + 14, y: lane.y + 22 },
          s('tspan', { class: 'strong' }, short(visible(lane.name || 'no network'), 18)));
        const beside = places.turned ? { x: lane.x + 14, dy: 15 } : { dx: 8 };
        name.append(s('tspan', { class: 'mono', ...beside }, short(visible(ranges.join(' ')), 20)));
        return [
          s('rect', { class: `lane lane-${lane.lane % 4}`, x: lane.x, y: lane.y, width: lane.w,
            height: lane.h, rx: 6 }),
          s('g', { class: `ink-${lane.lane % 4}` }, name),
        ];
      }),
    );
    this.#captions.replaceChildren(...places.captions.map(({ text, x, y }) =>
      s('text', { class: 'caption', x, y }, text)));
    this.#wall.replaceChildren(...pieces(places).map((piece) => s('line', piece)));
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
    }).filter(({ edge }, index, all) => edgeState(edge, lab).mood === 'astray'
      // Where two lines run side by side, the misrouted one is named.
      || !all.some((other, at) => at !== index && other.edge.from === edge.from && other.edge.to === edge.to));
    each(this.#labels, labelled, ({ edge }) => edge.id, () => s('g', {}, s('rect', { rx: 4, y: -9, height: 18 }), s('text')), (label, { edge, text }) => {
      const { mood } = edgeState(edge, lab);
      const ink = mood === 'bad' || mood === 'astray' ? 'is-bad' : edge.lane === null ? 'ink-none' : `ink-${edge.lane % 4}`;
      const dim = near !== null && !(near.has(edge.from) && near.has(edge.to));
      // A misrouted line is steep, and others run beside it: its name stands on it, on a ground of its own.
      const chip = mood === 'astray';
      const [rect, words] = label.children;
      if (!rect || !words) return;
      const width = chip ? 14 + columns(text) * 6.7 : 0;
      set(label, { transform: `translate(${edge.middle[0]} ${edge.middle[1]})`, class: `edge-label ${chip ? 'chip ' : edge.to.startsWith('balancer/') ? 'in-lane ' : ''}${ink}${dim ? ' dim' : ''}` });
      set(rect, { x: -width / 2, width });
      set(words, { y: chip ? 4 : -7 });
      say(words, text);
    });
  }

  /** @param {Layout} places @param {Snapshot} lab @param {Set<string> | null} near */
  #drawBoxes(places, lab, near) {
    each(this.#boxes, [...places.boxes.values()], (box) => box.id, makeBox, (group, box) => {
      const words = boxWords(box, lab, places.width >= RESOURCES_FROM);
      const dim = near !== null && !near.has(box.id);
      const lane = box.lane === null ? '' : ` ink-${box.lane % 4}`;
      const chosen = (box.node !== '' && box.node === this.#chosen) || box.id === this.#group;
      set(group, {
        class: `box ${box.kind}${lane}${words.state ? ` is-${words.state}` : ''}${dim ? ' dim' : ''}${chosen ? ' chosen' : ''}`,
        transform: `translate(${Math.round(box.x)} ${Math.round(box.y)})`,
        'data-box': box.id,
        'aria-current': chosen ? 'true' : null,
      });
      fillBox(group, box, words);
    });
  }

  /** Faults: a hatched badge on each node or link that they act on. @param {Layout} places @param {Snapshot} lab */
  #drawBadges(places, lab) {
    /** @type {Map<string, {x: number, y: number, faults: import('../types.js').Fault[]}>} */
    const at = new Map();
    for (const fault of lab.faults) {
      for (const { x, y } of anchors(places, lab, fault.target)) {
        const key = `${Math.round(x)} ${Math.round(y)}`;
        const known = at.get(key);
        if (known) known.faults.push(fault);
        else at.set(key, { x, y, faults: [fault] });
      }
    }
    each(this.#badges, [...at], ([key]) => key, () => s('g', { class: 'badge' }, s('title'), s('rect', { fill: 'url(#hatch)', height: 18, rx: 4 }),
      s('text', { y: 13 })), (badge, [, { x, y, faults }]) => {
      const [title, rect, text] = badge.children;
      const first = faults[0];
      if (!title || !rect || !text || !first) return;
      const left = first.until_us === null ? '' : ` ${remaining(first.until_us - lab.at_us)}`;
      const words = `${short(visible(first.word), 12)}${faults.length > 1 ? ` +${faults.length - 1}` : left}`;
      const width = 14 + columns(words) * 6.7;
      const place = Math.max(2, Math.min(places.width - width - 2, x - width / 2));
      set(badge, { transform: `translate(${Math.round(place)} ${Math.round(y - 9)})` });
      set(rect, { width });
      set(text, { x: width / 2 });
      say(text, words);
      say(title, faults.map((fault) => `fault: ${visible(fault.text)}`).join(' '));
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
    // Where it begins: a frame may be drawn before the first step.
    const { x, y } = /** @type {SVGPathElement} */ (hops[0]).getPointAtLength(0);
    set(dot, { transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` });
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
 * Where a fault is shown: on the nodes that it names, or in the middle of their link.
 * @param {Layout} places @param {Snapshot} lab @param {string} target
 */
function anchors(places, lab, target) {
  const [one, other] = target.split(/ <?-> /);
  const boxesOf = (/** @type {string | undefined} */ end) => {
    if (end === undefined) return [];
    // The DNS server is drawn as its views.
    if (end === 'dns') return [...places.boxes.values()].filter(({ kind }) => kind === 'view').map(({ id }) => id);
    const network = end.startsWith('network/') ? lab.networks.findIndex(({ name }) => `network/${name}` === end) : -1;
    if (network >= 0) return [`lane/${network}`];
    const ids = [end.replace(/^agent\//, 'dial/'), end];
    const grouped = [...places.boxes.values()].filter(({ members }) => members.includes(end)).map(({ id }) => id);
    return [...ids.filter((id) => places.boxes.has(id)), ...grouped];
  };
  const [from, to] = [boxesOf(one), boxesOf(other)];
  const edge = places.edges.find((e) => (from.includes(e.from) && to.includes(e.to)) || (to.includes(e.from) && from.includes(e.to)));
  if (edge && !places.turned) return [{ x: edge.middle[0], y: edge.middle[1] }];
  return [from, to].flatMap((ids) => (target === 'dns' ? ids : ids.slice(0, 1))).flatMap((id) => {
    const lane = id.startsWith('lane/') ? places.lanes[Number(id.slice(5))] : undefined;
    if (lane) return [{ x: lane.x + lane.w - 100, y: lane.y + 14 }];
    const box = places.boxes.get(id);
    return box ? [{ x: box.x + box.w - 34, y: box.y - 1 }] : [];
  });
}

/**
 * What stays lit: the way of a client, or everything on a path through another node.
 * @param {Layout} places @param {Snapshot} lab @param {string} node
 */
function nearOf(places, lab, node) {
  const way = wayOf(lab, node);
  if (way === null) return reach(places, node);
  for (const { id, members } of places.boxes.values()) {
    const dials = id.startsWith('group/dial/') || id.startsWith('group/user/');
    const through = [...way].some((step) => step !== node && members.includes(step));
    if (members.includes(node) && (dials || way.has(node) || through) || (!dials && through)) way.add(id);
  }
  if ([...way].some((id) => id.startsWith('app/')) && places.boxes.has('group/apps')) way.add('group/apps');
  return way;
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
  if (box.kind === 'group' && box.members.length) {
    return s('a', { href: `/topology?group=${inAddress(box.id)}`, 'data-group': box.id });
  }
  const group = box.node
    ? s('a', { href: `/topology?node=${inAddress(box.node)}`, 'data-node': box.node })
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
  const fits = Math.floor((w - left - 10 - (tall ? 0 : number.length * 7.4 + 8)) / 7.6);
  const parts = /** @type {SVGElement[]} */ ([
    s('rect', { class: 'shape', width: w, height, rx: box.kind === 'client' || box.id.startsWith('group/dial') || box.id.startsWith('group/user') ? height / 2 : 6 }),
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
  if (number) text('number', w - 12, nameY, visible(number));
  const small = Math.floor((w - 20) / 5.8);
  if (words.sub) text('sub', 12, nameY + (height < 50 ? 16 : 18), short(visible(words.sub), small));
  if (words.note) text('sub', 12, nameY + 34, short(visible(words.note), small));
  if (words.last && !words.state) text('sub', 12, nameY + 51, short(visible(words.last), small));
  if (words.state && height > 50) text('state', 12, height - 10, visible(words.state));
  if (box.node || box.members.length) set(group, { 'aria-label': visible(`${box.node.split('/')[0] || 'group'} `) + told.join(' ') });
  group.replaceChildren(s('title', {}, visible(box.name)), ...parts);
}

/** @param {Box} box @param {Snapshot} lab @param {boolean} wide @returns {Words} */
function boxWords(box, lab, wide) {
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
    return { title: box.name, sub: `for ${view?.rules.join(', ') ?? ''}`,
      note: plural(view?.answers ?? 0, 'answer'), state: '', icon: null };
  }
  if (box.kind === 'balancer') {
    const door = lab.balancers.find((b) => b.name === box.name);
    if (!door) return { title: box.name, state: '', icon: 'door' };
    return { title: box.name, sub: door.listen[0] ?? '',
      note: `${perSecond(rate(lab.rates?.flows[door.name]))}, ${count(door.open)} open`,
      last: door.meant_for === null ? '' : `meant for ${door.meant_for}`,
      state: admin(door.admin), icon: 'door' };
  }
  if (box.kind === 'proxy') {
    const proxy = lab.proxies.find((p) => p.name === box.name);
    const state = admin(proxy?.admin ?? 'ready') || poolState(lab, box.name);
    const flows = lab.balancers.reduce((sum, door) => sum + rate(lab.rates?.backends[`${door.name}/${box.name}`]), 0);
    return { title: `proxy ${box.name}`, sub: plural(proxy?.tunnels ?? 0, 'tunnel'), note: state ? '' : perSecond(flows), state, icon: null };
  }
  if (box.kind === 'agent') {
    const agent = lab.agents.find((a) => a.name === box.name);
    const up = agent?.tunnels.filter((tunnel) => tunnel.up).length ?? 0;
    const full = agent?.tunnels.length ?? 0;
    const apps = wide ? ' tunnels' : `, ${agent?.apps.join(', ') ?? ''}`;
    const word = admin(agent?.admin ?? 'ready');
    return box.h > 34 ? { title: box.name, sub: word ? `${word}${wide ? '' : apps}` : `${up}/${full}${apps}`, state: word, icon: 'agent' }
      : { title: box.name, number: word || `${up}/${full}`, state: word, icon: 'agent' };
  }
  if (box.kind === 'group') {
    const agents = lab.agents.filter(({ name }) => box.members.includes(`agent/${name}`));
    const users = lab.users.filter(({ name }) => box.members.includes(`user/${name}`));
    const [up, full] = [agents.flatMap(({ tunnels }) => tunnels.filter((t) => t.up)).length, agents.flatMap(({ tunnels }) => tunnels).length];
    const number = agents.length ? `${count(up)}/${count(full)}` : users.length ? count(users.reduce((sum, { answered }) => sum + answered, 0)) : '';
    /** @type {'agent' | 'user'} */
    const who = agents.length ? 'agent' : 'user';
    return box.h > 34 ? { title: plural(box.members.length, 'agent'), sub: `${box.name}`, state: '', icon: 'agent' }
      : { title: box.name.includes(',') ? `${box.members.length} ${box.name}` : box.name, number: box.members.length ? number : '', state: '', icon: box.members.length ? who : null };
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
export function edgeState(edge, lab) {
  const [, from = ''] = edge.from.split(/\/(.*)/s);
  const [kind, to = ''] = edge.to.split(/\/(.*)/s);
  const [fromKind] = edge.from.split('/');
  if (kind === 'app' || edge.to === 'group/apps') {
    const agent = lab.agents.find((a) => a.name === from);
    const up = !agent || agent.tunnels.some((t) => t.up);
    return { mood: up ? 'busy' : 'idle', weight: up ? 1 : 0, words: up ? 'serves' : 'serves, but no tunnel stands' };
  }
  if (kind === 'view') {
    const agent = fromKind === 'dial' && lab.agents.find((a) => a.name === from);
    const user = lab.users.find((u) => u.name === from);
    const used = fromKind === 'group' || (agent ? agent.tunnels.some((t) => t.made > 0) : (user?.answered ?? 0) > 0);
    const home = edge.lane === null ? null : lab.networks[edge.lane]?.view;
    if (home != null && home !== to) return { mood: 'astray', weight: 2, words: `asks, and got the answer of view ${to} instead of ${home}` };
    return { mood: used ? 'busy' : 'idle', weight: used ? 1 : 0, words: used ? 'asks' : 'would ask' };
  }
  if (kind === 'balancer') {
    const door = lab.balancers.find((b) => b.name === to);
    const network = edge.lane === null ? null : lab.networks[edge.lane]?.name;
    const opened = door?.networks.find((c) => c.network === network)?.opened ?? 0;
    if (door?.network != null && door.network !== network) {
      const who = astray(lab).filter((stray) => stray.door === to && stray.network === network);
      if (who.length) return { mood: 'astray', weight: 3, words: `misrouted: ${names(who)} from ${network} through ${to}` };
      if (door.meant_for === null) return { mood: 'strayed', weight: 1, words: `${plural(opened, 'flow')} from ${network} went through the other door, none now` };
    }
    if (door?.admin === 'stopped') return { mood: 'bad', weight: 1, words: 'door stopped' };
    const now = rate(lab.rates?.flows[to]);
    return { mood: opened ? 'busy' : 'idle', weight: weightOf(now, opened), words: `${plural(opened, 'flow')}, ${perSecond(now)}` };
  }
  if (kind === 'proxy') {
    const backend = lab.balancers.find((b) => b.name === from)?.backends.find((b) => b.proxy === to);
    const health = backend?.health ?? 'unknown';
    const now = rate(lab.rates?.backends[`${from}/${to}`]);
    const words = `${health}, ${plural(backend?.total ?? 0, 'flow')}, ${perSecond(now)}`;
    if (health === 'down' || health === 'rising') return { mood: 'bad', weight: 1, words };
    if (health === 'unknown') return { mood: 'unknown', weight: 0, words };
    return { mood: backend?.total ? 'busy' : 'idle', weight: weightOf(now, backend?.total ?? 0), words };
  }
  if (kind === 'group') {
    const all = lab.agents.filter(({ name }) => edge.members.includes(`agent/${name}`))
      .flatMap(({ tunnels }) => tunnels.filter((t) => t.proxy === from));
    const up = all.filter((t) => t.up).length;
    const words = `${up} of ${plural(all.length, 'tunnel')} up`;
    if (up === 0) return { mood: all.some((t) => t.made) ? 'bad' : 'idle', weight: 1, words };
    return { mood: 'busy', weight: up < 10 ? 1 : up < 100 ? 2 : 3, words };
  }
  const tunnel = lab.agents.find((a) => a.name === to)?.tunnels.find((t) => t.proxy === from);
  if (tunnel?.up) {
    const wrong = astray(lab).some(({ node, door }) => node === edge.to && door === tunnel.balancer);
    return { mood: wrong ? 'astray' : 'busy', weight: wrong ? 2 : 1, words: `tunnel up through ${tunnel.balancer ?? 'no door'}${wrong ? ', misrouted' : ''}` };
  }
  if (tunnel?.made) return { mood: 'bad', weight: 1, words: `tunnel lost${tunnel.gap_us ? `, gap before ${span(tunnel.gap_us)}` : ''}` };
  return { mood: 'idle', weight: 0, words: 'no tunnel yet' };
}

/** `orders and 3 more` @param {{node: string}[]} who */
function names(who) {
  const [, first = ''] = who[0]?.node.split(/\/(.*)/s) ?? [];
  return who.length > 1 ? `${first} and ${who.length - 1} more` : first;
}

/** Three steps of width by rate; what was used once is a line. @param {number} now a second @param {number} ever @returns {0 | 1 | 2 | 3} */
function weightOf(now, ever) {
  return ever === 0 ? 0 : now < 1 ? 1 : now < 10 ? 2 : 3;
}

/** @param {Edge} edge @param {Snapshot} lab @param {Layout} places */
function edgeLabel(edge, lab, places) {
  const from = places.boxes.get(edge.from);
  const to = places.boxes.get(edge.to);
  if (!from || !to) return '';
  const room = to.x - from.x - from.w;
  const { mood, words } = edgeState(edge, lab);
  if (to.kind === 'balancer' && mood === 'astray') return `✕ ${short(visible(words.replace(/^misrouted: | from .*/gs, '')), STRAYS)} misrouted`;
  if (to.kind === 'balancer' && mood === 'strayed') return '';
  if (to.kind === 'balancer' && room > 78) {
    const door = lab.balancers.find((b) => b.name === to.name);
    return short(visible(door?.listen[0]?.replace(/:\d+$/, '') ?? ''), Math.floor((room + 8) / 6.4));
  }
  if (to.kind === 'proxy' && mood === 'bad') {
    const door = lab.balancers.find((b) => b.name === from.name);
    return visible(door?.backends.find((b) => b.proxy === to.name)?.health ?? '');
  }
  return '';
}
