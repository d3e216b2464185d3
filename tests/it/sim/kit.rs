//! A lab to change and to play: the embedded example, or one made by hand.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use twodoors::lab::load::{Loaded, load};
use twodoors::model::fact::{Act, Fact, Kind};
use twodoors::model::fault::{Effect, Fault, Target};
use twodoors::model::id::{Generation, Node};
use twodoors::model::mistake::Files;
use twodoors::model::time::{Span, Time};
use twodoors::model::timeline::{Begin, RecordChange, Roam, Step, What};
use twodoors::model::topology::Topology;
use twodoors::policy::answer::Rules;
use twodoors::scenario::embedded::{FILES, SCENARIO};
use twodoors::sim::{Options, Order, Summary, Timers, run};
use twodoors::snapshot::{Mesh, Snapshot};

/// A lab before its run.
pub(super) struct Lab {
    pub(super) topology: Topology,
    pub(super) timers: Timers,
    /// When the observer has seen enough.
    pub(super) stop_at: Option<Time>,
    files: Changed,
}

/// A run.
pub(super) struct Played {
    pub(super) facts: Vec<Fact>,
    pub(super) state: Snapshot,
    pub(super) summary: Summary,
}

/// The embedded files, some of them changed.
#[derive(Clone, Default)]
struct Changed {
    changes: Vec<(String, String, String)>,
}

impl Files for Changed {
    fn read(&self, path: &Path) -> Result<String, String> {
        let mut text = FILES.read(path)?;
        for (file, from, to) in &self.changes {
            if path.ends_with(file) {
                assert!(text.contains(from), "{file} has no {from}");
                text = text.replace(from, to);
            }
        }
        Ok(text)
    }
}

pub(super) fn secs(secs: u64) -> Time {
    Time::ZERO + Span::from_secs(secs)
}

/// Plays what was loaded and gives its facts; a reload finds the same zones.
pub(super) fn facts(loaded: &Loaded) -> Vec<Fact> {
    followed(loaded, None)
}

/// Plays what was loaded, in the order of a recording if there is one, and gives its facts.
pub(super) fn followed(loaded: &Loaded, follow: Option<Order>) -> Vec<Fact> {
    let reload = || Ok(loaded.rules.clone());
    let mut facts = Vec::new();
    let topology = Arc::new(loaded.topology.clone());
    let rules = loaded.rules.clone();
    let options = Options {
        follow,
        ..Options::new(&reload)
    };
    run(&topology, rules, options, &mut |fact, _| {
        facts.push(fact.clone());
        ControlFlow::Continue(())
    });
    facts
}

impl Lab {
    /// Makes the embedded example.
    pub(super) fn split_dns() -> Self {
        let Loaded { topology, .. } = load(Path::new(SCENARIO), &FILES).unwrap();
        Self {
            topology,
            timers: Timers::default(),
            stop_at: None,
            files: Changed::default(),
        }
    }

    /// Changes the text of a zone.
    pub(super) fn change(&mut self, file: &str, from: &str, to: &str) {
        let change = (file.to_owned(), from.to_owned(), to.to_owned());
        self.files.changes.push(change);
    }

    /// Adds a step to the timeline.
    pub(super) fn step(&mut self, at: Span, what: What, lasts: Option<Span>) {
        self.topology.timeline.push(Step {
            begin: Begin::At(at),
            repeat: None,
            what,
            lasts,
            text: "a step".into(),
        });
    }

    /// Operates a node.
    pub(super) fn act_for(&mut self, at: Span, node: &Node, act: Act, lasts: Option<Span>) {
        let node = node.clone();
        self.step(at, What::Act { node, act }, lasts);
    }

    /// Sets a fault.
    pub(super) fn fault(&mut self, at: Span, target: Target, effect: Effect, lasts: Option<Span>) {
        self.step(at, What::Fault(Fault { target, effect }), lasts);
    }

    /// Moves an agent.
    pub(super) fn roam(&mut self, at: Span, agent: &str, network: &str, address: &str) {
        let roam = Roam {
            node: Node::Agent(agent.into()),
            network: network.into(),
            address: address.parse().unwrap(),
        };
        self.step(at, What::Roam(roam), None);
    }

    /// Changes an address in a view.
    pub(super) fn record(&mut self, at: Span, view: &str, name: &str, address: &str) {
        let change = RecordChange {
            view: Some(view.into()),
            name: name.into(),
            rtype: "A".into(),
            ttl: 60,
            data: vec![address.into()],
        };
        self.step(at, What::Record(change), None);
    }

    /// Plays it to its end.
    pub(super) fn play(&self) -> Played {
        let topology = Arc::new(self.topology.clone());
        let files = self.files.clone();
        let reload = || Rules::load(&topology, Generation(1), &files).map(|(rules, _)| rules);
        let rules = reload().unwrap();
        let mut facts = Vec::new();
        let mut state = Snapshot::new(&topology);
        let options = Options {
            timers: self.timers,
            ..Options::new(&reload)
        };
        let summary = run(&topology, rules, options, &mut |fact, _| {
            state.fold(fact);
            facts.push(fact.clone());
            if self.stop_at.is_some_and(|at| fact.at >= at) {
                return ControlFlow::Break("enough");
            }
            ControlFlow::Continue(())
        });
        Played {
            facts,
            state,
            summary,
        }
    }
}

/// A run of which only counts are kept.
pub(super) struct Counted {
    pub(super) summary: Summary,
    pub(super) mesh: Mesh,
    pub(super) lost: usize,
}

impl Lab {
    /// Plays it to its end and keeps no facts.
    pub(super) fn count(&self) -> Counted {
        let topology = Arc::new(self.topology.clone());
        let files = self.files.clone();
        let reload = || Rules::load(&topology, Generation(1), &files).map(|(rules, _)| rules);
        let (mut mesh, mut lost) = (Mesh::default(), 0);
        let options = Options::new(&reload);
        let summary = run(&topology, reload().unwrap(), options, &mut |fact, state| {
            mesh = state.mesh;
            lost += usize::from(matches!(fact.kind, Kind::TunnelLost { .. }));
            ControlFlow::Continue(())
        });
        Counted {
            summary,
            mesh,
            lost,
        }
    }
}

impl Played {
    /// Counts facts.
    pub(super) fn count(&self, is: impl Fn(&Kind) -> bool) -> usize {
        self.facts.iter().filter(|fact| is(&fact.kind)).count()
    }

    /// Gives the instant of the first such fact.
    pub(super) fn first(&self, is: impl Fn(&Kind) -> bool) -> Option<Time> {
        let mut facts = self.facts.iter();
        facts.find(|fact| is(&fact.kind)).map(|fact| fact.at)
    }

    /// Gives the gap of each tunnel that was lost and made again.
    pub(super) fn gaps(&self) -> Vec<Span> {
        let facts = self.facts.iter();
        facts
            .filter_map(|fact| match &fact.kind {
                Kind::Claimed { gap, .. } => *gap,
                _ => None,
            })
            .collect()
    }
}
