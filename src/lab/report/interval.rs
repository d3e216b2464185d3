//! A number over several seeds: its median, its range, and how sure the median is.

/// A number over several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// How many runs gave it.
    pub runs: usize,
    /// The smallest.
    pub min: f64,
    /// The median by the nearest rank, as all quantiles here.
    pub median: f64,
    /// The largest.
    pub max: f64,
    /// The 95 % confidence interval of the median, from the order of the values alone: it holds
    /// whatever their distribution. `None` below six runs, which cannot give one.
    pub median_95: Option<(f64, f64)>,
}

impl Interval {
    /// Makes it from the numbers of all runs; `None` without any.
    pub fn of(mut numbers: Vec<f64>) -> Option<Self> {
        numbers.sort_by(f64::total_cmp);
        let (min, max) = (*numbers.first()?, *numbers.last()?);
        let runs = numbers.len();
        let beyond = beyond(runs);
        Some(Self {
            runs,
            min,
            median: numbers[runs.div_ceil(2) - 1],
            max,
            median_95: (beyond > 0).then(|| (numbers[beyond - 1], numbers[runs - beyond])),
        })
    }
}

/// Gives the largest k for which at most 2.5 % of all samples of `n` have fewer than k values below
/// the median: the k-th value from either end then bounds a 95 % interval (binomial, p = 1/2).
fn beyond(n: usize) -> usize {
    // In logarithms, since 2^-n is nothing from a thousand runs on.
    let mut ln_share = -(as_f64(n) * std::f64::consts::LN_2);
    let mut sum = 0.0;
    for k in 0..n {
        sum += ln_share.exp();
        if sum > 0.025 {
            return k;
        }
        ln_share += (as_f64(n - k) / as_f64(k + 1)).ln();
    }
    0
}

#[expect(clippy::cast_precision_loss, reason = "a number of runs")]
const fn as_f64(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::draw::Seed;

    #[test]
    fn the_ranks_are_those_of_the_tables() {
        // Sign test, two-sided 5 %: the values that every table of it has.
        let known = [
            (5, 0),
            (6, 1),
            (8, 1),
            (9, 2),
            (10, 2),
            (20, 6),
            (25, 8),
            (100, 40),
        ];
        for (n, k) in known {
            assert_eq!(beyond(n), k, "{n} runs");
        }
        assert!(beyond(100_000) > 49_000, "many runs do not underflow");
    }

    #[test]
    fn the_interval_holds_the_true_median_in_at_least_95_of_100_series() {
        let series = 2_000;
        let holds = |series: u64| {
            let draw = |n| as_f64(usize::try_from(Seed(series).draw("x", "y", n) >> 32).unwrap());
            let interval = Interval::of((0..20).map(draw).collect()).unwrap();
            let (low, high) = interval.median_95.unwrap();
            (low..=high).contains(&2f64.powi(31))
        };
        let held = (0..series).filter(|series| holds(*series)).count();
        assert!((1_900..1_980).contains(&held), "{held} of {series}");
    }

    #[test]
    fn few_runs_have_a_range_and_no_interval() {
        let interval = Interval::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!(
            (interval.min, interval.median, interval.max),
            (1.0, 2.0, 3.0)
        );
        assert_eq!(interval.median_95, None);
        assert_eq!(Interval::of(Vec::new()), None);
    }
}
