//! The steps at work: which follows which, what repeats, and when one has ended.
//!
//! A list of steps that is being played is a *group*: the timeline is one, and each time that a
//! `parallel` happens makes another. In the timeline a step without an instant of its own waits for
//! the end of the one before it; in a `parallel` all count from its beginning.

use super::{Conductor, Output, Part, Stage, undone};
use crate::model::fact::{Act, Kind};
use crate::model::id::{FaultId, Node};
use crate::model::time::{Span, Time};
use crate::model::timeline::{Begin, Step, What};
use crate::policy::Outbox;

/// The number of a group.
pub(super) type GroupId = u64;

/// One step of the score.
#[derive(Debug)]
pub(super) struct Line {
    step: Step,
    /// Of a `parallel`: its own steps, by their places in the score.
    parts: Vec<usize>,
    /// The step after it in the timeline.
    after: Option<usize>,
    /// Whether it belongs to the timeline itself.
    outer: bool,
    /// Whether it has begun, at least once.
    pub(super) begun: bool,
}

/// A list of steps that is being played.
#[derive(Debug)]
pub(super) struct Group {
    /// The `parallel` whose steps these are, and the group that it is played in.
    owner: Option<(GroupId, usize)>,
    /// How many steps have not ended; one more for the time that the whole lasts.
    open: usize,
}

/// A step in one group.
#[derive(Debug, Default)]
pub(super) struct Playing {
    /// How many times it happens now: it may begin again before it has ended.
    open: usize,
    /// Whether it will begin again.
    again: bool,
}

/// Something that is due at an instant.
#[derive(Debug, PartialEq)]
pub(super) enum Due {
    /// A question of an expectation.
    Ask(usize),
    /// A step begins.
    Begin { group: GroupId, line: usize },
    /// A step ends.
    End {
        group: GroupId,
        line: usize,
        finish: Finish,
    },
    /// The time of a whole `parallel` is over.
    EndGroup(GroupId),
    /// A fault that was set by hand ends.
    Lift(FaultId),
}

/// What the end of a step brings.
#[derive(Debug, PartialEq)]
pub(super) enum Finish {
    Lift(FaultId),
    Nothing,
    Operate(Node, Act),
}

impl Due {
    /// Says what it is, for those who ask why somebody wants to be woken.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Ask(_) => "a question",
            Self::Begin { .. } => "a step begins",
            Self::End { .. } | Self::EndGroup(_) => "a step ends",
            Self::Lift(_) => "a fault ends",
        }
    }
}

/// Writes the steps of a timeline one after the other, each before its own parts.
pub(super) fn write(steps: &[Step], score: &mut Vec<Line>) {
    let mut before: Option<usize> = None;
    for place in write_all(steps, true, score) {
        if let Some(before) = before.replace(place) {
            score[before].after = Some(place);
        }
    }
}

fn write_all(steps: &[Step], outer: bool, score: &mut Vec<Line>) -> Vec<usize> {
    let mut places = Vec::new();
    for step in steps {
        let place = score.len();
        score.push(Line {
            step: step.clone(),
            parts: Vec::new(),
            after: None,
            outer,
            begun: false,
        });
        if let What::Parallel(parts) = &step.what {
            score[place].parts = write_all(parts, false, score);
        }
        places.push(place);
    }
    places
}

/// Gives the places of the timeline's own steps.
pub(super) fn timeline(score: &[Line]) -> Vec<usize> {
    let places = 0..score.len();
    places.filter(|place| score[*place].outer).collect()
}

impl Conductor {
    /// Begins to play a list of steps: the timeline, or those of a `parallel`.
    pub(super) fn open_group(
        &mut self,
        at: Time,
        lines: Vec<usize>,
        owner: Option<(GroupId, usize)>,
        out: &mut Outbox<Output>,
    ) -> GroupId {
        let group = self.group_next;
        self.group_next += 1;
        let open = lines.len();
        self.groups.insert(group, Group { owner, open });
        for (index, line) in lines.into_iter().enumerate() {
            let own = matches!(self.score[line].step.begin, Begin::At(_));
            // In the timeline all but the first wait for the one before.
            if own || owner.is_some() || index == 0 {
                self.prepare(at, group, line, out);
            }
        }
        group
    }

    /// Plans a step, or has its condition looked for.
    fn prepare(&mut self, at: Time, group: GroupId, line: usize, out: &mut Outbox<Output>) {
        match &self.score[line].step.begin {
            Begin::At(span) => {
                let began = self.began().unwrap_or(at);
                self.plan_begin(at.max(began + *span), group, line);
            }
            Begin::Then(span) => {
                let at = at + *span;
                self.plan_begin(at, group, line);
            }
            Begin::When(condition, _) => {
                let wait = self.wait_next;
                self.wait_next += 1;
                out.push(Output::Await {
                    wait,
                    condition: condition.clone(),
                });
                self.waits.insert(wait, (group, line));
            }
        }
    }

    /// Takes that a condition holds which a step waits for.
    pub(super) fn holds(&mut self, now: Time, wait: u32, out: &mut Outbox<Output>) {
        let Some((group, line)) = self.waits.remove(&wait) else {
            return;
        };
        match self.score[line].step.begin {
            Begin::When(_, span) => self.plan_begin(now + span, group, line),
            Begin::At(_) | Begin::Then(_) => self.prepare(now, group, line, out),
        }
    }

    fn plan_begin(&mut self, at: Time, group: GroupId, line: usize) {
        self.plan(at, line + 1, Part::Begin, Due::Begin { group, line });
    }

    /// Lets a step happen once, and plans the next time if it repeats.
    pub(super) fn begin_line(
        &mut self,
        at: Time,
        group: GroupId,
        line: usize,
        out: &mut Outbox<Output>,
    ) {
        self.score[line].begun = true;
        if let Some(step) = self.step_of(line) {
            out.fact(Kind::StepBegan { step });
        }
        let next = self.next_time(at, line);
        let playing = self.playing.entry((group, line)).or_default();
        playing.open += 1;
        playing.again = next.is_some();
        if let Some(next) = next {
            self.plan_begin(next, group, line);
        }
        let until = self.score[line].step.lasts.map(|lasts| at + lasts);
        let finish = match self.score[line].step.what.clone() {
            What::Parallel(_) => {
                self.begin_parallel(at, until, (group, line), out);
                return;
            }
            What::Act { node, act } => {
                let back = undone(act).filter(|_| until.is_some());
                let finish = back.map(|back| Finish::Operate(node.clone(), back));
                out.push(Output::Act { node, act });
                finish.unwrap_or(Finish::Nothing)
            }
            What::Certificate { names } => {
                out.push(Output::Certificate { names });
                Finish::Nothing
            }
            What::Fault(fault) => {
                let Some(id) = self.set(fault, until, out) else {
                    self.end(super::TOO_MANY, out);
                    return;
                };
                // One that lasts for ever is in force when the step is over.
                if until.is_some() {
                    Finish::Lift(id)
                } else {
                    Finish::Nothing
                }
            }
            What::Record(change) => {
                out.push(Output::Record(change));
                Finish::Nothing
            }
            What::Reload => {
                out.push(Output::Reload);
                Finish::Nothing
            }
            What::Roam(roam) => {
                out.push(Output::Roam(roam));
                Finish::Nothing
            }
            What::Wait => Finish::Nothing,
        };
        match until {
            Some(until) => {
                let due = Due::End {
                    group,
                    line,
                    finish,
                };
                self.plan(until, line + 1, Part::End, due);
            }
            None => self.end_line(at, group, line, finish, out),
        }
    }

    /// Gives the place of a line in the timeline; `None` for a part of another step.
    fn step_of(&self, line: usize) -> Option<u32> {
        let before = self.score.get(..line)?.iter();
        let step = before.filter(|line| line.outer).count();
        let outer = self.score.get(line)?.outer;
        outer.then(|| u32::try_from(step).ok())?
    }

    fn begin_parallel(
        &mut self,
        at: Time,
        until: Option<Time>,
        owner: (GroupId, usize),
        out: &mut Outbox<Output>,
    ) {
        let parts = self.score[owner.1].parts.clone();
        let empty = parts.is_empty();
        let group = self.open_group(at, parts, Some(owner), out);
        let at = match until {
            Some(until) => until,
            None if empty => at,
            None => return,
        };
        if let Some(group) = self.groups.get_mut(&group) {
            group.open += 1;
        }
        self.plan(at, owner.1 + 1, Part::End, Due::EndGroup(group));
    }

    /// Gives the instant at which a step begins again.
    fn next_time(&self, at: Time, line: usize) -> Option<Time> {
        let Stage::Playing { began, .. } = self.stage else {
            return None;
        };
        let repeat = self.score[line].step.repeat?;
        let next = at + repeat.every;
        let in_time = repeat.until.is_none_or(|until| next < began + until);
        (in_time && repeat.every > Span::ZERO).then_some(next)
    }

    pub(super) fn end_line(
        &mut self,
        at: Time,
        group: GroupId,
        line: usize,
        finish: Finish,
        out: &mut Outbox<Output>,
    ) {
        match finish {
            Finish::Lift(fault) => self.lift(fault, out),
            Finish::Nothing => {}
            Finish::Operate(node, act) => out.push(Output::Act { node, act }),
        }
        let Some(playing) = self.playing.get_mut(&(group, line)) else {
            return;
        };
        playing.open = playing.open.saturating_sub(1);
        if playing.open > 0 || playing.again {
            return;
        }
        self.playing.remove(&(group, line));
        if let Some(step) = self.step_of(line) {
            out.fact(Kind::StepEnded { step });
        }
        if let Some(next) = self.score[line].after
            && !matches!(self.score[next].step.begin, Begin::At(_))
        {
            self.prepare(at, group, next, out);
        }
        self.end_part(at, group, out);
    }

    /// One of the things that a group waits for is over.
    pub(super) fn end_part(&mut self, at: Time, group: GroupId, out: &mut Outbox<Output>) {
        let Some(playing) = self.groups.get_mut(&group) else {
            return;
        };
        playing.open = playing.open.saturating_sub(1);
        if playing.open > 0 {
            return;
        }
        let owner = playing.owner;
        self.groups.remove(&group);
        if let Some((group, line)) = owner {
            self.end_line(at, group, line, Finish::Nothing, out);
        }
    }
}
