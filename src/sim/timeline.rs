//! The timeline in virtual time: the conductor's words, done to the lab.

use super::event::{Event, Id};
use super::world::World;
use crate::model::fact::{Act, Kind};
use crate::model::id::{Name, Node};
use crate::model::time::Time;
use crate::model::timeline::{Condition, Roam};
use crate::policy::answer::{self, Rules};
use crate::policy::conductor::{Conductor, Input, Output};
use crate::policy::{Context, Machine as _, Outbox, principals};
use crate::snapshot::condition::holds;

/// The conductor, and what it waits for.
pub(super) struct Play {
    conductor: Conductor,
    wakes: Option<Time>,
    waits: Vec<(u32, Condition)>,
    /// Whether something happened that a condition could see.
    changed: bool,
    abort: Option<&'static str>,
}

impl Play {
    pub(super) const fn new(conductor: Conductor) -> Self {
        Self {
            conductor,
            wakes: None,
            waits: Vec::new(),
            changed: false,
            abort: None,
        }
    }

    /// Sees each fact.
    pub(super) fn note(&mut self, kind: &Kind) {
        let seen = matches!(
            kind,
            Kind::Claimed { .. }
                | Kind::Drained
                | Kind::FaultLifted { .. }
                | Kind::FaultSet { .. }
                | Kind::HealthChanged { .. }
                | Kind::Operated { .. }
                | Kind::Roamed { .. }
                | Kind::TunnelLost { .. }
        );
        self.changed |= seen && !self.waits.is_empty();
    }

    /// Ends the run as soon as the event at hand is over.
    pub(super) const fn abort(&mut self, why: &'static str) {
        self.abort = Some(why);
    }
}

impl World<'_> {
    /// Begins the run.
    pub(super) fn begin_timeline(&mut self) {
        self.feed_conductor(Input::Begin);
    }

    /// Wakes the conductor at its deadline.
    pub(super) fn wake_timeline(&mut self) {
        self.play.wakes = None;
        self.call_conductor(|conductor, cx, out| conductor.wake(cx, out));
    }

    fn feed_conductor(&mut self, input: Input) {
        self.call_conductor(|conductor, cx, out| conductor.handle(cx, input, out));
    }

    fn call_conductor(
        &mut self,
        call: impl FnOnce(&mut Conductor, &Context<'_>, &mut Outbox<Output>),
    ) {
        let mut out = Outbox::default();
        let cx = Context {
            now: self.now,
            topology: &self.topology,
        };
        call(&mut self.play.conductor, &cx, &mut out);
        self.emit(&Node::Lab, out.facts);
        let due = self
            .play
            .conductor
            .deadline()
            .map(|(at, _)| at.max(self.now));
        let wakes = self.play.wakes;
        if let Some(at) = due.filter(|at| wakes.is_none_or(|wakes| *at < wakes)) {
            self.play.wakes = Some(at);
            self.queue.push(at, Id::Lab, Event::Wake(Id::Lab));
        }
        for output in out.outputs {
            self.conduct(output);
        }
    }

    fn conduct(&mut self, output: Output) {
        match output {
            Output::Act { node, act } => self.operate(&node, act),
            Output::Await { wait, condition } => {
                self.play.waits.push((wait, condition));
                self.play.changed = true;
            }
            Output::Certificate { names } => self.change_certificate(names),
            Output::End => self.over = Some("the run is over"),
            Output::Faults(faults) => self.set_faults(faults),
            Output::Probe { expectation } => self.probe(expectation),
            Output::Record(change) => {
                let result = self.rules.with_record(&change);
                let mistakes = |wrong: &dyn std::fmt::Display| vec![wrong.to_string()];
                self.replace(result.map_err(|wrong| mistakes(&wrong)));
            }
            Output::Reload => {
                let result = (self.options.reload)();
                let result = result.map(|rules| {
                    let rules = rules.following(&self.rules);
                    let changed = answer::diff(&self.rules, &rules);
                    (rules, changed)
                });
                let words = |mistakes: Vec<crate::model::mistake::Mistake>| {
                    mistakes.iter().map(ToString::to_string).collect()
                };
                self.replace(result.map_err(words));
            }
            Output::Roam(roam) => self.roam(&roam),
            // Nobody sets faults by hand here.
            Output::Stepped | Output::Taken { .. } => {}
        }
    }

    /// Looks whether what the conductor waits for holds now.
    pub(super) fn look_at_conditions(&mut self) {
        if let Some(why) = self.play.abort.take() {
            self.feed_conductor(Input::End { why });
            self.over = Some(why);
        }
        while std::mem::take(&mut self.play.changed) {
            let (state, topology) = (&self.snapshot, &self.topology);
            let mut waits = self.play.waits.iter();
            let held = waits.position(|(_, condition)| holds(condition, state, topology));
            if let Some(place) = held {
                let (wait, _) = self.play.waits.remove(place);
                self.play.changed = !self.play.waits.is_empty();
                self.feed_conductor(Input::Holds { wait });
            }
        }
    }

    fn operate(&mut self, node: &Node, act: Act) {
        match self.place(node) {
            Some(Id::Agent(index)) => self.operate_agent(index, act),
            Some(Id::Balancer(index)) => self.operate_door(index, act),
            Some(Id::Proxy(index)) => self.operate_proxy(index, act),
            Some(Id::User(index)) => self.operate_user(index, act),
            Some(Id::Resolver(index)) => self.operate_resolver(index, act),
            Some(Id::Dns | Id::Lab) | None => {}
        }
    }

    fn roam(&mut self, roam: &Roam) {
        match self.place(&roam.node) {
            Some(Id::Agent(index)) => self.roam_agent(index, roam),
            Some(Id::User(index)) => self.roam_user(index, roam),
            Some(Id::Balancer(_) | Id::Dns | Id::Lab | Id::Proxy(_) | Id::Resolver(_)) | None => {}
        }
        self.roam_resolvers(roam);
    }

    fn change_certificate(&mut self, names: Vec<Name>) {
        self.web_names = if names.is_empty() {
            principals::web(&self.topology.pool.teleport, &self.topology.pool.name)
        } else {
            names.iter().map(ToString::to_string).collect()
        };
        let names = self.web_names.iter().map(|name| name.as_str().into());
        let names = names.collect();
        self.emit(&Node::Lab, vec![Kind::CertificateChanged { names }]);
    }

    /// Puts new rules in force, or says why not, in the words of `lab`.
    fn replace(&mut self, result: Result<(Rules, Vec<String>), Vec<String>>) {
        let fact = match result {
            Ok((rules, changed)) => {
                let views = rules.views.iter();
                let views = views.map(|view| (view.name.clone(), view.match_clients.clone()));
                let fact = Kind::Reloaded {
                    generation: rules.generation,
                    views: views.collect(),
                    changed,
                };
                self.rules = std::sync::Arc::new(rules);
                fact
            }
            Err(mistakes) => Kind::ReloadRefused { mistakes },
        };
        self.emit(&Node::Lab, vec![fact]);
    }
}
