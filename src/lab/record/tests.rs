//! Recordings without a lab: the shape of each input, the queue, the file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::*;
use crate::model::addr::{ClientAddr, HostPort, ListenAddr};
use crate::model::fact::{Act, Cause, Ended, Failure, Purpose, Stage};
use crate::model::id::{ConnId, DialId, FlowId, Node, RequestId};
use crate::model::teleport::{ConnType, DatabaseRoute, Port};
use crate::model::time::{Span, Time};
use crate::policy::address::Document;
use crate::policy::principals::{Shown, ShownKind};
use crate::policy::{AnyInput, Machine, Outbox, machines};
use crate::policy::{agent, balancer, proxy, resolver, user};
use crate::scenario;
use crate::scenario::embedded;

fn address() -> std::net::SocketAddr {
    "127.10.0.2:3080".parse().unwrap()
}

fn agent_inputs() -> Vec<AnyInput> {
    use agent::Input;
    let dial = DialId(u64::MAX);
    let document = Document {
        tls_routing: true,
        public_addr: String::from("a:1"),
        web_listen_addr: String::new(),
        ..Document::default()
    };
    let shown = Shown {
        kind: ShownKind::HostCertificate,
        key_id: String::from("\u{0}\"ö"),
        principals: vec![String::from("a")],
        ca_known: true,
        signature_valid: false,
        valid_after: 0,
        valid_before: u64::MAX,
        critical_options: Vec::new(),
        role: Some(String::from("Proxy")),
    };
    let (app, why) = ("orders".into(), String::from("why"));
    let inputs = vec![
        Input::Advised { dial },
        Input::Connected {
            dial,
            purpose: Purpose::Tunnel,
            host: String::from("a"),
            address: ListenAddr(address()),
        },
        Input::Failed {
            dial,
            stage: Stage::Ssh,
            cause: Cause::Principal,
            error: String::new(),
        },
        Input::FindAnswered {
            dial,
            document: document.into(),
        },
        Input::Gossip {
            dial,
            proxies: vec!["1".into(), "2".into()],
        },
        Input::HostKeyShown {
            dial,
            shown,
            unix_seconds: 1,
        },
        Input::Operate(Act::Drain),
        Input::StreamAsked {
            dial,
            kind: ConnType::Db,
            app: Arc::clone(&app),
        },
        Input::StreamCut {
            dial,
            app,
            why: why.clone(),
        },
        Input::StreamEnded { dial },
        Input::TunnelClosed { dial, why },
        Input::TunnelUp {
            dial,
            address: ListenAddr(address()),
        },
    ];
    inputs.into_iter().map(AnyInput::from).collect()
}

fn balancer_inputs() -> Vec<AnyInput> {
    use balancer::Input;
    let (client, flow) = (ClientAddr(address()), FlowId(3));
    let inputs = vec![
        Input::Accepted {
            client,
            listener: ListenAddr(address()),
        },
        Input::Checked {
            check: 1,
            proxy: u32::MAX,
            error: None,
        },
        Input::ConnectFailed {
            flow,
            error: String::from("no"),
        },
        Input::Connected {
            flow,
            from: Some(client),
        },
        Input::Connected { flow, from: None },
        Input::FlowEnded {
            flow,
            up: 1,
            down: 2,
            how: Ended::BackendError,
        },
        Input::Operated { act: Act::Stop },
    ];
    inputs.into_iter().map(AnyInput::from).collect()
}

fn proxy_inputs() -> Vec<AnyInput> {
    use proxy::Input;
    let (conn, request, why) = (ConnId(1), RequestId(2), String::from("why"));
    let (client, id) = (ClientAddr("[::1]:9".parse().unwrap()), "id".into());
    let inputs = vec![
        Input::Announced {
            host_id: Arc::clone(&id),
            serves: proxy::Serves::default(),
        },
        Input::ConnClosed { conn },
        Input::Heartbeat {
            conn,
            serves: proxy::Serves {
                apps: vec!["a".into()],
                databases: vec!["d".into()],
                proxies: vec!["p".into()],
            },
        },
        Input::HelloRead {
            listener: Port::Tunnel,
            client,
            sni: None,
            alpn: vec!["http/1.1".into()],
        },
        Input::Operate(Act::Start),
        Input::PeerGone {
            id: Arc::clone(&id),
        },
        Input::PeerSeen {
            id: Arc::clone(&id),
        },
        Input::PeerTook {
            request: RequestId(4),
            peer: "2".into(),
        },
        Input::RequestEnded {
            request,
            status: 200,
            bytes: 5,
        },
        Input::RequestRead {
            client,
            host: String::from("h"),
            path: String::from("/p?q"),
            session: Some("s".into()),
        },
        Input::DatabaseAsked {
            client,
            route: DatabaseRoute {
                user: "u".into(),
                service: "s".into(),
                database: "d".into(),
                protocol: "postgres".into(),
            },
        },
        Input::PeerAsked {
            peer: "2".into(),
            client,
            kind: ConnType::Db,
            resource: "d".into(),
            host_id: "h".into(),
        },
        Input::SshRead {
            listener: Port::Tunnel,
            client,
        },
        Input::StandInOpened {
            conn,
            name: "n".into(),
            resources: vec!["r".into()],
        },
        Input::StreamRefused {
            request,
            why: why.clone(),
            broken: true,
        },
        Input::TunnelOpened { conn, host_id: id },
        Input::TunnelClosed { conn, why },
    ];
    inputs.into_iter().map(AnyInput::from).collect()
}

fn resolver_inputs() -> Vec<AnyInput> {
    use hickory_proto::op::ResponseCode;
    use hickory_proto::rr::rdata::{SOA, TXT};
    use hickory_proto::rr::{Name, RData, Record, RecordType};
    use resolver::{Input, Reply};
    // A dot and a byte that is no text, which a name in words could lose.
    let name = Name::from_labels([&b"a.b\xff"[..], b"Test"]).unwrap();
    let txt = RData::TXT(TXT::from_bytes(vec![b"\x00 \xff"]));
    let soa = RData::SOA(SOA::new(name.clone(), name.clone(), 1, 2, 3, 4, 5));
    let reply = |rcode, soa| Reply {
        rcode,
        records: vec![Record::from_rdata(name.clone(), 7, txt.clone()); 2],
        soa,
        errors: Vec::new(),
    };
    let inputs = vec![
        Input::Answered {
            forward: 1,
            reply: reply(ResponseCode::NXDomain, None),
        },
        Input::Answered {
            forward: 2,
            reply: reply(
                ResponseCode::BADCOOKIE,
                Some(Box::new(Record::from_rdata(name.clone(), 9, soa))),
            ),
        },
        Input::Asked {
            ask: u64::MAX,
            client: ClientAddr(address()),
            name,
            record_type: RecordType::Unknown(65_280),
        },
        Input::Failed { forward: 3 },
        Input::Floor(None),
        Input::Floor(Some(Span::from_secs(60))),
        Input::Operate(Act::Kill),
        Input::Roamed {
            network: "n".into(),
            address: address().ip(),
        },
    ];
    inputs.into_iter().map(AnyInput::from).collect()
}

fn user_inputs() -> Vec<AnyInput> {
    use user::Input;
    let request = RequestId(2);
    let inputs = vec![
        Input::Answered {
            request,
            status: 502,
            bytes: 1,
            proxy: Some("1".into()),
            agent: None,
            no_tunnel: true,
        },
        Input::Connected {
            request,
            purpose: Purpose::Launch,
            host: String::from("h"),
            address: ListenAddr(address()),
        },
        Input::Failed {
            request,
            reason: Failure::Timeout,
            error: String::from("late"),
        },
        Input::LoggedIn { request },
        Input::PingAnswered {
            attempt: 1,
            asked: HostPort {
                host: "h".into(),
                port: 443,
            },
            document: Document::default().into(),
        },
        Input::PingFailed {
            attempt: 2,
            reason: Failure::Resolve,
            error: String::from("e"),
        },
        Input::Redirected {
            request,
            to: HostPort {
                host: "l".into(),
                port: 443,
            },
        },
        Input::MeshComplete,
        Input::Operate(Act::Stop),
    ];
    inputs.into_iter().map(AnyInput::from).collect()
}

#[test]
fn every_input_is_read_as_it_was_written() {
    let all = [
        agent_inputs(),
        balancer_inputs(),
        proxy_inputs(),
        resolver_inputs(),
        user_inputs(),
    ]
    .concat();
    for input in all {
        let text = serde_json::to_string(&InputLine(input.clone())).unwrap();
        let back: InputLine = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(back.0, input, "{text}");
    }
}

#[test]
fn an_input_with_an_unknown_word_or_key_is_not_read() {
    for text in [
        r#"{"agent":{"operate":"explode"}}"#,
        r#"{"agent":{"advised":{"dial":1,"more":2}}}"#,
        r#"{"agent":{"advised":{"dial":-1}}}"#,
        r#"{"door":"mesh_complete"}"#,
        r#"{"resolver":{"asked":{"ask":1,"client":"127.0.0.1:1","name":"0","record_type":1}}}"#,
        r#"{"resolver":{"asked":{"ask":1,"client":"127.0.0.1:1","name":"+1","record_type":1}}}"#,
        r#"{"user":"mesh_complete","proxy":{"operate":"start"}}"#,
    ] {
        assert!(serde_json::from_str::<InputLine>(text).is_err(), "{text}");
    }
}

fn topology() -> Topology {
    let loaded = scenario::load(Path::new(embedded::SCENARIO), &embedded::FILES);
    loaded.unwrap().topology
}

/// Feeds a door by hand and taps it: accepts, a check, a wake.
fn play(topology: &Topology, tap: &dyn Tap) {
    let mut door = machines::balancer(topology, 0);
    let client = ClientAddr("127.10.0.11:5000".parse().unwrap());
    let listener = topology.balancers[0].listen[0];
    let accepted = balancer::Input::Accepted { client, listener };
    for (at, input) in [(1, None), (2, Some(accepted.clone())), (3, Some(accepted))] {
        let now = Time::from_us(at);
        let cx = crate::policy::Context { now, topology };
        let mut out = Outbox::default();
        match input.clone() {
            Some(input) => door.handle(&cx, input, &mut out),
            None => door.wake(&cx, &mut out),
        }
        tap.call(Call {
            node: &door.node(),
            now,
            input: input.map(AnyInput::from),
            outputs: out.outputs.iter().map(|o| format!("{o:?}")).collect(),
            facts: &out.facts,
        });
    }
}

/// A file in a folder of its own, gone with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = format!("twodoors-record-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("run.jsonl")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_recording_is_for_its_owner_alone_and_replays() {
    let scratch = Scratch::new("owner");
    fs::write(scratch.file(), "an older and longer recording").unwrap();
    fs::set_permissions(scratch.file(), PermissionsExt::from_mode(0o644)).unwrap();
    let topology = topology();
    let scenario = Path::new(embedded::SCENARIO);
    let recorder =
        Recorder::create(&scratch.file(), scenario, &embedded::FILES, &topology).unwrap();
    play(&topology, &recorder);

    assert_eq!(recorder.finish().unwrap(), 3);

    let mode = fs::metadata(scratch.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let replayed = replay(&*fs::read(scratch.file()).unwrap()).unwrap();
    assert_eq!(replayed.calls, BTreeMap::from([("balancer", 3)]));
    assert!(replayed.facts > 0);
    assert!(recorder.finish().is_err(), "only once");
}

#[test]
fn a_file_that_cannot_be_made_is_said_with_its_cure() {
    let scenario = Path::new(embedded::SCENARIO);
    let file = Path::new("/nowhere/at/all");
    let error = Recorder::create(file, scenario, &embedded::FILES, &topology()).unwrap_err();
    assert!(
        error.to_string().contains("/nowhere/at/all") && error.to_string().contains("--record"),
        "{error}"
    );
}

#[test]
fn a_scenario_that_changed_since_it_was_loaded_is_not_recorded() {
    let mut other = topology();
    other.seed.0 += 1;
    let error = header(Path::new(embedded::SCENARIO), &embedded::FILES, &other).unwrap_err();
    assert!(matches!(error, RecordError::Changed), "{error}");
}

/// A recorder whose writer does nothing, and its queue.
fn stuck(waiting_max: usize) -> (Recorder, Receiver<Item>) {
    let (queue, items) = sync_channel(waiting_max);
    let recorder = Recorder {
        queue,
        lost: Arc::default(),
        writer: Mutex::new(None),
    };
    (recorder, items)
}

#[test]
fn calls_that_find_the_queue_full_are_counted_and_the_recording_says_so() {
    let topology = topology();
    let (recorder, items) = stuck(1);
    play(&topology, &recorder);
    assert_eq!(recorder.lost.load(Ordering::Relaxed), 2);

    let mut out = Vec::new();
    let scenario = Path::new(embedded::SCENARIO);
    let header = header(scenario, &embedded::FILES, &topology).unwrap();
    write_line(&mut out, &header).unwrap();
    let Recorder { queue, lost, .. } = recorder;
    let ender = thread::spawn(move || queue.send(Item::End));
    write_all(&mut out, &items, &lost).unwrap();
    ender.join().unwrap().unwrap();

    let error = replay(&*out).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2: the recording is incomplete: 2 calls were lost here, the disk was too slow"
    );
}

#[test]
fn a_disk_that_fails_is_said_at_the_end() {
    let topology = topology();
    let scenario = Path::new(embedded::SCENARIO);
    let header = header(scenario, &embedded::FILES, &topology).unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = Recorder::begin(full, &header, 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn facts_of_another_node_or_a_time_that_goes_back_are_refused() {
    let topology = topology();
    let (recorder, items) = stuck(9);
    play(&topology, &recorder);
    drop(recorder);
    let mut lines: Vec<CallLine> = items
        .iter()
        .filter_map(|item| match item {
            Item::Call(line) => Some(*line),
            Item::End => None,
        })
        .collect();
    let scenario = Path::new(embedded::SCENARIO);
    let header = header(scenario, &embedded::FILES, &topology).unwrap();
    let written = |lines: &[CallLine]| {
        let mut out = Vec::new();
        write_line(&mut out, &header).unwrap();
        for line in lines {
            write_line(&mut out, line).unwrap();
        }
        let calls = lines.len() as u64;
        let end = Total { calls };
        write_line(&mut out, &EndLine { end }).unwrap();
        replay(&*out)
    };
    written(&lines).unwrap();

    lines[2].at_us = 0;
    let error = written(&lines).unwrap_err().to_string();
    assert!(
        error.starts_with("line 4: ") && error.contains("goes back"),
        "{error}"
    );
    lines[2].at_us = 3;

    lines[2].node = Node::Balancer("nobody".into()).to_string();
    let error = written(&lines).unwrap_err().to_string();
    assert!(error.contains("no machine \"balancer/nobody\""), "{error}");
    lines[2].node = lines[1].node.clone();

    lines[1].input = Some(InputLine(user::Input::MeshComplete.into()));
    let error = written(&lines).unwrap_err().to_string();
    assert!(
        error.starts_with("line 3: ") && error.contains("none for balancer"),
        "{error}"
    );
}

#[test]
fn a_fact_that_differs_is_named_with_its_place() {
    let topology = topology();
    let (recorder, items) = stuck(9);
    play(&topology, &recorder);
    let mut out = Vec::new();
    let scenario = Path::new(embedded::SCENARIO);
    write_line(
        &mut out,
        &header(scenario, &embedded::FILES, &topology).unwrap(),
    )
    .unwrap();
    recorder.queue.send(Item::End).unwrap();
    write_all(&mut out, &items, &recorder.lost).unwrap();
    let text = String::from_utf8(out).unwrap();
    let opened = format!("{:?}", FlowId(2));

    let twin = text.replace(&opened, &format!("{:?}", FlowId(7)));

    assert_ne!(twin, text);
    let Difference::Call(differs) = replay(twin.as_bytes()).unwrap_err() else {
        panic!("another difference");
    };
    assert_eq!(
        (differs.line, differs.what, differs.place),
        (4, "outputs", 0)
    );
    assert_eq!(differs.node, Node::Balancer("internal".into()));
    assert!(differs.expected.unwrap().contains("FlowId(7)"));
    assert!(differs.got.unwrap().contains("FlowId(2)"));
}
