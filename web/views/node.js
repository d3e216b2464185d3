// @ts-check
// What is chosen in the picture: a client with the chain of decisions behind its last request and
// what another network would change; another node with its last decisions; a group with its members.

/** @import {Context, State} from '../main.js' */
/** @import {Fact, Moved, Snapshot, Way} from '../types.js' */

import { each, h, redo, say, set } from '../dom.js';
import { count, inAddress, visible } from '../format.js';
import { whyStrip } from '../why.js';
import { decisions, lines } from './facts.js';
import { waterfall } from './hops.js';
import { standing } from './layout.js';
import { laneOf, nodeLink, pill, state as pillOf } from './parts.js';

/** How often the chain is asked for while facts come. */
const EVERY_MS = 1_000;

/** How many decisions of the node stand below. */
const LAST = 10;

export class Panel {
  #context;
  #title = h('h2', { id: 'node-title', tabindex: '-1' });
  #close = h('button', { type: 'button', 'aria-label': 'Close the node' }, 'Close');
  #about = h('p', { class: 'about' });
  #said = h('p', { class: 'about', role: 'status' });
  #strip = whyStrip();
  #facts = h('ol', { class: 'log', 'aria-label': 'Its last decisions' });
  #hops = h('details', {}, h('summary', {}, 'The same as hops, with durations'), h('div'));
  /** @type {number | null} the request of the chain */
  #number = null;
  #if = h('form', { class: 'form whatif' });
  #select = h('select', { 'aria-label': 'network' });
  #moved = h('div', { 'aria-live': 'polite' });
  element = h('section', { id: 'node', class: 'node', 'aria-labelledby': 'node-title', hidden: true },
    h('header', {}, this.#title, this.#close), this.#about, this.#said, this.#strip.element, this.#hops, this.#if, this.#moved, this.#facts);
  /** What the shown chain is of, and what is asked for now. */
  #of = '';
  #busy = false;
  #asked = 0;
  #timer = 0;
  #node = '';
  /** For which node the page was brought to its reasons. */
  #led = '';

  /** @param {Context} context */
  constructor(context) {
    this.#context = context;
    this.#close.addEventListener('click', () => this.#context.query.set({ node: null }, true));
    this.#hops.addEventListener('toggle', () => this.#unfold());
    this.#if.append('If it moved to network ', this.#select, h('button', {}, 'What would change?'));
    this.#if.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#whatif();
    });
  }

  /** @param {State} state @param {string | null} node */
  draw(state, node) {
    const { snapshot, facts, at } = state;
    const known = node === null || !snapshot ? undefined : find(snapshot, node);
    this.element.hidden = !known && node === null;
    if (node === null || !snapshot) {
      this.#node = this.#led = '';
      return;
    }
    const client = /^(agent|user)\//.test(node);
    if (node !== this.#node) {
      this.#node = node;
      this.#of = '';
      this.#strip.element.hidden = true;
      this.#hops.hidden = true;
      this.#moved.replaceChildren();
      say(this.#said, client && known ? 'Asking why…' : '');
    }
    redo(this.#title, `${node} ${known?.admin}`, () => [visible(node), ' ', known ? pillOf(known.admin) : '']);
    redo(this.#about, `${node} ${!known}`, () => (known ? aboutOf(snapshot, node) : ['There is no such node in this lab at this instant.']));
    this.#if.hidden = !client || !known || this.#context.source.kind !== 'lab' || at !== null || snapshot.networks.length < 2;
    const home = known && 'network' in known ? known.network : null;
    const others = snapshot.networks.map(({ name }) => name).filter((name) => name !== home);
    each(this.#select, others, (name) => name, (name) => h('option', { value: name }, visible(name)), () => {});
    const own = about(facts, node);
    const seen = new Set(own.map(({ seq }) => seq));
    const old = decisions(state, (line) => line.node === node && !seen.has(line.seq), LAST);
    lines(this.#facts, [...old, ...own].sort((a, b) => a.seq - b.seq).slice(-LAST));
    this.#facts.hidden = !known;
    if (client && known) this.#why(node, at, own.at(-1)?.seq ?? 0, snapshot);
  }

  /** @param {string} node @param {number | null} at @param {number} seq @param {Snapshot} lab */
  async #why(node, at, seq, lab) {
    const of = `${node} ${at ?? seq}`;
    if (of === this.#of || this.#busy) return;
    const wait = this.#of.startsWith(`${node} `) ? EVERY_MS - (performance.now() - this.#asked) : 0;
    if (wait > 0) {
      // A run that is over draws nothing by itself later.
      this.#timer ||= window.setTimeout(() => {
        this.#timer = 0;
        this.#context.redraw();
      }, wait);
      return;
    }
    this.#busy = true;
    this.#asked = performance.now();
    this.#of = of;
    try {
      const why = await this.#context.source.why(node, at);
      if (this.#node === node) {
        this.#strip.element.hidden = false;
        this.#strip.draw(why, lab);
        this.#lead(node);
        this.#number = why.number;
        this.#hops.hidden = why.number === null;
        this.#unfold();
        say(this.#said, this.#context.source.kind === 'file' && at !== null && !this.#context.source.bundle.earlier ? 'This file tells why as of its end.' : '');
      }
    } catch (error) {
      if (this.#node === node) {
        this.#strip.element.hidden = true;
        say(this.#said, error instanceof Error ? visible(error.message) : '');
      }
    }
    this.#busy = false;
    // Another node or instant may have been chosen meanwhile.
    this.#context.redraw();
  }

  /** Brings the reasons into sight, once for each choice. @param {string} node */
  #lead(node) {
    if (this.#led === node) return;
    this.#led = node;
    (this.#if.hidden ? this.#strip.element : this.#if).scrollIntoView({ block: 'nearest' });
  }

  async #unfold() {
    const [node, number] = [this.#node, this.#number];
    const place = this.#hops.lastElementChild;
    if (!this.#hops.open || number === null || !place) return;
    try {
      place.replaceChildren(waterfall(await this.#context.source.request(node, number)));
    } catch (error) {
      place.replaceChildren(h('p', { class: 'about' }, error instanceof Error ? visible(error.message) : ''));
    }
  }

  async #whatif() {
    const node = this.#node;
    const network = this.#select.value;
    try {
      const source = this.#context.source;
      if (source.kind !== 'lab') return;
      const moved = await source.whatif(node, network);
      if (this.#node !== node) return;
      this.#moved.replaceChildren(movedOf(moved));
      this.#moved.scrollIntoView({ block: 'nearest' });
    } catch (error) {
      this.#moved.replaceChildren(h('p', { class: 'is-bad' }, error instanceof Error ? visible(error.message) : ''));
    }
  }
}

/** The facts about a node. @param {Fact[]} facts @param {string} node */
function about(facts, node) {
  const [, name] = node.split(/\/(.*)/s);
  return facts.filter((fact) => fact.node === node
    || (node.startsWith('proxy/') && 'proxy' in fact && fact.proxy === name)
    || (node.startsWith('balancer/') && 'balancer' in fact && fact.balancer === name));
}

/** @param {Snapshot} lab @param {string} node @returns {(Node | string)[]} */
function aboutOf(lab, node) {
  const [kind, name] = node.split(/\/(.*)/s);
  const agent = kind === 'agent' ? lab.agents.find((a) => a.name === name) : undefined;
  const user = kind === 'user' ? lab.users.find((u) => u.name === name) : undefined;
  const log = h('a', { href: `/dns?filter=${inAddress(`asker:${node}`)}` }, 'its DNS answers');
  if (agent) return [pill(agent.network, laneOf(lab, agent.network)), ' ', h('span', { class: 'mono' }, visible(agent.address)), ` serves ${visible(agent.apps.join(', ')) || 'nothing'} · `, log];
  if (user) return [pill(user.network, laneOf(lab, user.network)), ' ', h('span', { class: 'mono' }, visible(user.address)), ` visits ${visible(user.visits.join(', ')) || 'nothing'} · `, log];
  return [h('a', { href: '/pool' }, 'its table')];
}

/** @param {Moved} moved */
function movedOf({ text, changes, expectations, from, to }) {
  return h('div', { class: 'moved scroll', tabindex: '0', role: 'region', 'aria-label': 'What would change' }, h('p', {}, h('strong', {}, visible(text))),
    h('ul', {}, ...changes.map((change) => h('li', {}, visible(change)))),
    h('table', { class: 'dense' }, h('caption', { class: 'unseen' }, 'Now and there'),
      h('thead', {}, h('tr', {}, ...['network', 'as', 'asks for', 'view', 'answer', 'door'].map((text) => h('th', { scope: 'col' }, text)))),
      h('tbody', {}, wayRow(from, 'now'), wayRow(to, 'then'))),
    expectations.length ? h('p', { class: 'is-bad' }, `Would fail: ${visible(expectations.join('; '))}`) : null);
}

/** @param {Way} way @param {string} word */
function wayRow({ network, client, name, view, answer, door, allowed }, word) {
  return h('tr', {}, h('th', { scope: 'row' }, visible(network), h('span', { class: 'quiet' }, ` ${word}`)), h('td', { class: 'mono' }, visible(client)), h('td', { class: 'mono' }, visible(name)),
    h('td', {}, visible(view ?? 'none')), h('td', { class: 'mono' }, visible(answer.join(', '))),
    h('td', { class: door !== null && !allowed ? 'is-bad' : null }, visible(door ?? 'none'), door !== null && !allowed ? ', which does not let it in' : null));
}

/** @param {Snapshot} lab @param {string} node */
function find(lab, node) {
  const [kind, name] = node.split(/\/(.*)/s);
  const lists = { agent: lab.agents, balancer: lab.balancers, proxy: lab.proxies, user: lab.users };
  const list = lists[/** @type {keyof typeof lists} */ (kind)] ?? [];
  return [...list].find((item) => item.name === name);
}

/** The members of a group, with a filter. */
export class Members {
  #filter = h('input', { type: 'search', placeholder: 'name, network, state', autocomplete: 'off', spellcheck: 'false' });
  #title = h('h2', { id: 'group-title' });
  #list = h('ul', { class: 'members' });
  #none = h('p', { class: 'about' }, 'No member matches.');
  #close = h('button', { type: 'button', 'aria-label': 'Close the group' }, 'Close');
  element = h('section', { class: 'node', 'aria-labelledby': 'group-title', hidden: true },
    h('header', {}, this.#title, h('label', {}, 'members ', this.#filter), this.#close), this.#list, this.#none);

  /** @param {Context} context */
  constructor(context) {
    this.#filter.addEventListener('input', () => context.redraw());
    this.#close.addEventListener('click', () => context.query.set({ group: null }, true));
  }

  /** @param {Snapshot} lab @param {{name: string, members: string[]} | undefined} group */
  draw(lab, group) {
    this.element.hidden = !group;
    if (!group) return;
    const wanted = this.#filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const all = group.members.map((node) => {
      const agent = lab.agents.find(({ name }) => `agent/${name}` === node);
      const user = lab.users.find(({ name }) => `user/${name}` === node);
      return { node, network: (agent ?? user)?.network ?? '', word: agent ? standing(agent) : user?.admin ?? '' };
    });
    const shown = all.filter(({ node, network, word }) => wanted.every((term) => `${node} ${network} ${word}`.toLowerCase().includes(term)));
    say(this.#title, `Members of ${visible(group.name)}: ${count(group.members.length)}`);
    each(this.#list, shown, ({ node }) => node, ({ node }) => h('li', {}, nodeLink(node, node.replace(/^\w+\//, '')), ' ', h('span')), (row, { network, word }) => {
      const place = row.lastElementChild;
      if (place) say(place, visible(word));
      set(row, { class: laneOf(lab, network) });
    });
    this.#none.hidden = shown.length > 0;
  }
}
