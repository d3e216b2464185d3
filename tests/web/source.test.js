// @ts-check
// A run in a file answers as a lab does; files of tables are safe to open. Without a browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { BundleSource, FILE_BYTES_MAX, openRun, readBundle } from '../../web/bundle.js';
import { ENDS_US, bundle } from './bundle.js';

const run = new BundleSource(bundle());

test('an instant is the newest state at or before it', async () => {
  assert.equal((await run.snapshotAt(25_999_999)).at_us, 25_000_000);
  assert.equal((await run.snapshotAt(26_000_000)).at_us, 26_000_000);
  assert.equal((await run.snapshotAt(ENDS_US * 2)).at_us, ENDS_US);
  assert.equal((await run.snapshotAt(-1)).at_us, 0);
});

test('a window of the timeline has its marks only', async () => {
  const whole = await run.timeline();
  const part = await run.timeline({ from_us: 10_000_000, to_us: 20_000_000 });
  const marks = part.lanes.flatMap((lane) => lane.marks);
  assert(marks.length > 0 && marks.every(({ at_us: at }) => at >= 10_000_000 && at <= 20_000_000));
  assert(marks.length < whole.lanes.flatMap((lane) => lane.marks).length);
  assert.equal(part.faults.length, whole.faults.length, 'bands reach beyond the window');
});

test('what a run does not hold is refused in a sentence', async () => {
  await assert.rejects(run.why('agent/nobody', null), /no chain of decisions of agent\/nobody/);
  await assert.rejects(run.request('user/alice', 99), { status: 410 });
  await assert.rejects(run.whatif(), /only a running lab/);
});

test('why is told as of an instant, and of an older file as of its end', async () => {
  const made = bundle();
  const why = made.whys['agent/agent-1'];
  assert(why);
  const told = new BundleSource({ ...made, earlier: { 'agent/agent-1': [
    { at_us: 5_000_000, why: { ...why, outcome: 'failed' } }, { at_us: 20_000_000, why: { ...why, outcome: 'through the other door' } }] } });
  const outcome = async (/** @type {number | null} */ us) => (await told.why('agent/agent-1', us)).outcome;
  assert.deepEqual([await outcome(5_000_000), await outcome(19_999_999), await outcome(20_000_000), await outcome(null)],
    ['failed', 'failed', 'through the other door', why.outcome]);
  await assert.rejects(told.why('agent/agent-1', 4_999_999), /no dial or visit of agent\/agent-1 that ended before/);
  assert.equal((await run.why('agent/agent-1', 1)).outcome, why.outcome);
});

test('a run is read as JSON, packed, and out of a report', async () => {
  const text = JSON.stringify(bundle());
  const packed = gzipSync(text);
  for (const content of [text, packed, `<!doctype html><script type="application/gzip;base64" id="bundle">${packed.toString('base64')}</script>`]) {
    assert.equal((await openRun(new Blob([content]))).run.name, 'made');
  }
  await assert.rejects(openRun(new Blob([packed.subarray(0, 99)])), /breaks off or is damaged/);
  await assert.rejects(openRun(new Blob([new Uint8Array(FILE_BYTES_MAX + 1)])), /so it was not read/);
});

test('only a run is read', () => {
  assert.equal(readBundle(JSON.stringify(bundle())).run.name, 'made');
  assert.throws(() => readBundle('{'), /not JSON/);
  for (const other of [null, [], { schema: 'twodoors.bundle/0' }, { schema: 'twodoors.bundle/__proto__' }, { schema: 'twodoors.bundle/1', snapshots: [] }]) {
    assert.throws(() => readBundle(JSON.stringify(other)), /not a run/);
  }
});
