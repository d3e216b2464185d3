#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks the one output that it is about"
)]

use super::*;
use crate::model::addr::ListenAddr;
use crate::model::fact::{Act, Cut, Purpose};
use crate::model::teleport::{self, ConnType, FIND_CACHE, KEEP_ALIVE, ListenerMode, Strategy};
use crate::policy::address::Document;
use crate::policy::alpn;
use crate::policy::principals::{Shown, ShownKind};
use crate::policy::testing::{Bench, topology};

const DOOR: &str = "127.10.0.2:3080";

/// The heartbeat of a mesh.
fn beat(dial: DialId) -> Output {
    Output::Heartbeat {
        dial,
        proxies: Vec::new(),
    }
}

fn started() -> Bench<Agent> {
    let mut bench = Bench::new(Agent::new(0, &"orders".into()));
    bench.feed(Input::Operate(Act::Start));
    bench
}

fn shown(proxy: &str) -> Shown {
    Shown {
        kind: ShownKind::HostCertificate,
        key_id: String::new(),
        principals: vec![
            format!("{proxy}.example"),
            String::from("proxy.example.com"),
        ],
        ca_known: true,
        signature_valid: true,
        valid_after: 0,
        valid_before: 100,
        critical_options: Vec::new(),
        role: None,
    }
}

fn document() -> Document {
    Document {
        tls_routing: true,
        public_addr: String::from("proxy.example.com:3080"),
        web_listen_addr: String::from("0.0.0.0:3080"),
        ..Document::default()
    }
}

/// Wakes until an attempt begins and brings it to its dial.
fn dialled(bench: &mut Bench<Agent>) -> DialId {
    loop {
        for output in bench.wake().outputs {
            match output {
                Output::Find { dial, .. } => {
                    let out = bench.feed(Input::FindAnswered {
                        dial,
                        document: document().into(),
                    });
                    assert!(matches!(out.outputs[..], [Output::Dial { .. }]), "{out:?}");
                    return dial;
                }
                Output::Dial { dial, .. } => return dial,
                _ => {}
            }
        }
    }
}

/// Brings a dial to a proxy up to its tunnel, or to its refusal.
fn reach(bench: &mut Bench<Agent>, dial: DialId, proxy: &str) -> Outbox<Output> {
    let out = bench.feed(Input::HostKeyShown {
        dial,
        shown: shown(proxy),
        unix_seconds: 50,
    });
    match &out.outputs[..] {
        [Output::AcceptHostKey] => {
            let address = ListenAddr(DOOR.parse().unwrap());
            bench.feed(Input::TunnelUp { dial, address })
        }
        [Output::RefuseHostKey { why }] => {
            let error = why.clone();
            bench.feed(Input::Failed {
                dial,
                stage: Stage::Ssh,
                cause: Cause::Ssh,
                error,
            })
        }
        other => panic!("{other:?}"),
    }
}

fn gossip(bench: &mut Bench<Agent>, dial: DialId, proxies: &[&str]) {
    let proxies = proxies.iter().map(|id| Name::from(*id)).collect();
    bench.feed(Input::Gossip { dial, proxies });
}

/// An agent with tunnels to all three proxies, made by the dials 1, 2 and 3.
fn meshed() -> Bench<Agent> {
    let mut bench = started();
    for (n, proxy) in ["proxy-id-1", "proxy-id-2", "proxy-id-3"]
        .into_iter()
        .enumerate()
    {
        let dial = dialled(&mut bench);
        reach(&mut bench, dial, proxy);
        if n == 0 {
            gossip(
                &mut bench,
                dial,
                &["proxy-id-1", "proxy-id-2", "proxy-id-3"],
            );
        }
    }
    bench
}

#[test]
fn an_agent_at_rest_is_small() {
    assert!(size_of::<Agent>() <= 192, "{}", size_of::<Agent>());
}

#[test]
fn the_first_attempt_asks_find_at_the_proxy_server() {
    let mut bench = started();
    let out = bench.wake();
    let seed = bench.topology.agents[0].proxy_server.clone();
    assert_eq!(
        out.outputs,
        [Output::Find {
            dial: DialId(1),
            seed
        }]
    );
}

#[test]
fn a_tunnel_is_claimed_inside_the_handshake_and_beats_at_once() {
    let mut bench = started();
    let dial = dialled(&mut bench);
    let out = reach(&mut bench, dial, "proxy-id-1");
    assert_eq!(out.outputs, [beat(dial)]);
    let claimed = out.facts.iter().any(|fact| {
        matches!(fact, Kind::Claimed { proxy, balancer: Some(door), .. }
            if &**proxy == "1" && &**door == "internal")
    });
    assert!(claimed, "{out:?}");
}

#[test]
fn a_second_tunnel_to_the_same_proxy_is_refused_and_counted_as_a_claim() {
    let mut bench = started();
    let dial = dialled(&mut bench);
    reach(&mut bench, dial, "proxy-id-1");
    gossip(&mut bench, dial, &["proxy-id-1", "proxy-id-2"]);
    let dial = dialled(&mut bench);
    let out = reach(&mut bench, dial, "proxy-id-1");
    let refused = out.facts.iter().any(|fact| {
        matches!(fact, Kind::DialFailed { stage: Stage::Claim, error, .. }
            if error == "proxy already claimed")
    });
    assert!(refused, "{out:?}");
    let dial = dialled(&mut bench);
    assert_eq!(reach(&mut bench, dial, "proxy-id-2").outputs, [beat(dial)]);
}

#[test]
fn a_wrong_principal_is_refused_in_the_words_of_the_reference() {
    let mut bench = started();
    let dial = dialled(&mut bench);
    let mut wrong = shown("proxy-id-1");
    wrong.principals.retain(|name| name != "proxy.example.com");
    let out = bench.feed(Input::HostKeyShown {
        dial,
        shown: wrong,
        unix_seconds: 50,
    });
    let [Output::RefuseHostKey { why }] = &out.outputs[..] else {
        panic!("{out:?}")
    };
    assert!(why.contains("not in the set of valid principals"), "{why}");
}

/// Goes on until a heartbeat is due, with gossip as often as proxies send it.
fn rest(bench: &mut Bench<Agent>) {
    loop {
        match bench.machine.deadline() {
            Some((_, "heartbeat")) => return,
            Some((at, "end of gossip")) => {
                bench.now = Time::from_us(at.as_us() - 1);
                gossip(
                    bench,
                    DialId(1),
                    &["proxy-id-1", "proxy-id-2", "proxy-id-3"],
                );
            }
            Some(_) => assert!(bench.wake().outputs.is_empty(), "an agent at rest dials"),
            None => panic!("it never wants to be woken"),
        }
    }
}

#[test]
fn a_full_mesh_rests_until_a_heartbeat_is_due() {
    let mut bench = meshed();
    rest(&mut bench);
    let out = bench.wake();
    assert!(
        out.outputs
            .iter()
            .all(|o| matches!(o, Output::Heartbeat { .. })),
        "{out:?}"
    );
    assert!(bench.now >= Time::ZERO + KEEP_ALIVE);
}

#[test]
fn when_gossip_ends_altogether_a_lease_is_granted_as_if_nothing_were_known() {
    let mut bench = meshed();
    let mut known = None;
    let dialled = loop {
        let out = bench.wake();
        known = known.or_else(|| {
            out.facts.iter().find_map(|fact| match fact {
                Kind::ProxiesKnown { known, .. } => Some(*known),
                _ => None,
            })
        });
        if out
            .outputs
            .iter()
            .any(|o| matches!(o, Output::Find { .. } | Output::Dial { .. }))
        {
            break bench.now;
        }
    };
    assert_eq!(known, Some(0));
    assert!(dialled >= Time::ZERO + Span::from_secs(180), "{dialled}");
}

#[test]
fn an_answer_to_find_is_used_again_for_three_seconds() {
    let mut bench = started();
    let dial = dialled(&mut bench);
    reach(&mut bench, dial, "proxy-id-1");
    gossip(
        &mut bench,
        dial,
        &["proxy-id-1", "proxy-id-2", "proxy-id-3"],
    );
    let out = bench.wake();
    assert!(matches!(out.outputs[..], [Output::Dial { .. }]), "{out:?}");
    reach(&mut bench, DialId(2), "proxy-id-2");
    bench.pass(FIND_CACHE);
    let out = bench.wake();
    assert!(matches!(out.outputs[..], [Output::Find { .. }]), "{out:?}");
}

#[test]
fn a_tunnel_lost_after_a_long_life_is_redialled_at_the_next_poll_and_the_gap_is_told() {
    let mut bench = meshed();
    rest(&mut bench);
    bench.pass(Span::from_secs(60));
    gossip(
        &mut bench,
        DialId(1),
        &["proxy-id-1", "proxy-id-2", "proxy-id-3"],
    );
    let lost = bench.now;
    bench.feed(Input::TunnelClosed {
        dial: DialId(2),
        why: String::from("reset"),
    });
    let dial = dialled(&mut bench);
    assert!(
        bench.now.since(lost) <= LEASE_POLL,
        "{}",
        bench.now.since(lost)
    );
    bench.pass(Span::from_ms(10));
    let out = reach(&mut bench, dial, "proxy-id-2");
    let gap = out.facts.iter().find_map(|fact| match fact {
        Kind::Claimed { gap, .. } => *gap,
        _ => None,
    });
    assert_eq!(gap, Some(bench.now.since(lost)));
}

#[test]
fn an_advised_tunnel_takes_no_more_streams_and_closes_after_the_last() {
    let mut bench = meshed();
    let dial = DialId(1);
    let ask = || Input::StreamAsked {
        dial,
        kind: ConnType::App,
        app: "orders".into(),
    };
    assert_eq!(
        bench.feed(ask()).outputs,
        [Output::Serve {
            kind: ConnType::App,
            place: 0
        }]
    );
    assert!(bench.feed(Input::Advised { dial }).outputs.is_empty());
    let refused = bench.feed(ask()).outputs;
    let why = String::from("agent connection is draining");
    assert_eq!(refused, [Output::RefuseStream { why }]);
    assert_eq!(
        bench.feed(Input::StreamEnded { dial }).outputs,
        [Output::Close { dial }]
    );
}

#[test]
fn the_replacement_of_an_advised_tunnel_may_stand_before_it_ends() {
    let mut bench = meshed();
    bench.feed(Input::StreamAsked {
        dial: DialId(1),
        kind: ConnType::App,
        app: "orders".into(),
    });
    bench.feed(Input::Advised { dial: DialId(1) });
    let dial = dialled(&mut bench);
    assert_eq!(reach(&mut bench, dial, "proxy-id-1").outputs, [beat(dial)]);
}

#[test]
fn a_stopped_agent_does_nothing_and_a_started_one_begins_anew() {
    let mut bench = meshed();
    let out = bench.feed(Input::Operate(Act::Stop));
    assert_eq!(out.outputs, [Output::CutAll { how: Cut::Finish }]);
    assert_eq!(
        out.facts
            .iter()
            .filter(|f| matches!(f, Kind::TunnelLost { .. }))
            .count(),
        3
    );
    assert_eq!(bench.machine.deadline(), None);
    bench.feed(Input::Operate(Act::Start));
    let dial = dialled(&mut bench);
    assert_eq!(reach(&mut bench, dial, "proxy-id-3").outputs, [beat(dial)]);
}

#[test]
fn a_late_result_of_an_attempt_that_was_given_up_changes_nothing() {
    let mut bench = started();
    let dial = dialled(&mut bench);
    bench.feed(Input::Operate(Act::Stop));
    let address = ListenAddr(DOOR.parse().unwrap());
    let out = bench.feed(Input::TunnelUp { dial, address });
    assert_eq!(out.outputs, [Output::Close { dial }]);
    assert!(out.facts.is_empty());
}

#[test]
fn an_agent_sent_through_the_users_door_is_a_finding_once() {
    let mut bench = Bench::new(Agent::new(1, &"kiosk".into()));
    bench.feed(Input::Operate(Act::Start));
    let dial = dialled(&mut bench);
    let mut findings = |address: &str| {
        let input = Input::Connected {
            dial,
            purpose: Purpose::Tunnel,
            host: String::from("proxy.example.com"),
            address: ListenAddr(address.parse().unwrap()),
        };
        let facts = bench.feed(input).facts;
        facts
            .iter()
            .filter(|fact| matches!(fact, Kind::Finding { .. }))
            .count()
    };
    assert_eq!(findings(DOOR), 0, "the door meant for agents is none");
    assert_eq!(findings("127.20.0.2:3080"), 1);
    assert_eq!(findings("127.20.0.2:3080"), 0);
}

#[test]
fn a_thousand_agents_of_one_seed_spread_their_waits() {
    let topology = topology();
    let mut waits: Vec<u64> = (0..1_000)
        .map(|n| {
            let mut backoff = Backoff::default();
            let entity = format!("agent/a{n}");
            let mut last = Span::ZERO;
            for _ in 0..9 {
                last = backoff.wait(
                    teleport::Backoff::Teleport,
                    Time::ZERO,
                    topology.seed,
                    &entity,
                );
                backoff.elapsed();
            }
            last.as_us()
        })
        .collect();
    waits.sort_unstable();
    let (low, high) = (waits[50], waits[950]);
    assert!(
        low < 4_300_000 && high > 7_700_000,
        "uniform in [4 s, 8 s): {low} {high}"
    );
}

#[test]
fn an_answer_to_find_that_comes_after_a_drain_dials_nothing() {
    let mut bench = started();
    let outputs = bench.wake().outputs;
    let [Output::Find { dial, .. }] = outputs[..] else {
        panic!("{outputs:?}")
    };
    bench.feed(Input::Operate(Act::Drain));
    let out = bench.feed(Input::FindAnswered {
        dial,
        document: document().into(),
    });
    assert!(out.outputs.is_empty() && out.facts.is_empty(), "{out:?}");
}

/// Starts the first agent of a lab that was changed so.
fn started_in(change: impl FnOnce(&mut topology::Topology)) -> Bench<Agent> {
    let mut bench = Bench::new(Agent::new(0, &"orders".into()));
    change(&mut bench.topology);
    bench.feed(Input::Operate(Act::Start));
    bench
}

/// Wakes until find is asked, and answers with this.
fn answered(bench: &mut Bench<Agent>, document: Document) -> Outbox<Output> {
    loop {
        for output in bench.wake().outputs {
            if let Output::Find { dial, .. } = output {
                let document = document.into();
                return bench.feed(Input::FindAnswered { dial, document });
            }
        }
    }
}

fn failure(out: &Outbox<Output>) -> Option<(Stage, Cause, String)> {
    out.facts.iter().find_map(|fact| match fact {
        Kind::DialFailed {
            stage,
            cause,
            error,
            ..
        } => Some((*stage, *cause, error.clone())),
        _ => None,
    })
}

#[test]
fn the_variable_decides_and_its_host_is_the_name_that_is_verified() {
    let mut bench = started_in(|topology| {
        topology.agents[0].tunnel_public_addr = Some("internal.example.com:3080".into());
    });
    let out = answered(&mut bench, document());
    let [Output::Dial { dial, address, .. }] = &out.outputs[..] else {
        panic!("{out:?}")
    };
    assert_eq!(address.to_string(), "internal.example.com:3080");
    let refused = reach(&mut bench, *dial, "proxy-id-1");
    let (_, cause, error) = failure(&refused).unwrap();
    assert_eq!(cause, Cause::Principal);
    assert!(
        error.contains("ssh: principal \"internal.example.com\""),
        "{error}"
    );
}

#[test]
fn a_variable_without_a_port_is_a_failure_of_its_own_kind() {
    let mut bench = started_in(|topology| {
        topology.agents[0].tunnel_public_addr = Some("internal.example.com".into());
    });
    let out = answered(&mut bench, document());
    assert!(out.outputs.is_empty(), "{out:?}");
    let (stage, cause, error) = failure(&out).unwrap();
    assert_eq!((stage, cause), (Stage::Connect, Cause::NoPort));
    assert!(error.ends_with("missing port in address"), "{error}");
}

#[test]
fn what_is_offered_follows_from_what_find_says_and_the_strategy() {
    let separate = || Document {
        tls_routing: false,
        tunnel_public_addr: String::from("tunnel.example.com:3024"),
        ..document()
    };
    let dialled = |peering: bool, document: Document| {
        let mut bench = started_in(|topology| {
            topology.pool.teleport.mode = ListenerMode::Multiplex;
            if peering {
                topology.pool.teleport.strategy = Strategy::ProxyPeering { connections: 1 };
            }
        });
        match answered(&mut bench, document).outputs.pop() {
            Some(Output::Dial { address, alpn, .. }) => (address.to_string(), alpn.to_vec()),
            other => panic!("{other:?}"),
        }
    };
    let web = String::from("proxy.example.com:3080");
    let raw = String::from("tunnel.example.com:3024");
    assert_eq!(
        dialled(false, document()),
        (web.clone(), vec![alpn::REVERSE_TUNNEL])
    );
    let both = vec![alpn::REVERSE_TUNNEL_V2, alpn::REVERSE_TUNNEL];
    assert_eq!(dialled(true, document()), (web, both));
    assert_eq!(dialled(true, separate()), (raw, Vec::new()));
}

#[test]
fn with_find_cache_0_find_is_asked_before_every_dial() {
    let mut bench = started_in(|topology| topology.agents[0].find_cache = Span::ZERO);
    let dial = dialled(&mut bench);
    reach(&mut bench, dial, "proxy-id-1");
    gossip(&mut bench, dial, &["proxy-id-1", "proxy-id-2"]);
    let out = bench.wake();
    assert!(matches!(out.outputs[..], [Output::Find { .. }]), "{out:?}");
}

#[test]
fn with_peering_it_holds_so_many_tunnels_and_tells_whom_it_is_attached_to() {
    let mut bench = started_in(|topology| {
        topology.pool.teleport.strategy = Strategy::ProxyPeering { connections: 2 };
    });
    let ids = ["proxy-id-1", "proxy-id-2", "proxy-id-3"];
    let first = dialled(&mut bench);
    reach(&mut bench, first, ids[2]);
    gossip(&mut bench, first, &ids);
    let second = dialled(&mut bench);
    let told = |dial, ids: &[&str]| Output::Heartbeat {
        dial,
        proxies: ids.iter().map(|id| Name::from(*id)).collect(),
    };
    let both = [ids[2], ids[0]];
    assert_eq!(
        reach(&mut bench, second, ids[0]).outputs,
        [told(first, &both), told(second, &both)]
    );
    assert_eq!(bench.machine.attached().count(), 2);
    rest(&mut bench);
    let why = String::from("reset");
    let out = bench.feed(Input::TunnelClosed { dial: first, why });
    assert_eq!(out.outputs, [told(second, &ids[..1])]);
}

#[test]
fn heartbeats_come_as_often_as_the_pool_says() {
    let often = Span::from_secs(20);
    let mut bench = started_in(|topology| topology.pool.teleport.keep_alive = often);
    let dial = dialled(&mut bench);
    reach(&mut bench, dial, "proxy-id-1");
    gossip(&mut bench, dial, &["proxy-id-1"]);
    let began = bench.now;
    rest(&mut bench);
    assert_eq!(bench.wake().outputs, [beat(dial)]);
    assert_eq!(bench.now.since(began), often);
}

#[test]
fn a_database_is_served_by_its_own_name_and_kind() {
    let mut bench = meshed();
    let orders = |name: &str| topology::Database {
        name: name.into(),
        protocol: "postgres".into(),
        target: None,
    };
    bench.topology.agents[0].databases = vec![orders("other"), orders("ledger")];
    let dial = DialId(1);
    let mut ask = |kind, app: &str| {
        let app = app.into();
        bench.feed(Input::StreamAsked { dial, kind, app }).outputs
    };
    let kind = ConnType::Db;
    assert_eq!(ask(kind, "ledger"), [Output::Serve { kind, place: 1 }]);
    let why = String::from("this agent serves no database \"orders\"");
    assert_eq!(ask(kind, "orders"), [Output::RefuseStream { why }]);
    let why = String::from("this agent serves no app \"ledger\"");
    assert_eq!(ask(ConnType::App, "ledger"), [Output::RefuseStream { why }]);
}

#[test]
fn waits_are_of_the_agents_own_kind() {
    let wait = Span::from_ms(700);
    let mut bench = started_in(|topology| {
        topology.agents[0].backoff = teleport::Backoff::Fixed { wait };
    });
    let dial = dialled(&mut bench);
    let out = reach(&mut bench, dial, "proxy-id-1");
    let waits = out.facts.iter().filter_map(|fact| match fact {
        Kind::BackingOff { wait, .. } => Some(*wait),
        _ => None,
    });
    assert_eq!(waits.collect::<Vec<_>>(), [wait]);
}
