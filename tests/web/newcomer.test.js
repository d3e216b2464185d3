// @ts-check
// The questions of somebody who has never seen the product, answered by looking alone and with two
// clicks at most, while something is broken.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { closeClean, eventually, live } from './checks.js';
import { MESH_MS, PAGE_MS, open, startBrowser, startLab } from './lab.js';

/** @import {Locator, Page} from 'playwright-core' */

/** @type {Awaited<ReturnType<typeof startLab>>} */
let lab;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;

before(async () => {
  browser = await startBrowser();
  lab = await startLab(undefined, { networks: '127.12' });
  await eventually('the mesh is complete, and second 12 is over', MESH_MS, async () => {
    const now = await (await fetch(`${lab.url}api/snapshot`)).json();
    return now.mesh.now === now.mesh.full && now.at_us > 13_000_000;
  });
});

after(async () => {
  await browser?.close();
  await lab?.stop();
});

/** Stands where one sees it without scrolling, clear of the bar of time. @param {Page} page @param {Locator} what */
async function inSight(page, what) {
  await what.waitFor();
  await eventually(`in sight: ${what}`, PAGE_MS, async () => {
    const [box, bar] = [await what.boundingBox(), await page.locator('footer.time').boundingBox()];
    return box !== null && bar !== null && box.y >= 0 && box.y + box.height <= bar.y;
  });
}

test('which door did this agent use, and why: one click', { timeout: 60_000 }, async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  await page.locator('#picture a').filter({ hasText: 'orders' }).first().click();
  await inSight(page, page.getByText('through the internal door').first());
  for (const stage of ['view', 'record', 'door']) await inSight(page, page.locator('.why-card').filter({ hasText: stage }).first());
  const [first, second] = await Promise.all(['door', 'instance'].map((stage) => page.locator('.why-card').evaluateAll(
    (cards, wanted) => cards.findIndex((card) => card.querySelector('.stage')?.textContent?.startsWith(wanted)), stage)));
  assert(first !== undefined && second !== undefined && first >= 0 && first < second, `${first} before ${second}`);
  await closeClean(opened);
});

test('what would change if I moved to that network: two clicks', { timeout: 60_000 }, async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  await page.locator('#picture a').filter({ hasText: 'orders' }).first().click();
  const ask = page.getByRole('button', { name: 'What would change?' });
  await inSight(page, ask);
  await ask.click();
  await inSight(page, page.getByText(/internal → external/).first());
  await closeClean(opened);
});

test('what is broken now: no click, on every page; one leads there', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  const line = page.getByRole('banner').getByRole('link', { name: /^(all up|proxy|fault|expectation|agent|door|\w+ misrouted)/ });
  await line.filter({ hasText: 'all up' }).waitFor({ timeout: MESH_MS });
  const token = lab.withToken.split('#t=')[1] ?? '';
  const set = await fetch(`${lab.url}api/faults`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ word: 'refuse', target: 'proxy/1', for: '120s' }) });
  assert(set.ok, await set.text());
  for (const path of ['topology', 'dns', 'pool', 'timeline', 'scenarios']) {
    await page.goto(`${lab.url}${path}`);
    await line.filter({ hasText: 'proxy 1 down' }).waitFor({ timeout: MESH_MS });
    await inSight(page, line);
    await inSight(page, page.getByRole('region', { name: 'Faults in force' }));
  }
  await line.click();
  await page.getByRole('table', { name: 'Door internal' }).getByText('connection refused').waitFor();
  await closeClean(opened);
});

test('what happened at second 12: the page, and the handle', { timeout: 60_000 }, async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  await page.getByRole('navigation').getByRole('link', { name: 'Timeline' }).click();
  await page.getByRole('slider', { name: 'Instant that is looked at' }).fill('12000000');
  const here = page.locator('tr.is-here');
  await inSight(page, here);
  assert.match(await here.locator('.when').textContent() ?? '', /^0:(0\d|1[0-2])\./);
  await closeClean(opened);
});
