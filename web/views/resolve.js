// @ts-check
// "Resolve as": what each view would answer to one client, side by side, and which of them it gets.

/** @import {Rec, Resolution, Snapshot, ViewAnswer} from '../types.js' */
/** @import {Context, State} from '../main.js' */

import * as calls from '../calls.js';
import { h, say, set } from '../dom.js';
import { plural, visible } from '../format.js';
import { copier, failure, field, place } from './forms.js';
import { laneOfView, mark, pill } from './parts.js';

const TYPES = ['A', 'AAAA', 'CNAME', 'MX', 'NS', 'SOA', 'SRV', 'TXT', 'PTR', 'CAA', 'HTTPS', 'DS', 'ANY'];
const FIELDS = /** @type {const} */ (['as', 'name', 'type', 'transport', 'subnet']);

export class Resolve {
  #context;
  #form = h('form', { class: 'form', 'aria-label': 'Resolve as' });
  #askers = h('datalist', { id: 'askers' });
  #names = h('datalist', { id: 'names' });
  #result = h('div', { class: 'resolved', 'aria-live': 'polite' });
  #asked = '';
  /** Whether nobody asked yet, and the question is ours. */
  #guessed = false;
  /** The address that the form was filled from. */
  #of = '';
  #drawn = '';
  #lists = '';
  #rules = '';
  #note = h('p', { class: 'about', hidden: true });
  /** @type {Snapshot | null} */
  #lab = null;

  /** @param {HTMLElement} root @param {Context} context */
  constructor(root, context) {
    this.#context = context;
    const input = (/** @type {string} */ name, /** @type {Record<string, string | boolean>} */ more) =>
      h('input', { name, autocomplete: 'off', spellcheck: 'false', ...more });
    this.#form.append(
      field('Resolve as', input('as', { list: 'askers', required: true, placeholder: 'agent, user, network or address', class: 'long' })),
      field('name', input('name', { list: 'names', required: true, placeholder: 'proxy.example.com', class: 'long mono' })),
      field('type', input('type', { list: 'types', required: true, class: 'tiny mono' })),
      field('over', h('select', { name: 'transport' }, h('option', { value: 'udp' }, 'UDP'), h('option', { value: 'tcp' }, 'TCP'))),
      field('client subnet', input('subnet', { placeholder: 'none', class: 'short mono' })),
      h('button', { class: 'main' }, 'Resolve'),
      this.#askers, this.#names, h('datalist', { id: 'types' }, ...TYPES.map((type) => h('option', { value: type }))));
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#asked = '';
      this.#guessed = false;
      context.query.set(Object.fromEntries(FIELDS.map((name) => [name, this.#value(name)])), true);
      this.#read();
    });
    root.append(h('section', { 'aria-labelledby': 'resolve-title' },
      h('h2', { id: 'resolve-title', class: 'unseen' }, 'Resolve as'), this.#form, this.#note, this.#result));
  }

  /** @param {string} name */
  #control(name) {
    return /** @type {HTMLInputElement} */ (this.#form.elements.namedItem(name));
  }

  /** @param {string} name */
  #value(name) {
    const value = this.#control(name).value.trim();
    // What need not be said stays out of the address.
    return (name === 'type' && value === 'A') || (name === 'transport' && value === 'udp') ? '' : value;
  }

  /** What the address asks. */
  #address() {
    return JSON.stringify(FIELDS.map((name) => this.#context.query.get(name)));
  }

  /** Fills the form from the address; asks when it says whom and what. */
  #read() {
    const { query } = this.#context;
    this.#of = this.#address();
    for (const name of FIELDS) {
      this.#control(name).value = query.get(name) || this.#guess(name);
    }
    this.#guessed = !(query.get('as') && query.get('name'));
    if (this.#guessed) {
      this.#asked = '';
      this.#hint();
    }
    this.#ask();
  }

  /** A first client and the name that is asked most: the page shows the point before anybody asks. @param {string} name */
  #guess(name) {
    const lab = this.#lab;
    if (name === 'as') return lab?.agents[0] ? `agent/${lab.agents[0].name}` : '';
    if (name === 'name') return this.#known(lab)[0] ?? '';
    return { type: 'A', transport: 'udp' }[name] ?? '';
  }

  /** Names that the lab's own nodes verified or asked, the shortest first. @param {Snapshot | null} lab */
  #known(lab) {
    const names = [...(lab?.agents ?? []).flatMap(({ tunnels }) => tunnels.flatMap(({ verified }) => verified === null ? [] : [verified])),
      ...(lab?.dns.queries ?? []).flatMap(({ asker, name }) => asker === null ? [] : [name.replace(/\.$/, '')])];
    return [...new Set(names)].filter((name) => /^[\w.-]+$/.test(name)).sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  }

  #hint() {
    this.#drawn = '';
    this.#result.replaceChildren(h('p', { class: 'about' },
      'Any client of the lab, or an address that you type, asks any name. All views answer side by side: what differs is marked, and so is the view that this client gets.'));
  }

  /** @param {State} state */
  draw({ snapshot, now, at, link }) {
    if (!snapshot || !now) return;
    this.#form.hidden = link === 'file';
    this.#note.hidden = at === null && link !== 'file';
    say(this.#note, link === 'file' ? 'This run is over: only a running lab can be asked.'
      : 'The rules that are in force now answer, not those of the instant that you look at.');
    this.#lab = snapshot;
    if (link === 'file') return;
    const askers = [...snapshot.networks.map(({ name, ranges }) => [`network/${name}`, ranges.join(' ')]),
      ...snapshot.agents.map(({ name, address }) => [`agent/${name}`, address]),
      ...snapshot.users.map(({ name, address }) => [`user/${name}`, address])];
    const names = this.#known(snapshot);
    const lists = JSON.stringify([askers, names]);
    if (lists !== this.#lists) {
      this.#lists = lists;
      this.#askers.replaceChildren(...askers.map(([value, label]) => h('option', { value, label: visible(`${value} ${label}`) })));
      this.#names.replaceChildren(...names.map((name) => h('option', { value: name, label: visible(name) })));
    }
    // A lab that just began has no name to guess yet.
    const blank = this.#guessed && this.#control('name').value === '' && !this.#form.contains(document.activeElement);
    if (this.#of !== this.#address() || (blank && names.length)) this.#read();
    // New rules answer anew, faults too.
    const rules = `${now.run} ${now.generation} ${now.faults.length}`;
    if (rules !== this.#rules) {
      this.#rules = rules;
      if (this.#asked) {
        this.#asked = '';
        this.#ask();
      }
    }
  }

  async #ask() {
    const asked = {
      as: this.#control('as').value.trim(), name: this.#control('name').value.trim(),
      type: this.#control('type').value.trim() || 'A',
      transport: /** @type {'udp' | 'tcp'} */ (this.#control('transport').value),
      subnet: this.#control('subnet').value.trim() || null,
    };
    const key = JSON.stringify(asked);
    if (!asked.as || !asked.name || key === this.#asked) return;
    this.#asked = key;
    set(this.#form, { 'aria-busy': 'true' });
    const said = await calls.resolve(asked);
    if (key !== this.#asked) return;
    set(this.#form, { 'aria-busy': null });
    const drawn = JSON.stringify(said);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    // A guess that finds no answer is not the reader's mistake.
    if (!said.ok && this.#guessed) return;
    this.#result.replaceChildren(...said.ok ? this.#draw(asked, said.body) : [failure(said)]);
  }

  /** @param {{as: string}} asked @param {Resolution} body */
  #draw(asked, body) {
    const who = asked.as === body.client ? asked.as : `${asked.as} (${body.client})`;
    const differ = body.views.filter(({ differs }) => differs).length;
    const verdict = body.chosen === null ? h('strong', { class: 'is-bad' }, 'no view')
      : pill(body.chosen, this.#lab ? laneOfView(this.#lab, body.chosen) : 'ink-none');
    return [
      h('p', { class: 'verdict' }, h('strong', {}, visible(who)), ' asks ', h('span', { class: 'mono' }, visible(body.destination)),
        ' and gets ', verdict, ': ', visible(body.why), '. ',
        h('span', { class: 'quiet' }, body.views.length < 2 ? 'There is no other view.'
          : differ ? `${plural(body.views.length, 'view')}, and they do not agree.` : `All ${body.views.length} views give the same.`)),
      h('div', { class: 'dig' }, h('code', {}, visible(body.dig)), copier(body.dig, 'Copy the dig line')),
      h('div', { class: 'views' }, ...body.views.map((view) => this.#view(view))),
      body.same.length ? h('p', { class: 'about' }, 'The same in all views: ', h('span', { class: 'mono' }, visible(body.same.join(', ')))) : null,
    ].filter((part) => part !== null);
  }

  /** @param {ViewAnswer} view */
  #view(view) {
    const lane = this.#lab ? laneOfView(this.#lab, view.view) : 'ink-none';
    const flags = [view.rcode, view.authoritative ? 'authoritative' : 'not authoritative', view.step];
    return h('article', { class: `answers ${lane}${view.chosen ? ' is-chosen' : ''}`, 'aria-label': `view ${visible(view.view)}` },
      h('header', {}, h('h3', {}, visible(view.view)),
        view.chosen ? h('span', { class: 'its' }, mark('up'), 'its view') : h('span', { class: 'quiet' }, 'not asked')),
      h('ul', { class: 'tried' }, ...view.tried.map(({ rule, matched, why }) =>
        h('li', { class: matched ? 'strong' : 'quiet' }, mark(matched ? 'up' : 'unknown'),
          h('span', {}, h('code', {}, visible(rule)), ` ${visible(why)}`)))),
      h('p', { class: view.rcode === 'NOERROR' ? 'rcode' : 'rcode is-bad' }, h('strong', {}, visible(flags[0] ?? '')),
        ` · ${visible(flags.slice(1).join(' · '))}`),
      view.extended_error ? h('p', { class: 'rcode is-bad' }, `extended error: ${visible(view.extended_error)}`) : null,
      ...records('answer', view.answer), ...records('authority', view.authority), ...records('additional', view.additional));
  }
}

/** @param {string} section @param {Rec[]} list */
function records(section, list) {
  if (!list.length) return section === 'answer' ? [h('p', { class: 'about' }, 'No answer records.')] : [];
  return [h('h4', {}, section), h('ul', { class: 'records' }, ...list.map((rec) =>
    h('li', { class: rec.differs ? 'differs' : null },
      h('span', { class: 'sign', title: rec.differs ? 'only here' : null }, rec.differs ? '≠' : ''),
      h('span', { class: 'mono' }, `${visible(rec.owner)} ${rec.ttl} ${visible(rec.rtype)} `, h('b', {}, visible(rec.data))),
      rec.differs ? h('span', { class: 'only' }, 'only here') : null,
      h('span', { class: 'under mono' }, rec.place ? place(rec.place) : 'made, not from a file'))))];
}
