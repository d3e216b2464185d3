// @ts-check
// The page Topology: the picture, the chosen node with its last decisions, what to know.

/** @import {Context, State} from '../main.js' */
/** @import {Fact} from '../types.js' */

import { each, h, redo, s } from '../dom.js';
import { count, span, visible } from '../format.js';
import { decisions, lines } from './facts.js';
import { drawFindings } from './findings.js';
import { most, path, rates } from './chart.js';
import { Picture, edgeState, perSecond, rate } from './picture.js';
import { term } from './parts.js';
import { styled } from '../later.js';
import { isTraffic } from '../store.js';
import { astray, listed } from '../worst.js';

/** @import {Layout} from './layout.js' */
/** @import {Sorted} from '../table.js' */
/** @import {Members, Panel} from './node.js' */
/** @import {Snapshot} from '../types.js' */

/** What shows a chosen node. */
const later = () => import('./node.js');

/** How many decisions stand below the picture. */
const LAST = 12;

/** @type {TopologyPage | null} */
let page = null;

/** @param {HTMLElement} root @param {Context} context */
export function mount(root, context) {
  page = new TopologyPage(root, context);
}

/** @param {State} state @param {Fact[]} fresh */
export function draw(state, fresh) {
  page?.draw(state, fresh);
}

export function unmount() {
  page = null;
}

export function escape() {
  return page?.close() ?? false;
}

class TopologyPage {
  #context;
  #picture = new Picture();
  /** What is chosen, whose module comes with the first choice. @type {{panel: Panel, group: Members} | null} */
  #chosen = null;
  #asked = false;
  #place = h('div', { hidden: true });
  #sums = h('dl', { class: 'sums' });
  /** @type {Sorted | null} */
  #rows = null;
  #table = h('details', {}, h('summary', {}, 'The picture as a table'));
  #findings = h('ul', { class: 'findings' });
  #calm = h('p', { class: 'about' }, 'Nothing that an operator should know.');
  #log = h('ol', { class: 'log', tabindex: '0', 'aria-labelledby': 'log-title' });

  /** @param {HTMLElement} root @param {Context} context */
  constructor(root, context) {
    this.#context = context;
    this.#table.addEventListener('toggle', () => this.#unfold());
    root.append(h('section', { class: 'topology', 'aria-labelledby': 'topology-title' },
      h('h2', { id: 'topology-title', class: 'unseen' }, 'Paths through the lab'), this.#sums, this.#picture.element,
      h('p', { id: 'topology-about', class: 'about' }, 'Each network asks for the same name, gets its own ', term('view', 'view’s'),
        ' answer, and goes in through its own ', term('door'), ' to one shared ', term('pool'), ': ', term('split horizon'),
        '. Dotted lines were not used yet; red dashed ones are down, heavy red ones ', term('misrouted'),
        '. Choose a client to see its path and why it took it.'), this.#table),
    this.#place,
    h('div', { class: 'pair' },
      h('section', { 'aria-labelledby': 'findings-title' }, h('h2', { id: 'findings-title' }, 'Findings'), this.#calm, this.#findings),
      h('section', { 'aria-labelledby': 'log-title' },
        h('header', {}, h('h2', { id: 'log-title' }, 'Last decisions'), h('a', { href: '/timeline' }, 'all on the timeline')), this.#log)));
  }

  close() {
    const { query } = this.#context;
    const [node, group] = [query.get('node'), query.get('group')];
    if (node === null && group === null) return false;
    query.set(node === null ? { group: null } : { node: null }, true);
    this.#picture.focus(node ?? group ?? '');
    return true;
  }

  async #unfold() {
    if (!this.#table.open) return;
    const { Sorted } = await import('../table.js');
    if (!this.#rows) {
      this.#rows = new Sorted('paths', 'Every line of the picture', ['from', 'to', 'network', 'state']);
      this.#table.append(this.#rows.element);
    }
    this.#context.redraw();
  }

  /** Loads what shows a chosen node; what did not come is asked for again with the next choice. */
  async #ask() {
    if (this.#asked) return;
    this.#asked = true;
    const wanted = location.search;
    try {
      const [{ Members, Panel }] = await Promise.all([later(), styled()]);
      this.#chosen = { panel: new Panel(this.#context), group: new Members(this.#context) };
      this.#place.replaceWith(this.#chosen.group.element, this.#chosen.panel.element);
      this.#context.redraw();
    } catch {
      this.#asked = location.search === wanted;
    }
  }

  /** @param {State} state @param {Fact[]} fresh */
  draw(state, fresh) {
    const { snapshot, at } = state;
    if (!snapshot) return;
    const node = this.#context.query.get('node');
    const group = this.#context.query.get('group');
    const places = this.#picture.draw(snapshot, node, group);
    if (node !== null || group !== null) this.#ask();
    this.#chosen?.panel.draw(state, node);
    this.#chosen?.group.draw(snapshot, group === null ? undefined : places.boxes.get(group));
    this.#drawSums(snapshot);
    if (this.#table.open) this.#rows?.draw(tableOf(places, snapshot));
    this.#calm.hidden = snapshot.findings.length > 0;
    drawFindings(this.#findings, snapshot);
    lines(this.#log, decisions(state, (line) => !isTraffic(line), LAST));
    if (at === null) this.#picture.move(fresh);
  }

  /** @param {Snapshot} lab */
  #drawSums(lab) {
    const sum = (/** @type {number[]} */ numbers) => numbers.reduce((a, b) => a + b, 0);
    const complete = lab.mesh.complete_after_us;
    const failed = sum(lab.users.flatMap(({ failures }) => failures.map((f) => f.count)));
    const none = sum(lab.proxies.map((proxy) => proxy.no_tunnel));
    const wrong = astray(lab);
    const { dns, flows } = lab.rates;
    const all = Object.values(flows);
    const total = dns.map((_, index) => sum(all.map((door) => door[index + door.length - dns.length] ?? 0)));
    /** @type {[string, string, string, number[], boolean][]} */
    const sums = [
      ['tunnels', `${lab.mesh.now}/${lab.mesh.full}`, complete === null ? 'of the mesh' : lab.mesh.now < lab.mesh.full ? `${lab.mesh.full - lab.mesh.now} lost` : `first full after ${span(complete)}`, [], complete !== null && lab.mesh.now < lab.mesh.full],
      ['misrouted', count(wrong.length), wrong.length ? `${listed(wrong.map(({ node }) => node.replace(/^\w+\//, '')))} through ${listed(wrong.map(({ door }) => door))}` : 'all through the door of their network', [], wrong.length > 0],
      ['flows', perSecond(rate(total)), '', total, false],
      ['answers', perSecond(rate(dns)), '', dns, false],
      ['visits', count(sum(lab.users.map((user) => user.answered))), failed || none ? ['answered', failed ? `${count(failed)} failed` : '', none ? `${count(none)} without a tunnel` : ''].filter(Boolean).join(', ') : 'answered, none failed', [], false],
    ];
    each(this.#sums, sums, ([name]) => name, ([name]) =>
      h('div', {}, h('dt', {}, name), h('dd', {}), h('dd', { class: 'quiet' })), (element, [name, value, unit, line, bad]) => {
      const [, first, second] = element.children;
      element.classList.toggle('is-bad', bad);
      if (first) redo(first, value, () => [value]);
      if (second) {
        const drawn = rates(line);
        redo(second, `${unit} ${drawn}`, () => (line.length
          ? [s('svg', { viewBox: '0 0 72 16', width: 72, height: 16, role: 'img', 'aria-label': `the last ${line.length} s, ${perSecond(most(drawn))} at most` },
            s('path', { class: 'tiny', d: path(drawn, 72, 16, most(drawn)) }))] : [unit]));
      }
    });
  }
}

/** @param {Layout} places @param {Snapshot} lab @returns {{key: string, cells: string[]}[]} */
function tableOf(places, lab) {
  return places.edges.map((edge) => ({ key: edge.id, cells: [
    edge.from.replace(/^dial\//, 'agent/'),
    edge.to,
    edge.lane === null ? '' : lab.networks[edge.lane]?.name ?? '',
    edgeState(edge, lab).words,
  ] }));
}
