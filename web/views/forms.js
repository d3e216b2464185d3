// @ts-check
// Small parts of forms, shared by the pages that ask and act.

/** @import {Context, State} from '../main.js' */
/** @import {Place} from '../types.js' */

import { table } from '../calls.js';
import { h, redo, say, set } from '../dom.js';
import { visible } from '../format.js';
import { mark } from './parts.js';

/** How long a button says that it copied. */
const SAID_MS = 1_500;

/**
 * A control with its label above.
 * @param {string} text
 * @param {HTMLElement} control
 */
export function field(text, control) {
  return h('label', { class: 'field' }, h('span', {}, text), control);
}

/**
 * A button that copies a text.
 * @param {string} text
 * @param {string} name
 */
export function copier(text, name) {
  const button = h('button', { type: 'button', 'aria-label': name }, 'Copy');
  button.addEventListener('click', async () => {
    let said = 'Copied';
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // The clipboard is refused to a page that is not on loopback: select, so that keys do it.
      const code = button.previousElementSibling;
      if (code) getSelection()?.selectAllChildren(code);
      said = 'Selected';
    }
    say(button, said);
    setTimeout(() => say(button, 'Copy'), SAID_MS);
  });
  return button;
}

/**
 * What went wrong, with each mistake.
 * @param {{text: string, mistakes?: string[]}} said
 */
export function failure({ text, mistakes = [] }) {
  return h('div', { class: 'notice is-bad', role: 'alert' }, h('p', {}, visible(text)),
    mistakes.length ? h('ul', {}, ...mistakes.map((mistake) => h('li', { class: 'mono' }, visible(mistake)))) : null);
}

/** `zones/a.zone:18` @param {Place} where */
export function place({ file, line }) {
  return visible(`${file}:${line}`);
}

/** The same by its last two parts; the whole on hover. @param {Place} where @param {string} [before] */
export function nearby({ file, line }, before = '') {
  return h('span', { class: 'under', title: visible(`${file}:${line}`) }, before, visible(`${file.split('/').slice(-2).join('/')}:${line}`));
}

/** Where the token comes from, for those who came without; nothing for those who have it. @param {Context} context */
export function tokenHint({ mayChange, source }) {
  if (mayChange() || source.kind === 'file') return null;
  return h('p', { class: 'about token-hint' }, 'You are looking only. To act, open the link that ', h('code', {}, 'twodoors up'),
    ' printed: its end ', h('code', {}, '#t=…'), ' is the token of this run, which is also in the file ',
    h('code', {}, 'token'), ' of the state folder.');
}

/** Why nothing can be done, or null when all can. @param {State} state */
export function still({ at, link, now }) {
  if (link === 'file' || now?.mode === 'virtual') return 'This run is over: it can be looked at, not acted on.';
  if (at !== null) return 'You look at an instant that has passed; go back to live to act.';
  return link === 'live' ? null : 'The lab does not answer: nothing can be done now.';
}

/**
 * A section with its heading, and what stands beside the heading.
 * @param {string} id
 * @param {string} title
 * @param {Node | null} beside
 * @param {...(Node | null)} parts
 */
export function section(id, title, beside, ...parts) {
  return h('section', { 'aria-labelledby': `${id}-title` }, h('header', {}, h('h2', { id: `${id}-title` }, title), beside), ...parts);
}

/**
 * A table in a box of its own, which scrolls.
 * @param {string} by the id of its heading
 * @param {string} caption
 * @param {Heads | HTMLElement} heads
 * @param {HTMLElement} body
 * @param {HTMLElement | null} [foot]
 */
export function boxed(by, caption, heads, body, foot = null) {
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-labelledby': by }, h('table', { class: 'dense' },
    h('caption', { class: 'unseen' }, caption), heads instanceof HTMLElement ? heads : h('thead', {}, columnsOf(heads)), body, foot));
}

/** Text and class of each column; a text of nothing is the column of acts. @typedef {[string, string?][]} Heads */

/** @param {Heads} heads */
export function columnsOf(heads) {
  return h('tr', {}, ...heads.map(([text, name]) =>
    h('th', { scope: 'col', class: name || null }, text ? visible(text) : h('span', { class: 'unseen' }, 'acts'))));
}

/** How names and words stand in order: proxy 2 before proxy 10. */
const words = new Intl.Collator('en', { numeric: true });

/**
 * Text, class, and what a column is sorted by; without that it is not.
 * @template T
 * @typedef {[string, string?, ((item: T) => string | number | null)?]} Column
 */

/**
 * The head of a table, and the order of its rows: by the column that whoever reads pressed, which
 * stands in the address. Numbers begin with the largest; the third press gives the lab's own order.
 * @template T
 */
export class Order {
  #context;
  #term;
  /** @type {Column<T>[]} */
  #columns = [];
  element = h('thead');

  /** @param {Context} context @param {string} table @param {Column<T>[]} [columns] */
  constructor(context, table, columns = []) {
    this.#context = context;
    this.#term = `sort.${table}`;
    this.draw(columns);
  }

  /** @param {Column<T>[]} columns */
  draw(columns) {
    this.#columns = columns;
    redo(this.element, columns.map(([text]) => text).join('\n'), () => {
      const row = columnsOf(columns.map(([text, name = '']) => [text, name]));
      columns.forEach(([text, , by], index) => {
        const head = row.children[index];
        if (!by || !head) return;
        const button = h('button', { type: 'button', class: 'sort' }, visible(text));
        button.addEventListener('click', () => this.#press(index));
        head.replaceChildren(button);
      });
      return [row];
    });
    const { text, down } = this.#asked();
    columns.forEach(([own, , by], index) => {
      const head = this.element.firstElementChild?.children[index];
      if (head) set(head, { 'aria-sort': by && own === text ? down ? 'descending' : 'ascending' : null });
    });
  }

  #asked() {
    const asked = this.#context.query.get(this.#term) ?? '';
    return asked.startsWith('-') ? { text: asked.slice(1), down: true } : { text: asked, down: false };
  }

  /** @param {number} index */
  #press(index) {
    const [own = '', name] = this.#columns[index] ?? [];
    const { text, down } = this.#asked();
    const first = name === 'n';
    const next = text !== own ? first : down === first ? !first : null;
    this.#context.query.set({ [this.#term]: next === null ? null : next ? `-${own}` : own });
  }

  /** @param {readonly T[]} items @returns {readonly T[]} */
  sort(items) {
    const { text, down } = this.#asked();
    const by = this.#columns.find(([own]) => own === text)?.[2];
    if (!by) return items;
    // What has no number comes last, whichever way.
    return [...items].sort((a, b) => {
      const [one, other] = [by(a), by(b)];
      if (one === null || other === null) return Number(one === null) - Number(other === null);
      const order = typeof one === 'number' && typeof other === 'number' ? one - other : words.compare(String(one), String(other));
      return down ? -order : order;
    });
  }
}

/**
 * Links to a table as CSV and as JSON, of the instant that is looked at.
 * @param {Context} context
 * @param {string} name
 * @param {Record<string, string>} [terms]
 */
export function files(context, name, terms = {}) {
  const links = ['csv', 'json'].map((kind) => h('a', { download: `${name}.${kind}`, 'aria-label': `${name} as ${kind.toUpperCase()}` }, kind.toUpperCase()));
  const element = h('span', { class: 'files' }, ...links);
  return {
    element,
    /** @param {number | null} at */
    at(at) {
      element.hidden = context.source.kind === 'file';
      ['csv', 'json'].forEach((kind, index) => set(/** @type {Element} */ (links[index]), { href: table(name, kind, { ...terms, at_us: at }) }));
    },
  };
}

const TURNS = /** @type {Record<string, [string, Parameters<typeof mark>[0]]>} */ ({
  met: ['met', 'up'], holding: ['holds so far', 'up'], failed: ['failed', 'down'], inconclusive: ['inconclusive', 'unknown'],
  waiting: ['waiting', 'unknown'], playing: ['now', 'change'], done: ['done', 'up'],
});

/** How an expectation or a step stands: shape and word. @param {string} word */
export function turn(word) {
  const [text, shape] = TURNS[word] ?? [word, 'unknown'];
  return h('span', { class: `turn is-${word}` }, mark(shape), visible(text));
}
