// @ts-check
// The zones of each view, and their reload with its blast radius before it happens.

/** @import {Change, Preview, Zone} from '../types.js' */
/** @import {Context, State} from '../main.js' */

import * as calls from '../calls.js';
import { h, rows, say, set } from '../dom.js';
import { count, plural, visible } from '../format.js';
import { ask } from './acts.js';
import { Order, boxed, columnsOf, failure, files, still, tokenHint } from './forms.js';
import { cell, laneOfView, pill, plain } from './parts.js';

const COLUMNS = /** @type {import('./forms.js').Column<Zone>[]} */ ([['view', '', ({ view }) => view], ['origin', '', ({ origin }) => origin],
  ['serial', 'n', ({ serial }) => serial], ['records', 'n', ({ records }) => records], ['generation', 'n', ({ generation }) => generation],
  ['file', '', ({ file }) => file]]);

export class Zones {
  #body = h('tbody');
  #button = h('button', { type: 'button' }, 'Reload…');
  #said = h('p', { role: 'status', class: 'about' });
  #about = h('p', { class: 'about' });
  #mistakes = h('div', {});
  #files;
  #order;
  #drawn = '';

  /** @param {HTMLElement} root @param {Context} context */
  constructor(root, context) {
    this.#files = files(context, 'zones');
    this.#order = new Order(context, 'zones', COLUMNS);
    this.#button.addEventListener('click', () => this.#preview());
    root.append(h('section', { 'aria-labelledby': 'zones-title' },
      h('header', {}, h('h2', { id: 'zones-title' }, 'Zones'), context.mayChange() ? this.#button : null, this.#files.element),
      this.#about, this.#mistakes, this.#said,
      boxed('zones-title', 'Each zone of each view', this.#order.element, this.#body),
      tokenHint(context)));
  }

  /** @param {State} state */
  draw(state) {
    const { snapshot } = state;
    if (!snapshot) return;
    const why = still(state);
    this.#button.disabled = why !== null;
    const newer = snapshot.zones.find(({ generation }) => generation !== snapshot.generation)?.generation;
    this.#files.at(newer === undefined ? state.at : null);
    say(this.#about, [newer === undefined ? `Rules of generation ${snapshot.generation}.`
      : `Rules of generation ${snapshot.generation} were in force at this instant; the zones below are those of now, of generation ${newer}.`, why].filter(Boolean).join(' '));
    set(this.#about, { class: newer === undefined ? 'about' : 'notice is-warn' });
    const refused = JSON.stringify(snapshot.reload_mistakes);
    if (refused !== this.#drawn) {
      this.#drawn = refused;
      this.#mistakes.replaceChildren(...snapshot.reload_mistakes.length
        ? [failure({ text: 'The last reload was refused; the old rules stay in force.', mistakes: snapshot.reload_mistakes })] : []);
    }
    this.#order.draw(COLUMNS);
    rows(this.#body, this.#order.sort(snapshot.zones), ({ view, origin }) => `${view} ${origin}`, (zone) => [
      cell(zone.view, () => [pill(zone.view, laneOfView(snapshot, zone.view))]),
      plain(visible(zone.origin), 'mono'), plain(String(zone.serial ?? ''), 'n mono'), plain(count(zone.records), 'n'),
      plain(count(zone.generation), 'n'), plain(visible(zone.file ?? 'carried in the binary'), 'mono quiet'),
    ]);
  }

  #preview() {
    return ask('Reload zones: who would get another answer', 'Put in force', async () => {
      const said = await calls.preview();
      if (!said.ok) return { parts: [failure(said)], possible: false };
      const { mistakes, refused_by_limit: limit } = said.body;
      return { parts: radius(said.body), possible: mistakes.length === 0 && limit === null };
    }, async () => {
      const done = await calls.reload();
      if (!done.ok) return failure(done);
      const { generation, changed, warnings } = done.body;
      say(this.#said, [`Generation ${generation} is in force: ${changed.length ? `changed ${changed.join(', ')}` : 'nothing changed'}.`,
        ...warnings.map((warning) => `Warning: ${warning}`)].join(' '));
      return null;
    });
  }
}

/** @param {Preview} preview */
function radius(preview) {
  if (preview.mistakes.length) return [failure({ text: 'This reload would be refused.', mistakes: preview.mistakes })];
  const { share, groups, changed, more } = preview;
  const none = !changed.length && !groups.length;
  return [
    none ? h('p', {}, 'Nothing would change: files and rules are those in force.')
      : h('p', { class: 'radius' }, h('strong', {}, share.ipv4), ' of the IPv4 and ', h('strong', {}, share.ipv6),
        ' of the IPv6 addresses would get another answer to some name.'),
    preview.refused_by_limit ? failure({ text: preview.refused_by_limit }) : null,
    ...preview.warnings.map((warning) => h('p', { class: 'notice is-warn' }, visible(warning))),
    groups.length ? h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Who gets what' },
      ...groups.map(({ prefixes, prefixes_more: others, changes, more: rest }) => h('table', { class: 'dense' },
        h('caption', {}, h('b', {}, 'clients '), h('span', { class: 'mono' }, visible(prefixes.join(' '))),
          others ? ` and ${plural(others, 'prefix', 'prefixes')} more` : null, rest ? `; ${plural(rest, 'change')} more` : null),
        h('thead', {}, columnsOf([['view'], ['name'], ['type'], ['before'], ['after']])),
        h('tbody', {}, ...changes.map(change))))) : null,
    more ? h('p', { class: 'about' }, `and ${plural(more, 'group')} more`) : null,
    changed.length ? h('p', { class: 'about' }, 'Changed: ', h('span', { class: 'mono' }, visible(changed.join(', ')))) : null,
  ].filter((part) => part !== null);
}

/** @param {Change} change */
function change({ view, name, rtype, before, after }) {
  const side = (/** @type {string[]} */ list) => list.length ? list.map((text) => h('span', { class: 'under mono' }, visible(text)))
    : [h('span', { class: 'quiet' }, 'none')];
  return h('tr', {}, h('td', {}, visible(view ?? 'none')), h('th', { scope: 'row', class: 'mono' }, visible(name)),
    h('td', { class: 'mono' }, rtype), h('td', {}, ...side(before)), h('td', {}, ...side(after)));
}
