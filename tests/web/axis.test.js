// @ts-check
// The arithmetic of the time axis, without a browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NARROWEST_US, pack, pan, scale, tickText, ticks, zoom } from '../../web/views/axis.js';

const WHOLE = { from: 0, to: 60_000_000 };

test('an instant and its place are each other’s inverse', () => {
  const { x, us } = scale({ from: 1_000_000, to: 3_000_000 }, 100, 400);
  assert.equal(x(2_000_000), 300);
  assert.equal(us(300), 2_000_000);
  assert.equal(us(100), 1_000_000);
});

test('ticks are round, inside, and not too many', () => {
  for (const to of [20_000, 1_000_000, 61_000_000, 7_200_000_000, 86_400_000_000]) {
    const { step, list } = ticks({ from: 5_000, to }, 8);
    assert(list.length > 0 && list.length <= 9, `${list.length} ticks up to ${to}`);
    assert(list.every((us) => us % step === 0 && us >= 5_000 && us <= to));
  }
});

test('the text of a tick has the decimals of its step', () => {
  assert.deepEqual([tickText(1_500_000, 500_000), tickText(20_000, 10_000), tickText(3_000, 1_000), tickText(30_000_000, 5_000_000),
    tickText(90_000_000, 30_000_000), tickText(3_660_000_000, 60_000_000)], ['1.5 s', '0.02 s', '0.003 s', '30 s', '1:30', '1:01:00']);
});

test('zooming keeps what it is around, and neither leaves the whole nor ends below the narrowest', () => {
  const near = zoom(WHOLE, 0.5, 15_000_000, WHOLE);
  assert.equal((15_000_000 - near.from) / (near.to - near.from), 0.25);
  assert.deepEqual(zoom(near, 8, 15_000_000, WHOLE), WHOLE);
  let window = WHOLE;
  for (let times = 0; times < 40; times += 1) window = zoom(window, 0.5, 59_999_999, WHOLE);
  assert.equal(window.to - window.from, NARROWEST_US);
  assert(window.to <= WHOLE.to);
  assert.deepEqual(pan(near, -9, WHOLE), { from: 0, to: near.to - near.from });
  assert.deepEqual(pan(near, 9, WHOLE), { from: WHOLE.to - (near.to - near.from), to: WHOLE.to });
});

test('bands that overlap get rows of their own, others share one', () => {
  const band = (/** @type {number} */ from_us, /** @type {number | null} */ to_us) => ({ from_us, to_us });
  const rows = pack([band(30, null), band(0, 10), band(5, 20), band(10, 30)]).map(({ row }) => row);
  assert.deepEqual(rows, [0, 1, 0, 0]);
});
