// @ts-check
// Starts the real binary for a test, and a browser that tells of every problem.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const BIN = process.env['TWODOORS_BIN'] ?? join(ROOT, 'target/debug/twodoors');

/** Whoever works on the page names its folder here, and needs no build. */
const WEB = process.env['TWODOORS_WEB'];

/** Screenshots, to be looked at. */
export const PICTURES = join(ROOT, 'target/web');
mkdirSync(PICTURES, { recursive: true });

/** A tunnel may wait through several backoffs, and users wait for the mesh. */
export const MESH_MS = 180_000;

/** How long the page may take for what it does by itself. */
export const PAGE_MS = 20_000;

/**
 * Starts a lab from files, so that it can be reloaded, and waits for its ready line.
 * @param {string} [http] address to listen on
 * @param {{networks?: string, edit?: (text: string) => string, more?: string[]}} [options] how its networks
 *   begin, so that it runs beside others, what is changed in its scenario, and further arguments of `up`
 */
export async function startLab(http = '127.0.0.1:0', { networks = '127.17', edit = (text) => text, more = [] } = {}) {
  const state = mkdtempSync(join(tmpdir(), 'twodoors-web-'));
  const files = join(state, 'files');
  execFileSync(BIN, ['init', files], { stdio: 'ignore' });
  move(files, networks);
  const scenario = join(files, 'scenarios', 'split-dns.yaml');
  writeFileSync(scenario, edit(readFileSync(scenario, 'utf8')));
  const child = spawn(BIN, ['up', scenario, '--http', http, '--dns', '127.0.0.1:0', '--state', join(state, 'state'),
    ...WEB ? ['--web-dir', WEB] : [], ...more],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const lines = createInterface({ input: child.stdout });
  /** @type {Map<string, string>} */
  const ready = await new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      if (!line.startsWith('ready ')) return;
      resolve(new Map(line.split(' ').slice(1).map((pair) => {
        const at = pair.indexOf('=');
        return [pair.slice(0, at), pair.slice(at + 1)];
      })));
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${BIN} ended with ${code} before it was ready`)));
  });
  const address = ready.get('http') ?? '';
  const token = readFileSync(join(state, 'state', 'token'), 'utf8').trim();
  return {
    address,
    files,
    dns: ready.get('dns') ?? '',
    external: ready.get('external') ?? '',
    url: `http://${address}/`,
    withToken: `http://${address}/#t=${token}`,
    /** @param {NodeJS.Signals} signal */
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      await exited;
      rmSync(state, { recursive: true, force: true });
    },
  };
}

/**
 * Gives a lab networks of its own, so that another one may run beside it.
 * @param {string} folder
 * @param {string} networks
 */
export function move(folder, networks) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.path, entry.name);
    writeFileSync(path, readFileSync(path, 'utf8').replace(/\b127\.([123])0\./g, (_, digit) => `${networks}${digit}.`));
  }
}

/** @param {string[]} more arguments of Chromium */
export function startBrowser(more = []) {
  return chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync', ...more],
  });
}

/**
 * Opens a page in a fresh profile, whose reader knows the tour. `problems` collects console errors, failed requests, requests
 * to others and violations of the policy.
 * @param {import('playwright-core').Browser} browser
 * @param {string} url
 * @param {import('playwright-core').BrowserContextOptions & {newcomer?: boolean}} [options]
 * @param {(page: import('playwright-core').Page) => Promise<void>} [before] what is done before the page loads
 */
export async function open(browser, url, { newcomer = false, ...options } = {}, before = async () => {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  if (!newcomer) await page.addInitScript(() => localStorage.setItem('tour', 'seen'));
  page.setDefaultTimeout(PAGE_MS);
  /** @type {string[]} */
  const problems = [];
  const { host } = new URL(url);
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('request', (request) => {
    if (new URL(request.url()).host !== host) problems.push(`asked ${request.url()}`);
  });
  page.on('requestfailed', (request) => {
    const why = request.failure()?.errorText;
    // A page that goes away leaves its stream, what it just asked, and files that it waits for.
    if (!(/\/api\/|\.(js|css|svg)$/.test(request.url()) && why === 'net::ERR_ABORTED')) {
      problems.push(`${request.url()}: ${why}`);
    }
  });
  page.on('response', (response) => {
    if (response.status() >= 400) problems.push(`${response.url()}: ${response.status()}`);
  });
  await before(page);
  await page.goto(url);
  return { page, problems, close: () => context.close() };
}
