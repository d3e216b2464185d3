//! The client with a rate: streams of questions that are sent when they are due, whether or not the
//! earlier ones were answered, and what became of each.
//!
//! All streams are driven by one thread in turn, so that an attack takes nothing from the core of the
//! honest client but what it sends.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use twodoors::live::clock::Clock;

use crate::Failed;
use crate::batch::{BATCH, Inbox, Outbox, connected};
use crate::data::Questions;

/// Latencies are counted by the microsecond up to here; what is longer is as long as this.
const LONGEST_US: usize = 1_000_000;

/// How long the last answers are waited for, in microseconds.
const DRAIN: u64 = 2_000_000;

/// How many microseconds of questions are made up for when this thread was kept from its core. What
/// was due before is not asked: all at once it would be an attack, and not the rate that was meant.
const MADE_UP_US: f64 = 1_000.0;

/// One kind of questions at one rate.
pub(crate) struct Stream<'a> {
    questions: &'a Questions,
    next: usize,
    rate: f64,
    sockets: Vec<Asked>,
    turn: usize,
    sent: u64,
    /// Questions that were due while the client itself was held up, and are not asked.
    skipped: f64,
    answered: u64,
    lost: u64,
    latencies: Vec<u32>,
}

/// A socket, and for each id when it was asked; zero is not.
struct Asked {
    socket: UdpSocket,
    id: u16,
    at: Vec<u64>,
}

/// What became of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    /// What the client itself was too late to ask.
    pub(crate) skipped: f64,
    pub(crate) p50_us: usize,
    pub(crate) p99_us: usize,
}

impl<'a> Stream<'a> {
    /// Makes a stream of so many questions a second from these addresses.
    pub(crate) fn new(
        server: SocketAddr,
        from: &[Ipv4Addr],
        rate: f64,
        questions: &'a Questions,
    ) -> Result<Self, Failed> {
        let sockets = from.iter().map(|from| {
            Ok(Asked {
                socket: connected(*from, server)?,
                id: 0,
                at: vec![0; 1 << 16],
            })
        });
        Ok(Self {
            questions,
            next: 0,
            rate,
            sockets: sockets.collect::<Result<_, Failed>>()?,
            turn: 0,
            sent: 0,
            skipped: 0.0,
            answered: 0,
            lost: 0,
            latencies: vec![0; LONGEST_US + 1],
        })
    }

    /// Gives how many questions should have been sent by now.
    fn due(&mut self, us: u64) -> f64 {
        let due = self.rate * us as f64 / 1e6 - self.skipped;
        let late = due - self.sent as f64 - self.rate * MADE_UP_US / 1e6;
        self.skipped += late.max(0.0);
        due - late.max(0.0)
    }

    /// Sends what is due, a batch at most.
    fn send(&mut self, outbox: &mut Outbox, us: u64, now: u64) -> Result<(), Failed> {
        let due = self.due(us);
        let turn = self.turn % self.sockets.len();
        let Asked { socket, id, at } = &mut self.sockets[turn];
        let first = id.wrapping_add(1);
        let mut planned = self.sent;
        while outbox.has_room() && (planned as f64) < due {
            let (message, _) = self.questions.get(self.next);
            self.next = (self.next + 1) % self.questions.len();
            *id = id.wrapping_add(1);
            outbox.put(message, *id);
            planned += 1;
        }
        if planned == self.sent {
            return Ok(());
        }
        let sent = outbox.send(socket)?;
        let mut marked = first;
        for _ in 0..sent {
            // An id comes around after 65,536 questions; one that is still open was lost.
            let before = std::mem::replace(&mut at[usize::from(marked)], now);
            self.lost += u64::from(before != 0);
            marked = marked.wrapping_add(1);
        }
        *id = marked.wrapping_sub(1);
        self.sent += u64::try_from(sent)?;
        self.turn += 1;
        Ok(())
    }

    /// Takes what came in.
    fn receive(
        &mut self,
        inbox: &mut Inbox<()>,
        clock: Clock,
        look: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Failed> {
        for Asked { socket, at, .. } in &mut self.sockets {
            loop {
                let count = inbox.receive(socket, false)?;
                let now = clock.now().as_us();
                for message in (0..count).map(|number| inbox.message(number)) {
                    let &[high, low, ..] = message else { continue };
                    let id = usize::from(u16::from_be_bytes([high, low]));
                    let asked = std::mem::take(&mut at[id]);
                    if asked != 0 {
                        self.answered += 1;
                        let us = usize::try_from(now - asked)?;
                        self.latencies[us.min(LONGEST_US)] += 1;
                        look(message);
                    }
                }
                if count < BATCH {
                    break;
                }
            }
        }
        Ok(())
    }

    fn open(&self) -> u64 {
        self.sent - self.answered - self.lost
    }

    /// Gives the latency below which so many of a thousand lie.
    fn quantile(&self, of_thousand: u64) -> usize {
        let wanted = self.answered * of_thousand / 1_000;
        let mut seen = 0;
        for (us, count) in self.latencies.iter().enumerate() {
            seen += u64::from(*count);
            if seen > wanted {
                return us;
            }
        }
        LONGEST_US
    }

    fn fate(&self) -> Fate {
        Fate {
            sent: self.sent,
            lost: self.lost + self.open(),
            skipped: self.skipped,
            p50_us: self.quantile(500),
            p99_us: self.quantile(990),
        }
    }
}

/// Drives the streams until `done` says so, and gives what became of each; `look` sees each answer.
pub(crate) fn drive(
    streams: &mut [Stream<'_>],
    mut done: impl FnMut(u64) -> bool,
    look: &mut dyn FnMut(&[u8]),
) -> Result<Vec<Fate>, Failed> {
    let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
    let clock = Clock::start();
    // Zero stands for "not asked".
    let time = || clock.now().as_us() + 1;
    let mut now = time();
    while !done(now) {
        for stream in &mut *streams {
            stream.send(&mut outbox, now, now)?;
            stream.receive(&mut inbox, clock, look)?;
        }
        now = time();
    }
    let ended = now;
    while now < ended + DRAIN && streams.iter().any(|stream| stream.open() > 0) {
        for stream in &mut *streams {
            stream.receive(&mut inbox, clock, look)?;
        }
        now = time();
    }
    Ok(streams.iter().map(Stream::fate).collect())
}
