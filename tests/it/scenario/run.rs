//! Timelines and expectations as they are resolved: values, not only messages.

use std::path::Path;

use twodoors::model::expect::{Check, Metric, Who};
use twodoors::model::fact::Act;
use twodoors::model::fault::Fault;
use twodoors::model::id::{FaultId, Node};
use twodoors::model::mistake::Files;
use twodoors::model::time::Span;
use twodoors::model::timeline::{Begin, Step, What};
use twodoors::model::topology::Topology;
use twodoors::policy::faults::Faults;
use twodoors::scenario::files::Disk;
use twodoors::scenario::{embedded, fault, load};

/// The embedded scenario without what it says of its own run, and with more at its end.
struct Longer<'a>(&'a str);

impl Files for Longer<'_> {
    fn read(&self, path: &Path) -> Result<String, String> {
        let text = embedded::FILES.read(path)?;
        let text = text.split("\nduration:").next().unwrap_or_default();
        let more = if path == Path::new(embedded::SCENARIO) {
            self.0
        } else {
            ""
        };
        Ok(format!("{text}\n{more}"))
    }
}

fn with(more: &str) -> Topology {
    let loaded = load(Path::new(embedded::SCENARIO), &Longer(more));
    loaded
        .unwrap_or_else(|unsound| panic!("{more}: {:?}", unsound.mistakes))
        .topology
}

/// The fixture that says everything.
fn everything() -> Topology {
    let path = Path::new(super::FIXTURES).join("valid/run.yaml");
    load(&path, &Disk).expect("it is sound").topology
}

#[test]
fn a_run_lasts_as_long_as_its_timeline_and_half_a_minute_more() {
    let step = |steps: &str| format!("timeline: [{steps}]");
    for (more, seconds) in [
        (String::new(), 60),
        (String::from("duration: 5m"), 300),
        (step("{at: 30s, do: stop, target: proxy/1, for: 10s}"), 70),
        (step("{at: 30s, do: stop, target: proxy/1}"), 60),
        (step("{do: wait, for: 10s}, {after: 5s, do: reload}"), 45),
        (step("{at: 50s, do: reload}, {at: 5s, do: reload}"), 80),
        // A state is taken to be waited for a minute.
        (step("{when: mesh, after: 5s, do: reload}"), 95),
        (
            step("{at: 5s, every: 10s, until: 40s, do: stop, target: proxy/1, for: 5s}"),
            75,
        ),
        (
            step("{at: 5s, parallel: [{do: wait, for: 10s}, {after: 6s, do: wait, for: 7s}]}"),
            48,
        ),
    ] {
        let topology = with(&more);
        assert_eq!(topology.duration, Span::from_secs(seconds), "{more}");
    }
}

#[test]
fn steps_are_what_they_say() {
    let topology = with(
        "timeline:\n  \
         - {when: balancer/internal sees proxy/2 down, after: 5s, do: kill, target: agent/wiki, for: 20s}\n  \
         - {at: 30s, every: 10s, until: 60s, do: reset_peer, target: balancer/external}",
    );
    let [kill, reset] = &topology.timeline[..] else {
        panic!("{:?}", topology.timeline);
    };
    let Begin::When(condition, after) = &kill.begin else {
        panic!("{kill:?}");
    };
    assert_eq!(condition.to_string(), "balancer/internal sees proxy/2 down");
    assert_eq!(*after, Span::from_secs(5));
    let node = Node::Agent("wiki".into());
    let act = Act::Kill;
    assert_eq!(kill.what, What::Act { node, act });
    assert_eq!(kill.lasts, Some(Span::from_secs(20)));
    assert_eq!(&*kill.text, "kill agent/wiki for 20s");
    assert_eq!(reset.begin, Begin::At(Span::from_secs(30)));
    let repeat = reset.repeat.expect("it repeats");
    assert_eq!(repeat.every, Span::from_secs(10));
    assert_eq!(repeat.until, Some(Span::from_secs(60)));
}

#[test]
fn conditions_and_faults_are_shown_as_they_are_read() {
    let topology = everything();
    let (mut conditions, mut faults) = (0, 0);
    for step in &topology.timeline {
        if let Begin::When(condition, _) = &step.begin {
            let more = format!("timeline: [{{when: {condition}, do: reload}}]");
            let more = more.replace("agent/branch-7", "agent/wiki");
            let again = with(&more);
            let Begin::When(read, _) = &again.timeline[0].begin else {
                panic!("{more}");
            };
            let shown = condition.to_string().replace("branch-7", "wiki");
            assert_eq!(read.to_string(), shown);
            conditions += 1;
        }
        if let What::Fault(Fault { target, effect }) = &step.what {
            let shown = effect.to_string();
            let mut words = shown.split(' ');
            let word = words.next().expect("a word");
            let dose = words.next_back();
            let (by, to) = match (word, dose) {
                ("view_flip", to) => (None, to),
                // `5m00s` is a duration, too.
                (_, by) => (by, None),
            };
            let read = fault::parse(&topology, word, &target.to_string(), by, to);
            assert_eq!(
                read.map(|fault| fault.to_string()),
                Ok(format!("{shown} on {target}"))
            );
            faults += 1;
        }
    }
    assert_eq!((conditions, faults), (5, 16));
}

#[test]
fn who_comes_back_to_a_network_has_the_address_of_before() {
    let topology = everything();
    let olga = topology.users.iter().find(|user| &*user.name == "olga");
    let home = olga.expect("she is there").address;
    let roams = topology.roams();
    let there: Vec<_> = roams.iter().take(3).map(|roam| roam.address).collect();
    assert_eq!(there[1], home);
    assert_eq!(there[0], there[2]);
    assert_ne!(there[0], home);
    for address in there {
        let node = Some(Node::User("olga".into()));
        assert_eq!(topology.client_at(address), node);
    }
}

#[test]
fn a_fault_between_a_resolver_and_the_dns_server_acts_on_that_resolver() {
    let topology = everything();
    let drop = fault::parse(&topology, "drop", "resolver/corp <-> dns", None, None);
    let faults = Faults::default().with(FaultId(1), drop.expect("it can act there"));
    let resolver = topology.resolver("corp").expect("it is there").listen.ip();
    let other = topology.agents[0].address;
    assert!(faults.answering(&topology, resolver, None).dropped);
    assert!(!faults.answering(&topology, other, None).dropped);
}

#[test]
fn expectations_keep_their_place_their_evidence_and_their_window() {
    let topology = everything();
    let last = topology.expect.last().expect("there are some");
    assert_eq!((last.place.line, last.place.column), (82, 5));
    assert_eq!(last.after, Span::from_secs(30));
    assert_eq!(last.before, Some(Span::from_secs(60)));
    assert_eq!((last.evidence, last.abort), (10, true));
    let who = Who::Users(Some("external".into()));
    let balancer = "external".into();
    let uses = true;
    let door = Check::Door {
        who,
        balancer,
        uses,
    };
    assert_eq!(last.check, door);
    let failed = topology.expect.iter().find_map(|expectation| {
        let Check::Metric { metric, bound } = &expectation.check else {
            return None;
        };
        matches!(metric, Metric::RequestsFailed { reason: None }).then_some(bound.below)
    });
    assert_eq!(failed, Some(Some(0.01)));
    let asked = topology.expect.iter().filter_map(|expectation| {
        let Check::Answer(answer) = &expectation.check else {
            return None;
        };
        Some(answer.from)
    });
    let asked: Vec<_> = asked.collect();
    // From a network asks nobody's address, from an agent its own.
    assert_eq!(topology.client_at(asked[0]), None);
    let orders = Some(Node::Agent("orders".into()));
    assert_eq!(topology.client_at(asked[1]), orders);
}

#[test]
fn parallel_steps_begin_with_the_whole_or_so_much_later() {
    let topology = everything();
    let Some(Step {
        what: What::Parallel(steps),
        ..
    }) = topology.timeline.last()
    else {
        panic!("{:?}", topology.timeline.last());
    };
    let begins: Vec<_> = steps.iter().map(|step| step.begin.clone()).collect();
    let later = Begin::Then(Span::from_secs(5));
    assert_eq!(begins, [Begin::Then(Span::ZERO), later]);
}
