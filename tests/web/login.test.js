// @ts-check
// An app behind Teleport's redirect, in a real browser: the way there, the cookie, and back again.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { MESH_MS, startBrowser, startLab } from './lab.js';

const SESSION = '__Host-grv_app_session';
const APP = 'https://orders.proxy.example.com:3080/';

/** @type {Awaited<ReturnType<typeof startLab>>} */
let lab;
/** @type {Awaited<ReturnType<typeof startBrowser>>} */
let browser;

before(async () => {
  const edit = (/** @type {string} */ text) => {
    const closed = text.replace('orders.yaml, login: none', 'orders.yaml');
    assert.notEqual(closed, text, 'the example opens orders without a login');
    return closed;
  };
  lab = await startLab('127.0.0.1:0', { networks: '127.16', edit });
  const door = lab.external.replace(/:3080$/, '');
  browser = await startBrowser([`--host-resolver-rules=MAP *.example.com ${door}`]);
  await meshed();
});

after(async () => {
  await browser?.close();
  await lab?.stop();
});

/** Waits until each instance serves every app. */
async function meshed() {
  const deadline = AbortSignal.timeout(MESH_MS);
  for (;;) {
    const answer = await fetch(`${lab.url}api/snapshot`, { signal: deadline });
    const { mesh } = await answer.json();
    if (mesh.now === mesh.full) return;
    await setTimeout(200);
  }
}

test('a browser is sent to log in once, arrives with the cookie, and is sent again without it', async () => {
  // The browser does not know the authority of the lab; curl's tests verify the certificate.
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  /** @type {string[]} */
  let asked = [];
  context.on('request', (request) => asked.push(request.url()));
  const launches = () => asked.filter((url) => url.startsWith('https://proxy.example.com:3080/web/launch/')).length;
  /** Opens the app in a new tab; gives how often it was sent to log in. */
  const visit = async () => {
    asked = [];
    const page = await context.newPage();
    const answer = await page.goto(APP);
    assert.equal(answer?.status(), 200);
    assert.equal(page.url(), APP);
    assert.match(await page.locator('body').innerText(), /^orders: served by agent orders/);
    return launches();
  };

  assert.equal(await visit(), 1);
  const cookies = await context.cookies();
  const session = cookies.find((cookie) => cookie.name === SESSION);
  assert.ok(session, JSON.stringify(cookies));
  const { domain, path, httpOnly, secure } = session;
  assert.deepEqual({ domain, path, httpOnly, secure },
    { domain: 'orders.proxy.example.com', path: '/', httpOnly: true, secure: true });

  assert.equal(await visit(), 0, 'a second tab needs no login');
  await context.clearCookies();
  assert.equal(await visit(), 1, 'without the cookie the way begins again');
  await context.close();
});
