//! What a resolver's cache will do with an answer.

use std::net::IpAddr;

use hickory_proto::op::ResponseCode;
use ipnet::IpNet;

use super::{Answer, Question, Rrset, Step};
use crate::policy::view::Subnet;
use crate::policy::zone::type_word;

/// What is kept, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// How long the answer as a whole; `None` when only a failure may be remembered.
    pub seconds: Option<u32>,
    /// A sentence each.
    pub lines: Vec<String>,
}

/// Says what a cache will do with an answer.
pub fn kept(question: &Question, answer: &Answer<'_>) -> Kept {
    if answer.dropped {
        let line = "gets nothing, and asks again or elsewhere; it may give what it had before \
                    (RFC 8767 section 5)";
        return only(line);
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are failures")]
    let mut kept = match answer.rcode {
        ResponseCode::NXDomain => negative(
            answer,
            "that neither the name nor any below it exists (RFC 8020)",
        ),
        ResponseCode::NoError => match answer.reason.step {
            Step::Delegation(_) => referral(answer),
            Step::NoType | Step::NoTypeWildcard(_) => {
                let kind = type_word(question.record_type);
                negative(answer, &format!("that the name has no {kind}"))
            }
            _ => positive(answer),
        },
        _ => only(
            "keeps no records; the failure itself at most 5 minutes (RFC 2308 section 7, RFC 9520 \
             section 3.2)",
        ),
    };
    let scoped = answer.edns.and_then(|edns| edns.subnet);
    if let Some(subnet) = scoped.filter(|_| kept.seconds.is_some())
        && subnet.scope > 0
    {
        let length = subnet.scope.min(subnet.source);
        kept.lines.push(format!(
            "keeps it for clients in {} (RFC 7871 section 7.3.1)",
            net(subnet.address, length)
        ));
    }
    kept
}

fn only(line: &str) -> Kept {
    Kept {
        seconds: None,
        lines: vec![String::from(line)],
    }
}

fn least(sets: &[Rrset<'_>]) -> Option<u32> {
    sets.iter().map(|set| set.ttl).min()
}

fn positive(answer: &Answer<'_>) -> Kept {
    let Some(seconds) = least(&answer.answer) else {
        return only("finds nothing to keep");
    };
    let mut lines = match (seconds, answer.answer.len()) {
        (0, _) => vec![String::from(
            "gives it to those who wait, and keeps it not at all: TTL 0 (RFC 1035 section 3.2.1)",
        )],
        (_, 1) => vec![format!("keeps it {seconds} s, counting down")],
        (_, _) => vec![format!(
            "keeps each set for its own TTL, and the whole {seconds} s: the least of them"
        )],
    };
    if matches!(answer.reason.step, Step::Outside) {
        lines.push(String::from(
            "asks on for the last alias itself: it leads outside the zone",
        ));
    }
    lines.extend(stale(seconds));
    Kept {
        seconds: Some(seconds),
        lines,
    }
}

fn negative(answer: &Answer<'_>, what: &str) -> Kept {
    let Some(seconds) = least(&answer.authority) else {
        return only("does not keep it: there is no SOA with it (RFC 2308 section 5)");
    };
    let mut lines = vec![format!(
        "keeps {what} for {seconds} s: the lesser of the SOA's TTL and minimum (RFC 2308 section 5)"
    )];
    if let Some(aliases) = least(&answer.answer) {
        lines.push(format!("keeps the aliases before it {aliases} s"));
    }
    lines.extend(stale(seconds));
    Kept {
        seconds: Some(seconds),
        lines,
    }
}

fn referral(answer: &Answer<'_>) -> Kept {
    let Some(seconds) = least(&answer.authority) else {
        return only("finds nothing to keep");
    };
    let glue = match least(&answer.additional) {
        Some(glue) => format!("their addresses {glue} s"),
        None => String::from("it looks up their addresses itself"),
    };
    Kept {
        seconds: Some(seconds),
        lines: vec![format!(
            "keeps the name servers {seconds} s, {glue}, and asks them for the name and all below it \
             (RFC 1034 section 5.3.3)"
        )],
    }
}

/// What it may do when the time is over and no server answers.
fn stale(seconds: u32) -> Option<String> {
    let line = "may give it up to 3 days longer, 30 s at a time, while no server answers (RFC 8767 \
                section 5)";
    (seconds > 0).then(|| String::from(line))
}

/// Writes the network of this length that holds the address.
fn net(address: IpAddr, length: u8) -> String {
    IpNet::new(address, length).map_or_else(
        |_| format!("{address}/{length}"),
        |network| network.trunc().to_string(),
    )
}

/// Says what a scope means.
pub fn scope_words(subnet: Subnet) -> String {
    let Subnet {
        address,
        source,
        scope,
    } = subnet;
    match scope {
        0 => String::from("the same for every client"),
        _ if scope < source => format!("the same for every client in {}", net(address, scope)),
        _ if scope == source => String::from("true for just the bits that were given"),
        _ => format!(
            "the clients of {address}/{source} get different views; more bits are wanted (RFC 7871 \
             section 7.2.1)"
        ),
    }
}
