//! One flow: two directions, a buffer only while bytes move.
//!
//! A direction without a fault is read and written as fast as it goes; one with latency goes through
//! its lane; a silent one is left alone. Whenever the orders change, both begin again from their
//! lanes.

use std::io;

use tokio::net::TcpStream;

use super::lane::{self, Lane};
use super::{Control, Order};
use crate::live::serve;
use crate::model::fact::{Cut, Ended};
use crate::model::time::Time;
use crate::policy::faults::Way;

/// How many buffers a direction moves before it lets other tasks run: 1 MiB, well under 1 ms.
const BUFFERS_PER_TURN: usize = 16;

/// Everything that waits is due by then.
const ALWAYS: Time = Time::from_us(u64::MAX);

/// Relays until the end and gives the bytes from and to the client, and how it ended.
pub(super) async fn run(
    client: std::net::TcpStream,
    backend: std::net::TcpStream,
    control: &Control,
) -> (u64, u64, Ended) {
    match (open(client), open(backend)) {
        (Ok(client), Ok(backend)) => join(&client, &backend, control).await,
        (Err(_), _) => (0, 0, Ended::ClientError),
        (_, Err(_)) => (0, 0, Ended::BackendError),
    }
}

fn open(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    TcpStream::from_std(stream)
}

async fn join(client: &TcpStream, backend: &TcpStream, control: &Control) -> (u64, u64, Ended) {
    let client_side = (client, Ended::ClientError);
    let backend_side = (backend, Ended::BackendError);
    let mut up = Direction::new(client_side, backend_side, 0);
    let mut down = Direction::new(backend_side, client_side, 1);
    let how = loop {
        let order = control.order();
        if let Some((how, cut)) = order.end {
            end([client, backend], cut);
            break how;
        }
        let (way_up, way_down) = (&order.shape.up, &order.shape.down);
        let orders = Orders {
            control,
            order: &order,
        };
        let result = tokio::select! {
            // New orders hold for what comes after them.
            biased;
            () = control.changed.notified() => continue,
            // Made in place: what has a name here would take its room twice.
            result = async {
                tokio::try_join!(up.pump(&orders, way_up), down.pump(&orders, way_down))
            } => result,
        };
        break match result {
            Ok(_) => Ended::Finished,
            Err(how) => {
                // What broke on one side must not look like an orderly end on the other.
                end([client, backend], Cut::Reset);
                how
            }
        };
    };
    (up.sent, down.sent, how)
}

fn end(sides: [&TcpStream; 2], how: Cut) {
    for side in sides {
        match how {
            Cut::Finish => serve::finish(side),
            Cut::Reset => serve::reset(side),
        }
    }
}

/// A side of a flow, and who broke when it breaks.
type Side<'a> = (&'a TcpStream, Ended);

/// The orders that both directions follow until there are others.
struct Orders<'a> {
    control: &'a Control,
    order: &'a Order,
}

impl Orders<'_> {
    /// Tells whether they are the latest. When not, nothing more is to be moved: the flow is about to
    /// begin again with others.
    fn hold(&self) -> bool {
        self.control.holds(self.order)
    }
}

/// One direction of a flow. What was read and not yet sent is here and not in a future, so each of
/// its futures may be dropped at any await.
struct Direction<'a> {
    lane: Lane,
    from: Side<'a>,
    to: Side<'a>,
    /// Bytes that the other side took.
    sent: u64,
    /// How many pieces were delayed, twice, plus one toward the client: each has its own luck.
    pieces: u64,
}

impl<'a> Direction<'a> {
    fn new(from: Side<'a>, to: Side<'a>, pieces: u64) -> Self {
        Self {
            lane: Lane::default(),
            from,
            to,
            sent: 0,
            pieces,
        }
    }

    /// Moves bytes until the end of data, which it passes on; the error is who broke.
    async fn pump(&mut self, orders: &Orders<'_>, way: &Way) -> Result<(), Ended> {
        if self.lane.is_over() {
            Ok(())
        } else if way.silent {
            std::future::pending().await
        } else if way.is_plain() {
            self.plain(orders).await
        } else {
            // Boxed, because a flow without a fault must not keep room for this.
            Box::pin(self.delayed(orders, way)).await
        }
    }

    /// Moves bytes as fast as they go, first of all those that waited.
    async fn plain(&mut self, orders: &Orders<'_>) -> Result<(), Ended> {
        loop {
            if !orders.hold() {
                return std::future::pending().await;
            }
            self.send(ALWAYS)?;
            if self.lane.is_over() {
                return Ok(());
            }
            if self.lane.is_empty() {
                let (from, broke) = self.from;
                from.readable().await.map_err(|_| broke)?;
            }
            // Taken out of the kernel only when it can be put back into it: a slow reader keeps its
            // bytes in the sender's socket, not in a buffer here.
            let (to, broke) = self.to;
            to.writable().await.map_err(|_| broke)?;
            if self.lane.is_empty() && self.turn(orders)? {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Moves what is there, up to a turn's worth, and tells whether it was as much. What the other
    /// side does not take stays in the lane.
    fn turn(&mut self, orders: &Orders<'_>) -> Result<bool, Ended> {
        let ((from, from_broke), (to, to_broke)) = (self.from, self.to);
        let mut buffer = lane::take();
        for _ in 0..BUFFERS_PER_TURN {
            if !orders.hold() {
                break;
            }
            match from.try_read(&mut buffer) {
                Ok(0) => {
                    self.lane.end(Time::default());
                    lane::give(buffer);
                    return Ok(false);
                }
                Ok(n) => {
                    let sent = lane::write(to, &buffer[..n], &mut self.sent);
                    let sent = sent.map_err(|_| to_broke)?;
                    if sent < n {
                        self.lane.push(buffer, (sent, n), Time::default());
                        return Ok(false);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    lane::give(buffer);
                    return Ok(false);
                }
                Err(_) => return Err(from_broke),
            }
        }
        lane::give(buffer);
        Ok(true)
    }

    /// Moves each piece when its time has come.
    async fn delayed(&mut self, orders: &Orders<'_>, way: &Way) -> Result<(), Ended> {
        let clock = &orders.control.means.clock;
        let ((from, from_broke), (to, to_broke)) = (self.from, self.to);
        loop {
            if !orders.hold() {
                return std::future::pending().await;
            }
            // Both sides may be quick, and others have to run too.
            tokio::task::consume_budget().await;
            let now = clock.now();
            self.send(now)?;
            if self.lane.is_over() {
                return Ok(());
            }
            let due = self.lane.due();
            // What is due and still here waits for the other side.
            let full = due.is_some_and(|due| due <= now);
            tokio::select! {
                readable = from.readable(), if self.lane.has_room() => {
                    readable.map_err(|_| from_broke)?;
                    self.take_in(orders, way).map_err(|_| from_broke)?;
                }
                writable = to.writable(), if full => writable.map_err(|_| to_broke)?,
                () = clock.sleep_until(due.unwrap_or_default()), if due.is_some() && !full => {}
            }
        }
    }

    /// Reads once, into the lane.
    fn take_in(&mut self, orders: &Orders<'_>, way: &Way) -> io::Result<()> {
        if !orders.hold() {
            return Ok(());
        }
        let control = orders.control;
        let mut buffer = lane::take();
        let read = self.from.0.try_read(&mut buffer);
        let due = control.means.clock.now() + way.latency;
        match &read {
            Ok(0) => self.lane.end(due),
            Ok(n) => {
                self.pieces += 2;
                let due = due + control.jitter(way.jitter, self.pieces);
                self.lane.push(buffer[..*n].into(), (0, *n), due);
            }
            Err(_) => {}
        }
        lane::give(buffer);
        match read {
            Err(error) if !is_nothing(&error) => Err(error),
            _ => Ok(()),
        }
    }

    fn send(&mut self, now: Time) -> Result<(), Ended> {
        let (to, broke) = self.to;
        let sent = self.lane.send(to, now, &mut self.sent);
        sent.map_err(|_| broke)
    }
}

/// Tells whether there was just nothing to read.
fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

#[cfg(test)]
mod tests {
    use super::super::Means;
    use super::*;
    use crate::live::clock::Clock;
    use crate::model::draw::Seed;
    use crate::model::id::FlowId;
    use crate::policy::faults::Shape;

    #[test]
    fn a_flow_at_rest_is_small() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (backend, _) = listener.accept().unwrap();
        let means = Means {
            clock: Clock::start(),
            seed: Seed(1),
            door: "internal".into(),
        };
        let control = Control::new(FlowId(1), means.into(), Shape::default());
        let flow = run(client, backend, &control);
        let bytes = size_of_val(&flow);
        assert!(bytes <= 1_280, "{bytes} bytes");
    }
}
