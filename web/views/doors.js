// @ts-check
// The page Doors and pool: one table per door, proxies, agents and users below; what can be done to
// them says first what will break.

/** @import {Act, Balancer, Backend, Check, Snapshot} from '../types.js' */
/** @import {Context, State} from '../main.js' */

import * as calls from '../calls.js';
import { each, fill, h, redo, rows, say, set } from '../dom.js';
import { bytes, count, instant, plural, span, visible } from '../format.js';
import { askAct } from './acts.js';
import { DoorChart, spark } from './strips.js';
import { Order, boxed, files, still, tokenHint } from './forms.js';
import { Agents, Proxies, Users } from './members.js';
import { cell, laneOf, mark, nodeLink, plain, state as pillOf } from './parts.js';

/** Healths, the worst first: that is how they are counted above the tables. */
const WORST = ['down', 'falling', 'rising', 'unknown', 'up'];

/** Columns of a door's table. */
const COLUMNS = /** @type {import('./forms.js').Column<Backend>[]} */ ([['instance', '', ({ proxy }) => proxy], ['configured', '', ({ admin }) => admin],
  ['health', '', ({ health }) => WORST.indexOf(health)], ['share', 'n', ({ total }) => total], ['open', 'n', ({ open }) => open],
  ['total', 'n', ({ total }) => total], ['connects failed', 'n', ({ failed }) => failed], ['bytes', 'n', (one) => one.bytes_up + one.bytes_down],
  ['connect p50', 'n', (one) => one.connect_p50_us], ['p95', 'n', (one) => one.connect_p95_us], ['since', 'n', (one) => one.since_us],
  ['last check', '', ({ checks }) => checks.at(-1)?.text ?? null], ['flows/s, 60 s']]);

/** @typedef {{field: string, value: string, not: boolean}} Term */

/** @type {DoorsPage | null} */
let page = null;

/** @param {HTMLElement} root @param {Context} context */
export function mount(root, context) {
  page = new DoorsPage(root, context);
}

/** @param {State} state */
export function draw(state) {
  page?.draw(state);
}

export function unmount() {
  page = null;
}

/**
 * Terms of the filter: `health:down door:internal !proxy:2 orders`.
 * @param {string} text
 * @returns {Term[]}
 */
export function terms(text) {
  return text.toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
    const not = word.startsWith('!');
    const [, field = '', value = ''] = /^(?:(\w+)[:=])?(.*)$/s.exec(not ? word.slice(1) : word) ?? [];
    return { field, value, not };
  });
}

/** @param {Term[]} wanted @param {Record<string, string>} row */
export function matches(wanted, row) {
  return wanted.every(({ field, value, not }) => {
    const texts = field ? [row[field] ?? ''] : Object.values(row);
    return texts.some((text) => text.toLowerCase().includes(value)) !== not;
  });
}

export class DoorsPage {
  context;
  #filter = h('input', { type: 'search', autocomplete: 'off', spellcheck: 'false', class: 'mono', placeholder: 'health:down',
    'data-filter': true });
  #sums = h('ul', { class: 'worst', 'aria-label': 'Health of all instances, the worst first' });
  #bar = h('div', { class: 'several', role: 'group', 'aria-label': 'Act on the chosen ones' });
  #doors = h('div', { class: 'doors' });
  #none = h('p', { class: 'about', hidden: true }, 'Nothing matches this filter.');
  #said = h('p', { role: 'status', class: 'about' });
  #now = h('p', { class: 'about' });
  /** @type {Map<string, Door>} */
  #shown = new Map();
  /** @type {Set<string>} nodes that are ticked */
  chosen = new Set();
  #members;
  /** @type {State | null} */
  #state = null;

  /** @param {HTMLElement} root @param {Context} context */
  constructor(root, context) {
    this.context = context;
    this.#filter.value = context.query.get('filter') ?? '';
    this.#filter.addEventListener('input', () => {
      context.query.set({ filter: this.#filter.value }, false);
      this.again();
    });
    this.#members = [new Proxies(this), new Agents(this), new Users(this)];
    root.append(h('section', { 'aria-labelledby': 'doors-title' },
      h('header', {}, h('h2', { id: 'doors-title' }, 'Doors and pool'), this.#sums,
        h('label', { class: 'wide' }, h('span', { class: 'unseen' }, 'filter'), this.#filter)),
      this.#now, this.#said, this.#bar, this.#doors, this.#none, legend()),
    ...this.#members.map(({ element }) => element), tokenHint(context) ?? '');
  }

  get mayChange() {
    return this.context.mayChange();
  }

  /** Whether something can be done now: with the token, live, now. */
  get mayAct() {
    return this.mayChange && this.#state !== null && still(this.#state) === null;
  }

  /** Draws what is known once more. */
  again() {
    if (this.#state) this.draw(this.#state);
  }

  /** @param {string[]} nodes @param {Act} act */
  #act(nodes, act) {
    return askAct(nodes, act, (text) => {
      say(this.#said, text);
      this.chosen.clear();
      this.again();
    });
  }

  /** A box that chooses a node for the acts on several; nothing without the token. @param {string} node */
  tick(node) {
    if (!this.mayChange) return null;
    const box = h('input', { type: 'checkbox', 'aria-label': `choose ${visible(node)}` });
    box.checked = this.chosen.has(node);
    box.addEventListener('change', () => {
      if (box.checked) this.chosen.add(node);
      else this.chosen.delete(node);
      this.again();
    });
    return box;
  }

  /** What makes sense for a node that is configured so. @param {string} node @param {string} admin */
  buttons(node, admin) {
    const acts = /** @type {Act[]} */ (admin === 'ready' ? ['drain', 'stop'] : admin === 'stopped' ? ['start'] : ['start', 'stop'])
      .filter((act) => act !== 'drain' || /^(balancer|proxy)\//.test(node));
    return acts.map((act) => {
      const button = h('button', { type: 'button', class: 'small', disabled: !this.mayAct, 'aria-label': `${act} ${visible(node)}` }, act);
      button.addEventListener('click', () => this.#act([node], act));
      return button;
    });
  }

  /** @param {State} state */
  draw(state) {
    this.#state = state;
    const lab = state.snapshot;
    if (!lab) return;
    this.#drawSums(lab);
    const why = still(state);
    say(this.#now, why ?? '');
    this.#now.hidden = why === null;
    const asked = this.context.query.get('filter') ?? '';
    if (this.#filter.value !== asked) this.#filter.value = asked;
    const wanted = terms(asked);
    let some = false;
    each(this.#doors, lab.balancers, ({ name }) => name, (door) => {
      const made = new Door(this, door);
      this.#shown.set(door.name, made);
      return made.element;
    }, (element, door) => {
      const any = this.#shown.get(door.name)?.draw(lab, door, wanted, state.at) ?? false;
      element.hidden = !any;
      some ||= any;
    });
    for (const part of this.#members) some = part.draw(lab, wanted, state.at) || some;
    this.#none.hidden = some;
    this.#drawBar();
  }

  /** @param {Snapshot} lab */
  #drawSums(lab) {
    const all = lab.balancers.flatMap(({ backends }) => backends.map(({ health }) => String(health)));
    const sums = WORST.map((health) => ({ health, n: all.filter((one) => one === health).length })).filter(({ n }) => n);
    each(this.#sums, sums, ({ health }) => health, ({ health }) => {
      const button = h('button', { type: 'button', class: 'chip', title: `show only ${health}` }, pillOf(health), ' ', h('b', {}));
      button.addEventListener('click', () => {
        this.#filter.value = this.#filter.value === `health:${health}` ? '' : `health:${health}`;
        this.#filter.dispatchEvent(new Event('input'));
      });
      return h('li', {}, button);
    }, (item, { n }) => say(/** @type {Element} */ (item.querySelector('b')), `${count(n)}/${count(all.length)}`));
  }

  #drawBar() {
    const nodes = [...this.chosen].sort();
    this.#bar.hidden = nodes.length === 0;
    const key = `${nodes.join()} ${this.mayAct}`;
    if (this.#bar.dataset['key'] === key) return;
    this.#bar.dataset['key'] = key;
    const acts = /** @type {const} */ (['drain', 'stop', 'start']).map((act) => {
      const button = h('button', { type: 'button', disabled: !this.mayAct }, `${act[0]?.toUpperCase()}${act.slice(1)} ${plural(nodes.length, 'node')}`);
      button.addEventListener('click', () => this.#act(nodes, act));
      return button;
    });
    const none = h('button', { type: 'button' }, 'None');
    none.addEventListener('click', () => {
      this.chosen.clear();
      if (this.#state) this.draw(this.#state);
    });
    this.#bar.replaceChildren(h('span', {}, `${visible(nodes.join(', '))}: `), ...acts, none);
  }
}

/** How many doors were drawn: their headings need ids of their own. */
let doors = 0;

/** One door: its head, its table, its chart. */
class Door {
  #page;
  #title = h('h3', {});
  #numbers = h('p', { class: 'numbers' });
  #body = h('tbody');
  #foot = h('tr', {});
  #acts = h('span', { class: 'acts' });
  #chart;
  #files;
  /** @type {Order<Backend>} */
  #order;
  element;
  /** @type {Set<string>} instances whose checks are open */
  #open = new Set();

  /** @param {DoorsPage} page @param {Balancer} door */
  constructor(page, door) {
    this.#page = page;
    this.#files = files(page.context, 'backends', { door: door.name });
    this.#chart = new DoorChart();
    this.#order = new Order(page.context, door.name);
    // A name may have spaces, which part the ids of a reference.
    doors += 1;
    const id = `door-${doors}`;
    set(this.#title, { id });
    this.element = h('article', { class: 'door', 'aria-labelledby': id },
      h('header', {}, this.#title, this.#numbers, this.#acts, this.#files.element),
      boxed(id, `Door ${visible(door.name)}: each instance as it sees it`, this.#order.element, this.#body,
        h('tfoot', {}, this.#foot)),
      this.#chart.element);
  }

  /**
   * @param {Snapshot} lab
   * @param {Balancer} door
   * @param {Term[]} wanted
   * @param {number | null} at
   */
  draw(lab, door, wanted, at) {
    this.#order.draw(this.#page.mayChange ? [...COLUMNS, ['']] : COLUMNS);
    const shown = this.#order.sort(door.backends).filter((one) => matches(wanted, { door: door.name, instance: one.proxy, proxy: one.proxy,
      health: one.health, admin: one.admin, configured: one.admin, cause: one.cause }));
    const lane = laneOf(lab, door.network);
    set(this.element, { class: `door ${lane}` });
    this.#files.at(at);
    redo(this.#title, `${door.name} ${door.admin}`, () => [nodeLink(`balancer/${door.name}`, door.name), ' ',
      h('span', { class: 'mono quiet' }, visible(door.listen.join(' '))), ' ', pillOf(door.admin)]);
    redo(this.#numbers, JSON.stringify([door.open, door.opened, door.refused, door.no_backend, door.meant_for]), () => [
      door.meant_for ? `for ${visible(door.meant_for)}, ` : '', h('b', {}, count(door.open)), ' open, ', h('b', {}, count(door.opened)), ' let in, ',
      h('b', { class: door.refused ? 'is-bad' : null }, count(door.refused)), ' refused, ',
      h('b', { class: door.no_backend ? 'is-bad' : null }, count(door.no_backend)), ' found no instance']);
    if (this.#page.mayChange) {
      redo(this.#acts, `${door.admin} ${this.#page.mayAct}`, () => this.#page.buttons(`balancer/${door.name}`, door.admin));
    }
    const total = sum(door.backends, (one) => one.total);
    const proxies = new Map(lab.proxies.map((proxy) => [proxy.name, proxy]));
    const parts = shown.flatMap((one) => this.#open.has(one.proxy)
      ? [{ key: one.proxy, one, checks: false }, { key: ` ${one.proxy}`, one, checks: true }]
      : [{ key: one.proxy, one, checks: false }]);
    rows(this.#body, parts, ({ key }) => key, ({ one, checks }) => {
      if (checks) return [cell(JSON.stringify(one.checks), () => [checkList(one.checks)])];
      const rates = lab.rates.backends[`${door.name}/${one.proxy}`] ?? [];
      const left = one.admin === 'draining' ? `${plural(one.open, 'flow')}, ${plural(proxies.get(one.proxy)?.tunnels ?? 0, 'tunnel')} left` : '';
      const last = one.checks.at(-1);
      return [
        cell(`${one.proxy} ${this.#page.chosen.has(`proxy/${one.proxy}`)}`, () => [this.#page.tick(`proxy/${one.proxy}`), nodeLink(`proxy/${one.proxy}`, one.proxy)]),
        cell(one.admin + left, () => [pillOf(one.admin), left ? h('span', { class: 'under left' }, left) : null]),
        cell(one.health + one.cause, () => [h('span', { title: visible(one.cause) }, pillOf(one.health))]),
        plain(total ? `${Math.round(100 * one.total / total)} %` : '–', 'n'),
        plain(count(one.open), one.open ? 'n' : 'n quiet'), plain(count(one.total), 'n'),
        plain(count(one.failed), one.failed ? 'n strong is-bad' : 'n quiet'),
        plain(bytes(one.bytes_up + one.bytes_down), 'n'),
        plain(one.connect_p50_us === null ? '–' : span(one.connect_p50_us), 'n'),
        plain(one.connect_p95_us === null ? '–' : span(one.connect_p95_us), 'n'),
        cell(String(one.since_us), () => [h('time', { title: `${visible(one.cause)}, at ${instant(one.since_us)}` }, instant(one.since_us))], 'n'),
        cell(JSON.stringify([last, this.#open.has(one.proxy)]), () => [this.#checkButton(door.name, one, last)], 'check'),
        cell(rates.join(), () => [spark(rates, `flows a second to ${one.proxy}`)]),
        ...this.#page.mayChange ? [cell(`${one.admin} ${this.#page.mayAct}`, () => this.#page.buttons(`proxy/${one.proxy}`, one.admin), 'acts')] : [],
      ];
    }, ({ one, checks }) => ({ class: checks ? 'opened' : `is-${one.health} is-${one.admin}` }));
    for (const row of this.#body.querySelectorAll('.opened > th')) set(row, { colspan: COLUMNS.length + 1 });
    this.#drawFoot(door, shown, total);
    this.#chart.draw(lab, door.name);
    return shown.length > 0 || wanted.length === 0;
  }

  /** @param {string} door @param {Backend} one @param {Check | undefined} last */
  #checkButton(door, one, last) {
    const open = this.#open.has(one.proxy);
    const button = h('button', { type: 'button', class: 'row', 'aria-expanded': String(open) },
      last ? checked(last) : visible(one.cause), h('span', { class: 'unseen' }, `, the last checks of ${visible(one.proxy)} by ${visible(door)}`));
    button.addEventListener('click', () => {
      if (open) this.#open.delete(one.proxy);
      else this.#open.add(one.proxy);
      this.#page.again();
    });
    return button;
  }

  /** @param {Balancer} door @param {Backend[]} shown @param {number} total */
  #drawFoot(door, shown, total) {
    const up = door.backends.filter(({ health }) => health === 'up').length;
    const part = sum(shown, (one) => one.total);
    fill(this.#foot, ['all', '', plain(`${up}/${door.backends.length} up`, up < door.backends.length ? 'strong' : ''),
      plain(total ? `${Math.round(100 * part / total)} %` : '–', 'n'), plain(count(sum(shown, (one) => one.open)), 'n'), plain(count(part), 'n'),
      plain(count(sum(shown, (one) => one.failed)), 'n'), plain(bytes(sum(shown, (one) => one.bytes_up + one.bytes_down)), 'n'),
      '', '', '', '', '', ...this.#page.mayChange ? [''] : []]);
  }
}

/** @template T @param {readonly T[]} list @param {(item: T) => number} number */
function sum(list, number) {
  return list.reduce((all, item) => all + number(item), 0);
}

/** @param {Check} check */
function checked({ ok, text }) {
  return ok ? 'passed' : `failed: ${visible(text)}`;
}

/** @param {Check[]} checks newest last */
function checkList(checks) {
  if (!checks.length) return h('p', { class: 'about' }, 'Not checked yet.');
  return h('ol', { class: 'checks', 'aria-label': 'The last checks, newest first' }, ...[...checks].reverse().map((check) =>
    h('li', { class: check.ok ? null : 'is-bad' }, h('time', {}, instant(check.at_us)), mark(check.ok ? 'up' : 'down'),
      h('span', {}, checked(check)),
      h('span', { class: 'quiet' }, check.took_us === null ? '' : span(check.took_us)))));
}

function legend() {
  const words = /** @type {[string, string][]} */ ([['up', 'checks pass'], ['rising', 'some passed, not yet enough'], ['falling', 'some failed, not yet enough'],
    ['down', 'gets no flows'], ['unknown', 'not checked yet'], ['draining', 'keeps what is open, gets nothing new'], ['drained', 'nothing is left'], ['stopped', 'does not listen']]);
  return h('details', {}, h('summary', {}, 'What the words mean'), h('dl', { class: 'help' },
    ...words.flatMap(([word, text]) => [h('dt', {}, pillOf(word)), h('dd', {}, text)])));
}
