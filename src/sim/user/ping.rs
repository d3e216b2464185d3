//! A user's ping: the candidates one after the other, the first answer wins (reference 5).

use super::{Event, Failure, HostPort, Id, Input, LinkId, Message, Purpose, Side, TIMEOUT, World};
use crate::policy::user::PING_EVERY;

/// A ping that is under way.
#[derive(Debug)]
pub(super) struct Ping {
    attempt: u64,
    candidates: Vec<HostPort>,
    /// Those that were begun and have not failed.
    asked: Vec<(LinkId, usize)>,
    begun: usize,
    /// What came of those that failed, in that order.
    failed: Vec<(Failure, String)>,
}

impl World<'_> {
    /// Begins a ping with its first candidate.
    pub(super) fn begin_ping(&mut self, index: u32, attempt: u64, candidates: Vec<HostPort>) {
        self.users[index as usize].ping = Some(Ping {
            attempt,
            candidates,
            asked: Vec::new(),
            begun: 0,
            failed: Vec::new(),
        });
        self.next_ping(index, attempt, 0);
    }

    /// Begins with a candidate, unless the ping is over or has begun it already.
    pub(in crate::sim) fn next_ping(&mut self, index: u32, attempt: u64, place: usize) {
        let Some(ping) = &mut self.users[index as usize].ping else {
            return;
        };
        if ping.attempt != attempt || ping.begun != place {
            return;
        }
        let Some(to) = ping.candidates.get(place).cloned() else {
            return;
        };
        if place > 0
            && let Some(at) = self.hold_ping(index, attempt, to.port)
        {
            let next = Event::NextPing(index, attempt, place);
            return self.queue.push(at, Id::User(index), next);
        }
        let Some(ping) = &mut self.users[index as usize].ping else {
            return;
        };
        ping.begun += 1;
        let more = ping.begun < ping.candidates.len();
        let until = self.now + TIMEOUT;
        let before = self.users[index as usize].links.last().copied();
        let head = (String::from("/webapi/ping"), None);
        self.ask_as_user(index, (Purpose::Ping, attempt), to, until, head);
        let user = &mut self.users[index as usize];
        if let (Some(link), Some(ping)) = (user.links.last().copied(), &mut user.ping)
            && Some(link) != before
        {
            ping.asked.push((link, place));
        }
        if more {
            let next = Event::NextPing(index, attempt, place + 1);
            self.queue
                .push(self.now + PING_EVERY, Id::User(index), next);
        }
    }

    /// A candidate answered: the others are let go.
    pub(super) fn ping_answered(&mut self, index: u32, id: LinkId, attempt: u64) {
        let Some(ping) = self.users[index as usize].ping.take() else {
            return;
        };
        let place = ping.asked.iter().find(|(link, _)| *link == id);
        let asked = place.and_then(|(_, place)| ping.candidates.get(*place).cloned());
        for (link, _) in ping.asked {
            self.close(link, Side::Client, Message::Fin);
        }
        if let Some(asked) = asked {
            let document = std::sync::Arc::clone(&self.document);
            let input = Input::PingAnswered {
                attempt,
                asked,
                document,
            };
            self.tell_user(index, input);
        }
    }

    /// A candidate failed; the ping has, when all have.
    pub(super) fn candidate_failed(
        &mut self,
        index: u32,
        id: LinkId,
        reason: Failure,
        error: String,
    ) {
        let slot = &mut self.users[index as usize].ping;
        let Some(ping) = slot else { return };
        let Some(at) = ping.asked.iter().position(|(link, _)| *link == id) else {
            return;
        };
        let (_, place) = ping.asked.remove(at);
        let error = format!("{}: {error}", ping.candidates[place]);
        ping.failed.push((reason, error));
        if ping.failed.len() < ping.candidates.len() {
            return;
        }
        let Some(over) = slot.take() else { return };
        let furthest = over.failed.iter().map(|(reason, _)| *reason);
        let reason = furthest.max_by_key(|reason| way(*reason));
        let errors = over.failed.into_iter().map(|(_, error)| error);
        let input = Input::PingFailed {
            attempt: over.attempt,
            reason: reason.unwrap_or(Failure::Resolve),
            error: errors.collect::<Vec<_>>().join("; "),
        };
        self.tell_user(index, input);
    }
}

/// Tells how far on the way to an answer a candidate came (as `live/user`).
const fn way(reason: Failure) -> u8 {
    match reason {
        Failure::Resolve => 0,
        Failure::Connect => 1,
        Failure::Tls => 2,
        Failure::Timeout => 3,
        Failure::Cut => 4,
        Failure::Status => 5,
        Failure::NoTunnel => 6,
    }
}
