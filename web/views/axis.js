// @ts-check
// Arithmetic of the time axis. Pure.

const STEPS_US = [1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 1.5e7, 3e7, 6e7, 1.2e8, 3e8, 6e8,
  1.8e9, 3.6e9, 7.2e9, 2.16e10, 4.32e10, 8.64e10];

/** The narrowest window: nothing happens between two microseconds. */
export const NARROWEST_US = 10_000;

/** @typedef {{from: number, to: number}} Window in microseconds */

/**
 * Where an instant stands, and which one stands there.
 * @param {Window} window @param {number} left @param {number} width
 */
export function scale({ from, to }, left, width) {
  const length = Math.max(1, to - from);
  return {
    x: (/** @type {number} */ us) => left + (us - from) / length * width,
    us: (/** @type {number} */ x) => Math.round(from + (x - left) / width * length),
  };
}

/**
 * Round instants, about `most` of them at most.
 * @param {Window} window @param {number} most
 */
export function ticks({ from, to }, most) {
  const wanted = (to - from) / Math.max(1, most);
  const step = STEPS_US.find((us) => us >= wanted) ?? STEPS_US.at(-1) ?? 1;
  const list = [];
  for (let us = Math.ceil(from / step) * step; us <= to; us += step) list.push(us);
  return { step, list };
}

/** The text of a tick: as many decimals as its step needs. @param {number} us @param {number} step */
export function tickText(us, step) {
  const seconds = us / 1e6;
  if (step < 1e6) return `${seconds.toFixed(step >= 1e5 ? 1 : step >= 1e4 ? 2 : 3)} s`;
  if (us < 6e7 && step < 6e7) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60];
  const rest = `${String(minutes).padStart(hours ? 2 : 1, '0')}:${String(whole % 60).padStart(2, '0')}`;
  return hours ? `${hours}:${rest}` : rest;
}

/**
 * Zooms around an instant; stays inside.
 * @param {Window} window @param {number} factor below 1 is nearer @param {number} around @param {Window} whole
 * @returns {Window}
 */
export function zoom({ from, to }, factor, around, whole) {
  const length = Math.min(whole.to - whole.from, Math.max(NARROWEST_US, (to - from) * factor));
  const share = (around - from) / Math.max(1, to - from);
  return clip({ from: around - share * length, to: around + (1 - share) * length }, whole);
}

/** Moves a window by a share of its length. @param {Window} window @param {number} share @param {Window} whole */
export function pan({ from, to }, share, whole) {
  const by = (to - from) * share;
  return clip({ from: from + by, to: to + by }, whole);
}

/** Pushes a window inside the whole. @param {Window} window @param {Window} whole @returns {Window} */
function clip({ from, to }, whole) {
  const length = Math.min(to - from, whole.to - whole.from);
  const start = Math.min(Math.max(from, whole.from), whole.to - length);
  return { from: Math.round(start), to: Math.round(start + length) };
}

/**
 * Puts bands that overlap into rows of their own.
 * @template {{from_us: number, to_us: number | null}} T
 * @param {T[]} bands
 * @returns {{band: T, row: number}[]}
 */
export function pack(bands) {
  /** @type {number[]} when each row is free again */
  const free = [];
  return [...bands].sort((a, b) => a.from_us - b.from_us).map((band) => {
    const found = free.findIndex((us) => us <= band.from_us);
    const row = found < 0 ? free.length : found;
    free[row] = band.to_us ?? Infinity;
    return { band, row };
  });
}
