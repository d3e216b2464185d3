// @ts-check
// Names as an enemy would have them, put into a whole run, and what a page must not do with them.

/** @import {Page} from 'playwright-core' */

/** Markup, control bytes, controls of direction, separators, tags, letters that read leftward, a flood of marks, wide letters. */
export const HOSTILE = '<img src=x onerror=alert(1)>"\'&amp;\u0007\u001b[31m\u202Egnp\u2066\u061c\u2028\u00ad\ufeff\u{e0041}\u05e9\u05dc\u05d5\u05dd\u0645\u0631\u062d\u0628\u0627e'
  + `${'\u0301'.repeat(40)}\ufdfd\u4ee3\u7406`;

/** What is a word of the program, and never of somebody else. */
const WORDS = new Set(['schema', 'mode', 'admin', 'health', 'state', 'kind', 'severity', 'act', 'how', 'lane', 'stage', 'purpose', 'rcode', 'outcome', 'unit', 'word', 'ended']);

/**
 * The same run with an ending at every name and text in it, so that what named each other still does.
 * @template T
 * @param {T} value
 * @param {string} ending
 * @param {string} key
 * @returns {T}
 */
export function poisoned(value, ending = HOSTILE, key = '') {
  const name = (/** @type {string} */ text) => (/^\w+\/[\w.-]+$/.test(text) && !/^(agent|user|balancer|proxy|view|network|app)\//.test(text)
    ? text.split('/').map((part) => part + ending).join('/') : text + ending);
  if (typeof value === 'string') return /** @type {T} */ (WORDS.has(key) ? value : value + ending);
  if (Array.isArray(value)) return /** @type {T} */ (value.map((item) => poisoned(item, ending, typeof item === 'string' ? key : '')));
  if (value === null || typeof value !== 'object') return value;
  const named = ['whys', 'earlier', 'backends', 'flows', 'failures', 'latency_p95_us'].includes(key);
  return /** @type {T} */ (Object.fromEntries(Object.entries(value).map(([own, item]) => [named ? name(own) : own, poisoned(item, ending, own)])));
}

/**
 * What in the page is unseen, or moves what stands beside it: in its texts, titles and labels.
 * @param {Page} page
 * @returns {Promise<string[]>}
 */
export function unsafe(page) {
  return page.evaluate(() => {
    /** @type {[string, string][]} */
    const texts = [['the title', document.title]];
    for (const element of document.querySelectorAll('body, body *')) {
      if (element.matches('script, style')) continue;
      for (const name of ['title', 'aria-label', 'placeholder', 'alt']) {
        const value = element.getAttribute(name);
        if (value !== null) texts.push([`${element.tagName} ${name}`, value]);
      }
      // The whole of an element that has text of its own: an isolate may be closed in a part of it.
      const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim());
      if (own) texts.push([`${element.tagName}.${element.getAttribute('class') ?? ''} in ${element.closest('[id]')?.id ?? ''}`, element.textContent ?? '']);
    }
    const wrong = (/** @type {string} */ text) => {
      if (/(?![\n\u2068\u2069])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u.test(text)) return 'hides something';
      if (/\p{Grapheme_Extend}{5}/u.test(text)) return 'is flooded';
      let depth = 0;
      for (const c of text) {
        depth += c === '\u2068' ? 1 : c === '\u2069' ? -1 : 0;
        if (depth < 0) return 'closes what it did not open';
        if (depth === 0 && /[\u0590-\u08ff\ufb1d-\ufdff]/.test(c)) return 'is not isolated';
      }
      return depth ? 'is not closed' : '';
    };
    return texts.flatMap(([where, text]) => (wrong(text) ? [`${where} ${wrong(text)}: ${text.slice(0, 120)}`] : []));
  });
}

/**
 * Which texts reach over others: out of their box in a drawing, over the next cell of a table, out of
 * the page.
 * @param {Page} page
 * @returns {Promise<string[]>}
 */
export function overlapping(page) {
  return page.evaluate(() => {
    const found = [];
    if (document.documentElement.scrollWidth > innerWidth) found.push('the page scrolls sideways');
    const words = (/** @type {Element} */ element) => (element.textContent ?? '').slice(0, 60);
    for (const text of document.querySelectorAll('.box text, .badge text')) {
      const [own, shape] = [text.getBoundingClientRect(), text.parentElement?.querySelector('rect')?.getBoundingClientRect()];
      if (shape && (own.right > shape.right + 1 || own.left < shape.left - 1)) found.push(`out of its box by ${Math.round(own.right - shape.right)}: ${words(text)}`);
    }
    for (const cell of document.querySelectorAll('td, th')) {
      if (getComputedStyle(cell).overflow !== 'visible' || cell.querySelector('.unseen') || !cell.getClientRects().length) continue;
      const range = document.createRange();
      range.selectNodeContents(cell);
      const [own, room] = [range.getBoundingClientRect(), cell.getBoundingClientRect()];
      // What is cut off inside of a cell does not reach over the next one.
      const cut = [...cell.querySelectorAll('*')].some((part) => getComputedStyle(part).overflowX !== 'visible');
      if (!cut && own.right > room.right + 1) found.push(`over the next cell by ${Math.round(own.right - room.right)}: ${words(cell)}`);
    }
    return found;
  });
}
