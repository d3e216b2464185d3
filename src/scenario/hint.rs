//! The nearest of the names that would have been right.
//!
//! In go a word and the allowed ones; out comes the half sentence that ends a mistake.

/// How long a word may be to be compared; the comparison takes the product of both lengths.
const LENGTH_MAX: usize = 64;

/// How many allowed words are compared; the names of a fleet are more.
pub const COMPARED_MAX: usize = 1_000;

/// How many allowed words are listed.
const LISTED_MAX: usize = 20;

/// Gives the cure for a word that is none of `allowed`: the nearest one, else all of them.
pub fn cure(word: &str, allowed: &[&str]) -> String {
    if let Some(near) = nearest(word, allowed) {
        return format!("did you mean {near}?");
    }
    match allowed {
        [] => String::new(),
        [one] => format!("the only one here is {one}"),
        _ => {
            let more = if allowed.len() > LISTED_MAX {
                ", …"
            } else {
                ""
            };
            let listed = &allowed[..allowed.len().min(LISTED_MAX)];
            format!("one of: {}{more}", listed.join(", "))
        }
    }
}

/// Finds the allowed word at the smallest edit distance, if it is near enough to be meant; the
/// first of equals.
pub fn nearest<'a>(word: &str, allowed: &[&'a str]) -> Option<&'a str> {
    nearest_within(word, allowed, usize::MAX)
}

/// Does the same with a bound of its own on the distance, where many unknown words are right
/// elsewhere.
pub fn nearest_within<'a>(word: &str, allowed: &[&'a str], most: usize) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    if length == 0 || length > LENGTH_MAX {
        return None;
    }
    // A third of the letters may be wrong: `extrenal`, `algoritm`, `roundrobin`; of two letters
    // none.
    let limit = (length / 3).min(most);
    allowed
        .iter()
        .take(COMPARED_MAX)
        .filter(|other| other.len() <= 2 * LENGTH_MAX)
        .map(|other| (distance(&word, &other.to_lowercase()), *other))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// Counts the insertions, deletions, replacements and swaps of neighbours that make `a` from `b`
/// (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_of_neighbours_is_one_change() {
        assert_eq!(distance("lsiten", "listen"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn the_nearest_word_is_named_and_a_far_one_is_not() {
        let allowed = ["round_robin", "least_connections"];
        assert_eq!(nearest("roundrobin", &allowed), Some("round_robin"));
        assert_eq!(nearest("random", &allowed), None);
        assert_eq!(
            cure("random", &allowed),
            "one of: round_robin, least_connections"
        );
    }
}
