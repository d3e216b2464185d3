//! What is measured over the last minute and of the last few, in bounded memory whatever the traffic.
//!
//! A second is one of the lab's clock. What comes late, by a node whose facts reached the journal
//! after those of another, is counted in its own second as long as that is within the minute.

use std::collections::{BTreeMap, VecDeque};

use crate::model::histogram::rank;
use crate::model::id::FlowId;
use crate::model::time::{Span, Time};

/// How many seconds are kept.
pub const SECONDS: usize = 60;

/// How many of the last checks of an instance a door keeps.
pub const CHECKS_MAX: usize = 10;

/// How many spans of a second are kept; those after them are not in its quantile.
const SPANS_A_SECOND: usize = 64;

/// Of how many of the last connects the quantiles are.
const CONNECTS_MAX: usize = 128;

/// How many flows of a door are timed while they connect.
const CONNECTING_MAX: usize = 4_096;

/// How often something happened in each of the last seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minute {
    newest: u64,
    counts: [u32; SECONDS],
}

impl Default for Minute {
    fn default() -> Self {
        Self {
            newest: 0,
            counts: [0; SECONDS],
        }
    }
}

impl Minute {
    /// Counts what happened at an instant.
    pub(super) fn add(&mut self, at: Time, count: u64) {
        let second = second(at);
        let ahead = second.saturating_sub(self.newest).min(SECONDS as u64);
        for passed in 1..=ahead {
            self.counts[slot(second - ahead + passed)] = 0;
        }
        self.newest = self.newest.max(second);
        if second + SECONDS as u64 > self.newest {
            let kept = &mut self.counts[slot(second)];
            *kept = kept.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }

    /// Gives the seconds up to that of an instant, oldest first.
    pub fn until(&self, now: Time) -> impl Iterator<Item = u64> {
        seconds(now).map(|second| {
            let kept = second
                .filter(|second| *second <= self.newest && *second + SECONDS as u64 > self.newest);
            kept.map_or(0, |second| u64::from(self.counts[slot(second)]))
        })
    }
}

/// How long something took in each of the last seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    /// Second and spans, in order; seconds without any are left out.
    kept: VecDeque<(u64, Vec<Span>)>,
}

impl Spans {
    /// Takes one that ended at an instant.
    pub(super) fn add(&mut self, at: Time, span: Span) {
        let second = second(at);
        let newest = self.kept.back().map_or(second, |(newest, _)| *newest);
        if second + SECONDS as u64 <= newest {
            return;
        }
        let place = self.kept.partition_point(|(kept, _)| *kept < second);
        if self.kept.get(place).is_none_or(|(kept, _)| *kept != second) {
            self.kept.insert(place, (second, Vec::new()));
        }
        let spans = &mut self.kept[place].1;
        if spans.len() < SPANS_A_SECOND {
            spans.push(span);
        }
        while self.kept.len() > SECONDS {
            self.kept.pop_front();
        }
    }

    /// Gives the 95th percentile of each second up to that of an instant, oldest first.
    pub fn until(&self, now: Time) -> impl Iterator<Item = Option<Span>> {
        seconds(now).map(|second| {
            let second = second?;
            let place = self.kept.binary_search_by_key(&second, |(kept, _)| *kept);
            let (_, spans) = &self.kept[place.ok()?];
            quantile(spans.clone(), 0.95)
        })
    }
}

/// How long the last connects took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connects(VecDeque<Span>);

impl Connects {
    pub(super) fn add(&mut self, span: Span) {
        if self.0.len() == CONNECTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(span);
    }

    /// Gives the span at a quantile of the last connects.
    pub fn quantile(&self, quantile: f64) -> Option<Span> {
        self::quantile(self.0.iter().copied().collect(), quantile)
    }
}

/// The flows of a door that connect, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Connecting(BTreeMap<FlowId, Time>);

impl Connecting {
    pub(super) fn begin(&mut self, flow: FlowId, at: Time) {
        if self.0.len() < CONNECTING_MAX {
            self.0.insert(flow, at);
        }
    }

    /// Forgets a flow and gives how long it has been connecting.
    pub(super) fn end(&mut self, flow: FlowId, at: Time) -> Option<Span> {
        self.0.remove(&flow).map(|since| at.since(since))
    }
}

/// A check of an instance by a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckState {
    /// When it ended.
    pub at: Time,
    /// How long it took.
    pub took: Span,
    /// Why it failed, in words; `None` when it passed.
    pub error: Option<String>,
}

/// Gives the end of the second that holds an instant.
pub const fn end_of_second(at: Time) -> Time {
    Time::from_us((second(at) + 1) * 1_000_000)
}

const fn second(at: Time) -> u64 {
    at.as_us() / 1_000_000
}

fn slot(second: u64) -> usize {
    usize::try_from(second % SECONDS as u64).unwrap_or(0)
}

/// Gives the seconds up to that of an instant; `None` for those before the start of the lab.
fn seconds(now: Time) -> impl Iterator<Item = Option<u64>> {
    let newest = second(now);
    (0..SECONDS as u64)
        .rev()
        .map(move |back| newest.checked_sub(back))
}

fn quantile(mut spans: Vec<Span>, quantile: f64) -> Option<Span> {
    spans.sort_unstable();
    let rank = usize::try_from(rank(quantile, spans.len() as u64)).unwrap_or(usize::MAX);
    spans.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::draw::Seed;

    fn at(second: u64) -> Time {
        Time::from_us(second * 1_000_000 + 17)
    }

    #[test]
    fn a_minute_counts_as_a_list_of_all_instants_does() {
        for case in 0..40 {
            let draw = |what, n, below| Seed(3).draw(&format!("case {case}"), what, n) % below;
            let (mut minute, mut all, mut newest) = (Minute::default(), Vec::new(), 0);
            for n in 0..200 {
                let ahead: u64 = [0, 0, 0, 1, 2, 90][usize::try_from(draw("ahead", n, 6)).unwrap()];
                newest += ahead;
                let happened: u64 = newest - draw("late", n, 4).min(newest);
                minute.add(at(happened), 2);
                all.push(happened);
                let now = newest + draw("look", n, 70);
                let expected: Vec<u64> = (0..60)
                    .rev()
                    .map(|back| {
                        let second = now.checked_sub(back);
                        // What had fallen out of the minute when it came is not counted.
                        all.iter().filter(|s| Some(**s) == second).count() as u64 * 2
                    })
                    .collect();
                let told: Vec<u64> = minute.until(at(now)).collect();
                assert_eq!(told, expected, "case {case}, n {n}");
            }
        }
    }

    #[test]
    fn a_second_has_the_quantile_of_its_own_spans() {
        let mut spans = Spans::default();
        for n in 1..=20 {
            spans.add(at(5), Span::from_ms(n));
        }
        spans.add(at(4), Span::from_ms(7));
        let told: Vec<_> = spans.until(at(6)).collect();
        assert_eq!(
            told[57..],
            [Some(Span::from_ms(7)), Some(Span::from_ms(19)), None]
        );
        assert!(told[..57].iter().all(Option::is_none));
        for second in 0..1_000 {
            spans.add(at(second), Span::from_ms(1));
        }
        assert_eq!(spans.kept.len(), SECONDS);
    }
}
