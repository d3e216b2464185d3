// @ts-check
// The page in a real browser, before a real lab. Everything is found as a person would: by role
// and name.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MESH_MS, PAGE_MS, PICTURES, open, startBrowser, startLab } from './lab.js';

/** @import {Page} from 'playwright-core' */

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WCAG = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

/** @type {Awaited<ReturnType<typeof startLab>>} */
let lab;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;

before(async () => {
  browser = await startBrowser();
  lab = await startLab();
});

after(async () => {
  await browser?.close();
  await lab?.stop();
});

/** @param {Page} page */
const live = (page) => page.getByRole('status').filter({ hasText: /^live$/ }).waitFor();

/**
 * Reads how many flows of a network each door let in, from the table of doors.
 * @param {Page} page
 * @returns {Promise<Record<string, number>>}
 */
async function flows(page) {
  const table = page.getByRole('table', { name: 'Each door' });
  const heads = await table.getByRole('columnheader').allTextContents();
  /** @type {Record<string, number>} */
  const found = {};
  for (const row of await table.locator('tbody tr').all()) {
    const cells = await row.locator('th, td').allTextContents();
    heads.forEach((head, index) => {
      const network = head.match(/^from (.*)/)?.[1];
      if (network) found[network] = (found[network] ?? 0) + Number(cells[index]?.replace(/\D/g, ''));
    });
  }
  return found;
}

/**
 * Waits until a check holds.
 * @param {string} what
 * @param {number} patience
 * @param {() => Promise<boolean>} check
 */
async function eventually(what, patience, check) {
  const end = Date.now() + patience;
  while (!(await check())) {
    if (Date.now() > end) assert.fail(`not within ${patience} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/**
 * Fails on any violation that axe finds.
 * @param {Page} page
 * @param {string} where
 */
async function accessible(page, where) {
  await page.evaluate(axe);
  const violations = await page.evaluate(async (only) => {
    // @ts-expect-error axe is a global of the page now
    const { violations } = await window.axe.run(document, { runOnly: only });
    return violations.map((/** @type {any} */ v) =>
      `${v.id}: ${v.nodes.map((/** @type {any} */ n) => `${n.target} ${n.failureSummary}`).join(' | ')} ${v.helpUrl}`);
  }, WCAG);
  assert.deepEqual(violations, [], where);
}

/**
 * Closes a page that must have had no problem.
 * @param {Awaited<ReturnType<typeof open>>} opened
 */
async function closeClean({ problems, close }) {
  assert.deepEqual(problems, []);
  await close();
}

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  test(`both lanes move in the ${colorScheme} theme`, { timeout: 2 * MESH_MS }, async () => {
    const opened = await open(browser, lab.url, { colorScheme });
    const { page } = opened;
    await live(page);
    await page.getByRole('heading', { level: 1 }).waitFor();
    await eventually('two networks', PAGE_MS, async () => Object.keys(await flows(page)).length >= 2);
    const first = await flows(page);
    await eventually('flows from every network grow', MESH_MS, async () => {
      const now = await flows(page);
      return Object.keys(first).every((network) => (now[network] ?? 0) > (first[network] ?? 0));
    });
    const lanes = Object.keys(first).map((network) => page.locator('#picture').getByText(network, { exact: true }));
    for (const lane of lanes) await lane.first().waitFor();
    await eventually('a dot travels', MESH_MS, async () => await page.locator('#picture .dot').count() > 0);
    await page.screenshot({ path: join(PICTURES, `page-${colorScheme}.png`), fullPage: true });
    await closeClean(opened);
  });
}

test('an answer appears in the list without a reload', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  const newest = page.getByRole('table', { name: 'The latest answers' }).locator('tbody tr').first();
  await newest.waitFor({ timeout: MESH_MS });
  const before = await newest.textContent();
  await eventually('a newer answer', MESH_MS, async () => await newest.textContent() !== before);
  await closeClean(opened);
});

test('nothing that axe finds is wrong, and nothing scrolls sideways', { timeout: MESH_MS }, async () => {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    for (const width of [360, 768, 1280]) {
      const opened = await open(browser, lab.withToken, { colorScheme, viewport: { width, height: 844 } });
      const { page } = opened;
      const where = `${colorScheme} ${width}`;
      await live(page);
      await page.getByRole('table', { name: 'Each proxy' }).getByRole('link').first().click();
      await page.getByRole('button', { name: 'Close the node' }).waitFor();
      await page.getByText('The picture as a table').click();
      await accessible(page, where);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      assert.equal(wide, false, `${where} scrolls sideways`);
      await page.screenshot({ path: join(PICTURES, `page-${colorScheme}-${width}.png`), fullPage: true });
      await page.getByRole('button', { name: 'Keyboard keys' }).click();
      await page.getByRole('dialog', { name: 'Keys' }).waitFor();
      await accessible(page, `${where}, keys`);
      await closeClean(opened);
    }
  }
});

test('what these tests watch for would be found', async () => {
  const { page, problems, close } = await open(browser, lab.url);
  await live(page);
  assert.deepEqual(problems, []);
  await page.evaluate(() => {
    const main = document.querySelector('main');
    main?.insertAdjacentHTML('beforeend', '<p style="color: red">inline</p><img src="/icon.svg"><button></button>');
    return fetch('http://localhost:1/').catch(() => null);
  });
  await eventually('two violations of the policy', PAGE_MS, async () =>
    problems.filter((problem) => problem.includes('Content Security Policy')).length >= 2);
  await assert.rejects(accessible(page, 'broken'), /image-alt[^]*button-name|button-name[^]*image-alt/);
  await close();
});

test('the table below the picture has the same lines', async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  await page.getByText('The picture as a table').click();
  const rows = page.getByRole('table', { name: 'Every line of the picture' }).locator('tbody tr');
  await rows.first().waitFor();
  await eventually('as many rows as lines', PAGE_MS, async () =>
    await rows.count() === await page.locator('#picture .edge').count());
  await closeClean(opened);
});

test('the keyboard alone is enough', async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  const status = page.getByRole('status').first();
  await page.keyboard.press('Space');
  await status.filter({ hasText: 'paused' }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Go on' }).getAttribute('aria-pressed'), 'true');
  await page.keyboard.press('Space');
  await live(page);
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'hidden' });
  const door = page.getByRole('group', { name: 'Paths through the lab' }).getByRole('link', { name: /^balancer / }).first();
  await door.focus();
  await page.keyboard.press('Enter');
  const heading = page.getByRole('heading', { level: 2, name: /^balancer\// });
  await heading.waitFor();
  assert.match(page.url(), /node=balancer/);
  await page.keyboard.press('Escape');
  await heading.waitFor({ state: 'hidden' });
  assert.equal(await door.evaluate((link) => link === document.activeElement), true);
  await page.keyboard.press('/');
  await page.keyboard.type('?t ');
  assert.equal(await page.getByRole('searchbox', { name: 'filter' }).inputValue(), '?t ');
  await closeClean(opened);
});

test('a fault in force stands above everything until it is lifted', async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  const section = page.getByRole('region', { name: 'Faults in force' });
  assert.equal(await section.isVisible(), false);
  const headers = { authorization: `Bearer ${lab.withToken.split('#t=')[1]}`, 'content-type': 'application/json' };
  const set = await fetch(`${lab.url}api/faults`, { method: 'POST', headers,
    body: JSON.stringify({ word: 'latency', target: 'user/alice <-> balancer/external', by: '1ms' }) });
  assert.equal(set.status, 200, await set.text());
  await section.getByText('user/alice <-> balancer/external').waitFor({ timeout: PAGE_MS });
  const cleared = await fetch(`${lab.url}api/faults`, { method: 'DELETE', headers });
  assert.equal(cleared.status, 200, await cleared.text());
  await section.waitFor({ state: 'hidden', timeout: PAGE_MS });
  await closeClean(opened);
});

test('the theme button overrides the system and is remembered', async () => {
  const opened = await open(browser, lab.url, { colorScheme: 'light' });
  const { page } = opened;
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.getByRole('button', { name: 'Theme: system' }).click();
  await page.getByRole('button', { name: 'Theme: light' }).click();
  await page.getByRole('button', { name: 'Theme: dark' }).waitFor();
  assert.notEqual(await ground(), light);
  await page.reload();
  await page.getByRole('button', { name: 'Theme: dark' }).waitFor();
  assert.notEqual(await ground(), light);
  await closeClean(opened);
});

test('a reload keeps what the page shows', async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  await page.getByRole('table', { name: 'Each proxy' }).getByRole('link').first().click();
  await page.getByRole('searchbox', { name: 'filter' }).fill('no such name');
  await page.getByRole('checkbox', { name: 'traffic too' }).check();
  const rows = page.getByRole('table', { name: 'The latest answers' }).locator('tbody tr');
  await eventually('no row matches', PAGE_MS, async () => await rows.count() === 0);
  await page.reload();
  await live(page);
  await page.getByRole('heading', { level: 2, name: /^proxy\// }).waitFor();
  assert.equal(await page.getByRole('searchbox', { name: 'filter' }).inputValue(), 'no such name');
  assert.equal(await page.getByRole('checkbox', { name: 'traffic too' }).isChecked(), true);
  assert.equal(await rows.count(), 0);
  await closeClean(opened);
});

test('without the token there is nothing to press; with it a proxy stops and starts', { timeout: 60_000 }, async () => {
  const plain = await open(browser, lab.url);
  await live(plain.page);
  const choose = (/** @type {Page} */ page) =>
    page.getByRole('table', { name: 'Each proxy' }).getByRole('link').last().click();
  await choose(plain.page);
  await plain.page.getByRole('button', { name: 'Close the node' }).waitFor();
  assert.equal(await plain.page.getByRole('button', { name: /^(stop|start|drain) / }).count(), 0);
  assert.equal(await plain.page.getByRole('button', { name: 'Reload zones' }).count(), 0);
  await closeClean(plain);

  const opened = await open(browser, lab.withToken);
  const { page } = opened;
  await live(page);
  assert.equal(new URL(page.url()).hash, '', 'the token left the address');
  await choose(page);
  const heading = page.getByRole('heading', { level: 2, name: /^proxy\// });
  await page.getByRole('button', { name: /^stop proxy\// }).click();
  await heading.filter({ hasText: 'stopped' }).waitFor();
  await page.getByRole('button', { name: /^start proxy\// }).click();
  await heading.filter({ hasText: 'ready' }).waitFor();
  await page.getByRole('button', { name: 'Reload zones' }).click();
  await page.getByRole('status').filter({ hasText: /^generation \d+: / }).waitFor();
  await closeClean(opened);
});

test('no dot travels for those who want less motion', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, lab.url, { reducedMotion: 'reduce' });
  const { page } = opened;
  await live(page);
  const first = await flows(page);
  const sum = (/** @type {Record<string, number>} */ counts) => Object.values(counts).reduce((a, b) => a + b, 0);
  await eventually('counts grow', MESH_MS, async () => {
    assert.equal(await page.locator('#picture .dot').count(), 0);
    return sum(await flows(page)) > sum(first) + 1;
  });
  await closeClean(opened);
});

test('a hostile name is shown as text', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  await ask(lab.dns, '<img src=x onerror=alert(1)>');
  const cell = page.getByRole('table', { name: 'The latest answers' }).getByText(/(<|\\060)img/).first();
  await cell.waitFor({ timeout: MESH_MS });
  assert.equal(await page.locator('img').count(), 0);
  await closeClean(opened);
});

test('a lab that is killed is said to be gone, and its return is taken up', { timeout: 60_000 }, async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  const facts = async () => Number((await page.getByRole('contentinfo').textContent())
    ?.match(/· ([\d\u202f]+) facts? ·/)?.[1]?.replace(/\D/g, ''));
  const before = await facts();
  await lab.stop('SIGKILL');
  await page.getByRole('status').filter({ hasText: 'reconnecting' }).waitFor();
  await page.getByText('The lab does not answer').waitFor();
  await page.screenshot({ path: join(PICTURES, 'page-lost.png') });
  lab = await startLab(lab.address);
  await live(page);
  await eventually('the facts of the new run', PAGE_MS, async () => await facts() < before);
  const numbers = await page.getByRole('list', { name: 'Decisions' }).getByRole('listitem')
    .evaluateAll((lines) => lines.map((line) => Number(line.getAttribute('data-seq'))));
  assert(numbers.length > 0);
  assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => b - a), 'each line once, newest first');
  await lab.stop();
  await page.getByRole('status').filter({ hasText: /ended|reconnecting/ }).waitFor();
  await opened.close();
  lab = await startLab();
});

/**
 * Asks the DNS server for a name of one label below example.com; the answer does not matter.
 * @param {string} address
 * @param {string} label
 */
function ask(address, label) {
  const labels = [label, 'example', 'com'].map((part) => Buffer.concat([Buffer.from([part.length]), Buffer.from(part)]));
  const head = Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const packet = Buffer.concat([head, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
  const [host, port] = [address.replace(/:\d+$/, ''), Number(address.replace(/.*:/, ''))];
  const socket = createSocket('udp4');
  return new Promise((resolve) => socket.send(packet, port, host, () => resolve(socket.close())));
}
