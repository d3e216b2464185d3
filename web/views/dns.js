// @ts-check
// The page DNS: what a client would get, what was answered, and from which zones.

/** @import {Context, State} from '../main.js' */

import { h } from '../dom.js';
import { Queries } from './queries.js';
import { Resolve } from './resolve.js';
import { Zones } from './zones.js';

/** @type {{resolve: Resolve, queries: Queries, zones: Zones} | null} */
let parts = null;

/** @param {HTMLElement} root @param {Context} context */
export function mount(root, context) {
  parts = { resolve: new Resolve(root, context), queries: new Queries(root, context), zones: new Zones(root, context) };
}

/** @param {State} state */
export function draw(state) {
  parts?.resolve.draw(state);
  parts?.queries.draw(state);
  parts?.zones.draw(state);
}

export function unmount() {
  parts = null;
}
