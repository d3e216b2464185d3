//! Steps that read what goes over the wire: with tcpdump where that is allowed, and with a tap in
//! the place of a stopped proxy, which needs no privilege.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{IpAddr, SocketAddrV4};
use std::process::{Command, Stdio};

use super::bench::{Lab, eventually, run};
use super::capture::{Exchange, Header, Tap, header, only_tls, streams};
use super::{CHECKS, Outcome, Story, doors, outage, passed};

pub(super) fn captured(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    if run("id", &["-u"]).text() != "0" {
        return Outcome::NotRun(
            "a capture needs root; the tap below sees the same between door and proxy",
        );
    }
    let networks = [lab.internal(0), lab.external(0), lab.proxy(0).ip()];
    let [inside, outside, pool] = networks.map(|network| format!("net {network}/16"));
    let filter = format!("tcp port 3080 and ({inside} or {outside} or {pool})");
    let file = lab.path("capture.pcap");
    let errors = lab.path("capture.txt");
    let mut tcpdump = Command::new("tcpdump");
    tcpdump.args([
        "-i",
        "lo",
        "-U",
        "--immediate-mode",
        "-s",
        "0",
        "-w",
        "-",
        &filter,
    ]);
    tcpdump
        .stdout(File::create(&file).unwrap())
        .stderr(File::create(&errors).unwrap());
    let child = tcpdump.stdin(Stdio::null()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("tcpdump: {error}"));
    eventually("tcpdump listens", CHECKS, || {
        let said = fs::read_to_string(&errors).unwrap();
        if said.contains("listening on lo") {
            Ok(())
        } else {
            Err(said)
        }
    });
    let seen = eventually(
        "both doors' clients and checks in the capture",
        CHECKS,
        || {
            lab.curl(
                lab.external(99),
                lab.external(2),
                "orders",
                "/bytes/100000",
                &[],
            )
            .ended(0);
            lab.curl(
                lab.internal(99),
                lab.internal(2),
                "wiki",
                "/bytes/100000",
                &[],
            )
            .ended(0);
            doors::s_client(lab, "teleport-reversetunnel", &[]).ended(0);
            let seen = Seen::of(lab, &fs::read(&file).unwrap());
            if seen.is_enough() {
                Ok(seen)
            } else {
                Err(format!("{seen:?}"))
            }
        },
    );
    run("kill", &["-s", "INT", &child.id().to_string()]).ended(0);
    child.wait().unwrap();
    passed(format!(
        "{} connections to doors, {} on to proxies, {} checks, {} TLS records",
        seen.clients,
        seen.relayed,
        seen.checks.len(),
        seen.records
    ))
}

/// What a capture showed.
#[derive(Debug, Default)]
struct Seen {
    clients: usize,
    relayed: usize,
    checks: BTreeSet<IpAddr>,
    records: usize,
}

impl Seen {
    /// Holds every stream of a capture against what may be there, and fails on anything else.
    #[track_caller]
    fn of(lab: &Lab, pcap: &[u8]) -> Self {
        let streams = streams(pcap);
        let doors = [lab.internal(2), lab.external(2)];
        let mut seen = Self::default();
        for ((from, to), exchange) in &streams {
            let place = format!("from {from} to {to}");
            if doors.contains(&(*to.ip()).into()) {
                seen.clients += 1;
                seen.records += only_tls(&exchange.up).expect(&place);
                seen.records += only_tls(&exchange.down).expect(&place);
                continue;
            }
            assert!(doors.contains(&(*from.ip()).into()), "{place}");
            // The capture may be read between the connection and its first bytes.
            if exchange.up.is_empty() && exchange.down.is_empty() {
                continue;
            }
            match check_exchange(exchange, &place) {
                (None, _) => {
                    seen.checks.insert((*from.ip()).into());
                }
                (Some((client, door)), records) => {
                    seen.relayed += 1;
                    seen.records += records;
                    assert_eq!(door.ip(), from.ip(), "{place}");
                    // The very connection of a client, or one from before the capture.
                    let known = streams.contains_key(&(client, door));
                    assert!(known || seen.clients == 0, "{place}: {client} to {door}");
                }
            }
        }
        seen
    }

    fn is_enough(&self) -> bool {
        self.clients >= 3 && self.relayed >= 3 && self.checks.len() == 2 && self.records > 0
    }
}

pub(super) fn tapped(story: &mut Story) -> Outcome {
    let (lab, name) = (&story.lab, story.stopped.to_string());
    assert_ne!(story.stopped, 0, "no proxy was stopped");
    let tap = Tap::open(lab.proxy(story.stopped), lab.proxy(story.stopped % 3 + 1));
    eventually("both doors find the tap up", CHECKS, || {
        outage::health(lab, &name, "up", "check")
    });
    let (clients, checks, records) = eventually("clients of both doors in the tap", CHECKS, || {
        lab.curl(
            lab.external(99),
            lab.external(2),
            "orders",
            "/bytes/100000",
            &[],
        )
        .ended(0);
        lab.curl(
            lab.internal(99),
            lab.internal(2),
            "wiki",
            "/bytes/100000",
            &[],
        )
        .ended(0);
        let (mut clients, mut checks, mut records) = (BTreeSet::new(), 0, 0);
        for exchange in tap
            .exchanges()
            .iter()
            .filter(|exchange| !exchange.up.is_empty())
        {
            match check_exchange(exchange, "the tap") {
                (None, _) => checks += 1,
                (Some((client, _)), count) => {
                    clients.insert(IpAddr::from(*client.ip()));
                    records += count;
                }
            }
        }
        let both = [lab.external(99), lab.internal(99)];
        let all = checks >= 4 && both.iter().all(|client| clients.contains(client));
        if all {
            Ok((clients.len(), checks, records))
        } else {
            Err(format!("{clients:?}, {checks}"))
        }
    });
    drop(tap);
    eventually("both doors find the tap down", CHECKS, || {
        outage::health(lab, &name, "down", "check")
    });
    passed(format!(
        "{clients} clients, {checks} checks, {records} TLS records"
    ))
}

/// Fails unless a door said a PROXY header first and then, for a client, TLS and nothing else; gives
/// the client and the door of the header, none for a check, and the count of records.
#[track_caller]
fn check_exchange(
    exchange: &Exchange,
    place: &str,
) -> (Option<(SocketAddrV4, SocketAddrV4)>, usize) {
    let (header, rest) = header(&exchange.up).expect(place);
    match header {
        Header::Local => {
            assert!(
                rest.is_empty() && exchange.down.is_empty(),
                "a check of {place}"
            );
            (None, 0)
        }
        Header::Proxy {
            client,
            destination,
        } => {
            let records = only_tls(rest).expect(place) + only_tls(&exchange.down).expect(place);
            (Some((client, destination)), records)
        }
    }
}
