// @ts-check
// A cold start: what a browser that was never here loads before it shows a page, and what after.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { closeClean, eventually, live } from './checks.js';
import { PAGE_MS, ROOT, open, startBrowser, startLab } from './lab.js';

/** @import {Page, Request} from 'playwright-core' */

/** What the files of the front page may have until it is drawn, in bytes as they are, unpacked. */
const FRONT_MAX = 150_000;

/** What all files of all pages may weigh, in bytes as they are sent. */
const ALL_MAX = 150_000;

/** The module that each page begins with, by its path. */
const MODULES = new Map([
  ['/topology', 'topology'], ['/dns', 'dns'], ['/pool', 'doors'], ['/timeline', 'timeline'], ['/scenarios', 'scenarios'],
]);

/** @type {Awaited<ReturnType<typeof startLab>>} */
let lab;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;

before(async () => {
  browser = await startBrowser();
  lab = await startLab('127.0.0.1:0', { networks: '127.23' });
});

after(async () => {
  await browser?.close();
  await lab?.stop();
});

/** Adds up the files that these requests brought: as they are, and as they were sent. @param {Request[]} requests */
async function weight(requests) {
  const files = requests.filter((request) => !new URL(request.url()).pathname.startsWith('/api/'));
  let [plain, sent] = [0, 0];
  for (const request of files) {
    const { responseHeadersSize, responseBodySize } = await request.sizes();
    sent += responseHeadersSize + responseBodySize;
    plain += (await (await request.response())?.body())?.length ?? 0;
  }
  return { plain, sent };
}

for (const [path, module] of MODULES) {
  test(`${path} is drawn without the code of the others, which comes when it is`, async () => {
    /** @type {(() => Promise<void>)[]} */
    const held = [];
    /** @type {Set<string>} */
    const asked = new Set();
    /** @type {Request[]} */
    const done = [];
    const own = `/views/${module}.js`;
    const others = [...MODULES.values()].map((name) => `/views/${name}.js`).filter((name) => name !== own).concat('/glossary.js');
    if (path === '/topology') others.push('/views/node.js', '/pages.css');
    const opened = await open(browser, lab.url + path.slice(1), {}, async (/** @type {Page} */ page) => {
      page.on('requestfinished', (request) => done.push(request));
      await page.route((url) => others.includes(url.pathname), (route) => {
        asked.add(new URL(route.request().url()).pathname);
        held.push(() => route.continue());
      });
    });
    const { page } = opened;
    await live(page);
    await page.locator('#page h2').first().waitFor();
    const front = await weight(done);
    await eventually('the code of the other pages is asked for', PAGE_MS, async () => asked.size === others.length);
    assert.equal(await page.locator('#page').isVisible(), true);
    for (const go of held) await go();
    await eventually('it has come', PAGE_MS, async () => others.every((name) => done.some((request) => request.url().endsWith(name))));
    const all = await weight(done);
    console.log(`${path}: ${front.plain} bytes until it is drawn, ${front.sent} as sent; in all ${all.sent} as sent`);
    assert.ok(path !== '/topology' || (front.plain > 50_000 && front.plain < FRONT_MAX), `${front.plain} bytes`);
    assert.ok(all.sent < ALL_MAX, `${all.sent} bytes`);
    const names = done.map((request) => new URL(request.url()).pathname);
    assert.deepEqual(names.filter((name) => /\/(types|tour)\.js$/.test(name)), []);
    await closeClean(opened);
  });
}

test('pages that were never opened are there when the lab is gone', async () => {
  const own = await startLab('127.0.0.1:0', { networks: '127.24' });
  const opened = await open(browser, own.url);
  const { page } = opened;
  await live(page);
  const web = join(ROOT, 'web');
  const files = readdirSync(web, { recursive: true }).map(String).filter((name) => /\.(js|css)$/.test(name) && !/^(types|tour)\.js$/.test(name));
  assert.ok(files.length > 30, files.join(' '));
  await eventually('all files have come', PAGE_MS, async () => {
    const names = await page.evaluate(() => performance.getEntriesByType('resource').map((entry) => new URL(entry.name).pathname));
    return files.every((name) => names.includes(`/${name}`));
  });
  await own.stop('SIGKILL');
  await page.getByRole('status').filter({ hasText: 'does not answer' }).waitFor();
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Doors and pool' }).click();
  await page.getByRole('heading', { level: 2, name: 'Doors and pool' }).waitFor();
  await opened.close();
});
