//! The machine of a door, fed by hand: tables, random histories, and replays.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::model::addr::{BackendAddr, HostPort};
use crate::model::draw::Seed;
use crate::model::time::Span;
use crate::model::topology::{Algorithm, Check, Dns, Pool, Proxy, Topology};

fn topology(proxies: u8) -> Topology {
    let proxy = |n: u8| Proxy {
        name: n.to_string().into(),
        id: n.to_string().into(),
        listen: BackendAddr(([127, 0, 0, n], 3080).into()),
        further: Vec::new(),
    };
    Topology {
        name: "test".into(),
        seed: Seed(1),
        networks: Vec::new(),
        dns: Dns::new(([127, 0, 0, 1], 0).into()),
        pool: Pool {
            name: "proxies".into(),
            proxies: (1..=proxies).map(proxy).collect(),
            teleport: crate::model::teleport::ProxyService::multiplexed(
                Vec::new(),
                HostPort {
                    host: "0.0.0.0".into(),
                    port: 3080,
                },
            ),
        },
        balancers: vec![topology::Balancer {
            name: "inner".into(),
            listen: vec![listener()],
            allow: Vec::new(),
            algorithm: Algorithm::RoundRobin,
            check: Check {
                interval: Span::from_secs(2),
                timeout: Span::from_secs(1),
                rise: 2,
                fall: 3,
            },
            meant_for: None,
            timeout_connect: Span::from_secs(5),
            retries: 3,
            send_proxy: crate::model::teleport::SendProxy::V2,
        }],
        agents: Vec::new(),
        users: Vec::new(),
        resolvers: Vec::new(),
        timeline: Vec::new(),
        expect: Vec::new(),
        duration: Span::from_secs(60),
        model: topology::Model::default(),
    }
}

fn listener() -> ListenAddr {
    ListenAddr(([127, 0, 0, 99], 3080).into())
}

fn accepted() -> Input {
    Input::Accepted {
        client: ClientAddr(([127, 0, 0, 50], 5000).into()),
        listener: listener(),
    }
}

/// A door and its time.
struct Door {
    topology: Topology,
    machine: Balancer,
    now: Time,
}

impl Door {
    /// Makes a door that has not been woken yet.
    fn new(topology: Topology) -> Self {
        let machine = Balancer::new(&topology, 0);
        Self {
            topology,
            machine,
            now: Time::ZERO,
        }
    }

    /// Makes a door whose first checks have passed.
    fn ready(topology: Topology) -> Self {
        let mut door = Self::new(topology);
        for output in door.wake().outputs {
            let (check, proxy) = number_of(&output);
            door.feed(Input::Checked {
                check,
                proxy,
                error: None,
            });
        }
        door
    }

    fn feed(&mut self, input: Input) -> Outbox<Output> {
        self.call(|machine, cx, out| machine.handle(cx, input, out))
    }

    fn wake(&mut self) -> Outbox<Output> {
        self.call(Machine::wake)
    }

    fn call(
        &mut self,
        run: impl FnOnce(&mut Balancer, &Context<'_>, &mut Outbox<Output>),
    ) -> Outbox<Output> {
        let mut out = Outbox::default();
        let cx = Context {
            now: self.now,
            topology: &self.topology,
        };
        run(&mut self.machine, &cx, &mut out);
        out
    }

    /// Opens a flow and gives its number and instance.
    fn open(&mut self) -> (FlowId, u32) {
        let out = self.feed(accepted());
        let (flow, proxy) = connect_of(&out);
        self.feed(Input::Connected { flow, from: None });
        (flow, proxy)
    }

    fn operate(&mut self, act: Act) -> Outbox<Output> {
        self.feed(Input::Operated { act })
    }

    fn end(&mut self, flow: FlowId, how: Ended) -> Outbox<Output> {
        self.feed(Input::FlowEnded {
            flow,
            up: 1,
            down: 2,
            how,
        })
    }
}

fn number_of(output: &Output) -> (u64, u32) {
    let Output::Check { check, proxy, .. } = output else {
        panic!("{output:?} is not a check");
    };
    (*check, *proxy)
}

fn connect_of(out: &Outbox<Output>) -> (FlowId, u32) {
    let [Output::Connect { flow, proxy, .. }] = out.outputs[..] else {
        panic!("{out:?} asks for no connect");
    };
    (flow, proxy)
}

fn failed(flow: FlowId) -> Input {
    Input::ConnectFailed {
        flow,
        error: "connection refused".into(),
    }
}

#[test]
fn all_are_checked_at_once_and_then_spread_over_the_interval() {
    let mut door = Door::new(topology(4));
    assert_eq!(door.machine.deadline(), Some((Time::ZERO, "check")));
    assert_eq!(door.wake().outputs.len(), 4);
    assert!(door.wake().outputs.is_empty(), "early wakes do nothing");
    let mut times = Vec::new();
    for _ in 0..8 {
        let (at, _) = door.machine.deadline().unwrap();
        door.now = at;
        let outputs = door.wake().outputs;
        // None of the first is answered yet, so no second one is asked for.
        assert!(outputs.is_empty());
        times.push(at.as_us() / 1_000);
    }
    assert_eq!(times[..4], [500, 1_000, 1_500, 2_000]);
}

#[test]
fn a_check_is_asked_for_again_only_when_it_was_answered() {
    let mut door = Door::ready(topology(1));
    door.now = door.machine.deadline().unwrap().0;
    let (check, proxy) = number_of(&door.wake().outputs[0]);
    door.now += Span::from_secs(2);
    assert!(door.wake().outputs.is_empty());
    let error = None;
    door.feed(Input::Checked {
        check,
        proxy,
        error,
    });
    door.now += Span::from_secs(2);
    assert_eq!(door.wake().outputs.len(), 1);
}

#[test]
fn without_an_instance_that_is_up_a_flow_is_closed() {
    let mut door = Door::new(topology(2));
    let out = door.feed(accepted());
    let flow = FlowId(1);
    assert_eq!(out.outputs, [Output::Close { flow }]);
    assert!(matches!(out.facts[1], Kind::NoBackend { tried: 0, .. }));
    assert!(matches!(out.facts[2], Kind::FlowClosed { proxy: None, .. }));
}

#[test]
fn a_failed_connect_is_tried_at_the_next_candidate() {
    let mut door = Door::ready(topology(3));
    let (flow, proxy) = connect_of(&door.feed(accepted()));
    assert_eq!(proxy, 0);
    let (again, proxy) = connect_of(&door.feed(failed(flow)));
    assert_eq!((again, proxy), (flow, 1));
    let out = door.feed(Input::Connected { flow, from: None });
    assert_eq!(out.outputs, [Output::Relay { flow }]);
    let [
        Kind::FlowConnected {
            attempt,
            why,
            proxy,
            ..
        },
    ] = &out.facts[..]
    else {
        panic!("{out:?}");
    };
    assert_eq!((*attempt, &**proxy), (2, "2"));
    assert_eq!(why.to_string(), "next candidate");
}

#[test]
fn a_flow_is_tried_at_most_once_more_than_the_retries() {
    for (retries, expected) in [(0, 1), (1, 2), (3, 4), (9, 5)] {
        let mut topology = topology(5);
        topology.balancers[0].retries = retries;
        let mut door = Door::ready(topology);
        let mut out = door.feed(accepted());
        let mut instances = BTreeSet::new();
        while let [Output::Connect { flow, proxy, .. }] = out.outputs[..] {
            assert!(instances.insert(proxy), "each instance once");
            out = door.feed(failed(flow));
        }
        assert_eq!(instances.len(), expected, "{retries} retries");
        assert!(
            out.facts
                .iter()
                .any(|fact| matches!(fact, Kind::NoBackend { tried, .. }
            if *tried as usize == expected))
        );
    }
}

#[test]
fn a_drained_door_keeps_its_open_flows_and_takes_no_new_ones() {
    let mut door = Door::ready(topology(2));
    let (first, _) = door.open();
    let (second, _) = connect_of(&door.feed(accepted()));
    let out = door.operate(Act::Drain);
    assert_eq!(out.outputs, [Output::Unlisten]);
    assert_eq!(out.facts, [Kind::Operated { act: Act::Drain }]);
    let late = door.feed(accepted());
    assert!(matches!(late.outputs[..], [Output::Refuse { .. }]));
    let out = door.feed(Input::Connected {
        flow: second,
        from: None,
    });
    assert_eq!(out.outputs, [Output::Relay { flow: second }]);
    assert!(
        !door
            .end(first, Ended::Finished)
            .facts
            .contains(&Kind::Drained)
    );
    assert_eq!(
        door.end(second, Ended::Finished).facts.last(),
        Some(&Kind::Drained)
    );
    assert_eq!(door.operate(Act::Start).outputs, [Output::Listen]);
    door.open();
}

#[test]
fn a_door_without_flows_is_drained_at_once() {
    let mut door = Door::ready(topology(1));
    let out = door.operate(Act::Drain);
    assert_eq!(
        out.facts,
        [Kind::Operated { act: Act::Drain }, Kind::Drained]
    );
}

#[test]
fn an_act_that_changes_nothing_is_no_fact() {
    let mut door = Door::ready(topology(1));
    for (act, again) in [
        (Act::Drain, Act::Drain),
        (Act::Stop, Act::Drain),
        (Act::Start, Act::Start),
    ] {
        assert!(!door.operate(act).facts.is_empty());
        let out = door.operate(again);
        assert!(
            out.facts.is_empty() && out.outputs.is_empty(),
            "{act} {again}"
        );
    }
}

#[test]
fn a_stop_cuts_all_flows_and_forgets_the_pool() {
    let mut door = Door::ready(topology(2));
    let (open, _) = door.open();
    let (connecting, _) = connect_of(&door.feed(accepted()));
    let out = door.operate(Act::Stop);
    assert_eq!(
        out.outputs,
        [Output::Unlisten, Output::CutAll { how: Cut::Finish }]
    );
    let how = Ended::Cut;
    assert!(out.facts.contains(&Kind::FlowClosed {
        flow: connecting,
        proxy: None,
        up: 0,
        down: 0,
        how
    }));
    assert_eq!(door.machine.health(0), Some(Health::Unknown));
    assert_eq!(door.machine.deadline(), None);

    // What was on its way comes too late, and is answered once.
    for late in [
        Input::Connected {
            flow: connecting,
            from: None,
        },
        failed(connecting),
    ] {
        let out = door.feed(late);
        assert_eq!(out.outputs, [Output::Close { flow: connecting }]);
        assert!(out.facts.is_empty());
    }
    let closed = door.end(open, Ended::Cut);
    assert!(matches!(
        closed.facts[..],
        [Kind::FlowClosed { up: 1, down: 2, .. }]
    ));
    assert!(door.end(open, Ended::Cut).facts.is_empty());
}

#[test]
fn a_check_of_an_earlier_life_is_not_believed() {
    let mut door = Door::new(topology(1));
    let (check, proxy) = number_of(&door.wake().outputs[0]);
    door.operate(Act::Stop);
    door.operate(Act::Start);
    let error = None;
    assert!(
        door.feed(Input::Checked {
            check,
            proxy,
            error: error.clone()
        })
        .facts
        .is_empty()
    );
    assert_eq!(
        door.machine.deadline(),
        Some((door.now, "check")),
        "checked again at once"
    );
    let (check, proxy) = number_of(&door.wake().outputs[0]);
    let out = door.feed(Input::Checked {
        check,
        proxy,
        error,
    });
    assert!(matches!(
        out.facts[..],
        [
            Kind::Checked { error: None, .. },
            Kind::HealthChanged { .. }
        ]
    ));
}

#[test]
fn beyond_its_bound_a_door_refuses_and_says_so() {
    let mut door = Door::ready(topology(1));
    for _ in 0..FLOWS_MAX {
        door.feed(accepted());
    }
    let out = door.feed(accepted());
    assert!(matches!(out.outputs[..], [Output::Refuse { .. }]));
    let [Kind::ClientRefused { why, .. }] = &out.facts[..] else {
        panic!("{out:?}");
    };
    assert_eq!(*why, Refused::Full);
    door.end(FlowId(1), Ended::Finished);
    connect_of(&door.feed(accepted()));
}

#[test]
fn least_connections_counts_what_still_connects() {
    let mut topology = topology(3);
    topology.balancers[0].algorithm = Algorithm::LeastConnections;
    let mut door = Door::ready(topology);
    let mut proxies: Vec<u32> = (0..6)
        .map(|_| connect_of(&door.feed(accepted())).1)
        .collect();
    proxies.sort_unstable();
    assert_eq!(proxies, [0, 0, 1, 1, 2, 2]);
}

/// One call of a recorded history: an input, or a wake.
type Call = (Time, Option<Input>);

/// Plays a random history that a driver could bring about, and gives its calls.
fn random(case: u64, door: &mut Door, mut see: impl FnMut(&Door, &Outbox<Output>)) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut pending: Vec<Input> = Vec::new();
    let mut open: Vec<FlowId> = Vec::new();
    for n in 0..400 {
        let draw = |what, of: usize| {
            let value = Seed(case).draw("history", what, n) % of.max(1) as u64;
            usize::try_from(value).unwrap()
        };
        door.now += Span::from_ms(draw("time", 300) as u64);
        let input = match draw("what", 10) {
            0..4 => Some(accepted()),
            4..7 if !pending.is_empty() => Some(pending.remove(draw("which", pending.len()))),
            7 if !open.is_empty() => Some(Input::FlowEnded {
                flow: open.remove(draw("which", open.len())),
                up: 1,
                down: 1,
                how: Ended::Finished,
            }),
            8 if draw("act", 8) < 3 => Some(Input::Operated {
                act: [Act::Drain, Act::Start, Act::Stop][draw("act", 8)],
            }),
            _ => None,
        };
        let out = match input.clone() {
            Some(input) => door.feed(input),
            None => door.wake(),
        };
        calls.push((door.now, input));
        for output in &out.outputs {
            let fails = draw("fails", 3) == 0;
            match *output {
                Output::Check { check, proxy, .. } => pending.push(Input::Checked {
                    check,
                    proxy,
                    error: fails.then(|| "connection refused".into()),
                }),
                Output::Connect { flow, .. } if fails => pending.push(failed(flow)),
                Output::Connect { flow, .. } => pending.push(Input::Connected { flow, from: None }),
                Output::Relay { flow } => open.push(flow),
                Output::CutAll { .. } => {
                    pending.extend(open.drain(..).map(|flow| Input::FlowEnded {
                        flow,
                        up: 0,
                        down: 0,
                        how: Ended::Cut,
                    }));
                }
                Output::Close { .. }
                | Output::Listen
                | Output::Refuse { .. }
                | Output::Unlisten => {}
            }
        }
        see(door, &out);
    }
    calls
}

#[test]
fn in_any_history_each_flow_is_opened_once_and_closed_once() {
    let mut flows = 0;
    for case in 0..60 {
        let mut open = BTreeSet::new();
        let mut seen = 0;
        random(case, &mut Door::new(topology(3)), |door, out| {
            for fact in &out.facts {
                if let Kind::FlowOpened { flow, .. } = fact {
                    seen += 1;
                    assert_eq!(flow.0, seen, "numbered in order");
                    assert!(open.insert(*flow));
                } else if let Kind::FlowClosed { flow, .. } = fact {
                    assert!(open.remove(flow), "{flow} was open");
                } else if *fact == Kind::Drained {
                    assert!(open.is_empty());
                }
            }
            assert_eq!(door.machine.flows.len(), open.len());
            let counted: u32 = door.machine.open.iter().sum();
            assert_eq!(counted as usize, open.len());
        });
        flows += seen;
    }
    assert!(flows > 2_000, "{flows} flows are too few to mean something");
}

#[test]
fn the_same_history_gives_the_same_outputs_and_facts() {
    for case in 0..20 {
        let mut first = Vec::new();
        let calls = random(case, &mut Door::new(topology(3)), |_, out| {
            first.push(format!("{out:?}"));
        });
        let mut door = Door::new(topology(3));
        let again = calls.into_iter().map(|(now, input)| {
            door.now = now;
            let out = match input {
                Some(input) => door.feed(input),
                None => door.wake(),
            };
            format!("{out:?}")
        });
        assert_eq!(first, again.collect::<Vec<_>>(), "case {case}");
    }
}

#[test]
fn of_many_checks_in_a_second_a_bounded_sample_is_told_and_the_rest_counted() {
    let mut door = Door::new(topology(50));
    let (mut since_told, mut a_second) = ([0u64; 50], BTreeMap::new());
    let (mut told, mut left_out) = (0, 0);
    while told < 500 {
        for output in door.wake().outputs {
            let (check, proxy) = number_of(&output);
            let error = (proxy == 3).then(|| String::from("connection refused"));
            let out = door.feed(Input::Checked {
                check,
                proxy,
                error: error.clone(),
            });
            let Some(Kind::Checked {
                untold,
                error: said,
                ..
            }) = out.facts.first()
            else {
                since_told[proxy as usize] += 1;
                continue;
            };
            assert_eq!(*said, error);
            assert_eq!(*untold, std::mem::take(&mut since_told[proxy as usize]));
            *a_second.entry(door.now.as_us() / 1_000_000).or_insert(0) += 1;
            told += 1;
            left_out += untold;
        }
        let (due, _) = door.machine.deadline().unwrap();
        door.now = due;
    }
    assert!(left_out > 0);
    assert_eq!(a_second.values().max(), Some(&32));
}
