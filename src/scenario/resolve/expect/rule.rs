//! Expectations that are mappings: numbers, and sentences with more said about them.

use crate::model::expect::{Bound, Check, Expectation, Metric};
use crate::model::fact::Failure;
use crate::model::id::Name;

use super::super::{Resolver, Span, Step, file, format};
use super::{Homes, Said, at};
use file::{Metric as Word, Reason, Rule};

/// The forms of a mapping: the key that makes it one, and the keys that go with it alone.
const FORMS: &[(&str, &[&str])] = &[
    ("expect", &[]),
    (
        "metric",
        &["quantile", "below", "above", "reason", "balancer"],
    ),
    (
        "query",
        &["from", "answer", "not_in", "rcode", "view", "every"],
    ),
];

impl Resolver<'_> {
    /// Resolves an expectation that is a mapping.
    pub(super) fn rule(
        &mut self,
        steps: &[Step<'_>],
        rule: &Rule,
        homes: &Homes<'_>,
        duration: Span,
    ) -> Option<Expectation> {
        let forms: Vec<_> = FORMS
            .iter()
            .filter(|(key, _)| self.written(&at(steps, key)))
            .collect();
        let [(form, keys)] = forms[..] else {
            let (what, cure) = if forms.is_empty() {
                ("this expects nothing", "add query, metric or expect")
            } else {
                (
                    "this expects several things at once",
                    "make an entry of each",
                )
            };
            self.wrong(steps, what, cure);
            return None;
        };
        self.keys_of_form(steps, form, keys);
        let window = self.window(steps, rule, duration);
        let said = match *form {
            "expect" => self.sentence(&at(steps, "expect"), rule.expect.as_deref()?),
            "metric" => self.metric(steps, rule),
            _ => self.query(steps, rule, homes),
        }?;
        let (after, before) = window;
        let mut expectation = self.plain(steps, said);
        let mut text = expectation.text.to_string();
        for (key, span) in [("after", &rule.after), ("before", &rule.before)] {
            if let Some(span) = span {
                text = format!("{text}, {key} {span}");
            }
        }
        expectation.text = text.into();
        expectation.after = after;
        expectation.before = before;
        expectation.evidence = rule.evidence.unwrap_or(1);
        expectation.abort = rule.abort.unwrap_or(false);
        Some(expectation)
    }

    fn keys_of_form(&mut self, steps: &[Step<'_>], form: &str, own: &[&str]) {
        let others = FORMS.iter().flat_map(|(_, keys)| *keys);
        for key in others.filter(|key| !own.contains(key)) {
            if self.written(&at(steps, key)) {
                let what = format!("{key:?} means nothing to {form}");
                self.wrong(&at(steps, key), what, "take it out");
            }
        }
    }

    /// Reads from when to when facts count.
    fn window(&mut self, steps: &[Step<'_>], rule: &Rule, duration: Span) -> (Span, Option<Span>) {
        let span = |text: &Option<String>| text.as_deref().and_then(|t| format::duration(t).ok());
        let after = span(&rule.after).unwrap_or_default();
        let before = span(&rule.before);
        if after >= duration && rule.after.is_some() {
            let what = format!("the run is over after {duration}, so nothing would count");
            self.wrong(
                &at(steps, "after"),
                what,
                "make it shorter, or duration longer",
            );
        } else if before.is_some_and(|before| before <= after) {
            let what = "nothing is both after the one and before the other";
            self.wrong(&at(steps, "before"), what, "make before longer than after");
        }
        (after, before)
    }

    fn metric(&mut self, steps: &[Step<'_>], rule: &Rule) -> Option<Said> {
        let word = rule.metric?;
        let (below, above) = (rule.below.as_deref(), rule.above.as_deref());
        let is_bound = ["below", "above"]
            .iter()
            .any(|key| self.written(&at(steps, key)));
        if !is_bound {
            let what = format!("{} is looked at and not judged", word.word());
            self.wrong(steps, what, format!("add below: {}", example(word)));
        }
        let quantile = self.quantile(steps, rule, word);
        self.fits(steps, rule, word);
        let bound = Bound {
            below: below.and_then(|text| self.bound(steps, "below", word, text)),
            above: above.and_then(|text| self.bound(steps, "above", word, text)),
        };
        let mut words = word.word().to_owned();
        let metric = match word {
            Word::Balance => {
                let balancer = self.balanced(steps, rule)?;
                words = format!("{words} of balancer/{balancer}");
                Metric::Balance { balancer }
            }
            Word::DialRate => Metric::DialRate,
            Word::OutageTime => Metric::OutageTime {
                quantile: quantile?,
            },
            Word::ReconnectTime => Metric::ReconnectTime {
                quantile: quantile?,
            },
            Word::RequestTime => Metric::RequestTime {
                quantile: quantile?,
            },
            Word::RequestsFailed => {
                let reason = rule.reason.map(failure);
                if let Some(reason) = reason {
                    words = format!("{words} ({reason})");
                }
                Metric::RequestsFailed { reason }
            }
        };
        if let Some(quantile) = quantile {
            words = format!("{words} at quantile {quantile}");
        }
        for (key, text) in [("below", below), ("above", above)] {
            if let Some(text) = text {
                words = format!("{words} {key} {text}");
            }
        }
        let is_empty = bound.below.is_none() && bound.above.is_none();
        (!is_empty).then_some(Said {
            check: Check::Metric { metric, bound },
            words,
        })
    }

    /// Refuses the keys that mean nothing to a metric.
    fn fits(&mut self, steps: &[Step<'_>], rule: &Rule, word: Word) {
        let name = word.word();
        if rule.reason.is_some() && word != Word::RequestsFailed {
            let what = format!("\"reason\" means nothing to {name}");
            self.wrong(&at(steps, "reason"), what, "take it out");
        }
        if rule.balancer.is_some() && word != Word::Balance {
            let what = format!("\"balancer\" means nothing to {name}");
            self.wrong(&at(steps, "balancer"), what, "take it out");
        }
    }

    fn quantile(&mut self, steps: &[Step<'_>], rule: &Rule, word: Word) -> Option<f64> {
        let is_time = matches!(
            word,
            Word::OutageTime | Word::ReconnectTime | Word::RequestTime
        );
        let here = at(steps, "quantile");
        let name = word.word();
        match (is_time, &rule.quantile) {
            (true, Some(text)) => {
                let quantile = text.parse::<f64>().ok();
                let quantile = quantile.filter(|quantile| *quantile > 0.0 && *quantile <= 1.0);
                if quantile.is_none() {
                    let what = format!("{text} is no quantile");
                    let cure = "write a number above 0 and up to 1, like 0.99; 1 is the longest";
                    self.wrong(&here, what, cure);
                }
                quantile
            }
            (true, None) => {
                if !self.written(&here) {
                    let what = format!("{name} is many times, and it is not said which counts");
                    self.wrong(steps, what, "add quantile: 0.99; 1 is the longest");
                }
                None
            }
            (false, Some(_)) => {
                let what = format!("\"quantile\" means nothing to {name}, which is one number");
                self.wrong(&here, what, "take it out");
                None
            }
            (false, None) => None,
        }
    }

    fn bound(
        &mut self,
        steps: &[Step<'_>],
        key: &'static str,
        word: Word,
        text: &str,
    ) -> Option<f64> {
        use format::Bound::{Plain, Rate, Share, Time};
        let here = at(steps, key);
        let read = match format::bound(text) {
            Ok(read) => read,
            Err(wrong) => {
                self.wrong(&here, wrong.what, wrong.cure);
                return None;
            }
        };
        let value = match (word, read) {
            (Word::OutageTime | Word::ReconnectTime | Word::RequestTime, Time(span)) => {
                Some(span.as_secs_f64())
            }
            (Word::DialRate, Rate(rate)) => Some(rate),
            (Word::RequestsFailed, Share(share) | Plain(share)) if share <= 1.0 => Some(share),
            (Word::Balance, Plain(ratio)) => Some(ratio),
            _ => None,
        };
        if value.is_none() {
            let (what, cure) = match (word, read) {
                (Word::OutageTime | Word::ReconnectTime | Word::RequestTime, Plain(_)) => {
                    (format!("{text} has no unit"), format::add_unit(text))
                }
                (Word::DialRate, Plain(_)) => {
                    (format!("{text} has no unit"), format!("write {text}/s"))
                }
                _ => {
                    let what = format!("{text} is no measure of {}", word.word());
                    (what, format!("write it like {}", example(word)))
                }
            };
            self.wrong(&here, what, cure);
        }
        value
    }

    fn balanced(&mut self, steps: &[Step<'_>], rule: &Rule) -> Option<Name> {
        let here = at(steps, "balancer");
        let Some(text) = rule.balancer.as_deref() else {
            if !self.written(&here) {
                let what = "balance is that of one door, and none is named";
                self.wrong(steps, what, "add balancer: NAME");
            }
            return None;
        };
        match self.names.balancer(text) {
            Ok(name) => Some(name),
            Err(wrong) => {
                self.wrong(&here, wrong.what, wrong.cure);
                None
            }
        }
    }
}

const fn example(word: Word) -> &'static str {
    match word {
        Word::Balance => "1.5",
        Word::DialRate => "2000/s",
        Word::OutageTime | Word::ReconnectTime => "90s",
        Word::RequestTime => "500ms",
        Word::RequestsFailed => "1%",
    }
}

const fn failure(reason: Reason) -> Failure {
    match reason {
        Reason::Connect => Failure::Connect,
        Reason::Cut => Failure::Cut,
        Reason::NoTunnel => Failure::NoTunnel,
        Reason::Resolve => Failure::Resolve,
        Reason::Status => Failure::Status,
        Reason::Timeout => Failure::Timeout,
        Reason::Tls => Failure::Tls,
    }
}
