// @ts-check
// Tables below the doors: the instances of the pool, the agents, the users.

/** @import {Agent, Proxy, Snapshot, Tunnel, User} from '../types.js' */
/** @import {Cell} from '../dom.js' */
/** @import {DoorsPage, Term} from './doors.js' */

import { h, redo, rows, say } from '../dom.js';
import { count, plural, span, visible } from '../format.js';
import { matches } from './doors.js';
import { boxed, columns, files } from './forms.js';
import { cell, laneOf, laneOfDoor, nodeLink, pill, plain, state as pillOf } from './parts.js';

/** What the three have in common. @template T */
class Members {
  #head = h('thead');
  #body = h('tbody');
  #count = h('span', { class: 'quiet' });
  #files;
  page;

  /** @param {DoorsPage} page @param {string} id @param {string} title @param {string} caption @param {string} [about] */
  constructor(page, id, title, caption, about) {
    this.page = page;
    this.#files = files(page.context, id);
    this.element = h('section', { 'aria-labelledby': `${id}-title` },
      h('header', {}, h('h2', { id: `${id}-title` }, title), this.#count, this.#files.element),
      boxed(`${id}-title`, caption, this.#head, this.#body),
      about ? h('p', { class: 'about' }, about) : null);
  }

  /**
   * @param {readonly T[]} all
   * @param {readonly T[]} shown
   * @param {[string, string?][]} heads
   * @param {number | null} at
   * @param {(item: T) => Cell[]} cells
   * @param {(item: T) => string} name
   */
  table(all, shown, heads, at, cells, name) {
    this.#files.at(at);
    redo(this.#head, heads.join('\n'), () => [columns(heads)]);
    say(this.#count, shown.length === all.length ? count(all.length) : `${count(shown.length)} of ${count(all.length)}`);
    rows(this.#body, shown, name, cells);
    this.element.hidden = shown.length === 0;
    return shown.length > 0;
  }

  /** @param {string} node @param {string} admin @returns {Cell[]} */
  acts(node, admin) {
    return this.page.mayChange ? [cell(`${admin} ${this.page.mayAct}`, () => this.page.buttons(node, admin), 'acts')] : [];
  }

  /** @returns {[string, string?][]} */
  get actsHead() {
    return this.page.mayChange ? [['']] : [];
  }

  /** @param {string} node @param {string} name @returns {Cell} */
  name(node, name) {
    return cell(`${name} ${this.page.chosen.has(node)}`, () => [this.page.tick(node), nodeLink(node, name)]);
  }
}

/** @extends {Members<Proxy>} */
export class Proxies extends Members {
  /** @param {DoorsPage} page */
  constructor(page) {
    super(page, 'pool', 'Instances', 'Each instance of the pool: tunnels and requests');
  }

  /** @param {Snapshot} lab @param {Term[]} wanted @param {number | null} at */
  draw({ proxies, balancers }, wanted, at) {
    const healths = (/** @type {Proxy} */ one) => balancers.map((door) => door.backends.find(({ proxy }) => proxy === one.name)?.health ?? '').join(' ');
    const shown = proxies.filter((one) => matches(wanted, { instance: one.name, proxy: one.name, admin: one.admin, configured: one.admin, health: healths(one), listen: one.listen }));
    return this.table(proxies, shown, [['instance'], ['configured'], ['listens'], ['tunnels', 'n'], ['active', 'n'], ['routed', 'n'],
      ['no tunnel', 'n'], ['cut', 'n'], ['refused', 'n'], ...this.actsHead], at, (one) => [
      this.name(`proxy/${one.name}`, one.name), cell(one.admin, () => [pillOf(one.admin)]), plain(visible(one.listen), 'mono quiet'),
      plain(count(one.tunnels), 'n'), plain(count(one.active), 'n'), plain(count(one.routed), 'n'),
      odd(one.no_tunnel), odd(one.cut), odd(one.refused), ...this.acts(`proxy/${one.name}`, one.admin),
    ], ({ name }) => name);
  }
}

/** @extends {Members<Agent>} */
export class Agents extends Members {
  /** @param {DoorsPage} page */
  constructor(page) {
    super(page, 'agents', 'Agents and their tunnels', 'Each agent by instance: whether the tunnel stands, its door, and the gap after a return',
      'A gap runs from the loss of a tunnel to the next one; “after up” from the door’s up for that instance.');
  }

  /** @param {Snapshot} lab @param {Term[]} wanted @param {number | null} at */
  draw(lab, wanted, at) {
    const shown = lab.agents.filter((one) => matches(wanted, { agent: one.name, network: one.network, admin: one.admin, configured: one.admin,
      door: one.tunnels.map(({ balancer }) => balancer ?? '').join(' '), address: one.address, error: one.last_error ?? '' }));
    return this.table(lab.agents, shown, [['agent'], ['configured'], ['network'], ...lab.proxies.map(({ name }) => /** @type {[string]} */ ([`to ${name}`])),
      ['verified'], ['failed', 'n'], ['last failure'], ...this.actsHead], at, (one) => {
      const names = [...new Set(one.tunnels.flatMap(({ up, verified }) => up && verified !== null ? [verified] : []))].sort().join(' ');
      return [
        this.name(`agent/${one.name}`, one.name), cell(one.admin, () => [pillOf(one.admin)]),
        cell(one.network, () => [pill(one.network, laneOf(lab, one.network))]),
        ...one.tunnels.map((tunnel) => tunnelCell(lab, tunnel)), plain(visible(names), 'mono'),
        odd(one.failures.reduce((all, { count: n }) => all + n, 0)), clamped(one.last_error), ...this.acts(`agent/${one.name}`, one.admin),
      ];
    }, ({ name }) => name);
  }
}

/** @extends {Members<User>} */
export class Users extends Members {
  /** @param {DoorsPage} page */
  constructor(page) {
    super(page, 'users', 'Users', 'Each user: visits, the last answer and its way');
  }

  /** @param {Snapshot} lab @param {Term[]} wanted @param {number | null} at */
  draw(lab, wanted, at) {
    const shown = lab.users.filter((one) => matches(wanted, { user: one.name, network: one.network, admin: one.admin, configured: one.admin,
      door: one.doors.map(({ balancer }) => balancer).join(' '), address: one.address, error: one.last_error ?? '' }));
    return this.table(lab.users, shown, [['user'], ['configured'], ['network'], ['answered', 'n'], ['failed', 'n'], ['last answer'], ['took', 'n'], ['door'],
      ['instance'], ['last failure'], ...this.actsHead], at, (one) => {
      const { last } = one;
      return [
        this.name(`user/${one.name}`, one.name), cell(one.admin, () => [pillOf(one.admin)]),
        cell(one.network, () => [pill(one.network, laneOf(lab, one.network))]), plain(count(one.answered), 'n'),
        odd(one.failures.reduce((all, { count: n }) => all + n, 0)), plain(last ? `${visible(last.app)} ${last.status}` : 'not yet', last ? '' : 'quiet'),
        plain(last ? span(last.took_us) : '', 'n'),
        last?.balancer == null ? '' : cell(last.balancer, () => [pill(last.balancer ?? '', laneOfDoor(lab, last.balancer))]),
        visible(last?.proxy ?? ''), clamped(one.last_error), ...this.acts(`user/${one.name}`, one.admin),
      ];
    }, ({ name }) => name);
  }
}

/** A number that should be 0. @param {number} n */
function odd(n) {
  return plain(count(n), n ? 'n strong' : 'n quiet');
}

/** @param {string | null} text */
function clamped(text) {
  const said = visible(text ?? '');
  return cell(said, () => [h('span', { class: 'cut', title: said }, said)], 'quiet');
}

/** @param {Snapshot} lab @param {Tunnel} tunnel */
function tunnelCell(lab, tunnel) {
  const word = tunnel.up ? 'up' : tunnel.made ? 'lost' : 'none';
  return cell(JSON.stringify([word, tunnel.balancer, tunnel.gap_us, tunnel.after_rise_us]), () => {
    if (word === 'none') return [h('span', { class: 'quiet' }, 'not yet')];
    const gap = tunnel.up && tunnel.gap_us !== null
      ? `gap ${span(tunnel.gap_us)}${tunnel.after_rise_us === null ? '' : `, ${span(tunnel.after_rise_us)} after up`}` : null;
    return [pillOf(word), ' ', tunnel.up && tunnel.balancer !== null ? pill(tunnel.balancer, laneOfDoor(lab, tunnel.balancer)) : null,
      gap === null ? null : h('span', { class: 'under' }, gap)];
  });
}
