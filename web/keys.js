// @ts-check
// Keys that work on every page, and the sheet that lists them. No key acts while one types; they
// can be turned off for those whose own tools use single keys.

import { byId, h } from './dom.js';

/** How long the second key of `g t` may take. */
const SECOND_MS = 1_200;

const KEYS = /** @type {[string[], string][]} */ ([
  [['Space'], 'stop at this instant, or play on'],
  [[',', '.'], 'one decision back, forward'],
  [['i'], 'go to an instant'],
  [['g t', 'g d', 'g p', 'g e', 'g s'], 'Topology, DNS, Doors and pool, Timeline, Scenarios'],
  [['/'], 'the page’s filter'],
  [['j', 'k'], 'next row, the one before'],
  [['+', '−', '←', '→'], 'zoom and move the timeline'],
  [['t'], 'next theme'],
  [['Esc'], 'close what is open'],
  [['?'], 'this sheet'],
]);

/** Moves the focus among the rows' first links or buttons. @param {1 | -1} way */
function row(way) {
  const all = [...document.querySelectorAll('#page tbody tr')].flatMap((line) => {
    const first = line.querySelector('a, button');
    return first instanceof HTMLElement && first.offsetParent !== null ? [first] : [];
  });
  const at = all.findIndex((element) => element.closest('tr')?.contains(document.activeElement));
  all[at < 0 ? way > 0 ? 0 : all.length - 1 : Math.min(all.length - 1, Math.max(0, at + way))]?.focus();
}

/**
 * @param {Record<string, () => void>} acts by key; `g t` for two, `Escape`
 */
export function listen(acts) {
  const sheet = /** @type {HTMLDialogElement} */ (byId('sheet'));
  const on = /** @type {HTMLInputElement} */ (byId('keys-on'));
  on.checked = localStorage.getItem('keys') !== 'off';
  on.addEventListener('change', () => localStorage.setItem('keys', on.checked ? 'on' : 'off'));
  byId('sheet-keys').append(...KEYS.flatMap(([keys, text]) => [
    h('dt', {}, ...keys.flatMap((key) => [h('kbd', {}, key), ' '])), h('dd', {}, text)]));
  byId('keys').addEventListener('click', () => sheet.showModal());
  /** @type {Record<string, () => void>} */
  const all = { ...acts,
    '?': () => sheet.showModal(),
    '/': () => /** @type {HTMLElement | null} */ (document.querySelector('#page [data-filter]'))?.focus(),
    j: () => row(1),
    k: () => row(-1) };
  let begun = 0;
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target;
    if (!(at instanceof Element) || document.querySelector('dialog[open]')) return;
    const typing = at.matches('textarea, select, input:not([type="checkbox"], [type="radio"], [type="range"])');
    if (event.key === 'Escape') {
      if (typing && at instanceof HTMLElement) at.blur();
      else all['Escape']?.();
      return;
    }
    const acting = at.matches('button, summary, input, a') && event.key === ' ';
    if (typing || acting || !on.checked) return;
    const pair = performance.now() - begun < SECOND_MS ? all[`g ${event.key}`] : undefined;
    begun = event.key === 'g' ? performance.now() : 0;
    const act = pair ?? all[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
