// @ts-check
// A small table of texts: sortable by each column, and as a file of CSV or JSON that is made here.
//
//   const table = new Sorted('paths', 'Every line of the picture', ['from', 'to']);
//   parent.append(table.element);  table.draw([{ key: 'a', cells: ['a', 'b'] }]);

import { h, rows, set } from './dom.js';
import { visible } from './format.js';

/** @typedef {{key: string, cells: string[]}} Line */

/** Numbers in texts count as numbers: proxy 2 before proxy 10. */
const order = new Intl.Collator('en', { numeric: true });

/**
 * RFC 4180, by the rule of the server (`src/http/api/tables.rs`): what a spreadsheet would take for a
 * formula gets a quote in front, what it would part stands in quotes.
 * @param {string} text
 */
export function csvCell(text) {
  const safe = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text;
  return /[",;\t\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Gives a file to whoever reads. @param {string} name @param {string} type @param {string} text */
export function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1_000);
}

/**
 * Buttons that give a table as CSV and as JSON, made here of the texts that it shows.
 * @param {string} name of the files
 * @param {string[]} columns
 * @param {() => string[][]} lines
 */
export function savers(name, columns, lines) {
  const button = (/** @type {string} */ text, /** @type {() => void} */ act) => {
    const made = h('button', { type: 'button', class: 'small', 'aria-label': `${name} as ${text}` }, text);
    made.addEventListener('click', act);
    return made;
  };
  return h('p', { class: 'files' },
    button('CSV', () => save(`${name}.csv`, 'text/csv', [columns, ...lines()].map((line) => line.map(csvCell).join(',')).join('\r\n'))),
    button('JSON', () => save(`${name}.json`, 'application/json',
      JSON.stringify(lines().map((line) => Object.fromEntries(line.map((cell, index) => [columns[index] ?? '', cell]))), null, 1))));
}

export class Sorted {
  #body = h('tbody');
  #by = -1;
  #down = false;
  /** @type {Line[]} */
  #lines = [];
  /** @type {HTMLElement[]} */
  #heads;
  element;

  /** @param {string} name of the files @param {string} caption @param {string[]} columns */
  constructor(name, caption, columns) {
    this.#heads = columns.map((text, index) => {
      const button = h('button', { type: 'button', class: 'sort' }, text);
      button.addEventListener('click', () => {
        this.#down = this.#by === index && !this.#down;
        this.#by = index;
        this.draw(this.#lines);
      });
      return h('th', { scope: 'col' }, button);
    });
    this.element = h('div', {}, savers(name, columns, () => this.#lines.map(({ cells }) => cells)),
      h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
        h('table', { class: 'dense' }, h('caption', { class: 'unseen' }, caption), h('thead', {}, h('tr', {}, ...this.#heads)), this.#body)));
  }

  /** @param {Line[]} lines */
  draw(lines) {
    this.#lines = lines;
    this.#heads.forEach((head, index) =>
      set(head, { 'aria-sort': index === this.#by ? this.#down ? 'descending' : 'ascending' : null }));
    const by = this.#by;
    const sorted = by < 0 ? lines : [...lines].sort((a, b) =>
      order.compare(a.cells[by] ?? '', b.cells[by] ?? '') * (this.#down ? -1 : 1));
    rows(this.#body, sorted, ({ key }) => key, ({ cells }) => cells.map(visible));
  }
}
