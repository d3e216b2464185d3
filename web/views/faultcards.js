// @ts-check
// Faults by hand: a card per word with target, dose and duration; those in force with what is left.

/** @import {Fault, FaultWord, Snapshot} from '../types.js' */
/** @import {Context} from '../main.js' */

import * as calls from '../calls.js';
import { each, h, say } from '../dom.js';
import { instant, plural, visible } from '../format.js';
import { failure, field, files } from './forms.js';
import { mark } from './parts.js';

/** The same fault as a command, whose options stay whole. @param {FaultWord} one */
function shellLine({ word, targets, by, to }) {
  const target = visible(targets[0] ?? '');
  const options = [by ? `--by ${by.default}${by.unit}` : '', to?.[0] ? `--to ${visible(to[0])}` : '', '--for 30s'].filter(Boolean);
  return h('code', {}, `twodoors fault set ${word} ${/\s/.test(target) ? `'${target}'` : target}`, ...options.flatMap((option) => [' ', h('span', {}, option)]));
}

/** How often the countdown is drawn. */
const TICK_MS = 500;

export class FaultCards {
  #may = false;
  #ended = false;
  #cards = h('div', { class: 'cards' });
  #armed = h('ul', { class: 'armed' });
  #none = h('p', { class: 'about' }, 'No fault is in force.');
  #clear = h('button', { type: 'button' }, 'Clear all');
  #said = h('p', { role: 'status', class: 'about' });
  #files;
  #timer;
  /** @type {Snapshot | null} */
  #lab = null;
  /** When the newest snapshot came, by the page's clock. */
  #came = 0;
  #live = true;

  /** @param {Context} context */
  constructor(context) {
    this.#files = files(context, 'faults');
    this.element = h('section', { 'aria-labelledby': 'arm-title' },
      h('header', {}, h('h2', { id: 'arm-title' }, 'Faults by hand'), context.mayChange() ? this.#clear : null, this.#files.element),
      this.#none, this.#armed, this.#said, this.#cards);
    this.#clear.addEventListener('click', () => this.#lift(null));
    this.#timer = setInterval(() => this.#countdown(), TICK_MS);
    this.#load(context);
  }

  end() {
    this.#ended = true;
    clearInterval(this.#timer);
  }

  /** @param {Context} context */
  async #load(context) {
    if (context.source.kind === 'file') return;
    const said = await calls.catalogue();
    if (this.#ended) return;
    if (!said.ok) this.#cards.replaceChildren(failure(said));
    else this.#cards.replaceChildren(...said.body.words.map((word) => this.#card(word, context.mayChange())));
  }

  /** @param {FaultWord} one @param {boolean} mayChange */
  #card(one, mayChange) {
    const { word, title, text, targets, by, to } = one;
    const form = h('form', { class: 'form' });
    const options = (/** @type {string[]} */ list) => list.map((value) => h('option', { value }, visible(value)));
    // Any other target that the lab takes may be typed.
    form.append(field('target', h('input', { name: 'target', list: `targets-${word}`, required: true, value: targets[0] ?? '', class: 'long' })),
      h('datalist', { id: `targets-${word}` }, ...options(targets)));
    if (by) {
      form.append(field(by.unit, h('input', { name: 'by', type: 'number', min: by.min, max: by.max, step: by.step, value: by.default,
        required: by.required, class: 'tiny' })));
    }
    if (to) form.append(field('answers of', h('select', { name: 'to' }, ...options(to))));
    form.append(field('seconds', h('input', { name: 'for', type: 'number', min: 1, max: 3600, step: 1, required: true, class: 'tiny',
      value: Math.round(one.duration_default_us / 1_000_000) })), h('button', { class: 'main', 'aria-label': `Set ${word}` }, 'Set'));
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      if (!this.#may) return;
      const data = new FormData(form);
      /** @type {Record<string, string>} */
      const fault = { word, target: String(data.get('target')), for: `${data.get('for')}s` };
      const dose = data.get('by');
      if (by && dose) fault['by'] = `${dose}${by.unit}`;
      if (to) fault['to'] = String(data.get('to'));
      const said = await calls.setFault(fault);
      say(this.#said, visible(said.ok ? `Set: ${said.body.text}, for ${fault['for']}.` : said.text));
    });
    // Without targets here, the word cannot be said of this lab.
    return h('details', { class: 'card', name: 'fault' }, h('summary', {}, h('b', {}, visible(title)), ' ', h('span', { class: 'under' }, visible(text))),
    targets.length === 0 ? h('p', { class: 'about' }, 'Nothing in this lab can have it.') : mayChange ? form
      : h('p', { class: 'about' }, `Targets: ${visible(targets.join(', '))}`),
    targets.length === 0 ? null : h('p', { class: 'about' }, 'From a shell: ', shellLine(one)));
  }

  /** @param {Snapshot} lab @param {boolean} may @param {number | null} at */
  draw(lab, may, at) {
    if (lab !== this.#lab) this.#came = performance.now();
    this.#lab = lab;
    this.#live = at === null;
    this.#files.at(at);
    this.#may = may;
    this.#clear.disabled = !may || lab.faults.length === 0;
    for (const button of this.#cards.querySelectorAll('button')) button.disabled = !may;
    this.#none.hidden = lab.faults.length > 0;
    each(this.#armed, lab.faults, ({ id }) => String(id), (fault) => {
      const button = h('button', { type: 'button', 'aria-label': `Clear ${visible(fault.text)}` }, 'Clear');
      button.addEventListener('click', () => this.#lift(fault.id));
      return h('li', {}, mark('finding'), h('span', { class: 'text' }, visible(fault.text)), h('span', { class: 'left' }), button);
    }, (item, fault) => {
      const button = item.querySelector('button');
      if (button) button.hidden = !may;
      item.setAttribute('data-until', String(fault.until_us ?? ''));
    });
    this.#countdown();
  }

  #countdown() {
    const now = (this.#lab?.at_us ?? 0) + (this.#live ? (performance.now() - this.#came) * 1_000 : 0);
    for (const item of this.#armed.children) {
      const until = item.getAttribute('data-until');
      const left = Math.max(0, Math.ceil((Number(until) - now) / 1_000_000));
      say(/** @type {Element} */ (item.querySelector('.left')), until ? `${left < 100 ? plural(left, 'second') : instant(left * 1_000_000).replace(/\.\d$/, '')} left` : 'until it is cleared');
    }
  }

  /** @param {number | null} id */
  async #lift(id) {
    const said = await calls.liftFault(id);
    say(this.#said, said.ok ? `${plural(said.body.lifted, 'fault')} cleared.` : visible(said.text));
  }
}
