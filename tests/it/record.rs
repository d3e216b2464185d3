//! A live run of the whole lab, recorded: replayed, tampered with, and its answers asked again.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Edns as WireEdns;
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsOption};
use serde_json::Value;
use twodoors::cli::explain::{self, DnsArgs};
use twodoors::cli::{Exit, Io};
use twodoors::lab::record::{Difference, Recorder, Replayed, replay};
use twodoors::live::runner::Tap;
use twodoors::model::addr::ClientAddr;
use twodoors::model::draw::Seed;
use twodoors::model::fact::{Act, DnsAnswered, Fact, Health, Kind};
use twodoors::model::id::Node;
use twodoors::model::topology::Topology;
use twodoors::policy::answer::Rules;

use crate::dns::kit;
use crate::lab::Whole;

/// How long a step of the run may take: a health check falls in 6 s, and an agent that starts again
/// waits for nothing but its own backoff.
const STEP: Duration = Duration::from_secs(40);

/// How many mutated recordings are replayed.
const MUTATIONS: u64 = 300;

/// What a run left behind.
struct Run {
    recording: Vec<u8>,
    /// How many calls the recorder says that it wrote.
    calls: u64,
    facts: Vec<Arc<Fact>>,
    topology: Arc<Topology>,
    rules: Arc<Rules>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_run_of_the_whole_lab_is_what_its_machines_decided() {
    let run = record().await;

    let replayed = it_replays_to_the_same_outputs_and_facts(&run);
    println!("{replayed:?}, {} bytes", run.recording.len());
    every_fact_of_a_machine_is_in_the_recording(&run);
    let answers = explain_agrees_with_every_answer(&run);
    println!("answers by reason: {answers:?}");
    an_altered_input_is_found_with_its_line(&run);
    a_recording_that_is_not_whole_is_refused(&run);
    mutated_recordings_never_panic(&run);
}

/// Runs the lab: mesh, visits, a proxy, a door and an agent that go and come back.
async fn record() -> Run {
    let mut recorder = None;
    let whole = Whole::start(|options| {
        let file = options.path.with_extension("jsonl");
        let topology = &options.loaded.topology;
        let made = Recorder::create(&file, &options.path, &*options.files, topology).unwrap();
        let made = recorder.insert(Arc::new(made));
        Some(Arc::clone(made) as Arc<dyn Tap>)
    })
    .await;
    // Who is away when the mesh is complete visits all the same when started later.
    whole.operate("user/olga", Act::Stop).await;
    whole.mesh().await;
    let visit = |fact: &Fact| matches!(fact.kind, Kind::VisitAnswered(_));
    let since = whole.seq();
    whole.fact(("somebody visits", STEP), since, visit).await;
    whole.operate("user/olga", Act::Start).await;
    ask_dns(&whole).await;
    visited(&whole).await;

    let since = whole.seq();
    whole.operate("proxy/2", Act::Stop).await;
    let down = |fact: &Fact| matches!(&fact.kind, Kind::HealthChanged { proxy, to: Health::Down, .. } if **proxy == *"2");
    whole.fact(("a door sees it down", STEP), since, down).await;
    let since = whole.seq();
    whole.operate("proxy/2", Act::Start).await;
    let up = |fact: &Fact| matches!(&fact.kind, Kind::HealthChanged { proxy, to: Health::Up, .. } if **proxy == *"2");
    whole.fact(("a door sees it up", STEP), since, up).await;

    let since = whole.seq();
    whole.operate("balancer/external", Act::Drain).await;
    let failed = |fact: &Fact| matches!(fact.kind, Kind::VisitFailed { .. });
    whole
        .fact(("a visit finds the door closed", STEP), since, failed)
        .await;
    whole.operate("balancer/external", Act::Start).await;

    whole.operate("agent/wiki", Act::Stop).await;
    let since = whole.seq();
    whole.operate("agent/wiki", Act::Start).await;
    let claimed = |fact: &Fact| {
        fact.node == Node::Agent("wiki".into()) && matches!(fact.kind, Kind::Claimed { .. })
    };
    whole
        .fact(("the agent is back", STEP), since, claimed)
        .await;
    visited(&whole).await;

    whole.lab.stop().await;
    let calls = recorder.unwrap().finish().unwrap();
    Run {
        recording: fs::read(whole.scenario.with_extension("jsonl")).unwrap(),
        calls,
        facts: whole.facts(),
        topology: Arc::clone(whole.lab.topology()),
        rules: whole.lab.rules(),
    }
}

/// Waits until each user got a further answer.
async fn visited(whole: &Whole) {
    let answered = |s: &twodoors::snapshot::Snapshot| -> Vec<u64> {
        s.users.iter().map(|user| user.answered).collect()
    };
    let before = whole.lab.journal().ask(answered);
    let wait = ("every user is answered", STEP);
    let further = |s: &twodoors::snapshot::Snapshot| {
        let now = answered(s);
        now.iter().zip(&before).all(|(now, before)| now > before)
    };
    whole.state(wait, further).await;
}

/// Asks what agents and users do not: every step of a lookup, TCP, a client subnet.
async fn ask_dns(whole: &Whole) {
    let (inside, outside) = (whole.moved("127.10.0.9"), whole.moved("127.20.0.9"));
    let dns = whole.lab.dns();
    for from in [&inside, &outside, "127.0.0.1"] {
        for (name, record_type) in [
            ("proxy.example.com.", RecordType::A),
            ("PROXY.example.com.", RecordType::AAAA),
            ("a.b.proxy.example.com.", RecordType::A),
            ("a.proxy.example.com.", RecordType::TXT),
            ("teleport.example.com.", RecordType::A),
            ("host.lab.example.com.", RecordType::A),
            ("git.example.com.", RecordType::A),
            ("example.com.", RecordType::SOA),
            ("example.com.", RecordType::AXFR),
            ("example.com.", RecordType::Unknown(4711)),
            ("example.org.", RecordType::A),
        ] {
            let tcp = record_type == RecordType::AXFR || record_type == RecordType::SOA;
            let edns = tcp.then(|| kit::edns(1232));
            kit::ask(dns, from, &kit::query(name, record_type, edns), tcp).await;
        }
        for subnet in [whole.moved("127.10.0.0"), whole.moved("127.20.7.0")] {
            let mut edns: WireEdns = kit::edns(1232);
            let option = ClientSubnet::new(subnet.parse().unwrap(), 24, 0);
            edns.options_mut().insert(EdnsOption::Subnet(option));
            let query = kit::query("www.example.com.", RecordType::A, Some(edns));
            kit::ask(dns, from, &query, false).await;
        }
    }
}

fn it_replays_to_the_same_outputs_and_facts(run: &Run) -> Replayed {
    let replayed = replay(&*run.recording).unwrap_or_else(|difference| panic!("{difference}"));
    let kinds: Vec<_> = replayed.calls.keys().copied().collect();
    assert_eq!(kinds, ["agent", "balancer", "proxy", "user"]);
    assert_eq!(replayed.calls.values().sum::<u64>(), run.calls);
    replayed
}

/// The journal holds nothing of a machine that the recording does not, but what was measured.
fn every_fact_of_a_machine_is_in_the_recording(run: &Run) {
    if let Some(fact) = unrecorded(lines(run).skip(1), &run.facts) {
        panic!("not in the recording: {fact}");
    }
    let twin = lines(run)
        .skip(1)
        .filter(|line| !contains(line, "\"Claimed {"));
    let fact = unrecorded(twin, &run.facts).map(|fact| &fact.kind);
    assert!(matches!(fact, Some(Kind::Claimed { .. })), "{fact:?}");
}

/// Gives the first fact that a machine must have made and no call did.
fn unrecorded<'f, 'l>(
    calls: impl Iterator<Item = &'l [u8]>,
    facts: &'f [Arc<Fact>],
) -> Option<&'f Arc<Fact>> {
    let mut recorded: BTreeMap<String, VecDeque<String>> = BTreeMap::new();
    for line in calls {
        let value: Value = serde_json::from_slice(line).unwrap();
        let Some(node) = value["node"].as_str() else {
            continue;
        };
        let facts: Vec<String> = serde_json::from_value(value["facts"].clone()).unwrap();
        let of_node = recorded.entry(node.to_owned()).or_default();
        of_node.extend(facts);
    }
    facts.iter().find(|fact| {
        let text = format!("{:?}", fact.kind);
        let of_node = recorded.get_mut(&fact.node.to_string());
        let found = of_node.is_some_and(|facts| {
            let found = facts.front() == Some(&text);
            if found {
                facts.pop_front();
            }
            found
        });
        let measured = matches!(fact.kind, Kind::ConnRefused { .. } | Kind::StreamCut { .. });
        !found && !measured && !matches!(fact.node, Node::Dns | Node::Lab)
    })
}

/// Gives how many answers there were by their reason.
fn explain_agrees_with_every_answer(run: &Run) -> BTreeMap<String, u64> {
    let inside = answered(run)
        .find(|answered| answered.view.as_deref() == Some("private") && answered.subnet.is_none());
    let inside = inside.unwrap().client;
    let mut reasons = BTreeMap::new();
    for answered in answered(run) {
        assert_eq!(explained(run, answered), *answered);
        *reasons.entry(answered.why.clone()).or_default() += 1;
        // The broken twin: had it come from the other network, the answer were another.
        if &*answered.name == "proxy.example.com." && answered.rtype == "A" {
            let mut other = answered.clone();
            other.client = match answered.view.as_deref() {
                Some("private") => ClientAddr(([127, 0, 0, 1], 5_300).into()),
                _ => inside,
            };
            assert_ne!(explained(run, &other), other);
        }
    }
    for reason in [
        "exact match",
        "wildcard *.proxy.example.com.",
        "no such type",
        "no such type at wildcard *.proxy.example.com.",
        "no such name",
        "CNAME 1, exact match",
        "delegation at lab.example.com.",
        "zone transfers not served",
        "no zone of the view holds the name",
    ] {
        assert!(reasons.contains_key(reason), "nobody was told {reason:?}");
    }
    let mut counted = 0;
    for fact in &run.facts {
        if let Kind::DnsCounted { count, .. } = fact.kind {
            counted += count;
        }
    }
    let shown: u64 = reasons.values().sum();
    assert_eq!(shown, counted, "the sample left none out");
    reasons
}

fn answered(run: &Run) -> impl Iterator<Item = &DnsAnswered> {
    run.facts.iter().filter_map(|fact| {
        if let Kind::DnsAnswered(answered) = &fact.kind {
            Some(&**answered)
        } else {
            None
        }
    })
}

/// Asks `explain dns` what was answered.
fn explained(run: &Run, answered: &DnsAnswered) -> DnsAnswered {
    let mut question = vec![answered.name.clone(), answered.rtype.clone()];
    question.extend((answered.transport == "tcp").then(|| String::from("+tcp")));
    let args = DnsArgs {
        to: None,
        from: answered.client.ip().to_string(),
        subnet: answered.subnet.as_ref().map(|net| net.parse().unwrap()),
        json: true,
        question,
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut io = Io {
        out: &mut out,
        err: &mut err,
        color: false,
    };
    let exit = explain::dns(&args, &run.topology, &run.rules, &mut io).unwrap();
    assert_eq!(exit, Exit::Success, "{}", String::from_utf8_lossy(&err));
    let said: Value = serde_json::from_slice(&out).unwrap();
    let word = |value: &Value| value.as_str().map(str::to_owned);
    let record = |record: &Value| {
        let (kind, data) = (word(&record["type"]), word(&record["data"]));
        format!("{} {}", kind.unwrap(), data.unwrap())
    };
    DnsAnswered {
        view: word(&said["view"]).map(Into::into),
        rule: word(&said["rule"]).map(Into::into),
        rcode: word(&said["rcode"]).unwrap().into(),
        answer: said["answer"]
            .as_array()
            .unwrap()
            .iter()
            .map(record)
            .collect(),
        why: word(&said["step"]).unwrap(),
        transport: match word(&said["question"]["transport"]).as_deref() {
            Some("tcp") => "tcp",
            _ => "udp",
        },
        name: word(&said["question"]["name"]).unwrap(),
        rtype: word(&said["question"]["type"]).unwrap(),
        subnet: word(&said["question"]["subnet"]),
        ..answered.clone()
    }
}

fn an_altered_input_is_found_with_its_line(run: &Run) {
    for (what, from, to) in [
        (
            "another ALPN",
            "\"alpn\":[\"teleport-reversetunnel\"]",
            "\"alpn\":[\"h2\"]",
        ),
        (
            "a host that is no agent's",
            "\"tunnel_opened\":{\"conn\":",
            "\"tunnel_opened\":{\"conn\":9",
        ),
        (
            "a check that fails",
            "\"proxy\":1,\"error\":null",
            "\"proxy\":1,\"error\":\"no\"",
        ),
        (
            "a certificate of the wrong kind",
            "\"host_certificate\"",
            "\"plain_key\"",
        ),
        ("another status", "\"status\":200", "\"status\":404"),
    ] {
        let (twin, line) = altered(run, from, to).unwrap_or_else(|| panic!("no {what}"));
        match replay(&*twin) {
            Err(Difference::Call(differs)) => {
                // A failed check is seen when enough have failed, the others at once.
                let late = what == "a check that fails";
                assert!(
                    differs.line == line || late && differs.line >= line,
                    "{what}: {differs}"
                );
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    // Another claim: the certificate names another proxy than the one that it was.
    let (twin, line) = altered_claim(run);
    match replay(&*twin) {
        Err(Difference::Call(differs)) => {
            assert!(differs.line >= line, "{differs}");
            assert_eq!(differs.node.kind(), "agent", "{differs}");
        }
        other => panic!("another claim: {other:?}"),
    }
}

/// Gives the recording with the first such text in an input replaced, and its line.
fn altered(run: &Run, from: &str, to: &str) -> Option<(Vec<u8>, u64)> {
    let mut twin = Vec::new();
    let mut found = None;
    for (number, line) in (1..).zip(lines(run)) {
        let mut text = std::str::from_utf8(line).unwrap().to_owned();
        if number > 1 && found.is_none() && text.contains(from) {
            text = text.replacen(from, to, 1);
            found = Some(number);
        }
        twin.extend(text.into_bytes());
        twin.push(b'\n');
    }
    Some((twin, found?))
}

/// Exchanges the ids of two proxies in the first certificate that an agent was shown.
fn altered_claim(run: &Run) -> (Vec<u8>, u64) {
    let ids: Vec<&str> = run.topology.pool.proxies.iter().map(|p| &*p.id).collect();
    let mut twin: Vec<Vec<u8>> = lines(run).map(<[u8]>::to_vec).collect();
    let place = twin
        .iter()
        .position(|line| contains(line, "\"host_key_shown\""));
    let place = place.unwrap();
    let text = String::from_utf8(twin[place].clone()).unwrap();
    let from = ids.iter().position(|id| text.contains(id)).unwrap();
    let to = ids[(from + 1) % ids.len()];
    twin[place] = text.replace(ids[from], to).into_bytes();
    let mut twin = twin.join(&b'\n');
    twin.push(b'\n');
    (twin, u64::try_from(place).unwrap() + 1)
}

fn contains(line: &[u8], text: &str) -> bool {
    line.windows(text.len()).any(|part| part == text.as_bytes())
}

fn a_recording_that_is_not_whole_is_refused(run: &Run) {
    let words = |recording: &[u8]| replay(recording).unwrap_err().to_string();
    let whole = &run.recording;
    let ends: Vec<usize> = whole
        .iter()
        .enumerate()
        .filter_map(|(at, byte)| (*byte == b'\n').then_some(at + 1))
        .collect();
    let last = ends.len();

    assert_eq!(
        words(b""),
        "line 1: the recording is incomplete: it is empty"
    );
    let cut = words(&whole[..ends[last - 2]]);
    assert_eq!(
        cut,
        format!("line {last}: the recording is incomplete: it ends without its last line")
    );
    let middle = words(&whole[..ends[9] - 5]);
    assert_eq!(
        middle,
        "line 10: the recording is incomplete: it ends in the middle of this line"
    );
    let mut without = whole[..ends[last - 3]].to_vec();
    without.extend(&whole[ends[last - 2]..]);
    let calls = run.calls;
    assert_eq!(
        words(&without),
        format!(
            "line {}: the recording is incomplete: it holds {} calls of {calls}",
            last - 1,
            calls - 1
        )
    );
    let mut lost = whole[..ends[9]].to_vec();
    lost.extend(b"{\"lost\":12}\n");
    lost.extend(&whole[ends[9]..]);
    assert_eq!(
        words(&lost),
        "line 11: the recording is incomplete: 12 calls were lost here, the disk was too slow"
    );
    let other = String::from_utf8_lossy(whole).replacen("record/1", "record/2", 1);
    let other = words(other.as_bytes());
    assert!(
        other.starts_with("line 1: this is no line of a recording: its schema"),
        "{other}"
    );
}

fn mutated_recordings_never_panic(run: &Run) {
    let mut agreed = 0;
    // The first part of the run holds every kind of call; the end is kept.
    let all: Vec<&[u8]> = lines(run).collect();
    let kept: Vec<u8> = all[..all.len().min(400)].join(&b'\n');
    for number in 0..MUTATIONS {
        let draw = |purpose: &str, n| Seed(number).draw("recording", purpose, n);
        let mut bytes = kept.clone();
        for n in 0..=draw("count", 0) % 4 {
            let at = usize::try_from(draw("at", n)).unwrap_or(0) % bytes.len();
            let length = usize::try_from(draw("length", n) % 40).unwrap();
            let end = (at + length).min(bytes.len());
            match draw("how", n) % 4 {
                0 => bytes[at] = draw("byte", n).to_le_bytes()[0],
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let part = bytes[at..end].to_vec();
                    let to = usize::try_from(draw("to", n)).unwrap_or(0) % bytes.len();
                    drop(bytes.splice(to..to, part));
                }
                // Numbers are where limits are.
                _ => {
                    if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                        let to = at + digit;
                        drop(bytes.splice(to..to, *b"4294967295"));
                    }
                }
            }
        }
        agreed += usize::from(replay(&*bytes).is_ok());
    }
    assert_eq!(agreed, 0, "none has its last line");
}

fn lines(run: &Run) -> impl Iterator<Item = &[u8]> {
    run.recording
        .strip_suffix(b"\n")
        .unwrap()
        .split(|byte| *byte == b'\n')
}
