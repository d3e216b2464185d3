// @ts-check
// Paths to pages, and the query string as the page's state.
//
//   query.get('filter')                     text or null
//   query.set({ filter: 'a' }, false)       replaces (typing, scrubbing); true pushes (a place to come back to)
//   href('timeline', { at: '1.5' })         a link to a page; the instant that is looked at comes along
//
// A report is one file without a server: there the page is the term `page` of the query string.

export const PAGES = /** @type {const} */ (['topology', 'dns', 'pool', 'timeline', 'scenarios']);

/** @typedef {typeof PAGES[number]} PageName */
/** @typedef {Record<string, string | number | null | undefined>} Terms empty or null takes a term away */

/** Whether this page is a file of its own. */
export const embedded = document.getElementById('bundle') !== null;

let changed = () => {};

/** @param {() => void} then when the address changed */
export function onAddress(then) {
  changed = then;
  addEventListener('popstate', () => changed());
}

/** @param {URLSearchParams} terms */
function tail(terms) {
  const text = terms.toString().replaceAll('%2F', '/').replaceAll('%3A', ':').replaceAll('%2C', ',');
  return text ? `?${text}` : '';
}

/** @param {URLSearchParams} query @param {Terms} terms */
function put(query, terms) {
  for (const [name, value] of Object.entries(terms)) {
    if (value == null || value === '') query.delete(name);
    else query.set(name, String(value));
  }
  return query;
}

/** @param {string} address @param {boolean} push */
function move(address, push) {
  if (address === location.pathname + location.search) return;
  if (push) history.pushState(null, '', address);
  else history.replaceState(null, '', address);
  changed();
}

export const query = {
  /** @param {string} name */
  get: (name) => new URLSearchParams(location.search).get(name),
  /** @param {Terms} terms @param {boolean} [push] */
  set(terms, push = false) {
    move(location.pathname + tail(put(new URLSearchParams(location.search), terms)), push);
  },
};

/** The page that the address names. @returns {PageName} */
export function pageNow() {
  const name = embedded ? query.get('page') : location.pathname.slice(1);
  return PAGES.find((page) => page === name) ?? 'topology';
}

/** @param {PageName} page @param {Terms} [terms] */
export function href(page, terms = {}) {
  const kept = new URLSearchParams();
  const at = query.get('at');
  if (at !== null) kept.set('at', at);
  if (embedded) kept.set('page', page);
  return (embedded ? location.pathname : `/${page}`) + tail(put(kept, terms));
}

/** @param {PageName} page @param {Terms} [terms] */
export function go(page, terms = {}) {
  move(href(page, terms), true);
}

/** Lets links between pages change the page without loading it again. */
export function followLinks() {
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey
      || event.shiftKey || event.altKey || link.hasAttribute('download') || link.hasAttribute('target')) return;
    const given = link.getAttribute('href') ?? '';
    const [path = '', rest = ''] = given.split(/\?(.*)/s);
    const page = PAGES.find((name) => path === `/${name}`);
    if (!page) return;
    event.preventDefault();
    go(page, Object.fromEntries(new URLSearchParams(rest)));
    const main = document.getElementById('page');
    if (link.closest('nav')) main?.focus({ preventScroll: true });
  });
}
