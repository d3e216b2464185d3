//! The query log: the sampled answers that are held, filtered, with what repeats each.

use hickory_proto::op::OpCode;
use hickory_proto::rr::DNSClass;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Place, Query};
use crate::http::filter::Filter;
use crate::http::source::Source;
use crate::model::addr::ListenAddr;
use crate::model::fact::{DnsAnswered, Fact, Kind};
use crate::model::id::Seq;
use crate::policy::answer::{self, Question, Rules, Transport};
use crate::policy::zone::{read_name, read_type};
use crate::snapshot;

/// How many rows one answer has at most.
pub const ROWS_MAX: usize = 2_000;

/// How many rows it has unless told.
pub const ROWS: usize = 200;

/// The fields of the filter, in the order of `fields`.
pub const FIELDS: &[&str] = &[
    "client",
    "asker",
    "view",
    "rule",
    "name",
    "type",
    "rcode",
    "transport",
    "answer",
    "why",
];

/// The answer to `GET /api/queries`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Queries {
    /// Those that match, newest first.
    pub queries: Vec<QueryRow>,
    /// How many match of those that are held.
    pub matched: usize,
    /// How many are held.
    pub held: usize,
}

/// One answer, with what repeats it.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueryRow {
    /// The answer.
    #[serde(flatten)]
    pub query: Query,
    /// Where the first record of the answer stands; null when there is none, or another by now.
    pub place: Option<Place>,
    /// The command that asks the same again.
    pub dig: String,
}

/// Which rows are wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which.
    pub filter: Filter,
    /// How many at most.
    pub limit: usize,
    /// Only older ones.
    pub before: Option<Seq>,
    /// Only newer ones.
    pub after: Option<Seq>,
}

impl Queries {
    /// Finds the answers that are wanted.
    pub fn new(source: &Source, wanted: &Wanted) -> Self {
        let facts = source.journal.held().facts;
        let rules = source.rules();
        let (mut held, mut matched) = (0, 0);
        let mut queries = Vec::new();
        for fact in facts.iter().rev() {
            let Kind::DnsAnswered(answered) = &fact.kind else {
                continue;
            };
            held += 1;
            if !wanted.filter.holds(&fields(answered)) {
                continue;
            }
            matched += 1;
            let older = wanted.before.is_none_or(|before| fact.seq < before);
            let newer = wanted.after.is_none_or(|after| after < fact.seq);
            if older && newer && queries.len() < wanted.limit.min(ROWS_MAX) {
                queries.push(QueryRow::new(fact, answered, source, rules.as_deref()));
            }
        }
        Self {
            queries,
            matched,
            held,
        }
    }
}

impl QueryRow {
    fn new(fact: &Fact, answered: &DnsAnswered, source: &Source, rules: Option<&Rules>) -> Self {
        let query = snapshot::Query {
            seq: fact.seq,
            at: fact.at,
            answered: answered.clone(),
        };
        Self {
            query: Query::new(&query),
            place: rules.and_then(|rules| place(rules, source, answered)),
            dig: dig(source, answered),
        }
    }
}

/// Gives the texts of the fields.
fn fields(answered: &DnsAnswered) -> Vec<String> {
    let or_none = |name: Option<String>| name.unwrap_or_else(|| String::from("none"));
    vec![
        answered.client.to_string(),
        or_none(answered.asker.as_ref().map(ToString::to_string)),
        or_none(answered.view.as_ref().map(ToString::to_string)),
        or_none(answered.rule.as_ref().map(ToString::to_string)),
        answered.name.clone(),
        answered.rtype.clone(),
        answered.rcode.to_string(),
        answered.transport.to_owned(),
        answered.answer.join(", "),
        answered.why.clone(),
    ]
}

/// Gives where the first record of an answer stands, if the rules still give that answer.
pub(super) fn place(rules: &Rules, source: &Source, answered: &DnsAnswered) -> Option<Place> {
    let question = Question {
        source: answered.client,
        destination: ListenAddr(source.dns),
        transport: Transport::Udp,
        opcode: OpCode::Query,
        count: 1,
        name: read_name(&answered.name).ok()?,
        record_type: read_type(&answered.rtype)?,
        class: DNSClass::IN,
        recursion_desired: false,
        edns: None,
    };
    let first = answered.answer.first()?;
    let now = answer::decide(rules, &question);
    let mut records = now.records();
    let record = records.find(|shown| shown.typed_words() == *first)?;
    Some(Place {
        file: record.file.display().to_string(),
        line: record.line,
        column: 1,
    })
}

/// Writes the command that asks the same again.
pub(super) fn dig(source: &Source, answered: &DnsAnswered) -> String {
    let dns = source.dns;
    let mut line = format!(
        "dig @{} -p {} -b {} -q {} -t {}",
        dns.ip(),
        dns.port(),
        answered.client.ip(),
        shell(&answered.name),
        shell(&answered.rtype)
    );
    if answered.transport == Transport::Tcp.word() {
        line.push_str(" +tcp");
    }
    if let Some(subnet) = &answered.subnet {
        line.push_str(&format!(" +subnet={}", shell(subnet)));
    }
    line
}

/// Quotes a word for a shell: names come from the wire.
fn shell(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:*".contains(&byte);
    // An asterisk alone would be taken for files.
    if !word.is_empty() && word.bytes().all(|byte| plain(byte) && byte != b'*') {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_the_wire_is_one_word_for_a_shell() {
        assert_eq!(shell("proxy.example.com."), "proxy.example.com.");
        assert_eq!(shell("*.example.com."), "'*.example.com.'");
        assert_eq!(shell("a'; rm -rf $HOME"), "'a'\\''; rm -rf $HOME'");
        assert_eq!(shell(""), "''");
    }
}
