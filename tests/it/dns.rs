//! The DNS server at its sockets: views, client subnets, truncation, counts.

#![expect(clippy::unwrap_used, reason = "a test helper fails its test")]

mod courtesy;
mod diff;
mod explain;
mod faults;
mod forward;
pub(crate) mod kit;
mod limits;
mod loops;
mod resolver;
mod seen;
mod verb;
mod why;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};

use twodoors::live::dns::Limits;

use self::kit::{Served, ask, edns, query, serve, shipped};

const PRIVATE: &str = "127.41.0.9";
const PUBLIC: &str = "127.42.0.9";

fn addresses(message: &Message) -> Vec<String> {
    let records = message.answers.iter();
    records.map(|record| record.data.to_string()).collect()
}

async fn check(served: &Served, from: &str, name: &str, expected: &[&str]) {
    for tcp in [false, true] {
        let answer = ask(served.address, from, &query(name, RecordType::A, None), tcp).await;
        assert_eq!(
            addresses(&answer),
            expected,
            "{name} from {from}, tcp {tcp}"
        );
    }
}

#[tokio::test]
async fn one_name_has_two_answers_by_network() {
    let served = serve(&shipped());
    check(&served, PRIVATE, "proxy.example.com.", &["127.10.0.2"]).await;
    check(&served, PUBLIC, "proxy.example.com.", &["127.20.0.2"]).await;
    check(
        &served,
        PRIVATE,
        "orders.Proxy.example.com.",
        &["127.10.0.2"],
    )
    .await;
    let alias = &["proxy.example.com.", "127.20.0.2"];
    check(&served, PUBLIC, "teleport.example.com.", alias).await;
}

#[tokio::test]
async fn a_name_of_one_view_is_unknown_in_the_other() {
    let served = serve(&shipped());
    let git = query("git.example.com.", RecordType::A, None);
    let inside = ask(served.address, PRIVATE, &git, false).await;
    assert_eq!(inside.metadata.response_code, ResponseCode::NoError);
    let outside = ask(served.address, PUBLIC, &git, false).await;
    assert_eq!(outside.metadata.response_code, ResponseCode::NXDomain);
    assert!(outside.metadata.authoritative);
    assert_eq!(outside.authorities[0].ttl, 60);
}

#[tokio::test]
async fn nobody_without_a_view_is_answered() {
    let served = serve(&shipped());
    let proxy = query("proxy.example.com.", RecordType::A, None);
    for from in ["127.43.0.1", "127.41.255.1"] {
        let answer = ask(served.address, from, &proxy, false).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
    }
}

fn with_subnet(subnet: &str) -> Message {
    let mut edns = edns(1232);
    let subnet: ClientSubnet = subnet.parse().unwrap();
    edns.options_mut().insert(EdnsOption::Subnet(subnet));
    query("proxy.example.com.", RecordType::A, Some(edns))
}

#[tokio::test]
async fn a_client_subnet_counts_only_from_a_listed_sender() {
    let served = serve(&shipped());
    let message = with_subnet("127.42.7.0/24");
    let listed = ask(served.address, "127.0.0.1", &message, false).await;
    assert_eq!(addresses(&listed), ["127.20.0.2"]);
    let echoed = listed
        .edns
        .as_ref()
        .and_then(|edns| edns.option(EdnsCode::Subnet));
    let Some(EdnsOption::Subnet(echoed)) = echoed else {
        panic!("no subnet in {listed}");
    };
    // The views are 127.41.0.0/16 and 127.42.0.0/16: half of one /14.
    assert_eq!((echoed.source_prefix(), echoed.scope_prefix()), (24, 16));
    let unlisted = ask(served.address, PRIVATE, &message, false).await;
    assert_eq!(addresses(&unlisted), ["127.10.0.2"]);
    let edns = unlisted.edns.as_ref().unwrap();
    assert!(edns.option(EdnsCode::Subnet).is_none());
}

#[tokio::test]
async fn every_answer_is_counted_by_view_rule_and_code() {
    let mut served = serve(&shipped());
    for _ in 0..70 {
        check(&served, PRIVATE, "proxy.example.com.", &["127.10.0.2"]).await;
    }
    served.stop();
    let snapshot = served.journal.snapshot();
    let key = (
        Some("private".into()),
        Some("127.41.0.0/16".into()),
        "NOERROR".into(),
    );
    assert_eq!(snapshot.dns.answers.get(&key), Some(&140));
    let last = snapshot.dns.queries.back().unwrap();
    assert_eq!(last.answered.why, "exact match");
    assert_eq!(last.answered.answer, ["A 127.10.0.2"]);
}

fn fixtures() -> twodoors::model::topology::Topology {
    let zones = [(
        "example.test.",
        "tests/fixtures/zones/private/example.test.zone",
    )];
    kit::topology(vec![kit::view("private", &["127.41.0.0/16"], &zones)])
}

#[tokio::test]
async fn what_does_not_fit_is_cut_with_opt_kept() {
    let served = serve(&fixtures());
    let check = async |name: &str, kind, payload: Option<u16>, sizes: (bool, usize)| {
        let message = query(name, kind, payload.map(edns));
        let bytes = message.to_vec().unwrap();
        let from = PRIVATE.parse().unwrap();
        let answer = kit::exchange(served.address, from, &bytes, false).await;
        let limit = usize::from(payload.unwrap_or(512)).clamp(512, 1232);
        assert!(
            answer.len() <= limit,
            "{name} {payload:?}: {} bytes",
            answer.len()
        );
        let answer = Message::from_vec(&answer).unwrap();
        assert_eq!(
            answer.edns.is_some(),
            payload.is_some(),
            "{name} {payload:?}"
        );
        let found = (answer.metadata.truncation, answer.answers.len());
        assert_eq!(found, sizes, "{name} {payload:?}");
        let whole = ask(served.address, PRIVATE, &message, true).await;
        assert!(!whole.metadata.truncation && whole.answers.len() >= found.1);
    };
    let (big, huge) = ("big.example.test.", "huge.example.test.");
    check(big, RecordType::A, None, (true, 0)).await;
    check(big, RecordType::A, Some(512), (true, 0)).await;
    check(big, RecordType::A, Some(1232), (false, 40)).await;
    check(huge, RecordType::TXT, Some(4096), (true, 0)).await;
    check("tobig.example.test.", RecordType::A, Some(100), (true, 1)).await;
    check("wide.example.test.", RecordType::A, None, (true, 0)).await;
    check("wide.example.test.", RecordType::A, Some(1232), (false, 0)).await;
}

#[tokio::test]
async fn a_client_subnet_that_is_not_proper_is_a_format_error() {
    let served = serve(&shipped());
    let good = with_subnet("127.42.7.0/24").to_vec().unwrap();
    let code = async |bytes: &[u8]| {
        let from = "127.0.0.1".parse().unwrap();
        let answer = kit::exchange(served.address, from, bytes, false).await;
        Message::from_vec(&answer).unwrap().metadata.response_code
    };
    assert_eq!(code(&good).await, ResponseCode::NoError);
    // The option is the message's end: family, source, scope, three octets.
    let end = good.len();
    let set = |from_end: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[end - from_end] = value;
        bytes
    };
    assert_eq!(code(&set(4, 24)).await, ResponseCode::FormErr, "scope");
    assert_eq!(
        code(&set(5, 20)).await,
        ResponseCode::FormErr,
        "bits beyond the length"
    );
    assert_eq!(code(&set(6, 9)).await, ResponseCode::FormErr, "family");
    assert_eq!(code(&set(5, 200)).await, ResponseCode::FormErr, "length");
    let mut padded = good.clone();
    padded.push(0);
    // RDLENGTH and the option's length, both with their code between them.
    padded[end - 12] += 1;
    padded[end - 8] += 1;
    assert_eq!(code(&padded).await, ResponseCode::FormErr, "more octets");
}

/// RFC 7828 sections 3.2.1 and 3.3.2: only over a stream, and only for who asks.
#[tokio::test]
async fn a_stream_is_told_its_idle_time() {
    let served = serve(&shipped());
    let told = async |asks: bool, tcp: bool| {
        let mut edns = edns(1232);
        if asks {
            let option = EdnsOption::Unknown(EdnsCode::Keepalive.into(), Vec::new());
            edns.options_mut().insert(option);
        }
        let message = query("proxy.example.com.", RecordType::A, Some(edns));
        let answer = ask(served.address, PRIVATE, &message, tcp).await;
        assert_eq!(addresses(&answer), ["127.10.0.2"]);
        let edns = answer.edns.unwrap();
        match edns.option(EdnsCode::Keepalive) {
            Some(EdnsOption::Unknown(_, content)) => Some(content.clone()),
            other => other.map(|other| panic!("{other:?}")),
        }
    };
    // Twice each: the first answer is kept, where it may be.
    for _ in 0..2 {
        assert_eq!(told(false, true).await, None);
        assert_eq!(told(true, true).await, Some(100_u16.to_be_bytes().to_vec()));
        assert_eq!(told(true, false).await, None, "not over UDP");
    }
    assert_eq!(Limits::default().idle, std::time::Duration::from_secs(10));
}

#[tokio::test]
async fn a_reload_is_seen_by_the_next_question() {
    let served = serve(&shipped());
    check(&served, PRIVATE, "proxy.example.com.", &["127.10.0.2"]).await;
    let mut topology = shipped();
    topology.dns.views.reverse();
    topology.dns.views[0].match_clients = vec![kit::element("any")];
    let (rules, _) = kit::rules(&topology).unwrap();
    served.rules.store(std::sync::Arc::new(rules));
    check(&served, PRIVATE, "proxy.example.com.", &["127.20.0.2"]).await;
}

#[tokio::test]
async fn ipv6_and_ipv4_mapped_clients_have_their_views() {
    let mut topology = shipped();
    topology.dns.listen = "[::]:0".parse().unwrap();
    topology.dns.views[1].match_clients = vec![kit::element("::1/128")];
    let served = serve(&topology);
    let port = served.address.port();
    let proxy = query("proxy.example.com.", RecordType::A, None)
        .to_vec()
        .unwrap();
    for (from, server, expected) in [
        (PRIVATE, "127.0.0.1", "127.10.0.2"),
        ("::1", "::1", "127.20.0.2"),
    ] {
        let server = std::net::SocketAddr::new(server.parse().unwrap(), port);
        let answer = kit::exchange(server, from.parse().unwrap(), &proxy, false).await;
        assert_eq!(
            addresses(&Message::from_vec(&answer).unwrap()),
            [expected],
            "{from}"
        );
    }
}

#[tokio::test]
async fn rfc_7766_one_stream_carries_many_questions() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let served = serve(&shipped());
    let mut stream = tokio::net::TcpStream::connect(served.address)
        .await
        .unwrap();
    let mut bytes = Vec::new();
    for id in 0..10_u16 {
        let mut message = query("proxy.example.com.", RecordType::A, None);
        message.metadata.id = id;
        let message = message.to_vec().unwrap();
        bytes.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend(message);
    }
    stream.write_all(&bytes).await.unwrap();
    for id in 0..10 {
        let length = stream.read_u16().await.unwrap();
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(Message::from_vec(&answer).unwrap().metadata.id, id);
    }
}

/// Every answer of a live run is what `explain dns` says of the same question.
#[tokio::test]
async fn explain_agrees_with_every_answer() {
    use twodoors::model::fact::Kind;
    let mut served = serve(&shipped());
    let names = [
        "proxy", "a.proxy", "teleport", "git", "www", "deep.lab", "lab", "none",
    ];
    let mut asked = 0;
    for from in [PRIVATE, PUBLIC, "127.43.0.1"] {
        for name in names {
            for kind in [RecordType::A, RecordType::AAAA] {
                let message = query(&format!("{name}.example.com."), kind, None);
                ask(served.address, from, &message, false).await;
                asked += 1;
            }
        }
    }
    served.stop();
    let facts = served
        .journal
        .after(twodoors::model::id::Seq(0), usize::MAX)
        .facts;
    let mut compared = 0;
    for fact in &facts {
        let Kind::DnsAnswered(answered) = &fact.kind else {
            continue;
        };
        let (client, name) = (answered.client.ip(), &answered.name);
        let words = format!("dns --json --from {client} {name} {}", answered.rtype);
        let value = explain::json(&words);
        let word = |name: &str| value[name].as_str().map(String::from);
        assert_eq!(
            word("view"),
            answered.view.as_ref().map(ToString::to_string),
            "{words}"
        );
        assert_eq!(
            word("rule"),
            answered.rule.as_ref().map(ToString::to_string),
            "{words}"
        );
        assert_eq!(word("rcode").as_deref(), Some(&*answered.rcode), "{words}");
        assert_eq!(
            word("step").as_deref(),
            Some(answered.why.as_str()),
            "{words}"
        );
        let records = value["answer"].as_array().unwrap().iter().map(|record| {
            let of = |key: &str| record[key].as_str().unwrap().to_owned();
            format!("{} {}", of("type"), of("data"))
        });
        assert_eq!(records.collect::<Vec<_>>(), answered.answer, "{words}");
        compared += 1;
    }
    assert_eq!(compared, asked);
}
