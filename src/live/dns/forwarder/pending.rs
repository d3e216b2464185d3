//! A question that was passed on, until it is answered, logged and counted.

use std::sync::Arc;

use hickory_proto::op::OpCode;

use super::counts::ForwardCounts;
use crate::live::clock::Clock;
use crate::live::dns::querylog::{Entry, QueryLog, Server, Told};
use crate::live::dns::worker::{From, Read, question};
use crate::live::dns::writer::{Head, limit, write_resolved};
use crate::model::fact::DnsTraffic;
use crate::model::id::Name;
use crate::model::time::Time;
use crate::policy::answer::{Edns, OwnEdns, Rules, decide};
use crate::policy::resolver::{Extended, Reply, Source};

/// The code of an error that has none of its own (RFC 8914 section 4.1).
const OTHER: u16 = 0;

/// What is kept of a question while others are asked.
pub(in crate::live::dns) struct Pending {
    pub(super) view: Name,
    head: Head,
    /// Name, type and class as they came.
    pub(super) question: Vec<u8>,
    edns: Option<Edns>,
    pub(super) from: From,
    /// Those by which it was passed on.
    rules: Arc<Rules>,
    since: Time,
}

/// Where it is told what became of a question.
pub(in crate::live::dns) struct Ledger {
    pub(super) clock: Clock,
    pub(super) counts: ForwardCounts,
    pub(super) log: Option<Arc<QueryLog>>,
}

/// An answer, and where it is from.
#[derive(Clone, Copy)]
pub(super) struct Outcome<'r> {
    pub(super) reply: &'r Reply,
    pub(super) source: Source,
    pub(super) server: Option<std::net::SocketAddr>,
    pub(super) timed_out: bool,
}

impl Pending {
    pub(in crate::live::dns) fn new(
        view: &Name,
        read: &Read<'_>,
        from: From,
        rules: &Arc<Rules>,
        ledger: &Ledger,
    ) -> Self {
        Self {
            view: view.clone(),
            head: read.head,
            question: read.question.to_vec(),
            edns: read.edns,
            from,
            rules: Arc::clone(rules),
            since: ledger.clock.now(),
        }
    }

    /// Writes the answer where too many wait already, and tells the ledger.
    pub(in crate::live::dns) fn write_full(&self, out: &mut Vec<u8>, ledger: &Ledger) {
        let reply = Reply::failure();
        let told = Outcome {
            reply: &reply,
            source: Source::Full,
            server: None,
            timed_out: false,
        };
        self.write(out, told, ledger);
    }

    /// Writes the answer, and tells the ledger.
    pub(super) fn write(&self, out: &mut Vec<u8>, told: Outcome<'_>, ledger: &Ledger) {
        let Outcome { reply, source, .. } = told;
        let read = Read {
            head: self.head,
            opcode: OpCode::Query,
            count: 1,
            question: &self.question,
            edns: self.edns,
            plain: false,
        };
        let question = question(&read, self.from);
        // The same rules decide the same again: what the answer says of itself, and why.
        let mut answer = decide(&self.rules, &question);
        answer.rcode = reply.rcode;
        let full = [Extended {
            code: OTHER,
            text: "too many questions are being passed on".into(),
        }];
        let errors = match source {
            Source::Full => &full[..],
            Source::Asked | Source::Cached => &reply.errors,
        };
        let (first, more) = match errors.split_first() {
            Some((first, more)) => (Some(first), more),
            None => (None, &[][..]),
        };
        let more: Vec<u16> = more.iter().map(|error| error.code).collect();
        let own = answer.edns.map(|own| OwnEdns {
            error: first.map(|error| error.code),
            errors_more: &more,
            ..own
        });
        let words = first.map_or("", |error| &error.text);
        let limit = limit(self.from.transport, self.edns.as_ref());
        let truncated = write_resolved(
            out,
            (self.head, &self.question),
            (own.as_ref(), words),
            reply,
            limit,
        );
        let waited = ledger.clock.now().since(self.since);
        ledger.counts.add(&self.view, result(told), waited);
        let entry = Entry {
            head: self.head,
            question: &question,
            answer: &answer,
            size: out.len(),
            truncated,
            told: Some(Told {
                rcode: reply.rcode,
                server: match (source, told.server) {
                    (Source::Cached, _) => Server::Cache,
                    (Source::Asked, Some(server)) => Server::Other(server),
                    (Source::Asked | Source::Full, _) => Server::None,
                },
            }),
        };
        let logger = ledger.log.as_ref().and_then(QueryLog::logger);
        let unlogged = logger.is_some_and(|logger| !logger.write(&entry));
        ledger.counts.carried(DnsTraffic {
            truncated: truncated.into(),
            unlogged: unlogged.into(),
            ..DnsTraffic::default()
        });
    }
}

/// Gives the word under which a question is counted.
const fn result(told: Outcome<'_>) -> &'static str {
    match told.source {
        Source::Cached => "cached",
        Source::Full => "refused_full",
        Source::Asked if told.timed_out => "timeout",
        Source::Asked if told.reply.is_failure() => "failed",
        Source::Asked => "answered",
    }
}
