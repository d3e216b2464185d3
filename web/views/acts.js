// @ts-check
// Questions before something is changed: first what will break, then whether, then the act.

/** @import {Act} from '../types.js' */

import * as calls from '../calls.js';
import { h } from '../dom.js';
import { plural, visible } from '../format.js';
import { failure } from './forms.js';

/**
 * Shows a dialog that asks the lab something and then the person. `consider` gives what to show and
 * whether it can be done; `act` does it and gives null, or what to show instead.
 * @param {string} title
 * @param {string} word of the button that does it
 * @param {() => Promise<{parts: (Node | null)[], possible: boolean}>} consider
 * @param {() => Promise<Node | null>} act
 */
export async function ask(title, word, consider, act) {
  const body = h('div', { class: 'considered', 'aria-live': 'polite' }, h('p', { class: 'quiet' }, 'Asking the lab…'));
  const cancel = h('button', { type: 'button' }, 'Cancel');
  const go = h('button', { type: 'button', class: 'main', disabled: true }, word);
  const heading = h('h2', { id: 'ask-title' }, title);
  const dialog = h('dialog', { class: 'ask', 'aria-labelledby': 'ask-title' }, heading, body, h('footer', {}, cancel, go));
  cancel.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => dialog.remove());
  go.addEventListener('click', async () => {
    go.disabled = true;
    const instead = await act();
    if (instead === null) dialog.close();
    else body.replaceChildren(instead);
  });
  document.body.append(dialog);
  dialog.showModal();
  const { parts, possible } = await consider();
  body.replaceChildren(...parts.filter((part) => part !== null));
  go.disabled = !possible;
  if (possible && document.activeElement === cancel) go.focus();
}

/**
 * Acts on nodes, one after the other, once it is known what that breaks.
 * @param {string[]} nodes
 * @param {Act} act
 * @param {(text: string) => void} done
 */
export function askAct(nodes, act, done) {
  const word = `${act[0]?.toUpperCase()}${act.slice(1)}`;
  const whom = visible(nodes.join(', '));
  return ask(`${word} ${nodes.length === 1 ? whom : plural(nodes.length, 'node')}?`, word, async () => {
    const said = await calls.consequences(nodes, act);
    if (!said.ok) return { parts: [failure(said)], possible: false };
    const { sentences, severity } = said.body;
    const parts = [nodes.length === 1 ? null : h('p', { class: 'mono quiet' }, whom),
      h('ul', { class: `consequences is-${severity}` }, ...sentences.map((sentence) => h('li', {}, visible(sentence))))];
    return { parts, possible: true };
  }, async () => {
    const failed = [];
    for (const node of nodes) {
      const said = await calls.operate(node, act);
      if (!said.ok) failed.push(`${node}: ${said.text}`);
    }
    done(failed.length ? '' : `${whom}: ${act} asked for.`);
    return failed.length ? failure({ text: 'Not all was done.', mistakes: failed }) : null;
  });
}
