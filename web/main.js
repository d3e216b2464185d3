// @ts-check
// Wiring: the source, the store, the page that the address names, the bar of time, the keys.

/** @import {Source} from './source.js' */
/** @import {PageName} from './router.js' */
/** @import {Fact, Snapshot} from './types.js' */

/** @typedef {import('./store.js').State} State */

/**
 * What a page has to work with.
 * @typedef {object} Context
 * @property {typeof query} query the page's state in the address
 * @property {Source} source where the state comes from; it may change, so ask for it each time
 * @property {(page: PageName, terms?: import('./router.js').Terms) => string} href
 * @property {() => boolean} mayChange with the token, before a lab
 * @property {(us: number | null, push?: boolean) => void} look at an instant
 * @property {(source: Source) => void} open shows a run that is over
 * @property {() => void} redraw asks for a frame
 */

/**
 * A page: makes its elements once, draws on every change, leaves.
 * @typedef {object} View
 * @property {(root: HTMLElement, context: Context) => void} mount
 * @property {(state: State, fresh: Fact[]) => void} draw only called with a snapshot
 * @property {() => void} unmount
 * @property {() => boolean} [escape] closes what is open; false when nothing was
 */

import { hasToken, takeToken } from './api.js';
import { byId, h, redo, say, set } from './dom.js';
import { instant, visible } from './format.js';
import { listen } from './keys.js';
import { styled } from './later.js';
import { followLinks, embedded, go, href, onAddress, pageNow, query } from './router.js';
import { ApiSource } from './source.js';
import { Store } from './store.js';
import { TimeBar, atAsked, atText, look } from './timebar.js';
import { worst } from './worst.js';
import { drawFaults } from './views/faults.js';
import { mark } from './views/parts.js';

/**
 * Each page's name, and its module, which is loaded when the page is first opened.
 * @type {Record<PageName, [string, () => Promise<View>]>}
 */
const VIEWS = {
  topology: ['Topology', () => import('./views/topology.js')],
  dns: ['DNS', () => import('./views/dns.js')],
  pool: ['Doors and pool', () => import('./views/doors.js')],
  timeline: ['Timeline', () => import('./views/timeline.js')],
  scenarios: ['Scenarios', () => import('./views/scenarios.js')],
};

/** What shows a chosen node, on any page that has one. */
const node = () => import('./views/node.js');

/** Tells what words mean, on hover, on focus, and in the help. */
const meanings = async () => (await import('./glossary.js')).explain(byId('glossary'));

const LINKS = { loading: 'loading', live: 'live', lost: 'reconnecting', ended: 'ended', file: 'from a file' };

/** How much older the state of a file may be than the instant without a word. */
const COARSE_US = 1_500_000;

/** An instant so much later than the newest state is not there yet; less is the page running ahead of the stream. */
const AHEAD_US = 5_000_000;

const lab = new ApiSource();
const root = byId('page');
const time = new TimeBar();
/** @type {View | null} */
let view = null;
/** @type {PageName | null} */
let shown = null;
/** Counts the pages that were asked for: only the newest is shown when its files are there. */
let asked = 0;
/** Those that were opened before: they stand at once. @type {Map<PageName, View>} */
const loaded = new Map();
/** The page's files did not come. */
let absent = false;
/** Whether the files of the other pages were asked for, so that they open when the lab is gone. */
let ahead = embedded;

takeToken();
dressIn(localStorage.getItem('theme') ?? 'system');
const store = new Store(embedded ? await carried() : lab, draw);

/** @type {Context} */
const context = {
  query,
  get source() {
    return store.source;
  },
  href,
  mayChange: () => hasToken() && store.source.kind === 'lab' && store.state.now?.read_only !== true,
  look,
  open(source) {
    query.set({ at: null });
    store.use(source);
    remount();
  },
  redraw: () => store.touch(),
};

/** Gives the run that this report carries. */
async function carried() {
  const { BundleSource, readEmbedded } = await import('./bundle.js');
  return new BundleSource(readEmbedded(document.getElementById('bundle')?.textContent ?? ''));
}

/** Makes the page that the address names. */
function route() {
  store.look(atAsked());
  if (shown !== pageNow()) remount();
  store.touch();
}

/** Whether the page was made for one who may change the lab. */
let offered = false;

async function remount() {
  view?.unmount();
  view = null;
  absent = false;
  offered = context.mayChange();
  shown = pageNow();
  root.replaceChildren();
  for (const link of document.querySelectorAll('#nav a')) {
    set(link, { 'aria-current': link.getAttribute('data-page') === shown ? 'page' : null });
  }
  scrollTo(0, 0);
  if (store.state.now) drawTitle(store.state.now);
  store.touch();
  asked += 1;
  const mine = asked;
  const page = shown;
  try {
    let made = loaded.get(page);
    if (!made) {
      [made] = await Promise.all([VIEWS[page][1](), page === 'topology' ? null : styled()]);
      loaded.set(page, made);
    }
    if (mine !== asked) return;
    made.mount(root, context);
    view = made;
  } catch (error) {
    if (mine !== asked) return;
    absent = true;
    console.info(error);
  }
  store.touch();
}

/** @type {State['link']} the link when it was last drawn */
let before = 'loading';

/** @param {State} state @param {Fact[]} fresh */
function draw(state, fresh) {
  const { snapshot, link, at } = state;
  if (link === 'live' && before !== 'live') {
    ahead = embedded;
    if (absent) remount();
  }
  before = link;
  const pill = byId('link');
  set(pill, { class: `link is-${state.broken !== null ? 'lost' : link === 'live' && at !== null ? 'paused' : link === 'live' && state.now?.mode === 'virtual' ? 'file' : link}` });
  const played = link === 'live' && state.now?.mode === 'virtual';
  say(pill, state.broken !== null ? 'damaged' : link === 'live' && at !== null ? `looking at ${instant(at)}` : played ? 'played' : LINKS[link]);
  document.body.classList.toggle('only-shown', state.now?.read_only === true);
  document.body.classList.toggle('stale', link === 'lost' || link === 'ended');
  for (const anchor of document.querySelectorAll('#nav a')) {
    set(anchor, { href: href(/** @type {PageName} */ (anchor.getAttribute('data-page'))) });
  }
  const standing = standingOf(state);
  byId('standing').hidden = standing === null;
  root.hidden = standing !== null;
  if (standing) redo(byId('standing'), standing.words, standing.parts);
  const notice = standing ? null : noticeOf(state);
  byId('notice').hidden = notice === null;
  if (notice) redo(byId('notice'), notice.words, notice.parts);
  time.draw(state);
  if (!snapshot || standing) return;
  drawHead(snapshot);
  drawFaults(snapshot);
  // Only its first state tells of a lab that it is shown and not changed.
  if (offered !== context.mayChange()) remount();
  if (!view) return;
  view.draw(state, fresh);
  if (ahead) return;
  ahead = true;
  requestIdleCallback(() => {
    // What does not come now is asked for again when it is needed, and when the lab is back.
    for (const code of [...Object.values(VIEWS).map(([, code]) => code), node, styled, meanings]) code().catch(() => {});
  });
}

/** @param {Snapshot} now */
function drawTitle(now) {
  document.title = `${VIEWS[pageNow()][0]} – ${visible(now.name)} – twodoors`;
}

/** @typedef {{words: string, parts: () => (Node | string)[]}} Told */

/** @param {string} text @param {() => void} act */
function button(text, act) {
  const made = h('button', { type: 'button' }, text);
  made.addEventListener('click', act);
  return made;
}

/** What stands in place of the page when there is nothing to draw. @param {State} state @returns {Told | null} */
function standingOf({ snapshot, link, gone, at, broken, now }) {
  if (broken !== null) {
    return { words: `broken ${broken}`, parts: () => [h('h2', {}, 'This run cannot be shown'), h('p', { role: 'alert' }, visible(broken))] };
  }
  if (gone) {
    const { text, oldest } = gone;
    return { words: `gone ${text}`, parts: () => [
      h('h2', {}, 'This instant cannot be shown'), h('p', {}, visible(text)), h('p', {},
        oldest === null ? button('Try again', () => [store.look(null), store.look(at)])
          : h('a', { href: href(pageNow(), { at: atText(oldest) }) }, `Go to the oldest instant held, ${instant(oldest)}`),
        ' or ', button(link === 'file' ? 'go to its end' : 'go back to live', () => look(null, true)))] };
  }
  if (now && at !== null && at > now.at_us + AHEAD_US) {
    return { words: 'ahead', parts: () => [h('h2', {}, 'This instant has not come yet'),
      h('p', {}, `The address asks for ${instant(at)}, which is later than the run is old.`),
      h('p', {}, button(link === 'file' ? 'Go to its end' : 'Go to live', () => look(null, true)))] };
  }
  if (snapshot && absent) {
    return { words: 'absent', parts: () => [h('h2', {}, 'The files of this page did not come'),
      h('p', {}, 'A page is loaded when it is first opened, and ', h('code', {}, location.host),
        ' did not give it. It is tried again when the lab answers; pages that were open before still work.'),
      h('p', {}, button('Try now', () => location.reload()))] };
  }
  if (snapshot) return null;
  if (link === 'lost') {
    return { words: 'lost', parts: () => [h('h2', {}, 'The lab does not answer'),
      h('p', {}, 'Nothing listens at ', h('code', {}, location.host), ' any more, or it is busy. Start it with ',
        h('code', {}, 'twodoors up'), '; this page goes on by itself.'),
      h('p', {}, button('Try now', () => store.source.again()))] };
  }
  return { words: 'loading', parts: () => [h('p', { class: 'quiet' }, 'Asking the lab for its state…')] };
}

/** One sentence above the page. @param {State} state @returns {Told | null} */
function noticeOf({ snapshot, link, now, at }) {
  if (link === 'file') {
    const name = store.source.name;
    // Between two states that a file holds nothing is known, and nobody should think otherwise.
    const older = at !== null && snapshot && at - snapshot.at_us > COARSE_US ? `You see the state of ${instant(snapshot.at_us)}, the newest before ${instant(at)} that the file holds. ` : '';
    return { words: `file ${name} ${older}`, parts: () => [
      h('strong', {}, `Run ${visible(name)}`), embedded ? ', a report in one file. ' : ' from a file: nothing here is live. ', older,
      ...embedded ? [] : [button('Close it', () => {
        query.set({ at: null });
        store.use(lab);
        remount();
      })]] };
  }
  const tell = (/** @type {string} */ text) => ({ words: text, parts: () => [text] });
  if (link === 'lost') return tell('The lab does not answer. What you see is its last state; this page goes on by itself when it is back.');
  if (link === 'ended') return tell('The lab has ended. What you see is its last state; start it again with twodoors up.');
  if (now?.mode === 'virtual') {
    return tell(`This run was played in virtual time${now.ended_us === null ? '' : ` and ended at ${instant(now.ended_us)}${now.ended_why ? `: ${visible(now.ended_why)}` : ''}`}. Every instant that it holds can be looked at below; nothing in it can be changed.`);
  }
  if (now?.ended_us != null) {
    return tell(`The run ended at ${instant(now.ended_us)}${now.ended_why ? `: ${visible(now.ended_why)}` : ''}. Every instant that it holds can be looked at below.`);
  }
  const mistakes = snapshot?.reload_mistakes ?? [];
  return mistakes.length ? tell(`The last reload was refused and the old rules stay: ${mistakes.map(visible).join('; ')}`) : null;
}

/** Name, mode, and what is worst now, which leads to its place. @param {Snapshot} now */
function drawHead(now) {
  say(byId('scenario'), visible(now.name));
  drawTitle(now);
  say(byId('mode'), now.mode === 'virtual' ? 'virtual time' : '');
  const { state: word, text, page, terms } = worst(now);
  const place = byId('worst');
  set(place, { class: `worst-health is-${word}`, href: href(page, terms), title: text });
  redo(place, text, () => [mark(word === 'up' ? 'up' : word === 'down' ? 'down' : 'change'), h('span', {}, text)]);
}

/** @type {('system' | 'light' | 'dark')[]} */
const THEMES = ['system', 'light', 'dark'];

/** @param {string} theme */
function dressIn(theme) {
  set(document.documentElement, { 'data-theme': theme === 'system' ? null : theme });
  say(byId('theme'), `Theme: ${theme}`);
  localStorage.setItem('theme', theme);
}

function nextTheme() {
  const now = THEMES.findIndex((theme) => theme === (localStorage.getItem('theme') ?? 'system'));
  dressIn(THEMES[(now + 1) % THEMES.length] ?? 'system');
}

byId('theme').addEventListener('click', nextTheme);
addEventListener('resize', () => store.touch());
followLinks();
listen({
  ' ': () => time.toggle(),
  ',': () => time.step(-1),
  '.': () => time.step(1),
  i: () => time.ask(),
  t: nextTheme,
  'g t': () => go('topology'),
  'g d': () => go('dns'),
  'g p': () => go('pool'),
  'g e': () => go('timeline'),
  'g s': () => go('scenarios'),
  Escape: () => view?.escape?.(),
});
onAddress(route);
route();
if (embedded) meanings();
offerTour();

/** The tour comes when it is asked for, and by itself on a first visit. */
async function offerTour() {
  const files = () => import('./tour.js');
  const tour = async () => (await Promise.all([files(), styled()]))[0];
  byId('tour').addEventListener('click', async () => (await tour()).begin());
  const first = !embedded && localStorage.getItem('tour') === null && pageNow() === 'topology' && query.get('node') === null;
  if (first || query.get('tour') === '1') (await tour()).whenDrawn();
}
