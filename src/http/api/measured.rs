//! What is measured and judged while a run goes on: rates, checks, expectations, zones.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::source::Source;
use crate::judge::watch::Stand;
use crate::model::mistake;
use crate::model::time::{Span, Time};
use crate::policy::answer::Rules;
use crate::policy::zone;
use crate::snapshot;
use crate::snapshot::measure::{CheckState, end_of_second};

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Place {
    /// The file, as the user would name it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1; 1 where only the line is known.
    pub column: usize,
}

/// An expectation, as it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Expectation {
    /// Its place in the scenario's list, from 0.
    pub index: usize,
    /// As it was written.
    pub text: String,
    /// Where it was written.
    pub place: Option<Place>,
    /// `waiting`, `holding`, `met`, `failed` or `inconclusive`.
    pub state: &'static str,
    /// Whether nothing that is still to come can change that.
    pub settled: bool,
    /// How many facts bore on it.
    pub evidence: u64,
    /// What speaks against it, or what is missing.
    pub why: Option<String>,
    /// What was found.
    pub measured: String,
    /// Since when it stands so; null while nothing bore on it.
    pub at_us: Option<u64>,
}

/// A check of an instance by a door.
#[derive(Debug, Serialize, ToSchema)]
pub struct Check {
    /// When it ended.
    pub at_us: u64,
    /// Whether it passed.
    pub ok: bool,
    /// In words.
    pub text: String,
    /// How long it took.
    pub took_us: Option<u64>,
}

/// How much happened in each second of the last minute, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rates {
    /// How long a bucket is.
    pub step_us: u64,
    /// The end of the newest one.
    pub at_us: u64,
    /// Answers of the DNS server.
    pub dns: Vec<u64>,
    /// Flows let in, by door.
    pub flows: BTreeMap<String, Vec<u64>>,
    /// Clients refused and flows that broke, by door.
    pub failures: BTreeMap<String, Vec<u64>>,
    /// The 95th percentile of the time that visits through a door took; null without any.
    pub latency_p95_us: BTreeMap<String, Vec<Option<u64>>>,
    /// Flows connected, by `door/instance`.
    pub backends: BTreeMap<String, Vec<u64>>,
}

/// A zone in force now, whatever the instant that is looked at.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Zone {
    /// The view that serves it.
    pub view: String,
    /// Its apex.
    pub origin: String,
    /// The file of its SOA.
    pub file: Option<String>,
    /// Its serial number.
    pub serial: Option<u32>,
    /// How many records it has.
    pub records: usize,
    /// The generation of the rules that it is part of.
    pub generation: u64,
}

impl Place {
    /// Writes a place.
    pub fn new(place: &mistake::Place) -> Self {
        Self {
            file: place.file.display().to_string(),
            line: place.line,
            column: place.column,
        }
    }

    /// Writes where a record stands.
    pub fn of_record(item: &zone::Item<'_>) -> Self {
        Self {
            file: item.file.display().to_string(),
            line: item.line,
            column: 1,
        }
    }
}

impl Expectation {
    /// Writes how an expectation stands.
    pub fn new(stand: &Stand) -> Self {
        Self {
            index: stand.index,
            text: stand.text.to_string(),
            place: Some(Place::new(&stand.place)),
            state: stand.state.word(),
            settled: stand.settled,
            evidence: stand.evidence,
            why: Some(stand.why.clone()).filter(|why| !why.is_empty()),
            measured: stand.measured.clone(),
            at_us: (stand.at > Time::ZERO).then(|| stand.at.as_us()),
        }
    }
}

impl Check {
    /// Writes a check.
    pub fn new(check: &CheckState) -> Self {
        Self {
            at_us: check.at.as_us(),
            ok: check.error.is_none(),
            text: check.error.clone().unwrap_or_else(|| "passed".into()),
            took_us: Some(check.took.as_us()),
        }
    }
}

impl Rates {
    /// Writes the minute up to the state's instant.
    pub fn new(state: &snapshot::Snapshot) -> Self {
        let now = state.at;
        let doors = || state.balancers.iter();
        let backends = doors().flat_map(|door| {
            let backends = door.backends.iter();
            backends.map(move |backend| {
                let counts = backend.rate.until(now).collect();
                (format!("{}/{}", door.name, backend.proxy), counts)
            })
        });
        let spans = |span: Option<Span>| span.map(Span::as_us);
        Self {
            step_us: 1_000_000,
            at_us: end_of_second(now).as_us(),
            dns: state.dns.rate.until(now).collect(),
            flows: doors()
                .map(|door| (door.name.to_string(), door.flows.until(now).collect()))
                .collect(),
            failures: doors()
                .map(|door| (door.name.to_string(), door.failures.until(now).collect()))
                .collect(),
            latency_p95_us: doors()
                .map(|door| {
                    let latency = door.latency.until(now).map(spans);
                    (door.name.to_string(), latency.collect())
                })
                .collect(),
            backends: backends.collect(),
        }
    }
}

impl Zone {
    /// Writes every zone that is in force.
    pub fn all(source: &Source) -> Vec<Self> {
        let Some(rules) = source.rules() else {
            return Vec::new();
        };
        Self::of(&rules)
    }

    fn of(rules: &Rules) -> Vec<Self> {
        let views = rules.views.iter();
        let zones = views.flat_map(|view| {
            view.zones().map(|zone| {
                let (_, soa, _) = zone.negative();
                let soa = soa.and_then(|soa| soa.items().next());
                Self {
                    view: view.name.to_string(),
                    origin: zone.origin().to_string(),
                    file: soa.map(|item| item.file.display().to_string()),
                    serial: zone.serial(),
                    records: zone.records(),
                    generation: rules.generation.0,
                }
            })
        });
        zones.collect()
    }
}
