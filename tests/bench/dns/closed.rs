//! The batched client in a closed loop: so many sockets with so many questions under way each, a new
//! one for every answer.
//!
//! A question without an answer is given up after `PATIENCE` and its place is filled again, so that
//! loss slows the loop for that long and never ends it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, poll};
use twodoors::live::clock::Clock;

use crate::Failed;
use crate::batch::{Inbox, Outbox, connected};
use crate::data::Questions;

/// Sockets of the client, half of them in each network.
pub(crate) const SOCKETS: usize = 20;

/// Questions under way on each socket.
pub(crate) const OUTSTANDING: usize = 50;

/// A question is given up after this long, in microseconds.
const PATIENCE: u64 = 200_000;

/// How often the client looks for questions to give up, in microseconds.
const LOOKS: u64 = 20_000;

/// The lower bits of an id say which place of the socket it is of, the others count.
const PLACE_BITS: u32 = 6;

/// What a run of the client came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: u64,
    /// Given up.
    pub(crate) lost: u64,
    /// Answers with another code than the question wants, or to another question.
    pub(crate) wrong: u64,
    /// How long it took, in microseconds.
    pub(crate) us: u64,
}

impl Tally {
    /// Gives the answers a second.
    pub(crate) fn rate(self) -> f64 {
        self.answered as f64 * 1e6 / self.us as f64
    }
}

/// A question under way.
#[derive(Clone, Copy, Default)]
struct Place {
    id: u16,
    code: u8,
    under_way: bool,
    /// How long the message is: an answer is never shorter.
    length: usize,
    sent: u64,
}

struct Socket {
    socket: UdpSocket,
    places: Vec<Place>,
    free: Vec<usize>,
}

/// The client.
pub(crate) struct Closed<'a> {
    questions: &'a Questions,
    next: usize,
    sockets: Vec<Socket>,
    inbox: Inbox<()>,
    outbox: Outbox,
    clock: Clock,
    /// Whether codes are looked at; an echo gives none.
    strict: bool,
}

/// Gives the addresses of the usual client: half in each network.
pub(crate) fn both_networks() -> Vec<Ipv4Addr> {
    let address = |number: u8| match number % 2 {
        0 => Ipv4Addr::new(127, 10, 0, number + 1),
        _ => Ipv4Addr::new(127, 20, 0, number),
    };
    (0..20).map(address).collect()
}

impl<'a> Closed<'a> {
    /// Opens a socket from each of these addresses, with so many questions under way each.
    pub(crate) fn new(
        server: SocketAddr,
        from: &[Ipv4Addr],
        outstanding: usize,
        questions: &'a Questions,
    ) -> Result<Self, Failed> {
        assert!(
            outstanding <= 1 << PLACE_BITS,
            "the id has room for {} places",
            1 << PLACE_BITS
        );
        let sockets = from.iter().map(|from| {
            Ok(Socket {
                socket: connected(*from, server)?,
                places: vec![Place::default(); outstanding],
                free: (0..outstanding).collect(),
            })
        });
        Ok(Self {
            questions,
            next: 0,
            sockets: sockets.collect::<Result<_, Failed>>()?,
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            clock: Clock::start(),
            strict: true,
        })
    }

    /// Takes any code for right: an echo has none.
    pub(crate) fn lenient(mut self) -> Self {
        self.strict = false;
        self
    }

    /// Asks for so many microseconds.
    pub(crate) fn run(&mut self, us: u64) -> Result<Tally, Failed> {
        let began = self.clock.now().as_us();
        let mut tally = Tally::default();
        let mut looked = began;
        let mut now = began;
        let mut ready = vec![true; self.sockets.len()];
        while now < began + us {
            if now >= looked + LOOKS {
                looked = now;
                tally.lost += self.give_up(now);
                ready.fill(true);
            }
            for (number, ready) in ready.iter().enumerate() {
                if *ready {
                    self.receive(number, &mut tally)?;
                    self.fill(number, now)?;
                }
            }
            self.wait(&mut ready)?;
            now = self.clock.now().as_us();
        }
        tally.us = now - began;
        Ok(tally)
    }

    /// Waits until something came in, but not for long.
    fn wait(&self, ready: &mut [bool]) -> Result<(), Failed> {
        let fds = self.sockets.iter();
        let mut fds: Vec<PollFd<'_>> = fds
            .map(|socket| PollFd::new(socket.socket.as_fd(), PollFlags::POLLIN))
            .collect();
        match poll(&mut fds, 10_u8) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        for (ready, fd) in ready.iter_mut().zip(&fds) {
            *ready = fd.any().unwrap_or(true);
        }
        Ok(())
    }

    /// Takes what came in on a socket.
    fn receive(&mut self, number: usize, tally: &mut Tally) -> Result<(), Failed> {
        let Socket {
            socket,
            places,
            free,
        } = &mut self.sockets[number];
        let count = self.inbox.receive(socket, false)?;
        for message in (0..count).map(|number| self.inbox.message(number)) {
            let &[high, low, flags, code, ..] = message else {
                tally.wrong += 1;
                continue;
            };
            let id = u16::from_be_bytes([high, low]);
            let at = usize::from(id) & ((1 << PLACE_BITS) - 1);
            // One that comes after it was given up finds its place with another id.
            let Some(place) = places
                .get_mut(at)
                .filter(|place| place.under_way && place.id == id)
            else {
                continue;
            };
            place.under_way = false;
            free.push(at);
            let right = flags & 0x80 != 0
                && message.len() >= place.length
                && (!self.strict || code & 0x0f == place.code);
            tally.answered += u64::from(right);
            tally.wrong += u64::from(!right);
        }
        Ok(())
    }

    /// Fills the free places of a socket with new questions.
    fn fill(&mut self, number: usize, now: u64) -> Result<(), Failed> {
        let Socket {
            socket,
            places,
            free,
        } = &mut self.sockets[number];
        let mut asked = [0; crate::batch::BATCH];
        let mut count = 0;
        while self.outbox.has_room() {
            let Some(at) = free.pop() else {
                break;
            };
            let (message, code) = self.questions.get(self.next);
            self.next = (self.next + 1) % self.questions.len();
            let place = &mut places[at];
            let low = u16::try_from(at)?;
            *place = Place {
                id: (place.id.wrapping_add(1 << PLACE_BITS) & !((1 << PLACE_BITS) - 1)) | low,
                code,
                under_way: true,
                length: message.len(),
                sent: now,
            };
            self.outbox.put(message, place.id);
            asked[count] = at;
            count += 1;
        }
        let sent = self.outbox.send(socket)?;
        for at in &asked[sent..count] {
            places[*at].under_way = false;
            free.push(*at);
        }
        Ok(())
    }

    /// Gives up what has no answer for too long, and gives how many that are.
    fn give_up(&mut self, now: u64) -> u64 {
        let mut lost = 0;
        for Socket { places, free, .. } in &mut self.sockets {
            for (at, place) in places.iter_mut().enumerate() {
                if place.under_way && now >= place.sent + PATIENCE {
                    place.under_way = false;
                    free.push(at);
                    lost += 1;
                }
            }
        }
        lost
    }
}
