//! The ping wrapper of `teleport-…-ping`: frames that keep a silent connection alive.
//!
//! Each frame is its length, four bytes, greatest first, and so many bytes; a frame of none is a
//! ping, sent by the proxy every 30 s (from memory, 3.4). Without the wrapper the same
//! bytes pass bare. An end of one direction is passed on as one, and the other goes on.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::time::{MissedTickBehavior, interval};

/// From one ping of a proxy to the next.
pub const PING_EVERY: Duration = Duration::from_secs(30);

/// How many bytes are put into one frame.
const FRAME_MAX: usize = 16 * 1024;

/// How many bytes precede a frame.
const HEAD: usize = 4;

/// Bytes that were carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// From the plain side to the framed one.
    pub inward: u64,
    /// From the framed side to the plain one.
    pub outward: u64,
}

/// Carries bytes between a plain stream and a framed one until both directions have ended; sends a
/// ping this often, if at all. The counts hold also when it fails.
pub async fn carry<P, F>(
    plain: P,
    framed: F,
    every: Option<Duration>,
    carried: &mut Carried,
) -> io::Result<()>
where
    P: AsyncRead + AsyncWrite,
    F: AsyncRead + AsyncWrite,
{
    let (plain_read, plain_write) = split(plain);
    let (framed_read, framed_write) = split(framed);
    let Carried { inward, outward } = carried;
    tokio::try_join!(
        wrap(plain_read, framed_write, every, inward),
        unwrap(framed_read, plain_write, outward),
    )?;
    Ok(())
}

/// Carries bare bytes between two streams until both directions have ended, counted as [`carry`]
/// counts them.
pub async fn carry_bare<P, Q>(plain: P, other: Q, carried: &mut Carried) -> io::Result<()>
where
    P: AsyncRead + AsyncWrite,
    Q: AsyncRead + AsyncWrite,
{
    let (plain_read, plain_write) = split(plain);
    let (other_read, other_write) = split(other);
    let Carried { inward, outward } = carried;
    tokio::try_join!(
        pass(plain_read, other_write, inward),
        pass(other_read, plain_write, outward),
    )?;
    Ok(())
}

async fn pass<R: AsyncRead, W: AsyncWrite>(
    mut from: ReadHalf<R>,
    mut to: WriteHalf<W>,
    bytes: &mut u64,
) -> io::Result<()> {
    let mut buffer = vec![0; FRAME_MAX];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
        to.flush().await?;
        *bytes += length as u64;
    }
}

async fn wrap<P, F>(
    mut plain: ReadHalf<P>,
    mut framed: WriteHalf<F>,
    every: Option<Duration>,
    bytes: &mut u64,
) -> io::Result<()>
where
    P: AsyncRead,
    F: AsyncWrite,
{
    let mut pings = every.map(|every| {
        let mut pings = interval(every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings
    });
    // The first tick is due at once.
    if let Some(pings) = &mut pings {
        pings.tick().await;
    }
    let mut frame = vec![0; HEAD + FRAME_MAX];
    loop {
        let due = async {
            match &mut pings {
                Some(pings) => {
                    pings.tick().await;
                }
                None => std::future::pending().await,
            }
        };
        // Reading into a buffer loses nothing when a ping comes first.
        let length = tokio::select! {
            length = plain.read(&mut frame[HEAD..]) => length?,
            () = due => {
                framed.write_all(&[0; HEAD]).await?;
                framed.flush().await?;
                continue;
            }
        };
        if length == 0 {
            return framed.shutdown().await;
        }
        let head = u32::try_from(length).map_err(io::Error::other)?;
        frame[..HEAD].copy_from_slice(&head.to_be_bytes());
        framed.write_all(&frame[..HEAD + length]).await?;
        framed.flush().await?;
        *bytes += length as u64;
    }
}

async fn unwrap<P, F>(
    mut framed: ReadHalf<F>,
    mut plain: WriteHalf<P>,
    bytes: &mut u64,
) -> io::Result<()>
where
    P: AsyncWrite,
    F: AsyncRead,
{
    let mut buffer = vec![0; FRAME_MAX];
    while let Some(mut left) = head(&mut framed).await? {
        // A frame may be longer than any buffer: it is passed on as it comes.
        while left > 0 {
            let room = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let length = framed.read(&mut buffer[..room]).await?;
            if length == 0 {
                let why = format!("the other side ended {left} bytes before the end of a frame");
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
            }
            plain.write_all(&buffer[..length]).await?;
            plain.flush().await?;
            *bytes += length as u64;
            left -= length as u64;
        }
    }
    plain.shutdown().await
}

/// Reads the length of the next frame; `None` at an end between two.
async fn head<F: AsyncRead>(framed: &mut ReadHalf<F>) -> io::Result<Option<u64>> {
    let mut head = [0; HEAD];
    if framed.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    framed.read_exact(&mut head[1..]).await?;
    Ok(Some(u64::from(u32::from_be_bytes(head))))
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// Carries until the end, with both outer ends given to the test.
    async fn check(
        every: Option<Duration>,
        test: impl AsyncFnOnce(tokio::io::DuplexStream, tokio::io::DuplexStream),
    ) -> (io::Result<()>, Carried) {
        let (mine, plain) = duplex(1 << 20);
        let (other, framed) = duplex(1 << 20);
        let mut carried = Carried::default();
        let carrying = carry(plain, framed, every, &mut carried);
        let (result, ()) = tokio::join!(carrying, test(mine, other));
        (result, carried)
    }

    #[tokio::test]
    async fn bytes_pass_in_frames_and_pings_are_taken_out() {
        let (result, carried) = check(None, async |mut plain, mut framed| {
            plain.write_all(b"hello").await.unwrap();
            let mut seen = [0; 9];
            framed.read_exact(&mut seen).await.unwrap();
            assert_eq!(&seen, b"\0\0\0\x05hello");
            framed
                .write_all(b"\0\0\0\0\0\0\0\x02ab\0\0\0\0\0\0\0\x01c")
                .await
                .unwrap();
            let mut seen = [0; 3];
            plain.read_exact(&mut seen).await.unwrap();
            assert_eq!(&seen, b"abc");
        })
        .await;
        result.unwrap();
        assert_eq!((carried.inward, carried.outward), (5, 3));
    }

    #[tokio::test]
    async fn bare_bytes_pass_as_they_are_and_each_way_ends_by_itself() {
        let ((mut one, plain), (mut two, other)) = (duplex(64), duplex(64));
        let mut carried = Carried::default();
        let carrying = carry_bare(plain, other, &mut carried);
        let test = async {
            one.write_all(b"\0\0\0\x05").await.unwrap();
            one.shutdown().await.unwrap();
            let mut seen = Vec::new();
            two.read_to_end(&mut seen).await.unwrap();
            assert_eq!(seen, b"\0\0\0\x05");
            two.write_all(b"late").await.unwrap();
            two.shutdown().await.unwrap();
            one.read_to_end(&mut seen).await.unwrap();
            assert_eq!(seen, b"\0\0\0\x05late");
        };
        let (result, ()) = tokio::join!(carrying, test);
        result.unwrap();
        assert_eq!((carried.inward, carried.outward), (4, 4));
    }

    #[tokio::test]
    async fn each_direction_ends_by_itself() {
        let (result, _) = check(None, async |mut plain, mut framed| {
            plain.write_all(b"q").await.unwrap();
            plain.shutdown().await.unwrap();
            let mut seen = Vec::new();
            framed.read_to_end(&mut seen).await.unwrap();
            assert_eq!(seen, b"\0\0\0\x01q");
            framed.write_all(b"\0\0\0\x01r").await.unwrap();
            framed.shutdown().await.unwrap();
            let mut seen = Vec::new();
            plain.read_to_end(&mut seen).await.unwrap();
            assert_eq!(seen, b"r");
        })
        .await;
        result.unwrap();
    }

    #[tokio::test]
    async fn a_silent_connection_is_pinged() {
        let (result, carried) = check(Some(Duration::from_millis(1)), async |plain, mut framed| {
            for _ in 0..3 {
                let mut seen = [9; HEAD];
                framed.read_exact(&mut seen).await.unwrap();
                assert_eq!(seen, [0; HEAD]);
            }
            drop((plain, framed));
        })
        .await;
        result.unwrap();
        assert_eq!(carried, Carried::default());
    }

    #[tokio::test]
    async fn an_end_inside_a_frame_is_an_error() {
        for broken in [&b"\0\0"[..], b"\0\0\0\x05ab"] {
            let (result, _) = check(None, async |_plain, mut framed| {
                framed.write_all(broken).await.unwrap();
                framed.shutdown().await.unwrap();
            })
            .await;
            assert!(result.is_err(), "{broken:?}");
        }
    }
}
