//! One datagram after the other, for systems without batches.
//!
//! A wildcard listener cannot know here which address was asked; it says its own.

use super::{DATAGRAM_MAX, DRAIN_MAX, PATIENCE, QUERY_MAX, Worker, is_nothing};

/// Answers until the worker shall stop, and then what was received before.
pub(super) fn run(worker: &mut Worker) {
    let mut input = [0; QUERY_MAX];
    let mut output = [0; DATAGRAM_MAX];
    let mut left = DRAIN_MAX;
    loop {
        let stopping = worker.is_stopping();
        if stopping {
            if left == 0 || worker.outlet.socket.set_nonblocking(true).is_err() {
                return;
            }
            left -= 1;
        }
        match worker.outlet.socket.recv_from(&mut input) {
            Ok((length, sender)) => {
                let local = worker.outlet.bound;
                let length = worker.answer(&input[..length], sender, local, &mut output);
                if length > 0 {
                    worker.outlet.send(&output[..length], sender, local);
                }
            }
            Err(error) if is_nothing(error.kind()) => {
                if stopping {
                    return;
                }
                worker.responder.rest();
            }
            Err(error) => {
                tracing::debug!(%error, "a receive failed");
                if stopping {
                    return;
                }
                std::thread::sleep(PATIENCE);
            }
        }
    }
}
