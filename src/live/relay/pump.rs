//! One flow: two directions, a buffer only while bytes move.
//!
//! A direction without a fault is read and written as fast as it goes; one with latency goes through
//! its lane; a silent one is left alone. Whenever the orders change, both begin again from their
//! lanes.

use std::io;
use std::sync::atomic::AtomicU64;

use tokio::net::TcpStream;

use super::Control;
use super::lane::{self, Lane};
use crate::live::serve;
use crate::model::fact::{Cut, Ended};
use crate::model::time::Time;
use crate::policy::faults::Way;

/// How many buffers a direction moves before it lets other tasks run: 1 MiB, well under 1 ms.
const BUFFERS_PER_TURN: usize = 16;

/// Everything that waits is due by then.
const ALWAYS: Time = Time::from_us(u64::MAX);

/// Which way a direction goes: their pieces are numbered apart.
#[derive(Clone, Copy)]
enum Toward {
    Backend,
    Client,
}

/// Relays until the end and gives the bytes from and to the client, and how it ended.
pub(super) async fn run(
    client: std::net::TcpStream,
    backend: std::net::TcpStream,
    control: &Control,
) -> (u64, u64, Ended) {
    let (up, down) = (AtomicU64::new(0), AtomicU64::new(0));
    let how = match (open(client), open(backend)) {
        (Ok(client), Ok(backend)) => join(&client, &backend, (&up, &down), control).await,
        (Err(_), _) => Ended::ClientError,
        (_, Err(_)) => Ended::BackendError,
    };
    (up.into_inner(), down.into_inner(), how)
}

fn open(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    TcpStream::from_std(stream)
}

async fn join(
    client: &TcpStream,
    backend: &TcpStream,
    (up, down): (&AtomicU64, &AtomicU64),
    control: &Control,
) -> Ended {
    let client_end = (client, Ended::ClientError);
    let backend_end = (backend, Ended::BackendError);
    let mut lanes = (Lane::default(), Lane::default());
    loop {
        let order = control.order();
        if let Some((how, cut)) = order.end {
            end(&[client, backend], cut);
            return how;
        }
        let (way_up, way_down) = (order.shape.up, order.shape.down);
        let both = async {
            tokio::try_join!(
                control.pump(
                    &mut lanes.0,
                    way_up,
                    Toward::Backend,
                    client_end,
                    backend_end,
                    up
                ),
                control.pump(
                    &mut lanes.1,
                    way_down,
                    Toward::Client,
                    backend_end,
                    client_end,
                    down
                ),
            )
        };
        let result = tokio::select! {
            result = both => result,
            () = control.changed.notified() => continue,
        };
        return match result {
            Ok(_) => Ended::Finished,
            Err(how) => {
                // What broke on one side must not look like an orderly end on the other.
                end(&[client, backend], Cut::Reset);
                how
            }
        };
    }
}

fn end(sides: &[&TcpStream; 2], how: Cut) {
    for side in sides {
        match how {
            Cut::Finish => serve::finish(side),
            Cut::Reset => serve::reset(side),
        }
    }
}

/// A side of a flow, and who broke when it breaks.
type Side<'a> = (&'a TcpStream, Ended);

impl Control {
    /// Moves one direction until its end of data, which it passes on; the error is who broke.
    ///
    /// May be dropped at any await: what was read and not written is in the lane.
    async fn pump(
        &self,
        lane: &mut Lane,
        way: Way,
        toward: Toward,
        from: Side<'_>,
        to: Side<'_>,
        count: &AtomicU64,
    ) -> Result<(), Ended> {
        if lane.is_over() {
            Ok(())
        } else if way.silent {
            std::future::pending().await
        } else if way.is_plain() {
            plain(lane, from, to, count).await
        } else {
            // Boxed, because a flow without a fault must not keep room for this.
            Box::pin(self.delayed(lane, way, toward, from, to, count)).await
        }
    }

    /// Moves each piece when its time has come.
    async fn delayed(
        &self,
        lane: &mut Lane,
        way: Way,
        toward: Toward,
        (from, from_broke): Side<'_>,
        (to, to_broke): Side<'_>,
        count: &AtomicU64,
    ) -> Result<(), Ended> {
        let clock = &self.means.clock;
        loop {
            let now = clock.now();
            lane.send(to, now, count).map_err(|_| to_broke)?;
            if lane.is_over() {
                return Ok(());
            }
            let due = lane.due();
            // What is due and still here waits for the other side.
            let full = due.is_some_and(|due| due <= now);
            tokio::select! {
                readable = from.readable(), if lane.has_room() => {
                    readable.map_err(|_| from_broke)?;
                    self.take_in(lane, way, toward, from).map_err(|_| from_broke)?;
                }
                writable = to.writable(), if full => writable.map_err(|_| to_broke)?,
                () = clock.sleep_until(due.unwrap_or_default()), if due.is_some() && !full => {}
            }
        }
    }

    /// Reads once, into the lane.
    fn take_in(
        &self,
        lane: &mut Lane,
        way: Way,
        toward: Toward,
        from: &TcpStream,
    ) -> io::Result<()> {
        let mut buffer = lane::take();
        let read = from.try_read(&mut buffer);
        // The time of the read, not of the wait before it.
        let now = self.means.clock.now();
        let result = match read {
            Ok(0) => {
                lane.end(now + way.latency);
                Ok(())
            }
            Ok(n) => {
                let number = 2 * lane.next() + u64::from(matches!(toward, Toward::Client));
                let due = now + way.latency + self.jitter(way.jitter, number);
                lane.push(buffer[..n].into(), (0, n), due);
                Ok(())
            }
            Err(error) if is_nothing(&error) => Ok(()),
            Err(error) => Err(error),
        };
        lane::give(buffer);
        result
    }
}

/// Moves bytes as fast as they go, first of all those that waited.
async fn plain(
    lane: &mut Lane,
    (from, from_broke): Side<'_>,
    (to, to_broke): Side<'_>,
    count: &AtomicU64,
) -> Result<(), Ended> {
    loop {
        lane.send(to, ALWAYS, count).map_err(|_| to_broke)?;
        if lane.is_over() {
            return Ok(());
        }
        if lane.is_empty() {
            from.readable().await.map_err(|_| from_broke)?;
        }
        // Taken out of the kernel only when it can be put back into it: a slow reader keeps its
        // bytes in the sender's socket, not in a buffer here.
        to.writable().await.map_err(|_| to_broke)?;
        if lane.is_empty() && turn(lane, (from, from_broke), (to, to_broke), count)? {
            tokio::task::yield_now().await;
        }
    }
}

/// Moves what is there, up to a turn's worth, and tells whether it was as much. What the other side
/// does not take stays in the lane.
fn turn(
    lane: &mut Lane,
    (from, from_broke): Side<'_>,
    (to, to_broke): Side<'_>,
    count: &AtomicU64,
) -> Result<bool, Ended> {
    let mut buffer = lane::take();
    for _ in 0..BUFFERS_PER_TURN {
        match from.try_read(&mut buffer) {
            Ok(0) => {
                lane.end(Time::default());
                lane::give(buffer);
                return Ok(false);
            }
            Ok(n) => {
                let sent = lane::send(to, &buffer[..n], count).map_err(|_| to_broke)?;
                if sent < n {
                    lane.push(buffer, (sent, n), Time::default());
                    return Ok(false);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_nothing(&error) => {
                lane::give(buffer);
                return Ok(false);
            }
            Err(_) => return Err(from_broke),
        }
    }
    lane::give(buffer);
    Ok(true)
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
