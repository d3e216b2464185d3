// @ts-check
// Speaks to the lab; the only file that knows its addresses.

/** @import {Act, Fact, Problem, Reloaded, Snapshot} from './types.js' */

/** How the page stands with the lab. @typedef {'loading' | 'live' | 'lost' | 'ended'} Link */

/**
 * @typedef {object} Listener
 * @property {(snapshot: Snapshot) => void} snapshot
 * @property {(facts: Fact[]) => void} facts
 * @property {() => void} overflow some facts were missed
 * @property {(link: Link) => void} link
 */

/** How long to wait before a closed stream is asked for again. */
const RETRY_MS = 1_500;

/** How many facts before the snapshot are asked for, so that the log is not empty. */
const LOOK_BACK = 5_000;

/** The token of the link that the lab printed, kept for this tab only. */
let token = sessionStorage.getItem('token');

/** Takes the token out of the address, so that it is neither seen nor shared by mistake. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get('t');
  if (!given) return;
  token = given;
  sessionStorage.setItem('token', given);
  history.replaceState(null, '', location.pathname + location.search);
}

/** Whether changes can be asked for. */
export function mayChange() {
  return token !== null;
}

/**
 * Loads the state and follows the lab, for ever.
 * @param {Listener} listener
 */
export async function follow(listener) {
  try {
    const response = await fetch('/api/snapshot');
    if (!response.ok) throw new Error(response.statusText);
    /** @type {Snapshot} */
    const snapshot = await response.json();
    listener.snapshot(snapshot);
    subscribe(listener, Math.max(0, snapshot.seq - LOOK_BACK));
  } catch {
    listener.link('lost');
    setTimeout(follow, RETRY_MS, listener);
  }
}

/**
 * @param {Listener} listener
 * @param {number} since
 */
function subscribe(listener, since) {
  const source = new EventSource(`/api/facts?since=${since}`);
  let ended = false;
  const again = () => {
    source.close();
    setTimeout(follow, RETRY_MS, listener);
  };
  source.addEventListener('open', () => listener.link('live'));
  source.addEventListener('facts', (event) => listener.facts(JSON.parse(event.data)));
  source.addEventListener('snapshot', (event) => listener.snapshot(JSON.parse(event.data)));
  // Facts are missing, or the lab is another one: begin anew.
  source.addEventListener('overflow', () => {
    source.close();
    listener.overflow();
    follow(listener);
  });
  source.addEventListener('ended', () => {
    ended = true;
    listener.link('ended');
    again();
  });
  source.addEventListener('error', () => {
    if (ended) return;
    listener.link('lost');
    // The browser tries again by itself with the last number that it saw, unless it gave up.
    if (source.readyState === EventSource.CLOSED) again();
  });
}

/**
 * Asks for a change; gives a sentence for people.
 * @param {string} path
 * @returns {Promise<{ok: boolean, text: string, body: unknown}>}
 */
async function change(path) {
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'Authorization': `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: '{}',
    });
    const body = await response.json();
    if (response.ok) return { ok: true, text: '', body };
    /** @type {Problem} */
    const problem = body;
    if (response.status === 401) {
      return { ok: false, text: 'The token is of another run; open the link that the lab printed.', body };
    }
    return { ok: false, text: [problem.detail, ...(problem.mistakes ?? [])].join(' — '), body };
  } catch {
    return { ok: false, text: 'The lab does not answer.', body: null };
  }
}

/**
 * @param {string} node `balancer/internal`
 * @param {Act} act
 */
export async function operate(node, act) {
  const path = node.split('/').map(encodeURIComponent).join('/');
  const { ok, text } = await change(`/api/nodes/${path}/${act}`);
  return ok ? `${node}: ${act} asked for` : `${node}: ${text}`;
}

/** Reads scenario and zones again. */
export async function reload() {
  const { ok, text, body } = await change('/api/reload');
  if (!ok) return text;
  const { generation, changed, warnings } = /** @type {Reloaded} */ (body);
  const what = changed.length ? `changed ${changed.join(', ')}` : 'nothing changed';
  return [`generation ${generation}: ${what}`, ...warnings].join('; warning: ');
}
