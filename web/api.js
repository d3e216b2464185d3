// @ts-check
// Speaks HTTP to the lab: the token, and one question at a time. The stream is in source.js.

/** The token of the link that the lab printed, kept for this tab only. */
let token = stored();

function stored() {
  try {
    return sessionStorage.getItem('token');
  } catch {
    return null;
  }
}

/** Takes the token out of the address, so that it is neither seen nor shared by mistake. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get('t');
  if (!given) return;
  token = given;
  sessionStorage.setItem('token', given);
  history.replaceState(null, '', location.pathname + location.search);
}

/** Whether a token is there, without which nothing can be changed. */
export function hasToken() {
  return token !== null;
}

/** What every change brings. */
export function headers() {
  return { 'Authorization': `Bearer ${token}`, 'Content-Type': 'application/json' };
}

/** The lab refused: its sentence for people. */
export class Refused extends Error {
  /** @param {string} detail @param {number} status */
  constructor(detail, status) {
    super(detail);
    this.status = status;
  }
}

/**
 * Asks for JSON; throws `Refused` with the lab's sentence, and status 0 when nobody answers.
 * @param {string} path
 * @param {object} [body] makes it a POST, which only reads and so brings no token
 * @returns {Promise<any>}
 */
export async function ask(path, body) {
  let response;
  try {
    response = await fetch(path, body === undefined ? {}
      : { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  } catch {
    throw new Refused('The lab does not answer.', 0);
  }
  const said = await response.json().catch(() => null);
  if (!response.ok || said === null) {
    throw new Refused(said?.detail ?? `The lab answered ${response.status}.`, response.status);
  }
  return said;
}
