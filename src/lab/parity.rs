//! Parity: whether a live run and its simulation decided the same, per entity and in order.
//!
//! In go the facts of both; out comes how many decisions were compared, or the first that differs.
//! What is nobody's decision is left out: instants, ports, the order in which different clients
//! reach an instance.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::fact::{Cause, Fact, Kind, Stage};
use crate::model::id::{FlowId, Node};
use crate::model::time::Time;

/// How many decisions of an entity may be missing at the end of either run: both end in the middle
/// of something.
pub const TAIL_MAX: usize = 4;

/// The decisions of a run, by entity and what was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decisions {
    made: BTreeMap<Key, Vec<(Time, String)>>,
    /// In the order of arrival: which connect is answered first is not decided.
    connected: BTreeMap<(Node, FlowId), (Time, String)>,
}

/// After anything that a live run decided.
const LATEST: Time = Time::from_us(u64::MAX);

/// An entity, and what was decided.
type Key = (String, &'static str);

/// What was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// How many decisions of each kind.
    pub kinds: BTreeMap<&'static str, usize>,
}

/// A decision that differs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{entity}, {what} {place}: live {live}, simulated {simulated}")]
pub struct Differs {
    /// Whose.
    pub entity: String,
    /// What was decided: `door`.
    pub what: &'static str,
    /// Its number among those, from 1.
    pub place: usize,
    /// In words.
    pub live: String,
    /// In words.
    pub simulated: String,
}

impl Compared {
    /// Counts all.
    pub fn total(&self) -> usize {
        self.kinds.values().sum()
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} decisions compared:", self.total())?;
        for (kind, count) in &self.kinds {
            write!(f, " {kind} {count}")?;
        }
        Ok(())
    }
}

impl Decisions {
    /// Takes the decisions of facts up to an instant.
    pub fn of<'a>(facts: impl IntoIterator<Item = &'a Fact>, end: Time) -> Self {
        let mut decisions = Self::default();
        for fact in facts.into_iter().filter(|fact| fact.at <= end) {
            decisions.add(fact);
        }
        decisions
    }

    /// Takes one more fact.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "not all facts are decisions"
    )]
    pub fn add(&mut self, fact: &Fact) {
        let node = &fact.node;
        let own = || node.to_string();
        let (entity, what, words) = match &fact.kind {
            Kind::DnsAnswered(answer) => {
                let Some(asker) = &answer.asker else { return };
                let words = format!(
                    "{} {}: view {} by {}: {} {:?}",
                    answer.name,
                    answer.rtype,
                    answer.view.as_deref().unwrap_or("none"),
                    answer.rule.as_deref().unwrap_or("none"),
                    answer.rcode,
                    answer.answer
                );
                (asker.to_string(), "view", words)
            }
            Kind::AddressFound {
                address,
                rule,
                cached,
                ..
            } => {
                let words = format!("{address} by {rule}, cached {cached}");
                (own(), "address", words)
            }
            Kind::DoorUsed {
                purpose,
                host,
                address,
                balancer,
                network,
                ..
            } => {
                let door = balancer.as_deref().unwrap_or("none");
                let words = format!("{purpose} from {network} to {host}: {address}, {door}");
                (own(), "door", words)
            }
            Kind::Claimed {
                proxy,
                balancer,
                principal,
                tunnels,
                ..
            } => {
                let door = balancer.as_deref().unwrap_or("none");
                let words = format!("{proxy} through {door} as {principal}, {tunnels} now");
                (own(), "claim", words)
            }
            Kind::DialFailed {
                stage,
                cause,
                error,
                ..
            } => {
                // The words for an end in a handshake depend on the byte at which it came.
                let words = match stage {
                    Stage::Tls | Stage::Find | Stage::Ssh => format!("{stage}, {cause}"),
                    // A client that waits at a door is reset when the door closes, the next refused.
                    Stage::Connect if matches!(cause, Cause::Connect | Cause::ConnectRefused) => {
                        let at = error.split(": Connection").next().unwrap_or_default();
                        format!("{stage}, turned away: {at}")
                    }
                    Stage::Resolve | Stage::Connect | Stage::Claim => {
                        format!("{stage}, {cause}: {error}")
                    }
                };
                (own(), "failure", words)
            }
            Kind::TunnelLost { proxy, tunnels, .. } => {
                (own(), "loss", format!("{proxy}, {tunnels} now"))
            }
            Kind::BackingOff { wait, step } => (own(), "backoff", format!("{wait}, step {step}")),
            Kind::ProxiesKnown { known, why } => (own(), "lease", format!("{known}: {why}")),
            Kind::Pinged { asked, web, .. } => (own(), "ping", format!("{asked}: go to {web}")),
            Kind::Redirected { app, to, .. } => (own(), "login", format!("{app}, by {to}")),
            Kind::Peered {
                client,
                app,
                peer,
                why,
                ..
            } => {
                let entity = format!("{node} for {}", client.ip());
                (entity, "peer", format!("{app} by proxy/{peer}: {why}"))
            }
            Kind::SessionBegun { client, app, user } => {
                let entity = format!("{node} for {}", client.ip());
                (entity, "session", format!("{app} for {user}"))
            }
            Kind::ClientRefused { client, why, .. } => {
                let entity = format!("{node} for {}", client.ip());
                (entity, "refusal", format!("{why:?}"))
            }
            Kind::HealthChanged { proxy, to, cause } => {
                // Which instance is heard of first is not a matter of order.
                (
                    format!("{node} of proxy/{proxy}"),
                    "health",
                    format!("{to}: {cause}"),
                )
            }
            Kind::FlowConnected {
                flow, proxy, why, ..
            } => {
                let words = format!("proxy/{proxy}: {why}");
                self.connected
                    .insert((node.clone(), *flow), (fact.at, words));
                return;
            }
            Kind::ServiceChosen {
                listener,
                client,
                service,
                why,
                ..
            } => {
                let entity = format!("{node} for {}", client.ip());
                (entity, "service", format!("{listener}: {service:?}: {why}"))
            }
            Kind::TunnelRegistered { agent, .. } => (
                format!("{node} of agent/{agent}"),
                "registration",
                String::from("a tunnel"),
            ),
            Kind::Routed {
                client,
                app,
                agent,
                why,
                ..
            } => {
                let entity = format!("{node} for {}", client.ip());
                (entity, "route", format!("{app} to agent/{agent}: {why}"))
            }
            Kind::NoTunnel { client, app, .. } => {
                let entity = format!("{node} for {}", client.ip());
                (entity, "route", format!("{app} has no tunnel"))
            }
            Kind::VisitAnswered(visit) => {
                let words = format!(
                    "{} by proxy {:?}, agent {:?}: {}",
                    visit.app, visit.proxy, visit.agent, visit.status
                );
                (own(), "visit", words)
            }
            Kind::VisitFailed {
                app,
                balancer,
                reason,
                ..
            } => (
                own(),
                "visit",
                format!("{app} through {balancer:?} failed: {reason:?}"),
            ),
            _ => return,
        };
        let made = self.made.entry((entity, what)).or_default();
        // A late answer is asked for again, which the network decides and nobody else.
        if what == "view" && made.last().is_some_and(|(_, last)| *last == words) {
            return;
        }
        made.push((fact.at, words));
    }

    /// Gives all, by entity.
    fn all(&self) -> BTreeMap<Key, Vec<&(Time, String)>> {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (key, made) in &self.made {
            all.insert(key.clone(), made.iter().collect());
        }
        for ((door, _), words) in &self.connected {
            let chose = (door.to_string(), "candidate");
            all.entry(chose).or_default().push(words);
        }
        all
    }
}

/// Compares the decisions of a live run with those of its simulation; of those that differ, the
/// earliest of the live run is told, because others follow from it.
pub fn compare(live: &Decisions, simulated: &Decisions) -> Result<Compared, Differs> {
    let (live, simulated) = (live.all(), simulated.all());
    let mut compared = Compared::default();
    let mut worst: Option<(Time, Differs)> = None;
    let keys: BTreeSet<&Key> = live.keys().chain(simulated.keys()).collect();
    for key in keys {
        let live = live.get(key).map_or(&[][..], |made| &**made);
        let simulated = simulated.get(key).map_or(&[][..], |made| &**made);
        let both = live.len().min(simulated.len());
        let tail = live.len().max(simulated.len()) - both;
        let first = (0..both).find(|place| live[*place].1 != simulated[*place].1);
        *compared.kinds.entry(key.1).or_default() += both;
        let Some(place) = first.or_else(|| (tail > TAIL_MAX).then_some(both)) else {
            continue;
        };
        let at = live.get(place).map_or(LATEST, |(at, _)| *at);
        if worst.as_ref().is_none_or(|(earliest, _)| at < *earliest) {
            let words = |side: &[&(Time, String)]| match side.get(place) {
                None => String::from("nothing"),
                Some((at, words)) => format!("{words} ({at})"),
            };
            let differs = Differs {
                entity: key.0.clone(),
                what: key.1,
                place: place + 1,
                live: words(live),
                simulated: words(simulated),
            };
            worst = Some((at, differs));
        }
    }
    match worst {
        None => Ok(compared),
        Some((_, differs)) => Err(differs),
    }
}
