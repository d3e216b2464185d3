//! Plays a timeline: which step is due, which fault is in force, which question is asked when.
//!
//! In go the beginning of a run, conditions that hold, and what an operator does by hand; out come
//! acts, the faults now in force, and the end. It knows neither sockets nor the state of the lab:
//! whether a condition holds is looked up by the driver, in the snapshot.
//!
//! A run is from its beginning up to, and without, the instant of its end. What is due at one
//! instant happens in the order of the file, whoever is late. After the end nothing of the timeline
//! happens any more; faults stay in force until lifted by hand or by their own time.

mod message;
mod play;

use std::collections::BTreeMap;

use crate::model::expect::{AnswerCheck, Check, Expectation};
use crate::model::fact::{Act, Kind};
use crate::model::fault::Fault;
use crate::model::id::{FaultId, Node};
use crate::model::time::{Span, Time};
use crate::model::topology::Topology;
use crate::policy::faults::{FAULTS_MAX, Faults};
use crate::policy::{Context, Machine, Outbox};

pub use self::message::{Input, Output};
use self::play::{Due, Group, GroupId, Line, Playing};

/// Why a run ends whose every step has begun.
pub const PLAYED: &str = "the timeline is played";

/// Why a run ends with steps that never began: what they would have shown is not known.
pub const UNPLAYED: &str = "its time is over, and a step of the timeline has not begun";

/// Why a run ends whose timeline sets one fault too many.
pub const TOO_MANY: &str = "the timeline has more faults in force than a lab takes";

/// The conductor of a lab. There is one in every lab; one that is never told to begin only keeps
/// the faults that are set by hand.
#[derive(Debug)]
pub struct Conductor {
    /// The steps, with those of a `parallel` after it.
    score: Vec<Line>,
    /// The questions of expectations, by index.
    questions: Vec<Question>,
    faults: Faults,
    fault_next: u64,
    wait_next: u32,
    /// What happens next, in order.
    queue: BTreeMap<Key, Due>,
    serial: u64,
    /// Steps that wait for a condition.
    waits: BTreeMap<u32, (GroupId, usize)>,
    groups: BTreeMap<GroupId, Group>,
    group_next: GroupId,
    playing: BTreeMap<(GroupId, usize), Playing>,
    stage: Stage,
}

/// The place in the queue: instant, place in the file, endings before beginnings, then as they came.
type Key = (Time, usize, Part, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    End,
    Begin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Playing { began: Time, ends: Time },
    Over,
}

/// A question that an expectation asks again and again.
#[derive(Debug)]
struct Question {
    expectation: u32,
    every: Span,
    after: Span,
    before: Option<Span>,
}

impl Conductor {
    /// Makes the conductor of a topology's timeline and expectations.
    pub fn new(topology: &Topology) -> Self {
        let mut score = Vec::new();
        play::write(&topology.timeline, &mut score);
        Self {
            score,
            questions: (0..)
                .zip(&topology.expect)
                .filter_map(|(index, expectation)| question(index, expectation))
                .collect(),
            faults: Faults::default(),
            fault_next: 1,
            wait_next: 1,
            queue: BTreeMap::new(),
            serial: 0,
            waits: BTreeMap::new(),
            groups: BTreeMap::new(),
            group_next: 0,
            playing: BTreeMap::new(),
            stage: Stage::Waiting,
        }
    }

    /// Tells whether the run is over.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    fn begin(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        if self.stage != Stage::Waiting {
            return;
        }
        let ends = cx.now + cx.topology.duration;
        self.stage = Stage::Playing {
            began: cx.now,
            ends,
        };
        out.fact(Kind::RunBegan { ends });
        for index in 0..self.questions.len() {
            let at = cx.now + self.questions[index].after;
            self.plan(at, usize::MAX, Part::Begin, Due::Ask(index));
        }
        self.open_group(cx.now, play::timeline(&self.score), None, out);
        self.advance(cx.now, out);
    }

    fn end(&mut self, why: &'static str, out: &mut Outbox<Output>) {
        if self.stage == Stage::Over {
            return;
        }
        self.stage = Stage::Over;
        self.queue.retain(|_, due| matches!(due, Due::Lift(_)));
        self.waits.clear();
        self.groups.clear();
        self.playing.clear();
        out.fact(Kind::RunEnded { why });
        out.push(Output::End);
    }

    /// Does all that is due, each at its own instant and not at that of a late call.
    fn advance(&mut self, now: Time, out: &mut Outbox<Output>) {
        loop {
            let next = self.queue.first_key_value().map(|((at, ..), _)| *at);
            let over = self.ends().filter(|ends| *ends <= now);
            if let Some(ends) = over
                && next.is_none_or(|at| ends <= at)
            {
                let all = self.score.iter().all(|line| line.begun);
                self.end(if all { PLAYED } else { UNPLAYED }, out);
                continue;
            }
            if next.is_none_or(|at| now < at) {
                return;
            }
            if let Some(((at, ..), due)) = self.queue.pop_first() {
                self.perform(at, due, out);
            }
        }
    }

    fn perform(&mut self, at: Time, due: Due, out: &mut Outbox<Output>) {
        match due {
            Due::Ask(index) => self.ask(at, index, out),
            Due::Begin { group, line } => self.begin_line(at, group, line, out),
            Due::End {
                group,
                line,
                finish,
            } => self.end_line(at, group, line, finish, out),
            Due::EndGroup(group) => self.end_part(at, group, out),
            Due::Lift(fault) => self.lift(fault, out),
        }
    }

    fn ask(&mut self, at: Time, index: usize, out: &mut Outbox<Output>) {
        let question = &self.questions[index];
        let (every, expectation) = (question.every, question.expectation);
        let until = question.before.zip(self.began());
        if until.is_some_and(|(before, began)| at >= began + before) {
            return;
        }
        out.push(Output::Probe { expectation });
        if every > Span::ZERO {
            self.plan(at + every, usize::MAX, Part::Begin, Due::Ask(index));
        }
    }

    /// Puts a fault in force; `None` when there are too many.
    fn set(
        &mut self,
        fault: Fault,
        until: Option<Time>,
        out: &mut Outbox<Output>,
    ) -> Option<FaultId> {
        if self.faults.iter().count() >= FAULTS_MAX {
            return None;
        }
        let id = FaultId(self.fault_next);
        self.fault_next += 1;
        self.faults = self.faults.with(id, fault.clone());
        out.fact(Kind::FaultSet {
            fault: id,
            what: fault,
            until,
        });
        out.push(Output::Faults(self.faults.clone()));
        Some(id)
    }

    fn set_by_hand(
        &mut self,
        now: Time,
        fault: Fault,
        lasts: Option<Span>,
        out: &mut Outbox<Output>,
    ) {
        let until = lasts.map(|lasts| now + lasts);
        let Some(id) = self.set(fault, until, out) else {
            return;
        };
        out.push(Output::Taken { fault: id });
        if let Some(until) = until {
            self.plan(until, 0, Part::End, Due::Lift(id));
        }
    }

    fn lift(&mut self, fault: FaultId, out: &mut Outbox<Output>) {
        let found = self.faults.iter().find(|(id, _)| *id == fault);
        let Some((_, what)) = found.cloned() else {
            return;
        };
        self.faults = self.faults.without(fault);
        // One that was lifted by hand needs no second time.
        self.queue.retain(|_, due| *due != Due::Lift(fault));
        out.fact(Kind::FaultLifted { fault, what });
        out.push(Output::Faults(self.faults.clone()));
    }

    fn clear(&mut self, out: &mut Outbox<Output>) {
        if self.faults.is_empty() {
            return;
        }
        for (fault, what) in self.faults.iter().cloned() {
            out.fact(Kind::FaultLifted { fault, what });
        }
        self.faults = Faults::default();
        self.queue.retain(|_, due| !matches!(due, Due::Lift(_)));
        out.push(Output::Faults(Faults::default()));
    }

    /// Lets happen now what the timeline has next: a step begins, or one that others wait for ends;
    /// where nothing has its instant yet, the first step begins that waits for a condition.
    fn step(&mut self, now: Time, out: &mut Outbox<Output>) {
        let mut queue = self.queue.iter();
        let next = queue.find(|(_, due)| !matches!(due, Due::Ask(_) | Due::Lift(_)));
        let next = next.map(|(key, _)| *key);
        if let Some(due) = next.and_then(|key| self.queue.remove(&key)) {
            out.push(Output::Stepped);
            self.perform(now, due, out);
        } else if let Some((_, (group, line))) = self.waits.pop_first() {
            out.push(Output::Stepped);
            self.perform(now, Due::Begin { group, line }, out);
        }
        self.advance(now, out);
    }

    fn plan(&mut self, at: Time, place: usize, part: Part, due: Due) {
        self.serial += 1;
        self.queue.insert((at, place, part, self.serial), due);
    }

    fn began(&self) -> Option<Time> {
        match self.stage {
            Stage::Playing { began, .. } => Some(began),
            Stage::Waiting | Stage::Over => None,
        }
    }

    fn ends(&self) -> Option<Time> {
        match self.stage {
            Stage::Playing { ends, .. } => Some(ends),
            Stage::Waiting | Stage::Over => None,
        }
    }
}

fn question(expectation: u32, expected: &Expectation) -> Option<Question> {
    match &expected.check {
        Check::Answer(AnswerCheck { every, .. }) => Some(Question {
            expectation,
            every: *every,
            after: expected.after,
            before: expected.before,
        }),
        Check::Door { .. } | Check::Keeps { .. } | Check::Metric { .. } | Check::Returns { .. } => {
            None
        }
    }
}

/// What undoes an act when its time is over.
fn undone(act: Act) -> Option<Act> {
    match act {
        Act::Drain | Act::Kill | Act::Stop => Some(Act::Start),
        Act::Start => None,
    }
}

impl Machine for Conductor {
    type Input = Input;
    type Output = Output;

    fn node(&self) -> Node {
        Node::Lab
    }

    fn handle(&mut self, cx: &Context<'_>, input: Input, out: &mut Outbox<Output>) {
        // What was due before this came is done before it.
        self.advance(cx.now, out);
        match input {
            Input::Begin => self.begin(cx, out),
            Input::Clear => self.clear(out),
            Input::End { why } => self.end(why, out),
            Input::Holds { wait } => {
                self.holds(cx.now, wait, out);
                self.advance(cx.now, out);
            }
            Input::Lift { fault } => self.lift(fault, out),
            Input::Step => self.step(cx.now, out),
            Input::Set { fault, lasts } => self.set_by_hand(cx.now, fault, lasts, out),
        }
    }

    fn is_answer(output: &Output) -> bool {
        matches!(output, Output::Stepped | Output::Taken { .. })
    }

    fn deadline(&self) -> Option<(Time, &'static str)> {
        let next = self.queue.first_key_value();
        let next = next.map(|((at, ..), due)| (*at, due.word()));
        match (next, self.ends()) {
            (Some((at, _)), Some(ends)) if ends <= at => Some((ends, "the end of the run")),
            (None, Some(ends)) => Some((ends, "the end of the run")),
            (next, _) => next,
        }
    }

    fn wake(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        self.advance(cx.now, out);
    }
}

#[cfg(test)]
mod tests;
