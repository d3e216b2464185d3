//! One attempt: the lease, find, the dial, the verdict on the host key, and the wait that follows.

use crate::model::addr::ListenAddr;
use crate::model::fact::{Cause, Kind, Purpose, Stage};
use crate::model::id::DialId;
use crate::model::time::Span;
use crate::model::topology::Role;
use crate::policy::address::{self, Document};
use crate::policy::lease::{self, Claim};
use crate::policy::principals::{self, Refusal, Shown};
use crate::policy::{Context, Outbox, alpn, findings};

use super::{Agent, Found, Held, LEASE_POLL, Output, Phase, Work};

impl Agent {
    pub(super) fn try_lease(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        if self.leases.expire(cx.now) {
            self.note_known(cx, "no gossip named it for three minutes", out);
        }
        if !self.leases.acquire(cx.now, cap(cx)) {
            self.phase = Phase::Leasing {
                since: cx.now,
                next: None,
            };
            return;
        }
        let config = self.config(cx);
        self.dials += 1;
        let dial = DialId(self.dials);
        self.phase = Phase::Trying {
            dial,
            claim: Held::Nothing,
        };
        match &self.found {
            Some(found) if cx.now.since(found.at) < config.find_cache => {
                self.dial(cx, dial, true, out);
            }
            _ => {
                self.found = None;
                let seed = config.proxy_server.clone();
                out.push(Output::Find { dial, seed });
            }
        }
    }

    fn dial(&self, cx: &Context<'_>, dial: DialId, cached: bool, out: &mut Outbox<Output>) {
        let Some(found) = &self.found else { return };
        let address = found.address.clone();
        out.fact(Kind::AddressFound {
            dial,
            address: address.clone(),
            rule: found.rule.text(),
            cached,
        });
        let alpn = alpn::offers(found.tls_routing, cx.topology.pool.teleport.strategy);
        out.push(Output::Dial {
            dial,
            address,
            alpn,
        });
    }

    pub(super) fn find_answered(
        &mut self,
        cx: &Context<'_>,
        dial: DialId,
        document: &Document,
        out: &mut Outbox<Output>,
    ) {
        // A drain gives the attempt up, and its answer may still come.
        if !matches!(self.phase, Phase::Trying { dial: current, .. } if current == dial) {
            return;
        }
        let environment = self.config(cx).tunnel_public_addr.as_deref();
        match address::tunnel(document, environment) {
            Ok(found) => {
                let address::Found { address, rule } = found;
                self.found = Some(Box::new(Found {
                    at: cx.now,
                    address,
                    rule,
                    tls_routing: document.tls_routing,
                }));
                self.dial(cx, dial, false, out);
            }
            Err(unfound) => {
                // An address without a port is found; it is the dial that fails.
                let stage = if unfound.cause == Cause::NoPort {
                    Stage::Connect
                } else {
                    Stage::Find
                };
                self.failed(cx, dial, (stage, unfound.cause), unfound.text, out);
            }
        }
    }

    pub(super) fn host_key_shown(
        &mut self,
        dial: DialId,
        shown: &Shown,
        unix_seconds: u64,
        out: &mut Outbox<Output>,
    ) {
        let verdict = self.judge_host_key(dial, shown, unix_seconds);
        if let Phase::Trying {
            dial: current,
            claim,
        } = &mut self.phase
            && *current == dial
        {
            *claim = match verdict {
                Ok(()) => Held::Claim,
                Err((refused, _)) => Held::Refused(refused),
            };
        }
        out.push(match verdict {
            Ok(()) => Output::AcceptHostKey,
            Err((_, why)) => Output::RefuseHostKey { why },
        });
    }

    pub(super) fn judge_host_key(
        &mut self,
        dial: DialId,
        shown: &Shown,
        unix_seconds: u64,
    ) -> Result<(), ((Stage, Cause), String)> {
        let trying = matches!(self.phase, Phase::Trying { dial: current, .. } if current == dial);
        let Some(found) = self.found.as_ref().filter(|_| trying) else {
            let why = String::from("the attempt was given up");
            return Err(((Stage::Ssh, Cause::Ssh), why));
        };
        principals::check(shown, &found.address.host, unix_seconds)
            .map_err(|refusal| ((Stage::Ssh, cause_of(&refusal)), refusal.to_string()))?;
        let Some(id) = principals::host_id(&shown.principals) else {
            let why = String::from("the certificate names no proxy");
            return Err(((Stage::Ssh, Cause::HostCertificate), why));
        };
        match self.leases.claim(&id.into(), dial) {
            Claim::Granted => Ok(()),
            Claim::Taken => {
                let why = String::from("proxy already claimed");
                Err(((Stage::Claim, Cause::Claimed), why))
            }
        }
    }

    pub(super) fn connected(
        &mut self,
        cx: &Context<'_>,
        dial: DialId,
        (purpose, host, address): (Purpose, &str, ListenAddr),
        out: &mut Outbox<Output>,
    ) {
        if !matches!(self.phase, Phase::Trying { dial: current, .. } if current == dial) {
            return;
        }
        let door = cx.topology.balancer_at(address.0);
        let network = self.network(cx);
        if let Some(door) = door.filter(|door| door.meant_for == Some(Role::Users))
            && !self.role_noticed
        {
            self.role_noticed = true;
            out.fact(findings::role_follows_network(
                &self.node, &network, &door.name,
            ));
        }
        let (held, known) = (self.tunnels.len(), self.leases.known(cx.now));
        if purpose == Purpose::Tunnel
            && self.in_vain == findings::IN_VAIN
            && held < known
            && let Some(door) = door
            && let Some(finding) =
                findings::mesh_never_completes(cx.topology, self.config(cx), door, (held, known))
        {
            out.fact(finding);
        }
        out.fact(Kind::DoorUsed {
            attempt: dial.0,
            purpose,
            host: host.into(),
            address,
            balancer: door.map(|door| door.name.clone()),
            network,
        });
    }

    pub(super) fn failed(
        &mut self,
        cx: &Context<'_>,
        dial: DialId,
        (stage, cause): (Stage, Cause),
        error: String,
        out: &mut Outbox<Output>,
    ) {
        let Phase::Trying {
            dial: current,
            claim,
        } = self.phase
        else {
            return;
        };
        if current != dial {
            return;
        }
        let (stage, cause) = match claim {
            Held::Claim => {
                self.leases.unclaim(dial, None);
                (stage, cause)
            }
            Held::Refused(refused) => {
                self.leases.release();
                refused
            }
            Held::Nothing => {
                self.leases.release();
                (stage, cause)
            }
        };
        let claimed = cause == Cause::Claimed;
        self.in_vain = if claimed {
            self.in_vain.saturating_add(1)
        } else {
            0
        };
        out.fact(Kind::DialFailed {
            dial,
            stage,
            cause,
            error,
        });
        self.rest(cx, out);
    }

    /// The wait that follows each attempt, whatever came of it.
    pub(super) fn rest(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        if self.admin != Work::Running {
            self.phase = Phase::Idle;
            return;
        }
        let (kind, entity) = (self.config(cx).backoff, self.node.to_string());
        let wait = self.backoff.wait(kind, cx.now, cx.topology.seed, &entity);
        self.phase = Phase::Waiting {
            until: cx.now + wait,
        };
        if wait > Span::ZERO {
            out.fact(Kind::BackingOff {
                wait,
                step: self.backoff.step(),
            });
        }
    }

    /// A lease that became free is seen at the next poll, not before.
    pub(super) fn look_again(&mut self, cx: &Context<'_>) {
        if let Phase::Leasing {
            since,
            next: next @ None,
        } = &mut self.phase
            && self.leases.available(cx.now, cap(cx))
        {
            let polls = cx.now.since(*since).as_us().div_ceil(LEASE_POLL.as_us());
            *next = Some(*since + LEASE_POLL.times(polls));
        }
    }
}

/// Gives how many proxies an agent of this cluster wants.
fn cap(cx: &Context<'_>) -> usize {
    lease::cap(cx.topology.pool.teleport.strategy)
}

/// Gives the kind of failure that a refused host key is.
fn cause_of(refusal: &Refusal) -> Cause {
    match refusal {
        Refusal::HostCertificate | Refusal::PlainKey | Refusal::UserCertificate => Cause::HostKey,
        Refusal::UnknownAuthority(_) => Cause::HostAuthority,
        Refusal::Principal { .. } => Cause::Principal,
        Refusal::CriticalOption(_)
        | Refusal::Expired
        | Refusal::NoPrincipals
        | Refusal::NotYetValid
        | Refusal::Signature => Cause::HostCertificate,
    }
}
