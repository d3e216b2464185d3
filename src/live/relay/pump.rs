//! One flow: two directions, a buffer only while bytes move.

use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, Ordering};

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::live::serve;
use crate::model::fact::Ended;

/// The size of a buffer: with 64 KiB a bulk transfer needs an eighth of the system calls of tokio's
/// 8 KiB; more gains nothing on loopback.
const BUFFER_BYTES: usize = 64 * 1024;

/// How many buffers a thread keeps for the next flow: more are only in use while peers are slow.
const BUFFERS_KEPT: usize = 4;

/// How many buffers a direction moves before it lets other tasks run: 1 MiB, well under 1 ms.
const BUFFERS_PER_TURN: usize = 16;

thread_local! {
    static BUFFERS: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Relays until the end and gives the bytes from and to the client, and how it ended.
pub(super) async fn run(
    client: std::net::TcpStream,
    backend: std::net::TcpStream,
    closed: oneshot::Receiver<Ended>,
) -> (u64, u64, Ended) {
    let (up, down) = (AtomicU64::new(0), AtomicU64::new(0));
    let how = match (open(client), open(backend)) {
        (Ok(client), Ok(backend)) => join(&client, &backend, (&up, &down), closed).await,
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
    closed: oneshot::Receiver<Ended>,
) -> Ended {
    let both = async {
        tokio::try_join!(
            pump(
                (client, Ended::ClientError),
                (backend, Ended::BackendError),
                up
            ),
            pump(
                (backend, Ended::BackendError),
                (client, Ended::ClientError),
                down
            ),
        )
    };
    let result = tokio::select! {
        result = both => result,
        how = closed => {
            serve::finish(client);
            serve::finish(backend);
            return how.unwrap_or(Ended::Cut);
        }
    };
    match result {
        Ok(_) => Ended::Finished,
        Err(how) => {
            // What broke on one side must not look like an orderly end on the other.
            serve::reset(client);
            serve::reset(backend);
            how
        }
    }
}

/// Moves one direction until its end of data, which it passes on; the error is who broke.
async fn pump(
    (from, from_broke): (&TcpStream, Ended),
    (to, to_broke): (&TcpStream, Ended),
    count: &AtomicU64,
) -> Result<(), Ended> {
    loop {
        from.readable().await.map_err(|_| from_broke)?;
        // Taken out of the kernel only when it can be put back into it: a slow reader keeps its
        // bytes in the sender's socket, not in a buffer here.
        to.writable().await.map_err(|_| to_broke)?;
        let mut buffer = take();
        let mut moved = 0;
        while moved < BUFFERS_PER_TURN {
            match from.try_read(&mut buffer) {
                Ok(0) => {
                    give(buffer);
                    // The other side may be gone already; its own direction notices.
                    let _ = SockRef::from(to).shutdown(Shutdown::Write);
                    return Ok(());
                }
                Ok(n) => {
                    write(to, &buffer[..n]).await.map_err(|_| to_broke)?;
                    count.fetch_add(n as u64, Ordering::Relaxed);
                    moved += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(from_broke),
            }
        }
        give(buffer);
        if moved == BUFFERS_PER_TURN {
            tokio::task::yield_now().await;
        }
    }
}

async fn write(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.try_write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => to.writable().await?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn take() -> Box<[u8]> {
    let kept = BUFFERS.with_borrow_mut(Vec::pop);
    kept.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice())
}

fn give(buffer: Box<[u8]>) {
    BUFFERS.with_borrow_mut(|kept| {
        if kept.len() < BUFFERS_KEPT {
            kept.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_at_rest_is_small() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (backend, _) = listener.accept().unwrap();
        let (_close, closed) = oneshot::channel();
        let flow = run(client, backend, closed);
        let bytes = size_of_val(&flow);
        assert!(bytes <= 1_280, "{bytes} bytes");
    }
}
