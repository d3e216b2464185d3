// @ts-check
// What pages of other origins try against a lab, really: from another port, from another site, and
// from a name that is bound to the lab's address. Each refusal stands beside the same act against a
// lab without its defences, where it goes through.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { attack, hostileServer, rebinding, withoutDefences } from './attacks.js';
import { accessible, askFor, closeClean, eventually, live } from './checks.js';
import { MESH_MS, PAGE_MS, PICTURES, open, startBrowser, startLab } from './lab.js';

/** @import {BrowserContext, Page} from 'playwright-core' */

const PATHS = ['topology', 'dns', 'pool', 'timeline', 'scenarios'];

/** What changes a lab, as its facts call it. */
const CHANGES = ['operated', 'reloaded', 'reload_refused', 'fault_set', 'fault_lifted'];

/** @type {Awaited<ReturnType<typeof startLab>>} */
let lab;
/** @type {Awaited<ReturnType<typeof hostileServer>>} */
let hostile;
/** @type {Awaited<ReturnType<typeof rebinding>>} */
let rebound;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;

before(async () => {
  hostile = await hostileServer();
  rebound = await rebinding(hostile.port);
  lab = await startLab(undefined, { networks: '127.18' });
  browser = await startBrowser([`--host-resolver-rules=MAP evil.test 127.0.0.1,MAP front.test 127.0.0.1,MAP rebound.test 127.0.0.1:${rebound.port}`]);
});

after(async () => {
  await browser?.close();
  await Promise.all([lab?.stop(), hostile?.close(), rebound?.close()]);
});

const port = () => Number(lab.address.replace(/.*:/, ''));

const token = () => lab.withToken.replace(/.*#t=/, '');

/** Which changes the lab was made to do. */
async function changes() {
  /** @type {{kind: string, node: string, text: string}[]} */
  const facts = await (await fetch(`${lab.url}api/tables/facts.json`)).json();
  return facts.filter(({ kind }) => CHANGES.includes(kind)).map(({ node, text }) => `${node} ${text}`);
}

/** Undoes what the twins did. */
async function mend() {
  for (const name of [1, 2]) {
    const headers = { 'authorization': `Bearer ${token()}`, 'content-type': 'application/json' };
    await fetch(`${lab.url}api/nodes/proxy/${name}/start`, { method: 'POST', headers });
  }
}

/**
 * Opens a hostile page, and watches what the target answers to it.
 * @param {string} url
 * @param {string} target
 */
async function hostilePage(url, target) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(PAGE_MS);
  let open = 0;
  /** @type {string[]} */
  const answered = [];
  const ours = (/** @type {string} */ asked) => asked.startsWith(target);
  page.on('request', (request) => { if (ours(request.url())) open += 1; });
  page.on('response', (response) => {
    if (ours(response.url())) answered.push(`${response.status()} ${response.request().method()} ${response.url().slice(target.length - 1)}`);
  });
  const ended = (/** @type {{url: () => string}} */ request) => { if (ours(request.url())) open -= 1; };
  page.on('requestfinished', ended);
  page.on('requestfailed', ended);
  await page.goto(url);
  return { context, page, answered, settled: () => eventually('all is answered', PAGE_MS, async () => open === 0) };
}

/** What of the lab a page knows. @param {Page} page */
async function leaked(page) {
  const all = await page.evaluate(() => [document.documentElement.outerHTML, document.title, ...Object.keys(window).filter((name) => /^(tour|twodoors|store)/.test(name))].join('\n'));
  return /split-dns|proxy\.example|127\.18[123]\./.test(all);
}

/** Where frames of a page are. @param {Page} page */
const frames = (page) => page.frames().slice(1).map((frame) => frame.url());

for (const site of ['127.0.0.1', 'evil.test']) {
  test(`a page of ${site} on another port gets nothing and changes nothing`, { timeout: 120_000 }, async () => {
    const known = await changes();
    const { context, page, answered, settled } = await hostilePage(`http://${site}:${hostile.port}/`, lab.url);
    const got = await page.evaluate(attack, lab.url);
    await settled();
    for (const [act, came] of Object.entries(got)) assert(came === 'refused' || came === 'sent', `${act}: ${came}`);
    // A page may be loaded for a frame, which then is not shown: everything else is refused by the lab.
    assert.deepEqual(answered.filter((line) => !/^(4\d\d |200 GET \/$)/.test(line)), []);
    assert.deepEqual(frames(page).filter((url) => url.startsWith(lab.url)), []);
    assert.equal(await leaked(page), false);
    assert.deepEqual(await changes(), known);
    await context.close();
  });
}

test('the same acts go through where nothing defends the lab', { timeout: 120_000 }, async () => {
  const bare = await withoutDefences(lab.address, token());
  const target = `http://127.0.0.1:${bare.port}/`;
  const { context, page } = await hostilePage(`http://evil.test:${hostile.port}/`, target);
  const got = await page.evaluate(attack, target);
  for (const act of ['fetch without cors', 'post without cors', 'post kept alive', 'script', 'style', 'image']) assert.equal(got[act], 'through', act);
  // The browser alone keeps these from a page.
  for (const act of ['fetch', 'fetch with credentials', 'worker', 'web socket']) assert.equal(got[act], 'refused', act);
  assert(frames(page).includes(target), `${frames(page)}`);
  const stops = (/** @type {number} */ name) => bare.passed.filter((line) => line === `200 POST /api/nodes/proxy/${name}/stop`).length;
  // Three forms, three posts without a preflight, and a beacon.
  await eventually('forms and posts reach it', PAGE_MS, async () => stops(1) >= 6 && stops(2) >= 1);
  const done = await changes();
  for (const name of [1, 2]) assert(done.includes(`proxy/${name} operator: stop`), `${done}`);
  await context.close();
  await bare.close();
  await mend();
});

test('a page that opens the lab has no hold of it', { timeout: 60_000 }, async () => {
  /** @param {string} target */
  const opened = async (target) => {
    const { context, page } = await hostilePage(`http://evil.test:${hostile.port}/`, target);
    const waits = context.waitForEvent('page');
    await page.evaluate((url) => { Object.assign(window, { hold: window.open(url, 'popup') }); }, target);
    const popup = await waits;
    await popup.getByRole('heading', { level: 1, name: 'split-dns' }).waitFor();
    // @ts-expect-error it was set above
    const cut = await page.evaluate(() => window.hold.closed);
    const opener = await popup.evaluate(() => window.opener === null);
    await context.close();
    return { cut, opener };
  };
  assert.deepEqual(await opened(lab.url), { cut: true, opener: true });
  const bare = await withoutDefences(lab.address, token());
  assert.deepEqual(await opened(`http://127.0.0.1:${bare.port}/`), { cut: false, opener: false });
  await bare.close();
});

test('a name that is bound to the lab anew reads nothing and changes nothing', { timeout: 60_000 }, async () => {
  const known = await changes();
  const own = `http://rebound.test:${port()}/`;
  /** What a page asks of its own origin, which is the lab by now. */
  const asks = async () => {
    rebound.to(hostile.port);
    const { context, page } = await hostilePage(own, own);
    assert.equal(await page.title(), 'a harmless page');
    return { context, page };
  };
  const tries = async () => {
    const json = { 'content-type': 'application/json' };
    /** @type {[string, RequestInit?][]} */
    const all = [['/api/snapshot'], ['/'], ['/main.js'], ['/metrics'], ['/openapi.json'], ['/api/facts'], ['/api/export'],
      ['/api/nodes/proxy/1/stop', { method: 'POST', headers: json, body: '{}' }],
      ['/api/resolve', { method: 'POST', headers: json, body: '{"as":"agent/orders","name":"proxy.example.com"}' }],
      ['/api/faults', { method: 'DELETE', headers: json }]];
    const told = [];
    for (const [path, init] of all) {
      const cut = new AbortController();
      const answer = await fetch(path, { ...init, signal: cut.signal });
      told.push({ path, status: answer.status, text: path === '/api/facts' && answer.ok ? '' : await answer.text() });
      cut.abort();
    }
    const events = await new Promise((resolve) => {
      const source = new EventSource('/api/facts');
      const end = (/** @type {string} */ how) => () => { source.close(); resolve(how); };
      source.onopen = end('through');
      source.onerror = end('refused');
    });
    return { told, events };
  };
  const { context, page } = await asks();
  rebound.to(port());
  const { told, events } = await page.evaluate(tries);
  assert.equal(events, 'refused');
  for (const { path, status, text } of told) {
    assert.equal(status, 421, path);
    assert.match(text, /--allow-host/, path);
    assert.doesNotMatch(text, /split-dns|orders|doctype/, path);
  }
  assert.equal((await page.goto(own))?.status(), 421);
  await context.close();
  assert.deepEqual(await changes(), known);

  const bare = await withoutDefences(lab.address, token());
  const twin = await asks();
  rebound.to(bare.port);
  const lifted = await twin.page.evaluate(tries);
  assert.equal(lifted.events, 'through');
  assert.deepEqual(lifted.told.filter(({ status }) => status === 421), []);
  assert.match(lifted.told[0]?.text ?? '', /split-dns/);
  assert((await changes()).length > known.length, 'the twin changes it');
  await twin.context.close();
  await bare.close();
  await mend();
});

test('a person under another name reads how to allow it, and then it is allowed', { timeout: 90_000 }, async (t) => {
  for (const [colorScheme, width] of /** @type {const} */ ([['light', 360], ['dark', 1280]])) {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 800 } });
    const page = await context.newPage();
    const answer = await page.goto(`http://front.test:${port()}/pool`);
    assert.equal(answer?.status(), 421);
    await page.getByRole('heading', { level: 1 }).waitFor();
    assert.match(await page.getByRole('main').innerText(), /--allow-host/);
    await page.screenshot({ path: join(PICTURES, `refused-${colorScheme}-${width}.png`) });
    await accessible(page, `refusal ${colorScheme} ${width}`);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
    await context.close();
  }
  const allowing = await startLab(undefined, { networks: '127.19', more: ['--allow-host', 'front.test'] });
  t.after(() => allowing.stop());
  const opened = await open(browser, `http://front.test:${allowing.address.replace(/.*:/, '')}/pool#${allowing.withToken.split('#')[1]}`);
  await live(opened.page);
  await opened.page.getByRole('button', { name: /^drain/i }).first().waitFor();
  // Without TLS a browser trusts no name but those of loopback, says so, and heeds the other headers.
  opened.problems.splice(0, opened.problems.length, ...opened.problems.filter((text) => !/Cross-Origin-Opener-Policy header has been ignored/.test(text)));
  await closeClean(opened);
  // Another name than the allowed one is refused as before.
  const other = await open(browser, `http://evil.test:${allowing.address.replace(/.*:/, '')}/`);
  assert.match(await other.page.title(), /^Misdirected Request/);
  await other.close();
});

test('the token stays in its tab: no address, request, history or other tab has it', { timeout: 60_000 }, async () => {
  const opened = await open(browser, `${lab.url}dns#t=${token()}`);
  const { page } = opened;
  /** @type {string[]} */
  const said = [];
  page.context().on('request', (request) => said.push(`${request.url()} ${JSON.stringify(request.headers())}`));
  await live(page);
  for (const path of PATHS) {
    await page.goto(`${lab.url}${path}`);
    await live(page);
    const shown = await page.evaluate(() => [location.href, document.cookie, document.documentElement.outerHTML, JSON.stringify(localStorage), window.name].join(' '));
    assert.equal(shown.includes(token()), false, path);
  }
  assert(said.length > 10, `${said.length} requests were seen`);
  assert.deepEqual(said.filter((line) => line.includes(token()) || /"(referer|cookie)":"[^"]/.test(line)), []);
  for (let step = 0; step < PATHS.length; step += 1) {
    await page.goBack();
    assert.equal(page.url().includes(token()), false, 'no way back leads to the token');
  }
  assert.equal(await page.evaluate(() => sessionStorage.getItem('token')), token(), 'the twin: this tab has it');
  const other = await page.context().newPage();
  await other.goto(`${lab.url}pool`);
  await live(other);
  assert.equal(await other.evaluate(() => sessionStorage.getItem('token')), null);
  assert.equal(await other.getByRole('button', { name: /^drain/i }).count(), 0);
  await closeClean(opened);
});

test('a lab that is only shown offers nothing that changes it', { timeout: 2 * MESH_MS }, async (t) => {
  const shown = await startLab(undefined, { networks: '127.19', more: ['--read-only'] });
  t.after(() => shown.stop());
  const acts = /^(drain|stop|start|reload|set|run|play live|step|clear|lift|kill)\b/i;
  /** How many controls of changes the pages have. @param {string} base @param {string} hash */
  const controls = async (base, hash) => {
    let count = 0;
    for (const path of PATHS) {
      const opened = await open(browser, `${base}${path}#${hash}`);
      await live(opened.page);
      if (path === 'pool') await opened.page.getByRole('table').first().locator('tbody tr').first().waitFor();
      if (path === 'scenarios') await opened.page.locator('section[aria-labelledby=arm-title] details.card').first().waitFor();
      const found = await opened.page.getByRole('button', { name: acts }).allTextContents();
      count += found.length;
      if (base === shown.url) assert.deepEqual(found, [], path);
      await closeClean(opened);
    }
    return count;
  };
  assert.equal(await controls(shown.url, shown.withToken.split('#')[1] ?? ''), 0);
  const headers = { 'authorization': `Bearer ${shown.withToken.replace(/.*#t=/, '')}`, 'content-type': 'application/json' };
  for (const path of ['reload', 'reload/preview', 'runs', 'runs/1/stop', 'runs/live/step', 'nodes/proxy/1/stop', 'faults']) {
    const answer = await fetch(`${shown.url}api/${path}`, { method: 'POST', headers, body: '{}' });
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [404, 'application/problem+json'], path);
  }
  assert(await controls(lab.url, lab.withToken.split('#')[1] ?? '') > 8, 'the twin: with the token there are many');
});

test('hostile names are text on every page, in its title and in its address', { timeout: 2 * MESH_MS }, async () => {
  const image = '<img src=x onerror=alert(1)>';
  const script = '"><script>alert(1)</script>';
  for (const label of [image, script, Buffer.from([0x61, 0, 0x1b, 0x7f]), '\u202egnp.exe', '=1+1', 'x'.repeat(63)]) await askFor(lab.dns, label);
  // Names of files are free, and so is what a scenario asks.
  const folder = join(lab.files, 'scenarios');
  const text = readFileSync(join(folder, 'split-dns.yaml'), 'utf8').replace('# Question: can', `# Question: ${image} \u202e can`);
  writeFileSync(join(folder, `${image}\u202egnp.yaml`), text);
  const odd = encodeURIComponent(`${image}${script}\u202e`);
  const terms = ['node', 'name', 'filter', 'as', 'at', 'page', 'run', 'scenario', 'type'].map((term) => `${term}=${odd}`).join('&');
  for (const path of PATHS) {
    for (const query of ['', `?${terms}`, `?at=1&${terms}`]) {
      const opened = await open(browser, `${lab.url}${path}${query}#t=${token()}`);
      const { page, problems } = opened;
      let asked = false;
      page.on('dialog', (dialog) => { asked = true; void dialog.dismiss(); });
      await page.locator('#nav a').first().waitFor();
      if (path === 'scenarios' && !query) await page.getByText(image).first().waitFor();
      if (path === 'dns' && !query) await page.getByText(/img.*onerror/).first().waitFor();
      await eventually(`${path}${query} stands`, PAGE_MS, async () => (await page.locator('#page').innerText()).length > 20);
      const found = await page.evaluate(() => ({
        made: document.querySelectorAll('img, iframe, object, embed, script:not([src]), [onerror], [onload]').length,
        hidden: /[\u0000-\u0008\u001b\u007f\u202e]/.test(`${document.title}${document.body.innerText}`),
        title: document.title,
      }));
      assert.deepEqual({ path, query, made: found.made, hidden: found.hidden, asked }, { path, query, made: 0, hidden: false, asked: false });
      // A filter or an instant that the lab refuses is one more answer in words.
      problems.splice(0, problems.length, ...problems.filter((problem) => !/api\/\S*: 4\d\d|status of 4/.test(problem)));
      await closeClean(opened);
    }
  }
});
