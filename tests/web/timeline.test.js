// @ts-check
// The page Timeline and the bar of time: a run in a file, which is the same each time, and a lab.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { ENDS_US, FAULT_US, bundle } from './bundle.js';
import { accessible, closeClean, eventually, live, look } from './checks.js';
import { MESH_MS, PAGE_MS, PICTURES, open, startBrowser, startLab } from './lab.js';

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

/** How long a frame may take with much to draw. */
const FRAME_MS = 100;

/** Opens a run as a person would: with the button of the page. @param {Page} page @param {unknown} run */
async function pick(page, run) {
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: 'Open a run…' }).click()]);
  await chooser.setFiles({ name: 'made.json', mimeType: 'application/json', buffer: Buffer.from(typeof run === 'string' ? run : JSON.stringify(run)) });
}

/** @param {Page} page */
const lanes = (page) => page.getByRole('group', { name: 'Timeline' });

/** @param {Page} page */
const rows = (page) => page.getByRole('table', { name: 'Decisions, newest first' }).locator('tr[aria-rowindex]');

/** @param {Page} page */
const scrubber = (page) => page.getByRole('slider', { name: 'Instant that is looked at' });

/** @param {import('playwright-core').BrowserContextOptions} [options] @param {Parameters<typeof bundle>[0]} [size] */
async function made(options, size) {
  const opened = await open(browser, `${lab.url}timeline`, options);
  await live(opened.page);
  await pick(opened.page, bundle(size));
  await opened.page.getByText('from a file: nothing here is live').waitFor();
  return opened;
}

test('the timeline of a lab is accessible in both themes and three widths', { timeout: MESH_MS }, async () => {
  await look(browser, `${lab.url}timeline`, 'timeline', (page) => rows(page).first().waitFor());
});

test('a run in a file is shown in both themes and three widths, names as text', { timeout: MESH_MS }, async () => {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    for (const width of [360, 768, 1280]) {
      const opened = await made({ colorScheme, viewport: { width, height: 844 } });
      const { page } = opened;
      await rows(page).first().waitFor();
      await page.screenshot({ path: join(PICTURES, `run-${colorScheme}-${width}.png`) });
      await accessible(page, `run ${colorScheme} ${width}`);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, `${width} scrolls sideways`);
      assert.equal(await page.locator('img').count(), 0);
      assert.doesNotMatch(await page.locator('body').innerText(), /[\u0007\u202e]/);
      await closeClean(opened);
    }
  }
});

test('every page shows a run in a file at the instant that is chosen', async () => {
  const opened = await made();
  const { page } = opened;
  await scrubber(page).fill('25000000');
  await eventually('the address has the instant', PAGE_MS, async () => /at=25\b/.test(page.url()));
  await eventually('the bar says the instant and its fault', PAGE_MS, async () =>
    /^25\.0 s, latency 40ms/.test(await scrubber(page).getAttribute('aria-valuetext') ?? ''));
  for (const name of ['Topology', 'DNS', 'Doors and pool', 'Scenarios']) {
    await page.getByRole('navigation').getByRole('link', { name, exact: true }).click();
    assert.match(page.url(), /at=25\b/, name);
    await page.getByRole('region', { name: 'Faults in force' }).waitFor();
  }
  await scrubber(page).fill('40000000');
  await page.getByRole('region', { name: 'Faults in force' }).waitFor({ state: 'hidden' });
  await page.getByRole('button', { name: 'Close it' }).click();
  await live(page);
  await page.getByRole('heading', { level: 1, name: 'split-dns' }).waitFor();
  await closeClean(opened);
});

test('the table goes to the instant that is chosen', async () => {
  const opened = await made({ viewport: { width: 1280, height: 800 } });
  const { page } = opened;
  await rows(page).first().waitFor();
  assert.equal(await page.locator('tr.is-here').count(), 0);
  for (const us of [12_000_000, 30_000_000]) {
    await scrubber(page).fill(String(us));
    const here = page.locator('tr.is-here');
    await here.waitFor();
    await eventually('the row is in sight of its box', PAGE_MS, () => here.evaluate((row) => {
      const [own, box] = [row.getBoundingClientRect(), /** @type {Element} */ (row.closest('.scroll')).getBoundingClientRect()];
      return own.top >= box.top && own.bottom <= box.bottom;
    }));
    const [minutes = 0, seconds = 0] = (await here.locator('.when').textContent() ?? '').split(':').map(Number);
    assert(minutes * 60 + seconds <= us / 1e6, `${minutes}:${seconds}`);
  }
  await closeClean(opened);
});

test('a drag looks closer, a click looks at an instant, keys zoom and move', async () => {
  const opened = await made();
  const { page } = opened;
  const all = await rows(page).first().textContent();
  const box = await lanes(page).boundingBox();
  assert(box);
  await page.mouse.move(box.x + box.width * 0.4, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 4 });
  await page.mouse.up();
  const part = () => {
    const query = new URL(page.url()).searchParams;
    return [Number(query.get('from')), Number(query.get('to'))];
  };
  await eventually('a window in the address', PAGE_MS, async () => page.url().includes('from='));
  const [from = 0, to = 0] = part();
  assert(from > 10 && to < 40 && to > from, `${from} to ${to}`);
  await eventually('other rows', PAGE_MS, async () => await rows(page).first().textContent() !== all);
  await page.mouse.click(box.x + box.width * 0.5, box.y + 3);
  await eventually('an instant in the address', PAGE_MS, async () => /[?&]at=\d/.test(page.url()));
  await lanes(page).focus();
  await page.keyboard.press('-');
  const [wider = 0] = part();
  assert(wider < from);
  await page.keyboard.press('ArrowLeft');
  assert((part()[0] ?? 0) < wider || wider === 0);
  await page.keyboard.press('0');
  assert(!page.url().includes('from='));
  await page.keyboard.press('+');
  await page.reload();
  assert.match(page.url(), /from=/, 'the window survives a reload');
  await closeClean(opened);
});

test('steps go from decision to decision, and play runs to the end and stops', async () => {
  const opened = await made();
  const { page } = opened;
  const at = () => Number(new URL(page.url()).searchParams.get('at'));
  await scrubber(page).fill(String(FAULT_US.from - 1_000));
  await eventually('there', PAGE_MS, async () => at() > 0);
  await page.keyboard.press('Tab');
  await page.getByRole('button', { name: 'One decision forward' }).click();
  await eventually('at the fault', PAGE_MS, async () => at() === FAULT_US.from / 1e6);
  await page.getByRole('button', { name: 'One decision back' }).click();
  await eventually('before the fault', PAGE_MS, async () => at() < FAULT_US.from / 1e6);
  await page.getByRole('combobox', { name: 'Speed' }).selectOption('× 20');
  await page.getByRole('button', { name: 'Play' }).click();
  await eventually('the end', PAGE_MS, async () => at() === ENDS_US / 1e6);
  await page.getByRole('button', { name: 'Play' }).waitFor();
  await closeClean(opened);
});

test('the table filters, keeps its filter in the address, and opens a visit as hops', async () => {
  const opened = await made();
  const { page } = opened;
  await page.keyboard.press('/');
  await page.keyboard.type('alice failed');
  await eventually('only failed ones of alice', PAGE_MS, async () =>
    (await rows(page).allTextContents()).every((text) => /user\/alice/.test(text) && /failed/.test(text)));
  assert.match(page.url(), /filter=alice/);
  await page.getByRole('searchbox', { name: 'filter the decisions' }).fill('no such thing');
  await page.getByText('Nothing matches this filter.').waitFor();
  await page.getByRole('searchbox', { name: 'filter the decisions' }).fill('dial 3 of users');
  await page.getByRole('button', { name: 'hops of user/alice 3', exact: true }).click();
  await page.getByText('200 from orders').waitFor();
  await page.getByText('12.0 ms').waitFor();
  await accessible(page, 'hops');
  await page.screenshot({ path: join(PICTURES, 'timeline-hops.png') });
  await closeClean(opened);
});

test('what is no run is refused in a sentence', async () => {
  const opened = await open(browser, `${lab.url}timeline`);
  const { page } = opened;
  await live(page);
  await pick(page, 'no json');
  await page.getByText(/made\.json: This file is not JSON/).waitFor();
  await pick(page, { schema: 'other' });
  await page.getByText(/made\.json: This file is not a run of twodoors/).waitFor();
  await live(page);
  await closeClean(opened);
});

test('two hundred agents and thousands of rows are drawn in time, and nothing overlaps', { timeout: MESH_MS }, async () => {
  const opened = await made({}, { agents: 200, marks: 2_000, facts: 20_000 });
  const { page } = opened;
  await rows(page).first().waitFor();
  assert(await rows(page).count() < 80, 'only the rows in sight are in the page');
  const slowest = async (/** @type {() => Promise<unknown>} */ act) => {
    await page.evaluate(() => {
      const frames = /** @type {any} */ (window);
      frames.longest = 0;
      let before = performance.now();
      const next = (/** @type {number} */ now) => {
        frames.longest = Math.max(frames.longest, now - before);
        before = now;
        frames.frame = requestAnimationFrame(next);
      };
      frames.frame = requestAnimationFrame((now) => {
        before = now;
        frames.frame = requestAnimationFrame(next);
      });
    });
    await act();
    return page.evaluate(() => {
      const frames = /** @type {any} */ (window);
      cancelAnimationFrame(frames.frame);
      return frames.longest;
    });
  };
  const scrub = async () => {
    for (let second = 1; second < 20; second += 1) await scrubber(page).fill(String(second * 3_000_000));
  };
  console.log(`# longest frame while scrubbing the timeline: ${Math.round(await slowest(scrub))} ms, bound ${FRAME_MS} on a quiet machine`);
  await page.getByRole('link', { name: 'Topology', exact: true }).click();
  await page.locator('#picture .group').first().waitFor();
  console.log(`# longest frame while scrubbing the picture: ${Math.round(await slowest(scrub))} ms`);
  const groups = page.getByRole('group', { name: 'Paths through the lab' }).getByRole('link', { name: /^group / });
  assert(await groups.count() >= 3);
  const boxes = await page.locator('#picture .box .shape').evaluateAll((shapes) => shapes.map((shape) => shape.getBoundingClientRect().toJSON()));
  boxes.forEach((a, index) => boxes.slice(index + 1).forEach((b) =>
    assert(a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 1 || b.bottom <= a.top + 1, JSON.stringify([a, b]))));
  await page.screenshot({ path: join(PICTURES, 'topology-crowd.png') });
  await groups.first().click();
  const members = page.getByRole('region', { name: /^Members of / });
  await members.getByRole('searchbox').fill('agent-199');
  await eventually('only those that match', PAGE_MS, async () => await members.getByRole('listitem').count() <= 1);
  await accessible(page, 'crowd');
  await closeClean(opened);
});

test('a misrouted agent cannot be missed', async () => {
  const opened = await made({}, { agents: 12 });
  const { page } = opened;
  await page.getByRole('link', { name: 'Topology', exact: true }).click();
  await page.getByText('agent-7 through external').waitFor();
  assert(await page.locator('#picture .edge.astray').count() > 0);
  const chip = page.locator('#picture .edge-label.chip').filter({ hasText: 'agent-7 misrouted' });
  const [words, ground] = await Promise.all([chip.locator('text').boundingBox(), chip.locator('rect').boundingBox()]);
  assert(words && ground && ground.x <= words.x && ground.x + ground.width >= words.x + words.width, 'no line runs through its name');
  const covered = await page.locator('#picture .box').evaluateAll((boxes, chip) => boxes.map((box) => box.getBoundingClientRect())
    .filter((box) => box.left < chip.x + chip.width && box.right > chip.x && box.top < chip.y + chip.height && box.bottom > chip.y).length, ground);
  assert.equal(covered, 0, 'it stands on no box');
  await page.screenshot({ path: join(PICTURES, 'topology-astray.png') });
  await closeClean(opened);
});

test('a lab at an instant stands still, says so on every page, and goes back to live', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, `${lab.url}timeline`);
  const { page } = opened;
  await live(page);
  await page.keyboard.press('Space');
  await page.getByRole('status').filter({ hasText: 'looking at' }).first().waitFor();
  const stand = await page.locator('#stand').textContent();
  await page.getByRole('navigation').getByRole('link', { name: 'Doors and pool' }).click();
  const now = (await (await fetch(`${lab.url}api/snapshot`)).json()).seq;
  await eventually('the lab goes on', MESH_MS, async () => (await (await fetch(`${lab.url}api/snapshot`)).json()).seq > now + 5);
  assert.equal(await page.locator('#stand').textContent(), stand);
  await page.reload();
  await page.getByRole('status').filter({ hasText: 'looking at' }).first().waitFor();
  await eventually('the same instant', PAGE_MS, async () => await page.locator('#stand').textContent() === stand);
  await page.getByRole('button', { name: 'Back to live' }).click();
  await live(page);
  await closeClean(opened);
});

test('an instant that is no longer held says so and leads to the oldest', async () => {
  const opened = await open(browser, `${lab.url}timeline`);
  const { page } = opened;
  await live(page);
  await page.route(/api\/snapshot\?at_us=/, (route) => route.fulfill({ status: 410, contentType: 'application/problem+json',
    body: JSON.stringify({ type: 'about:blank', title: 'Gone', status: 410, detail: 'the journal begins at 1.000 s' }) }));
  await page.goto(`${lab.url}topology?at=0.5`);
  await page.getByRole('heading', { name: 'This instant cannot be shown' }).waitFor();
  await page.getByText('the journal begins at 1.000 s').waitFor();
  await accessible(page, 'gone');
  await page.screenshot({ path: join(PICTURES, 'page-gone.png') });
  assert.match(await page.getByRole('link', { name: /^Go to the oldest instant held/ }).getAttribute('href') ?? '', /^\/topology\?at=/);
  await page.getByRole('button', { name: 'go back to live' }).click();
  await live(page);
  await page.getByRole('group', { name: 'Paths through the lab' }).waitFor();
  await opened.close();
});

test('an instant that has not come yet is not shown as now', async () => {
  const opened = await open(browser, `${lab.url}topology?at=99999`);
  const { page } = opened;
  await page.getByRole('heading', { name: 'This instant has not come yet' }).waitFor();
  assert.equal(await page.locator('#picture').isVisible(), false);
  await page.getByRole('button', { name: 'Go to live' }).click();
  await live(page);
  await page.getByRole('group', { name: 'Paths through the lab' }).waitFor();
  await closeClean(opened);
});

/** Drops a file on the page, as from a folder. @param {Page} page @param {string} name @param {Buffer} content */
async function drop(page, name, content) {
  const data = await page.evaluateHandle(([file = '', base64 = '']) => {
    const given = new DataTransfer();
    given.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], file));
    return given;
  }, [name, content.toString('base64')]);
  await page.dispatchEvent('#page', 'dragover', { dataTransfer: data });
  await page.dispatchEvent('#page', 'drop', { dataTransfer: data });
}

test('a run that was exported is opened in another tab, looked at, filtered, and left again', { timeout: MESH_MS }, async () => {
  const exported = await open(browser, `${lab.url}timeline`);
  await live(exported.page);
  const [file] = await Promise.all([exported.page.waitForEvent('download'), exported.page.getByRole('link', { name: 'Export this run' }).click()]);
  assert.match(file.suggestedFilename(), /\.json\.gz$/);
  const content = readFileSync(await file.path());
  const run = JSON.parse(gunzipSync(content).toString());
  assert.equal(run.schema, 'twodoors.bundle/1');
  const opened = await open(browser, `${lab.url}timeline`);
  const { page } = opened;
  await live(page);
  const box = () => page.getByText('from a file: nothing here is live');
  // By the button, packed; then dropped, as the plain JSON that programs get.
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: 'Open a run…' }).click()]);
  await chooser.setFiles({ name: 'mine.json.gz', mimeType: 'application/gzip', buffer: content });
  await box().waitFor();
  await page.getByText('Run mine.json.gz').waitFor();
  await drop(page, 'dropped.json', gunzipSync(content));
  await page.getByText('Run dropped.json').waitFor();
  await rows(page).first().waitFor();
  const middle = run.snapshots[Math.floor(run.snapshots.length / 2)];
  await scrubber(page).fill(String(Math.ceil(middle.at_us / 1000) * 1000));
  await eventually('that state', PAGE_MS, async () => (await page.locator('#stand').textContent() ?? '').replace(/\D.*/su, '') !== ''
    && page.url().includes('at='));
  await page.getByRole('searchbox', { name: 'filter the decisions' }).fill('dns');
  await eventually('fewer rows', PAGE_MS, async () => (await rows(page).allTextContents()).every((text) => /dns/i.test(text)));
  await page.getByRole('button', { name: 'Close it' }).click();
  await live(page);
  assert.doesNotMatch(page.url(), /[?&]at=/);
  await page.getByRole('link', { name: 'Export this run' }).waitFor();
  await closeClean(opened);
  await closeClean(exported);
});

test('what is no run is refused in a sentence, and the page stays as it is', { timeout: MESH_MS }, async () => {
  const opened = await open(browser, `${lab.url}timeline`);
  const { page } = opened;
  await live(page);
  await rows(page).first().waitFor();
  const text = JSON.stringify(bundle());
  const whole = gzipSync(text);
  for (const [name, content, words] of /** @type {[string, Buffer, RegExp][]} */ ([
    ['newer.json', Buffer.from(text.replace('twodoors.bundle/1', 'twodoors.bundle/2')), /newer twodoors \(its schema is 2, this page reads up to 1\)/],
    ['other.json', Buffer.from('{"name":"package"}'), /is not a run of twodoors/],
    ['letter.txt', Buffer.from('Dear all,'), /is not JSON/],
    ['cut.json', Buffer.from(text.slice(0, text.length / 2)), /breaks off or is damaged/],
    ['cut.json.gz', whole.subarray(0, whole.length / 2), /breaks off or is damaged/],
    ['holes.json', Buffer.from(JSON.stringify({ ...bundle(), snapshots: [{}] })), /This run is damaged/],
    ['bomb.gz', gzipSync(Buffer.alloc((256 << 20) + 1, 32), { level: 9 }), /unpacks to more than 256 MiB/],
    ['<img src=x onerror=alert(1)>.json', Buffer.from('{}'), /<img src=x onerror=alert\(1\)>\.json: This file is not a run/],
  ])) {
    await drop(page, name, content);
    await page.getByRole('alert').filter({ hasText: words }).waitFor();
  }
  // Not even read: it is larger than any run.
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array((64 << 20) + 1)], 'huge.json'));
    document.getElementById('page')?.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  const said = page.getByRole('alert').filter({ hasText: /huge\.json: This file has 64 MiB; a run has up to 64 MiB, so it was not read/ });
  await said.waitFor();
  // The sentence stays while the lab goes on, and so does the lab.
  const now = (await (await fetch(`${lab.url}api/snapshot`)).json()).seq;
  await eventually('the page goes on', MESH_MS, async () => Number((await page.locator('#stand').textContent() ?? '').replace(/ facts.*/su, '').replace(/\D/gu, '')) > now);
  assert(await said.isVisible());
  await accessible(page, 'a file that is no run');
  await page.screenshot({ path: join(PICTURES, 'timeline-no-run.png') });
  assert.equal(await page.locator('img').count(), 0);
  await live(page);
  await closeClean(opened);
});

test('the report of a run is opened as a file, too', async () => {
  const opened = await open(browser, `${lab.url}timeline`);
  const { page } = opened;
  await live(page);
  const packed = gzipSync(JSON.stringify(bundle())).toString('base64');
  await drop(page, 'report.html', Buffer.from(`<!doctype html>\n<html><script type="application/gzip;base64" id="bundle">${packed}</script></html>`));
  await page.getByText('Run report.html').waitFor();
  await rows(page).first().waitFor();
  await closeClean(opened);
});

test('the clock takes an instant as it is written, and every page goes there', async () => {
  const opened = await made();
  const { page } = opened;
  await page.getByRole('button', { name: /^1:00\.0/ }).click();
  const field = page.getByRole('textbox', { name: /^Instant/ });
  await field.fill('second 12');
  await page.getByRole('button', { name: 'Go', exact: true }).click();
  assert.equal(await field.getAttribute('aria-invalid'), 'true');
  await accessible(page, 'go to an instant');
  await field.fill('0:12');
  await field.press('Enter');
  await page.getByRole('status').filter({ hasText: /looking at|from a file/ }).first().waitFor();
  assert.match(page.url(), /at=12\b/);
  await eventually('the row of that instant', PAGE_MS, async () => /^0:1[0-2]\./.test(await page.locator('tr.is-here .when').textContent() ?? ''));
  await page.keyboard.press('Escape');
  await page.keyboard.press('i');
  await field.waitFor();
  await closeClean(opened);
});
