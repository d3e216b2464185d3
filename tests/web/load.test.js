// @ts-check
// What comes with the page that needs it, and what stays bounded however long a lab runs.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, live } from './checks.js';
import { MESH_MS, PAGE_MS, open, startBrowser, startLab } from './lab.js';

/** @import {Page} from 'playwright-core' */

/** The store keeps 1,000 facts of either kind; a page may have its furniture besides. */
const ELEMENTS_MAX = 4_000;

/** @type {Awaited<ReturnType<typeof startLab>>} */
let lab;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;

before(async () => {
  browser = await startBrowser();
  lab = await startLab('127.0.0.1:0', { networks: '127.19' });
});

after(async () => {
  await browser?.close();
  await lab?.stop();
});

test('a page whose files do not come says so, and comes when the lab answers again', { timeout: MESH_MS }, async () => {
  let lost = true;
  const { page, close } = await open(browser, lab.url, {}, async (page) => {
    await page.route('**/views/timeline.js', (route) => (lost ? route.abort() : route.continue()));
  });
  await live(page);
  const nav = page.getByRole('navigation', { name: 'Pages' });
  await nav.getByRole('link', { name: 'Timeline', exact: true }).click();
  await page.getByRole('heading', { name: 'The files of this page did not come' }).waitFor();
  await nav.getByRole('link', { name: 'DNS', exact: true }).click();
  await page.locator('#page h2').first().waitFor();
  lost = false;
  await nav.getByRole('link', { name: 'Timeline', exact: true }).click();
  await page.locator('#page .lanes').first().waitFor();
  await close();
});

/** @param {Page} page */
const elements = (page) => page.evaluate(() => document.querySelectorAll('*').length);

test('thousands of facts leave the page as small as it was', { timeout: MESH_MS }, async () => {
  // The stream is made here, so that neither the machine's speed nor a lab's load decides.
  const snapshot = await (await fetch(`${lab.url}api/snapshot`)).json();
  const facts = 20_000;
  const stream = [`event: snapshot\ndata: ${JSON.stringify(snapshot)}\n\n`];
  for (let from = 0; from < facts; from += 100) {
    const some = Array.from({ length: 100 }, (_, index) => ({ seq: snapshot.seq + 1 + from + index, at_us: snapshot.at_us + from + index,
      node: 'balancer/internal', kind: 'checked', text: `check ${from + index}` }));
    stream.push(`id: ${some.at(-1)?.seq}\nevent: facts\ndata: ${JSON.stringify(some)}\n\n`);
  }
  const last = JSON.stringify({ ...snapshot, seq: snapshot.seq + facts, name: 'after them' });
  stream.push(`event: snapshot\ndata: ${last}\n\n`);
  const opened = await open(browser, `${lab.url}timeline`, {}, async (page) => {
    await page.route(/\/api\/facts\?/, (route) => route.fulfill({ status: 200, contentType: 'text/event-stream', body: stream.join('') }));
  });
  const { page } = opened;
  await page.getByRole('heading', { level: 1, name: 'after them' }).waitFor();
  for (const name of ['Topology', 'DNS', 'Doors and pool', 'Timeline', 'Scenarios']) {
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name, exact: true }).click();
    await page.locator('#page h2').first().waitFor();
    await eventually(`${name} is bounded`, 20_000, async () => await elements(page) < ELEMENTS_MAX);
  }
  await opened.close();
});

test('more agents than fit a frame are folded, and what is wrong with them is told', { timeout: MESH_MS }, async () => {
  const snapshot = await (await fetch(`${lab.url}api/snapshot`)).json();
  const [agent] = snapshot.agents;
  const tunnels = agent.tunnels.map((/** @type {object} */ tunnel) => ({ ...tunnel, up: true, made: true }));
  const agents = Array.from({ length: 120 }, (_, index) => ({ ...agent, name: `branch-${index + 1}`,
    tunnels: index === 97 ? tunnels.map((/** @type {object} */ tunnel) => ({ ...tunnel, up: false })) : tunnels }));
  const body = JSON.stringify({ ...snapshot, agents });
  const { page, close } = await open(browser, `${lab.url}pool`, {}, async (page) => {
    await page.route(/\/api\/snapshot$/, (route) => route.fulfill({ contentType: 'application/json', body }));
    await page.route(/\/api\/facts\?/, (route) => route.fulfill({ contentType: 'text/event-stream', body: `event: snapshot\ndata: ${body}\n\n` }));
  });
  const table = page.getByRole('region', { name: 'Agents and their tunnels' });
  const part = page.locator('section', { has: table });
  /** @param {number} wanted */
  const has = (wanted) => eventually(`${wanted} rows`, PAGE_MS, async () => await table.locator('tbody tr').count() === wanted);
  await has(50);
  await part.getByText('70 more, 1 of them without all tunnels.').waitFor();
  assert.match(await table.locator('tfoot').textContent() ?? '', /119\/120 up/, 'the foot counts all');
  await part.getByRole('button', { name: 'Show all 120' }).click();
  await has(120);
  await page.reload();
  await has(120);
  await part.getByRole('button', { name: 'Show 50 only' }).click();
  await has(50);
  await page.locator('#page [type=search]').first().fill('agent:branch-98');
  await has(1);
  await close();
});
