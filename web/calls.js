// @ts-check
// What the pages ask of the lab beyond its state, and what they change.

/** @import {Act, Bundle, Catalogue, Consequences, Preview, Queries, Reloaded, Resolution, ResolveAs, Run, Scenarios} from './types.js' */

import { headers } from './api.js';

/**
 * What came of a question: a body, or a sentence for people.
 * @template T
 * @typedef {{ok: true, body: T} | {ok: false, text: string, status: number, mistakes: string[], column: number | null}} Said
 */

/**
 * @template T
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @param {Record<string, string>} [head] with the token, which only changes need
 * @returns {Promise<Said<T>>}
 */
async function call(method, path, body, head = headers()) {
  try {
    const response = await fetch(path, method === 'GET' ? {}
      : { method, headers: head, body: JSON.stringify(body ?? {}) });
    const said = await response.json();
    if (response.ok) return { ok: true, body: said };
    const text = response.status === 401 ? 'The token is of another run; open the link that the lab printed.' : said.detail;
    return { ok: false, text, status: response.status, mistakes: said.mistakes ?? [], column: said.column ?? null };
  } catch {
    return { ok: false, text: 'The lab does not answer.', status: 0, mistakes: [], column: null };
  }
}

/** @param {Record<string, string | number | null | undefined>} terms */
function query(terms) {
  const known = Object.entries(terms).filter(([, value]) => value != null && value !== '');
  return known.length ? `?${new URLSearchParams(known.map(([name, value]) => [name, String(value)]))}` : '';
}

const path = (/** @type {string} */ node) => node.split('/').map(encodeURIComponent).join('/');

/** @param {ResolveAs} asked @returns {Promise<Said<Resolution>>} */
export const resolve = (asked) => call('POST', '/api/resolve', asked, { 'content-type': 'application/json' });

/**
 * @param {{filter: string, limit: number, before_seq?: number | null, after_seq?: number | null}} asked
 * @returns {Promise<Said<Queries>>}
 */
export const queries = (asked) => call('GET', `/api/queries${query(asked)}`);

/** Where a table is as a file. @param {string} name @param {string} kind @param {Record<string, string | number | null>} [terms] */
export const table = (name, kind, terms = {}) => `/api/tables/${name}.${kind}${query(terms)}`;

/** @param {string} kind @param {string} filter */
export const queriesFile = (kind, filter) => `/api/queries.${kind}${query({ filter })}`;

/** @returns {Promise<Said<Preview>>} */
export const preview = () => call('POST', '/api/reload/preview');

/** @returns {Promise<Said<Reloaded>>} */
export const reload = () => call('POST', '/api/reload');

/** @param {string[]} nodes @param {Act} act @returns {Promise<Said<Consequences>>} */
export const consequences = (nodes, act) =>
  call('GET', `/api/consequences?${new URLSearchParams([...nodes.map((node) => ['node', node]), ['act', act]])}`);

/** @param {string} node @param {Act} act @returns {Promise<Said<unknown>>} */
export const operate = (node, act) => call('POST', `/api/nodes/${path(node)}/${act}`);

/** @returns {Promise<Said<Scenarios>>} */
export const scenarios = () => call('GET', '/api/scenarios');

/** @param {{scenario: string, mode: 'live' | 'virtual', seed: number | null}} asked @returns {Promise<Said<Run>>} */
export const startRun = (asked) => call('POST', '/api/runs', asked);

/** @param {string} id @returns {Promise<Said<Run>>} */
export const run = (id) => call('GET', `/api/runs/${encodeURIComponent(id)}`);

/** @param {string} id @param {'stop' | 'step'} act @returns {Promise<Said<Run>>} */
export const steer = (id, act) => call('POST', `/api/runs/${encodeURIComponent(id)}/${act}`);

/** @param {string} id @returns {Promise<Said<Bundle>>} */
export const bundle = (id) => call('GET', `/api/runs/${encodeURIComponent(id)}/bundle`);

/** @returns {Promise<Said<Catalogue>>} */
export const catalogue = () => call('GET', '/api/faults/catalogue');

/** @param {Record<string, string>} fault @returns {Promise<Said<{id: number, text: string}>>} */
export const setFault = (fault) => call('POST', '/api/faults', fault);

/** @param {number | null} id null lifts all @returns {Promise<Said<{lifted: number}>>} */
export const liftFault = (id) => call('DELETE', id === null ? '/api/faults' : `/api/faults/${id}`);
