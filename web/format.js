// @ts-check
// Numbers and names as people read them. Pure.

/**
 * A span: `850 µs`, `12.3 ms`, `4.25 s`, `3 m 20 s`, `26 h 05 m`.
 * @param {number} us
 */
export function span(us) {
  if (us < 1_000) return `${us} µs`;
  if (us < 1_000_000) return `${(Math.floor(us / 100) / 10).toFixed(1)} ms`;
  if (us < 60_000_000) return `${(Math.floor(us / 10_000) / 100).toFixed(2)} s`;
  const seconds = Math.floor(us / 1_000_000);
  const [whole, unit, rest] = seconds < 3_600 ? [seconds, 'm', 's'] : [Math.floor(seconds / 60), 'h', 'm'];
  return `${Math.floor(whole / 60)} ${unit} ${String(whole % 60).padStart(2, '0')} ${rest}`;
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

/** What has no shape of its own: controls, formats, separators of lines, and what a font may leave out. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** What draws over its neighbours or is empty, where it begins a text or is the fifth in a row. */
const LOOSE = /(?<=^|(?:(?! )[\p{Grapheme_Extend}\p{Zs}\p{Co}\p{Cn}]){4})(?! )[\p{Grapheme_Extend}\p{Zs}\p{Co}\p{Cn}]/gu;

/** What reads from right to left: the classes R, AL and AN of UAX #9, by its default ranges. */
const LEFTWARD = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

const SPACES = /** @type {Record<string, string>} */ ({ '\t': '\\t', '\n': '\\n', '\r': '\\r' });

/** @param {string} c */
const escape = (c) => SPACES[c] ?? `\\u{${c.codePointAt(0)?.toString(16)}}`;

/**
 * A text that somebody else chose, with what hides, moves or covers as escapes. A terminal has the
 * same rule: `src/model/escaped.rs` gives its reasons.
 * @param {string} text
 */
export function shown(text) {
  return /^[ -~]*$/.test(text) ? text : text.replace(HIDDEN, escape).replace(LOOSE, escape);
}

/**
 * The same for a place on the page. What reads from right to left is isolated (U+2068 and U+2069, UAX
 * #9), so that the words beside it stay where they are; in a title and a drawing too, where no
 * markup would do it.
 * @param {string} text
 */
export function visible(text) {
  const safe = shown(text);
  return LEFTWARD.test(safe) ? `\u2068${safe}\u2069` : safe;
}

/** Letters and signs that are at most as wide as a column. */
const PLAIN = /^[\w .,:;/()'!?*|-]*$/;
const BROAD = /^[<=>+~@%&#…]/;
const letters = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** The columns of one letter; a ligature may be as long as a sentence. @param {string} letter */
function wide(letter) {
  if (/^[\u2068\u2069]/.test(letter)) return 0;
  if (letter.startsWith('\ufdfd')) return 12;
  if (/^[\ufb50-\ufdff]/.test(letter)) return [...letter.normalize('NFKC')].length;
  return /^[\u1100-\u11ff\u2e00-\uffff\u{10000}-\u{10ffff}]/u.test(letter) ? 2 : BROAD.test(letter) ? 1.5 : 1;
}

/** How many columns a text takes, as a box counts them. @param {string} text */
export function columns(text) {
  return PLAIN.test(text) ? text.length : [...letters.segment(text)].reduce((sum, { segment }) => sum + wide(segment), 0);
}

/**
 * A name as part of an address. Half of a pair, which only a file can hold, is no text and stands as U+FFFD.
 * @param {string} text
 */
export function inAddress(text) {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd'));
}

/**
 * Cuts a name that does not fit a box; the whole stands in its title.
 * @param {string} text
 * @param {number} most columns
 */
export function short(text, most) {
  const room = Math.max(1, most - 1);
  if (PLAIN.test(text)) return text.length <= most ? text : `${text.slice(0, room)}…`;
  if (columns(text) <= most) return text;
  let used = 0;
  let cut = '';
  for (const { segment } of letters.segment(text)) {
    used += wide(segment);
    if (used > room) break;
    cut += segment;
  }
  const open = cut.split('\u2068').length - cut.split('\u2069').length;
  return `${cut}…${'\u2069'.repeat(open)}`;
}
