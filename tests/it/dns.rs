//! The DNS server at its sockets: views, client subnets, truncation, counts.

#![expect(clippy::unwrap_used, reason = "a test helper fails its test")]

mod explain;
pub(crate) mod kit;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};

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
    assert_eq!((echoed.source_prefix(), echoed.scope_prefix()), (24, 24));
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
