//! One connection: reads queries, has them answered, writes what is ready in as few writes as it can.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::Service;
use super::registry::Ticket;
use crate::live::dns::carry::{Asked, Back, Flights, Reply, STREAM_MAX, Transport, Via};
use crate::live::dns::losses::Loss;
use crate::live::dns::message;
use crate::live::dns::proxy::{Front, canonical};
use crate::live::priority;
use crate::live::serve;
use crate::model::time::{Span, Time};

/// The two bytes before each message (RFC 1035 section 4.2.2).
const PREFIX: usize = 2;

/// How many bytes are read ahead: one message of any size.
const AHEAD_MAX: usize = PREFIX + STREAM_MAX;

/// How much room a read has at least.
const READ_MIN: usize = 2_048;

/// A buffer above this is given back when it is empty.
const KEPT_MAX: usize = 8_192;

/// Why a connection ends before its client ends it.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("idle for too long")]
    Idle,
    #[error("too slow")]
    Slow,
    #[error("no acceptable PROXY header")]
    Front,
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Serves one connection to its end.
pub(super) async fn serve(
    service: Arc<Service>,
    mut stream: TcpStream,
    sender: SocketAddr,
    ticket: Ticket,
) {
    let evicted = ticket.evicted.clone();
    let served = evicted.run_until_cancelled(Box::pin(run(
        &service,
        &mut stream,
        canonical(sender),
        &ticket,
    )));
    match served.await {
        Some(Ok(())) => serve::finish(&stream),
        Some(Err(error)) => {
            match error {
                End::Idle => service.losses.add(Loss::Idle),
                End::Slow => service.losses.add(Loss::Slow),
                End::Front | End::Io(_) => {}
            }
            tracing::debug!(client.addr = %sender, %error, "the connection is cut");
            serve::reset(&stream);
        }
        None => {
            service.losses.add(Loss::Evicted);
            tracing::debug!(client.addr = %sender, "the connection makes room");
            serve::finish(&stream);
        }
    }
}

async fn run(
    service: &Service,
    stream: &mut TcpStream,
    sender: SocketAddr,
    ticket: &Ticket,
) -> Result<(), End> {
    // What is ready is written at once, in one piece.
    stream.set_nodelay(true)?;
    let local = canonical(stream.local_addr()?);
    let (queue, mut ready) = mpsc::channel(service.limits.in_flight_max.max(1));
    let mut state = State {
        service,
        flights: Flights {
            queue,
            count: Cell::new(0),
            max: service.limits.in_flight_max.max(1),
        },
        input: Vec::new(),
        output: Vec::new(),
        written: 0,
        gone: 0,
        goal: None,
        from: sender,
        via: Via {
            transport: Transport::Tcp,
            destination: local,
            sender,
            local,
        },
        is_open: !service.trusted.expects(sender),
        opened: service.clock.now(),
        last: service.clock.now(),
        partial: None,
        asked: 0,
        is_ended: false,
    };
    let (mut reader, mut writer) = stream.split();
    let mut alarm_at = state.deadline();
    let mut alarm = Box::pin(service.clock.sleep_until(alarm_at));
    loop {
        priority::give_way(service.clock.now());
        state.work()?;
        if state.is_done() {
            return Ok(());
        }
        if state.is_silent() {
            ticket.idle(state.last);
        } else {
            ticket.busy();
        }
        let deadline = state.deadline();
        if deadline < alarm_at {
            alarm_at = deadline;
            alarm.set(service.clock.sleep_until(alarm_at));
        }
        let (reads, writes) = (state.may_read(), state.written < state.output.len());
        if reads && state.input.capacity() - state.input.len() < READ_MIN {
            state.input.reserve(READ_MIN);
        }
        tokio::select! {
            read = reader.read_buf(&mut state.input), if reads => {
                state.is_ended |= read? == 0;
            }
            written = writer.write(&state.output[state.written..]), if writes => {
                state.wrote(written?);
            }
            Some(answer) = ready.recv() => state.landed(&answer),
            () = &mut alarm => {
                state.check()?;
                alarm_at = state.deadline();
                alarm.set(service.clock.sleep_until(alarm_at));
            }
            () = service.stop.cancelled(), if !state.is_ended => {
                // What has arrived is still answered, as far as one read takes it.
                state.input.reserve(READ_MIN);
                let _ = reader.try_read_buf(&mut state.input);
                state.is_ended = true;
            }
        }
    }
}

struct State<'a> {
    service: &'a Service,
    flights: Flights,
    input: Vec<u8>,
    output: Vec<u8>,
    /// How much of `output` is written.
    written: usize,
    /// How many bytes were written before what is in `output`.
    gone: u64,
    /// By when how many bytes must be written; set while something waits.
    goal: Option<(Time, u64)>,
    from: SocketAddr,
    via: Via,
    /// Whether the PROXY header, where there must be one, was read.
    is_open: bool,
    opened: Time,
    /// When a query was last read, or an answer last written.
    last: Time,
    /// Since when a message is incomplete.
    partial: Option<Time>,
    /// How many queries came.
    asked: u64,
    /// Whether nothing more is read.
    is_ended: bool,
}

impl State<'_> {
    fn in_flight(&self) -> usize {
        self.flights.count.get()
    }

    fn is_full(&self) -> bool {
        self.in_flight() == self.flights.max
            || self.output.len() - self.written >= self.service.limits.backlog_bytes_max
    }

    fn may_read(&self) -> bool {
        !self.is_ended && !self.is_full() && self.input.len() < AHEAD_MAX
    }

    fn is_silent(&self) -> bool {
        self.in_flight() == 0 && self.output.is_empty()
    }

    fn is_done(&self) -> bool {
        self.is_ended && self.is_silent()
    }

    /// Has all whole messages answered for which there is room.
    fn work(&mut self) -> Result<(), End> {
        let mut at = 0;
        if !self.is_open && !self.input.is_empty() {
            match self.service.trusted.read(&self.input, self.via.sender) {
                Front::Malformed => return Err(End::Front),
                Front::More => {}
                Front::Read { length, real } => {
                    if let Some((from, destination)) = real {
                        self.from = from;
                        self.via.destination = destination;
                    }
                    self.is_open = true;
                    at = length;
                }
            }
        }
        let input = std::mem::take(&mut self.input);
        if self.is_open {
            at += self.answer_all(&input[at..]);
        }
        self.input = input;
        if at > 0 {
            self.input.drain(..at);
            self.partial = None;
        }
        if self.input.is_empty() {
            if self.input.capacity() > KEPT_MAX {
                self.input = Vec::new();
            }
        } else if self.is_full() {
            // The client is not late: we do not read.
            self.partial = None;
        } else if self.partial.is_none() {
            self.partial = Some(self.service.clock.now());
        }
        self.aim();
        Ok(())
    }

    /// Gives how many bytes were whole messages and are done.
    fn answer_all(&mut self, input: &[u8]) -> usize {
        let mut rest = input;
        let desks = &self.service.desks;
        let mut desk = None;
        while !self.is_full() {
            let Some((prefix, after)) = rest.split_first_chunk::<PREFIX>() else {
                break;
            };
            let length = usize::from(u16::from_be_bytes(*prefix));
            let Some((message, next)) = after.split_at_checked(length) else {
                break;
            };
            rest = next;
            if !message::is_answerable(message) {
                continue;
            }
            self.asked += 1;
            let asked = Asked {
                message,
                from: self.from,
                via: self.via,
                back: Back::Tcp(&self.flights),
                later: &self.service.later,
            };
            let desk = desk.get_or_insert_with(|| {
                let free = desks.iter().find_map(|desk| desk.try_lock().ok());
                let own = usize::from(self.via.sender.port()) % desks.len();
                free.unwrap_or_else(|| desks[own].lock().unwrap_or_else(PoisonError::into_inner))
            });
            let super::Desk { responder, out } = &mut **desk;
            match responder.respond(asked, out) {
                Reply::Now(length) => put(&mut self.output, &out[..length.min(STREAM_MAX)]),
                Reply::Later(length, delay) => {
                    asked.delay(&out[..length.min(STREAM_MAX)], delay);
                }
                Reply::Deferred | Reply::Nothing => {}
            }
        }
        if rest.len() < input.len() {
            self.last = self.service.clock.now();
        }
        input.len() - rest.len()
    }

    /// Takes what an answerer put into the queue.
    fn landed(&mut self, answer: &[u8]) {
        self.flights.count.set(self.in_flight() - 1);
        if !answer.is_empty() {
            put(&mut self.output, &answer[..answer.len().min(STREAM_MAX)]);
        }
        self.last = self.service.clock.now();
    }

    fn wrote(&mut self, count: usize) {
        self.written += count;
        self.last = self.service.clock.now();
        if self.written == self.output.len() {
            self.gone += self.written as u64;
            self.written = 0;
            if self.output.capacity() > KEPT_MAX {
                self.output = Vec::new();
            }
            self.output.clear();
            self.goal = None;
        } else if self.written > self.service.limits.backlog_bytes_max {
            self.output.drain(..self.written);
            self.gone += self.written as u64;
            self.written = 0;
        }
    }

    /// Sets by when what waits now must be written, unless that is set already.
    fn aim(&mut self) {
        if !self.output.is_empty() && self.goal.is_none() {
            let by = after(self.service.clock.now(), self.service.limits.write);
            self.goal = Some((by, self.gone + self.output.len() as u64));
        }
    }

    /// Gives when something is late that the client has to do.
    fn deadline(&self) -> Time {
        let limits = &self.service.limits;
        let idle = after(self.last, limits.idle);
        let first = (self.asked == 0).then(|| after(self.opened, limits.first_query));
        let partial = self.partial.map(|since| after(since, limits.message));
        let goal = self.goal.map(|(by, _)| by);
        let earliest = [first, partial, goal].into_iter().flatten().min();
        earliest.map_or(idle, |earliest| earliest.min(idle))
    }

    /// Ends the connection when something is late.
    fn check(&mut self) -> Result<(), End> {
        let now = self.service.clock.now();
        if let Some((by, bytes)) = self.goal
            && by <= now
            && self.gone + self.written as u64 >= bytes
        {
            // All that waited then is written: the rest has time of its own.
            self.goal = None;
            self.aim();
        }
        if self.deadline() > now {
            return Ok(());
        }
        let unfinished = self.partial.is_some() || self.goal.is_some();
        Err(if unfinished { End::Slow } else { End::Idle })
    }
}

/// Appends an answer with its length.
fn put(output: &mut Vec<u8>, answer: &[u8]) {
    let length = u16::try_from(answer.len()).expect("an answer is cut to what a length can say");
    output.extend_from_slice(&length.to_be_bytes());
    output.extend_from_slice(answer);
}

fn after(time: Time, wait: Duration) -> Time {
    time + Span::from_us(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX / 2))
}
