// @ts-check
// The page's scripts are well typed, and their types are those of the wire's samples.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const wire = new URL('../fixtures/wire/', import.meta.url);

/** Which type each sample is of. */
const SAMPLES = {
  snapshot: 'Snapshot',
  facts: 'Fact[]',
  timeline: 'Timeline',
  why: 'Why',
  request: 'Request',
  queries: 'Queries',
  consequences: 'Consequences',
  faults: 'Faults',
  overflow: 'Overflow',
  reloaded: 'Reloaded',
  operated: 'Operated',
  problem: 'Problem',
  resolution: 'Resolution',
  moved: 'Moved',
  catalogue: 'Catalogue',
  preview: 'Preview',
  scenarios: 'Scenarios',
  run: 'Run',
  bundle: 'Bundle',
  set: 'FaultSet',
  lifted: 'Lifted',
  given: 'Given',
  refusal: 'Refusal',
  tables: 'Tables',
};

/** @param {...string} args */
function tsc(...args) {
  const { status, stdout, stderr } = spawnSync('node_modules/.bin/tsc', args, { cwd: here, encoding: 'utf8' });
  return { status, said: stdout + stderr };
}

/**
 * Checks values against types as the compiler does: nothing missing, nothing more.
 * @param {Record<string, string>} values type by JSON text
 */
function check(values) {
  const folder = `${here}node_modules/.cache/wire-${process.pid}`;
  mkdirSync(folder, { recursive: true });
  const text = Object.entries(values).map(([json, type], index) =>
    `export const value${index}: ${type.replace(/^(\w+)/, "import('../../../../../web/types.js').$1")} = ${json};\n`);
  writeFileSync(`${folder}/wire.ts`, text.join(''));
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify({ extends: `${here}tsconfig.json`, include: ['wire.ts'] }));
  const result = tsc('-p', folder);
  rmSync(folder, { recursive: true });
  return result;
}

/** @param {string} name */
const sample = (name) => readFileSync(new URL(`${name}.json`, wire), 'utf8');

test('the scripts are well typed', () => {
  const { status, said } = tsc('-p', here);
  assert.equal(status, 0, said);
});

test('every sample has its type', () => {
  const samples = readdirSync(wire).filter((name) => name.endsWith('.json')).map((name) => name.replace('.json', ''));
  assert.deepEqual(samples.sort(), Object.keys(SAMPLES).sort());
});

test('the types are those of the wire', () => {
  const { status, said } = check(Object.fromEntries(Object.entries(SAMPLES).map(([name, type]) => [sample(name), type])));
  assert.equal(status, 0, said);
});

test('a field more, a field less or another type would be found', () => {
  const more = sample('overflow').replace('{', '{"more": 1,');
  const less = sample('snapshot').replace('"generation": ', '"generations": ');
  const other = sample('facts').replace('"purpose": "tunnel"', '"purpose": 1');
  const kind = sample('facts').replace('"kind": "claimed"', '"kind": "claims"');
  const named = sample('resolution').replaceAll('"rcode": ', '"code": ');
  for (const [json, type] of [[named, 'Resolution'], [more, 'Overflow'], [less, 'Snapshot'], [other, 'Fact[]'], [kind, 'Fact[]']]) {
    assert.notEqual(check({ [json ?? '']: type ?? '' }).status, 0, (json ?? '').slice(0, 60));
  }
});
