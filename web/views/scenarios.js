// @ts-check
// The page Scenarios: the question that runs, its steps and expectations as they turn; runs in
// virtual time; other scenarios with what check finds in them; faults by hand.

/** @import {Expectation, Found, Run, Scenario, Scenarios, Snapshot, Timeline} from '../types.js' */
/** @import {Context, State} from '../main.js' */

import { BundleSource } from '../bundle.js';
import * as calls from '../calls.js';
import { each, h, redo, rows, say, set } from '../dom.js';
import { instant, plural, span, visible } from '../format.js';
import { savers } from '../table.js';
import { atText } from '../timebar.js';
import { FaultCards } from './faultcards.js';
import { Order, boxed, failure, field, files, nearby, section, still, tokenHint, turn } from './forms.js';
import { cell, mark, nodeLink, plain, state as pillOf } from './parts.js';

/** How often runs are asked for while one goes on. */
const EVERY_MS = 400;

/** @type {ScenariosPage | null} */
let page = null;

/** @param {HTMLElement} root @param {Context} context */
export function mount(root, context) {
  page = new ScenariosPage(root, context);
}

/** @param {State} state */
export function draw(state) {
  page?.draw(state);
}

export function unmount() {
  page?.end();
  page = null;
}

class ScenariosPage {
  #context;
  #about = h('div', { class: 'lesson' });
  #form = h('form', { class: 'form', 'aria-label': 'Run the scenario' });
  #mode = h('select', { name: 'mode' }, h('option', { value: 'virtual' }, 'in virtual time'), h('option', { value: 'live' }, 'live, in this lab'));
  #seed = h('input', { name: 'seed', inputmode: 'numeric', pattern: '[0-9]*', placeholder: 'its own', class: 'short mono', autocomplete: 'off' });
  #go = h('button', { class: 'main' }, 'Run');
  #hint = h('p', { class: 'about' });
  #said = h('p', { role: 'status', class: 'about' });
  #steps = h('ol', { class: 'turns' });
  #expectations = h('ul', { class: 'turns' });
  #runs = h('tbody');
  #others = h('div', { class: 'others' });
  #findings = h('ul', { class: 'findings' });
  /** @type {Order<Run>} */
  #order;
  /** @type {Run[]} */
  #list = [];
  #files;
  #foundFiles;
  #runsBox;
  #othersBox;
  #faults;
  /** @type {Scenarios | null} */
  #known = null;
  #timer = 0;
  #ended = false;
  #may = false;

  /** @param {HTMLElement} root @param {Context} context */
  constructor(root, context) {
    this.#context = context;
    this.#faults = new FaultCards(context);
    this.#files = files(context, 'expectations');
    this.#foundFiles = files(context, 'findings');
    this.#form.append(field('how', this.#mode), field('seed', this.#seed), this.#go);
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#start();
    });
    this.#mode.addEventListener('change', () => {
      this.#seed.disabled = this.#mode.value === 'live';
    });
    this.#order = new Order(context, 'runs', RUNS);
    this.#runsBox = section('runs', 'Runs', savers('runs', ['scenario', 'mode', 'seed', 'state', 'at_us', 'outcome'], () => this.#list.map((one) =>
      [one.scenario, one.mode, String(one.seed ?? ''), one.state, String(one.at_us), one.outcome ?? ''])),
    boxed('runs-title', 'Runs, the newest first', this.#order.element, this.#runs));
    this.#othersBox = section('others', 'Other scenarios', null, this.#others);
    root.append(h('div', { class: 'scenes' },
      h('div', {}, section('current', 'The scenario that runs', null, this.#about, this.#form, this.#hint, this.#said),
        section('steps', 'Timeline', null, this.#steps), section('expect', 'Expectations', this.#files.element, this.#expectations),
        this.#runsBox, this.#othersBox),
      h('div', {}, this.#faults.element, section('found', 'Findings', this.#foundFiles.element, this.#findings),
        tokenHint(context))));
    this.#runsBox.hidden = true;
    this.#load();
  }

  end() {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#faults.end();
  }

  /** Asks for scenarios and runs; again while a run goes on. */
  async #load() {
    clearTimeout(this.#timer);
    if (this.#context.source.kind === 'file') {
      this.#runsBox.hidden = this.#othersBox.hidden = true;
      return;
    }
    const said = await calls.scenarios();
    if (this.#ended) return;
    if (!said.ok) {
      this.#about.replaceChildren(failure(said));
      return;
    }
    this.#known = said.body;
    this.#drawAbout(said.body);
    this.#drawRuns(said.body.runs);
    this.#drawOthers(said.body);
    if (said.body.runs.some(({ state }) => state === 'running')) this.#timer = window.setTimeout(() => this.#load(), EVERY_MS);
  }

  /** @param {State} state */
  draw(state) {
    const { snapshot: lab, at, timeline } = state;
    if (!lab) return;
    if (this.#context.source.kind === 'file') this.#drawRun(this.#context.source.bundle);
    const why = still(state);
    this.#files.at(at);
    this.#foundFiles.at(at);
    this.#may = this.#context.mayChange() && why === null;
    this.#go.disabled = !this.#may;
    this.#form.hidden = !this.#context.mayChange();
    say(this.#hint, why ?? '');
    this.#hint.hidden = why === null;
    this.#faults.draw(lab, this.#may, at);
    this.#drawExpectations(lab.expectations);
    this.#drawFindings(lab);
    this.#drawSteps(timeline?.steps ?? []);
    this.#drawRuns(this.#list);
  }

  /** @param {Scenarios} known */
  #current({ current, scenarios }) {
    return scenarios.find(({ name, file }) => name === current.name && file === current.file) ?? null;
  }

  /** What is told of the scenario that is shown. */
  #told() {
    const { source } = this.#context;
    return source.kind === 'file' ? source.bundle.about ?? null : this.#known && this.#current(this.#known);
  }

  /** @param {Scenarios} known */
  #drawAbout(known) {
    const now = this.#current(known);
    redo(this.#about, JSON.stringify([known.current, now]), () => [
      h('p', {}, h('strong', {}, visible(known.current.name)), ' ',
        h('span', { class: 'mono quiet' }, known.current.file === null ? 'carried in the binary' : visible(known.current.file))),
      ...now ? lesson(now) : []]);
  }

  /** Which run a file holds. @param {import('../types.js').Bundle} bundle */
  #drawRun({ run: { name, scenario, mode, seed, started_unix_us: started }, about }) {
    redo(this.#about, JSON.stringify([name, scenario, mode, seed, started]), () => [
      h('p', {}, h('strong', {}, visible(name)), ' ', h('span', { class: 'mono quiet' }, scenario === null ? '' : visible(scenario))),
      h('p', { class: 'quiet' }, mode === 'virtual' ? 'Played in virtual time' : `Played live${started === null ? '' : `, begun ${new Date(started / 1000).toISOString().slice(0, 19)}Z`}`,
        visible(`, seed ${seed}.`)),
      ...about ? lesson(about) : []]);
  }

  /** @param {Expectation[]} list */
  #drawExpectations(list) {
    each(this.#expectations, list, ({ index }) => String(index), () => h('li', {}), (item, one) => {
      set(item, { class: `is-${one.state}` });
      redo(item, JSON.stringify(one), () => this.#expectation(one, true));
    });
  }

  /** @param {Snapshot} lab */
  #drawFindings(lab) {
    const found = this.#told()?.findings ?? [];
    const live = lab.findings.map(({ id, severity, node, detail }) => ({ id, severity, node, detail, cure: '', place: null, text: '' }));
    const all = [...found, ...live.filter(({ id, node }) => !found.some((one) => one.id === id && one.node === node))];
    each(this.#findings, all, ({ id, node, detail }) => `${id} ${node} ${detail}`, (one) => finding(one), () => {});
    this.#findings.dataset['none'] = 'Nothing that an operator should know.';
  }

  /** @param {Timeline['steps']} steps */
  #drawSteps(steps) {
    this.#steps.dataset['none'] = 'This scenario has no timeline: nothing happens by itself but what agents and users do.';
    each(this.#steps, steps, ({ index }) => String(index), () => h('li', {}), (item, step) => {
      set(item, { class: `is-${step.state}` });
      redo(item, JSON.stringify(step), () => [turn(step.state), this.#instant(step.at_us),
        h('span', { class: 'text' }, visible(step.text), step.place ? nearby(step.place) : null)]);
    });
  }

  /** A link to what every page showed then. @param {number | null} us */
  #instant(us) {
    return us === null ? h('span') : h('a', { class: 'instant', href: this.#context.href('scenarios', { at: atText(us) }) }, instant(us));
  }

  /** @param {Expectation} one @param {boolean} here whether it is of what this page shows */
  #expectation(one, here) {
    return [turn(one.state), here || one.at_us === null ? this.#instant(one.at_us) : h('time', {}, instant(one.at_us)), h('span', { class: 'text' }, visible(one.text),
      // What was measured is often the reason, word for word.
      one.why && one.why.replace(' were ', ' ') !== measured(one) ? h('span', { class: 'under' }, visible(one.why)) : null,
      one.place ? nearby(one.place, `${measured(one)} · `) : h('span', { class: 'under' }, measured(one)))];
  }

  /** @param {Run[]} runs */
  #drawRuns(runs) {
    this.#runsBox.hidden = runs.length === 0;
    this.#list = runs;
    this.#order.draw(RUNS);
    rows(this.#runs, this.#order.sort(runs), ({ id }) => id, (one) => {
      const met = one.verdicts.filter(({ state }) => state === 'met' || state === 'holding').length;
      return [
        plain(visible(one.scenario), ''), plain(one.mode, ''), plain(String(one.seed ?? ''), 'n mono'),
        cell(`${one.state} ${one.progress}`, () => one.state === 'running'
          ? [h('progress', { max: 1, value: one.progress, 'aria-label': `run ${one.id}` }), ` ${instant(one.at_us)}`]
          : [`${one.state} at ${instant(one.at_us)}`]),
        plain(visible(one.outcome ?? ''), 'wrap'),
        cell(JSON.stringify(one.verdicts), () => [h('details', {}, h('summary', {}, `${met} of ${one.verdicts.length} met`),
          h('ul', { class: 'turns' }, ...one.verdicts.map((verdict) => h('li', { class: `is-${verdict.state}` }, ...this.#expectation(verdict, false)))))]),
        cell(`${one.state} ${one.mode}`, () => this.#runActs(one), 'acts'),
      ];
    });
  }

  /** @param {Run} one */
  #runActs(one) {
    const button = (/** @type {string} */ text, /** @type {() => void} */ then) => {
      const made = h('button', { type: 'button', class: 'small', 'aria-label': `${text} run ${one.id}` }, text);
      made.addEventListener('click', then);
      return made;
    };
    const steer = (/** @type {'stop' | 'step'} */ act) => async () => {
      const said = await calls.steer(one.id, act);
      say(this.#said, said.ok ? '' : visible(said.text));
      this.#load();
    };
    if (one.state === 'running') {
      return this.#context.mayChange() ? [one.mode === 'live' ? button('Step', steer('step')) : null, button('Stop', steer('stop'))] : [];
    }
    if (one.mode === 'live') return [h('a', { href: this.#context.href('timeline') }, 'Timeline')];
    return [button('Open', async () => {
      const said = await calls.bundle(one.id);
      if (said.ok) this.#context.open(new BundleSource(said.body));
      else say(this.#said, visible(said.text));
    })];
  }

  /** @param {Scenarios} known */
  #drawOthers(known) {
    const now = this.#current(known);
    const others = known.scenarios.filter((one) => one !== now);
    this.#othersBox.hidden = others.length === 0;
    each(this.#others, others, ({ id }) => id, (one) => {
      const errors = one.findings.filter(({ severity }) => severity === 'error').length;
      const run = h('button', { type: 'button', 'aria-label': `Run in virtual time: ${visible(one.name)}` }, 'Run in virtual time');
      run.addEventListener('click', () => this.#start(one.id));
      return h('details', {}, h('summary', {}, h('b', {}, visible(one.name)), ' ', h('span', { class: 'quiet' },
        [plural(one.steps, 'step'), plural(one.expectations, 'expectation'), one.duration_us === null ? '' : span(one.duration_us),
          plural(one.findings.length, 'finding')].filter(Boolean).join(', ')), errors ? h('span', { class: 'is-bad' }, `, ${plural(errors, 'error')}`) : null,
        h('span', { class: 'under' }, visible(one.question))),
      ...lesson({ ...one, question: '' }), one.findings.length ? h('ul', { class: 'findings' }, ...one.findings.map(finding)) : null,
      this.#context.mayChange() ? run : null,
      one.file === null ? null : h('p', { class: 'about' }, 'Live: ', h('code', {}, `twodoors up ${visible(one.file)}`)));
    }, () => {});
  }

  /** @param {string} [id] of another scenario */
  async #start(id) {
    const scenario = id ?? (this.#known ? this.#current(this.#known)?.id : undefined);
    if (!scenario || !this.#may) return;
    const mode = id === undefined ? /** @type {'live' | 'virtual'} */ (this.#mode.value) : 'virtual';
    const seed = this.#seed.value.trim();
    const said = await calls.startRun({ scenario, mode, seed: seed && id === undefined ? Number(seed) : null });
    say(this.#said, said.ok ? `Run ${said.body.id} has begun.` : visible(said.text));
    await this.#load();
    if (id !== undefined) this.#runsBox.scrollIntoView({ block: 'nearest' });
  }
}

const RUNS = /** @type {import('./forms.js').Column<Run>[]} */ ([['scenario', '', ({ scenario }) => scenario], ['mode', '', ({ mode }) => mode], ['seed', 'n', ({ seed }) => seed],
  ['state', '', ({ state }) => state], ['outcome', '', ({ outcome }) => outcome], ['expectations'], ['']]);

/** @param {Expectation} one */
function measured(one) {
  return one.measured ? visible(one.measured) : plural(one.evidence, 'fact');
}

/** @param {Scenario} one */
function lesson({ question, lesson: text }) {
  return [question ? h('p', { class: 'question' }, visible(question)) : null, text ? h('p', { class: 'quiet' }, visible(text)) : null]
    .filter((part) => part !== null);
}

/** @param {Found} one */
function finding({ id, severity, node, detail, cure, place: where, text }) {
  return h('li', { class: `is-${severity}` }, mark('finding'), h('div', {},
    h('p', {}, h('strong', {}, `${visible(severity)}: ${visible(id)}`), ' ', node === null ? null : node.includes('/') ? nodeLink(node, node) : visible(node), ` – ${visible(node !== null && detail.startsWith(`${node}: `) ? detail.slice(node.length + 2) : detail)}`,
      where ? nearby(where) : null),
    cure ? h('p', {}, h('b', {}, 'Cure: '), visible(cure)) : null,
    text ? h('details', {}, h('summary', {}, 'More'), h('p', { class: 'about pre' }, text.split('\n').map(visible).join('\n'))) : null));
}
