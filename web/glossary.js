// @ts-check
// The words of the lab, told on hover and on focus of any element with `data-term`, which `term` in
// views/parts.js makes. They come when all is drawn.

import { h, say, set } from './dom.js';

/** @type {Record<string, string>} */
const TERMS = {
  view: 'DNS view: a set of zones that only some clients see. The first view whose rule matches the source of a query answers it.',
  'split horizon': 'Split horizon: one name with different answers inside and outside, here one view for each network.',
  record: 'Record: a line of a zone, such as the address (A) of a name. The file and line show where it is written.',
  door: 'Door: a balancer. It listens on one address and passes each connection on to one instance of the pool behind it.',
  pool: 'Pool: the proxies behind all doors. Every door leads to the same ones.',
  instance: 'Instance: one proxy of the pool. A door chooses among those that its health checks call up.',
  principal: 'Principal: the name that an SSH host certificate was issued for. An agent accepts a proxy when the name that it dialled is among its principals, whatever the address is.',
  lease: 'Lease: the right of an agent to one tunnel at one proxy. It claims proxies until each has one; a second claim is refused.',
  ALPN: 'ALPN: what a client says in its TLS hello about the protocol that it will speak. On one port it tells agents from users.',
  service: 'Service: what a proxy does with a connection: the web page, SSH, or a reverse tunnel. Chosen by ALPN or by port.',
  tunnel: 'Reverse tunnel: a connection that an agent opens outwards and keeps. Requests travel back through it, so the agent needs no open port.',
  drain: 'Drain: nothing new is sent there; what is open may end by itself.',
  'rise and fall': 'Rise and fall: how many checks in a row must pass before an instance is up, and fail before it is down.',
  ECS: 'ECS: EDNS client subnet. A resolver that is trusted says for which client it asks, so that the view is chosen by the client.',
  misrouted: 'Misrouted: a client that goes in through the door of another network, although that door is not meant for its kind.',
  ask: 'Ask: the client looks up the name that it was configured with, from its own address.',
  resource: 'Resource: an application or database that an agent makes reachable.',
};

let begun = false;

/** Shows meanings for every element with `data-term`, and lists them all. @param {HTMLElement} list */
export function explain(list) {
  if (begun) return;
  begun = true;
  list.append(...Object.values(TERMS).flatMap((text) => {
    const [word = '', meaning = ''] = text.split(/: (.*)/s);
    return [h('dt', {}, word), h('dd', {}, meaning)];
  }));
  const tip = h('div', { id: 'meaning', class: 'meaning', role: 'tooltip', hidden: true });
  document.body.append(tip);
  /** @type {Element | null} */
  let owner = null;
  const hide = () => {
    if (owner) set(owner, { 'aria-describedby': null });
    owner = null;
    tip.hidden = true;
  };
  const show = (/** @type {EventTarget | null} */ target) => {
    if (!(target instanceof Element) || tip.contains(target)) return;
    const found = target.closest('[data-term]');
    const meaning = found && TERMS[found.getAttribute('data-term') ?? ''];
    if (!found || !meaning) return hide();
    if (found === owner) return;
    hide();
    owner = found;
    say(tip, meaning);
    tip.hidden = false;
    set(found, { 'aria-describedby': 'meaning' });
    const at = found.getBoundingClientRect();
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(innerWidth - width - 8, at.left))}px`;
    tip.style.top = `${at.bottom + height + 4 > innerHeight ? Math.max(4, at.top - height) : at.bottom}px`;
  };
  document.addEventListener('pointerover', (event) => show(event.target));
  document.addEventListener('focusin', (event) => show(event.target));
  // Who was there before the words came has not to go and come again.
  show(document.querySelector('[data-term]:hover') ?? document.activeElement);
  addEventListener('scroll', hide, { passive: true, capture: true });
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || tip.hidden) return;
    hide();
    event.preventDefault();
  }, { capture: true });
}
