// @ts-check
// Where everything stands in the picture. Pure: the same topology and width give the same places.
//
// Wide: columns in path order, one lane a network, stacked; the doors stand in the wall on the
// right of the lanes, the shared pool and the agents behind it. Narrow: the same turned, lanes side
// by side and the wall below them.

/** @import {Snapshot} from '../types.js' */

/** Below this width the picture is turned. */
export const TURN_BELOW = 680;

/** From this width on the resources have a column of their own; else the agents name theirs. */
export const RESOURCES_FROM = 1_040;

/** How many clients a lane shows, and agents and resources stand behind the pool; more are grouped. */
const CLIENTS_MAX = 8;
const AGENTS_MAX = 24;
const PROXIES_MAX = 12;
const RESOURCES_MAX = 16;

/** @typedef {'client' | 'view' | 'balancer' | 'proxy' | 'agent' | 'app' | 'group'} Kind */

/**
 * @typedef {object} Box
 * @property {string} id `balancer/internal`; an agent that dials and the one behind the pool differ
 * @property {string} node the node of the lab, empty for views, resources and groups
 * @property {Kind} kind
 * @property {string} name
 * @property {number} x
 * @property {number} y
 * @property {number} w
 * @property {number} h
 * @property {number | null} lane
 * @property {string[]} members the nodes of a group
 */

/**
 * @typedef {object} Edge
 * @property {string} id
 * @property {string} from box
 * @property {string} to box
 * @property {string} d path
 * @property {number | null} lane
 * @property {[number, number]} middle
 * @property {string[]} members of a group that it leads to
 */

/** @typedef {{name: string, lane: number, x: number, y: number, w: number, h: number}} Lane */
/** @typedef {{x: number, y: number, w: number, h: number}} Area */

/**
 * @typedef {object} Layout
 * @property {boolean} turned
 * @property {number} width
 * @property {number} height
 * @property {Lane[]} lanes
 * @property {{x1: number, y1: number, x2: number, y2: number}} wall
 * @property {Area} pool
 * @property {Map<string, Box>} boxes
 * @property {Edge[]} edges
 * @property {{text: string, x: number, y: number}[]} captions
 */

/**
 * Places a lab.
 * @param {Snapshot} lab
 * @param {number} width
 * @returns {Layout}
 */
export function layout(lab, width) {
  const plan = sort(lab);
  return width < TURN_BELOW ? turned(plan, width) : wide(plan, width);
}

/** @typedef {{id: string, node: string, name: string, kind: Kind, lane: number | null, members: string[]}} Entry */

/**
 * @typedef {object} Plan
 * @property {{name: string, clients: Entry[], views: string[], doors: string[]}[]} lanes
 * @property {Entry[]} agents
 * @property {string[]} proxies
 * @property {Entry[]} resources
 * @property {{from: string, to: string, lane: number | null}[]} links
 */

/** How many of an agent's tunnels stand, in one word. @param {import('../types.js').Agent} agent */
export function standing(agent) {
  if (agent.admin !== 'ready') return agent.admin;
  const up = agent.tunnels.filter((tunnel) => tunnel.up).length;
  return up === agent.tunnels.length ? 'all tunnels' : up ? 'some tunnels' : 'no tunnel';
}

/**
 * Which view answered each client last, as far as the state tells.
 * @param {Snapshot} lab
 */
export function viewsSeen(lab) {
  /** @type {Map<string, string>} */
  const seen = new Map();
  for (const { asker, view } of lab.dns.queries) if (asker !== null && view !== null) seen.set(asker, view);
  return seen;
}

/**
 * Decides who is shown in which lane and what is joined, without places.
 * @param {Snapshot} lab
 * @returns {Plan}
 */
function sort(lab) {
  const networks = lab.networks.length ? lab.networks : [{ name: '', ranges: [], view: null }];
  const laneOf = (/** @type {string | null} */ name) => {
    const lane = networks.findIndex((network) => network.name === name);
    return lane < 0 ? null : lane;
  };
  /** @type {Map<string, number>} */
  const laneOfDoor = new Map();
  lab.balancers.forEach((door, index) => {
    laneOfDoor.set(door.name, laneOf(door.network) ?? index % networks.length);
  });
  /** @type {Map<string, number>} */
  const laneOfView = new Map();
  lab.dns.views.forEach((view, index) => {
    const lane = networks.findIndex((network) => network.view === view.name);
    laneOfView.set(view.name, lane < 0 ? index % networks.length : lane);
  });
  const seen = viewsSeen(lab);
  /** @type {Map<string, {from: string, to: string, lane: number | null}>} */
  const links = new Map();
  const link = (/** @type {string} */ from, /** @type {string} */ to, /** @type {number | null} */ lane) =>
    links.set(`${from}>${to}@${lane}`, { from, to, lane });
  const group = (/** @type {string} */ id, /** @type {string} */ name, /** @type {number | null} */ lane, /** @type {string[]} */ members) =>
    ({ id: `group/${id}`, node: '', name, kind: /** @type {const} */ ('group'), lane, members });
  const lanes = networks.map((network, lane) => {
    const one = (/** @type {string} */ id, /** @type {string} */ node, /** @type {string} */ name) =>
      ({ id, node, name, kind: /** @type {const} */ ('client'), lane, members: [] });
    /** @type {Entry[]} */
    let agents = byName(lab.agents.filter((agent) => (laneOf(agent.network) ?? 0) === lane))
      .map(({ name }) => one(`dial/${name}`, `agent/${name}`, name));
    /** @type {Entry[]} */
    let users = byName(lab.users.filter((user) => (laneOf(user.network) ?? 0) === lane))
      .map(({ name }) => one(`user/${name}`, `user/${name}`, name));
    if (agents.length + users.length > CLIENTS_MAX && agents.length > 3) {
      agents = [group(`dial/${network.name}`, `${agents.length} agents`, lane, agents.map(({ node }) => node))];
    }
    if (agents.length + users.length > CLIENTS_MAX) {
      users = [group(`user/${network.name}`, `${users.length} users`, lane, users.map(({ node }) => node))];
    }
    const clients = [...agents, ...users];
    const view = network.view;
    if (view !== null) {
      for (const { id, node, members } of clients) {
        link(id, `view/${view}`, lane);
        for (const other of members.length ? members : [node]) {
          const asked = seen.get(other);
          if (asked !== undefined && asked !== view) link(id, `view/${asked}`, lane);
        }
      }
      for (const door of lab.balancers) {
        const count = door.networks.find((count) => count.network === network.name);
        if (laneOfDoor.get(door.name) === lane || (count && count.opened > 0)) {
          link(`view/${view}`, `balancer/${door.name}`, lane);
        }
      }
    }
    return {
      name: network.name,
      clients,
      views: lab.dns.views.map((v) => v.name).filter((name) => laneOfView.get(name) === lane),
      doors: lab.balancers.map((b) => b.name).filter((name) => laneOfDoor.get(name) === lane),
    };
  });
  const proxies = lab.proxies.map(({ name }) => name).slice(0, PROXIES_MAX);
  for (const door of lab.balancers) {
    const lane = laneOfDoor.get(door.name) ?? null;
    for (const name of proxies) link(`balancer/${door.name}`, `proxy/${name}`, lane);
  }
  const sorted = [...networks.flatMap(({ name }) => byName(lab.agents.filter((agent) => agent.network === name))),
    ...lab.agents.filter((agent) => laneOf(agent.network) === null)];
  /** @type {Map<string, Entry>} */
  const agents = new Map();
  for (const agent of sorted) {
    const lane = laneOf(agent.network);
    const words = `${agent.network}, ${standing(agent)}`;
    const entry = lab.agents.length <= AGENTS_MAX
      ? { id: `agent/${agent.name}`, node: `agent/${agent.name}`, name: agent.name, kind: /** @type {const} */ ('agent'), lane, members: [] }
      : agents.get(`group/agent/${words}`) ?? group(`agent/${words}`, words, lane, []);
    if (entry.kind === 'group') entry.members.push(`agent/${agent.name}`);
    agents.set(entry.id, entry);
    for (const tunnel of agent.tunnels) {
      if (!proxies.includes(tunnel.proxy)) continue;
      const through = tunnel.balancer === null ? null : laneOfDoor.get(tunnel.balancer) ?? null;
      link(`proxy/${tunnel.proxy}`, entry.id, through);
    }
  }
  const apps = [...new Set(sorted.flatMap((agent) => agent.apps))];
  const many = apps.length > RESOURCES_MAX;
  for (const { id, node, members } of agents.values()) {
    const mine = lab.agents.filter(({ name }) => node === `agent/${name}` || members.includes(`agent/${name}`));
    for (const app of new Set(mine.flatMap((agent) => agent.apps))) link(id, many ? 'group/apps' : `app/${app}`, null);
  }
  return {
    lanes,
    agents: [...agents.values()],
    proxies,
    resources: many ? [group('apps', `${apps.length} resources`, null, [])]
      : apps.map((name) => ({ id: `app/${name}`, node: '', name, kind: /** @type {const} */ ('app'), lane: null, members: [] })),
    links: [...links.values()],
  };
}

/**
 * @template {{name: string}} T
 * @param {T[]} items
 */
function byName(items) {
  return [...items].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** @param {number} low @param {number} value @param {number} high */
const clamp = (low, value, high) => Math.round(Math.min(high, Math.max(low, value)));

const ROW = 30;
const ROW_GAP = 6;
const VIEW_H = 64;
const DOOR_H = 88;
const PROXY_H = 66;
const AGENT_H = 46;
const APP_H = 28;

/** Many agents take less room each. @param {Plan} plan */
const agentHeight = (plan) => (plan.agents.length > 10 ? ROW : AGENT_H);

/**
 * @param {Plan} plan
 * @param {number} width
 * @returns {Layout}
 */
function wide(plan, width) {
  const last = width >= RESOURCES_FROM && plan.resources.length > 0;
  const w = last ? {
    client: clamp(138, width * 0.13, 180),
    view: clamp(110, width * 0.115, 150),
    door: clamp(136, width * 0.14, 180),
    proxy: clamp(104, width * 0.1, 136),
    agent: clamp(118, width * 0.12, 160),
    app: clamp(84, width * 0.085, 120),
  } : {
    client: clamp(132, width * 0.15, 190),
    view: clamp(98, width * 0.12, 150),
    door: clamp(124, width * 0.145, 184),
    proxy: clamp(94, width * 0.115, 144),
    agent: clamp(104, width * 0.13, 168),
    app: 0,
  };
  const agentH = agentHeight(plan);
  const pad = 14;
  const gaps = last ? 4.6 : 4;
  const gap = (width - 2 * pad - w.client - w.view - w.door - w.proxy - w.agent - w.app) / gaps;
  const x = { client: pad, view: 0, door: 0, proxy: 0, agent: 0, app: width - pad - w.app };
  x.view = Math.round(x.client + w.client + gap * 0.9);
  x.door = Math.round(x.view + w.view + gap * 1.1);
  x.proxy = Math.round(x.door + w.door + gap);
  x.agent = last ? Math.round(x.proxy + w.proxy + gap) : width - pad - w.agent;
  const top = 30;
  const laneGap = 14;
  /** @type {Map<string, Box>} */
  const boxes = new Map();
  const put = (/** @type {Box} */ box) => boxes.set(box.id, box);
  const heights = plan.lanes.map((lane) => {
    const rows = lane.clients.length;
    return Math.max(
      164,
      34 + rows * (ROW + ROW_GAP) + 10,
      34 + lane.views.length * (VIEW_H + 12) + 10,
      26 + lane.doors.length * (DOOR_H + 16) + 10,
    );
  });
  const wanted = Math.max(
    plan.proxies.length * (PROXY_H + 14) + 60,
    plan.agents.length * (agentH + (agentH > ROW ? 10 : 5)) + 20,
    last ? plan.resources.length * (APP_H + 8) + 20 : 0,
  );
  const total = heights.reduce((sum, h) => sum + h, 0) + laneGap * (heights.length - 1);
  const extra = Math.max(0, wanted - total) / heights.length;
  const wall = x.door + w.door / 2;
  /** @type {Lane[]} */
  const lanes = [];
  let y = top;
  plan.lanes.forEach((lane, index) => {
    const h = Math.round((heights[index] ?? 0) + extra);
    lanes.push({ name: lane.name, lane: index, x: 0.5, y: y + 0.5, w: wall, h });
    const middle = y + 14 + h / 2;
    const rows = lane.clients.length;
    const first = middle - (rows * (ROW + ROW_GAP) - ROW_GAP) / 2;
    lane.clients.forEach((entry, row) => {
      put({ ...entry, x: x.client, y: first + row * (ROW + ROW_GAP), w: w.client, h: ROW });
    });
    stack(lane.views, middle, VIEW_H, 12).forEach(([name, at]) => {
      put({ id: `view/${name}`, node: '', kind: 'view', name, lane: index, members: [],
        x: x.view, y: at, w: w.view, h: VIEW_H });
    });
    stack(lane.doors, middle, DOOR_H, 16).forEach(([name, at]) => {
      put({ id: `balancer/${name}`, node: `balancer/${name}`, kind: 'balancer', name, lane: index, members: [],
        x: x.door, y: at, w: w.door, h: DOOR_H });
    });
    y += h + laneGap;
  });
  const height = y - laneGap + 1;
  const room = height - top;
  const pool = { x: x.proxy - 14.5, y: top + 0.5, w: w.proxy + 28, h: room - 1 };
  spread(plan.proxies.length, top + 20, room - 28, PROXY_H).forEach((at, index) => {
    const name = plan.proxies[index] ?? '';
    put({ id: `proxy/${name}`, node: `proxy/${name}`, kind: 'proxy', name, lane: null, members: [],
      x: x.proxy, y: at, w: w.proxy, h: PROXY_H });
  });
  spread(plan.agents.length, top, room, agentH).forEach((at, index) => {
    const agent = plan.agents[index];
    if (agent) put({ ...agent, x: x.agent, y: at, w: w.agent, h: agentH });
  });
  if (last) {
    spread(plan.resources.length, top, room, APP_H).forEach((at, index) => {
      const app = plan.resources[index];
      if (app) put({ ...app, x: x.app, y: at, w: w.app, h: APP_H });
    });
  }
  return {
    turned: false,
    width,
    height,
    lanes,
    wall: { x1: Math.round(wall) + 0.5, y1: top, x2: Math.round(wall) + 0.5, y2: height },
    pool,
    boxes,
    edges: join(plan, boxes, false),
    captions: [
      { text: 'who asks', x: x.client, y: 16 },
      { text: 'DNS view', x: x.view, y: 16 },
      { text: 'door', x: x.door, y: 16 },
      { text: 'one shared pool', x: x.proxy - 14, y: 16 },
      { text: 'agents, by tunnel', x: x.agent, y: 16 },
      ...last ? [{ text: 'resources', x: x.app, y: 16 }] : [],
    ],
  };
}

/**
 * @param {Plan} plan
 * @param {number} given
 * @returns {Layout}
 */
function turned(plan, given) {
  const laneGap = 8;
  const count = plan.lanes.length;
  const width = Math.max(given, count * 150 + (count - 1) * laneGap);
  const laneW = (width - (count - 1) * laneGap) / count;
  /** @type {Map<string, Box>} */
  const boxes = new Map();
  const put = (/** @type {Box} */ box) => boxes.set(box.id, box);
  const rowsMost = Math.max(...plan.lanes.map((lane) => lane.clients.length));
  const viewsMost = Math.max(1, ...plan.lanes.map((lane) => lane.views.length));
  const doorsMost = Math.max(1, ...plan.lanes.map((lane) => lane.doors.length));
  const clientsY = 50;
  const viewsY = clientsY + rowsMost * (ROW + ROW_GAP) + 20;
  const doorsY = viewsY + viewsMost * (VIEW_H + 10) + 34;
  const wallY = Math.round(doorsY + doorsMost * (DOOR_H + 10) - 10 - DOOR_H / 2) + 0.5;
  const lanes = plan.lanes.map((lane, index) => {
    const left = index * (laneW + laneGap);
    lane.clients.forEach((entry, row) => {
      put({ ...entry, x: left + 20, y: clientsY + row * (ROW + ROW_GAP), w: laneW - 28, h: ROW });
    });
    lane.views.forEach((name, row) => {
      put({ id: `view/${name}`, node: '', kind: 'view', name, lane: index, members: [], x: left + 20,
        y: viewsY + row * (VIEW_H + 10), w: laneW - 28, h: VIEW_H });
    });
    lane.doors.forEach((name, row) => {
      put({ id: `balancer/${name}`, node: `balancer/${name}`, kind: 'balancer', name, lane: index, members: [],
        x: left + 8, y: doorsY + row * (DOOR_H + 10), w: laneW - 16, h: DOOR_H });
    });
    return { name: lane.name, lane: index, x: left + 0.5, y: 0.5, w: laneW - 1, h: wallY };
  });
  const poolY = wallY + DOOR_H / 2 + 44;
  const across = Math.max(1, Math.min(plan.proxies.length, Math.floor((width - 12) / 96)));
  const proxyW = (width - 24 - (across - 1) * 8) / across;
  plan.proxies.forEach((name, index) => {
    put({ id: `proxy/${name}`, node: `proxy/${name}`, kind: 'proxy', name, lane: null, members: [],
      x: 12 + (index % across) * (proxyW + 8),
      y: poolY + 26 + Math.floor(index / across) * (PROXY_H + 8), w: proxyW, h: PROXY_H });
  });
  const poolRows = Math.ceil(plan.proxies.length / across);
  const pool = { x: 0.5, y: poolY, w: width - 1, h: 26 + poolRows * (PROXY_H + 8) + 4 };
  const agentsY = pool.y + pool.h + 56;
  const two = Math.max(1, Math.floor(width / 150));
  const agentW = (width - (two - 1) * 8) / two;
  plan.agents.forEach((agent, index) => {
    put({ ...agent, x: (index % two) * (agentW + 8), y: agentsY + Math.floor(index / two) * (AGENT_H + 12), w: agentW, h: AGENT_H });
  });
  const agentRows = Math.ceil(plan.agents.length / two);
  return {
    turned: true,
    width,
    height: agentsY + agentRows * (AGENT_H + 12),
    lanes,
    wall: { x1: 0, y1: wallY, x2: width, y2: wallY },
    pool,
    boxes,
    edges: join(plan, boxes, true),
    captions: [
      { text: 'one shared pool', x: 12, y: poolY + 18 },
      { text: 'agents, by tunnel', x: 0, y: agentsY - 8 },
    ],
  };
}

/**
 * Puts boxes of one height around a middle.
 * @param {string[]} names
 * @param {number} middle
 * @param {number} h
 * @param {number} gap
 * @returns {[string, number][]}
 */
function stack(names, middle, h, gap) {
  const first = middle - (names.length * (h + gap) - gap) / 2;
  return names.map((name, index) => [name, Math.round(first + index * (h + gap))]);
}

/**
 * Spreads boxes of one height over a room.
 * @param {number} count
 * @param {number} from
 * @param {number} room
 * @param {number} h
 */
function spread(count, from, room, h) {
  const each = room / Math.max(1, count);
  return Array.from({ length: count }, (_, index) =>
    Math.round(from + each * (index + 0.5) - h / 2));
}

/**
 * Draws the links: each leaves and enters a box at a place of its own, in order.
 * @param {Plan} plan
 * @param {Map<string, Box>} boxes
 * @param {boolean} down
 * @returns {Edge[]}
 */
function join(plan, boxes, down) {
  const links = plan.links.filter(({ from, to }) => boxes.has(from) && boxes.has(to));
  const place = (/** @type {Box} */ box, /** @type {number} */ index, /** @type {number} */ of) => {
    const length = down ? box.w : box.h;
    return (down ? box.x : box.y) + length / 2 + (index - (of - 1) / 2)
      * Math.min(9, (length - 16) / Math.max(1, of));
  };
  return links.map((link) => {
    const from = /** @type {Box} */ (boxes.get(link.from));
    const to = /** @type {Box} */ (boxes.get(link.to));
    const outs = links.filter((other) => other.from === link.from);
    const ins = links.filter((other) => other.to === link.to);
    // All clients of a lane meet in one point of their view.
    const meets = to.kind === 'view';
    const a = place(from, outs.indexOf(link), outs.length);
    const b = meets ? place(to, 0, 1) : place(to, ins.indexOf(link), ins.length);
    const id = `${link.from}>${link.to}@${link.lane ?? ''}`;
    const edge = { id, from: link.from, to: link.to, lane: link.lane, members: to.members };
    if (down && meets) {
      // Down the lane's margin, as the branches of a tree.
      const spine = from.x - 9;
      const [y1, y2] = [from.y + from.h / 2, to.y + to.h / 2];
      const d = `M${from.x} ${y1} H${spine} V${y2} H${to.x}`;
      return { ...edge, d, middle: /** @type {[number, number]} */ ([spine, (y1 + y2) / 2]) };
    }
    if (down) {
      const [y1, y2] = [from.y + from.h, to.y];
      const bend = (y1 + y2) / 2;
      const d = `M${a} ${y1} C${a} ${bend} ${b} ${bend} ${b} ${y2}`;
      return { ...edge, d, middle: /** @type {[number, number]} */ ([(a + b) / 2, bend]) };
    }
    const [x1, x2] = [from.x + from.w, to.x];
    const bend = (x1 + x2) / 2;
    const d = `M${x1} ${a} C${bend} ${a} ${bend} ${b} ${x2} ${b}`;
    return { ...edge, d, middle: /** @type {[number, number]} */ ([bend, (a + b) / 2]) };
  });
}

/**
 * The pieces of the wall between the doors that stand in it.
 * @param {Pick<Layout, 'turned' | 'wall' | 'boxes'>} places
 */
export function pieces({ turned, wall, boxes }) {
  /** @type {[keyof Area, keyof Area, keyof Area, keyof Area]} */
  const [across, wide, along, high] = turned ? ['y', 'h', 'x', 'w'] : ['x', 'w', 'y', 'h'];
  const [at, begin, end] = turned ? [wall.y1, wall.x1, wall.x2] : [wall.x1, wall.y1, wall.y2];
  const doors = [...boxes.values()].filter((box) => box[across] < at && at < box[across] + box[wide])
    .sort((one, other) => one[along] - other[along]);
  const starts = [begin, ...doors.map((box) => box[along] + box[high])];
  const ends = [...doors.map((box) => box[along]), end];
  return starts.map((from, index) => ({ from, to: ends[index] ?? end })).filter(({ from, to }) => to > from)
    .map(({ from, to }) => turned ? { x1: from, y1: at, x2: to, y2: at } : { x1: at, y1: from, x2: at, y2: to });
}
