// @ts-check
// What a page of another origin tries against a lab, and a server for such a page. Each act says
// what came of it: `refused`, `through`, or `sent` where only the lab can tell.

import { createServer as createHttp, request } from 'node:http';
import { connect, createServer } from 'node:net';

/** @import {Server} from 'node:net' */

/** @param {Server} server @returns {Promise<number>} */
function listen(server) {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    resolve(typeof address === 'object' && address ? address.port : 0);
  }));
}

/** @param {Server} server */
const closed = (server) => new Promise((resolve) => server.close(resolve));

/** Serves an empty page of the attacker's at every path. */
export async function hostileServer() {
  const server = createHttp((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html', connection: 'close' });
    response.end('<!doctype html><meta charset="utf-8"><title>a harmless page</title><link rel="icon" href="data:,">');
  });
  return { port: await listen(server), close: () => closed(server) };
}

/**
 * A lab without its defences: what is asked of this server the lab hears as asked by itself, with
 * the token, and what the lab forbids others to do with its answers is taken out of them.
 * @param {string} address of the lab
 * @param {string} token
 */
export async function withoutDefences(address, token) {
  /** @type {string[]} */
  const passed = [];
  const guards = ['content-security-policy', 'cross-origin-opener-policy', 'cross-origin-resource-policy', 'x-content-type-options'];
  const server = createHttp((asked, answer) => {
    const { accept, 'accept-encoding': encoding } = asked.headers;
    const headers = { host: address, authorization: `Bearer ${token}`, 'content-type': 'application/json',
      ...accept && { accept }, ...encoding && { 'accept-encoding': encoding } };
    asked.resume();
    const further = request(`http://${address}${asked.url}`, { method: asked.method, headers, agent: false }, (told) => {
      passed.push(`${told.statusCode} ${asked.method} ${asked.url}`);
      const kept = Object.entries(told.headers).filter(([name]) => !guards.includes(name));
      answer.writeHead(told.statusCode ?? 502, Object.fromEntries(kept));
      told.pipe(answer);
    });
    further.on('error', () => answer.destroy());
    answer.on('close', () => further.destroy());
    further.end();
  });
  return { port: await listen(server), passed, close: () => { server.closeAllConnections(); return closed(server); } };
}

/**
 * A name whose address changes: connections go to one port first and to another later, byte for byte.
 * @param {number} first
 */
export async function rebinding(first) {
  let port = first;
  const server = createServer((client) => {
    const further = connect(port, '127.0.0.1');
    client.pipe(further).pipe(client);
    for (const end of [client, further]) end.on('error', () => { client.destroy(); further.destroy(); });
  });
  return { port: await listen(server), close: () => closed(server), /** @param {number} next */ to(next) { port = next; } };
}

/**
 * Tries what a page can do with another origin; runs in the hostile page.
 * @param {string} target with a slash at its end
 * @returns {Promise<Record<string, string>>}
 */
export async function attack(target) {
  const url = (/** @type {string} */ path) => target + path;
  const stop = url('api/nodes/proxy/1/stop');
  /** @param {Promise<unknown>} act */
  const tried = (act) => act.then(() => 'through', () => 'refused');
  /** Adds an element and waits for its load or error. @param {string} tag @param {Record<string, string>} attributes */
  const element = (tag, attributes) => tried(new Promise((resolve, reject) => {
    const made = document.createElement(tag);
    made.onload = resolve;
    made.onerror = reject;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    document.body.append(made);
  }));
  /** Waits for the load of what shows another document, whatever it shows. @param {string} tag @param {Record<string, string>} attributes */
  const shown = async (tag, attributes) => {
    await element(tag, attributes);
    return 'sent';
  };
  /** Posts a form into a frame, as a page can without any script of the other side. @param {string} enctype */
  const form = (enctype) => new Promise((resolve) => {
    const frame = document.createElement('iframe');
    frame.name = `frame-${enctype}`;
    document.body.append(frame);
    const made = document.createElement('form');
    Object.assign(made, { method: 'post', action: stop, enctype, target: frame.name });
    const field = document.createElement('input');
    Object.assign(field, { name: '{"a":"', value: '"}' });
    made.append(field);
    document.body.append(made);
    frame.onload = () => resolve('sent');
    made.submit();
  });
  const read = async (/** @type {RequestInit} */ init, path = 'api/snapshot') => (await fetch(url(path), init)).text();
  const post = (/** @type {RequestInit} */ init) => fetch(stop, { method: 'POST', body: '{}', ...init });
  return {
    'fetch': await tried(read({})),
    'fetch with credentials': await tried(read({ credentials: 'include' })),
    'fetch without cors': await tried(read({ mode: 'no-cors' })),
    'fetch of the metrics': await tried(read({}, 'metrics')),
    'post without cors': await tried(post({ mode: 'no-cors' })),
    'post of plain text': await tried(post({ headers: { 'content-type': 'text/plain' } })),
    'post of json': await tried(post({ headers: { 'content-type': 'application/json', 'authorization': 'Bearer 00' } })),
    'post kept alive': await tried(post({ mode: 'no-cors', keepalive: true })),
    'delete': await tried(fetch(url('api/faults'), { method: 'DELETE' })),
    'question': await tried(fetch(url('api/resolve'), { method: 'POST', body: '{"as":"agent/orders","name":"proxy.example.com"}' })),
    'script': await element('script', { src: url('main.js') }),
    'script of data': await element('script', { src: url('api/tables/pool.json') }),
    'script of facts': await element('script', { src: url('api/tables/facts.csv') }),
    'module': await tried(import(url('format.js'))),
    'style': await element('link', { rel: 'stylesheet', href: url('style.css') }),
    'image': await element('img', { src: url('icon.svg') }),
    'worker': await tried(new Promise((resolve, reject) => {
      const worker = new Worker(url('main.js'));
      worker.onerror = reject;
      worker.onmessage = resolve;
    })),
    'event source': await tried(new Promise((resolve, reject) => {
      const events = new EventSource(url('api/facts'));
      events.onopen = resolve;
      events.onerror = () => { events.close(); reject(); };
    })),
    'web socket': await tried(new Promise((resolve, reject) => {
      const socket = new WebSocket(url('api/facts').replace('http', 'ws'));
      socket.onopen = resolve;
      socket.onerror = reject;
    })),
    'frame': await shown('iframe', { src: target, id: 'frame' }),
    'frame of data': await shown('iframe', { src: url('api/snapshot') }),
    'object': await shown('object', { data: target }),
    'form': /** @type {string} */ (await form('application/x-www-form-urlencoded')),
    'form of plain text': /** @type {string} */ (await form('text/plain')),
    'form of parts': /** @type {string} */ (await form('multipart/form-data')),
    'beacon': navigator.sendBeacon(url('api/nodes/proxy/2/stop'), '{}') ? 'sent' : 'refused',
  };
}
