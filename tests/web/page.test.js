// @ts-check
// The frame of all pages and the page Topology in a real browser, before a real lab. Everything is
// found as a person would: by role and name.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { accessible, askFor, closeClean, eventually, live, look } from './checks.js';
import { MESH_MS, PAGE_MS, PICTURES, open, startBrowser, startLab } from './lab.js';

/** @import {Page} from 'playwright-core' */

const PAGES = ['Topology', 'DNS', 'Doors and pool', 'Timeline', 'Scenarios'];
const PATHS = ['/topology', '/dns', '/pool', '/timeline', '/scenarios'];

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

/**
 * How many flows of a client's network each door let in, from the lab itself.
 * @returns {Promise<Record<string, number>>}
 */
async function flows() {
  const snapshot = await (await fetch(`${lab.url}api/snapshot`)).json();
  /** @type {Record<string, number>} */
  const found = {};
  for (const { networks } of snapshot.balancers) {
    for (const { network, opened } of networks) if (network) found[network] = (found[network] ?? 0) + opened;
  }
  return found;
}

/** @param {Page} page */
const picture = (page) => page.getByRole('group', { name: 'Paths through the lab' });

/** @param {Page} page @param {RegExp} name */
const node = (page, name) => picture(page).getByRole('link', { name }).first();

/** @param {string} path */
const withToken = (path) => `${lab.url}${path.slice(1)}#${lab.withToken.split('#')[1]}`;

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  test(`both lanes move in the ${colorScheme} theme`, { timeout: 2 * MESH_MS }, async () => {
    const opened = await open(browser, lab.url, { colorScheme });
    const { page } = opened;
    await live(page);
    await page.getByRole('heading', { level: 1, name: 'split-dns' }).waitFor();
    const first = await flows();
    assert.deepEqual(Object.keys(first).sort(), ['external', 'internal']);
    await eventually('flows from every network grow', MESH_MS, async () => {
      const now = await flows();
      return Object.keys(first).every((network) => (now[network] ?? 0) > (first[network] ?? 0));
    });
    for (const network of Object.keys(first)) await page.locator('#picture').getByText(network, { exact: true }).first().waitFor();
    await eventually('a dot travels', MESH_MS, async () => await page.locator('#picture .dot').count() > 0);
    await page.screenshot({ path: join(PICTURES, `page-${colorScheme}.png`) });
    await closeClean(opened);
  });
}

test('nothing that axe finds is wrong on Topology, and nothing scrolls sideways', { timeout: MESH_MS }, async () => {
  await look(browser, withToken('/topology?node=agent/orders'), 'topology', async (page) => {
    await page.getByRole('heading', { level: 2, name: /^agent\/orders/ }).waitFor();
    await page.getByText('The picture as a table').click();
  });
});

test('the sheet of keys is accessible, tells the words, and its switch turns the keys off', async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  await page.getByRole('button', { name: 'Keyboard keys' }).click();
  const sheet = page.getByRole('dialog', { name: 'Keys' });
  await sheet.waitFor();
  await sheet.getByText('The words of the lab').click();
  await sheet.getByText('Reverse tunnel', { exact: true }).waitFor();
  await accessible(page, 'keys');
  await sheet.getByRole('checkbox').uncheck();
  await page.keyboard.press('Escape');
  await page.keyboard.press('t');
  await page.getByRole('button', { name: 'Theme: system' }).waitFor();
  await page.reload();
  await live(page);
  await page.keyboard.press('t');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Theme: system' }).waitFor();
  await closeClean(opened);
});

test('each page has a place of its own that a reload and the back key keep', async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  const nav = page.getByRole('navigation', { name: 'Pages' });
  for (const [index, name] of PAGES.entries()) {
    await nav.getByRole('link', { name, exact: true }).click();
    await page.waitForURL(`**${PATHS[index]}`);
    assert.equal(await nav.getByRole('link', { name, exact: true }).getAttribute('aria-current'), 'page');
    assert.match(await page.title(), new RegExp(`^${name} `));
    await page.locator('#page h2').first().waitFor({ state: 'attached' });
    await page.reload();
    await live(page);
    assert.equal(new URL(page.url()).pathname, PATHS[index]);
    assert.equal(await nav.getByRole('link', { name, exact: true }).getAttribute('aria-current'), 'page');
  }
  await page.goBack();
  await page.waitForURL('**/timeline');
  assert.match(await page.title(), /^Timeline /);
  await closeClean(opened);
});

test('a path where nothing is says so and leads back', async () => {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    const opened = await open(browser, `${lab.url}dnss`, { colorScheme, viewport: { width: 360, height: 640 } });
    const { page } = opened;
    await page.getByRole('heading', { level: 1, name: 'Nothing at this path' }).waitFor();
    await page.screenshot({ path: join(PICTURES, `nothing-${colorScheme}.png`) });
    await accessible(page, 'nothing');
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
    assert.deepEqual(opened.problems.filter((problem) => !problem.includes('404')), []);
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'DNS' }).click();
    await live(page);
    assert.equal(new URL(page.url()).pathname, '/dns');
    await opened.close();
  }
});

test('a link to a page loads no file again', async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  const loaded = () => page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname));
  await eventually('the other pages have come', PAGE_MS, async () => {
    const files = await loaded();
    return ['dns', 'doors', 'timeline', 'scenarios'].every((name) => files.includes(`/views/${name}.js`)) && files.includes('/pages.css');
  });
  /** @type {string[]} */
  const asked = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await page.getByRole('link', { name: 'Doors and pool' }).click();
  await page.getByRole('heading', { level: 2, name: 'Doors and pool' }).waitFor();
  assert.deepEqual(asked.filter((path) => !path.startsWith('/api/') && path !== '/icon.svg'), []);
  await closeClean(opened);
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

test('the table below the picture has the same lines, sorts, and is a file', async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  await page.getByText('The picture as a table').click();
  const table = page.getByRole('table', { name: 'Every line of the picture' });
  const rows = table.locator('tbody tr');
  await rows.first().waitFor();
  await eventually('as many rows as lines', PAGE_MS, async () =>
    await rows.count() === await page.locator('#picture .edge').count());
  const ends = () => rows.evaluateAll((lines) => lines.map((line) => line.children[1]?.textContent ?? ''));
  await table.getByRole('button', { name: 'to' }).click();
  const up = await ends();
  assert.equal(await table.getByRole('columnheader', { name: 'to' }).getAttribute('aria-sort'), 'ascending');
  await table.getByRole('button', { name: 'to' }).click();
  const down = await ends();
  assert.equal(up[0], down.at(-1));
  assert.notEqual(up[0], down[0]);
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'CSV' }).click()]);
  assert.equal(file.suggestedFilename(), 'paths.csv');
  await closeClean(opened);
});

test('a chosen client lights its own way and tells why', { timeout: 2 * MESH_MS }, async () => {
  await eventually('alice had an answer', MESH_MS, async () => {
    const { users } = await (await fetch(`${lab.url}api/snapshot`)).json();
    return users.every((/** @type {any} */ user) => user.last !== null);
  });
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  await node(page, /^user alice/).click();
  await page.getByRole('heading', { level: 2, name: /^user\/alice/ }).waitFor();
  const lit = () => page.locator('#picture .box:not(.dim)').evaluateAll((boxes) => boxes.map((box) => box.getAttribute('data-box') ?? ''));
  await eventually('one door, one proxy, one agent', PAGE_MS, async () =>
    (await lit()).map((id) => id.split('/')[0]).sort().join() === 'agent,app,balancer,proxy,user,view');
  assert((await lit()).includes('balancer/external'));
  assert((await lit()).includes('view/public'));
  const cards = page.locator('.why-card');
  await eventually('a chain of decisions', PAGE_MS, async () => await cards.count() >= 5);
  const text = (await cards.allTextContents()).join('\n');
  for (const word of [/view[^]*public/, /door[^]*external/, /\.(yaml|zone):\d+/]) assert.match(text, word);
  await closeClean(opened);
});

test('what another network would change is told before it is tried', async () => {
  const opened = await open(browser, `${lab.url}topology?node=agent/orders`);
  const { page } = opened;
  await live(page);
  await page.getByRole('combobox', { name: 'network' }).selectOption('external');
  await page.getByRole('button', { name: 'What would change?' }).click();
  await page.getByText(/internal → external/).first().waitFor();
  await closeClean(opened);
});

test('the keyboard alone is enough', async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  const play = page.getByRole('button', { name: 'Pause' });
  await page.keyboard.press('Space');
  await page.getByRole('status').filter({ hasText: 'looking at' }).first().waitFor();
  assert.match(page.url(), /\?at=\d/);
  await page.getByRole('button', { name: 'Back to live' }).press('Enter');
  await live(page);
  assert.equal(await play.getAttribute('aria-pressed'), 'true');
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'hidden' });
  const door = node(page, /^balancer /);
  await door.focus();
  await page.keyboard.press('Enter');
  const heading = page.getByRole('heading', { level: 2, name: /^balancer\// });
  await heading.waitFor();
  assert.match(page.url(), /node=balancer/);
  await page.keyboard.press('Escape');
  await heading.waitFor({ state: 'hidden' });
  assert.equal(await door.evaluate((link) => link === document.activeElement), true);
  for (const [key, path] of [['d', '/dns'], ['p', '/pool'], ['e', '/timeline'], ['s', '/scenarios'], ['t', '/topology']]) {
    await page.keyboard.press('g');
    await page.keyboard.press(key ?? '');
    await page.waitForURL(`**${path}`);
    await page.locator('#page h2').first().waitFor({ state: 'attached' });
  }
  await page.keyboard.press('g');
  await page.keyboard.press('e');
  await page.keyboard.press('/');
  await page.keyboard.type('?t ');
  assert.equal(await page.getByRole('searchbox', { name: 'filter the decisions' }).inputValue(), '?t ');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+a');
  await page.getByRole('searchbox').fill('');
  await page.keyboard.press('Escape');
  await page.locator('#page tr[aria-rowindex] a').first().waitFor();
  await page.keyboard.press('j');
  const inRow = () => page.evaluate(() => document.activeElement?.closest('tbody tr')?.textContent ?? '');
  assert.notEqual(await inRow(), '');
  const first = await inRow();
  await page.keyboard.press('j');
  assert.notEqual(await inRow(), first);
  await closeClean(opened);
});

test('a fault stands above everything and on its node until it is lifted', async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  const section = page.getByRole('region', { name: 'Faults in force' });
  assert.equal(await section.isVisible(), false);
  const headers = { authorization: `Bearer ${lab.withToken.split('#t=')[1]}`, 'content-type': 'application/json' };
  const set = await fetch(`${lab.url}api/faults`, { method: 'POST', headers,
    body: JSON.stringify({ word: 'latency', target: 'user/alice <-> balancer/external', by: '1ms', for: '60s' }) });
  assert.equal(set.status, 200, await set.text());
  await section.getByText('latency 1.0ms on user/alice <-> balancer/external').waitFor({ timeout: PAGE_MS });
  const badge = page.locator('#picture .badge').filter({ hasText: /^.*latency \d+ s$/ });
  await badge.first().waitFor();
  await page.screenshot({ path: join(PICTURES, 'topology-fault.png') });
  const cleared = await fetch(`${lab.url}api/faults`, { method: 'DELETE', headers });
  assert.equal(cleared.status, 200, await cleared.text());
  await section.waitFor({ state: 'hidden', timeout: PAGE_MS });
  assert.equal(await badge.count(), 0);
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
  await node(page, /^proxy /).click();
  const heading = page.getByRole('heading', { level: 2, name: /^proxy\// });
  await heading.waitFor();
  await page.reload();
  await live(page);
  await heading.waitFor();
  assert.match(page.url(), /node=proxy/);
  await closeClean(opened);
});

test('the token leaves the address', async () => {
  const opened = await open(browser, lab.withToken);
  await live(opened.page);
  assert.equal(new URL(opened.page.url()).hash, '');
  await closeClean(opened);
});

test('no dot travels for those who want less motion', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, lab.url, { reducedMotion: 'reduce' });
  const { page } = opened;
  await live(page);
  const sum = (/** @type {Record<string, number>} */ counts) => Object.values(counts).reduce((a, b) => a + b, 0);
  const first = sum(await flows());
  await eventually('counts grow', MESH_MS, async () => {
    assert.equal(await page.locator('#picture .dot').count(), 0);
    return sum(await flows()) > first + 1;
  });
  await closeClean(opened);
});

test('forced colours keep words, lines and the chosen page apart', async () => {
  const opened = await open(browser, `${lab.url}topology?node=agent/orders`, { forcedColors: 'active' });
  const { page } = opened;
  await live(page);
  await page.getByRole('heading', { level: 2, name: /^agent\/orders/ }).waitFor();
  const same = await page.evaluate(() => {
    const ground = getComputedStyle(document.body).backgroundColor;
    return [...document.querySelectorAll('#picture .edge, #picture .name')].filter((shape) => {
      const style = getComputedStyle(shape);
      return (shape.classList.contains('edge') ? style.stroke : style.fill) === ground;
    }).length;
  });
  assert.equal(same, 0, 'nothing is drawn in the colour of the page');
  await page.screenshot({ path: join(PICTURES, 'topology-forced.png') });
  await accessible(page, 'forced colours');
  await closeClean(opened);
});

test('a hostile name is shown as text', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, `${lab.url}dns`);
  const { page } = opened;
  await live(page);
  await askFor(lab.dns, '<img src=x onerror=alert(1)>');
  await page.getByText(/(<|\\060)img/).first().waitFor({ timeout: MESH_MS });
  assert.equal(await page.locator('img').count(), 0);
  await closeClean(opened);
});

test('a hidden page holds no stream, and takes up what it missed', { timeout: 60_000 }, async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  // A page that has heard of no fact yet has nothing to take up.
  const wire = await page.context().newCDPSession(page);
  const heard = new Promise((resolve) => wire.on('Network.eventSourceMessageReceived',
    ({ eventName }) => eventName === 'facts' && resolve(null)));
  await wire.send('Network.enable');
  await heard;
  /** @type {string[]} */
  const streams = [];
  page.on('request', (request) => request.url().includes('/api/facts') && streams.push(request.url()));
  const hide = (/** @type {boolean} */ hidden) => page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => value });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  const closed = page.waitForEvent('requestfailed', (request) => request.url().includes('/api/facts'))
    .catch(() => null);
  await hide(true);
  await closed;
  const before = (await (await fetch(`${lab.url}api/snapshot`)).json()).seq;
  await eventually('the lab goes on', MESH_MS, async () => (await (await fetch(`${lab.url}api/snapshot`)).json()).seq > before);
  assert.deepEqual(streams, [], 'nothing is asked while hidden');
  await hide(false);
  await eventually('one stream, from where it was', PAGE_MS, async () => streams.length === 1);
  assert.match(streams[0] ?? '', /since=[1-9]/);
  await live(page);
  await closeClean(opened);
});

test('a lab that is killed is said to be gone, and its return is taken up', { timeout: 2 * MESH_MS }, async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  const facts = async () => Number((await page.locator('#stand').textContent())?.match(/^([\d\u202f]+) fact/)?.[1]?.replace(/\D/g, ''));
  await eventually('some facts', MESH_MS, async () => await facts() > 300);
  const before = await facts();
  await lab.stop('SIGKILL');
  await page.getByRole('status').filter({ hasText: 'reconnecting' }).first().waitFor();
  await page.getByText('The lab does not answer').waitFor();
  await page.screenshot({ path: join(PICTURES, 'page-lost.png') });
  lab = await startLab(lab.address);
  await live(page);
  await eventually('the facts of the new run', PAGE_MS, async () => await facts() < before);
  const kinds = await page.getByRole('list', { name: 'Last decisions' }).getByRole('listitem')
    .evaluateAll((lines) => lines.map((line) => line.getAttribute('data-kind') ?? ''));
  assert.deepEqual(kinds.filter((kind) => /^(flow_|routed|request_ended|dns_answered|visit_answered)/.test(kind)), [], 'no traffic');
  const numbers = await page.getByRole('list', { name: 'Last decisions' }).getByRole('listitem')
    .evaluateAll((lines) => lines.map((line) => Number(line.getAttribute('data-seq'))));
  assert(numbers.length > 0);
  assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => b - a), 'each line once, newest first');
  await lab.stop();
  await page.getByRole('status').filter({ hasText: /ended|reconnecting/ }).first().waitFor();
  await opened.close();
  lab = await startLab();
});

test('a page that finds no lab says so and tries again when asked', async () => {
  const opened = await open(browser, lab.url);
  const { page } = opened;
  await live(page);
  await page.route('**/api/**', (route) => route.abort());
  await page.reload();
  await page.getByRole('heading', { name: 'The lab does not answer' }).waitFor();
  await page.screenshot({ path: join(PICTURES, 'page-nobody.png') });
  await page.unroute('**/api/**');
  await page.getByRole('button', { name: 'Try now' }).click();
  await live(page);
  await opened.close();
});
