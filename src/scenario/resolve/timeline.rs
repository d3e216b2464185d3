//! The timeline: when each step begins and ends, what it does and on whom.
//!
//! The keys that mean nothing to what a step does are mistakes, so that nobody believes in them.

mod deed;

use crate::model::fault::Effect;
use crate::model::id::Name;
use crate::model::timeline::{Begin, Repeat, Step as Played, What};

use super::roam::Homes;
use super::{Agent, EVERY_MIN, Resolver, Span, Step, User, file, format, present, with};
use crate::scenario::condition;
use Step::{Index as I, Key as K};

/// How long a run lasts that has neither a duration nor a timeline.
const DURATION_DEFAULT: Span = Span::from_secs(60);

/// How much longer than its timeline a run lasts, so that what comes of it is seen.
const AFTER_LAST: Span = Span::from_secs(30);

/// How long a condition is taken to be waited for when the duration is worked out.
const WAIT: Span = Span::from_secs(60);

/// What a step is made of while it is read.
pub(super) struct Deed {
    /// What it does.
    pub(super) what: What,
    /// In words, without how long.
    pub(super) words: String,
}

impl Resolver<'_> {
    /// Resolves the timeline, and says how long the run lasts.
    pub(super) fn timeline(
        &mut self,
        shapes: &file::Scenario,
        agents: &[Agent],
        users: &[User],
    ) -> (Vec<Played>, Span) {
        let mut homes = Homes::new(agents, users);
        let entries = present(&shapes.timeline);
        let given = shapes.duration.as_deref();
        let given = given.and_then(|text| format::duration(text).ok());
        let is_given = self.written(&[K("duration")]);
        if given == Some(Span::ZERO) {
            let what = "a run must last longer than nothing";
            self.wrong(&[K("duration")], what, "write 60s");
        }
        let mut played: Vec<Played> = Vec::new();
        let mut stale = None;
        let (mut end, mut last) = (Span::ZERO, Span::ZERO);
        for (index, step) in &entries {
            if self.mistakes.is_full() {
                break;
            }
            let steps = [K("timeline"), I(*index)];
            let begin = self.begin(&steps, step, given);
            let resolved = self.step(&steps, step, begin, &mut homes);
            let repeats = step.every.is_some();
            if repeats && step.until.is_none() && !is_given {
                let every = with(&steps, &[K("every")]);
                self.wrong(
                    &every,
                    "without until this goes on to the end of the run, which is not known",
                    "add until: 60s here, or duration: 3m to the scenario",
                );
            }
            let Some(resolved) = resolved else { continue };
            end = ended(&resolved, end);
            last = last.max(end);
            if stale.is_none() && any(&resolved.what, &is_stale) {
                stale = Some(steps);
            }
            played.push(resolved);
        }
        if let Some(steps) = stale
            && !played.iter().any(|step| any(&step.what, &renews))
        {
            let what = "there is no generation before this one: no step of the timeline makes one";
            let cure = "add a record or a reload before it";
            self.wrong(&with(&steps, &[K("do")]), what, cure);
        }
        let worked_out = if entries.is_empty() {
            DURATION_DEFAULT
        } else {
            last + AFTER_LAST
        };
        (played, given.unwrap_or(worked_out))
    }

    fn begin(&mut self, steps: &[Step<'_>], step: &file::Step, duration: Option<Span>) -> Begin {
        let span = |text: &Option<String>| text.as_deref().and_then(|t| format::duration(t).ok());
        let after = span(&step.after).unwrap_or_default();
        if step.at.is_some() && step.when.is_some() {
            let what = "a step has a time to begin or a state to wait for, not both";
            self.wrong(&with(steps, &[K("when")]), what, "keep at or when");
        }
        if step.at.is_some() && step.after.is_some() {
            let what = "after delays a when or follows the step before, and this step has at";
            self.wrong(&with(steps, &[K("after")]), what, "add it to at");
        }
        if let Some(at) = span(&step.at) {
            if duration.is_some_and(|duration| at >= duration) {
                let what = "this begins when the run is over";
                let cure = "make duration longer, or at shorter";
                self.wrong(&with(steps, &[K("at")]), what, cure);
            }
            return Begin::At(at);
        }
        let Some(when) = &step.when else {
            return Begin::Then(after);
        };
        match condition::read(&self.names, when) {
            Ok(condition) => Begin::When(condition, after),
            Err(wrong) => {
                self.wrong(&with(steps, &[K("when")]), wrong.what, wrong.cure);
                Begin::Then(after)
            }
        }
    }

    fn step(
        &mut self,
        steps: &[Step<'_>],
        step: &file::Step,
        begin: Begin,
        homes: &mut Homes<'_>,
    ) -> Option<Played> {
        let repeat = self.repeat(steps, step, &begin);
        let lasts = self.lasts(steps, step);
        if let (Some(repeat), Some(lasts)) = (repeat, lasts)
            && lasts >= repeat.every
        {
            let what = "this begins again before it has ended";
            let cure = "make for shorter than every";
            self.wrong(&with(steps, &[K("for")]), what, cure);
        }
        let deed = if self.written(&with(steps, &[K("parallel")])) {
            self.parallel(steps, step, homes)
        } else {
            self.deed(steps, step, homes)
        };
        let Deed { what, mut words } = deed?;
        for (key, text) in [
            ("for", &step.lasts),
            ("every", &step.every),
            ("until", &step.until),
        ] {
            if let Some(text) = text
                && !(key == "for" && what == What::Wait)
            {
                words = format!("{words} {key} {text}");
            }
        }
        Some(Played {
            begin,
            repeat,
            what,
            lasts,
            text: words.into(),
        })
    }

    fn repeat(&mut self, steps: &[Step<'_>], step: &file::Step, begin: &Begin) -> Option<Repeat> {
        let until_at = with(steps, &[K("until")]);
        let until = step.until.as_deref();
        let until = until.and_then(|text| format::duration(text).ok());
        let every_at = with(steps, &[K("every")]);
        let Some(every) = step.every.as_deref() else {
            if step.until.is_some() && !self.written(&every_at) {
                let what = "until ends what happens again and again, and this has no every";
                self.wrong(&until_at, what, "add every: 10s, or write for: 20s");
            }
            return None;
        };
        let every = format::duration(every).ok()?;
        if every < EVERY_MIN {
            let what = format!("{every} is too short: it would measure only this machine");
            self.wrong(&every_at, what, "at least 10ms");
        }
        if let (Begin::At(at), Some(until)) = (begin, until)
            && until <= *at
        {
            let what = "this ends before it begins: until counts from ready, as at does";
            self.wrong(&until_at, what, "make until longer than at");
        }
        Some(Repeat { every, until })
    }

    fn lasts(&mut self, steps: &[Step<'_>], step: &file::Step) -> Option<Span> {
        let lasts = step.lasts.as_deref();
        let lasts = lasts.and_then(|text| format::duration(text).ok())?;
        if lasts == Span::ZERO {
            let what = "this would end as it begins";
            let cure = "write how long it lasts, or take for out: then it lasts for ever";
            self.wrong(&with(steps, &[K("for")]), what, cure);
        }
        Some(lasts)
    }

    fn parallel(
        &mut self,
        steps: &[Step<'_>],
        step: &file::Step,
        homes: &mut Homes<'_>,
    ) -> Option<Deed> {
        // When it begins and how it repeats is the whole's; all else is said by each.
        let whole = ["parallel", "at", "when", "after", "every", "until"];
        self.only(
            steps,
            &whole,
            "a step with parallel",
            "move it into one of its steps",
        );
        let mut played = Vec::new();
        for (index, part) in present(&step.parallel) {
            if self.mistakes.is_full() {
                break;
            }
            let steps = with(steps, &[K("parallel"), I(index)]);
            let part = file::Step::from(part);
            let after = part.after.as_deref();
            let after = after.and_then(|text| format::duration(text).ok());
            let begin = Begin::Then(after.unwrap_or_default());
            if part.every.is_some() && part.until.is_none() {
                let what = "within a parallel, what happens again and again needs an end";
                let cure = "add until: 60s, which counts from ready";
                self.wrong(&with(&steps, &[K("every")]), what, cure);
            }
            played.extend(self.step(&steps, &part, begin, homes));
        }
        let each: Vec<&str> = played.iter().map(|step: &Played| &*step.text).collect();
        let words = format!("together: {}", each.join("; "));
        (!played.is_empty()).then_some(Deed {
            what: What::Parallel(played),
            words,
        })
    }

    /// Gives the target, or adds a mistake when there is none.
    pub(super) fn target<'a>(
        &mut self,
        steps: &[Step<'_>],
        step: &'a file::Step,
        example: &str,
    ) -> Option<&'a str> {
        if step.target.is_none() && !self.written(&with(steps, &[K("target")])) {
            let word = step.what.map_or("this", file::Do::word);
            let what = format!("{word} needs a target");
            self.wrong(steps, what, format!("add target: {example}"));
        }
        step.target.as_deref()
    }

    /// Adds a mistake for every key of a mapping that is none of these.
    pub(super) fn only(&mut self, steps: &[Step<'_>], keys: &[&str], who: &str, cure: &str) {
        let Some(super::Value::Map(entries)) = self.tree.at(steps).map(|node| &node.value) else {
            return;
        };
        for entry in entries.iter().filter(|entry| !keys.contains(&&*entry.key)) {
            // What is not known at all has been told.
            if !KEYS.contains(&&*entry.key) {
                continue;
            }
            let what = format!("{:?} means nothing to {who}", entry.key);
            self.wrong(&with(steps, &[K(&entry.key)]), what, cure);
        }
    }

    /// Adds a mistake at a key.
    pub(super) fn wrong_at(&mut self, steps: &[Step<'_>], key: &str, wrong: format::Wrong) {
        self.wrong(&with(steps, &[K(key)]), wrong.what, wrong.cure);
    }
}

/// The keys of a step.
const KEYS: &[&str] = &[
    "at", "when", "after", "every", "until", "for", "do", "target", "by", "to", "address", "view",
    "name", "type", "ttl", "data", "names", "parallel",
];

/// Says when a step has ended, the one before it at `before`.
fn ended(step: &Played, before: Span) -> Span {
    let begin = match &step.begin {
        Begin::At(at) => *at,
        Begin::Then(after) => before + *after,
        Begin::When(_, after) => before + WAIT + *after,
    };
    let last = step.repeat.and_then(|repeat| repeat.until);
    let last = last.map_or(begin, |until| until.max(begin));
    match &step.what {
        What::Parallel(steps) => {
            let ends = steps.iter().map(|step| ended(step, last));
            ends.max().unwrap_or(last)
        }
        What::Act { .. }
        | What::Certificate { .. }
        | What::Fault(_)
        | What::Record(_)
        | What::Reload
        | What::Roam(_)
        | What::Wait => last + step.lasts.unwrap_or_default(),
    }
}

/// Joins texts with commas.
pub(super) fn list(texts: &[Name]) -> String {
    let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
    texts.join(", ")
}

/// Tells whether a step, or one of those in it, is such.
fn any(what: &What, is: &impl Fn(&What) -> bool) -> bool {
    match what {
        What::Parallel(steps) => steps.iter().any(|step| any(&step.what, is)),
        What::Act { .. }
        | What::Certificate { .. }
        | What::Fault(_)
        | What::Record(_)
        | What::Reload
        | What::Roam(_)
        | What::Wait => is(what),
    }
}

fn is_stale(what: &What) -> bool {
    matches!(what, What::Fault(fault) if fault.effect == Effect::Stale)
}

/// Tells whether it begins a new generation of the rules.
const fn renews(what: &What) -> bool {
    matches!(what, What::Record(_) | What::Reload)
}
