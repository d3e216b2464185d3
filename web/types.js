// @ts-check
// The shapes of the wire, field for field as src/http/api.rs writes them.
// Spans and instants are whole microseconds, instants since the start of the lab.

/** @typedef {'ready' | 'draining' | 'drained' | 'stopped'} Admin */
/** @typedef {'up' | 'rising' | 'falling' | 'down' | 'unknown'} Health */
/** @typedef {'find' | 'launch' | 'ping' | 'tunnel' | 'visit'} Purpose */
/** @typedef {'agents' | 'users'} Role */
/** @typedef {'stop' | 'start' | 'drain' | 'kill'} Act */

/**
 * @typedef {object} Snapshot
 * @property {string} run
 * @property {string} name
 * @property {number} at_us
 * @property {number} seq
 * @property {number | null} ready_us
 * @property {number} generation
 * @property {string[]} reload_mistakes
 * @property {Mesh} mesh
 * @property {Network[]} networks
 * @property {Dns} dns
 * @property {Balancer[]} balancers
 * @property {Proxy[]} proxies
 * @property {Agent[]} agents
 * @property {User[]} users
 * @property {Finding[]} findings
 * @property {Fault[]} faults
 */

/**
 * @typedef {object} Mesh
 * @property {number} now
 * @property {number} full
 * @property {number | null} complete_after_us
 */

/**
 * @typedef {object} Network
 * @property {string} name
 * @property {string[]} ranges
 * @property {string | null} view
 */

/**
 * @typedef {object} Dns
 * @property {View[]} views
 * @property {Answers[]} answers
 * @property {Query[]} queries
 */

/**
 * @typedef {object} View
 * @property {string} name
 * @property {string[]} rules
 * @property {number} answers
 */

/**
 * @typedef {object} Answers
 * @property {string | null} view
 * @property {string | null} rule
 * @property {string} rcode
 * @property {number} count
 */

/**
 * @typedef {object} Query
 * @property {number} seq
 * @property {number} at_us
 * @property {string} client
 * @property {string | null} asker
 * @property {string | null} subnet
 * @property {string} transport
 * @property {string} name
 * @property {string} rtype
 * @property {string | null} view
 * @property {string | null} rule
 * @property {string} rcode
 * @property {string[]} answer
 * @property {string} why
 */

/**
 * @typedef {object} Balancer
 * @property {string} name
 * @property {string[]} listen
 * @property {string | null} network
 * @property {Role | null} meant_for
 * @property {Admin} admin
 * @property {number} open
 * @property {number} opened
 * @property {number} refused
 * @property {number} no_backend
 * @property {number} bytes_up
 * @property {number} bytes_down
 * @property {NetworkCount[]} networks
 * @property {Use[]} uses
 * @property {Backend[]} backends
 */

/**
 * @typedef {object} NetworkCount
 * @property {string | null} network
 * @property {number} opened
 * @property {number} refused
 */

/**
 * @typedef {object} Use
 * @property {Purpose} purpose
 * @property {string} network
 * @property {number} count
 */

/**
 * @typedef {object} Backend
 * @property {string} proxy
 * @property {Health} health
 * @property {number} since_us
 * @property {string} cause
 * @property {number} open
 * @property {number} total
 * @property {number} failed
 */

/**
 * @typedef {object} Proxy
 * @property {string} name
 * @property {string} listen
 * @property {Admin} admin
 * @property {number} tunnels
 * @property {number} routed
 * @property {number} no_tunnel
 * @property {number} cut
 * @property {number} refused
 */

/**
 * @typedef {object} Agent
 * @property {string} name
 * @property {string} network
 * @property {string} address
 * @property {string[]} apps
 * @property {Admin} admin
 * @property {Tunnel[]} tunnels
 * @property {Failures[]} failures
 * @property {Failures[]} causes
 * @property {number} cut
 * @property {string | null} last_error
 */

/**
 * @typedef {object} Tunnel
 * @property {string} proxy
 * @property {boolean} up
 * @property {number | null} since_us
 * @property {string | null} balancer
 * @property {number} made
 * @property {number | null} gap_us
 * @property {number | null} after_rise_us
 * @property {string | null} verified
 */

/**
 * @typedef {object} Failures
 * @property {string} reason
 * @property {number} count
 */

/**
 * @typedef {object} User
 * @property {string} name
 * @property {string} network
 * @property {string} address
 * @property {string[]} visits
 * @property {Admin} admin
 * @property {number} answered
 * @property {Failures[]} failures
 * @property {DoorCount[]} doors
 * @property {Visit | null} last
 * @property {string | null} last_error
 */

/**
 * @typedef {object} DoorCount
 * @property {string} balancer
 * @property {number} count
 */

/**
 * @typedef {object} Visit
 * @property {number} request
 * @property {string} app
 * @property {string | null} balancer
 * @property {string | null} proxy
 * @property {string | null} agent
 * @property {number} status
 * @property {number} bytes
 * @property {number} took_us
 */

/**
 * @typedef {object} Finding
 * @property {string} id
 * @property {string} severity
 * @property {string} node
 * @property {string} detail
 * @property {number} at_us
 */

/**
 * @typedef {object} Fault
 * @property {number} id
 * @property {string} text
 * @property {string} word
 * @property {string} target
 * @property {number} since_us
 * @property {number | null} until_us
 */

/**
 * @typedef {object} Faults
 * @property {Fault[]} faults
 */

/**
 * @typedef {object} Overflow
 * @property {number} seq
 */

/**
 * @typedef {object} Reloaded
 * @property {number} generation
 * @property {string[]} changed
 * @property {string[]} warnings
 */

/**
 * @typedef {object} Operated
 * @property {string} node
 * @property {Act} act
 */

/**
 * @typedef {object} Problem
 * @property {'about:blank'} type
 * @property {string} title
 * @property {number} status
 * @property {string} detail
 * @property {string[]} [mistakes]
 */

/**
 * What every fact has.
 * @typedef {object} Head
 * @property {number} seq
 * @property {number} at_us
 * @property {string} node
 * @property {string} text
 */

/** @typedef {Head & Happened} Fact */

/**
 * @typedef {{kind: 'ready'}
 *   | {kind: 'reloaded', generation: number, changed: string[]}
 *   | {kind: 'reload_refused', mistakes: string[]}
 *   | {kind: 'mesh_complete', after_us: number}
 *   | {kind: 'operated', act: Act}
 *   | {kind: 'drained'}
 *   | {kind: 'certificate_changed', names: string[]}
 *   | {kind: 'fault_set', fault: number, word: string, target: string, what: string,
 *      until_us: number | null}
 *   | {kind: 'fault_lifted', fault: number, word: string, target: string, what: string}
 *   | {kind: 'probed', expectation: number, from: string, name: string, rtype: string,
 *      view: string | null, rcode: string | null, answer: string[]}
 *   | {kind: 'run_ended', why: string}
 *   | {kind: 'resolved', client: string, name: string, rtype: string, cached: boolean,
 *      rcode: string, ttl_seconds: number, answer: string[]}
 *   | {kind: 'roamed', network: string, address: string}
 *   | {kind: 'finding', id: string, detail: string}
 *   | {kind: 'dns_counted', view: string | null, rule: string | null, rcode: string, count: number}
 *   | {kind: 'dns_answered', client: string, asker: string | null, subnet: string | null,
 *      transport: string, name: string, rtype: string, view: string | null, rule: string | null,
 *      rcode: string, answer: string[], why: string}
 *   | {kind: 'flow_opened', flow: number, client: string, network: string | null,
 *      listener: string}
 *   | {kind: 'client_refused', client: string, network: string | null, listener: string,
 *      why: 'denied' | 'draining' | 'full' | 'not_allowed' | 'stopped', rule: string | null}
 *   | {kind: 'flow_connected', flow: number, proxy: string, from: string | null,
 *      attempt: number, why: string}
 *   | {kind: 'connect_failed', flow: number, proxy: string, error: string}
 *   | {kind: 'no_backend', flow: number, tried: number}
 *   | {kind: 'flow_closed', flow: number, proxy: string | null, up: number, down: number,
 *      how: string}
 *   | {kind: 'health_changed', proxy: string, to: Health, cause: string}
 *   | {kind: 'service_chosen', conn: number, listener: string, client: string,
 *      sni: string | null, alpn: string[], service: string | null, why: string}
 *   | {kind: 'conn_refused', conn: number, client: string | null, why: string}
 *   | {kind: 'tunnel_registered', conn: number, agent: string}
 *   | {kind: 'tunnel_removed', conn: number, agent: string, why: string}
 *   | {kind: 'tunnel_offline', conn: number, agent: string, silent_us: number}
 *   | {kind: 'stand_in_registered', conn: number, name: string, resources: string[]}
 *   | {kind: 'session_begun', client: string, app: string, user: string}
 *   | {kind: 'peered', request: number, client: string, app: string, peer: string, why: string}
 *   | {kind: 'gossip_sent', tunnels: number, proxies: number}
 *   | {kind: 'routed', request: number, client: string, app: string, agent: string,
 *      conn: number, why: string}
 *   | {kind: 'no_tunnel', request: number, client: string, app: string}
 *   | {kind: 'request_ended', request: number, status: number, bytes: number, took_us: number}
 *   | {kind: 'address_found', dial: number, address: string, rule: string, cached: boolean}
 *   | {kind: 'door_used', attempt: number, purpose: Purpose, host: string, address: string,
 *      balancer: string | null, network: string}
 *   | {kind: 'claimed', dial: number, proxy: string, balancer: string | null,
 *      principal: string, tunnels: number, gap_us: number | null}
 *   | {kind: 'dial_failed', dial: number, stage: string, cause: string, error: string}
 *   | {kind: 'tunnel_lost', dial: number, proxy: string, why: string, tunnels: number}
 *   | {kind: 'backing_off', wait_us: number, step: number}
 *   | {kind: 'advised', proxy: string}
 *   | {kind: 'proxies_known', known: number, why: string}
 *   | {kind: 'stream_cut', app: string, why: string}
 *   | {kind: 'pinged', attempt: number, asked: string, web: string}
 *   | {kind: 'redirected', request: number, app: string, to: string}
 *   | {kind: 'visit_answered', request: number, app: string, balancer: string | null,
 *      network: string, proxy: string | null, agent: string | null, status: number,
 *      bytes: number, took_us: number}
 *   | {kind: 'visit_failed', request: number, app: string, balancer: string | null,
 *      reason: string, error: string}} Happened
 */

export {};
