// @ts-check
// A chain of decisions as a strip of cards, from the question to the resource; each card says what,
// why, and where that is written.
//
//   const strip = whyStrip();  parent.append(strip.element);  strip.draw(why, snapshot);

/** @import {Decision, Snapshot, Why} from './types.js' */

import { h, redo } from './dom.js';
import { instant, span, visible } from './format.js';
import { astray } from './worst.js';
import { laneOf, laneOfDoor, laneOfView, mark, nodeLink, term } from './views/parts.js';

/** The tint of a step: that of the lane which it is in. @param {Snapshot} lab @param {Decision} step */
function inkOf(lab, { node }) {
  const [kind, name = ''] = (node ?? '').split(/\/(.*)/s);
  if (kind === 'view') return laneOfView(lab, name);
  if (kind === 'balancer') return laneOfDoor(lab, name);
  const client = kind === 'agent' ? lab.agents.find((a) => a.name === name) : kind === 'user' ? lab.users.find((u) => u.name === name) : null;
  return laneOf(lab, client?.network ?? null);
}

/** A word of so many letters fits a card. */
const FITS = 19;

/** Lets a word that is too long for a card break after its slashes, else between its labels. @template {HTMLElement} E @param {E} element */
function broken(element) {
  const parts = (element.textContent ?? '').split(/(?<= )/).flatMap((word) => word.length <= FITS ? [word]
    : word.split(/(?<=\/)(?=\S)/).flatMap((part) => part.length <= FITS ? [part] : part.split(/(?<=[a-z]\.)(?=[a-z])/i)));
  element.replaceChildren(...parts.flatMap((part, index) => (index ? [h('wbr'), part] : [part])));
  return element;
}

export function whyStrip() {
  const title = h('p', { class: 'outcome' });
  const list = h('ol', { class: 'strip-cards' });
  const element = h('div', { class: 'why' }, title, list);
  return {
    element,
    /** @param {Why} why @param {Snapshot} lab */
    draw(why, lab) {
      const words = JSON.stringify(why);
      const wrong = astray(lab).find(({ node }) => node === why.node);
      redo(title, `${words} ${JSON.stringify(wrong)}`, () => [mark(why.ok && !wrong ? 'up' : 'down'), h('strong', {}, visible(why.outcome)), ' ',
        wrong ? h('strong', {}, `– misrouted: it is in network ${visible(wrong.network)}, and door ${visible(wrong.door)} is not meant for its kind `) : null,
        h('span', { class: 'quiet' }, visible(why.title))]);
      title.classList.toggle('is-bad', !why.ok || wrong !== undefined);
      redo(list, words, () => why.steps.map((step) => {
        const { stage, node, text, why: reason, place, at_us: at, took_us: took, ok } = step;
        const linked = node !== null && /^(agent|user|balancer|proxy)\//.test(node);
        return h('li', { class: `why-card ${inkOf(lab, step)}${ok ? '' : ' is-wrong'}` },
          h('p', { class: 'stage' }, term(stage), at === null ? null : h('time', {}, instant(at))),
          h('p', { class: 'what' }, ok ? null : mark('down'), linked && node !== null ? broken(nodeLink(node, text)) : broken(h('span', {}, visible(text)))),
          broken(h('p', { class: 'because' }, visible(reason))),
          took === null ? null : h('p', { class: 'mono quiet' }, `took ${span(took)}`),
          place === null ? null : broken(h('p', { class: 'mono quiet place', title: visible(`${place.file}:${place.line}`) },
            visible(`${place.file.split('/').slice(-2).join('/')}:${place.line}`))));
      }));
    },
  };
}
