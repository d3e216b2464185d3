// @ts-check
// Help in the page: the tour of a first visit, and the meanings of words on hover and on focus.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { accessible, closeClean, eventually, live } from './checks.js';
import { PAGE_MS, PICTURES, open, startBrowser, startLab } from './lab.js';

/** @type {Awaited<ReturnType<typeof startLab>>} */
let lab;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;

before(async () => {
  browser = await startBrowser();
  lab = await startLab(undefined, { networks: '127.13' });
});

after(async () => {
  await browser?.close();
  await lab?.stop();
});

test('a first visit is shown around; each step outlines what it speaks of, and it comes once', { timeout: 60_000 }, async () => {
  for (const width of [360, 1280]) {
    const opened = await open(browser, lab.url, { newcomer: true, viewport: { width, height: 844 } });
    const { page } = opened;
    const tour = page.getByRole('dialog');
    await tour.waitFor();
    const ways = [];
    for (let step = 1; step <= 8; step += 1) {
      await tour.getByText(`${step} of 8`).waitFor();
      ways.push(await tour.getByRole('heading').textContent() ?? '');
      await eventually('the ring has a place', PAGE_MS, async () => {
        const box = await page.locator('.tour-ring').boundingBox();
        return box !== null && box.width > 20 && box.y < 844;
      });
      await page.screenshot({ path: join(PICTURES, `tour-${width}-${step}.png`) });
      await accessible(page, `tour ${step} at ${width}`);
      await tour.getByRole('button', { name: step === 8 ? 'Done' : 'Next' }).click();
    }
    assert.deepEqual(ways.filter((title) => /^Way \d/.test(title)).map((title) => title.slice(0, 5)), ['Way 1', 'Way 2', 'Way 3']);
    await tour.waitFor({ state: 'hidden' });
    await page.reload();
    await live(page);
    assert.equal(await tour.count(), 0);
    await closeClean(opened);
  }
});

test('the tour is left with Escape, moved with arrows, and asked for by button or address', async () => {
  const opened = await open(browser, `${lab.url}topology?tour=1`);
  const { page } = opened;
  const tour = page.getByRole('dialog');
  await tour.getByText('1 of 8').waitFor();
  await page.keyboard.press('ArrowRight');
  await tour.getByText('2 of 8').waitFor();
  await page.keyboard.press('ArrowLeft');
  await tour.getByText('1 of 8').waitFor();
  await page.keyboard.press('Escape');
  await tour.waitFor({ state: 'hidden' });
  assert.doesNotMatch(page.url(), /tour/);
  await page.getByRole('button', { name: 'Tour' }).click();
  await tour.getByText('1 of 8').waitFor();
  await tour.getByRole('button', { name: 'Skip' }).click();
  await tour.waitFor({ state: 'hidden' });
  assert.equal(await page.getByRole('button', { name: 'Tour' }).evaluate((element) => element === document.activeElement), true);
  await closeClean(opened);
});

test('a word tells what it means on hover and on focus, and Escape closes it', async () => {
  // The meanings come late; who points at a word before that is told all the same.
  /** @type {() => void} */
  let release = () => {};
  const released = new Promise((resolve) => { release = () => resolve(null); });
  const opened = await open(browser, lab.url, {}, (page) => page.route('**/glossary.js', async (route) => {
    await released;
    await route.continue();
  }));
  const { page } = opened;
  await live(page);
  const tip = page.getByRole('tooltip');
  const word = page.getByText('split horizon', { exact: true }).first();
  await word.hover();
  assert.equal(await tip.count(), 0);
  release();
  await tip.filter({ hasText: 'one name with different answers' }).waitFor();
  assert.equal(await word.getAttribute('aria-describedby'), 'meaning');
  await page.keyboard.press('Escape');
  await tip.waitFor({ state: 'hidden' });
  await page.mouse.move(0, 0);
  await word.focus();
  await tip.waitFor();
  await accessible(page, 'glossary');
  await page.keyboard.press('Tab');
  await eventually('another word or none', PAGE_MS, async () => !(await tip.isVisible()) || !/split horizon/i.test(await tip.textContent() ?? ''));
  await closeClean(opened);
});
