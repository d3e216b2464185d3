//! Which tunnels live: late heartbeats, stand-ins, and what is closed when its last session ends.
//!
//! A tunnel whose heartbeats stop is invalid after interval times count, and still the last resort;
//! three times as late it is closed, once no session is open in it (Teleport `local_cluster`; the
//! deferral is (unchecked) of the reference). A stand-in has no heartbeats and is never late.

use super::{Output, Proxy, Tunnel, Work};
use crate::model::fact::Kind;
use crate::model::id::{ConnId, Name};
use crate::model::time::{Span, Time};
use crate::policy::{Context, Outbox};

/// A tunnel is closed when it is so many times later than what makes it invalid (Teleport
/// `missedHeartBeatThreshold`).
const MISSED_MAX: u64 = 3;

/// How many names one stand-in may forward; they are input.
pub const FORWARDS_MAX: usize = 64;

/// Who holds a tunnel.
#[derive(Debug)]
pub(super) enum Holder {
    /// An agent, by its host id.
    Agent(Name),
    /// An SSH client with a user certificate, which forwards these names.
    StandIn(Vec<Name>),
}

impl Tunnel {
    /// Makes a tunnel that stands since now.
    pub(super) const fn new(agent: Name, holder: Holder, now: Time) -> Self {
        Self {
            agent,
            holder,
            since: now,
            beat: None,
            look: None,
            offline: false,
            refused: false,
            open: 0,
        }
    }

    /// Gives the host id of the agent that holds it.
    pub(super) const fn host_id(&self) -> Option<&Name> {
        match &self.holder {
            Holder::Agent(host_id) => Some(host_id),
            Holder::StandIn(_) => None,
        }
    }

    fn silent(&self, now: Time) -> Span {
        now.since(self.beat.unwrap_or(self.since))
    }
}

impl Proxy {
    /// Gives how long a tunnel may be without a heartbeat.
    fn offline_after(cx: &Context<'_>) -> Span {
        // With none at all every tunnel would be late in the instant in which it came.
        let limit = cx.topology.pool.teleport.offline_after();
        limit.max(Span::from_ms(1))
    }

    /// Looks at a tunnel when its last heartbeat, which came now, makes it late.
    ///
    /// There is one entry a tunnel, and a heartbeat of one that is not late does not move it: when it
    /// is due it is put where the last heartbeat wants it. So a fleet's heartbeats cost nothing here.
    pub(super) fn watch(&mut self, cx: &Context<'_>, conn: ConnId) {
        self.look_at(conn, cx.now + Self::offline_after(cx));
    }

    fn look_at(&mut self, conn: ConnId, at: Time) {
        if let Some(tunnel) = self.tunnels.get_mut(&conn) {
            if let Some(before) = tunnel.look.replace(at) {
                self.watched.remove(&(before, conn));
            }
            self.watched.insert((at, conn));
        }
    }

    /// Gives the next instant at which a tunnel may be late.
    pub(super) fn late_at(&self) -> Option<Time> {
        self.watched.first().map(|(at, _)| *at)
    }

    /// Marks what is late, and closes what is far too late.
    pub(super) fn note_late(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        let later = self
            .watched
            .split_off(&(cx.now + Span::from_us(1), ConnId(0)));
        let due = std::mem::replace(&mut self.watched, later);
        for (_, conn) in due {
            let limit = Self::offline_after(cx);
            let Some(tunnel) = self.tunnels.get_mut(&conn) else {
                continue;
            };
            let silent = tunnel.silent(cx.now);
            let last = tunnel.beat.unwrap_or(tunnel.since);
            if silent < limit {
                self.look_at(conn, last + limit);
                continue;
            }
            if !tunnel.offline {
                tunnel.offline = true;
                out.fact(Kind::TunnelOffline {
                    conn,
                    agent: tunnel.agent.clone(),
                    silent,
                });
            }
            if silent < limit.times(MISSED_MAX) {
                self.look_at(conn, last + limit.times(MISSED_MAX));
            } else if tunnel.open == 0 {
                self.give_up(cx, conn, out);
            } else {
                // It is closed when its last session ends; a heartbeat before then saves it.
                self.look_at(conn, cx.now + limit);
            }
        }
    }

    /// Removes a tunnel that is far too late, and has it closed.
    fn give_up(&mut self, cx: &Context<'_>, conn: ConnId, out: &mut Outbox<Output>) {
        if let Some(tunnel) = self.tunnels.remove(&conn) {
            let why = format!("no heartbeat for {}", tunnel.silent(cx.now));
            out.fact(Kind::TunnelRemoved {
                conn,
                agent: tunnel.agent,
                why,
            });
            out.push(Output::CloseTunnel { conn });
            self.note_drained(out);
        }
    }

    /// The last session of a tunnel has ended: what only waited for that is closed now.
    pub(super) fn without_sessions(
        &mut self,
        cx: &Context<'_>,
        conn: ConnId,
        out: &mut Outbox<Output>,
    ) {
        let Some(tunnel) = self.tunnels.get(&conn) else {
            return;
        };
        let draining = matches!(self.work, Work::Draining { .. });
        match &tunnel.holder {
            Holder::Agent(_) => {
                let limit = Self::offline_after(cx).times(MISSED_MAX);
                if tunnel.offline && tunnel.silent(cx.now) >= limit {
                    self.give_up(cx, conn, out);
                }
            }
            Holder::StandIn(_) if draining => out.push(Output::CloseTunnel { conn }),
            Holder::StandIn(_) => {}
        }
    }

    /// Takes what a stand-in forwards: all names so far.
    pub(super) fn stand_in_opened(
        &mut self,
        cx: &Context<'_>,
        conn: ConnId,
        (name, mut resources): (Name, Vec<Name>),
        out: &mut Outbox<Output>,
    ) {
        resources.truncate(FORWARDS_MAX);
        if !self.open.contains(&conn) || self.work != Work::Running {
            // It was cut while it logged in, or cannot be advised to go elsewhere.
            out.push(Output::CloseTunnel { conn });
            return;
        }
        out.fact(Kind::StandInRegistered {
            conn,
            name: name.clone(),
            resources: resources.clone(),
        });
        let tunnel = Tunnel::new(name, Holder::StandIn(resources.clone()), cx.now);
        let tunnel = self.tunnels.entry(conn).or_insert(tunnel);
        tunnel.holder = Holder::StandIn(resources);
    }

    /// Gives the newest stand-in that forwards a name and did not refuse a stream.
    pub(super) fn stand_in(&self, resource: &str) -> Option<ConnId> {
        let mut newest = self.tunnels.iter().rev();
        let (conn, _) = newest.find(|(_, tunnel)| {
            matches!(&tunnel.holder, Holder::StandIn(names)
                if !tunnel.refused && names.iter().any(|name| **name == *resource))
        })?;
        Some(*conn)
    }

    /// Advises every agent to go elsewhere, at once; stand-ins do not know the word and are closed
    /// when nothing is open in them.
    pub(super) fn advise_all(&mut self, out: &mut Outbox<Output>) {
        let mut conns = Vec::new();
        for (conn, tunnel) in &self.tunnels {
            match (&tunnel.holder, tunnel.open) {
                (Holder::Agent(_), _) => conns.push(*conn),
                (Holder::StandIn(_), 0) => out.push(Output::CloseTunnel { conn: *conn }),
                (Holder::StandIn(_), _) => {}
            }
        }
        out.push(Output::Advise { conns });
    }
}

#[cfg(test)]
mod tests;
