//! Tables, and a naive reference that keeps a queue instead of a turn.

use std::collections::VecDeque;

use super::{Algorithm, Choice, Chosen, Seen, Turn};
use crate::model::draw::Seed;

fn up(open: &[u32]) -> Vec<Seen> {
    let seen = |open: &u32| Seen {
        usable: true,
        open: *open,
    };
    open.iter().map(seen).collect()
}

/// Asks about backends in a slice.
fn next(
    algorithm: Algorithm,
    backends: &[Seen],
    tried: &[usize],
    turn: &mut Turn,
) -> Option<Choice> {
    super::next(
        algorithm,
        backends.len(),
        |index| backends[index],
        tried,
        turn,
    )
}

/// Asks for `flows` new flows and gives the backends chosen.
fn ask(algorithm: Algorithm, backends: &[Seen], flows: usize) -> Vec<Option<usize>> {
    let mut turn = Turn::default();
    (0..flows)
        .map(|_| next(algorithm, backends, &[], &mut turn).map(|choice| choice.backend))
        .collect()
}

#[test]
fn round_robin_takes_each_in_turn() {
    let chosen = ask(Algorithm::RoundRobin, &up(&[9, 0, 5]), 7);
    assert_eq!(chosen, [0, 1, 2, 0, 1, 2, 0].map(Some));
}

#[test]
fn what_is_not_usable_is_passed_over() {
    let mut backends = up(&[0, 0, 0]);
    backends[1].usable = false;
    assert_eq!(
        ask(Algorithm::RoundRobin, &backends, 4),
        [0, 2, 0, 2].map(Some)
    );
    assert_eq!(
        ask(Algorithm::LeastConnections, &backends, 4),
        [0, 2, 0, 2].map(Some)
    );
    for backend in &mut backends {
        backend.usable = false;
    }
    assert_eq!(ask(Algorithm::RoundRobin, &backends, 1), [None]);
    assert_eq!(ask(Algorithm::LeastConnections, &[], 1), [None]);
}

#[test]
fn least_connections_takes_the_fewest_and_ties_go_in_turn() {
    assert_eq!(
        ask(Algorithm::LeastConnections, &up(&[2, 1, 3]), 2),
        [1, 1].map(Some)
    );
    let chosen = ask(Algorithm::LeastConnections, &up(&[1, 0, 0]), 4);
    assert_eq!(chosen, [1, 2, 1, 2].map(Some));
}

#[test]
fn each_choice_has_its_reason() {
    let backends = up(&[4, 3]);
    let why = |algorithm, tried: &[usize]| {
        next(algorithm, &backends, tried, &mut Turn::default()).map(|choice| choice.why)
    };
    assert_eq!(why(Algorithm::RoundRobin, &[]), Some(Chosen::Turn));
    let fewest = Chosen::FewestConnections { open: 3 };
    assert_eq!(why(Algorithm::LeastConnections, &[]), Some(fewest));
    assert_eq!(why(Algorithm::RoundRobin, &[0]), Some(Chosen::AfterFailure));
    assert_eq!(why(Algorithm::RoundRobin, &[0, 1]), None);
}

#[test]
fn a_broken_backends_flows_are_shared_by_all_others() {
    // Backend 1 refuses each connect but is not yet down.
    let mut turn = Turn::default();
    let mut got = [0; 3];
    for _ in 0..60 {
        let mut tried = Vec::new();
        loop {
            let choice = next(Algorithm::RoundRobin, &up(&[0, 0, 0]), &tried, &mut turn).unwrap();
            if choice.backend != 1 {
                got[choice.backend] += 1;
                break;
            }
            tried.push(choice.backend);
        }
    }
    assert_eq!(got, [30, 0, 30]);
}

/// A queue of all backends in the order of their turns.
struct Naive(VecDeque<usize>);

impl Naive {
    fn next(&mut self, algorithm: Algorithm, seen: &[Seen], tried: &[usize]) -> Option<usize> {
        let mut candidates: Vec<usize> = self.0.iter().copied().collect();
        candidates.retain(|index| seen[*index].usable && !tried.contains(index));
        if algorithm == Algorithm::LeastConnections {
            candidates.sort_by_key(|index| seen[*index].open);
        }
        let chosen = *candidates.first()?;
        while self.0.back() != Some(&chosen) {
            self.0.rotate_left(1);
        }
        Some(chosen)
    }
}

#[test]
fn any_history_gives_what_a_naive_queue_gives() {
    for case in 0..400 {
        let draw = |what, n| Seed(11).draw(&format!("case {case}"), what, n);
        let count = usize::try_from(draw("count", 0) % 6).unwrap();
        let algorithm = if draw("algorithm", 0) % 2 == 0 {
            Algorithm::LeastConnections
        } else {
            Algorithm::RoundRobin
        };
        let mut naive = Naive((0..count).collect());
        let mut turn = Turn::default();
        let mut tried = Vec::new();
        for n in 0..40 {
            let seen = |index| Seen {
                usable: draw("usable", n * 10 + index) % 4 > 0,
                open: u32::try_from(draw("open", n * 10 + index) % 3).unwrap(),
            };
            let seen: Vec<Seen> = (0..count as u64).map(seen).collect();
            let chosen = next(algorithm, &seen, &tried, &mut turn).map(|choice| choice.backend);
            assert_eq!(
                chosen,
                naive.next(algorithm, &seen, &tried),
                "case {case}, flow {n}"
            );
            match chosen {
                Some(chosen) if draw("fails", n) % 3 == 0 => tried.push(chosen),
                _ => tried.clear(),
            }
        }
    }
}
