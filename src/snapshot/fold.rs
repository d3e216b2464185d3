//! The fold: what each fact changes. Facts come in the order of their numbers.

mod doors;

use ipnet::IpNet;

use super::{Admin, FINDINGS_MAX, FaultState, Finding, QUERIES_MAX, Query, Snapshot, StepState};
use crate::model::fact::{Act, DnsAnswered, Fact, Health, Kind, VisitAnswered};
use crate::model::id::{Name, Node};
use crate::model::network::{Element, Verdict, judge};
use crate::model::time::Time;

impl Snapshot {
    /// Takes over the views and whom each lets in, and which of them each network gets.
    pub(super) fn show_views<'a>(
        &mut self,
        views: impl Iterator<Item = (&'a Name, &'a [Element])> + Clone,
    ) {
        self.dns.views = views.clone().map(|(name, _)| name.clone()).collect();
        self.dns.rules = views
            .clone()
            .map(|(name, elements)| {
                (
                    name.clone(),
                    elements.iter().map(|e| e.text.clone()).collect(),
                )
            })
            .collect();
        for network in &mut self.networks {
            let first = network.ranges.first().map(IpNet::addr);
            network.view = first.and_then(|address| {
                let mut views = views.clone();
                let allows = |elements| matches!(judge(elements, address), Verdict::Allowed(_));
                views
                    .find(|(_, elements)| allows(elements))
                    .map(|(name, _)| name.clone())
            });
        }
    }

    /// Takes one more fact. Facts come in the order of their numbers.
    pub fn fold(&mut self, fact: &Fact) {
        // Two nodes may be stamped in one order and reach the journal in the other.
        self.at = self.at.max(fact.at);
        self.seq = fact.seq;
        if let Kind::Finding { id, detail } = &fact.kind {
            self.add_finding(id, &fact.node, detail, fact.at);
            return;
        }
        match &fact.node {
            Node::Agent(name) => self.fold_agent(&name.clone(), fact),
            Node::Balancer(name) => self.fold_balancer(&name.clone(), fact),
            Node::Dns => self.fold_dns(fact),
            Node::Lab => self.fold_lab(fact),
            Node::Proxy(name) => self.fold_proxy(&name.clone(), fact),
            Node::Resolver(name) => self.fold_resolver(&name.clone(), fact),
            Node::User(name) => self.fold_user(&name.clone(), fact),
        }
    }

    fn add_finding(&mut self, id: &'static str, node: &Node, detail: &str, at: Time) {
        let detail = detail.to_owned();
        let mut known = self.findings.iter_mut();
        if let Some(known) = known.find(|f| f.id == id && f.node == *node) {
            // What was seen to happen says more than what was foretold.
            known.detail = detail;
        } else if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding {
                id,
                node: node.clone(),
                detail,
                at,
            });
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each node folds its own facts"
    )]
    fn fold_lab(&mut self, fact: &Fact) {
        match &fact.kind {
            Kind::Ready => self.ready = Some(fact.at),
            Kind::RunBegan { ends } => self.run = Some((fact.at, *ends)),
            Kind::StepBegan { step } => {
                if let Some(step) = self.step(*step) {
                    step.began = Some(fact.at);
                    step.ended = None;
                }
            }
            Kind::StepEnded { step } => {
                if let Some(step) = self.step(*step) {
                    step.ended = Some(fact.at);
                }
            }
            Kind::RunEnded { why } => self.ended = Some((fact.at, why)),
            Kind::Reloaded {
                generation, views, ..
            } => {
                self.generation = *generation;
                self.reload_mistakes.clear();
                self.reloaded = Some(fact.at);
                self.show_views(views.iter().map(|(name, elements)| (name, &**elements)));
            }
            Kind::ReloadRefused { mistakes } => self.reload_mistakes.clone_from(mistakes),
            Kind::MeshComplete { after } => self.mesh.complete_after = Some(*after),
            // The conductor keeps them few.
            Kind::FaultSet { fault, what, until } => self.faults.push(FaultState {
                id: *fault,
                what: what.clone(),
                since: fact.at,
                until: *until,
            }),
            Kind::FaultLifted { fault, .. } => self.faults.retain(|known| known.id != *fault),
            _ => {}
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each node folds its own facts"
    )]
    fn fold_dns(&mut self, fact: &Fact) {
        match &fact.kind {
            Kind::DnsCounted {
                view,
                rule,
                rcode,
                count,
            } => {
                let key = (view.clone(), rule.clone(), rcode.clone());
                *self.dns.answers.entry(key).or_default() += count;
                self.dns.rate.add(fact.at, *count);
            }
            Kind::DnsForwarded {
                view,
                result,
                count,
                waited,
            } => {
                let sum = self.dns.forwarded.entry((view.clone(), *result));
                let sum = sum.or_default();
                sum.count += count;
                sum.waited = sum.waited + *waited;
            }
            Kind::DnsCarried(traffic) => self.dns.traffic.add(*traffic),
            Kind::DnsAnswered(answered) => {
                if self.dns.queries.len() == QUERIES_MAX {
                    self.dns.queries.pop_front();
                }
                let answered = DnsAnswered::clone(answered);
                self.dns.queries.push_back(Query {
                    seq: fact.seq,
                    at: fact.at,
                    answered,
                });
            }
            _ => {}
        }
    }

    fn fold_resolver(&mut self, name: &Name, fact: &Fact) {
        let Some(resolver) = self.resolvers.iter_mut().find(|r| r.name == *name) else {
            return;
        };
        if let Kind::Resolved(resolved) = &fact.kind {
            resolver.hits += u64::from(resolved.cached);
            resolver.misses += u64::from(!resolved.cached);
        }
        resolver.admin.fold(&fact.kind);
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each node folds its own facts"
    )]
    fn fold_agent(&mut self, name: &Name, fact: &Fact) {
        let Some(place) = self.place_of_agent(name) else {
            return;
        };
        let agent = &mut self.agents[place];
        match &fact.kind {
            Kind::DoorUsed { .. } => self.count_use(&fact.kind),
            Kind::Claimed {
                dial,
                proxy,
                balancer,
                principal,
                gap,
                ..
            } => {
                let rose = balancer.as_ref().and_then(|door| {
                    let door = self.balancers.iter().find(|b| b.name == *door)?;
                    let backend = door.backends.iter().find(|b| b.proxy == *proxy)?;
                    (backend.health == Health::Up).then_some(backend.since)
                });
                let Some(tunnel) = agent.tunnels.iter_mut().find(|t| t.proxy == *proxy) else {
                    return;
                };
                // The rise matters only when it came after the loss.
                let lost = tunnel.since.filter(|_| tunnel.made > 0);
                tunnel.after_rise = rose
                    .filter(|rose| lost.is_some_and(|at| at < *rose))
                    .map(|r| fact.at.since(r));
                if !tunnel.up {
                    self.mesh.now += 1;
                }
                tunnel.up = true;
                tunnel.dial = Some(*dial);
                tunnel.since = Some(fact.at);
                tunnel.balancer.clone_from(balancer);
                tunnel.verified = Some(principal.clone());
                tunnel.made += 1;
                tunnel.gap = *gap;
            }
            Kind::TunnelLost { dial, proxy, .. } => {
                let Some(tunnel) = agent.tunnels.iter_mut().find(|t| t.proxy == *proxy) else {
                    return;
                };
                // A tunnel that drained may end after its replacement stands.
                if tunnel.dial != Some(*dial) {
                    return;
                }
                if tunnel.up {
                    self.mesh.now -= 1;
                }
                tunnel.up = false;
                tunnel.since = Some(fact.at);
            }
            Kind::DialFailed {
                stage,
                cause,
                error,
                ..
            } => {
                *agent.failures.entry(*stage).or_default() += 1;
                *agent.causes.entry(*cause).or_default() += 1;
                agent.last_error = Some(format!("{stage}: {error}"));
            }
            Kind::StreamCut { .. } => agent.cut += 1,
            Kind::Roamed { network, address } => {
                agent.network.clone_from(network);
                agent.address = *address;
            }
            kind => agent.admin.fold(kind),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each node folds its own facts"
    )]
    fn fold_user(&mut self, name: &Name, fact: &Fact) {
        let Some(user) = self.users.iter_mut().find(|u| u.name == *name) else {
            return;
        };
        match &fact.kind {
            Kind::DoorUsed { .. } => self.count_use(&fact.kind),
            Kind::VisitAnswered(answered) => {
                user.answered += 1;
                if let Some(door) = &answered.balancer {
                    *user.doors.entry(door.clone()).or_default() += 1;
                }
                user.last = Some(VisitAnswered::clone(answered));
                let mut doors = self.balancers.iter_mut();
                let door = doors.find(|door| Some(&door.name) == answered.balancer.as_ref());
                if let Some(door) = door {
                    door.latency.add(fact.at, answered.took);
                }
            }
            Kind::VisitFailed { reason, error, .. } => {
                *user.failures.entry(*reason).or_default() += 1;
                user.last_error = Some(format!("{reason}: {error}"));
            }
            Kind::Roamed { network, address } => {
                user.network.clone_from(network);
                user.address = *address;
            }
            kind => user.admin.fold(kind),
        }
    }

    /// Finds an agent by its name: each fact of a fleet asks.
    fn place_of_agent(&self, name: &Name) -> Option<usize> {
        let of = |place: u32| self.agents.get(place as usize).map(|agent| &agent.name);
        let found = self
            .agents_by_name
            .binary_search_by(|place| of(*place).cmp(&Some(name)));
        Some(self.agents_by_name[found.ok()?] as usize)
    }

    fn step(&mut self, step: u32) -> Option<&mut StepState> {
        self.steps.get_mut(usize::try_from(step).ok()?)
    }

    fn count_use(&mut self, kind: &Kind) {
        let Kind::DoorUsed {
            purpose,
            balancer: Some(name),
            network,
            ..
        } = kind
        else {
            return;
        };
        if let Some(door) = self.balancers.iter_mut().find(|b| b.name == *name) {
            *door.uses.entry((*purpose, network.clone())).or_default() += 1;
        }
    }
}

impl Admin {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other facts say nothing of it"
    )]
    fn fold(&mut self, kind: &Kind) {
        match kind {
            Kind::Operated { act: Act::Drain } => *self = Self::Draining,
            Kind::Operated { act: Act::Start } => *self = Self::Ready,
            Kind::Operated {
                act: Act::Kill | Act::Stop,
            } => *self = Self::Stopped,
            Kind::Drained => *self = Self::Drained,
            _ => {}
        }
    }
}
