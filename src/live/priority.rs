//! Which threads wait for which: what may take its time stands behind what answers datagrams.
//!
//! Linux gives each thread a niceness of its own; where a process has only one, nothing is done. A
//! thread hands its own on to those that it starts, and cannot take it back without privileges: who
//! is to stay in front is started first.

use std::cell::Cell;

use crate::model::time::{Span, Time};

/// How much nicer a thread is that steps back: beside one that datagrams keep busy it still gets
/// about a tenth of a core.
const BEHIND: i32 = 10;

/// Puts this thread behind those that answer datagrams.
pub fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(BEHIND) {
        tracing::debug!(%error, "this thread keeps its priority");
    }
}

/// For how long a thread serves connections before it lets others run, in microseconds.
const TURN_US: u64 = 50;

thread_local! {
    /// When this thread last let others run.
    static SINCE: Cell<Time> = const { Cell::new(Time::ZERO) };
}

/// Lets others run if this thread has not for a while.
///
/// A thread that is woken for a datagram waits until the one that runs has used up its slice, which
/// the system looks at with its tick: milliseconds.
pub fn give_way(now: Time) {
    if now.since(SINCE.get()) >= Span::from_us(TURN_US) {
        std::thread::yield_now();
        SINCE.set(now);
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[test]
    fn a_thread_steps_back_alone_and_hands_that_on() {
        let before = niceness();
        let (own, next) = std::thread::spawn(|| {
            step_back();
            (niceness(), std::thread::spawn(niceness).join().unwrap())
        })
        .join()
        .unwrap();
        assert_eq!(own, (before + BEHIND).min(19));
        assert_eq!(next, own);
        assert_eq!(niceness(), before, "the others stay where they are");
    }
}
