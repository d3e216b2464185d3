// @ts-check
// Makes elements. Data becomes text or an attribute, never markup.

const SVG = 'http://www.w3.org/2000/svg';

/** @typedef {Node | string | null | undefined} Child */
/** @typedef {Record<string, string | number | boolean | null | undefined>} Attributes */

/**
 * @template {Element} E
 * @param {E} element
 * @param {Attributes} attributes
 * @param {Child[]} children
 */
function dress(element, attributes, children) {
  set(element, attributes);
  for (const child of children) if (child != null) element.append(child);
  return element;
}

/**
 * Sets attributes; false, null and undefined take one away. Only what changed is touched.
 * @param {Element} element
 * @param {Attributes} attributes
 */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) {
      if (element.hasAttribute(name)) element.removeAttribute(name);
    } else {
      const text = value === true ? '' : String(value);
      if (element.getAttribute(name) !== text) element.setAttribute(name, text);
    }
  }
}

/**
 * Makes an HTML element.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 */
export function h(tag, attributes = {}, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

/**
 * Makes an SVG element.
 * @template {keyof SVGElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 */
export function s(tag, attributes = {}, ...children) {
  return dress(/** @type {SVGElementTagNameMap[T]} */ (document.createElementNS(SVG, tag)),
    attributes, children);
}

/**
 * Sets the text only when it differs, so that a selection survives.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Finds an element of the page; its absence is a mistake of ours.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found;
}

/** @type {WeakMap<Element, Map<string, Element>>} */
const kept = new WeakMap();

/**
 * Makes the children of `parent` those of `items`, in order; one with a known key is updated in
 * place, so that focus stays.
 * @template T
 * @template {Element} E
 * @param {Element} parent
 * @param {readonly T[]} items
 * @param {(item: T) => string} key
 * @param {(item: T) => E} make
 * @param {(element: E, item: T) => void} update
 */
export function each(parent, items, key, make, update) {
  const before = kept.get(parent) ?? new Map();
  /** @type {Map<string, Element>} */
  const now = new Map();
  for (const item of items) {
    const name = key(item);
    if (now.has(name)) continue;
    const element = before.get(name) ?? make(item);
    update(/** @type {E} */ (element), item);
    now.set(name, element);
  }
  kept.set(parent, now);
  for (const [name, element] of before) if (!now.has(name)) element.remove();
  let place = parent.firstElementChild;
  for (const element of now.values()) {
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
}

/**
 * One cell of a table: text, or parts with the words by which a change is seen.
 * @typedef {string | {words: string, parts: () => Child[], class?: string}} Cell
 */

/**
 * Fills a table's body; the first cell of a row is its heading.
 * @template T
 * @param {HTMLElement} body
 * @param {readonly T[]} items
 * @param {(item: T) => string} key
 * @param {(item: T) => Cell[]} cells
 * @param {(item: T) => Attributes} [attributes]
 */
export function rows(body, items, key, cells, attributes = () => ({})) {
  each(body, items, key, () => h('tr'), (row, item) => {
    set(row, attributes(item));
    fill(row, cells(item));
  });
}

/**
 * Fills one row; only cells whose words changed are touched.
 * @param {Element} row
 * @param {Cell[]} cells
 */
export function fill(row, cells) {
  cells.forEach((cell, index) => {
    const known = row.children[index];
    const place = known ?? h(index ? 'td' : 'th', index ? {} : { scope: 'row' });
    if (!known) row.append(place);
    const { words, parts, class: name } = typeof cell === 'string'
      ? { words: cell, parts: () => [cell], class: undefined } : cell;
    set(place, { class: name ?? null });
    redo(place, words, parts);
  });
}

/**
 * Replaces what is in an element when its words changed.
 * @param {Element} element
 * @param {string} words
 * @param {() => Child[]} parts
 */
export function redo(element, words, parts) {
  if (element.getAttribute('data-words') === words) return;
  element.setAttribute('data-words', words);
  element.replaceChildren(...parts().filter((part) => part != null));
}
