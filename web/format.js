// @ts-check
// Numbers and names as people read them. Pure.

/**
 * A span: `850 µs`, `12.3 ms`, `4.25 s`, `3 m 20 s`.
 * @param {number} us
 */
export function span(us) {
  if (us < 1_000) return `${us} µs`;
  if (us < 1_000_000) return `${(Math.floor(us / 100) / 10).toFixed(1)} ms`;
  if (us < 60_000_000) return `${(Math.floor(us / 10_000) / 100).toFixed(2)} s`;
  const seconds = Math.floor(us / 1_000_000);
  return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, '0')} s`;
}

/**
 * An instant since the start of the lab: `0:04.2`, `12:04.2`, `1:12:04.2`.
 * @param {number} us
 */
export function instant(us) {
  const tenths = Math.floor(us / 100_000);
  const seconds = Math.floor(tenths / 10);
  const hours = Math.floor(seconds / 3_600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = `${String(seconds % 60).padStart(2, '0')}.${tenths % 10}`;
  return hours ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

/**
 * A count with its digits in groups: `12 345`, with narrow spaces.
 * @param {number} n
 */
export function count(n) {
  return String(n).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/**
 * Bytes in powers of 1024: `512 B`, `1.2 KiB`, `64.0 MiB`.
 * @param {number} n
 */
export function bytes(n) {
  if (n < 1_024) return `${n} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = n / 1_024;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit += 1;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}

/**
 * `1 tunnel`, `2 tunnels`.
 * @param {number} n
 * @param {string} one
 * @param {string} [many]
 */
export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/**
 * A name that came over the wire: control and direction characters become visible.
 * @param {string} text
 */
export function visible(text) {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/g, (c) =>
    `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/**
 * Cuts a name that does not fit a box; the whole stands in its title.
 * @param {string} text
 * @param {number} most characters
 */
export function short(text, most) {
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
}
