// @ts-check
// What is not there at first: the stylesheet that the front page does without. Modules come by
// `import()` where they are needed; a report has all of it inside.

import { h } from './dom.js';
import { embedded } from './router.js';

/** @type {Promise<void> | null} */
let coming = null;

/** Waits until the rules for what comes later are in force; a failure may be tried again. */
export function styled() {
  if (embedded) return Promise.resolve();
  coming ??= new Promise((resolve, reject) => {
    const link = h('link', { rel: 'stylesheet', href: '/pages.css' });
    link.addEventListener('load', () => resolve());
    link.addEventListener('error', () => {
      coming = null;
      link.remove();
      reject(new Error('/pages.css did not come'));
    });
    document.head.append(link);
  });
  return coming;
}
