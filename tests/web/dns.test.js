// @ts-check
// The page DNS before a real lab: resolve as anyone, the query log, the zones and their reload.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { accessible, askFor, closeClean, eventually, live, look } from './checks.js';
import { MESH_MS, PAGE_MS, open, startBrowser, startLab } from './lab.js';

/** @import {Page} from 'playwright-core' */

/** @type {Awaited<ReturnType<typeof startLab>>} */
let lab;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;

before(async () => {
  browser = await startBrowser();
  lab = await startLab(undefined, { networks: '127.14' });
});

after(async () => {
  await browser?.close();
  await lab?.stop();
});

/** A page of this lab, with the token. @param {string} path */
const withToken = (path) => `${lab.url}${path}#${lab.withToken.split('#')[1]}`;

/** @param {Page} page @param {string} name */
const view = (page, name) => page.getByRole('article', { name: `view ${name}` });

/** @param {Page} page */
const rows = (page) => page.getByRole('table', { name: 'Answers, newest first' }).locator('tr[aria-rowindex]');

/** @param {Page} page */
const filter = (page) => page.getByRole('searchbox', { name: 'filter the query log' });

test('any client is answered by all views side by side, and the address keeps the question', { timeout: 60_000 }, async () => {
  const opened = await open(browser, `${lab.url}dns`);
  const { page } = opened;
  await live(page);
  const form = page.getByRole('form', { name: 'Resolve as' });
  await form.getByLabel('Resolve as').fill('agent/orders');
  await form.getByLabel('name').fill('proxy.example.com');
  await form.getByLabel('over').selectOption('tcp');
  await form.getByLabel('name').press('Enter');
  await view(page, 'private').getByText('its view').waitFor();
  assert.equal(await view(page, 'public').getByText('its view').count(), 0);
  for (const name of ['private', 'public']) {
    const text = await view(page, name).textContent() ?? '';
    assert.match(text, /NOERROR/, name);
    assert.match(text, /≠/, `${name}: the difference has a mark`);
    assert.match(text, /only here/, `${name}: and a word`);
    assert.match(text, new RegExp(`${name}/example\\.com\\.zone:\\d+`), `${name}: with its place`);
  }
  const query = new URL(page.url()).searchParams;
  assert.deepEqual([query.get('as'), query.get('name'), query.get('transport')], ['agent/orders', 'proxy.example.com', 'tcp']);
  await page.reload();
  await view(page, 'private').getByText('its view').waitFor();
  assert.equal(await form.getByLabel('over').inputValue(), 'tcp');
  await form.getByLabel('Resolve as').fill('nobody/knows');
  await form.getByRole('button', { name: 'Resolve' }).click();
  await page.getByRole('alert').filter({ hasText: 'nobody/knows' }).waitFor();
  opened.problems.splice(0, opened.problems.length, ...opened.problems.filter((text) => !/api\/resolve: 4|status of 4/.test(text)));
  await closeClean(opened);
});

test('the page answers a first question before anybody asks, and says nothing of it in the address', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, `${lab.url}dns`);
  const { page } = opened;
  await live(page);
  const form = page.getByRole('form', { name: 'Resolve as' });
  for (const name of ['private', 'public']) await view(page, name).getByText('only here').first().waitFor({ timeout: MESH_MS });
  assert.match(await form.getByLabel('Resolve as').inputValue(), /^agent\//);
  assert.equal(new URL(page.url()).search, '');
  await closeClean(opened);
});

test('the dig line does what the page says', { timeout: 60_000 }, async () => {
  const opened = await open(browser, `${lab.url}dns?as=user/alice&name=proxy.example.com`, { permissions: ['clipboard-read', 'clipboard-write'] });
  const { page } = opened;
  const answer = view(page, 'public').getByText(/^127\./).first();
  await answer.waitFor();
  await page.getByRole('button', { name: 'Copy the dig line' }).first().click();
  await page.getByText('Copied').waitFor();
  const line = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(line, /^dig -b /);
  const { stdout } = await promisify(execFile)('sh', ['-c', `${line} +short +time=5`]);
  assert.equal(stdout.trim(), await answer.textContent());
  await closeClean(opened);
});

test('the log is live, filtered by the lab, and says where a filter is wrong', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, `${lab.url}dns`);
  const { page, problems } = opened;
  await live(page);
  await rows(page).first().waitFor({ timeout: MESH_MS });
  await askFor(lab.dns, 'nothere');
  await filter(page).fill('name:nothere rcode!=NOERROR');
  await rows(page).filter({ hasText: 'nothere.example.com.' }).first().waitFor();
  assert.match(new URL(page.url()).searchParams.get('filter') ?? '', /nothere/);
  for (const text of await rows(page).allTextContents()) assert.match(text, /nothere/);
  const asked = await rows(page).count();
  await askFor(lab.dns, 'nothere');
  await eventually('the second answer by itself', PAGE_MS, async () => await rows(page).count() > asked);
  const file = await page.getByRole('link', { name: 'CSV' }).first().getAttribute('href');
  assert.equal(new URL(file ?? '', lab.url).searchParams.get('filter'), 'name:nothere rcode!=NOERROR', 'the file has the filter');
  await page.reload();
  await rows(page).filter({ hasText: 'nothere.example.com.' }).first().waitFor();
  await filter(page).fill('client:orders typ:A');
  const alert = page.getByRole('alert');
  await alert.filter({ hasText: /typ/ }).waitFor();
  assert.equal(await filter(page).getAttribute('aria-invalid'), 'true');
  assert.match(await alert.locator('pre').textContent() ?? '', /\n {14}\^$/, 'the caret is below the wrong term');
  await accessible(page, 'wrong filter');
  await filter(page).fill('');
  await alert.waitFor({ state: 'hidden' });
  problems.splice(0, problems.length, ...problems.filter((text) => !/queries|status of 400/.test(text)));
  await closeClean(opened);
});

test('how long an answer took is measured, and stands in both files', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, `${lab.url}dns`);
  const { page } = opened;
  await live(page);
  await rows(page).first().waitFor({ timeout: MESH_MS });
  for (const text of await rows(page).locator('.took').allTextContents()) assert.match(text, /^\d+(\.\d+)? (µs|ms)$/);
  const json = await (await fetch(`${lab.url}api/queries.json?limit=5`)).json();
  for (const one of json) assert(Number.isInteger(one.took_us), JSON.stringify(one));
  const [head = '', line = ''] = (await (await fetch(`${lab.url}api/queries.csv?limit=1`)).text()).split('\r\n');
  assert(head.split(',').includes('took_us'));
  assert.match(line, /,\d+,/);
  await closeClean(opened);
});

test('a paused log stands still and counts what it holds back; an open row pauses it', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, `${lab.url}dns`);
  const { page } = opened;
  await live(page);
  await rows(page).first().waitFor({ timeout: MESH_MS });
  await page.getByRole('button', { name: 'Pause the log' }).click();
  const before = await rows(page).first().textContent();
  for (let n = 0; n < 5; n += 1) await askFor(lab.dns, `held${n}`);
  await page.getByText(/[1-9]\d* held back/).waitFor();
  assert.equal(await rows(page).first().textContent(), before);
  await page.getByRole('button', { name: 'Let the log go on' }).click();
  await rows(page).filter({ hasText: 'held4' }).waitFor();
  const row = rows(page).filter({ hasText: 'held4' }).getByRole('button');
  await row.click();
  await page.getByRole('link', { name: 'Resolve as this client' }).waitFor();
  assert.equal(await row.getAttribute('aria-expanded'), 'true');
  assert.match(await page.locator('.opened').textContent() ?? '', /dig .*held4\.example\.com/);
  await page.getByRole('button', { name: 'Let the log go on' }).waitFor();
  await accessible(page, 'open row');
  await closeClean(opened);
});

test('only rows in sight are in the page, and arrows go through all', { timeout: MESH_MS }, async () => {
  const queries = Array.from({ length: 2_000 }, (_, n) => ({ seq: n + 1, at_us: n * 1_000, client: '127.0.0.1:5300', asker: null, subnet: null, transport: 'udp',
    name: `many${n}.example.com.`, rtype: 'A', view: 'public', rule: 'any', rcode: 'NOERROR', answer: ['A 127.0.0.9'], why: 'exact match', place: null, took_us: 20, dig: 'dig' })).reverse();
  const opened = await open(browser, `${lab.url}dns`, {}, async (page) => {
    await page.route((asked) => asked.pathname === '/api/queries', (route) => route.fulfill({ json:
      { queries: new URL(route.request().url()).searchParams.has('after_seq') ? [] : queries, matched: 2_000, held: 2_000 } }));
  });
  const { page } = opened;
  await live(page);
  const table = page.getByRole('table', { name: 'Answers, newest first' });
  await eventually('all are known', PAGE_MS, async () => Number(await table.getAttribute('aria-rowcount')) >= 2_001);
  assert(await rows(page).count() < 80, `${await rows(page).count()} rows`);
  await rows(page).first().getByRole('button').focus();
  await page.keyboard.press('End');
  await page.getByRole('button', { name: /many0\./ }).waitFor();
  assert.match(await page.evaluate(() => document.activeElement?.getAttribute('aria-label')) ?? '', /many0\./);
  await page.keyboard.press('ArrowUp');
  assert.match(await page.evaluate(() => document.activeElement?.getAttribute('aria-label')) ?? '', /many1\./);
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'Resolve as this client' }).waitFor();
  await closeClean(opened);
});

test('hostile names are shown as text', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, `${lab.url}dns`);
  const { page } = opened;
  await live(page);
  await askFor(lab.dns, '<img src=x onerror=alert(1)>');
  await askFor(lab.dns, Buffer.from([0x61, 0, 0x1b, 0x5b, 0x33, 0x31, 0x6d]));
  await askFor(lab.dns, '\u202egnp.exe');
  await filter(page).fill('name:*.example.com.');
  await rows(page).filter({ hasText: /(<|\\060)img/ }).first().waitFor({ timeout: PAGE_MS });
  await rows(page).filter({ hasText: /\\(000|u0000)/ }).first().waitFor();
  await rows(page).filter({ hasText: /\\(226|u202e)/ }).first().waitFor();
  assert.equal(await page.locator('img').count(), 0);
  assert.equal(await page.evaluate(() => /[\u0000-\u0008\u001b\u202e]/.test(document.body.textContent ?? '')), false);
  await closeClean(opened);
});

test('a reload says first who would get another answer', { timeout: MESH_MS }, async () => {
  const zone = join(lab.files, 'zones/public/example.com.zone');
  const text = readFileSync(zone, 'utf8');
  const plain = await open(browser, `${lab.url}dns`);
  await live(plain.page);
  await plain.page.getByText('You are looking only').waitFor();
  assert.equal(await plain.page.getByRole('button', { name: 'Reload…' }).count(), 0);
  await closeClean(plain);

  const opened = await open(browser, withToken('dns'));
  const { page, problems } = opened;
  await live(page);
  const dialog = page.getByRole('dialog', { name: /^Reload zones/ });
  const reload = page.getByRole('button', { name: 'Reload…' });
  try {
    appendFileSync(zone, '\nnew.example.com. 300 IN A 127.182.0.77\n');
    await reload.click();
    await dialog.getByText('new.example.com.').first().waitFor();
    await dialog.getByText(/127\.182\.0\.77/).first().waitFor();
    await accessible(page, 'blast radius');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    assert.equal(await reload.evaluate((button) => button === document.activeElement), true, 'focus comes back');

    writeFileSync(zone, `${text}\nbroken IN A not-an-address\n`);
    await reload.click();
    await dialog.getByText(/example\.com\.zone:\d+/).first().waitFor();
    assert.equal(await dialog.getByRole('button', { name: 'Put in force' }).isDisabled(), true);
    await dialog.getByRole('button', { name: 'Cancel' }).click();

    writeFileSync(zone, `${text}\nnew.example.com. 300 IN A 127.182.0.77\n`);
    await reload.click();
    await dialog.getByRole('button', { name: 'Put in force' }).click();
    await page.getByRole('status').filter({ hasText: /^Generation \d+ is in force: changed/ }).waitFor();
    const zones = page.getByRole('region', { name: 'Zones' });
    assert.equal(await zones.getByText('are those of now').count(), 0);
    await page.goto(withToken('dns?at=1'));
    await zones.getByText(/^Rules of generation 1 were in force at this instant; the zones below are those of now, of generation \d+\./).waitFor();
  } finally {
    writeFileSync(zone, text);
  }
  problems.splice(0, problems.length, ...problems.filter((problem) => !/422/.test(problem)));
  await closeClean(opened);
});

test('the page is fit for everyone at every width', { timeout: MESH_MS }, async () => {
  await look(browser, withToken('dns?as=agent/orders&name=proxy.example.com'), 'dns', async (page) => {
    await view(page, 'private').waitFor();
    await rows(page).first().waitFor({ timeout: MESH_MS });
  });
});

test('a lab that is gone is said to be gone', { timeout: 60_000 }, async () => {
  const opened = await open(browser, `${lab.url}dns?as=agent/orders&name=proxy.example.com`);
  const { page } = opened;
  await view(page, 'private').waitFor();
  await page.route('**/api/resolve', (route) => route.abort());
  await page.getByRole('button', { name: 'Resolve' }).click();
  await page.getByRole('alert').filter({ hasText: 'The lab does not answer' }).waitFor();
  await accessible(page, 'gone');
  await opened.close();
});
