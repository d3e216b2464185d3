// @ts-check
// Counts of each second as rates, without a browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RATE_OVER, perSecond, rates } from '../../web/views/chart.js';

test('one flow in two or three seconds is a level line, not a saw', () => {
  for (const every of [1, 2, 3]) {
    const drawn = rates(Array.from({ length: 60 }, (_, second) => (second % every ? 0 : 1))).slice(RATE_OVER);
    assert(drawn.length > 50);
    assert.deepEqual([...new Set(drawn)], [1 / every]);
  }
});

test('the second that is not over yet does not count', () => {
  assert.equal(rates([1, 1, 1, 1, 1, 1, 0]).at(-1), 1);
  assert.equal(rates([1, 1, 1, 1, 1, 1, 90]).at(-1), 1);
});

test('a burst is seen in the next second, and gone when its seconds are', () => {
  const drawn = rates([0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0]);
  assert.equal(drawn[5], 10 / RATE_OVER);
  assert.equal(drawn.at(-1), 0);
});

test('a lab that just began has rates too', () => {
  assert.deepEqual(rates([]), []);
  assert.deepEqual(rates(undefined), []);
  assert.deepEqual(rates([3]), [3]);
  assert.deepEqual(rates([3, null]), [3]);
});

test('rates are read as numbers of one size', () => {
  assert.deepEqual([0, 0.44, 9.96, 10, 12_345.6].map(perSecond), ['0.0', '0.4', '10.0', '10', '12\u202f346']);
});
