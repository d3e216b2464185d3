//! What an operator or a move does to an agent.

use std::net::IpAddr;

use crate::model::fact::{Act, Cut, Kind};
use crate::model::id::Name;
use crate::policy::backoff::Backoff;
use crate::policy::{Context, Outbox};

use super::{Agent, Held, Output, Phase, Tunnel, Work};

impl Agent {
    /// Does an operator's act; one that changes nothing makes no fact.
    pub(super) fn operate(&mut self, cx: &Context<'_>, act: Act, out: &mut Outbox<Output>) {
        match (act, self.admin) {
            (Act::Drain, Work::Draining | Work::Stopped)
            | (Act::Start, Work::Running)
            | (Act::Kill | Act::Stop, Work::Stopped) => return,
            (Act::Drain | Act::Kill | Act::Start | Act::Stop, _) => {
                out.fact(Kind::Operated { act });
            }
        }
        match act {
            Act::Start => {
                self.admin = Work::Running;
                if self.phase == Phase::Idle {
                    self.phase = Phase::Leasing {
                        since: cx.now,
                        next: Some(cx.now),
                    };
                }
            }
            Act::Drain => {
                self.admin = Work::Draining;
                self.give_up_attempt();
                for tunnel in &mut self.tunnels {
                    tunnel.draining = true;
                    if tunnel.streams == 0 {
                        out.push(Output::Close { dial: tunnel.dial });
                    }
                }
                self.note_drained(out);
            }
            Act::Kill | Act::Stop => {
                self.admin = Work::Stopped;
                let (how, why) = match act {
                    Act::Kill => (Cut::Reset, "the agent was killed"),
                    Act::Drain | Act::Start | Act::Stop => (Cut::Finish, "the agent was stopped"),
                };
                self.lose_all(cx, how, why, out);
                // A new process knows nothing.
                self.leases.clear();
                self.found = None;
                self.backoff = Backoff::default();
            }
        }
    }

    /// Gives up the attempt and every tunnel, and has them cut.
    pub(super) fn lose_all(
        &mut self,
        cx: &Context<'_>,
        how: Cut,
        why: &str,
        out: &mut Outbox<Output>,
    ) {
        self.give_up_attempt();
        out.push(Output::CutAll { how });
        while let Some(Tunnel { dial, proxy, .. }) = self.tunnels.pop() {
            self.leases.unclaim(dial, Some(cx.now));
            let (proxy, tunnels) = (cx.topology.proxy_name(&proxy), self.standing());
            let why = why.to_owned();
            out.fact(Kind::TunnelLost {
                dial,
                proxy,
                why,
                tunnels,
            });
        }
    }

    /// A move takes the address away, and every connection with it; the process lives on.
    pub(super) fn roamed(
        &mut self,
        cx: &Context<'_>,
        (network, address): (Name, IpAddr),
        out: &mut Outbox<Output>,
    ) {
        self.network = Some(network.clone());
        out.fact(Kind::Roamed { network, address });
        let running = self.admin == Work::Running;
        self.lose_all(cx, Cut::Reset, "the agent moved to another network", out);
        if running {
            self.rest(cx, out);
        }
        self.note_drained(out);
    }

    /// Gives the network that it is in now.
    pub(super) fn network(&self, cx: &Context<'_>) -> Name {
        let own = || self.config(cx).network.clone();
        self.network.clone().unwrap_or_else(own)
    }

    pub(super) fn give_up_attempt(&mut self) {
        if let Phase::Trying { dial, claim } = self.phase {
            match claim {
                Held::Claim => self.leases.unclaim(dial, None),
                Held::Nothing | Held::Refused(_) => self.leases.release(),
            }
        }
        self.phase = Phase::Idle;
    }

    pub(super) fn note_drained(&self, out: &mut Outbox<Output>) {
        if self.admin == Work::Draining && self.tunnels.is_empty() {
            out.fact(Kind::Drained);
        }
    }
}
