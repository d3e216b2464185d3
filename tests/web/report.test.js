// @ts-check
// The report of `sim --html` and `run --html`: one file, opened from disk, that shows the whole run and
// asks nobody for anything.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { bundle } from './bundle.js';
import { accessible, closeClean, eventually } from './checks.js';
import { HOSTILE, overlapping, poisoned, unsafe } from './hostile.js';
import { BIN, MESH_MS, PAGE_MS, PICTURES, move, open, startBrowser } from './lab.js';

/** @import {Page} from 'playwright-core' */
/** @import {Bundle} from '../../web/types.js' */

/** How large a report of five minutes may be. */
const FIVE_MINUTES_BYTES = 1_000_000;

/** How long a report may take to be there, on a quiet machine; asserted with ten times as much. */
const OPEN_MS = 2_000;

/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;
let folder = '';

/** What a fault does, in the report of five minutes. */
let report = '';

before(async () => {
  browser = await startBrowser();
  folder = mkdtempSync(join(tmpdir(), 'twodoors-report-'));
  for (const name of ['scenarios', 'zones']) cpSync(new URL(`../../${name}`, import.meta.url), join(folder, name), { recursive: true });
  const scenario = join(folder, 'scenarios', 'external-door-dies.yaml');
  const text = readFileSync(scenario, 'utf8');
  const more = text.replace('\ntimeline:\n', '\ntimeline:\n  - {at: 3m30s, do: latency, target: balancer/internal, by: 80ms, for: 20s}\n');
  assert.notEqual(more, text);
  writeFileSync(scenario, more);
  report = join(folder, 'five.html');
  // Whether its expectations are met is not what is asked here.
  const told = spawnSync(BIN, ['sim', scenario, '--seed', '1', '--html', report], { encoding: 'utf8' });
  assert([0, 1, 4].includes(told.status ?? -1), told.stderr);
});

after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

const BUNDLE = /(<script type="application\/gzip;base64" id="bundle">)([^<]*)(<\/script>)/;

/** The run that a report carries. @param {string} path @returns {Bundle} */
function carried(path) {
  const [, , packed = ''] = BUNDLE.exec(readFileSync(path, 'utf8')) ?? [];
  return JSON.parse(gunzipSync(Buffer.from(packed, 'base64')).toString());
}

/** Writes a report anew with something else inside. @param {string} name @param {(packed: string) => string} change */
function changed(name, change) {
  const path = join(folder, name);
  writeFileSync(path, readFileSync(report, 'utf8').replace(BUNDLE, (_, begin, packed, end) => begin + change(packed) + end));
  return path;
}

/** @param {unknown} run */
const packed = (run) => gzipSync(JSON.stringify(run)).toString('base64');

/**
 * Opens a file from disk; `problems` has every console error and every request but that for the file.
 * @param {string} path
 * @param {import('playwright-core').BrowserContextOptions} [options]
 * @param {string} [query]
 */
async function openFile(path, options = {}, query = '') {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PAGE_MS);
  /** @type {string[]} */
  const problems = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(error.stack ?? String(error)));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith('data:') && !(request.isNavigationRequest() && url.startsWith('file:'))) problems.push(`asked ${url}`);
  });
  page.on('dialog', (dialog) => {
    problems.push(`dialog ${dialog.message()}`);
    dialog.dismiss();
  });
  await page.goto(pathToFileURL(path).href + query);
  return { page, problems, close: async () => {
    assert.deepEqual(problems, []);
    await context.close();
  } };
}

/** The run is there. @param {Page} page */
const there = (page) => page.getByText('a report in one file').waitFor();

/** @param {Page} page */
const scrubber = (page) => page.getByRole('slider', { name: 'Instant that is looked at' });

/** @param {Page} page @param {string} name */
const go = (page, name) => page.getByRole('navigation').getByRole('link', { name, exact: true }).click();

const PAGES = ['Topology', 'DNS', 'Doors and pool', 'Timeline', 'Scenarios'];

test('a report of five minutes is small and is there at once', async () => {
  const bytes = statSync(report).size;
  const begun = performance.now();
  const { page, close } = await openFile(report);
  await there(page);
  await page.getByRole('group', { name: 'Paths through the lab' }).waitFor();
  const took = performance.now() - begun;
  const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
  console.log(`# ${bytes} bytes; the picture is there after ${Math.round(took)} ms (bound ${OPEN_MS} on a quiet machine), first paint ${Math.round(paint ?? 0)} ms`);
  assert(bytes < FIVE_MINUTES_BYTES, `${bytes} bytes`);
  assert(took < 10 * OPEN_MS);
  await close();
});

test('every page shows the run, at every width and in both themes, and asks nobody', { timeout: MESH_MS }, async () => {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    for (const width of [360, 1280]) {
      const { page, close } = await openFile(report, { colorScheme, viewport: { width, height: 844 } });
      await there(page);
      for (const name of PAGES) {
        await go(page, name);
        await page.locator('#page section').first().waitFor();
        const where = `report ${name} ${colorScheme} ${width}`;
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, `${where} scrolls sideways`);
        await page.screenshot({ path: join(PICTURES, `${where.replaceAll(' ', '-').toLowerCase()}.png`), fullPage: true });
        await accessible(page, where);
      }
      await close();
    }
  }
});

test('scrubbing to a fault shows it on every page, and back before it does not', { timeout: MESH_MS }, async () => {
  const [fault] = carried(report).timeline.faults;
  assert(fault?.to_us != null);
  const middle = Math.round((fault.from_us + fault.to_us) / 2 / 1000) * 1000;
  const { page, close } = await openFile(report);
  await there(page);
  await scrubber(page).fill(String(middle));
  const armed = page.getByRole('region', { name: 'Faults in force' });
  for (const name of PAGES) {
    await go(page, name);
    await armed.getByText(/latency/).waitFor();
  }
  await scrubber(page).fill(String(fault.from_us - 5_000_000));
  await armed.waitFor({ state: 'hidden' });
  await close();
});

test('the picture shows a door that is stopped while it is, and only then', async () => {
  const rest = carried(report).timeline.rests.find(({ node }) => node === 'balancer/external');
  assert(rest?.to_us != null);
  const { page, close } = await openFile(report);
  await there(page);
  const stopped = async () => await page.locator('#picture').getByText('stopped', { exact: true }).count() > 0;
  assert.equal(await stopped(), false);
  await scrubber(page).fill(String(rest.from_us + 10_000_000));
  await eventually('the door is stopped', PAGE_MS, stopped);
  await page.screenshot({ path: join(PICTURES, 'report-fault.png') });
  await scrubber(page).fill(String(rest.from_us - 5_000_000));
  await eventually('the door stands', PAGE_MS, async () => !await stopped());
  await close();
});

test('expectations, findings, and the hops of a visit that failed are told', async () => {
  const run = carried(report);
  const { page, close } = await openFile(report);
  await there(page);
  await go(page, 'Scenarios');
  const items = page.getByRole('region', { name: 'Expectations', exact: true }).getByRole('listitem');
  await eventually('the expectations', PAGE_MS, async () => await items.count() === run.timeline.expectations.length);
  assert(run.about?.question && run.about.lesson && run.about.findings.length, 'the scenario says what it asks, and check finds something');
  for (const told of [run.about.question, run.about.lesson, ...run.about.findings.map(({ cure }) => cure)]) await page.getByText(told).first().waitFor();
  // What the run found and check had not.
  const known = run.about.findings.map(({ id, node }) => `${id} ${node}`);
  const more = run.snapshots.at(-1)?.findings.filter(({ id, node }) => !known.includes(`${id} ${node}`)) ?? [];
  for (const { detail } of more) await page.getByText(detail).first().waitFor();
  assert.equal(await page.getByRole('button', { name: /^(Run|Set|Clear|Stop)/ }).count(), 0, 'nothing can be done to a file');
  await go(page, 'Timeline');
  await page.getByRole('searchbox', { name: 'filter the decisions' }).fill('user/ failed');
  const hops = page.getByRole('button', { name: /^hops of user\// }).first();
  await hops.click();
  await page.getByRole('table', { name: 'Decisions, newest first' }).getByText('dns', { exact: true }).first().waitFor();
  await page.screenshot({ path: join(PICTURES, 'report-hops.png') });
  await accessible(page, 'hops in a report');
  await close();
});

test('a client says why it goes where it goes as of the instant that is looked at', async () => {
  const run = carried(report);
  // Somebody whose ways differ: one that failed, and one that went well before.
  const found = Object.entries(run.earlier ?? {}).flatMap(([node, told]) => {
    const bad = told.findIndex(({ why }, index) => index > 0 && !why.ok && told[index - 1]?.why.ok);
    return bad < 0 ? [] : [{ node, good: told[bad - 1], bad: told[bad] }];
  })[0];
  assert(found?.good && found.bad, 'somebody fails in this run after going well');
  const { page, close } = await openFile(report, {}, `?page=topology&node=${found.node}&at=${found.bad.at_us / 1e6}`);
  await there(page);
  await page.getByText(found.bad.why.outcome).first().waitFor();
  // The handle moves by whole milliseconds.
  await scrubber(page).fill(String(Math.ceil(found.good.at_us / 1000) * 1000));
  await page.getByText(found.good.why.outcome).first().waitFor();
  assert.equal(await page.getByText(found.bad.why.outcome).count(), 0);
  await close();
});

test('what is left out is said, and which state is seen between two', async () => {
  const run = { ...bundle(), left_out: ['Most states: 61 of 10m00s are kept.'] };
  run.snapshots = run.snapshots.filter((_, second) => second % 10 === 0);
  const { page, close } = await openFile(changed('left.html', () => packed(run)));
  await there(page);
  await go(page, 'Timeline');
  await page.getByText('What this file leaves out').click();
  await page.getByText('Most states: 61 of 10m00s are kept.').waitFor();
  await scrubber(page).fill('27000000');
  await page.getByText(/You see the state of 0:20\.0, the newest before 0:27\.0/).waitFor();
  await accessible(page, 'left out');
  await scrubber(page).fill('30000000');
  await page.getByText(/You see the state of/).waitFor({ state: 'hidden' });
  await close();
});

/** What a browser would make of markup. @param {Page} page */
const made = (page) => page.locator('img, iframe, object, embed, [onerror], [onload]').count();

test('hostile names in a report are text, whole and in their place', { timeout: MESH_MS }, async () => {
  const run = poisoned(carried(report));
  const path = changed('hostile.html', () => packed(run));
  const client = `agent/${run.snapshots.at(-1)?.agents[0]?.name}`;
  const [fault] = run.timeline.faults;
  assert(fault);
  /** @type {string[]} */
  const wrong = [];
  for (const [width, terms] of /** @type {[number, string][]} */ ([[1280, ''], [1280, `node=${encodeURIComponent(client)}`], [360, ''], [1280, `at=${(fault.from_us + 1e6) / 1e6}`]])) {
    const { page, close } = await openFile(path, { viewport: { width, height: 844 } }, terms && `?${terms}`);
    await there(page);
    for (const name of PAGES) {
      const where = `${name} at ${width}${terms && `, ${terms.slice(0, 4)}`}`;
      await go(page, name);
      await page.locator('#page section').first().waitFor();
      await eventually(`names on ${where}`, PAGE_MS, async () => /<img src=x onerror=alert\(1\)>/.test(await page.locator('main').textContent() ?? ''));
      for (const more of await page.locator('#page details:not([open]) > summary').all()) if (await more.isVisible()) await more.click();
      assert.equal(await made(page), 0, where);
      wrong.push(...[...await unsafe(page), ...await overlapping(page)].map((text) => `${where}: ${text}`));
      assert.match(await page.locator('main').textContent() ?? '', /\\u\{7\}\\u\{1b\}\[31m\\u\{202e\}gnp/, where);
      await page.screenshot({ path: join(PICTURES, `hostile-${name.replaceAll(' ', '-').toLowerCase()}-${width}${terms.slice(0, 2)}.png`) });
      await accessible(page, where);
    }
    await close();
  }
  assert.deepEqual(wrong, []);
});

test('the watch over hostile names sees each of them', async () => {
  const { page, close } = await openFile(report);
  await there(page);
  assert.deepEqual([await unsafe(page), await overlapping(page), await made(page)], [[], [], 0]);
  for (const [text, words] of /** @type {[string, RegExp][]} */ ([['\u202egnp', /hides/], ['\u00ad', /hides/], [`a${'\u0301'.repeat(5)}`, /flooded/],
    ['\u05e9', /not isolated/], ['\u2068\u05e9', /not closed/], ['\u2069a', /did not open/]])) {
    await page.evaluate((own) => document.querySelector('h1')?.append(own), text);
    assert.match((await unsafe(page)).join(), words);
    await page.evaluate(() => document.querySelector('h1')?.lastChild?.remove());
    await page.evaluate((own) => document.querySelector('nav')?.setAttribute('aria-label', own), text);
    assert.match((await unsafe(page)).join(), words);
    await page.evaluate(() => document.querySelector('nav')?.setAttribute('aria-label', 'Pages'));
  }
  await page.evaluate(() => document.querySelector('.box text')?.append('a name that is wider than its box'.repeat(3)));
  assert.match((await overlapping(page)).join(), /out of its box/);
  await close();
});

test('a hostile file makes a report that is text', async () => {
  const name = '<!--<script><img src=x onerror=alert(1)>&quot;\u202egnp \u05e9\u05dc';
  const scenario = join(folder, 'scenarios', `${name}.yaml`);
  const text = readFileSync(join(folder, 'scenarios', 'split-dns.yaml'), 'utf8');
  writeFileSync(scenario, text.replace('# Question: can', '# Question: </script><script>alert(1)</script> \u202e can').replace(/^duration: 60s/m, 'duration: 3s'));
  const path = join(folder, 'file.html');
  const told = spawnSync(BIN, ['sim', scenario, '--seed', '1', '--html', path], { encoding: 'utf8' });
  assert([0, 1, 4].includes(told.status ?? -1), told.stderr);
  assert.doesNotMatch(`${told.stdout}${told.stderr}`, /[\u202e\u001b]/, 'the terminal is told with escapes');
  assert(carried(path).run.scenario?.endsWith(`${name}.yaml`));
  const { page, close } = await openFile(path);
  await there(page);
  for (const one of PAGES) {
    await go(page, one);
    await page.locator('#page section').first().waitFor();
    assert.equal(await made(page), 0, one);
    assert.deepEqual(await unsafe(page), [], one);
    assert.deepEqual(await overlapping(page), [], one);
  }
  await page.getByText('<!--<script><img src=x onerror=alert(1)>&quot;\\u{202e}gnp').first().waitFor();
  await close();
});

test('a damaged report says so in a sentence', async () => {
  for (const [name, change, words] of /** @type {[string, (packed: string) => string, RegExp][]} */ ([
    ['short', (text) => text.slice(0, Math.floor(text.length / 8) * 4), /breaks off or is damaged/],
    ['letters', () => 'not base64 at all!', /run in this report is damaged/],
    ['other', () => packed({ schema: 'something' }), /not a run of twodoors/],
    ['newer', () => packed({ ...bundle(), schema: 'twodoors.bundle/2' }), /newer twodoors/],
    ['empty', () => '', /breaks off|damaged|not JSON/],
  ])) {
    const { page, close } = await openFile(changed(`${name}.html`, change));
    await page.getByRole('heading', { name: 'This run cannot be shown' }).waitFor();
    await page.getByRole('alert').filter({ hasText: words }).waitFor();
    await page.getByRole('status').filter({ hasText: 'damaged' }).first().waitFor();
    await accessible(page, name);
    if (name === 'short') await page.screenshot({ path: join(PICTURES, 'report-damaged.png') });
    await close();
  }
});

test('a live run is written the same way', { timeout: MESH_MS }, async () => {
  const files = join(folder, 'live');
  execFileSync(BIN, ['init', files], { stdio: 'ignore' });
  move(files, '127.12');
  const path = join(files, 'scenarios', 'split-dns.yaml');
  writeFileSync(path, readFileSync(path, 'utf8').replace(/^duration: 60s/m, 'duration: 3s'));
  const written = join(folder, 'live.html');
  const told = spawnSync(BIN, ['run', path, '--html', written], { encoding: 'utf8' });
  // Three seconds meet nothing: what counts is that it was played.
  assert([0, 1, 4].includes(told.status ?? -1), told.stderr);
  assert(readdirSync(folder).includes('live.html'), told.stderr);
  assert.equal(carried(written).run.mode, 'live');
  const { page, close } = await openFile(written);
  await there(page);
  for (const name of PAGES) {
    await go(page, name);
    await page.locator('#page section').first().waitFor();
  }
  await page.getByRole('heading', { level: 1, name: 'split-dns' }).waitFor();
  await close();
});

test('names with half of a pair, which only a file can hold, break no page', async () => {
  const run = poisoned(carried(report), '\ud800');
  const path = changed('half.html', () => packed(run));
  const { page, close } = await openFile(path);
  await there(page);
  for (const name of PAGES) {
    await go(page, name);
    await page.locator('#page section').first().waitFor();
    await eventually(`names on ${name}`, PAGE_MS, async () => (await page.locator('main').textContent() ?? '').includes('\\u{d800}'));
  }
  await close();
});

/** Plays a scenario and shows it, as `sim --serve` does. @param {string} path */
async function startPlayed(path) {
  const child = spawn(BIN, ['sim', path, '--seed', '7', '--serve'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  /** @type {string} */
  const address = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => line.startsWith('ready http=') && resolve(line.slice(11)));
    child.once('exit', (code) => reject(new Error(`ended with ${code} before it was ready`)));
  });
  return { url: `http://${address}/`, stop: () => {
    child.kill('SIGTERM');
    return exited;
  } };
}

test('a run that was played is shown as that, at any instant, and nothing is offered', { timeout: MESH_MS }, async () => {
  const served = await startPlayed(join(folder, 'scenarios', 'external-door-dies.yaml'));
  // A token of somewhere else gives nobody a control.
  const opened = await open(browser, `${served.url}#t=0123456789abcdef`);
  const { page } = opened;
  await page.getByText(/^This run was played in virtual time and ended at 5:00\.0/).waitFor();
  await page.getByRole('status').filter({ hasText: /^played$/ }).first().waitFor();
  for (const name of PAGES) {
    await go(page, name);
    await page.locator('#page section').first().waitFor();
    assert.equal(await page.getByRole('button', { name: /^(Run|Set|Clear|Stop|Start|Drain|Reload)/ }).count(), 0, name);
    assert.equal(await page.getByText('You are looking only').filter({ visible: true }).count(), 0, name);
    if (name === 'Scenarios') await page.getByText('what do private agents notice when the door of the users dies?').waitFor();
    await accessible(page, `played ${name}`);
  }
  await page.screenshot({ path: join(PICTURES, 'played.png') });
  await scrubber(page).fill('215000000');
  await page.getByRole('region', { name: 'Faults in force' }).getByText(/latency/).waitFor();
  await page.getByRole('status').filter({ hasText: 'looking at 3:35.0' }).first().waitFor();
  await go(page, 'Topology');
  await page.getByRole('group', { name: 'Paths through the lab' }).waitFor();
  await page.getByRole('button', { name: 'To the end' }).click();
  await page.getByRole('region', { name: 'Faults in force' }).waitFor({ state: 'hidden' });
  await closeClean(opened);
  assert.equal(await served.stop(), 0);
});
