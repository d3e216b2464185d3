// @ts-check
// What the page costs a browser: first paint, the longest task while somebody uses it before 200
// agents, and its memory while a million facts pass. Limits that are missed end it with 1.
//
//   node tests/bench/page/page.mjs [--facts N] [--agents N] [--runs N]
//
// It needs tests/web's packages, /usr/bin/chromium (or CHROMIUM) and a built twodoors (TWODOORS_BIN).
//
// Measured are tasks of the page's main thread (PerformanceObserver `longtask`, which tells of those
// above 50 ms), not the gaps between frames: those also grow when the machine has no processor left.
// The million facts are made here and sent by a stand-in in front of the lab: real server-sent
// events in the lab's form, cut every 100,000 facts, so that the page must take up where it was.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { open, startBrowser, startLab } from '../../web/lab.js';

const FIRST_PAINT_MS = 200;
const TASK_MS = 100;
const TAB_MB = 300;
/** How many facts come at once, and how often: a second's worth is above what a lab of this size tells in a minute. */
const BATCH = 500;
const BATCH_MS = 25;
/** Longer than this a page may not need to forget what it does not show. */
const PATIENCE_MS = 150_000;

if (process.argv.includes('--help')) {
  console.log(readFileSync(new URL(import.meta.url), 'utf8').split('\n').slice(1, 13).map((line) => line.replace(/^\/\/ ?/, '')).join('\n'));
  process.exit(0);
}

/** @param {string} name @param {number} otherwise */
function option(name, otherwise) {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
}

const [FACTS, AGENTS, RUNS] = [option('facts', 1_000_000), option('agents', 200), option('runs', 5)];
let missed = 0;

/** @param {string} what @param {number} value @param {string} unit @param {number} [limit] */
function tell(what, value, unit, limit) {
  const bad = limit !== undefined && !(value <= limit);
  missed += bad ? 1 : 0;
  const text = value.toFixed(unit === 'ms' || unit === 'MB' ? 1 : 0);
  console.log(`${what.padEnd(58)} ${text.padStart(10)} ${unit}${limit === undefined ? '' : ` (limit ${limit})${bad ? ' MISSED' : ''}`}`);
}

/** @param {number[]} values */
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;

/** Watches tasks and the stream from the page's beginning. @param {import('playwright-core').Page} page */
const watch = (page) => page.addInitScript(() => {
  const seen = { longest: 0, facts: 0, twice: 0, gaps: 0, last: 0 };
  Object.assign(window, { seen });
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) seen.longest = Math.max(seen.longest, task.duration);
  }).observe({ type: 'longtask', buffered: true });
  const Plain = EventSource;
  window.EventSource = class extends Plain {
    /** @param {string} url */
    constructor(url) {
      super(url);
      this.addEventListener('facts', (event) => {
        for (const { seq } of JSON.parse(event.data)) {
          seen.facts += 1;
          if (seen.last && seq <= seen.last) seen.twice += 1;
          else if (seen.last && seq !== seen.last + 1) seen.gaps += 1;
          seen.last = Math.max(seen.last, seq);
        }
      });
    }
  };
});

/** @param {import('playwright-core').Page} page @param {string} what @param {() => Promise<unknown>} act */
async function tasks(page, what, act) {
  // @ts-expect-error what the watch left in the page
  await page.evaluate(() => { window.seen.longest = 0; });
  await act();
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  // @ts-expect-error as above
  tell(`longest task: ${what} (0: none above 50 ms)`, await page.evaluate(() => window.seen.longest), 'ms', TASK_MS);
}

/** @param {string} text */
const many = (text) => text.replace(/^users:/m, `  - {name: branch, count: ${AGENTS}, network: internal, teleport: teleport/kiosk.yaml, login: none}\n\nusers:`);

const browser = await startBrowser(['--enable-precise-memory-info']);
console.log(`Chromium ${browser.version()}, ${AGENTS} agents, ${FACTS} facts`);
const small = await startLab('127.0.0.1:0', { networks: '127.21' });
try {
  await paints();
} finally {
  await small.stop();
}
const lab = await startLab('127.0.0.1:0', { networks: '127.21', edit: many });
try {
  await uses();
  await million();
} finally {
  await lab.stop();
  await browser.close();
}
process.exitCode = missed ? 1 : 0;

/** First paint of each page of the small lab in a fresh profile, and what it loads. */
async function paints() {
  for (const path of ['topology', 'dns', 'pool', 'timeline', 'scenarios']) {
    const times = [];
    let sent = 0;
    let raw = 0;
    for (let run = 0; run < RUNS; run += 1) {
      const { page, close } = await open(browser, `${small.url}${path}`);
      await page.locator('#page h2').first().waitFor();
      const [first, wire, whole] = await page.evaluate(async () => {
        const paint = () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime;
        while (paint() === undefined) await new Promise(requestAnimationFrame);
        const files = performance.getEntriesByType('resource').filter(({ name }) => !name.includes('/api/'))
          .concat(performance.getEntriesByType('navigation'));
        const sum = (/** @type {string} */ key) => files.reduce((all, file) => all + /** @type {any} */ (file)[key], 0);
        return [paint() ?? NaN, sum('encodedBodySize'), sum('decodedBodySize')];
      });
      times.push(first ?? NaN);
      [sent, raw] = [wire ?? NaN, whole ?? NaN];
      await close();
    }
    tell(`first paint of /${path}, median of ${RUNS}`, median(times), 'ms', FIRST_PAINT_MS);
    tell(`  files as sent`, sent, 'bytes', 150_000);
    tell(`  files unpacked`, raw, 'bytes', path === 'topology' ? 150_000 : undefined);
  }
}

/** What somebody does before a lab with many agents. */
async function uses() {
  const { page, close } = await open(browser, lab.url, {}, watch);
  await page.locator('#picture .box').first().waitFor();
  const nav = page.getByRole('navigation', { name: 'Pages' });
  for (const name of ['DNS', 'Doors and pool', 'Timeline', 'Scenarios', 'Topology']) {
    await tasks(page, `to ${name}`, async () => {
      await nav.getByRole('link', { name, exact: true }).click();
      await page.locator('#page h2').first().waitFor();
    });
  }
  await page.locator('#picture .client').first().waitFor();
  await tasks(page, 'choosing a client', async () => {
    await page.locator('#picture .client').first().click();
    await page.locator('#node').waitFor();
  });
  await nav.getByRole('link', { name: 'DNS', exact: true }).click();
  const filter = page.locator('[data-filter]').first();
  await filter.waitFor();
  await tasks(page, 'typing a filter', () => filter.pressSequentially('view:private branch', { delay: 30 }));
  await nav.getByRole('link', { name: 'Topology', exact: true }).click();
  await tasks(page, 'scrubbing 20 steps', async () => {
    for (let step = 0; step < 20; step += 1) {
      await page.locator('#scrub').evaluate((bar, part) => {
        const range = /** @type {HTMLInputElement} */ (bar);
        range.value = String(Number(range.min) + (Number(range.max) - Number(range.min)) * part);
        range.dispatchEvent(new Event('input', { bubbles: true }));
      }, step / 20);
    }
  });
  for (const path of ['snapshot', 'timeline', 'queries?limit=200', 'why?node=agent/orders', 'export']) {
    const times = [];
    for (let run = 0; run < RUNS; run += 1) {
      const begin = performance.now();
      await (await fetch(`${lab.url}api/${path}`)).arrayBuffer();
      times.push(performance.now() - begin);
    }
    tell(`GET /api/${path}, median of ${RUNS}`, median(times), 'ms');
  }
  await close();
}

/** Gives an address where the lab answers, but the facts are made here. */
async function standIn() {
  const snapshot = await (await fetch(`${lab.url}api/snapshot`)).json();
  const first = snapshot.seq + 1;
  const made = (/** @type {number} */ seq) => ({ seq, at_us: snapshot.at_us + (seq - first) * 3_600, node: `agent/branch-${seq % AGENTS}`,
    kind: seq % 4 ? 'flow_closed' : 'dial_failed', text: `what came of dial ${seq}`, place: null });
  const server = createServer((asked, answer) => {
    const url = new URL(asked.url ?? '/', lab.url);
    if (url.pathname === '/api/snapshot' && !url.search) {
      answer.setHeader('content-type', 'application/json').end(JSON.stringify(snapshot));
    } else if (url.pathname === '/api/facts') {
      stream(Number(asked.headers['last-event-id'] ?? url.searchParams.get('since')), answer);
    } else {
      // For the lab the request comes from itself: it answers no page of another origin.
      const { host: _, origin: __, referer: ___, ...headers } = asked.headers;
      asked.pipe(request(url, { method: asked.method ?? 'GET', headers: { ...headers, host: lab.address } }, (got) => {
        answer.writeHead(got.statusCode ?? 502, got.headers);
        got.pipe(answer);
      }).on('error', () => answer.destroy()));
    }
  });
  /** @param {number} since @param {import('node:http').ServerResponse} answer */
  function stream(since, answer) {
    answer.writeHead(200, { 'content-type': 'text/event-stream' }).write('retry: 100\n\n');
    let next = Math.max(first, since + 1);
    const until = Math.min(first + FACTS, (Math.floor((next - first) / 100_000) + 1) * 100_000 + first);
    const send = () => {
      if (answer.destroyed) return;
      const facts = Array.from({ length: Math.min(BATCH, until - next) }, (_, index) => made(next + index));
      next += facts.length;
      const room = answer.write(`id: ${next - 1}\nevent: facts\ndata: ${JSON.stringify(facts)}\n\n`);
      if (next < until && !room) answer.once('drain', () => setTimeout(send, BATCH_MS));
      else if (next < until) setTimeout(send, BATCH_MS);
      else if (next < first + FACTS) answer.end();
    };
    send();
  }
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(null)));
  const address = server.address();
  return { server, url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/` };
}

/**
 * The memory of the largest renderer of this browser, in MB, as Chromium's task manager counts it: its
 * own, without the pages of the program that all processes share.
 */
function resident() {
  const table = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' }).split('\n');
  const own = table.filter((line) => line.includes('--type=renderer') && line.includes('enable-precise-memory-info'));
  const sizes = own.map((line) => {
    const status = readFileSync(`/proc/${Number.parseInt(line, 10)}/status`, 'utf8');
    return Number(/^RssAnon:\s*(\d+) kB/m.exec(status)?.[1] ?? NaN);
  });
  return Math.max(...sizes) * 1_024 / 1e6;
}

async function million() {
  const { server, url } = await standIn();
  const { page, problems, close } = await open(browser, url, {}, watch);
  await page.locator('#picture .box').first().waitFor().catch((error) => {
    throw new Error(problems.join('\n'), { cause: error });
  });
  const session = await page.context().newCDPSession(page);
  const heap = async () => {
    await session.send('HeapProfiler.collectGarbage');
    return (await session.send('Runtime.getHeapUsage')).usedSize / 1e6;
  };
  tell('memory of the renderer at the beginning', resident(), 'MB');
  tell('JS heap at the beginning', await heap(), 'MB');
  const begin = Date.now();
  await tasks(page, `while ${FACTS} facts pass`, () => page.waitForFunction(
    // @ts-expect-error as above
    (all) => window.seen.facts >= all, FACTS, { timeout: PATIENCE_MS, polling: 500 }));
  tell('  it took', (Date.now() - begin) / 1_000, 's');
  // @ts-expect-error as above
  const { twice, gaps } = await page.evaluate(() => window.seen);
  tell('facts that came twice over the cuts', twice, '', 0);
  tell('gaps over the cuts', gaps, '', 0);
  tell('memory of the renderer, before its garbage is collected', resident(), 'MB', TAB_MB);
  tell('JS heap at the end', await heap(), 'MB', TAB_MB);
  tell('memory of the renderer, after that', resident(), 'MB', TAB_MB);
  tell('elements of the page', await page.evaluate(() => document.querySelectorAll('*').length), '');
  await close();
  server.close();
  server.closeAllConnections();
}
