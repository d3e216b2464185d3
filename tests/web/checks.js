// @ts-check
// What the tests of several pages watch for.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { PICTURES, open } from './lab.js';

/** @import {Browser, Page} from 'playwright-core' */

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WCAG = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

/** The page stands with the lab, and its own code is there, which comes after that. @param {Page} page */
export async function live(page) {
  await page.getByRole('status').filter({ hasText: /^live$/ }).first().waitFor();
  await page.locator('#page > *').first().waitFor({ state: 'attached' });
}

/**
 * Waits until a check holds.
 * @param {string} what
 * @param {number} patience
 * @param {() => Promise<boolean>} check
 */
export async function eventually(what, patience, check) {
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
export async function accessible(page, where) {
  // The bar of time lies over what scrolls below it, which axe takes for too small a target.
  await page.evaluate(() => document.querySelector('footer')?.style.setProperty('position', 'static'));
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
export async function closeClean({ problems, close }) {
  assert.deepEqual(problems, []);
  await close();
}

/**
 * Looks at a page in both themes and three widths: axe finds nothing, nothing scrolls sideways, and
 * a picture is kept to be looked at.
 * @param {Browser} browser
 * @param {string} url
 * @param {string} name
 * @param {(page: Page) => Promise<unknown>} prepare
 * @param {(page: Page) => Promise<void>} [before] what is done before the page loads
 */
export async function look(browser, url, name, prepare, before) {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    for (const width of [360, 768, 1280]) {
      const opened = await open(browser, url, { colorScheme, viewport: { width, height: 844 } }, before);
      const { page } = opened;
      const where = `${name} ${colorScheme} ${width}`;
      await live(page);
      await prepare(page);
      await page.screenshot({ path: join(PICTURES, `${name}-${colorScheme}-${width}.png`), fullPage: true });
      await accessible(page, where);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      assert.equal(wide, false, `${where} scrolls sideways`);
      await closeClean(opened);
    }
  }
}

/**
 * Asks the DNS server for a name of one label below example.com; the answer does not matter.
 * @param {string} address
 * @param {string | Buffer} label
 * @param {string} [from]
 */
export function askFor(address, label, from) {
  const parts = [label, 'example', 'com'].map((part) => Buffer.from(part));
  const labels = parts.map((part) => Buffer.concat([Buffer.from([part.length]), part]));
  const head = Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const packet = Buffer.concat([head, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
  const [host, port] = [address.replace(/:\d+$/, ''), Number(address.replace(/.*:/, ''))];
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    const send = () => socket.send(packet, port, host, () => resolve(socket.close()));
    if (from === undefined) send();
    else socket.bind(0, from, send);
  });
}
