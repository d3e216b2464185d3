//! What one direction of a flow has taken from one side and not yet given to the other.
//!
//! It lives outside of the futures that move bytes, so that these may be dropped at any await: a
//! change of the faults loses and reorders nothing.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;

use socket2::SockRef;
use tokio::net::TcpStream;

use crate::model::time::Time;

/// The size of a buffer: with 64 KiB a bulk transfer needs an eighth of the system calls of tokio's
/// 8 KiB; more gains nothing on loopback.
const BUFFER_BYTES: usize = 64 * 1024;

/// How many buffers a thread keeps for the next flow: more are only in use while peers are slow.
const BUFFERS_KEPT: usize = 4;

/// How much a direction may have on its delayed way: with 100 ms that is 10 MiB a second, more than
/// a tunnel of the lab asks for. What is beyond stays with the sender.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// What a piece costs beside its bytes: many small ones must not cost more than the bound says.
const PIECE_BYTES: usize = 128;

thread_local! {
    static BUFFERS: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// One direction's bytes on their way. At rest it holds nothing.
#[derive(Debug, Default)]
pub(super) struct Lane {
    waiting: VecDeque<Piece>,
    /// Bytes that wait, and the cost of their pieces.
    held: usize,
    /// When the end of data that was read may be passed on.
    end: Option<Time>,
    /// The end of data was passed on: this direction is over.
    over: bool,
}

/// Bytes that were read at once.
#[derive(Debug)]
struct Piece {
    bytes: Box<[u8]>,
    from: usize,
    to: usize,
    due: Time,
}

impl Lane {
    /// Tells whether the end of data was passed on.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// Tells whether more may be read.
    pub(super) const fn has_room(&self) -> bool {
        self.end.is_none() && self.held < WAITING_BYTES_MAX
    }

    /// Tells whether nothing waits, the end of data apart.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Gives when the next piece, or the end of data, may go on.
    pub(super) fn due(&self) -> Option<Time> {
        let first = self.waiting.front().map(|piece| piece.due);
        first.or(if self.over { None } else { self.end })
    }

    /// Adds the rest of a buffer, from `from` to `to`; never due before what came earlier.
    pub(super) fn push(&mut self, bytes: Box<[u8]>, (from, to): (usize, usize), due: Time) {
        let due = self
            .waiting
            .back()
            .map_or(due, |earlier| due.max(earlier.due));
        self.held += to - from + PIECE_BYTES;
        self.waiting.push_back(Piece {
            bytes,
            from,
            to,
            due,
        });
    }

    /// Notes the end of data, which goes on after all that came before it.
    pub(super) fn end(&mut self, due: Time) {
        let earlier = self.waiting.back().map(|piece| piece.due);
        self.end = Some(earlier.map_or(due, |earlier| due.max(earlier)));
    }

    /// Gives what is due at `now` to the other side; stops when it takes no more.
    pub(super) fn send(&mut self, to: &TcpStream, now: Time, count: &mut u64) -> io::Result<()> {
        while let Some(piece) = self.waiting.front_mut() {
            if piece.due > now {
                return Ok(());
            }
            let sent = write(to, &piece.bytes[piece.from..piece.to], count)?;
            piece.from += sent;
            self.held -= sent;
            if piece.from < piece.to {
                return Ok(());
            }
            self.held -= PIECE_BYTES;
            if let Some(piece) = self.waiting.pop_front() {
                give(piece.bytes);
            }
        }
        if self.end.is_some_and(|due| due <= now) && !self.over {
            self.over = true;
            // The other side may be gone already; its own direction notices.
            let _ = SockRef::from(to).shutdown(Shutdown::Write);
        }
        if self.waiting.capacity() > 0 && self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        Ok(())
    }
}

/// Writes as much as the other side takes at once, and counts it.
pub(super) fn write(to: &TcpStream, bytes: &[u8], count: &mut u64) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match to.try_write(&bytes[sent..]) {
            Ok(n) => {
                sent += n;
                *count += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

/// Takes a buffer of this thread's, or a new one.
pub(super) fn take() -> Box<[u8]> {
    let kept = BUFFERS.with_borrow_mut(Vec::pop);
    kept.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice())
}

/// Gives a buffer back; one that is shorter is no buffer of a thread.
pub(super) fn give(buffer: Box<[u8]>) {
    BUFFERS.with_borrow_mut(|kept| {
        if buffer.len() == BUFFER_BYTES && kept.len() < BUFFERS_KEPT {
            kept.push(buffer);
        }
    });
}
