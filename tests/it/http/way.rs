//! The way of dials and visits, of a run in virtual time whose every fact is known.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::Value;
use twodoors::http::api::bundle::Bundle;
use twodoors::http::api::consequences::Consequences;
use twodoors::http::api::queries::{FIELDS, Queries, Wanted};
use twodoors::http::api::tables::{TABLES, Table};
use twodoors::http::api::way::{Request, Why};
use twodoors::http::filter::Filter;
use twodoors::http::source::Source;
use twodoors::journal::Journal;
use twodoors::lab::load::load;
use twodoors::model::fact::{Act, Fact};
use twodoors::model::id::{Node, Seq};
use twodoors::scenario::embedded;
use twodoors::sim;

/// Plays the embedded example and shows it.
fn played() -> Source {
    let path = Path::new(embedded::SCENARIO);
    let loaded = load(path, &embedded::FILES).unwrap();
    let topology = Arc::new(loaded.topology);
    let journal = Journal::new(&topology);
    let reload = || load(path, &embedded::FILES).map(|loaded| loaded.rules);
    let mut observe = |fact: &Fact, _: &_| {
        journal.add(fact.at, &fact.node, [fact.kind.clone()]);
        ControlFlow::Continue(())
    };
    let rules = loaded.rules.with_topology(Arc::clone(&topology));
    let options = sim::Options::new(&reload);
    sim::run(&topology, rules.clone(), options, &mut observe);
    Source {
        rules: Some(Arc::new(ArcSwap::from_pointee(rules))),
        places: Arc::new(loaded.places),
        ..Source::of(journal, topology)
    }
}

fn clients(source: &Source) -> Vec<(Node, String)> {
    let agents = source.topology.agents.iter();
    let agents = agents.map(|agent| (Node::Agent(agent.name.clone()), &agent.network));
    let users = source.topology.users.iter();
    let users = users.map(|user| (Node::User(user.name.clone()), &user.network));
    agents
        .chain(users)
        .map(|(node, network)| (node, network.to_string()))
        .collect()
}

#[test]
fn everybody_is_told_by_which_door_and_why() {
    let source = played();
    let state = source.journal.snapshot();
    for (node, network) in clients(&source) {
        let why = Why::new(&source, &state, &node).unwrap();
        assert!(why.ok, "{why:#?}");
        let step = |stage: &str| {
            let found = why.steps.iter().find(|step| step.stage == stage);
            found.unwrap_or_else(|| panic!("no {stage}: {why:#?}"))
        };
        let stages = [
            "ask", "view", "record", "door", "instance", "service", "tunnel",
        ];
        let places: Vec<usize> = stages
            .iter()
            .map(|stage| {
                why.steps
                    .iter()
                    .position(|step| step.stage == *stage)
                    .unwrap()
            })
            .collect();
        assert!(places.is_sorted(), "{why:#?}");
        assert_eq!(step("door").node, Some(format!("balancer/{network}")));
        let view = if network == "internal" {
            "private"
        } else {
            "public"
        };
        assert_eq!(step("view").node, Some(format!("view/{view}")));
        for stage in ["ask", "view", "record", "door"] {
            assert!(step(stage).place.is_some(), "{stage}: {why:#?}");
        }
        let record = step("record").place.clone().unwrap();
        assert!(record.file.contains(view), "{record:?}");
    }
    assert!(Why::new(&source, &state, &Node::User("nobody".into())).is_none());
}

#[test]
fn a_visit_is_told_whole_and_no_fact_belongs_to_two() {
    let source = played();
    let mut taken = BTreeSet::new();
    let mut told = 0;
    for user in &source.topology.users {
        let node = Node::User(user.name.clone());
        for number in 1.. {
            let Some(request) = Request::new(&source, &node, number) else {
                break;
            };
            told += 1;
            let by: Vec<&str> = request
                .hops
                .iter()
                .map(|hop| hop.node.split('/').next().unwrap())
                .collect();
            for room in ["dns", "balancer", "proxy", "user"] {
                assert!(by.contains(&room), "no {room}: {request:#?}");
            }
            let ended = request.ended_us.unwrap();
            for hop in &request.hops {
                assert!(taken.insert(hop.seq), "twice: {request:#?}");
                let to = hop.to_us.unwrap();
                assert!(
                    request.began_us <= hop.from_us && hop.from_us <= to,
                    "{request:#?}"
                );
                assert!(to <= ended + 500_000, "{request:#?}");
            }
        }
    }
    assert!(told > 30, "{told}");
    // The twin: with another's address nothing that doors and instances say is found.
    let mut topology = (*source.topology).clone();
    topology.users[0].address = "192.0.2.1".parse().unwrap();
    let twin = Source {
        topology: Arc::new(topology),
        ..source
    };
    let node = Node::User(twin.topology.users[0].name.clone());
    let request = Request::new(&twin, &node, 1).unwrap();
    let elsewhere = request
        .hops
        .iter()
        .any(|hop| hop.node.starts_with("proxy/"));
    assert!(!elsewhere, "{request:#?}");
}

#[test]
fn every_dial_that_made_a_tunnel_is_told_with_its_registration() {
    let source = played();
    for agent in &source.topology.agents {
        let node = Node::Agent(agent.name.clone());
        let mut tunnels = 0;
        for number in 1.. {
            let Some(request) = Request::new(&source, &node, number) else {
                break;
            };
            if request.ok == Some(true) {
                tunnels += 1;
                let registered = |text: &String| text.contains("registered");
                let texts = request.hops.iter().map(|hop| &hop.text);
                assert_eq!(
                    texts.filter(|text| registered(text)).count(),
                    1,
                    "{request:#?}"
                );
            }
        }
        assert!(tunnels >= 3, "{node}: {tunnels}");
    }
}

#[test]
fn the_query_log_is_filtered_and_paged() {
    let source = played();
    let ask = |filter: &str, limit, before, after| {
        let wanted = Wanted {
            filter: Filter::read(filter, FIELDS).unwrap(),
            limit,
            before,
            after,
        };
        Queries::new(&source, &wanted)
    };
    let all = ask("", 2_000, None, None);
    assert_eq!((all.queries.len(), all.matched), (all.held, all.held));
    let orders = ask("asker:agent/orders view=private", 2_000, None, None);
    assert!(!orders.queries.is_empty() && orders.matched < all.matched);
    for row in &orders.queries {
        assert_eq!(row.query.asker.as_deref(), Some("agent/orders"));
        assert!(
            row.place.as_ref().unwrap().file.contains("private"),
            "{row:?}"
        );
        assert!(
            row.dig
                .contains(row.query.client.split(':').next().unwrap())
        );
    }
    let first = ask("", 3, None, None).queries;
    let oldest = Seq(first.last().unwrap().query.seq);
    let next = ask("", 3, Some(oldest), None).queries;
    assert!(next.iter().all(|row| row.query.seq < oldest.0));
    let newer = ask("", 3, None, Some(oldest)).queries;
    let seqs = |rows: &[twodoors::http::api::queries::QueryRow]| -> Vec<u64> {
        rows.iter().map(|row| row.query.seq).collect()
    };
    assert_eq!(seqs(&newer), seqs(&first)[..2]);
}

#[test]
fn what_an_act_breaks_is_said_before_it_is_done() {
    let source = played();
    let state = source.journal.snapshot();
    let say = |nodes: &[Node], act| {
        let told = Consequences::new(&state, nodes, act);
        (told.severity, told.sentences.join("\n"))
    };
    let proxy = |name: &str| Node::Proxy(name.into());
    let (severity, one) = say(&[proxy("1")], Act::Stop);
    assert_eq!(severity, "notice", "{one}");
    assert!(
        one.contains("4 tunnels of") && one.contains("2 instances left"),
        "{one}"
    );
    let (severity, all) = say(&[proxy("1"), proxy("2"), proxy("3")], Act::Stop);
    assert_eq!(severity, "bad");
    assert!(
        all.contains("no instance left") && all.contains("no tunnel left"),
        "{all}"
    );
    let (severity, drained) = say(&[proxy("1")], Act::Drain);
    assert!(
        severity != "bad" && drained.contains("nothing is cut at once"),
        "{drained}"
    );
    let door = Node::Balancer("internal".into());
    let (severity, gone) = say(std::slice::from_ref(&door), Act::Kill);
    assert_eq!(severity, "bad");
    assert!(gone.contains("go through it"), "{gone}");
    assert!(!gone.contains("nobody gets"), "{gone}");
    let both = [door, Node::Balancer("external".into())];
    assert!(say(&both, Act::Kill).1.contains("nobody gets to the pool"));
    let (severity, agent) = say(&[Node::Agent("orders".into())], Act::Stop);
    assert_eq!(severity, "bad");
    assert!(agent.contains("orders cannot be reached"), "{agent}");
    let (severity, start) = say(&[proxy("1")], Act::Start);
    assert_eq!(
        (severity, &*start),
        ("ok", "proxy/1 works already: nothing changes")
    );
}

#[test]
fn every_table_has_the_same_rows_in_both_forms() {
    let source = played();
    let moment = source.journal.now();
    for name in TABLES {
        let table = Table::new(name, &moment, &source).unwrap();
        let rows: Vec<serde_json::Map<String, Value>> =
            serde_json::from_str(&table.json()).unwrap();
        let csv = table.csv();
        let head = csv.split("\r\n").next().unwrap();
        if let Some(first) = rows.first() {
            let mut columns: Vec<&str> = head.split(',').collect();
            columns.sort_unstable();
            let mut own: Vec<&str> = first.keys().map(String::as_str).collect();
            own.sort_unstable();
            assert_eq!(columns, own, "{name}");
        }
        let scalar = |value: &Value| !value.is_array() && !value.is_object();
        assert!(
            rows.iter().flat_map(|row| row.values()).all(scalar),
            "{name}"
        );
        let empty = matches!(*name, "faults" | "steps");
        assert_eq!(rows.is_empty(), empty, "{name}");
    }
    assert!(Table::new("nothing", &moment, &source).is_none());
}

#[test]
fn a_bundle_holds_the_run_and_is_bounded() {
    let source = played();
    let bundle = serde_json::to_value(Bundle::new(&source, None)).unwrap();
    let count = |key: &str| bundle[key].as_array().unwrap().len();
    assert!(count("snapshots") > 50 && count("snapshots") <= 300);
    assert!(count("facts") <= 20_000);
    assert!(count("visits") > 30 && count("visits") <= 200);
    assert_eq!(
        bundle["whys"].as_object().unwrap().len(),
        clients(&source).len()
    );
    let states = bundle["snapshots"].as_array().unwrap();
    let instants: Vec<u64> = states
        .iter()
        .map(|s| s["at_us"].as_u64().unwrap())
        .collect();
    assert!(instants.is_sorted());
    assert_eq!(instants[0], 0);
    assert_eq!(
        *instants.last().unwrap(),
        source.journal.now().state.at.as_us()
    );
    // Between two states there is never a large part of the run.
    let widest = instants.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(widest < Some(5_000_000), "{widest:?}");
    let ticks = bundle["timeline"]["expectations"]
        .as_array()
        .unwrap()
        .iter();
    let ticks = ticks.flat_map(|one| one["ticks"].as_array().unwrap());
    let turned: Vec<u64> = ticks.map(|tick| tick["at_us"].as_u64().unwrap()).collect();
    assert!(!turned.is_empty());
    let facts = source.journal.after(Seq(0), usize::MAX).facts;
    for at in turned {
        let last = facts.iter().rev().find(|fact| fact.at.as_us() <= at);
        let last = last.unwrap().at.as_us();
        assert!(instants.contains(&last), "no state at a turn, {at}");
    }
}

#[test]
fn a_bundle_tells_why_at_each_of_its_states() {
    let source = played();
    let bundle = serde_json::to_value(Bundle::new(&source, None)).unwrap();
    let earlier = bundle["earlier"].as_object().unwrap();
    assert_eq!(earlier.len(), clients(&source).len());
    let mut changes = 0;
    for (node, told) in earlier {
        let told = told.as_array().unwrap();
        changes += told.len();
        let instants = told.iter().map(|one| one["at_us"].as_u64().unwrap());
        assert!(instants.is_sorted());
        for one in told {
            let ended = one["why"]["steps"].as_array().unwrap().iter();
            let last = ended.filter_map(|step| step["at_us"].as_u64()).max();
            let at = one["at_us"].as_u64().unwrap();
            assert!(last <= Some(at + 500_000), "{node} knew too early: {one}");
        }
        // Its last one is that of the end.
        assert_eq!(
            told.last().unwrap()["why"]["number"],
            bundle["whys"][node]["number"]
        );
    }
    assert!(changes > earlier.len() * 3, "{changes}");
}

#[test]
fn what_a_bundle_leaves_out_is_said_and_nothing_else() {
    let source = played();
    let whole = Bundle::new(&source, None);
    let said = |bundle: &Bundle, word: &str| {
        let mut said = bundle.left_out.iter();
        said.any(|text| text.contains(word))
    };
    assert!(
        !said(&whole, "let it go") && !said(&whole, "facts"),
        "{:?}",
        whole.left_out
    );
    // The same run, of which little is held.
    let facts = source.journal.after(Seq(0), usize::MAX).facts;
    let few = Journal::keeping(&source.topology, 400);
    for fact in &facts {
        few.add(fact.at, &fact.node, [fact.kind.clone()]);
    }
    let cut = Bundle::new(
        &Source {
            journal: few,
            ..source
        },
        None,
    );
    assert!(
        said(&cut, "the journal had let it go"),
        "{:?}",
        cut.left_out
    );
    assert!(cut.snapshots[0].at_us > 0);
    // Packed it is the same, and a fraction of it.
    let text = serde_json::to_string(&whole).unwrap();
    let packed = whole.packed().unwrap();
    assert!(
        packed.len() * 20 < text.len(),
        "{} of {}",
        packed.len(),
        text.len()
    );
    let mut again = String::new();
    let mut unpacker = flate2::read::GzDecoder::new(&packed[..]);
    std::io::Read::read_to_string(&mut unpacker, &mut again).unwrap();
    assert_eq!(again, text);
}
