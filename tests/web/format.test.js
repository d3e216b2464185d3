// @ts-check
// Numbers and names, without a browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, count, instant, plural, short, span, visible } from '../../web/format.js';

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
    [3_723_000_000, '62 m 03 s']]);
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

test('characters that hide are shown', () => {
  check(visible, [['plain <b>', 'plain <b>'], ['a\u0000b', 'a\\u0000b'], ['\u202egpj', '\\u202egpj'], ['\u001b[31m', '\\u001b[31m']]);
});

test('a long name is cut with a mark', () => {
  assert.deepEqual([short('orders', 6), short('orders', 5), short('orders', 0)], ['orders', 'orde…', 'o…']);
});
