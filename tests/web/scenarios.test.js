// @ts-check
// The page Scenarios before a real lab: question and expectations, runs, findings, faults.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
  lab = await startLab(undefined, { networks: '127.16' });
});

after(async () => {
  await browser?.close();
  await lab?.stop();
});

const withToken = () => `${lab.url}scenarios#${lab.withToken.split('#')[1]}`;

/** @param {Page} page @param {string} name */
const region = (page, name) => page.getByRole('region', { name, exact: true });

test('the scenario says its question, its lesson and how its expectations stand', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, `${lab.url}scenarios`);
  const { page } = opened;
  await live(page);
  await region(page, 'The scenario that runs').getByText(/can one name send private agents/).waitFor();
  const items = region(page, 'Expectations').getByRole('listitem');
  await eventually('eight expectations', PAGE_MS, async () => await items.count() === 8);
  const first = items.filter({ hasText: 'agents in internal use balancer/internal' });
  await first.getByText(/holds so far|met/).waitFor({ timeout: MESH_MS });
  assert.match(await first.textContent() ?? '', /split-dns\.yaml:\d+/);
  assert.equal(await page.getByRole('button', { name: /^(Run|Set|Clear)/ }).count(), 0, 'nothing to press without the token');
  await page.getByText('You are looking only').waitFor();
  await closeClean(opened);
});

test('other scenarios show their question and what check finds, with its cure', { timeout: 60_000 }, async () => {
  const opened = await open(browser, `${lab.url}scenarios`);
  const { page } = opened;
  await live(page);
  const others = region(page, 'Other scenarios');
  await others.getByText('multiple-public-addresses').first().waitFor();
  const one = others.locator('details').filter({ hasText: /\d finding/ }).first();
  await one.locator('summary').first().click();
  await one.getByText('Cure:').first().waitFor();
  await accessible(page, 'another scenario open');
  await closeClean(opened);
});

test('a run in virtual time ends, is judged and can be opened', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, withToken());
  const { page } = opened;
  await live(page);
  await page.getByRole('form', { name: 'Run the scenario' }).getByLabel('seed').fill('7');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  const row = page.getByRole('table', { name: 'Runs, the newest first' }).locator('tbody tr').first();
  await row.getByText(/^ended at/).waitFor({ timeout: MESH_MS });
  assert.match(await row.textContent() ?? '', /virtual7/);
  await row.getByText(/of 8 met/).click();
  assert.equal(await row.getByRole('listitem').count(), 8);
  await accessible(page, 'a run');
  await closeClean(opened);
});

test('a virtual run is stopped in flight, and what was played is opened', { timeout: MESH_MS }, async () => {
  const own = join(lab.files, 'scenarios', 'split-dns.yaml');
  const text = readFileSync(own, 'utf8').replace(/^duration: 60s/m, 'duration: 24h').replace(/^name: split-dns/m, 'name: all-day');
  assert.match(text, /^duration: 24h/m);
  writeFileSync(join(lab.files, 'scenarios', 'all-day.yaml'), text);
  // The list of scenarios stands for some seconds.
  await eventually('the lab lists it', PAGE_MS, async () => (await (await fetch(`${lab.url}api/scenarios`)).text()).includes('"all-day"'));
  const opened = await open(browser, withToken());
  const { page } = opened;
  await live(page);
  const others = region(page, 'Other scenarios');
  await others.locator('summary').filter({ hasText: 'all-day' }).first().click();
  await page.getByRole('button', { name: 'Run in virtual time: all-day' }).click();
  const row = page.getByRole('table', { name: 'Runs, the newest first' }).locator('tbody tr').filter({ hasText: 'all-day' }).first();
  await row.getByRole('progressbar').waitFor();
  assert.equal(await row.getByRole('button', { name: /^Step/ }).count(), 0, 'a virtual run is stepped where it is shown');
  await row.getByRole('button', { name: /^Stop run/ }).click();
  await row.getByText(/^stopped at/).waitFor();
  await accessible(page, 'a run that was stopped');
  await row.getByRole('button', { name: /^Open run/ }).click();
  await page.getByText('from a file: nothing here is live').waitFor();
  await page.getByRole('heading', { level: 1, name: 'all-day' }).waitFor();
  const clock = await page.locator('#clock').textContent();
  await page.getByRole('button', { name: 'One decision back' }).click();
  await eventually('one decision back', PAGE_MS, async () => page.url().includes('at=') && await page.locator('#clock').textContent() !== clock);
  await closeClean(opened);
});

test('a live run is begun, stepped to what waits, and stopped by hand', { timeout: MESH_MS }, async () => {
  const steps = 'timeline:\n  - {at: 50s, do: latency, target: balancer/internal, by: 80ms, for: 5m}\n  - {at: 55s, do: kill, target: proxy/2, for: 1s}\n\nexpect:';
  const own = await startLab(undefined, { networks: '127.25', edit: (text) => text.replace(/^expect:/m, steps) });
  const opened = await open(browser, `${own.url}scenarios#${own.withToken.split('#')[1]}`);
  const { page } = opened;
  await live(page);
  const timeline = region(page, 'Timeline').getByRole('listitem');
  await eventually('two steps', PAGE_MS, async () => await timeline.count() === 2);
  const form = page.getByRole('form', { name: 'Run the scenario' });
  await form.getByLabel('how').selectOption('live');
  await form.getByRole('button', { name: 'Run', exact: true }).click();
  const row = page.getByRole('table', { name: 'Runs, the newest first' }).locator('tbody tr').filter({ hasText: 'live' });
  await row.getByRole('progressbar').waitFor();
  assert.deepEqual(await page.locator('#faults').isVisible(), false, 'the first step waits');
  await row.getByRole('button', { name: /^Step/ }).click();
  // The next step alone, at once and not at its 50 s.
  await page.getByRole('region', { name: 'Faults in force' }).getByText(/latency/).waitFor();
  const [first, second] = (await (await fetch(`${own.url}api/timeline`)).json()).steps;
  assert(first.at_us !== null && first.state !== 'waiting', JSON.stringify(first));
  assert.equal(second.state, 'waiting', JSON.stringify(second));
  await row.getByRole('button', { name: /^Stop run/ }).click();
  await row.getByText(/^stopped at/).waitFor();
  assert.equal(await row.getByRole('button', { name: /^(Step|Stop)/ }).count(), 0);
  await accessible(page, 'a live run that was stopped');
  await closeClean(opened);
  await own.stop();
});

test('a fault is set with dose and duration, counts down and is cleared', { timeout: 60_000 }, async () => {
  const opened = await open(browser, withToken());
  const { page } = opened;
  await live(page);
  const faults = region(page, 'Faults by hand');
  await faults.getByText('No fault is in force').waitFor();
  await faults.locator('summary').filter({ hasText: 'latency' }).click();
  const card = faults.locator('details[open]');
  await card.getByLabel('target').fill('balancer/internal');
  await card.getByLabel('ms').fill('5');
  assert.equal(await card.getByLabel('seconds').inputValue(), '30');
  await card.getByLabel('seconds').fill('40');
  await card.getByRole('button', { name: 'Set latency' }).click();
  const armed = faults.getByRole('listitem').filter({ hasText: /^latency 5/ });
  await armed.getByText(/^3\d seconds left$/).waitFor();
  await accessible(page, 'a fault in force');
  await faults.getByRole('button', { name: 'Clear all' }).click();
  await faults.getByText('No fault is in force').waitFor();
  await faults.locator('summary').filter({ hasText: 'servfail' }).click();
  await card.getByLabel('seconds').fill('1');
  await card.getByRole('button', { name: 'Set servfail' }).click();
  await faults.getByRole('status').filter({ hasText: /^Set: servfail/ }).waitFor();
  await faults.getByText('No fault is in force').waitFor({ timeout: PAGE_MS });
  await closeClean(opened);
});

test('the page is fit for everyone at every width', { timeout: MESH_MS }, async () => {
  await look(browser, withToken(), 'scenarios', async (page) => {
    await page.getByText(/can one name send private agents/).first().waitFor();
    await page.locator('.card summary').first().click();
  });
});

test('each fault is one line until it is opened, and then tells its command', { timeout: 60_000 }, async () => {
  const opened = await open(browser, withToken(), { viewport: { width: 360, height: 800 } });
  const { page } = opened;
  await live(page);
  const cards = region(page, 'Faults by hand').locator('details.card');
  await cards.first().waitFor();
  const heights = await cards.evaluateAll((all) => all.map((card) => card.getBoundingClientRect().height));
  assert(heights.length > 8 && heights.every((height) => height < 36), heights.join(' '));
  await cards.filter({ hasText: /^Latency/ }).locator('summary').click();
  await cards.filter({ hasText: /twodoors fault set latency \S.* --by \d+ms --for 30s/ }).getByLabel('target').waitFor();
  await closeClean(opened);
});

test('what the lab refuses is said in its words', { timeout: 60_000 }, async () => {
  const opened = await open(browser, `${lab.url}scenarios#t=wrong`);
  const { page } = opened;
  await live(page);
  await page.getByText(/can one name send private agents/).first().waitFor();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByText('The token is of another run').first().waitFor();
  await opened.close();
});
