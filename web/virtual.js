// @ts-check
// A table body of thousands of rows of one height, of which only those in sight are in the page.
// One row may be open: then what `detail` makes stands below it.
//
//   const body = new VirtualBody(box, table, { key, cells, attributes, detail });
//   body.show(items);      newest first; what one looks at stays where it is
//   body.open(key);        or null to close
//
// `box` scrolls; `table` has its head already. The first cell of each row should hold a button:
// arrows, Home and End go from one to the next.

/** @import {Attributes, Cell, Child} from './dom.js' */

import { each, fill, h, set } from './dom.js';

/** Rows beyond the edges of the box, so that scrolling shows no gap. */
const SPARE = 8;

/** What the bar of time takes of the window, in pixels. */
const BAR = 64;

/** Rows at first, until the box has its height. */
const FIRST = 40;

/**
 * @template T
 * @typedef {object} How
 * @property {(item: T) => string} key
 * @property {(item: T) => Cell[]} cells
 * @property {(item: T) => Child[]} detail
 * @property {(item: T) => Attributes} [attributes]
 * @property {number} [height] of a row, in pixels, as the style sheet gives it
 */

/** @template T */
export class VirtualBody {
  #box;
  #table;
  #body = h('tbody');
  #how;
  #height;
  /** @type {readonly T[]} */
  #items = [];
  /** @type {string | null} */
  #open = null;
  #openHeight = 0;
  #waiting = false;

  /** @param {HTMLElement} box @param {HTMLTableElement} table @param {How<T>} how */
  constructor(box, table, how) {
    this.#box = box;
    this.#table = table;
    this.#how = how;
    this.#height = how.height ?? 26;
    table.append(this.#body);
    box.addEventListener('scroll', () => this.#soon(), { passive: true });
    new ResizeObserver(() => this.#soon()).observe(box);
    this.#body.addEventListener('keydown', (event) => this.#go(event));
  }

  /** @param {readonly T[]} items */
  show(items) {
    // Rows that came above must not push away what is looked at.
    const first = this.#items[0];
    if (first !== undefined && this.#box.scrollTop > 0) {
      const name = this.#how.key(first);
      const added = items.findIndex((item) => this.#how.key(item) === name);
      if (added > 0) this.#box.scrollTop += added * this.#height;
    }
    this.#items = items;
    set(this.#table, { 'aria-rowcount': items.length + 1 });
    this.draw();
  }

  /** @param {string | null} key */
  open(key) {
    this.#open = key;
    this.#openHeight = 0;
    this.draw();
  }

  #soon() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.draw();
    });
  }

  draw() {
    const { key, cells, attributes, detail } = this.#how;
    const columns = [...this.#table.tHead?.rows[0]?.cells ?? []].filter((cell) => cell.offsetWidth).length;
    const height = this.#height;
    const opened = this.#open === null ? -1 : this.#items.findIndex((item) => key(item) === this.#open);
    const above = this.#box.scrollTop;
    const below = above + (this.#box.clientHeight || FIRST * height);
    // Which row stands at a height, with the open part below its row.
    const at = (/** @type {number} */ y) => {
      const edge = (opened + 1) * height;
      if (opened < 0 || y <= edge) return Math.floor(y / height);
      return Math.max(opened, Math.floor((y - this.#openHeight) / height));
    };
    const from = Math.max(0, at(above) - SPARE);
    const to = Math.min(this.#items.length, at(below) + SPARE);
    const before = from * height + (opened >= 0 && opened < from ? this.#openHeight : 0);
    const after = (this.#items.length - to) * height + (opened >= to ? this.#openHeight : 0);
    /** @type {{key: string, item?: T, index?: number, space?: number, open?: boolean}[]} */
    const parts = [{ key: ' above', space: before }];
    for (let index = from; index < to; index += 1) {
      const item = /** @type {T} */ (this.#items[index]);
      parts.push({ key: key(item), item, index });
      if (index === opened) parts.push({ key: ` open ${key(item)}`, item, open: true });
    }
    parts.push({ key: ' below', space: after });
    const focus = document.activeElement;
    each(this.#body, parts, (part) => part.key, (part) => {
      if (part.space !== undefined) return h('tr', { 'aria-hidden': 'true', class: 'space' }, h('td'));
      if (part.open && part.item !== undefined) {
        return h('tr', { class: 'opened' }, h('td', { colspan: columns }, ...detail(part.item)));
      }
      return h('tr');
    }, (row, part) => {
      if (part.space !== undefined) {
        row.style.height = `${part.space}px`;
        row.hidden = part.space === 0;
      } else if (!part.open && part.item !== undefined) {
        fill(row, cells(part.item));
        set(row, { ...attributes?.(part.item), 'aria-rowindex': (part.index ?? 0) + 2 });
        const button = row.querySelector('button');
        if (button) set(button, { 'aria-expanded': String(part.index === opened) });
      }
    });
    if (focus && !focus.isConnected) this.#box.focus({ preventScroll: true });
    const open = this.#body.querySelector('.opened');
    const real = open?.getBoundingClientRect().height ?? this.#openHeight;
    if (opened >= 0 && open && real !== this.#openHeight) {
      this.#openHeight = real;
      this.#soon();
    }
  }

  /** @param {KeyboardEvent} event */
  #go(event) {
    const row = event.target instanceof Element ? event.target.closest('tr[aria-rowindex]') : null;
    if (!row) return;
    const here = Number(row.getAttribute('aria-rowindex')) - 2;
    const last = this.#items.length - 1;
    const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: last }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.focus(Math.min(last, Math.max(0, to)));
  }

  /** Brings a row near the top of the box, below two others, unless it is in sight. @param {number} index */
  reveal(index) {
    const top = index * this.#height;
    const box = this.#box;
    const head = this.#table.tHead?.offsetHeight ?? 0;
    const end = head + top - box.scrollTop + this.#height;
    if (top >= box.scrollTop && end <= Math.min(box.clientHeight, innerHeight - BAR - box.getBoundingClientRect().top)) return;
    box.scrollTop = Math.max(0, top - 2 * this.#height);
    this.draw();
  }

  /** Brings a row into sight and goes there. @param {number} index */
  focus(index) {
    const top = index * this.#height;
    const box = this.#box;
    const head = this.#table.tHead?.offsetHeight ?? 0;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + this.#height + head > box.scrollTop + box.clientHeight) {
      box.scrollTop = top + this.#height + head - box.clientHeight;
    }
    this.draw();
    /** @type {HTMLElement | null} */
    const button = this.#body.querySelector(`tr[aria-rowindex="${index + 2}"] button`);
    button?.focus({ preventScroll: true });
  }
}
