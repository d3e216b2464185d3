//! Two samples compared: Kolmogorov and Smirnov's distance, and what it is worth.
//!
//! Values within a run depend on each other, so the asymptotic p is too small; the one that permutes
//! whole runs is not.

use twodoors::model::draw::Seed;

/// How many times whole runs are dealt anew: enough to tell one in a thousand.
const DEALS: u64 = 9_999;

/// How many terms of Kolmogorov's series are added; later ones are below every digit shown.
const TERMS: i32 = 100;

/// Gives the value below which a part of a sorted sample lies.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1) as f64;
    let place = sorted.iter().zip(0_u32..);
    let place = place.take_while(|(_, number)| f64::from(*number) <= (part * last).round());
    place.last().map_or(f64::NAN, |(value, _)| *value)
}

/// Gives the largest distance between the distributions of two samples.
pub(crate) fn distance(one: &[f64], other: &[f64]) -> f64 {
    let mut pooled: Vec<(f64, usize)> = one.iter().map(|value| (*value, 0)).collect();
    pooled.extend(other.iter().map(|value| (*value, 1)));
    pooled.sort_by(|a, b| a.0.total_cmp(&b.0));
    between(&pooled, &[true, false])
}

/// Gives the asymptotic two-sided p of a distance between independent samples of these sizes
/// (Stephens 1970, as in Numerical Recipes 14.3).
pub(crate) fn asymptotic(distance: f64, one: usize, other: usize) -> f64 {
    let (one, other) = (one as f64, other as f64);
    let root = (one * other / (one + other)).sqrt();
    let lambda = (root + 0.12 + 0.11 / root) * distance;
    if lambda < 0.2 {
        return 1.0;
    }
    let term = |k: i32| {
        let k = f64::from(k);
        let sign = if k % 2.0 == 0.0 { -1.0 } else { 1.0 };
        2.0 * sign * (-2.0 * k * k * lambda * lambda).exp()
    };
    (1..=TERMS).map(term).sum::<f64>().clamp(0.0, 1.0)
}

/// Gives how often the distance between two groups of runs is at least as large when the runs are
/// dealt to the groups by chance.
pub(crate) fn permuted(ones: &[&[f64]], others: &[&[f64]]) -> f64 {
    let runs: Vec<&[f64]> = ones.iter().chain(others).copied().collect();
    let mut pooled: Vec<(f64, usize)> = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        pooled.extend(run.iter().map(|value| (*value, number)));
    }
    pooled.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut dealt: Vec<bool> = (0..runs.len()).map(|run| run < ones.len()).collect();
    let seen = between(&pooled, &dealt);
    let mut as_large = 0_u32;
    for deal in 0..DEALS {
        for left in (1..dealt.len()).rev() {
            let draw = Seed(deal).draw("bench", "deal", left as u64);
            let pick = draw % (left as u64 + 1);
            dealt.swap(left, usize::try_from(pick).unwrap_or(left));
        }
        if between(&pooled, &dealt) >= seen - 1e-12 {
            as_large += 1;
        }
    }
    f64::from(as_large + 1) / (DEALS as f64 + 1.0)
}

/// Gives the distance between two groups of a sorted pool; `first` tells which runs are in the first.
fn between(pooled: &[(f64, usize)], first: &[bool]) -> f64 {
    let in_first = |run: usize| first.get(run) == Some(&true);
    let ones = pooled.iter().filter(|(_, run)| in_first(*run)).count() as f64;
    let others = pooled.len() as f64 - ones;
    let (mut one, mut other, mut largest) = (0.0, 0.0, 0.0_f64);
    for (place, (value, run)) in pooled.iter().enumerate() {
        if in_first(*run) {
            one += 1.0;
        } else {
            other += 1.0;
        }
        // Equal values are one step of both.
        let next = pooled.get(place + 1);
        if next.is_none_or(|(next, _)| next.total_cmp(value).is_ne()) {
            largest = largest.max((one / ones - other / others).abs());
        }
    }
    largest
}

/// Fails when this module no longer counts right; a bench has no tests of its own.
pub(crate) fn check() {
    let (low, high): (Vec<f64>, Vec<f64>) =
        (0..40).map(|n| (f64::from(n), f64::from(n + 20))).unzip();
    let near = |found: f64, expected: f64| {
        assert!((found - expected).abs() < 1e-4, "{found}, not {expected}");
    };
    near(distance(&low, &low), 0.0);
    near(distance(&low, &high), 0.5);
    near(quantile(&low, 0.5), 20.0);
    // Kolmogorov's table: 1.3581 is exceeded by chance in 5 of 100.
    let root = 5_000_f64.sqrt();
    near(
        asymptotic(1.3581 / (root + 0.12 + 0.11 / root), 10_000, 10_000),
        0.05,
    );
    near(asymptotic(0.0, 10, 10), 1.0);
    let runs =
        |from: i32| -> Vec<Vec<f64>> { (from..from + 6).map(|n| vec![f64::from(n); 3]).collect() };
    let (early, late) = (runs(0), runs(100));
    let early: Vec<&[f64]> = early.iter().map(|run| &**run).collect();
    let late: Vec<&[f64]> = late.iter().map(|run| &**run).collect();
    assert!(permuted(&early, &late) < 0.01, "two groups apart");
    assert!(permuted(&early, &early) > 0.9, "the same twice");
}
