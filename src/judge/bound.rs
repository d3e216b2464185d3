//! Where a measured number must lie, when it is known exactly or only from below.

use super::verdict::{Outcome, Unit, Value};
use crate::model::expect::Bound;

/// Rules on a number that lies between `low` and `high`, which are the same when it is known;
/// `None` is as high as you like.
pub(super) fn rule(bound: Bound, low: f64, high: Option<f64>, unit: Unit) -> (Outcome, String) {
    let shown = |number| Value::new(number, unit);
    if let Some(below) = bound.below
        && low >= below
    {
        let why = format!("{} is not below {}", shown(low), shown(below));
        return (Outcome::Failed, why);
    }
    if let (Some(above), Some(high)) = (bound.above, high)
        && high <= above
    {
        let why = format!("{} is not above {}", shown(high), shown(above));
        return (Outcome::Failed, why);
    }
    let is_below = bound
        .below
        .is_none_or(|below| high.is_some_and(|high| high < below));
    let is_above = bound.above.is_none_or(|above| low > above);
    if is_below && is_above {
        (Outcome::Met, String::new())
    } else {
        let why = format!(
            "it is {} at least, and the run ended before it was known",
            shown(low)
        );
        (Outcome::Inconclusive, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_only_from_below_can_fail_but_not_pass_an_upper_bound() {
        let below = |below| Bound {
            below: Some(below),
            above: None,
        };
        let above = |above| Bound {
            below: None,
            above: Some(above),
        };
        let rule = |bound, low, high| rule(bound, low, high, Unit::Seconds).0;
        assert_eq!(rule(below(90.0), 42.0, Some(42.0)), Outcome::Met);
        assert_eq!(rule(below(90.0), 90.0, Some(90.0)), Outcome::Failed);
        assert_eq!(rule(below(90.0), 42.0, None), Outcome::Inconclusive);
        assert_eq!(rule(below(90.0), 95.0, None), Outcome::Failed);
        assert_eq!(rule(above(90.0), 95.0, None), Outcome::Met);
        assert_eq!(rule(above(90.0), 42.0, None), Outcome::Inconclusive);
        assert_eq!(rule(above(90.0), 42.0, Some(42.0)), Outcome::Failed);
    }
}
