// @ts-check
// Stands in, as the contract of the API has it, for what a lab does not answer yet: each path is
// asked first, and a lab that knows it answers by itself.

/** @import {Page, Route} from 'playwright-core' */

/** @param {Route} route @param {unknown} body @param {number} [status] */
const give = (route, body, status = 200) => route.fulfill({ status, json: body });

const place = (/** @type {string} */ view, line = 18) => ({ file: `zones/${view}/example.com.zone`, line, column: 1 });

/** @param {{as: string, name: string, type: string}} asked */
function resolution({ as, name, type }) {
  const inside = as !== 'user/alice';
  const view = (/** @type {string} */ word, /** @type {string} */ data, /** @type {boolean} */ chosen) => ({
    view: word, chosen, rule: word === 'private' ? 'internal' : 'any', tried: [{ rule: word === 'private' ? 'internal' : 'any', matched: true, why: 'holds it' }],
    rcode: 'NOERROR', authoritative: true, step: 'exact match', extended_error: null, differs: true, authority: [], additional: [],
    answer: [{ owner: `${name}.`, ttl: 300, rtype: type, data, place: place(word), differs: true }] });
  return { client: inside ? '127.10.0.11' : '127.20.0.21', destination: '127.0.0.1:5300', chosen: inside ? 'private' : 'public', why: 'rule internal holds it',
    dig: 'dig -b 127.0.0.1 @127.0.0.1 -p 5300 proxy.example.com A', same: [], scope: null,
    views: [view('private', '127.181.0.2', inside), view('public', '127.182.0.2', !inside)] };
}

/** @param {string} url of the lab */
function log(url) {
  /** @type {Map<number, any>} */
  const known = new Map();
  return async (/** @type {Route} */ route) => {
    const query = new URL(route.request().url()).searchParams;
    const filter = query.get('filter') ?? '';
    const wrong = /(^|\s)typ:/.exec(filter);
    if (wrong) return give(route, { title: 'Bad Request', status: 400, detail: 'there is no field typ', column: wrong.index + 2 }, 400);
    const snapshot = await (await fetch(`${url}api/snapshot`)).json();
    for (const one of snapshot.dns.queries) known.set(one.seq, { ...one, place: place(one.view), took_us: 41, dig: `dig -b ${one.client} ${one.name} ${one.rtype}` });
    const name = /name:\*?([^\s*]+)/.exec(filter)?.[1] ?? '';
    const all = [...known.values()].sort((a, b) => b.seq - a.seq)
      .filter((one) => one.name.includes(name) && !(filter.includes('rcode!=NOERROR') && one.rcode === 'NOERROR'));
    const after = Number(query.get('after_seq') ?? 0);
    return give(route, { queries: all.filter(({ seq }) => seq > after), matched: all.length, held: known.size });
  };
}

/** @type {any[]} */
let runs = [];

const found = { id: 'role-follows-network', severity: 'notice', node: 'user/olga', detail: 'olga uses the door for agents <b>', cure: 'Give users a name of their own.',
  place: { file: 'scenarios/split-dns.yaml', line: 51, column: 5 }, text: 'DNS separates by network, not by role.' };

const scenario = (/** @type {string} */ name) => ({ id: name, name, file: `scenarios/${name}.yaml`, question: 'can one name send private agents and internet users through different doors?',
  lesson: 'yes.', steps: 0, expectations: 8, duration_us: 60_000_000, findings: [found] });

const word = (/** @type {string} */ name, /** @type {object} */ more) => ({ word: name, title: `Title of ${name}`, text: 'What it does.', targets: ['balancer/internal'],
  by: null, to: null, duration_default_us: 30_000_000, ...more });

/**
 * Every path that may be missing, with its stand-in.
 * @param {string} url
 * @returns {[string, string, (route: Route) => unknown][]}
 */
const STAND_INS = (url) => [
  ['POST', 'api/resolve', (route) => {
    const asked = route.request().postDataJSON();
    return asked.as.startsWith('nobody') ? give(route, { title: 'Unprocessable Content', status: 422, detail: `there is no ${asked.as}` }, 422) : give(route, resolution(asked));
  }],
  ['GET', 'api/queries', log(url)],
  ['GET', 'api/consequences?node=proxy/1&act=drain', (route) => give(route, { sentences: ['2 tunnels of billing and <i>orders</i> end; both agents dial again.'], severity: 'bad' })],
  ['POST', 'api/reload/preview', (route) => give(route, { mistakes: [], warnings: ['zones/public/example.com.zone:3:1: the serial did not grow'], share: { ipv4: '0.4 %', ipv6: '0 %' },
    changed: ['public/new.example.com.'], refused_by_limit: null,
    more: 0, groups: [{ prefixes: ['0.0.0.0/0'], prefixes_more: 0, more: 0, changes: [{ view: 'public', name: 'new.example.com.', rtype: 'A', before: [], after: ['127.182.0.77'] }] }] })],
  ['GET', 'api/scenarios', (route) => give(route, { current: { name: 'split-dns', file: 'scenarios/split-dns.yaml', embedded: false },
    scenarios: ['split-dns', 'multiple-public-addresses'].map(scenario), runs })],
  ['POST', 'api/runs', (route) => {
    if (route.request().headers()['authorization'] === 'Bearer wrong') return give(route, { status: 401, detail: 'no' }, 401);
    const { mode, seed } = route.request().postDataJSON();
    const verdict = { index: 0, text: 'every agent keeps a tunnel', place: null, state: 'met', settled: true, evidence: 4, why: null, measured: 'all', at_us: 60_000_000 };
    runs = [{ id: 'r1', scenario: 'split-dns', mode, state: 'ended', progress: 1, at_us: 60_000_000, outcome: 'all expectations met',
      verdicts: Array.from({ length: 8 }, () => verdict), seed }];
    return give(route, runs[0]);
  }],
  ['GET', 'api/faults/catalogue', (route) => give(route, { words: [
    word('latency', { by: { unit: 'ms', min: 1, max: 10_000, step: 1, default: 50, required: true }, targets: ['balancer/internal'] }),
    word('servfail', { targets: ['view/private', 'view/public'] }), word('ttl_floor', { targets: [] })] })],
];

/**
 * Asks which paths the lab does not know, and gives what stands in for them on a page.
 * @param {string} url
 */
export async function standIns(url) {
  const missing = [];
  for (const [method, path, stand] of STAND_INS(url)) {
    const { status } = await fetch(url + path, method === 'GET' ? {} : { method, body: '{}', headers: { 'content-type': 'application/json' } });
    if (status === 404 || status === 405) missing.push(/** @type {const} */ ([path.replace(/\?.*/, ''), stand]));
  }
  return async (/** @type {Page} */ page) => {
    for (const [path, stand] of missing) {
      await page.route((asked) => asked.pathname === `/${path}`, (route) => stand(route));
    }
  };
}
