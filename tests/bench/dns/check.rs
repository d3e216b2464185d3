//! Answers are looked at before anything is measured: a fast wrong answer is no figure.
//!
//! Each server is asked the same questions from both networks over UDP. What it may leave out is what
//! its views cannot do (`Views`), nothing else. The check has a twin: the same answers held against a
//! wrong expectation, which has to fail.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};

use crate::Failed;
use crate::data::{EXTERNAL_DOOR, INTERNAL_DOOR, ORIGIN, host_address, hosts};
use crate::process::pause;
use crate::servers::{Server, Views};

/// A client of the internal network, and one of the other.
pub(crate) const INSIDE: Ipv4Addr = Ipv4Addr::new(127, 10, 0, 1);
/// A client of the external network.
pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(127, 20, 0, 1);

/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a server may take until it answers, in microseconds.
const START: u64 = 120_000_000;

/// Asks one question, and gives the answer if there is one in time.
pub(crate) fn ask(
    from: Ipv4Addr,
    server: SocketAddr,
    name: &str,
    kind: RecordType,
    patience: Duration,
) -> Result<Option<Message>, Failed> {
    let socket = UdpSocket::bind((from, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(patience))?;
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    let id = message.metadata.id;
    message.add_query(Query::query(Name::from_ascii(format!("{name}."))?, kind));
    let mut buffer = [0; 4_096];
    // Nobody listens there yet, or nobody answers: that is what is asked.
    if socket.send(&message.to_vec()?).is_err() {
        return Ok(None);
    }
    let Ok(length) = socket.recv(&mut buffer) else {
        return Ok(None);
    };
    let answer = Message::from_vec(&buffer[..length])?;
    Ok((answer.metadata.id == id).then_some(answer))
}

/// Waits until the server gives this address for this name, and gives when that was.
pub(crate) fn answers(server: &mut Server, name: &str, address: &str) -> Result<u64, Failed> {
    let patience = Duration::from_millis(5);
    while server.process.age() < START {
        let answer = ask(OUTSIDE, server.address, name, RecordType::A, patience)?;
        let at = server.process.age();
        if answer.is_some_and(|answer| {
            let mut records = answer.answers.iter();
            records.any(|record| record.data.to_string() == address)
        }) {
            return Ok(at);
        }
        if server.process.ended()? {
            return Err(format!("it ended; it said:\n{}", server.process.said()).into());
        }
        // A refused question comes back at once: not a loop that takes the loader's core.
        std::thread::park_timeout(Duration::from_millis(1));
    }
    Err(format!("no answer for {name}; it said:\n{}", server.process.said()).into())
}

/// What an answer has to say; a list that is empty asks that there be nothing.
#[derive(Clone, Debug)]
struct Expected {
    name: String,
    kind: RecordType,
    code: ResponseCode,
    authoritative: bool,
    answers: Vec<String>,
    /// Types that the authority section has to have; more may be there.
    authorities: Vec<&'static str>,
    /// Addresses that the additional section has to have.
    additionals: Vec<String>,
}

impl Expected {
    fn new(name: &str, kind: RecordType) -> Self {
        Self {
            name: format!("{name}.{ORIGIN}"),
            kind,
            code: ResponseCode::NoError,
            authoritative: true,
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
        }
    }

    fn address(name: &str, address: &str) -> Self {
        let expected = Self::new(name, RecordType::A);
        let answers = vec![format!("{name}.{ORIGIN}. A {address}")];
        Self {
            answers,
            ..expected
        }
    }

    /// Says what is wrong with an answer.
    fn complaint(&self, answer: &Message) -> Option<String> {
        let words = |records: &[Record]| {
            let words = records.iter().map(|record| {
                let name = record.name.to_ascii().to_ascii_lowercase();
                format!("{name} {} {}", record.record_type(), record.data)
            });
            words.collect::<Vec<String>>()
        };
        let (code, found) = (answer.metadata.response_code, words(&answer.answers));
        let authorities = words(&answer.authorities);
        let additionals = words(&answer.additionals);
        let has = |kind: &&str| {
            authorities
                .iter()
                .any(|one| one.contains(&format!(" {kind} ")))
        };
        let right = code == self.code
            && answer.metadata.authoritative == self.authoritative
            && found == self.answers
            && self.authorities.iter().all(has)
            && self.additionals.iter().all(|one| additionals.contains(one));
        (!right).then(|| {
            format!(
                "{} {}: got {code}, aa={}, answer {found:?}, authority {authorities:?}, additional \
                 {additionals:?}; wanted {self:?}",
                self.name, self.kind, answer.metadata.authoritative
            )
        })
    }
}

/// Gives what a client behind this door has to be told.
fn expected(door: &str) -> Vec<Expected> {
    let last = hosts() - 1;
    let alias = Expected {
        answers: vec![
            format!("teleport.{ORIGIN}. CNAME proxy.{ORIGIN}."),
            format!("proxy.{ORIGIN}. A {door}"),
        ],
        ..Expected::new("teleport", RecordType::A)
    };
    let negative = |name: &str, kind, code| Expected {
        code,
        authorities: vec!["SOA"],
        ..Expected::new(name, kind)
    };
    let referral = Expected {
        authoritative: false,
        authorities: vec!["NS"],
        additionals: vec![format!("ns1.lab.{ORIGIN}. A 127.10.0.53")],
        ..Expected::new("www.lab", RecordType::A)
    };
    vec![
        Expected::address("proxy", door),
        Expected::address("grafana.proxy", door),
        Expected::address("h0", &host_address(0)),
        Expected::address(&format!("h{last}"), &host_address(last)),
        alias,
        negative("nothing", RecordType::A, ResponseCode::NXDomain),
        negative("proxy", RecordType::AAAA, ResponseCode::NoError),
        referral,
    ]
}

/// Gives what is wrong with the answers of a server.
fn complaints(
    server: SocketAddr,
    from: Ipv4Addr,
    expected: &[Expected],
) -> Result<Vec<String>, Failed> {
    let mut complaints = Vec::new();
    for expected in expected {
        let answer = ask(from, server, &expected.name, expected.kind, PATIENCE)?;
        complaints.extend(match answer {
            Some(answer) => expected.complaint(&answer),
            None => Some(format!("{} {}: no answer", expected.name, expected.kind)),
        });
    }
    Ok(complaints)
}

/// Waits for a server that has just started, and asks it everything.
pub(crate) fn two_views(server: &mut Server, views: Views) -> Result<(), Failed> {
    answers(server, &format!("h0.{ORIGIN}"), &host_address(0))?;
    right(server.address, views)
}

/// Asks a server everything from both networks; a wrong answer is an error.
pub(crate) fn right(server: SocketAddr, views: Views) -> Result<(), Failed> {
    let (from_inside, from_outside) = match views {
        Views::None => (EXTERNAL_DOOR, EXTERNAL_DOOR),
        Views::Name | Views::Zones => (INTERNAL_DOOR, EXTERNAL_DOOR),
    };
    for (from, door) in [(INSIDE, from_inside), (OUTSIDE, from_outside)] {
        let mut wanted = expected(door);
        if views == Views::Name && from == INSIDE {
            // An overlay of single names is not seen by what leads to them from the zone below.
            wanted.retain(|one| !one.name.starts_with("teleport."));
        }
        let complaints = complaints(server, from, &wanted)?;
        if !complaints.is_empty() {
            return Err(format!("wrong answers for {from}:\n{}", complaints.join("\n")).into());
        }
    }
    twin(server, from_inside)
}

/// Shows that the check sees a wrong answer: each expectation is spoiled in its turn.
fn twin(server: SocketAddr, door: &str) -> Result<(), Failed> {
    let wanted = expected(door);
    let spoil = |one: &Expected| Expected {
        answers: vec![format!("{}. A 192.0.2.1", one.name)],
        ..one.clone()
    };
    let codes = |one: &Expected| Expected {
        code: ResponseCode::ServFail,
        ..one.clone()
    };
    let flags = |one: &Expected| Expected {
        authoritative: !one.authoritative,
        ..one.clone()
    };
    let twins: [&dyn Fn(&Expected) -> Expected; 3] = [&spoil, &codes, &flags];
    for spoiled in twins {
        let spoiled: Vec<Expected> = wanted.iter().map(spoiled).collect();
        let seen = complaints(server, INSIDE, &spoiled)?.len();
        if seen != spoiled.len() {
            return Err(format!(
                "the check is broken: of {} wrong expectations it saw {seen}",
                spoiled.len()
            )
            .into());
        }
    }
    Ok(())
}

/// Waits until an echo gives back what it is sent.
pub(crate) fn echoes(server: &Server) -> Result<(), Failed> {
    while server.process.age() < START {
        let patience = Duration::from_millis(50);
        if ask(OUTSIDE, server.address, ORIGIN, RecordType::A, patience)?.is_some() {
            return Ok(());
        }
        pause();
    }
    Err("the echo does not answer".into())
}
