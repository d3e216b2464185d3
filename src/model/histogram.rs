//! A histogram of spans: quantiles of any number of them in bounded memory.
//!
//! Log-linear: below 128 us each microsecond has its own bucket, above that each power of two has
//! 128 of equal width. A quantile is the middle of its bucket and so wrong by 1/256 of itself at
//! most; the smallest and the largest span, the count and the mean are exact. The buckets up to an
//! hour take 27 KiB, those of all spans 58 KiB.
//!
//! The quantile rule is the *nearest rank*: the quantile q of n spans is the one at rank ⌈q·n⌉ in
//! ascending order, and the smallest for q = 0. It is always a span that was seen, never a mean of two.

use super::time::Span;

/// How many bits below the highest one a bucket tells apart.
const BITS: u32 = 7;

/// How many buckets each power of two has.
const WIDTH: u64 = 1 << BITS;

/// How often each span was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Grown to the largest bucket that is needed.
    buckets: Vec<u64>,
    count: u64,
    /// In microseconds.
    sum: u128,
    min: Option<Span>,
    max: Option<Span>,
}

impl Histogram {
    /// Adds a span.
    pub fn add(&mut self, span: Span) {
        let bucket = bucket_of(span.as_us());
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.sum += u128::from(span.as_us());
        self.min = Some(self.min.map_or(span, |min| min.min(span)));
        self.max = self.max.max(Some(span));
    }

    /// Adds all that another has seen.
    pub fn merge(&mut self, other: &Self) {
        if other.buckets.len() > self.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (own, count) in self.buckets.iter_mut().zip(&other.buckets) {
            *own += count;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.min = [self.min, other.min].into_iter().flatten().min();
        self.max = self.max.max(other.max);
    }

    /// Counts the spans.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Gives the smallest span.
    pub const fn min(&self) -> Option<Span> {
        self.min
    }

    /// Gives the largest span.
    pub const fn max(&self) -> Option<Span> {
        self.max
    }

    /// Gives the mean, rounded down.
    pub fn mean(&self) -> Option<Span> {
        let mean = self.sum.checked_div(u128::from(self.count))?;
        Some(Span::from_us(u64::try_from(mean).unwrap_or(u64::MAX)))
    }

    /// Gives the span at a quantile from 0 to 1, by the nearest rank.
    pub fn quantile(&self, quantile: f64) -> Option<Span> {
        self.at_rank(rank(quantile, self.count))
    }

    /// Gives the span at a rank in ascending order, from 1 to the count.
    pub fn at_rank(&self, rank: u64) -> Option<Span> {
        let (min, max) = (self.min?, self.max?);
        if rank <= 1 {
            return Some(min);
        }
        if rank >= self.count {
            return Some(max);
        }
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Span::from_us(middle_of(bucket)).clamp(min, max))
    }
}

/// Gives the nearest rank of a quantile among so many: from 1 to `count`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a rank is positive, and exact below 2^53 spans"
)]
pub fn rank(quantile: f64, count: u64) -> u64 {
    let exact = quantile.clamp(0.0, 1.0) * count as f64;
    // 0.07 of 100 is 7.000000000000001 in binary: what is a whole number in decimal is meant so.
    let nearest = exact.round();
    let whole = (exact - nearest).abs() <= exact * 1e-12;
    let rank = if whole { nearest } else { exact.ceil() };
    (rank as u64).clamp(1, count.max(1))
}

/// Gives the bucket of a value.
fn bucket_of(us: u64) -> usize {
    let high = u64::BITS - us.leading_zeros();
    let shift = high.saturating_sub(BITS + 1);
    // Within a power of two the value has its highest bit set, so `us >> shift` is at least WIDTH:
    // consecutive powers take consecutive ranges.
    let bucket = u64::from(shift) * WIDTH + (us >> shift);
    usize::try_from(bucket).expect("there are less than 2^13 buckets")
}

/// Gives the middle of a bucket.
fn middle_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / WIDTH).saturating_sub(1);
    let low = (bucket - shift * WIDTH) << shift;
    low + ((1 << shift) - 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::draw::Seed;

    /// Draws spans over ten powers of ten, so that every kind of bucket is used.
    fn spans(seed: u64, count: u64) -> Vec<Span> {
        let draw = |n| {
            let bits = Seed(seed).draw("histogram", "bits", n) % 34;
            let value = Seed(seed).draw("histogram", "value", n);
            Span::from_us(value & ((1 << bits) | ((1 << bits) - 1)))
        };
        (0..count).map(draw).collect()
    }

    fn histogram(spans: &[Span]) -> Histogram {
        let mut histogram = Histogram::default();
        spans.iter().for_each(|span| histogram.add(*span));
        histogram
    }

    /// The rule itself, on all spans: the span at rank ⌈q·n⌉.
    fn exact(sorted: &[Span], percent: usize) -> Span {
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted[rank - 1]
    }

    #[test]
    fn a_quantile_is_within_one_percent_of_the_sorted_list_for_any_spans() {
        for seed in 0..200 {
            let mut spans = spans(seed, 1 + seed * 7);
            let histogram = histogram(&spans);
            spans.sort_unstable();
            for percent in 0..=100 {
                let quantile = f64::from(u32::try_from(percent).unwrap()) / 100.0;
                let (told, exact) = (
                    histogram.quantile(quantile).unwrap().as_us(),
                    exact(&spans, percent).as_us(),
                );
                assert!(
                    told.abs_diff(exact) * 100 <= exact,
                    "seed {seed}, p{percent} of {}: {told} instead of {exact}",
                    spans.len()
                );
            }
            assert_eq!(histogram.count(), spans.len() as u64);
            assert_eq!(histogram.min(), spans.first().copied());
            assert_eq!(histogram.max(), spans.last().copied());
            let sum: u64 = spans.iter().map(|span| span.as_us()).sum();
            let mean = sum / spans.len() as u64;
            assert_eq!(histogram.mean(), Some(Span::from_us(mean)));
        }
    }

    #[test]
    fn every_value_lies_in_its_bucket() {
        for power in 0..64 {
            for value in [1u64 << power, (1u64 << power) - 1, (1u64 << power) | 5] {
                let middle = middle_of(bucket_of(value));
                assert_eq!(bucket_of(middle), bucket_of(value), "{value}");
                assert!(middle.abs_diff(value) <= value / 256, "{value} as {middle}");
            }
        }
        assert_eq!(bucket_of(u64::MAX), 58 * 128 - 1);
    }

    #[test]
    fn merging_is_adding_all() {
        for seed in 0..20 {
            let spans = spans(seed, 500);
            let (one, other) = spans.split_at(usize::try_from(seed * 25).unwrap());
            let mut merged = histogram(one);
            merged.merge(&histogram(other));
            assert_eq!(merged, histogram(&spans), "seed {seed}");
        }
    }

    #[test]
    fn nothing_has_no_quantile() {
        let empty = Histogram::default();
        assert_eq!(empty.quantile(0.5), None);
        assert_eq!((empty.min(), empty.max(), empty.mean()), (None, None, None));
    }

    #[test]
    fn a_decimal_quantile_has_the_rank_that_it_has_on_paper() {
        assert_eq!(rank(0.07, 100), 7);
        assert_eq!(rank(0.99, 100), 99);
        assert_eq!(rank(0.99, 312), 309);
        assert_eq!(rank(0.0, 10), 1);
        assert_eq!(rank(1.0, 10), 10);
        assert_eq!(rank(0.5, 5), 3);
    }
}
