//! What a resolver remembers: whole answers until the shortest TTL in them is over.

use std::collections::BTreeMap;
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RData;

use crate::model::id;
use crate::model::time::{Span, Time};

use super::message::{CACHED_ERROR, ERRORS_MAX, Extended};
use super::{Question, Reply, words};

/// How many answers are kept; when there are more, the one that ends first makes room.
pub const CACHE_MAX: usize = 10_000;

/// How long any answer is kept at most, as BIND's `max-cache-ttl` limits it in whole days.
pub const TTL_MAX: Span = Span::from_secs(86_400);

/// How long a negative answer is kept at most (RFC 2308 section 5; BIND's `max-ncache-ttl`).
pub const NEGATIVE_MAX: Span = Span::from_secs(3 * 3_600);

/// How long a failure is kept when it was not the case before (RFC 9520 section 3.2: at least one
/// second).
pub const FAILURE_MIN: Span = Span::from_secs(5);

/// How long a failure is kept at most (RFC 9520 section 3.2: not above five minutes). What a server
/// said a minute ago may be mended.
pub const FAILURE_MAX: Span = Span::from_secs(60);

/// The answers, by question.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: BTreeMap<Question, Entry>,
}

/// An answer as it came, its TTLs made fit.
#[derive(Debug)]
pub(super) struct Entry {
    reply: Reply,
    since: Time,
    until: Time,
    /// For how long it is kept as a failure; none when it is none.
    failed: Span,
    pub(super) words: Arc<[id::Name]>,
}

impl Entry {
    pub(super) fn new(now: Time, mut reply: Reply, floor: Span) -> Self {
        let most = seconds(TTL_MAX);
        let least = seconds(floor).min(most);
        for record in &mut reply.records {
            record.ttl = record.ttl.clamp(least, most);
        }
        if let Some(record) = &mut reply.soa {
            if let RData::SOA(soa) = &record.data {
                record.ttl = record.ttl.min(soa.minimum);
            }
            let most = seconds(NEGATIVE_MAX).max(least);
            record.ttl = record.ttl.clamp(least, most);
        }
        // Without an SOA nobody said how long nothing is true (RFC 2308 section 5).
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are failures")]
        let speaks = match reply.rcode {
            ResponseCode::NoError => !reply.records.is_empty() || reply.soa.is_some(),
            ResponseCode::NXDomain => reply.soa.is_some(),
            _ => false,
        };
        let kept = if speaks { reply.ttl() } else { 0 };
        Self {
            words: words(&reply.records),
            reply,
            since: now,
            until: now + Span::from_secs(u64::from(kept)),
            failed: Span::ZERO,
        }
    }

    /// Has a failure kept: twice as long as one that is over since no longer than it lasted (RFC 9520
    /// section 3.2 asks for such a backoff).
    pub(super) fn keep_failure(&mut self, before: Option<&Self>) {
        if !self.reply.is_failure() {
            return;
        }
        let again = before.filter(|before| self.since < before.until + before.failed);
        let longer = again.map_or(Span::ZERO, |before| before.failed.times(2));
        self.failed = longer.clamp(FAILURE_MIN, FAILURE_MAX);
        self.until = self.since + self.failed;
    }

    /// Tells whether it is worth keeping.
    pub(super) fn is_kept(&self) -> bool {
        self.until > self.since
    }

    /// Gives the answer with what is left of its TTLs, and says of a failure that it was kept.
    pub(super) fn reply(&self, now: Time) -> Reply {
        let mut reply = self.fresh(now);
        if self.failed > Span::ZERO {
            reply.errors.truncate(ERRORS_MAX - 1);
            reply.errors.push(Extended {
                code: CACHED_ERROR,
                text: Box::default(),
            });
        }
        reply
    }

    /// Gives the answer as it was learned, with what is left of its TTLs.
    pub(super) fn fresh(&self, now: Time) -> Reply {
        let age = now.since(self.since);
        let age = seconds(age);
        let mut reply = self.reply.clone();
        for record in reply.records.iter_mut().chain(reply.soa.as_deref_mut()) {
            record.ttl = record.ttl.saturating_sub(age);
        }
        reply
    }
}

impl Cache {
    pub(super) fn get(&self, question: &Question, now: Time) -> Option<&Entry> {
        let entry = self.entries.get(question);
        entry.filter(|entry| now < entry.until)
    }

    /// Gives what was kept last, be it over.
    pub(super) fn before(&self, question: &Question) -> Option<&Entry> {
        self.entries.get(question)
    }

    pub(super) fn put(&mut self, question: Question, entry: Entry, now: Time) {
        if self.entries.len() >= CACHE_MAX && !self.entries.contains_key(&question) {
            self.make_room(now);
        }
        self.entries.insert(question, entry);
    }

    /// Takes out what is over, and if nothing is, what will be first.
    fn make_room(&mut self, now: Time) {
        self.entries.retain(|_, entry| now < entry.until);
        if self.entries.len() >= CACHE_MAX {
            let first = self.entries.iter().min_by_key(|(_, entry)| entry.until);
            if let Some(question) = first.map(|(question, _)| question.clone()) {
                self.entries.remove(&question);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Gives whole seconds.
fn seconds(span: Span) -> u32 {
    u32::try_from(span.as_us() / 1_000_000).unwrap_or(u32::MAX)
}
