// @ts-check
// The latest DNS answers, with the view and the rule that matched.

/** @import {Query, Snapshot} from '../types.js' */

import { byId, rows } from '../dom.js';
import { instant, visible } from '../format.js';
import { cell, laneOfView, nodeLink, pill, plain } from './parts.js';

/** @param {Snapshot} lab @param {string} filter */
export function drawDns(lab, filter) {
  const terms = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const newest = [...lab.dns.queries].reverse();
  const shown = newest.filter((query) => {
    const text = words(query).toLowerCase();
    return terms.every((term) => text.includes(term));
  });
  byId('dns-none').hidden = newest.length > 0;
  rows(byId('dns-rows'), shown, ({ seq }) => String(seq), (query) => {
    const { asker, subnet } = query;
    const client = query.client.replace(/:\d+$/, '');
    return [
      plain(instant(query.at_us), 'n mono quiet'),
      cell('client', () => [asker === null ? client : nodeLink(asker, asker), ' ',
        asker === null ? null : client, subnet === null ? null : ` for ${subnet}`]),
      plain(`${visible(query.name)} ${visible(query.rtype)}`, 'mono wrap'),
      cell('view', () => [query.view === null ? 'none' : pill(query.view, laneOfView(lab, query.view))]),
      plain(visible(query.rule ?? 'none'), ''),
      plain(visible(query.answer.length ? query.answer.join(', ') : query.rcode), 'mono wrap'),
      plain(visible(query.why), 'quiet wrap'),
    ];
  }, (query) => ({ class: laneOfView(lab, query.view) }));
}

/** @param {Query} query */
function words(query) {
  return [query.client, query.asker, query.subnet, query.name, query.rtype, query.view, query.rule,
    query.rcode, ...query.answer, query.why].join(' ');
}
