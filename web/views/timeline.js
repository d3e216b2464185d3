// @ts-check
// The page Timeline: everything that was decided, on one axis and as a table; a visit or dial opens
// as its hops. A run can be exported, and opened again here.

/** @import {Context, State} from '../main.js' */
/** @import {Fact, Timeline} from '../types.js' */
/** @import {Window} from './axis.js' */

import { h, redo, say, set } from '../dom.js';
import { count, instant, plural, visible } from '../format.js';
import { BundleSource, openRun } from '../bundle.js';
import { isTraffic } from '../store.js';
import { savers } from '../table.js';
import { atText } from '../timebar.js';
import { VirtualBody } from '../virtual.js';
import { pan, zoom } from './axis.js';
import { waterfall } from './hops.js';
import { Lanes } from './lanes.js';
import { cell, mark, nodeLink, plain } from './parts.js';

/** How often a window is asked for while it still grows. */
const EVERY_MS = 1_500;

/**
 * A line of the table.
 * @typedef {{key: string, at: number, lane: string, node: string, text: string, bad: boolean, request: number | null}} Row
 */

/** @type {TimelinePage | null} */
let page = null;

/** @param {HTMLElement} root @param {Context} context */
export function mount(root, context) {
  page = new TimelinePage(root, context);
  addEventListener('dragover', page.drop);
  addEventListener('drop', page.drop);
}

/** @param {State} state */
export function draw(state) {
  page?.draw(state);
}

export function unmount() {
  if (page) {
    removeEventListener('dragover', page.drop);
    removeEventListener('drop', page.drop);
  }
  page = null;
}

export function escape() {
  return page?.escape() ?? false;
}

class TimelinePage {
  #context;
  #lanes;
  #said = h('p', { class: 'about', role: 'status' });
  /** What came of opening a file: it stays until the next one. */
  #opened = h('p', { class: 'about', role: 'alert' });
  #left = h('details', { class: 'about', hidden: true });
  #span = h('span', { class: 'mono quiet' });
  #all = h('button', { type: 'button' }, 'Show all');
  #file = h('input', { type: 'file', accept: '.json,.gz,.html,application/json,application/gzip,text/html', hidden: true, tabindex: '-1', 'aria-label': 'A run in a file' });
  #export = h('a', { class: 'button', href: '/api/export?form=gz', download: 'run.json.gz' }, 'Export this run');
  #filter = h('input', { type: 'search', class: 'mono', 'data-filter': true, autocomplete: 'off', spellcheck: 'false', placeholder: 'orders refused' });
  #traffic = h('input', { type: 'checkbox' });
  #count = h('output', { class: 'quiet' });
  #box = h('div', { class: 'scroll tall', tabindex: '0', role: 'region', 'aria-label': 'Decisions' });
  #none = h('p', { class: 'about' });
  #body;
  /** @type {State | null} */
  #state = null;
  /** @type {Timeline | null} */
  #timeline = null;
  #of = '';
  #busy = false;
  #asked = 0;
  #wait = 0;
  #drawn = '';
  /** @type {Row[]} */
  #shown = [];
  /** The newest row of the instant that is looked at. @type {string | null} */
  #here = null;
  /** @type {number | null} */
  #at = null;
  /** @type {string | null} */
  #open = null;
  /** @type {Map<string, Node>} */
  #details = new Map();

  /** @param {HTMLElement} root @param {Context} context */
  constructor(root, context) {
    this.#context = context;
    this.#lanes = new Lanes({
      brush: (window) => this.#show(window),
      click: (us) => context.look(us, true),
      key: (key) => this.#key(key),
    });
    const table = h('table', { class: 'virtual decisions' }, h('caption', { class: 'unseen' }, 'Decisions, newest first'),
      h('thead', {}, h('tr', {}, ...[['time', 'when'], ['who', 'who'], ['what', 'what'], ['', 'acts']].map(([text, name]) => h('th', { scope: 'col', class: name }, text || h('span', { class: 'unseen' }, 'look'))))));
    this.#box.append(table);
    this.#body = new VirtualBody(this.#box, table, {
      key: (row) => row.key, cells: (row) => this.#cells(row), detail: (row) => this.#detail(row),
      attributes: ({ bad, key }) => ({ class: [bad ? 'is-odd' : '', key === this.#here ? 'is-here' : ''].join(' ').trim() || null }),
    });
    table.addEventListener('click', (event) => {
      const button = event.target instanceof Element ? event.target.closest('button[data-key]') : null;
      const key = button?.getAttribute('data-key');
      if (key) this.#toggle(key === this.#open ? null : key);
    });
    this.#filter.value = context.query.get('filter') ?? '';
    this.#traffic.checked = context.query.get('traffic') === '1';
    this.#filter.addEventListener('input', () => context.query.set({ filter: this.#filter.value }));
    this.#traffic.addEventListener('change', () => context.query.set({ traffic: this.#traffic.checked ? '1' : null }));
    this.#all.addEventListener('click', () => context.query.set({ from: null, to: null }, true));
    const open = h('button', { type: 'button' }, 'Open a run…');
    open.addEventListener('click', () => this.#file.click());
    this.#file.addEventListener('change', () => this.#read(this.#file.files));
    root.append(h('section', { 'aria-labelledby': 'timeline-title' },
      h('header', {}, h('h2', { id: 'timeline-title' }, 'Timeline'), this.#span, this.#all, h('span', { class: 'acts' }, this.#export, ' ', open, this.#file)),
      this.#said, this.#opened, this.#left, this.#lanes.element),
    h('section', { 'aria-labelledby': 'decisions-title' },
      h('header', {}, h('h2', { id: 'decisions-title' }, 'Decisions'), this.#count,
        h('label', { class: 'wide' }, h('span', { class: 'unseen' }, 'filter the decisions'), this.#filter),
        h('label', {}, this.#traffic, ' all traffic'),
        savers('decisions', ['at_us', 'node', 'text', 'bad'], () => this.#shown.map((row) => [String(row.at), row.node, row.text, String(row.bad)]))), this.#box, this.#none));
  }

  /** A file that is dropped on the page is opened, where the browser would leave for it. @param {DragEvent} event */
  drop = (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    if (event.type === 'drop') this.#read(event.dataTransfer.files);
  };

  escape() {
    if (this.#open !== null) {
      this.#toggle(null);
      return true;
    }
    if (this.#context.query.get('from') === null) return false;
    this.#context.query.set({ from: null, to: null }, true);
    return true;
  }

  /** @returns {Window} */
  #whole() {
    const { now, timeline } = /** @type {State} */ (this.#state);
    const from = timeline?.oldest_us ?? now?.oldest_us ?? 0;
    return { from, to: Math.max(from + 1_000_000, now?.at_us ?? 0) };
  }

  /** @returns {Window} */
  #window() {
    const whole = this.#whole();
    const [from, to] = ['from', 'to'].map((name) => {
      const text = this.#context.query.get(name);
      return text === null || !Number.isFinite(Number(text)) ? null : Math.round(Number(text) * 1e6);
    });
    if (from == null || to == null || to <= from) return whole;
    return { from, to };
  }

  /** @param {Window} window */
  #show({ from, to }) {
    const whole = this.#whole();
    const all = from <= whole.from && to >= whole.to;
    this.#context.query.set(all ? { from: null, to: null } : { from: atText(from), to: atText(to) });
  }

  /** @param {string} key */
  #key(key) {
    if (!this.#state) return false;
    const [window, whole] = [this.#window(), this.#whole()];
    const { at, now } = this.#state;
    const here = at ?? now?.at_us ?? window.to;
    const around = here >= window.from && here <= window.to ? here : (window.from + window.to) / 2;
    if (key === '+' || key === '=') this.#show(zoom(window, 0.5, around, whole));
    else if (key === '-' || key === '−') this.#show(zoom(window, 2, around, whole));
    else if (key === 'ArrowLeft') this.#show(pan(window, -0.25, whole));
    else if (key === 'ArrowRight') this.#show(pan(window, 0.25, whole));
    else if (key === '0') this.#show(whole);
    else return false;
    return true;
  }

  /** @param {State} state */
  draw(state) {
    this.#state = state;
    const { now, at } = state;
    if (!now) return;
    const window = this.#window();
    const chosen = this.#context.query.get('from') !== null;
    this.#all.hidden = !chosen;
    this.#export.hidden = this.#context.source.kind !== 'lab';
    this.#drawLeft();
    say(this.#span, `${instant(window.from)} to ${instant(window.to)}`);
    if (chosen) this.#ask(window, now.at_us);
    else this.#timeline = state.timeline;
    const timeline = this.#timeline ?? state.timeline;
    if (!timeline) {
      say(this.#said, 'Asking for the timeline…');
      return;
    }
    say(this.#said, '');
    this.#lanes.draw(timeline, window, at ?? now.at_us);
    this.#table(timeline, window, state.facts, at);
  }

  /** Asks for a chosen window, again while it grows. @param {Window} window @param {number} now */
  async #ask(window, now) {
    const of = `${window.from} ${window.to} ${this.#context.source.name}`;
    const grows = window.to > now - 2_000_000;
    if (this.#busy || (of === this.#of && (!grows || performance.now() - this.#asked < EVERY_MS))) return;
    this.#busy = true;
    this.#of = of;
    this.#asked = performance.now();
    try {
      this.#timeline = await this.#context.source.timeline({ from_us: window.from, to_us: window.to });
    } catch (error) {
      say(this.#said, error instanceof Error ? visible(error.message) : '');
    }
    this.#busy = false;
    this.#context.redraw();
  }

  /** @param {Timeline} timeline @param {Window} window @param {Fact[]} facts @param {number | null} at */
  #table(timeline, window, facts, at) {
    const terms = this.#filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const traffic = this.#traffic.checked;
    const key = JSON.stringify([at, window, terms, traffic, timeline.to_us, timeline.lanes.map(({ marks }) => [marks.length, marks.at(-1)?.seq]), traffic ? facts.at(-1)?.seq : 0]);
    if (key === this.#drawn) return;
    this.#drawn = key;
    /** @type {Map<string, Row>} */
    const rows = new Map();
    const put = (/** @type {Row} */ row) => rows.set(row.key, row);
    timeline.steps.forEach((step) => step.at_us !== null && put({ key: `step ${step.index}`, at: step.at_us, lane: 'step', node: 'step', text: `${step.text} (${step.state})`, bad: step.state === 'failed', request: null }));
    timeline.expectations.forEach(({ index, text, ticks }) => ticks.forEach((tick) => put({ key: `expect ${index} ${tick.at_us}`, at: tick.at_us, lane: 'expected',
      node: 'expectation', text: `${tick.state}: ${text}${tick.text ? ` – ${tick.text}` : ''}`, bad: tick.state === 'failed', request: null })));
    for (const { lane, marks } of timeline.lanes) {
      for (const { seq, at_us: at, node, text, severity, request = null } of marks) {
        put({ key: String(seq), at, lane, node, text, bad: severity === 'bad', request });
      }
    }
    if (traffic) {
      for (const fact of facts.filter(isTraffic)) {
        const request = 'request' in fact && /^(user)\//.test(fact.node) ? fact.request : null;
        if (!rows.has(String(fact.seq))) put({ key: String(fact.seq), at: fact.at_us, lane: 'traffic', node: fact.node, text: fact.text, bad: false, request });
      }
    }
    const inside = [...rows.values()].filter(({ at }) => at >= window.from && at <= window.to);
    const shown = inside.filter((row) => terms.every((term) => `${row.lane} ${row.node} ${row.text}`.toLowerCase().includes(term)))
      .sort((a, b) => b.at - a.at || Number(b.key) - Number(a.key));
    const more = timeline.lanes.reduce((sum, lane) => sum + lane.more, 0);
    say(this.#count, `${shown.length < inside.length ? `${count(shown.length)} of ` : ''}${plural(inside.length, 'row')}${!more ? '' : this.#context.source.kind === 'lab' ? `; zoom in for ${count(more)} more` : `; ${count(more)} more are not in this file`}`);
    this.#box.hidden = !shown.length;
    this.#none.hidden = shown.length > 0;
    say(this.#none, inside.length ? 'Nothing matches this filter.' : 'Nothing was decided in this window.');
    this.#shown = shown;
    const here = at === null ? -1 : shown.findIndex((row) => row.at <= at);
    this.#here = shown[here]?.key ?? null;
    this.#body.show(shown);
    if (at !== this.#at && here >= 0) this.#body.reveal(here);
    this.#at = at;
  }

  /** @param {Row} row */
  #cells({ key, at, node, text, bad, request }) {
    return [
      cell(`${at}`, () => [h('a', { href: `/timeline?${this.#terms({ at: atText(at) })}`, 'aria-label': `look at ${instant(at)}` }, instant(at))], 'when mono'),
      cell(node, () => [/^(agent|user|balancer|proxy)\//.test(node) ? nodeLink(node, node) : visible(node)], 'who'),
      cell(`${bad} ${text}`, () => [...bad ? [mark('down'), ' '] : [], h('span', { title: visible(text) }, visible(text))], bad ? 'what is-bad' : 'what'),
      request === null ? plain('', 'acts') : cell(`${request}`, () => [h('button', { type: 'button', class: 'small', 'data-key': key, 'aria-label': `hops of ${visible(node)} ${request}` }, 'hops')], 'acts'),
    ];
  }

  /** @param {Record<string, string>} more */
  #terms(more) {
    const terms = Object.fromEntries(['from', 'to', 'filter', 'traffic'].map((name) => [name, this.#context.query.get(name) ?? '']));
    return new URLSearchParams({ ...terms, ...more });
  }

  /** @param {string | null} key */
  #toggle(key) {
    this.#open = key;
    this.#body.open(key);
  }

  /** @param {Row} row */
  #detail({ key, node, request }) {
    const known = this.#details.get(key);
    if (known) return [known];
    const place = h('div', {}, h('p', { class: 'quiet' }, 'Asking…'));
    this.#details = new Map([[key, place]]);
    const told = (/** @type {Node} */ content) => {
      place.replaceChildren(content);
      this.#body.draw();
    };
    this.#context.source.request(node, request ?? 0).then((found) => told(waterfall(found)),
      (error) => told(h('p', {}, error instanceof Error ? visible(error.message) : '')));
    return [place];
  }

  /** @param {FileList | null} files */
  async #read(files) {
    const file = files?.[0];
    if (!file) return;
    redo(this.#opened, `reading ${file.name}`, () => [`Reading ${visible(file.name)}…`]);
    try {
      this.#context.open(new BundleSource(await openRun(file), file.name));
    } catch (error) {
      const why = error instanceof Error ? error.message : '';
      redo(this.#opened, `${file.name} ${why}`, () => [h('span', { class: 'is-bad' }, `${visible(file.name)}: ${visible(why)}`)]);
      set(this.#file, { value: null });
    }
  }

  #drawLeft() {
    const { source } = this.#context;
    const left = source.kind === 'file' ? source.bundle.left_out ?? [] : [];
    this.#left.hidden = left.length === 0;
    redo(this.#left, left.join('\n'), () => [h('summary', {}, 'What this file leaves out'), h('ul', {}, ...left.map((text) => h('li', {}, visible(text))))]);
  }
}
