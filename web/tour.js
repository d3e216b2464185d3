// @ts-check
// A short tour of the guide's three ways, on the first visit or with `?tour=1`: each step outlines
// the live element that it speaks of.

import { byId, h, redo, say } from './dom.js';
import { go, pageNow, query } from './router.js';

/** @typedef {{at: string, title: string, text: string, code?: string}} Step */

/** @type {Step[]} */
const STEPS = [
  { at: '#picture .lane-0, #picture .balancer.ink-0', title: 'Two networks, one name',
    text: 'Agents and users ask for the same name. Inside and outside are two lanes here, tinted, and every path begins in one of them.' },
  { at: '#picture .view', title: 'Way 1: DNS decides',
    text: 'Each lane has its own DNS view of the name. The source of the query chooses the view, the view’s zone the address. This is split-dns.' },
  { at: '#picture .balancer', title: 'Two doors in the wall',
    text: 'The address that was answered is a door: a balancer. The configuration and the certificate are the same at both.' },
  { at: '#picture .pool', title: 'One shared pool',
    text: 'Both doors lead to the same proxies. Agents keep a reverse tunnel to each of them, and requests travel back through it.' },
  { at: '#picture .client', title: 'Why did it go there?',
    text: 'Choose any client: its way lights up, and below stands every decision with its reason, file and line. There you can also ask what another network would change.' },
  { at: '#scrub', title: 'Any instant',
    text: 'This bar looks at any instant that the journal holds; bands are faults, ticks are failed expectations. Every page follows.' },
  { at: '#picture .lane-1, #picture .balancer.ink-1', title: 'Way 2: several public addresses',
    text: 'Without views, two names in public_addr are tried: only agents that are told the internal name use its door. See it with', code: 'twodoors up scenarios/multiple-public-addresses.yaml' },
  { at: '#nav [data-page=scenarios]', title: 'Way 3: a tunnel address of its own',
    text: 'tunnel_public_addr separates by role, not by network. That and the rest stand on the page Scenarios. See it with', code: 'twodoors up scenarios/tunnel-public-address.yaml' },
];

/** What is left free above the element on a narrow page. */
const ABOVE_PX = 48;

/** Where it is remembered that the tour was seen. */
const SEEN = 'tour';

let index = -1;
const title = h('h2', { id: 'tour-title', tabindex: '-1' });
const text = h('p');
const number = h('span', { class: 'quiet' });
const back = h('button', { type: 'button' }, 'Back');
const next = h('button', { type: 'button', class: 'main' }, 'Next');
const end = h('button', { type: 'button' }, 'Skip');
const box = h('section', { class: 'tour', role: 'dialog', 'aria-labelledby': 'tour-title', hidden: true }, title, text,
  h('footer', {}, number, end, back, next));
const ring = h('div', { class: 'tour-ring', 'aria-hidden': 'true', hidden: true });

/** Where what a step speaks of is now: the first that is found, of each kind that is named. @param {Step} step */
function place({ at }) {
  const all = at.split(',').flatMap((one) => document.querySelector(one)?.getBoundingClientRect() ?? []).filter(({ width }) => width > 0);
  if (!all.length) return null;
  const [left, top] = [Math.min(...all.map((rect) => rect.left)), Math.min(...all.map((rect) => rect.top))];
  return { left, top, width: Math.max(...all.map(({ right }) => right)) - left, height: Math.max(...all.map(({ bottom }) => bottom)) - top };
}

/** Puts the ring where the element is now; the page may have moved. */
function follow() {
  const step = STEPS[index];
  if (!step) return;
  const at = place(step);
  ring.hidden = !at;
  if (at) {
    Object.assign(ring.style, { left: `${at.left - 6}px`, top: `${at.top - 6}px`, width: `${at.width + 12}px`, height: `${at.height + 12}px` });
  }
  requestAnimationFrame(follow);
}

/** @param {number} to */
function show(to) {
  const step = STEPS[to];
  if (!step) return stop();
  const first = index < 0;
  index = to;
  if (pageNow() !== 'topology') go('topology');
  say(title, step.title);
  redo(text, step.title, () => [step.text, ...step.code ? [' ', h('code', {}, step.code)] : []]);
  say(number, `${to + 1} of ${STEPS.length}`);
  back.disabled = to === 0;
  say(next, to === STEPS.length - 1 ? 'Done' : 'Next');
  end.hidden = to === STEPS.length - 1;
  box.hidden = false;
  const narrow = innerWidth < 700;
  document.querySelector(step.at)?.scrollIntoView({ block: narrow ? 'start' : 'nearest', inline: 'nearest' });
  // Room for the ring, and for what it stands below.
  if (narrow) scrollBy(0, Math.min(0, (place(step)?.top ?? ABOVE_PX) - ABOVE_PX));
  title.focus({ preventScroll: true });
  if (first) follow();
}

function stop() {
  index = -1;
  box.hidden = true;
  ring.hidden = true;
  localStorage.setItem(SEEN, 'seen');
  query.set({ tour: null });
  byId('tour').focus();
}

document.body.append(ring, box);
next.addEventListener('click', () => show(index + 1));
back.addEventListener('click', () => show(index - 1));
end.addEventListener('click', stop);
document.addEventListener('keydown', (event) => {
  if (index < 0 || event.key !== 'Escape' || document.querySelector('dialog[open]')) return;
  event.preventDefault();
  stop();
}, { capture: true });
box.addEventListener('keydown', (event) => {
  const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (way === undefined || index + way < 0) return;
  event.preventDefault();
  event.stopPropagation();
  show(index + way);
});

export function begin() {
  show(0);
}

/** Begins when there is something to point at. */
export function whenDrawn() {
  if (document.querySelector('#picture .box')) show(0);
  else requestAnimationFrame(whenDrawn);
}
