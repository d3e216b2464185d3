// @ts-check
// The lanes of the timeline on one axis: steps, faults as bands, expectations, decisions by who
// took them, rates. Dragging chooses a window, a click an instant.

/** @import {Mark, Timeline} from '../types.js' */
/** @import {Window} from './axis.js' */

import { h, s, say, set } from '../dom.js';
import { columns, instant, short, visible } from '../format.js';
import { pack, scale, tickText, ticks } from './axis.js';

const ROW = 26;
const BAND = 20;
/** The width of a letter of a band's text, at most. */
const BAND_LETTER = 6.4;
const TOP = 24;
const RATES = 44;

/** How many rows faults and rests take at most; the table tells of all. */
const BANDS_MAX = 6;

/** A drag shorter than this is a click. */
const CLICK_PX = 4;

/** How near the pointer must be to a mark. */
const NEAR_PX = 7;

/** What is said in what order within a lane: the bad above all. */
const SEVERITIES = /** @type {const} */ (['ok', 'notice', 'bad']);

/** @typedef {{at_us: number, text: string, node: string, severity: Mark['severity']}} Dot */

export class Lanes {
  #svg = s('svg', { class: 'lanes', role: 'group', tabindex: '0', 'aria-labelledby': 'timeline-title', 'aria-describedby': 'lanes-keys' });
  #parts = s('g');
  #window = s('rect', { class: 'brush', y: TOP, hidden: true });
  #cursor = s('g', { class: 'cursor' }, s('line', { y1: TOP - 4 }), s('path', { d: 'M-5 0h10l-5 6z', transform: `translate(0 ${TOP - 8})` }));
  #readout = h('p', { class: 'readout mono' });
  element = h('div', { class: 'lanes-box' }, this.#svg, this.#readout,
    h('p', { id: 'lanes-keys', class: 'about' }, 'Drag to zoom, click for an instant; keys + − ← → and 0 for all. Rates: ',
      h('b', { class: 'key flows' }, 'flows'), ', ', h('b', { class: 'key' }, 'answers'), ', ', h('b', { class: 'key failures' }, 'failures'), '. Marks: | as it should, ◇ to notice, ✕ wrong.'));
  /** @type {{label: string, y: number, dots: Dot[]}[]} */
  #lanes = [];
  /** @type {ReturnType<typeof scale>} */
  #scale = scale({ from: 0, to: 1 }, 0, 1);
  #left = 96;
  #width = 300;
  #from = NaN;

  /** @param {{brush: (window: Window) => void, click: (us: number) => void, key: (key: string) => boolean}} acts */
  constructor(acts) {
    this.#svg.append(this.#parts, this.#window, this.#cursor);
    const x = (/** @type {PointerEvent} */ event) =>
      Math.min(this.#width, Math.max(this.#left, event.clientX - this.#svg.getBoundingClientRect().left));
    this.#svg.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      this.#from = x(event);
      this.#svg.setPointerCapture(event.pointerId);
    });
    this.#svg.addEventListener('pointermove', (event) => {
      const here = x(event);
      if (Number.isNaN(this.#from)) return this.#tell(here, event.clientY - this.#svg.getBoundingClientRect().top);
      set(this.#window, { x: Math.min(here, this.#from), width: Math.abs(here - this.#from), hidden: null });
    });
    this.#svg.addEventListener('pointerup', (event) => {
      const [from, to] = [Math.min(this.#from, x(event)), Math.max(this.#from, x(event))];
      this.#drop();
      if (Number.isNaN(from)) return;
      if (to - from < CLICK_PX) acts.click(this.#near(to, event.clientY - this.#svg.getBoundingClientRect().top)?.at_us ?? this.#scale.us(to));
      else acts.brush({ from: this.#scale.us(from), to: this.#scale.us(to) });
    });
    this.#svg.addEventListener('pointercancel', () => this.#drop());
    this.#svg.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !acts.key(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  #drop() {
    this.#from = NaN;
    set(this.#window, { hidden: true, width: 0 });
  }

  /** @param {number} x @param {number} y */
  #near(x, y) {
    const lane = this.#lanes.find((l) => y >= l.y && y < l.y + ROW);
    /** @type {Dot | undefined} */
    let found;
    let least = NEAR_PX;
    for (const dot of lane?.dots ?? []) {
      const off = Math.abs(this.#scale.x(dot.at_us) - x);
      if (off <= least) [found, least] = [dot, off];
    }
    return found;
  }

  /** @param {number} x @param {number} y */
  #tell(x, y) {
    const dot = this.#near(x, y);
    say(this.#readout, dot ? `${instant(dot.at_us)} ${visible(dot.node)} ${visible(dot.text)}` : '');
  }

  /** @param {Timeline} timeline @param {Window} window @param {number} here what is looked at */
  draw(timeline, window, here) {
    const wide = Math.max(320, this.element.clientWidth);
    this.#left = wide < 560 ? 74 : 108;
    this.#width = wide - 8;
    this.#scale = scale(window, this.#left, this.#width - this.#left);
    const { x } = this.#scale;
    const inside = (/** @type {number} */ us) => us >= window.from && us <= window.to;
    /** @type {SVGElement[]} */
    const parts = [];
    let y = TOP;
    this.#lanes = [];
    const label = (/** @type {string} */ text, /** @type {number} */ at) => parts.push(s('text', { class: 'lane-label', x: 0, y: at }, visible(text)));
    const lane = (/** @type {string} */ name, /** @type {Dot[]} */ all, more = 0) => {
      const dots = all.filter(({ at_us: us }) => inside(us));
      this.#lanes.push({ label: name, y, dots });
      label(name, more ? y + 11 : y + 17);
      if (more) parts.push(s('text', { class: 'lane-label small', x: 0, y: y + 22 }, `+${more} more`));
      parts.push(s('line', { class: 'rule', x1: 0, x2: this.#width, y1: y + ROW, y2: y + ROW }));
      for (const severity of SEVERITIES) {
        const d = dots.filter((dot) => dot.severity === severity).map((dot) => shape(severity, x(dot.at_us), y + ROW / 2)).join('');
        if (d) parts.push(s('path', { class: `mark-${severity}`, d }));
      }
      y += ROW;
    };
    const rows = (/** @type {string} */ name, /** @type {string} */ kind, /** @type {{from_us: number, to_us: number | null, text: string}[]} */ bands) => {
      const packed = pack(bands).filter(({ row, band }) => row < BANDS_MAX && band.from_us <= window.to && (band.to_us ?? Infinity) >= window.from);
      if (!packed.length) return;
      const first = y;
      label(name, y + 14);
      for (const { band, row } of packed) {
        const left = Math.max(this.#left, x(band.from_us));
        const width = Math.max(3, Math.min(this.#width, x(band.to_us ?? Math.max(here, timeline.to_us))) - left);
        const top = first + row * BAND;
        parts.push(s('rect', { class: `${kind}-band`, x: left, y: top + 2, width, height: BAND - 4, rx: 3, fill: kind === 'fault' ? 'url(#timeline-hatch)' : null }));
        const whole = visible(band.text);
        const need = columns(whole) * BAND_LETTER + 8;
        // Inside, after, or before it, where there is room; cut only where there is none.
        const before = width < need && left + width + need > this.#width && left - need > this.#left
          && !packed.some((other) => other.row === row && other.band.from_us < band.from_us && x(other.band.to_us ?? here) > left - need);
        const after = !before && width < need && left + width + need <= this.#width;
        const text = before || after ? whole : short(whole, Math.floor((this.#width - left - 8) / BAND_LETTER));
        parts.push(s('text', { class: 'band-text', x: before ? left - 5 : after ? left + width + 5 : left + 5, y: top + 14, 'text-anchor': before ? 'end' : null }, s('title', {}, whole), text));
        y = Math.max(y, top + BAND);
      }
      y += 4;
      parts.push(s('line', { class: 'rule', x1: 0, x2: this.#width, y1: y, y2: y }));
    };
    const { step, list } = ticks(window, (this.#width - this.#left) / 70);
    if (timeline.steps.length) {
      lane('steps', timeline.steps.flatMap(({ at_us, text, state }) => (at_us === null ? [] : [
        { at_us, text: `${text} (${state})`, node: 'step', severity: state === 'failed' ? /** @type {const} */ ('bad') : /** @type {const} */ ('notice') }])));
    }
    rows('faults', 'fault', timeline.faults);
    rows('at rest', 'rest', timeline.rests.map((rest) => ({ ...rest, text: `${rest.node} ${rest.act}` })));
    const flips = timeline.expectations.flatMap(({ text, ticks: all }) => all.map((tick) => (
      { at_us: tick.at_us, text: `${tick.state}: ${text}${tick.text ? `, ${tick.text}` : ''}`, node: 'expectation', severity: tick.state === 'failed' ? /** @type {const} */ ('bad') : /** @type {const} */ ('ok') })));
    if (timeline.expectations.length) lane('expected', flips);
    for (const { lane: name, marks, more } of timeline.lanes) {
      if (name !== 'scenario' || marks.length) lane(name === 'scenario' ? 'lab' : name, marks, more);
    }
    const below = y;
    parts.push(...this.#rates(timeline, below + 8));
    label('rates', below + 20);
    const height = below + RATES + 12;
    const behind = timeline.faults.filter(({ from_us: from, to_us: to }) => from <= window.to && (to ?? Infinity) >= window.from).map(({ from_us: from, to_us: to }) => {
      const left = Math.max(this.#left, x(from));
      return s('rect', { class: 'behind', x: left, y: TOP, width: Math.max(1, Math.min(this.#width, x(to ?? timeline.to_us)) - left), height: height - TOP });
    });
    const axis = list.flatMap((us) => [
      s('line', { class: 'grid', x1: x(us), x2: x(us), y1: TOP - 4, y2: height }),
      s('text', { class: 'tick', x: x(us), y: 13, 'text-anchor': x(us) > this.#width - 24 ? 'end' : x(us) < this.#left + 16 ? 'start' : 'middle' }, tickText(us, step)),
    ]);
    set(this.#svg, { width: wide, height, viewBox: `0 0 ${wide} ${height}` });
    this.#parts.replaceChildren(s('defs', {}, s('pattern', { id: 'timeline-hatch', width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
      s('rect', { class: 'hatch-ground', width: 6, height: 6 }), s('rect', { class: 'hatch-line', width: 2, height: 6 }))), ...behind, ...axis, ...parts);
    set(this.#window, { height: height - TOP });
    const seen = here >= window.from && here <= window.to;
    set(this.#cursor, { visibility: seen ? null : 'hidden', transform: `translate(${x(here).toFixed(1)} 0)` });
    set(/** @type {Element} */ (this.#cursor.firstElementChild), { y2: height });
  }

  /** @param {Timeline} timeline @param {number} y */
  #rates({ rates }, y) {
    const { x } = this.#scale;
    const drawn = (/** @type {number[]} */ numbers, /** @type {string} */ kind) => {
      const most = Math.max(1, ...rates.dns, ...rates.flows);
      // No more points than can be told apart.
      const per = Math.max(1, Math.ceil(rates.step_us ? 3 / Math.max(1e-6, x(rates.step_us) - x(0)) : 1));
      const points = [];
      for (let index = 0; index < numbers.length; index += per) {
        const part = numbers.slice(index, index + per);
        const at = x(rates.from_us + (index + part.length / 2) * rates.step_us);
        if (at >= this.#left && at <= this.#width) points.push([at, part.reduce((sum, n) => sum + n, 0) / part.length]);
      }
      const base = y + RATES - 10;
      if (kind === 'failures') {
        return s('path', { class: 'rate-failures', d: points.filter(([, n = 0]) => n > 0).map(([at = 0, n = 0]) => `M${at.toFixed(1)} ${base}V${(base - n / most * (RATES - 12)).toFixed(1)}`).join('') });
      }
      const d = points.map(([at = 0, n = 0], index) => `${index ? 'L' : 'M'}${at.toFixed(1)} ${(base - n / most * (RATES - 12)).toFixed(1)}`).join('');
      return s('path', { class: `rate-${kind}`, d });
    };
    const most = Math.max(0, ...rates.dns, ...rates.flows);
    return [drawn(rates.dns, 'dns'), drawn(rates.flows, 'flows'), drawn(rates.failures, 'failures'),
      s('text', { class: 'lane-label small', x: 0, y: y + 26 }, `most ${most}/s`)];
  }
}

/** @param {Mark['severity']} severity @param {number} x @param {number} y */
function shape(severity, x, y) {
  const at = x.toFixed(1);
  if (severity === 'ok') return `M${at} ${y - 5}v10`;
  if (severity === 'notice') return `M${at} ${y - 5}l4 5l-4 5l-4 -5z`;
  return `M${(x - 4).toFixed(1)} ${y - 4}l8 8m0 -8l-8 8`;
}
