// @ts-check
// Tables below the doors: the instances of the pool, the agents, the users.

/** @import {Agent, Proxy, Snapshot, Tunnel, User} from '../types.js' */
/** @import {Cell} from '../dom.js' */
/** @import {DoorsPage, Term} from './doors.js' */

import { fill, h, redo, rows, say } from '../dom.js';
import { count, plural, span, visible } from '../format.js';
import { matches } from './doors.js';
import { Order, boxed, files } from './forms.js';
import { cell, laneOf, laneOfDoor, nodeLink, pill, plain, state as pillOf } from './parts.js';

/** More rows than these are folded until they are asked for: laying thousands of cells out takes longer than a frame. */
const ROWS = 50;

/** What the three have in common. @template T */
class Members {
  /** @type {Order<T>} */
  #order;
  #body = h('tbody');
  #foot = h('tr');
  #count = h('span', { class: 'quiet' });
  #more = h('p', { class: 'about' });
  #files;
  #term;
  page;

  /** @param {DoorsPage} page @param {string} id @param {string} title @param {string} caption @param {string} [about] */
  constructor(page, id, title, caption, about) {
    this.page = page;
    this.#files = files(page.context, id);
    this.#order = new Order(page.context, id);
    this.#term = `all.${id}`;
    this.element = h('section', { 'aria-labelledby': `${id}-title` },
      h('header', {}, h('h2', { id: `${id}-title` }, title), this.#count, this.#files.element),
      boxed(`${id}-title`, caption, this.#order.element, this.#body, h('tfoot', {}, this.#foot)), this.#more,
      about ? h('p', { class: 'about' }, about) : null);
  }

  /**
   * @param {readonly T[]} all
   * @param {readonly T[]} shown
   * @param {import('./forms.js').Column<T>[]} heads
   * @param {number | null} at
   * @param {(item: T) => Cell[]} cells
   * @param {(item: T) => string} name
   * @param {Cell[]} foot what all that are shown come to
   * @param {[string, (item: T) => boolean]} ails what may be wrong with one, and with which: told of those that are folded
   */
  table(all, shown, heads, at, cells, name, foot, ails) {
    this.#files.at(at);
    this.#order.draw(heads);
    say(this.#count, shown.length === all.length ? count(all.length) : `${count(shown.length)} of ${count(all.length)}`);
    const sorted = this.#order.sort(shown);
    const open = sorted.length <= ROWS || this.page.context.query.get(this.#term) !== null;
    rows(this.#body, open ? sorted : sorted.slice(0, ROWS), name, cells);
    fill(this.#foot, foot);
    this.#drawMore(open ? [] : sorted.slice(ROWS), sorted.length, ails);
    this.element.hidden = shown.length === 0;
    return shown.length > 0;
  }

  /**
   * Says how many rows are folded, and opens or folds them.
   * @param {readonly T[]} folded
   * @param {number} all
   * @param {[string, (item: T) => boolean]} ails
   */
  #drawMore(folded, all, [wrong, ails]) {
    this.#more.hidden = all <= ROWS;
    const bad = folded.filter(ails).length;
    redo(this.#more, `${folded.length} ${all} ${bad}`, () => {
      const button = h('button', { type: 'button' }, folded.length ? `Show all ${count(all)}` : `Show ${ROWS} only`);
      button.addEventListener('click', () => this.page.context.query.set({ [this.#term]: folded.length ? '1' : null }));
      if (!folded.length) return [button];
      return [`${count(folded.length)} more, `, bad ? h('b', { class: 'is-bad' }, `${count(bad)} of them ${wrong}`) : `none of them ${wrong}`, '. ', button];
    });
  }

  /** @param {string} node @param {string} admin @returns {Cell[]} */
  acts(node, admin) {
    return this.page.mayChange ? [cell(`${admin} ${this.page.mayAct}`, () => this.page.buttons(node, admin), 'acts')] : [];
  }

  /** @returns {import('./forms.js').Column<T>[]} */
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
    return this.table(proxies, shown, [['instance', '', ({ name }) => name], ['configured', '', ({ admin }) => admin], ['listens', '', ({ listen }) => listen],
      ['tunnels', 'n', ({ tunnels }) => tunnels], ['active', 'n', ({ active }) => active], ['routed', 'n', ({ routed }) => routed],
      ['no tunnel', 'n', (one) => one.no_tunnel], ['cut', 'n', ({ cut }) => cut], ['refused', 'n', ({ refused }) => refused], ...this.actsHead], at, (one) => [
      this.name(`proxy/${one.name}`, one.name), cell(one.admin, () => [pillOf(one.admin)]), plain(visible(one.listen), 'mono quiet'),
      plain(count(one.tunnels), 'n'), plain(count(one.active), 'n'), plain(count(one.routed), 'n'),
      odd(one.no_tunnel), odd(one.cut), odd(one.refused), ...this.acts(`proxy/${one.name}`, one.admin),
    ], ({ name }) => name, ['all', '', '', ...[shown.map(({ tunnels }) => tunnels), shown.map(({ active }) => active), shown.map(({ routed }) => routed),
      shown.map((one) => one.no_tunnel), shown.map(({ cut }) => cut), shown.map(({ refused }) => refused)].map(total)],
    ['that lost a request', (one) => one.no_tunnel + one.cut > 0]);
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
    return this.table(lab.agents, shown, [['agent', '', ({ name }) => name], ['configured', '', ({ admin }) => admin], ['network', '', ({ network }) => network],
      ...lab.proxies.map(({ name }, index) => /** @type {import('./forms.js').Column<Agent>} */ ([`tunnel to ${name}`, '', ({ tunnels }) => wordOf(tunnels[index])])),
      ['name verified'], ['failed', 'n', ({ failures }) => failedOf(failures)], ['last failure', '', (one) => one.last_error], ...this.actsHead], at, (one) => {
      const names = [...new Set(one.tunnels.flatMap(({ up, verified }) => up && verified !== null ? [verified] : []))].sort().join(' ');
      return [
        this.name(`agent/${one.name}`, one.name), cell(one.admin, () => [pillOf(one.admin)]),
        cell(one.network, () => [pill(one.network, laneOf(lab, one.network))]),
        ...one.tunnels.map((tunnel) => tunnelCell(lab, tunnel)), plain(visible(names), 'mono'),
        odd(failedOf(one.failures)), clamped(one.last_error), ...this.acts(`agent/${one.name}`, one.admin),
      ];
    }, ({ name }) => name, ['all', '', '', ...lab.proxies.map((_, index) => `${shown.filter(({ tunnels }) => tunnels[index]?.up).length}/${shown.length} up`), '',
      total(shown.map(({ failures }) => failedOf(failures)))],
    ['without all tunnels', ({ tunnels }) => tunnels.some(({ up }) => !up)]);
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
    return this.table(lab.users, shown, [['user', '', ({ name }) => name], ['configured', '', ({ admin }) => admin], ['network', '', ({ network }) => network],
      ['answered', 'n', ({ answered }) => answered], ['failed', 'n', ({ failures }) => failedOf(failures)], ['last answer', '', ({ last }) => last?.app ?? null],
      ['took', 'n', ({ last }) => last?.took_us ?? null], ['door', '', ({ last }) => last?.balancer ?? null], ['instance', '', ({ last }) => last?.proxy ?? null],
      ['last failure', '', (one) => one.last_error], ...this.actsHead], at, (one) => {
      const { last } = one;
      return [
        this.name(`user/${one.name}`, one.name), cell(one.admin, () => [pillOf(one.admin)]),
        cell(one.network, () => [pill(one.network, laneOf(lab, one.network))]), plain(count(one.answered), 'n'),
        odd(failedOf(one.failures)), plain(last ? `${visible(last.app)} ${last.status}` : 'not yet', last ? '' : 'quiet'),
        plain(last ? span(last.took_us) : '', 'n'),
        last?.balancer == null ? '' : cell(last.balancer, () => [pill(last.balancer ?? '', laneOfDoor(lab, last.balancer))]),
        visible(last?.proxy ?? ''), clamped(one.last_error), ...this.acts(`user/${one.name}`, one.admin),
      ];
    }, ({ name }) => name, ['all', '', '', total(shown.map(({ answered }) => answered)), total(shown.map(({ failures }) => failedOf(failures)))],
    ['without an answer of 200 at last', ({ last, failures }) => (last === null ? failedOf(failures) > 0 : last.status !== 200)]);
  }
}

/** @param {{count: number}[]} failures */
function failedOf(failures) {
  return failures.reduce((all, { count: n }) => all + n, 0);
}

/** @param {number[]} numbers @returns {Cell} */
function total(numbers) {
  return plain(count(numbers.reduce((all, n) => all + n, 0)), 'n');
}

/** How a tunnel stands. @param {Tunnel | undefined} tunnel */
function wordOf(tunnel) {
  return tunnel?.up ? 'up' : tunnel?.made ? 'lost' : 'none';
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
  const word = wordOf(tunnel);
  return cell(JSON.stringify([word, tunnel.balancer, tunnel.gap_us, tunnel.after_rise_us]), () => {
    if (word === 'none') return [h('span', { class: 'quiet' }, 'not yet')];
    const gap = tunnel.up && tunnel.gap_us !== null
      ? `gap ${span(tunnel.gap_us)}${tunnel.after_rise_us === null ? '' : `, ${span(tunnel.after_rise_us)} after up`}` : null;
    return [pillOf(word), ' ', tunnel.up && tunnel.balancer !== null ? pill(tunnel.balancer, laneOfDoor(lab, tunnel.balancer)) : null,
      gap === null ? null : h('span', { class: 'under' }, gap)];
  });
}
