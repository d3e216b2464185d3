// @ts-check
// The page Doors and pool before a real lab: what it counts, what can be done, and what it says first.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { accessible, closeClean, eventually, live, look } from './checks.js';
import { MESH_MS, PAGE_MS, open, startBrowser, startLab } from './lab.js';

/** @import {Page} from 'playwright-core' */

/** @type {Awaited<ReturnType<typeof startLab>>} */
let lab;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;

before(async () => {
  browser = await startBrowser();
  lab = await startLab(undefined, { networks: '127.15' });
});

after(async () => {
  await browser?.close();
  await lab?.stop();
});

const withToken = () => `${lab.url}pool#${lab.withToken.split('#')[1]}`;

/** @param {Page} page @param {string} name */
const door = (page, name) => page.getByRole('table', { name: `Door ${name}` });

/** @param {Page} page */
const instances = (page) => page.getByRole('table', { name: 'Each instance of the pool' });

/** @param {Page} page @param {number} of */
const allUp = (page, of) => Promise.all(['internal', 'external'].map((name) =>
  door(page, name).getByRole('cell', { name: `${of}/3 up` }).waitFor({ timeout: MESH_MS })));

test('every instance stands in the table of every door, with what it is told apart from how it is', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, `${lab.url}pool`);
  const { page } = opened;
  await live(page);
  await allUp(page, 3);
  for (const name of ['internal', 'external']) {
    const heads = await door(page, name).getByRole('columnheader').allTextContents();
    assert.deepEqual(heads.slice(0, 3), ['instance', 'configured', 'health']);
    const row = door(page, name).getByRole('row').filter({ has: page.getByRole('rowheader', { name: '1' }) });
    assert.match(await row.textContent() ?? '', /ready.*up/);
  }
  assert.equal(await page.getByRole('button', { name: /^(drain|stop|start) / }).count(), 0, 'nothing to press without the token');
  assert.equal(await page.getByRole('checkbox').count(), 0);
  await page.getByText('You are looking only').waitFor();
  await closeClean(opened);
});

test('the last checks open below their row', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, `${lab.url}pool`);
  const { page } = opened;
  await live(page);
  await allUp(page, 3);
  const button = page.getByRole('button', { name: /the last checks of 2 by internal/ });
  await button.focus();
  await page.keyboard.press('Enter');
  const list = page.getByRole('list', { name: 'The last checks' });
  await eventually('some checks', PAGE_MS, async () => await list.getByRole('listitem').count() >= 2);
  assert(await list.getByRole('listitem').count() <= 10);
  assert.match(await list.getByRole('listitem').first().textContent() ?? '', /passed/);
  await accessible(page, 'checks open');
  await button.click();
  await list.waitFor({ state: 'hidden' });
  await closeClean(opened);
});

test('what will break is said before it is done; then the worst stands first', { timeout: 2 * MESH_MS }, async () => {
  const opened = await open(browser, withToken());
  const { page } = opened;
  await live(page);
  await allUp(page, 3);
  await page.getByRole('checkbox', { name: 'choose proxy/2' }).first().check();
  await page.getByRole('checkbox', { name: 'choose proxy/3' }).first().check();
  await page.getByRole('group', { name: 'Act on the chosen ones' }).getByRole('button', { name: 'Stop 2 nodes' }).click();
  const dialog = page.getByRole('dialog', { name: 'Stop 2 nodes?' });
  await dialog.getByRole('listitem').first().waitFor();
  await accessible(page, 'consequences');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  await instances(page).getByText('ready').nth(2).waitFor();

  await page.getByRole('button', { name: 'stop proxy/3' }).first().click();
  const one = page.getByRole('dialog', { name: 'Stop proxy/3?' });
  await one.getByRole('listitem').first().waitFor();
  await one.getByRole('button', { name: 'Stop' }).click();
  await one.waitFor({ state: 'hidden' });
  await page.getByRole('status').filter({ hasText: 'proxy/3: stop asked for' }).waitFor();
  await instances(page).getByText('stopped').waitFor();
  await allUp(page, 2);
  // What is worst is told on every page, without a click, and leads to its place.
  const line = page.getByRole('banner').getByRole('link', { name: /^proxy 3 stopped/ });
  for (const name of ['Topology', 'DNS', 'Timeline', 'Scenarios']) {
    await page.getByRole('navigation').getByRole('link', { name, exact: true }).click();
    await line.waitFor();
  }
  await line.click();
  assert.match(page.url(), /\/pool\?filter=configured(:|%3A)stopped$/);
  await page.getByRole('searchbox', { name: 'filter' }).fill('');
  const worst = page.getByRole('list', { name: 'Health of all instances' }).getByRole('listitem');
  await worst.first().filter({ hasText: /down.*2\/6/ }).waitFor({ timeout: MESH_MS });
  await worst.first().getByRole('button').click();
  assert.equal(new URL(page.url()).searchParams.get('filter'), 'health:down');
  await eventually('only what is down', PAGE_MS, async () => await door(page, 'internal').locator('tbody tr').count() === 1);
  assert.match(await door(page, 'internal').locator('tbody tr').textContent() ?? '', /stopped.*down/);
  await page.reload();
  await live(page);
  await eventually('the filter is kept', PAGE_MS, async () => await door(page, 'internal').locator('tbody tr').count() === 1);
  await page.getByRole('searchbox', { name: 'filter' }).fill('nothing:such');
  await page.getByText('Nothing matches this filter').waitFor();
  await page.getByRole('searchbox', { name: 'filter' }).fill('');
  await page.getByRole('button', { name: 'start proxy/3' }).first().click();
  await page.getByRole('dialog', { name: 'Start proxy/3?' }).getByRole('button', { name: 'Start' }).click();
  await allUp(page, 3);
  await closeClean(opened);
});

test('a drain shows what is left', { timeout: 2 * MESH_MS }, async () => {
  const opened = await open(browser, withToken());
  const { page } = opened;
  await live(page);
  await allUp(page, 3);
  const tunnels = instances(page).getByRole('row').filter({ has: page.getByRole('rowheader', { name: '1' }) }).getByRole('cell').nth(2);
  await eventually('tunnels of instance 1', MESH_MS, async () => Number(await tunnels.textContent()) > 0);
  await page.getByRole('button', { name: 'drain proxy/1' }).first().click();
  await page.getByRole('dialog', { name: 'Drain proxy/1?' }).getByRole('button', { name: 'Drain' }).click();
  await instances(page).getByText(/drain(ing|ed)/).waitFor();
  await eventually('nothing is left', MESH_MS, async () => Number(await tunnels.textContent()) === 0);
  await page.getByRole('button', { name: 'start proxy/1' }).first().click();
  await page.getByRole('dialog', { name: 'Start proxy/1?' }).getByRole('button', { name: 'Start' }).click();
  await eventually('all are ready', MESH_MS, async () => await instances(page).getByText('ready').count() === 3);
  await closeClean(opened);
});

/** How a column says that it is sorted, which comes with the next frame. @param {import('playwright-core').Locator} head @param {string | null} wanted */
const sorted = (head, wanted) => eventually(`sorted ${wanted}`, PAGE_MS, async () => await head.getAttribute('aria-sort') === wanted);

test('each column sorts by keyboard, and the address keeps the order', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, `${lab.url}pool`);
  const { page } = opened;
  await live(page);
  await allUp(page, 3);
  const names = () => instances(page).locator('tbody').getByRole('rowheader').allTextContents();
  assert.deepEqual(await names(), ['1', '2', '3']);
  const head = instances(page).getByRole('columnheader', { name: 'instance' });
  await head.getByRole('button').focus();
  await page.keyboard.press('Enter');
  await sorted(head, 'ascending');
  await page.keyboard.press('Enter');
  await eventually('the last is first', PAGE_MS, async () => (await names()).join() === '3,2,1');
  await sorted(head, 'descending');
  assert.equal(await head.getByRole('button').evaluate((button) => button === document.activeElement), true, 'focus stays');
  assert.equal(new URL(page.url()).searchParams.get('sort.pool'), '-instance');
  await page.reload();
  await live(page);
  await eventually('the order is kept', PAGE_MS, async () => (await names()).join() === '3,2,1');
  await head.getByRole('button').click();
  await eventually('the order of the lab', PAGE_MS, async () => (await names()).join() === '1,2,3');
  await sorted(head, null);
  // Numbers begin with the largest, and the doors sort apart.
  const total = door(page, 'internal').getByRole('columnheader', { name: 'total' });
  await total.getByRole('button').click();
  await sorted(total, 'descending');
  assert.equal(await door(page, 'external').locator('[aria-sort]').count(), 0);
  await closeClean(opened);
});

test('each table is there as CSV and as JSON', { timeout: 60_000 }, async () => {
  const opened = await open(browser, `${lab.url}pool`);
  const { page } = opened;
  await live(page);
  await door(page, 'internal').locator('tbody tr').first().waitFor();
  const links = await page.locator('.files a').evaluateAll((all) => all.map((link) => link.getAttribute('href') ?? ''));
  assert(links.length >= 10, `${links}`);
  for (const name of ['backends', 'pool', 'agents', 'users']) {
    for (const kind of ['csv', 'json']) assert(links.some((link) => link.startsWith(`/api/tables/${name}.${kind}`)), `${name} ${kind}: ${links}`);
  }
  await closeClean(opened);
});

test('the page is fit for everyone at every width', { timeout: MESH_MS }, async () => {
  await look(browser, withToken(), 'pool', async (page) => {
    await door(page, 'internal').locator('tbody tr').first().waitFor();
    await page.getByText('What the words mean').click();
  });
});

test('in forced colours and without motion every state still has its word', { timeout: 60_000 }, async () => {
  const opened = await open(browser, `${lab.url}pool`, { forcedColors: 'active', reducedMotion: 'reduce' });
  const { page } = opened;
  await live(page);
  await door(page, 'internal').getByText(/^(up|down|rising|unknown)$/).first().waitFor();
  await accessible(page, 'forced colours');
  await closeClean(opened);
});
