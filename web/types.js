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
 * @property {number} oldest_us
 * @property {number} oldest_seq
 * @property {'live' | 'virtual'} mode
 * @property {boolean} read_only
 * @property {number | null} ready_us
 * @property {number | null} began_us
 * @property {number | null} ends_us
 * @property {number | null} ended_us
 * @property {string | null} ended_why
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
 * @property {Expectation[]} expectations
 * @property {Rates} rates
 * @property {Zone[]} zones
 */

/**
 * @typedef {object} Place
 * @property {string} file
 * @property {number} line
 * @property {number} column
 */

/**
 * @typedef {object} Timeline
 * @property {number} from_us
 * @property {number} to_us
 * @property {number} oldest_us
 * @property {number} at_us
 * @property {number | null} ready_us
 * @property {number | null} began_us
 * @property {number | null} ended_us
 * @property {number | null} ends_us
 * @property {FaultBand[]} faults
 * @property {RestBand[]} rests
 * @property {PlayedStep[]} steps
 * @property {Ticks[]} expectations
 * @property {LaneMarks[]} lanes
 * @property {TimelineRates} rates
 */

/** @typedef {{id: number, target: string, text: string, from_us: number, to_us: number | null, lifted: boolean}} FaultBand */
/** @typedef {{node: string, act: string, from_us: number, to_us: number | null}} RestBand */
/**
 * @typedef {object} PlayedStep
 * @property {number} index
 * @property {number | null} at_us
 * @property {number | null} ended_us
 * @property {string} text
 * @property {Place | null} place
 * @property {'waiting' | 'playing' | 'done' | 'failed'} state
 */
/** @typedef {{at_us: number, state: Standing, text: string}} Tick */
/** @typedef {{index: number, text: string, place: Place | null, state: Standing, ticks: Tick[]}} Ticks */
/** @typedef {'ok' | 'notice' | 'bad'} Gravity */
/** @typedef {{seq: number, at_us: number, node: string, kind: string, text: string, severity: Gravity, request: number | null}} Mark */
/** @typedef {'scenario' | 'dns' | 'balancers' | 'proxies' | 'agents' | 'users'} Lane */
/** @typedef {{lane: Lane, marks: Mark[], more: number}} LaneMarks */
/** @typedef {{step_us: number, from_us: number, dns: number[], flows: number[], failures: number[]}} TimelineRates */

/**
 * @typedef {object} Why
 * @property {string} node
 * @property {string} title
 * @property {string} outcome
 * @property {boolean} ok
 * @property {number | null} number
 * @property {Decision[]} steps
 */

/**
 * @typedef {object} Decision
 * @property {'ask' | 'view' | 'record' | 'door' | 'instance' | 'service' | 'tunnel' | 'resource'} stage
 * @property {string | null} node
 * @property {string} text
 * @property {string} why
 * @property {Place | null} place
 * @property {number | null} at_us
 * @property {number | null} took_us
 * @property {number | null} seq
 * @property {boolean} ok
 */

/**
 * @typedef {object} Request
 * @property {string} node
 * @property {number} number
 * @property {number} began_us
 * @property {number | null} ended_us
 * @property {string} outcome
 * @property {boolean | null} ok
 * @property {Hop[]} hops
 */

/** @typedef {{node: string, text: string, why: string | null, from_us: number, to_us: number | null, seq: number}} Hop */

/** @typedef {Query & {place: Place | null, dig: string}} QueryRow */
/** @typedef {{queries: QueryRow[], matched: number, held: number}} Queries */
/** @typedef {{node: string[], act: Act, sentences: string[], severity: Gravity}} Consequences */

/** @typedef {'waiting' | 'holding' | 'met' | 'failed' | 'inconclusive'} Standing */

/**
 * @typedef {object} Expectation
 * @property {number} index
 * @property {string} text
 * @property {Place | null} place
 * @property {Standing} state
 * @property {boolean} settled
 * @property {number} evidence
 * @property {string | null} why
 * @property {string} measured
 * @property {number | null} at_us
 */

/**
 * @typedef {object} Rates
 * @property {number} step_us
 * @property {number} at_us
 * @property {number[]} dns
 * @property {Record<string, number[]>} flows
 * @property {Record<string, number[]>} failures
 * @property {Record<string, (number | null)[]>} latency_p95_us
 * @property {Record<string, number[]>} backends
 */

/**
 * @typedef {object} Zone
 * @property {string} view
 * @property {string} origin
 * @property {string | null} file
 * @property {number | null} serial
 * @property {number} records
 * @property {number} generation
 */

/**
 * @typedef {object} Check
 * @property {number} at_us
 * @property {boolean} ok
 * @property {string} text
 * @property {number | null} took_us
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
 * @property {number | null} took_us
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
 * @property {Admin} admin
 * @property {number | null} connect_p50_us
 * @property {number | null} connect_p95_us
 * @property {number} bytes_up
 * @property {number} bytes_down
 * @property {Check[]} checks
 */

/**
 * @typedef {object} Proxy
 * @property {string} name
 * @property {string} listen
 * @property {Admin} admin
 * @property {number} tunnels
 * @property {number} active
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
 * @property {number} [column]
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
 *   | {kind: 'run_began', ends_us: number}
 *   | {kind: 'step_began', step: number}
 *   | {kind: 'step_ended', step: number}
 *   | {kind: 'run_ended', why: string}
 *   | {kind: 'resolved', client: string, name: string, rtype: string, cached: boolean,
 *      rcode: string, ttl_seconds: number, answer: string[]}
 *   | {kind: 'roamed', network: string, address: string}
 *   | {kind: 'finding', id: string, detail: string}
 *   | {kind: 'dns_forwarded', view: string, result: string, count: number, waited_us: number}
 *   | {kind: 'dns_counted', view: string | null, rule: string | null, rcode: string, count: number}
 *   | {kind: 'dns_answered', client: string, asker: string | null, subnet: string | null,
 *      transport: string, name: string, rtype: string, view: string | null, rule: string | null,
 *      rcode: string, answer: string[], why: string, took_us: number | null}
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
 *   | {kind: 'checked', proxy: string, took_us: number, error: string | null, untold: number}
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

/** @typedef {{network: string, client: string, name: string, view: string | null, answer: string[], door: string | null, allowed: boolean, address: string | null}} Way */

/**
 * @typedef {object} Moved
 * @property {string} node
 * @property {Way} from
 * @property {Way} to
 * @property {string[]} changes
 * @property {string[]} expectations
 * @property {string} text
 */

/** @typedef {QueryRow} Asked */
/** @typedef {{id: number, text: string}} FaultSet */
/** @typedef {{lifted: number}} Lifted */
/** @typedef {{text: string | null}} Refusal */

/**
 * @typedef {object} Given
 * @property {string | null} certificate
 * @property {string | null} key
 * @property {string} user
 * @property {string} from
 * @property {string} dns
 * @property {string} proxy
 * @property {[string, string][]} moved
 */

/** The columns of each table, by its name. @typedef {Record<string, string[]>} Tables */

/**
 * @typedef {object} ResolveAs
 * @property {string} as
 * @property {string} name
 * @property {string} type
 * @property {'udp' | 'tcp'} transport
 * @property {string | null} subnet
 */

/**
 * @typedef {object} Resolution
 * @property {string} client
 * @property {string} destination
 * @property {string | null} chosen
 * @property {string} why
 * @property {string} dig
 * @property {ViewAnswer[]} views
 * @property {string[]} same
 * @property {string | null} scope
 */

/**
 * @typedef {object} ViewAnswer
 * @property {string} view
 * @property {boolean} chosen
 * @property {string | null} rule
 * @property {{rule: string, matched: boolean, why: string}[]} tried
 * @property {string} rcode
 * @property {boolean} authoritative
 * @property {Rec[]} answer
 * @property {Rec[]} authority
 * @property {Rec[]} additional
 * @property {string} step
 * @property {string | null} extended_error
 * @property {boolean} differs
 */

/**
 * @typedef {object} Rec
 * @property {string} text
 * @property {string} owner
 * @property {number} ttl
 * @property {string} rtype
 * @property {string} data
 * @property {Place | null} place
 * @property {boolean} differs
 */

/** @typedef {{view: string | null, name: string, rtype: string, before: string[], after: string[]}} Change */

/**
 * @typedef {object} Preview
 * @property {string[]} mistakes
 * @property {string[]} warnings
 * @property {{ipv4: string, ipv6: string}} share
 * @property {string[]} changed
 * @property {{prefixes: string[], prefixes_more: number, changes: Change[], more: number}[]} groups
 * @property {number} more
 * @property {string | null} refused_by_limit
 */

/**
 * @typedef {object} Found
 * @property {string} id
 * @property {string} severity
 * @property {string | null} node
 * @property {string} detail
 * @property {string} cure
 * @property {Place | null} place
 * @property {string} text
 */

/**
 * @typedef {object} Scenario
 * @property {string} id
 * @property {string} name
 * @property {string | null} file
 * @property {string} question
 * @property {string} lesson
 * @property {number} steps
 * @property {number} expectations
 * @property {number | null} duration_us
 * @property {Found[]} findings
 */

/**
 * @typedef {object} Run
 * @property {string} id
 * @property {string} scenario
 * @property {'virtual' | 'live'} mode
 * @property {'running' | 'ended' | 'stopped'} state
 * @property {number} progress
 * @property {number} at_us
 * @property {string | null} outcome
 * @property {Expectation[]} verdicts
 * @property {number} seed
 */

/**
 * @typedef {object} Scenarios
 * @property {{name: string, file: string | null, embedded: boolean}} current
 * @property {Scenario[]} scenarios
 * @property {Run[]} runs
 */

/**
 * @typedef {object} FaultWord
 * @property {string} word
 * @property {string} title
 * @property {string} text
 * @property {string[]} targets
 * @property {{unit: string, min: number, max: number, step: number, default: number, required: boolean} | null} by
 * @property {string[] | null} to
 * @property {number} duration_default_us
 */

/** @typedef {{words: FaultWord[]}} Catalogue */

/**
 * @typedef {object} Bundle
 * @property {'twodoors.bundle/1'} schema
 * @property {{name: string, mode: 'live' | 'virtual', seed: number, scenario: string | null, started_unix_us: number | null}} run
 * @property {Scenario | null} [about] what its scenario says and what check finds; not in older files
 * @property {Timeline} timeline
 * @property {Snapshot[]} snapshots
 * @property {Fact[]} facts
 * @property {number} facts_more
 * @property {Record<string, Why>} whys at the end
 * @property {Record<string, {at_us: number, why: Why}[]>} [earlier] at the states before; not in older files
 * @property {Request[]} visits
 * @property {string[]} [left_out] what of the run is not in here; not in older files
 * @property {unknown} report
 */

export {};
