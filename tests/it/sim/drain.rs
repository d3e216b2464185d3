//! A drained proxy in virtual time: every agent moves at once, and the histogram of the redials is
//! that of Teleport's waits (reference 4.1 and 4.7).

use std::collections::BTreeMap;

use twodoors::model::fact::{Act, Fact, Kind};
use twodoors::model::id::Node;
use twodoors::model::teleport::Backoff;
use twodoors::model::time::{Span, Time};
use twodoors::policy::agent::LEASE_POLL;

use super::fleet::fleet;

/// How many agents are moved.
const AGENTS: u32 = 60;

/// Long after the mesh is full, so that every count of waits starts anew (after 32 s).
const DRAINED_AT: Span = Span::from_secs(240);

/// How many redials of each agent are looked at.
const REDIALS: usize = 7;

/// What resolving, connecting and handshakes take in the model, together and amply.
const WAY: Span = Span::from_ms(250);

/// What an agent did after the advice.
#[derive(Default)]
struct Moved {
    advised: Option<Time>,
    /// When each attempt was first seen, by its number.
    begun: BTreeMap<u64, Time>,
    /// When each ended.
    ended: BTreeMap<u64, Time>,
    /// Waits, each with the instant at which it began.
    waits: Vec<(Time, Span)>,
}

impl Moved {
    fn fold(&mut self, fact: &Fact) {
        if let Kind::Advised { proxy } = &fact.kind {
            assert_eq!(**proxy, *"1", "nobody else drains");
            self.advised = Some(fact.at);
        }
        if self.advised.is_none() {
            return;
        }
        match &fact.kind {
            Kind::DoorUsed { attempt, .. } => {
                self.begun.entry(*attempt).or_insert(fact.at);
            }
            Kind::DialFailed { dial, .. } | Kind::Claimed { dial, .. } => {
                self.ended.insert(dial.0, fact.at);
            }
            Kind::BackingOff { wait, .. } => self.waits.push((fact.at, *wait)),
            _ => {}
        }
    }

    /// Holds what it did to 4.1: at once (at the next poll for a lease), at once again, and then
    /// after waits in [0.5, 1) s, [1, 2) s and so on up to [4, 8) s.
    fn judge(&self) -> Result<Vec<Span>, String> {
        let advised = self.advised.ok_or("it was not advised")?;
        let begun: Vec<Time> = self.begun.values().copied().take(REDIALS).collect();
        let ended: Vec<Time> = self.ended.values().copied().take(REDIALS).collect();
        if begun.len() < REDIALS || ended.len() < REDIALS {
            return Err(format!("{} redials and {} ends", begun.len(), ended.len()));
        }
        let first = begun[0].since(advised);
        if first > LEASE_POLL + WAY {
            return Err(format!("the first redial came {first} after the advice"));
        }
        let second = begun[1].since(ended[0]);
        if second > WAY {
            return Err(format!("the second redial came {second} after the first"));
        }
        for number in 2..REDIALS {
            let (from, to) = (ended[number - 1], begun[number]);
            let whole = Span::from_secs(8.min(number as u64 - 1));
            let half = Span::from_us(whole.as_us() / 2);
            let wait = self.waits.iter().find(|(at, _)| *at == from);
            let (_, wait) = wait.ok_or_else(|| format!("no wait before redial {number}"))?;
            if *wait < half || *wait >= whole {
                return Err(format!("it waited {wait} instead of [{half}, {whole})"));
            }
            let rest = to.since(from);
            if rest < *wait || rest > *wait + WAY {
                return Err(format!("it waited {rest} and had drawn {wait}"));
            }
        }
        Ok(begun.iter().map(|at| at.since(advised)).collect())
    }
}

/// Drains one of three proxies; gives the redials of each agent after the advice, or who did not
/// keep to the rule.
fn redials(backoff: Backoff) -> Result<Vec<Vec<Span>>, String> {
    let mut lab = fleet(AGENTS);
    for agent in &mut lab.topology.agents {
        agent.backoff = backoff;
    }
    lab.topology.duration = DRAINED_AT + Span::from_secs(40);
    lab.act_for(DRAINED_AT, &Node::Proxy("1".into()), Act::Drain, None);
    let played = lab.play();
    let complete = played.first(|kind| matches!(kind, Kind::MeshComplete { .. }));
    let complete = complete.expect("the mesh is complete").since(Time::ZERO);
    assert!(complete + Span::from_secs(33) < DRAINED_AT, "{complete}");
    let mut agents: BTreeMap<&str, Moved> = BTreeMap::new();
    for fact in &played.facts {
        if let Node::Agent(name) = &fact.node {
            agents.entry(name).or_default().fold(fact);
        }
    }
    assert_eq!(agents.len(), AGENTS as usize);
    let judged = agents.iter().map(|(name, moved)| {
        let judged = moved.judge();
        judged.map_err(|why| format!("{name}: {why}"))
    });
    judged.collect()
}

#[test]
fn a_drain_moves_every_agent_at_once_and_spreads_them_from_the_third_redial_on() {
    let agents = redials(Backoff::Teleport).unwrap();
    let of = |number: usize| -> Vec<Span> {
        let mut times: Vec<Span> = agents.iter().map(|redials| redials[number]).collect();
        times.sort();
        times
    };
    // The herd: two redials of each agent within the first poll and the handshakes.
    let herd = agents.iter().flatten();
    let herd = herd.filter(|at| **at <= LEASE_POLL + WAY.times(2)).count();
    assert!(herd >= 2 * AGENTS as usize, "{herd}");
    for number in [0, 1] {
        let times = of(number);
        let spread = Span::from_us(times[times.len() - 1].as_us() - times[0].as_us());
        assert!(spread <= LEASE_POLL + WAY, "redial {number}: {spread}");
    }
    // Jitter: each further redial is spread wider than the one before.
    let spreads: Vec<u64> = (2..REDIALS)
        .map(|number| {
            let times = of(number);
            times[times.len() - 1].as_us() - times[0].as_us()
        })
        .collect();
    assert!(spreads.is_sorted(), "{spreads:?}");
    assert!(spreads[spreads.len() - 1] > 2_000_000, "{spreads:?}");
}

#[test]
fn another_backoff_does_not_have_that_shape() {
    let (first, cap) = (Span::from_secs(1), Span::from_secs(8));
    let why = redials(Backoff::FullJitter { first, cap }).unwrap_err();
    assert!(why.contains("the second redial came"), "{why}");
}
