// @ts-check
// The query log: filtered by the lab, live, pausable; 2,000 answers, of which those in sight are drawn.

/** @import {Asked as Query, Snapshot} from '../types.js' */
/** @import {Context, State} from '../main.js' */

import * as calls from '../calls.js';
import { each, h, say, set } from '../dom.js';
import { count, instant, plural, span, visible } from '../format.js';
import { VirtualBody } from '../virtual.js';
import { copier, place } from './forms.js';
import { cell, laneOfView, mark, nodeLink, pill, plain } from './parts.js';

/** How many answers are held by the page. */
const HELD = 2_000;

/** How often the lab is asked for newer ones, at most. */
const EVERY_MS = 500;

const COLUMNS = /** @type {[string, string][]} */ ([['time', 'when'], ['client', 'who'], ['question', 'what'],
  ['view', 'view'], ['rcode', 'rcode'], ['answer', 'answer'], ['took', 'took n']]);

const HELP = /** @type {[string, string][]} */ ([
  ['name:git', 'the name holds git; * stands for anything'],
  ['client:orders type:A', 'both; a space means and'],
  ['rcode!=NOERROR', 'other than; = is exactly, : holds'],
  ['!view:public', 'not'],
  ['"exact match"', 'words anywhere'],
]);

export class Queries {
  #context;
  #filter = h('input', { type: 'search', autocomplete: 'off', spellcheck: 'false', 'aria-describedby': 'filter-said',
    placeholder: 'client:orders rcode!=NOERROR', class: 'mono', 'data-filter': true });
  #pause = h('button', { type: 'button', 'aria-pressed': 'false' }, 'Pause the log');
  #count = h('output', { class: 'quiet' });
  #said = h('div', { id: 'filter-said' });
  #kinds = h('ul', { class: 'kinds' });
  #csv = h('a', { download: 'queries.csv' }, 'CSV');
  #json = h('a', { download: 'queries.json' }, 'JSON');
  #box = h('div', { class: 'scroll tall', tabindex: '0', role: 'region', 'aria-label': 'Query log' });
  #none = h('p', { class: 'about' });
  #body;
  #tools;
  /** @type {Query[]} newest first */
  #list = [];
  /** @type {Query[]} */
  #held = [];
  /** @type {string | null} */
  #open = null;
  #paused = false;
  /** Whether an open row paused it. */
  #byRow = false;
  /** The filter and instant that the list is of. */
  #of = '';
  #busy = false;
  #wanted = false;
  #asked = 0;
  /** @type {Snapshot | null} */
  #lab = null;
  /** @type {number | null} */
  #at = null;
  #newest = -1;

  /** @param {HTMLElement} root @param {Context} context */
  constructor(root, context) {
    this.#context = context;
    const table = h('table', { class: 'virtual queries' }, h('caption', { class: 'unseen' }, 'Answers, newest first'),
      h('thead', {}, h('tr', {}, ...COLUMNS.map(([text, name]) => h('th', { scope: 'col', class: name }, text)))));
    this.#box.append(table);
    this.#body = new VirtualBody(this.#box, table, {
      key: ({ seq }) => String(seq), cells: (query) => this.#cells(query),
      detail: (query) => this.#detail(query),
      attributes: (query) => ({ class: query.rcode === 'NOERROR' ? null : 'is-odd' }),
    });
    table.addEventListener('click', (event) => {
      const row = event.target instanceof Element && !event.target.closest('a, .opened') ? event.target.closest('tr') : null;
      const seq = row?.querySelector('button[data-seq]')?.getAttribute('data-seq');
      if (seq) this.open(seq === this.#open ? null : seq);
    });
    this.#tools = h('div', { class: 'tools' }, h('label', {}, h('span', { class: 'unseen' }, 'filter the query log'), this.#filter),
      this.#pause, h('span', { class: 'files' }, this.#csv, this.#json));
    this.#filter.addEventListener('input', () => {
      context.query.set({ filter: this.#filter.value });
      this.#ask();
    });
    this.#pause.addEventListener('click', () => {
      this.#byRow = false;
      this.pause(!this.#paused);
    });
    root.append(h('section', { 'aria-labelledby': 'log-title' },
      h('header', {}, h('h2', { id: 'log-title' }, 'Query log'), this.#count,
        this.#tools),
      this.#said, this.#kinds, this.#box, this.#none,
      h('details', {}, h('summary', {}, 'The filter’s language'),
        h('p', { class: 'about' }, 'Fields: client, asker, view, rule, name, type, rcode, transport, answer.'),
        h('dl', { class: 'help' }, ...HELP.flatMap(([term, text]) => [h('dt', {}, h('code', {}, term)), h('dd', {}, text)])))));
  }

  /** @param {boolean} paused */
  pause(paused) {
    this.#paused = paused;
    set(this.#pause, { 'aria-pressed': String(paused) });
    say(this.#pause, paused ? 'Let the log go on' : 'Pause the log');
    if (!paused) this.#take(this.#held);
    this.#held = [];
    this.#show();
  }

  /** @param {string | null} seq */
  open(seq) {
    // What one reads must not be pushed away by newer answers.
    if (seq !== null && !this.#paused) this.pause(this.#byRow = true);
    else if (seq === null && this.#byRow) this.pause(this.#byRow = false);
    this.#open = seq;
    this.#body.open(seq);
    this.#context.query.set({ row: seq });
  }

  /** @param {State} state */
  draw({ snapshot, at, link }) {
    if (!snapshot) return;
    this.#lab = snapshot;
    this.#at = at === null ? null : snapshot.seq;
    const asked = this.#context.query.get('filter') ?? '';
    if (this.#filter.value !== asked) this.#filter.value = asked;
    this.#tools.hidden = link === 'file';
    if (link === 'file') {
      // A run that is over holds the last answers of each instant; there is no one to filter more.
      this.#list = snapshot.dns.queries.map((query) => ({ place: null, dig: '', ...query })).reverse();
      this.#count.dataset['of'] = plural(this.#list.length, 'answer');
      this.#show();
      return;
    }
    if (link !== 'live') return;
    const newest = snapshot.dns.queries.at(-1)?.seq ?? 0;
    this.#kindsOf(snapshot);
    if (newest === this.#newest && this.#of === this.#key()) return;
    this.#newest = newest;
    this.#ask();
  }

  #key() {
    return JSON.stringify([this.#filter.value, this.#at, this.#lab?.run]);
  }

  /** Exact counts, as ways to filter. @param {Snapshot} lab */
  #kindsOf(lab) {
    each(this.#kinds, lab.dns.answers, ({ view, rule, rcode }) => JSON.stringify([view, rule, rcode]), ({ view, rcode }) => {
      const filter = `${view === null ? '' : `view=${quoted(view)} `}rcode=${rcode}`;
      const button = h('button', { type: 'button', class: 'chip', title: `filter: ${visible(filter)}` },
        view === null ? 'no view' : visible(view), ' ', h('b', {}, visible(rcode)), ' ', h('span', {}));
      button.addEventListener('click', () => {
        this.#filter.value = this.#filter.value === filter ? '' : filter;
        this.#filter.dispatchEvent(new Event('input'));
      });
      return h('li', { class: laneOfView(lab, view) }, button);
    }, (item, answers) => say(/** @type {Element} */ (item.querySelector('span')), count(answers.count)));
  }

  /** Asks for what is newer, or for all when filter or instant changed; one question at a time. */
  #ask() {
    if (this.#busy) {
      this.#wanted = true;
      return;
    }
    const fresh = this.#key() !== this.#of;
    const wait = fresh ? 0 : EVERY_MS - (Date.now() - this.#asked);
    this.#busy = true;
    this.#wanted = false;
    setTimeout(async () => {
      this.#asked = Date.now();
      await this.#load();
      this.#busy = false;
      if (this.#wanted || this.#key() !== this.#of) this.#ask();
    }, Math.max(0, wait));
  }

  async #load() {
    const key = this.#key();
    const fresh = key !== this.#of;
    const filter = this.#filter.value;
    const after = fresh ? null : (this.#held[0] ?? this.#list[0])?.seq ?? null;
    const said = await calls.queries({ filter, limit: HELD, after_seq: after,
      before_seq: this.#at === null ? null : this.#at + 1 });
    if (key !== this.#key() && !fresh) return;
    this.#of = key;
    set(this.#filter, { 'aria-invalid': said.ok ? null : 'true' });
    if (!said.ok) {
      this.#said.replaceChildren(wrong(filter, said.text, said.column));
      this.#box.hidden = this.#list.length === 0;
      return;
    }
    this.#said.replaceChildren();
    const { queries, matched, held } = said.body;
    if (fresh) [this.#list, this.#held] = [queries, []];
    else if (this.#paused) this.#held = [...queries, ...this.#held].slice(0, HELD);
    else this.#take(queries);
    this.#count.dataset['of'] = filter.trim() ? `${count(matched)} of ${count(held)} match` : this.#at === null ? plural(held, 'answer') : `${plural(this.#list.length, 'answer')} until this instant`;
    this.#show();
  }

  /** @param {Query[]} newer */
  #take(newer) {
    const last = this.#list[0]?.seq ?? -1;
    this.#list = [...newer.filter(({ seq }) => seq > last), ...this.#list].slice(0, HELD);
  }

  #show() {
    const filter = this.#filter.value.trim();
    say(this.#count, [this.#count.dataset['of'], this.#paused ? `${count(this.#held.length)} held back` : '']
      .filter(Boolean).join(', '));
    set(this.#csv, { href: calls.queriesFile('csv', filter) });
    set(this.#json, { href: calls.queriesFile('json', filter) });
    this.#box.hidden = this.#list.length === 0;
    this.#none.hidden = this.#list.length > 0;
    say(this.#none, filter ? 'No answer matches this filter.' : 'No answers yet. Agents and users ask by themselves; so can dig.');
    this.#body.show(this.#list);
    const row = this.#context.query.get('row');
    if (row && row !== this.#open) {
      this.#open = row;
      this.#body.open(row);
    }
  }

  /** @param {Query} query */
  #cells(query) {
    const { seq, asker, client, subnet, view, rule, rcode, answer, rtype, transport } = query;
    const address = client.replace(/:\d+$/, '');
    const what = visible(`${query.name} ${rtype}`);
    const lane = this.#lab ? laneOfView(this.#lab, view) : 'ink-none';
    const data = visible(answer.join(', '));
    return [
      cell(String(query.at_us), () => [h('button', { type: 'button', class: 'row', 'data-seq': seq,
        'aria-label': `${instant(query.at_us)}, ${what}: details` }, instant(query.at_us))], 'when mono'),
      cell(`${client} ${asker} ${subnet}`, () => [asker === null ? null : nodeLink(asker, asker.replace(/^\w+\//, '')),
        asker === null ? visible(address) : h('span', { class: 'quiet' }, ` ${visible(address)}`),
        subnet === null ? null : ` for ${visible(subnet)}`], 'who'),
      cell(`${what} ${transport}`, () => [h('span', { title: what }, what),
        transport === 'udp' ? null : h('span', { class: 'quiet' }, ` ${visible(transport)}`)], 'what mono'),
      cell(`${view} ${rule}`, () => [view === null ? 'none' : pill(view, lane),
        rule === null || rule === view ? null : h('span', { class: 'quiet' }, ` ${visible(rule)}`)], 'view'),
      cell(rcode, () => rcode === 'NOERROR' ? ['NOERROR'] : [mark('finding'), ` ${visible(rcode)}`], 'rcode'),
      cell(data || rcode, () => [data ? h('span', { title: data }, data) : h('span', { class: 'quiet' }, visible(rcode))], 'answer mono'),
      plain(query.took_us === null ? '' : span(query.took_us), 'took n quiet'),
    ];
  }

  /** @param {Query} query */
  #detail(query) {
    const as = query.asker ?? query.client.replace(/:\d+$/, '');
    const terms = { as, name: query.name.replace(/\.$/, ''), type: query.rtype, subnet: query.subnet };
    const pairs = /** @type {[string, Node | string | null][]} */ ([
      ['why', query.rule === null ? visible(query.why) : `rule ${visible(query.rule)}; ${visible(query.why)}`],
      ['record', query.place ? h('span', { class: 'mono' }, place(query.place)) : null],
      ['client', h('span', { class: 'mono' }, visible(`${query.client} ${query.transport}${query.subnet ? ` subnet ${query.subnet}` : ''}`))],
      ['answer', h('span', { class: 'mono' }, visible(query.answer.join(', ') || query.rcode))],
    ]);
    return [h('dl', { class: 'pairs' }, ...pairs.flatMap(([name, value]) =>
      value === null ? [] : [h('dt', {}, name), h('dd', {}, value)])),
    query.dig ? h('div', { class: 'dig' }, h('code', {}, visible(query.dig)), copier(query.dig, 'Copy the dig line'),
      h('a', { href: this.#context.href('dns', terms) }, 'Resolve as this client')) : null];
  }
}

/** @param {string} text a value of the filter language */
function quoted(text) {
  return /^[\w.*-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/**
 * A wrong filter with a caret below the place.
 * @param {string} filter
 * @param {string} text
 * @param {number | null} column
 */
function wrong(filter, text, column) {
  return h('div', { class: 'notice is-bad', role: 'alert' }, column === null ? null
    : h('pre', { 'aria-hidden': 'true' }, `${visible(filter)}\n${' '.repeat(column - 1)}^`), h('p', {}, visible(text)));
}
