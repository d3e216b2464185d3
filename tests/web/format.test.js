// @ts-check
// Numbers and names, without a browser.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { bytes, columns, count, inAddress, instant, plural, short, shown, span, visible } from '../../web/format.js';
import { csvCell } from '../../web/table.js';

/** What the server and the terminal are tested with too. @param {string} name */
const fixture = (name) => JSON.parse(readFileSync(new URL(`../fixtures/texts/${name}.json`, import.meta.url), 'utf8'));

/**
 * @template T
 * @param {(value: T) => string} format
 * @param {[T, string][]} cases
 */
function check(format, cases) {
  for (const [value, text] of cases) assert.equal(format(value), text);
}

test('a span has the largest unit that keeps it readable', () => {
  check(span, [[0, '0 µs'], [999, '999 µs'], [1_000, '1.0 ms'], [12_345, '12.3 ms'], [999_999, '999.9 ms'],
    [1_000_000, '1.00 s'], [23_450_000, '23.45 s'], [59_999_999, '59.99 s'], [60_000_000, '1 m 00 s'],
    [3_599_999_999, '59 m 59 s'], [3_600_000_000, '1 h 00 m'], [93_959_000_000, '26 h 05 m']]);
});

test('an instant counts from the start of the lab', () => {
  check(instant, [[0, '0:00.0'], [4_250_000, '0:04.2'], [724_250_000, '12:04.2'], [4_324_200_000, '1:12:04.2']]);
});

test('digits stand in groups', () => {
  check(count, [[0, '0'], [999, '999'], [1_000, '1\u202f000'], [1_234_567, '1\u202f234\u202f567']]);
});

test('bytes are in powers of 1024', () => {
  check(bytes, [[0, '0 B'], [1_023, '1023 B'], [1_024, '1.0 KiB'], [64 * 1_048_576, '64.0 MiB'], [2 ** 60, '1048576.0 TiB']]);
});

test('one is not many', () => {
  assert.deepEqual([plural(1, 'flow'), plural(2, 'flow'), plural(0, 'reply', 'replies')], ['1 flow', '2 flows', '0 replies']);
});

test('what hides, moves or covers is shown as a terminal shows it, and what reads leftward is isolated', () => {
  const { cases } = fixture('shown');
  assert(cases.length > 30);
  for (const { text, shown: words, isolated } of cases) {
    assert.equal(shown(text), words, JSON.stringify(text));
    assert.equal(shown(words), words, 'what is shown can be shown again');
    assert.equal(visible(text), isolated ? `\u2068${words}\u2069` : words);
  }
  assert.equal(shown('a\ud800b'), 'a\\u{d800}b', 'half of a pair, which only a file can hold');
});

test('a name with half of a pair is a part of an address all the same', () => {
  assert.equal(inAddress('agent/a b'), 'agent%2Fa%20b');
  assert.equal(inAddress('a\ud800b\udc00'), 'a%EF%BF%BDb%EF%BF%BD');
  assert.equal(inAddress('\u{1f600}'), '%F0%9F%98%80', 'a whole pair stays');
  assert.throws(() => encodeURIComponent('a\ud800'), URIError);
});

test('every character without a shape is an escape, and no other', () => {
  /** @type {[string, string][]} */
  const ranges = fixture('shown').hidden;
  const listed = new Set(ranges.flatMap(([first, last]) => Array.from({ length: parseInt(last, 16) - parseInt(first, 16) + 1 }, (_, n) => parseInt(first, 16) + n)));
  for (let code = 0; code <= 0x10ffff; code += 1) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const text = `a${String.fromCodePoint(code)}`;
    assert.equal(shown(text) !== text, listed.has(code), code.toString(16));
  }
});

test('a cell of CSV is what the server makes of it', () => {
  const { cases } = fixture('csv');
  assert(cases.length > 20);
  for (const { text, cell } of cases) assert.equal(csvCell(text), cell, JSON.stringify(text));
});

test('a long name is cut with a mark', () => {
  assert.deepEqual([short('orders', 6), short('orders', 5), short('orders', 0)], ['orders', 'orde…', 'o…']);
});

test('a name is cut between letters, by the room that they take, and stays isolated', () => {
  const hebrew = visible('\u05e9\u05dc\u05d5\u05dd');
  assert.deepEqual([columns(hebrew), short(hebrew, 4), short(hebrew, 3)], [4, hebrew, '\u2068\u05e9\u05dc…\u2069']);
  assert.deepEqual([columns('\u4ee3\u7406'), short('\u4ee3\u7406\u4ee3\u7406', 8), short('\u4ee3\u7406\u4ee3\u7406', 6)], [4, '\u4ee3\u7406\u4ee3\u7406', '\u4ee3\u7406…']);
  assert.equal(short('ae\u0301e\u0301e\u0301', 3), 'ae\u0301…', 'a mark stays with its letter');
  assert.equal(short('\u{1f512}\u{1f512}\u{1f512}', 4), '\u{1f512}…', 'no half of a pair');
  assert(columns('\ufdfd') > 10, 'one letter may be a sentence');
});
