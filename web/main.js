// @ts-check
// Joins the lab, the store and the views; keeps the page's own state in its address.

/** @import {State} from './store.js' */
/** @import {Snapshot} from './types.js' */

import { follow, mayChange, reload, takeToken } from './api.js';
import { byId, each, h, say, set } from './dom.js';
import { count, instant, plural, span } from './format.js';
import { Store } from './store.js';
import { drawAgents } from './views/agents.js';
import { drawDns } from './views/dns.js';
import { drawLog, drawNodeFacts } from './views/facts.js';
import { drawFaults } from './views/faults.js';
import { drawFindings } from './views/findings.js';
import { drawNode } from './views/node.js';
import { drawPool } from './views/pool.js';
import { Topology } from './views/topology.js';
import { drawUsers } from './views/users.js';

const LINKS = {
  loading: 'loading',
  live: 'live',
  lost: 'reconnecting',
  ended: 'ended',
};

const NOTICES = {
  loading: 'Asking the lab for its state…',
  live: '',
  lost: 'The lab does not answer. What you see is its last state; this page goes on by itself when it is back.',
  ended: 'The lab has ended. What you see is its last state; start it again with twodoors up.',
};

const filter = /** @type {HTMLInputElement} */ (byId('filter'));
const traffic = /** @type {HTMLInputElement} */ (byId('traffic'));
const sheet = /** @type {HTMLDialogElement} */ (byId('sheet'));
const topology = new Topology();
const store = new Store(draw);

/** The query string is the page's state. */
function chosen() {
  return new URLSearchParams(location.search).get('node');
}

/** @param {string} name @param {string} value empty takes it away */
function remember(name, value) {
  const query = new URLSearchParams(location.search);
  if (value) query.set(name, value);
  else query.delete(name);
  const text = query.toString();
  history.replaceState(null, '', text ? `?${text}` : location.pathname);
  store.touch();
}

/** @param {State} state @param {import('./types.js').Fact[]} fresh */
function draw({ snapshot, facts, link }, fresh) {
  const pill = byId('link');
  set(pill, { class: `link is-${store.paused ? 'paused' : link}` });
  say(pill, store.paused && link === 'live' ? `paused, ${count(store.held)} held` : LINKS[link]);
  const notice = byId('notice');
  const mistakes = snapshot?.reload_mistakes ?? [];
  const text = NOTICES[link] || (mistakes.length
    ? `The last reload was refused and the old rules stay: ${mistakes.join('; ')}` : '');
  notice.hidden = text === '';
  say(notice, text);
  document.body.classList.toggle('stale', link === 'lost' || link === 'ended');
  if (!snapshot) return;
  const node = chosen();
  drawHead(snapshot);
  drawFaults(snapshot);
  topology.draw(snapshot, node);
  drawNode(snapshot, node);
  if (node) drawNodeFacts(facts, node);
  drawPool(snapshot);
  drawAgents(snapshot);
  drawUsers(snapshot);
  drawFindings(snapshot);
  drawDns(snapshot, filter.value);
  drawLog(facts, traffic.checked);
  topology.move(fresh);
}

/** @param {Snapshot} lab */
function drawHead(lab) {
  say(byId('scenario'), lab.name);
  document.title = `${lab.name} – twodoors`;
  const sum = (/** @type {number[]} */ numbers) => numbers.reduce((a, b) => a + b, 0);
  const noTunnel = sum(lab.proxies.map((proxy) => proxy.no_tunnel));
  const complete = lab.mesh.complete_after_us;
  /** @type {[string, string, string][]} */
  const sums = [
    ['mesh', `${lab.mesh.now}/${lab.mesh.full}`, complete === null ? 'tunnels' : `first full after ${span(complete)}`],
    ['visits', count(sum(lab.users.map((user) => user.answered))), 'answered'],
    ['no tunnel', count(noTunnel), 'requests refused'],
    ['DNS', count(sum(lab.dns.answers.map((answers) => answers.count))), 'answers'],
    ['findings', count(lab.findings.length), 'to know'],
  ];
  each(byId('sums'), sums, ([name]) => name, ([name]) =>
    h('div', {}, h('dt', {}, name), h('dd', {}), h('dd', { class: 'quiet' })), (element, [, value, unit]) => {
    const [, first, second] = element.children;
    if (first) say(first, value);
    if (second) say(second, unit);
  });
  say(byId('stand'), `lab time ${instant(lab.at_us)} · ${plural(lab.seq, 'fact')} · rules ${lab.generation}`);
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

function pause() {
  store.pause(!store.paused);
  set(byId('pause'), { 'aria-pressed': String(store.paused) });
  say(byId('pause'), store.paused ? 'Go on' : 'Pause');
}

function close() {
  const node = chosen();
  remember('node', '');
  if (node) {
    const link = document.querySelector(`#picture a[data-node="${CSS.escape(node)}"]`);
    if (link instanceof SVGElement) link.focus();
  }
}

function listen() {
  byId('pause').addEventListener('click', pause);
  byId('theme').addEventListener('click', nextTheme);
  byId('keys').addEventListener('click', () => sheet.showModal());
  byId('node-close').addEventListener('click', close);
  byId('reload').addEventListener('click', async () => say(byId('said'), await reload()));
  filter.addEventListener('input', () => remember('filter', filter.value));
  traffic.addEventListener('change', () => remember('traffic', traffic.checked ? '1' : ''));
  addEventListener('resize', () => store.touch());
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a[data-node]') : null;
    const node = link?.getAttribute('data-node');
    if (!node || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    remember('node', node === chosen() ? '' : node);
  });
  document.addEventListener('keydown', (event) => {
    const at = event.target;
    const typing = at instanceof HTMLInputElement || at instanceof HTMLTextAreaElement;
    const acting = at instanceof HTMLButtonElement || at instanceof HTMLElement && at.tagName === 'SUMMARY';
    if (sheet.open || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === ' ' && !acting) pause();
    else if (event.key === '/') filter.focus();
    else if (event.key === 't') nextTheme();
    else if (event.key === '?') sheet.showModal();
    else if (event.key === 'Escape' && chosen()) close();
    else return;
    event.preventDefault();
  });
}

takeToken();
dressIn(localStorage.getItem('theme') ?? 'system');
byId('reload').hidden = !mayChange();
const query = new URLSearchParams(location.search);
filter.value = query.get('filter') ?? '';
traffic.checked = query.get('traffic') === '1';
listen();
store.touch();
follow({
  snapshot: (snapshot) => store.takeSnapshot(snapshot),
  facts: (facts) => store.takeFacts(facts),
  overflow: () => store.forget(),
  link: (link) => store.takeLink(link),
});
