//! One tunnel, many streams: bulk, a stream that nobody reads, key exchanges, small links.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{ReadHalf, WriteHalf, duplex, split};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::*;

/// Bytes of one download, by the issue.
const DOWNLOAD: u64 = 64 << 20;

/// How many downloads share the tunnel, by the issue.
const DOWNLOADS: u64 = 8;

/// A period that divides no block size, so that a lost, doubled or swapped block is seen.
const PERIOD: usize = 1_048_573;

/// The bytes that stream `k` carries at `offset`, up to 64 KiB of them.
fn bytes(k: u64, offset: u64) -> &'static [u8] {
    static BASE: OnceLock<Vec<u8>> = OnceLock::new();
    const BLOCK: usize = 64 * 1024;
    let base = BASE.get_or_init(|| {
        let mut state = 1_u64;
        let mut base: Vec<u8> = (0..PERIOD)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                state.to_be_bytes()[0]
            })
            .collect();
        base.extend_from_within(..BLOCK);
        base
    });
    let start = usize::try_from((offset + k * 7_919) % PERIOD as u64).unwrap();
    &base[start..start + BLOCK]
}

/// Writes so much and gives the writer back.
async fn produce(
    mut to: WriteHalf<TunnelStream>,
    k: u64,
    length: u64,
    made: &AtomicU64,
) -> std::io::Result<WriteHalf<TunnelStream>> {
    let mut offset = 0;
    while offset < length {
        let block = bytes(k, offset);
        let n = usize::try_from(length - offset).unwrap().min(block.len());
        let n = to.write(&block[..n]).await?;
        offset += n as u64;
        made.store(offset, Ordering::Relaxed);
    }
    Ok(to)
}

/// Reads to the end and gives how much came; panics when a byte is not the right one.
async fn consume(mut from: ReadHalf<TunnelStream>, k: u64) -> std::io::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut offset = 0;
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return Ok(offset);
        }
        assert!(
            buffer[..n] == bytes(k, offset)[..n],
            "stream {k} differs at {offset}"
        );
        offset += n as u64;
    }
}

/// What the agent of a load does with a stream: sends so much, and ends it when it has read as much
/// as it expects. On a wrong byte it drops the stream, which its user sees.
async fn serve(request: TransportRequest, down: u64, up: u64, made: Arc<AtomicU64>) {
    let k = request.dial.address.parse().unwrap();
    let (read, write) = split(request.accept());
    let (sent, came) = tokio::join!(produce(write, k, down, &made), consume(read, k + 1_000));
    if let (Ok(mut write), Ok(came)) = (sent, came)
        && came == up
    {
        write.shutdown().await.unwrap();
    }
}

struct Load {
    /// Bytes of each download.
    down: u64,
    /// Bytes of each upload, at the same time.
    up: u64,
    /// Whether a ninth stream is opened and never read.
    unread: bool,
    /// Whether the agent starts a key exchange twice a second, whatever its limits.
    rekey: bool,
}

/// What a load left behind, for the caller to judge.
struct Outcome {
    cut: Vec<String>,
    /// How much of the ninth the agent could write before it was cut.
    unread_written: u64,
    heartbeats: u32,
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

async fn run<A, B>(mut lab: Lab, proxy: A, agent: B, load: Load) -> Outcome
where
    A: AsyncRead + AsyncWrite + Send + 'static,
    B: AsyncRead + AsyncWrite + Send + 'static,
{
    lab.settings.stream_stall = Duration::from_secs(1);
    let (mut server, mut client) = soon(lab.tunnel(proxy, agent)).await;
    let mut work = JoinSet::new();

    // The agent: serves whatever is asked for, beats ten times a second.
    let unread_written = Arc::new(AtomicU64::new(0));
    let (made, control) = (Arc::clone(&unread_written), client.control.clone());
    let beats = client.control.clone();
    work.spawn(async move {
        loop {
            beats.heartbeat(now(), &serving("orders"));
            sleep(Duration::from_millis(100)).await;
        }
    });
    work.spawn(async move {
        let mut serving = JoinSet::new();
        while let Some(event) = client.events.recv().await {
            if let ClientEvent::Transport(request) = event {
                if request.dial.address == "9" {
                    serving.spawn(serve(request, u64::MAX, 0, Arc::clone(&made)));
                } else {
                    serving.spawn(serve(request, load.down, load.up, Arc::default()));
                }
            }
        }
    });
    if load.rekey {
        work.spawn(async move {
            loop {
                sleep(Duration::from_millis(500)).await;
                if control.rekey().await.is_err() {
                    return;
                }
            }
        });
    }

    // The users.
    let ninth = if load.unread {
        Some(
            soon(server.control.open_transport(&dial("9")))
                .await
                .unwrap(),
        )
    } else {
        None
    };
    let mut users = JoinSet::new();
    for k in 1..=DOWNLOADS {
        let control = server.control.clone();
        users.spawn(async move {
            let stream = control.open_transport(&dial(&k.to_string())).await.unwrap();
            let (read, write) = split(stream);
            let made = AtomicU64::new(0);
            let send = async {
                let mut write = produce(write, k + 1_000, load.up, &made).await.unwrap();
                write.shutdown().await.unwrap();
            };
            let (came, ()) = tokio::join!(consume(read, k), send);
            assert_eq!(came.unwrap(), load.down, "stream {k}");
        });
    }

    let mut outcome = Outcome {
        cut: Vec::new(),
        unread_written: 0,
        heartbeats: 0,
    };
    let everything = async {
        loop {
            tokio::select! {
                user = users.join_next() => match user {
                    Some(user) => user.unwrap(),
                    None if load.unread && outcome.cut.is_empty() => sleep(Duration::from_millis(10)).await,
                    None => return,
                },
                event = server.events.recv() => match event.unwrap() {
                    ServerEvent::Forwards { .. } => panic!("the agent is no stand-in"),
                    ServerEvent::Heartbeat { .. } => outcome.heartbeats += 1,
                    ServerEvent::StreamCut { address, why } => outcome.cut.push(format!("{address}: {why}")),
                    ServerEvent::Closed { why } => panic!("the tunnel closed: {why}"),
                },
            }
        }
    };
    timeout(Duration::from_secs(120), everything)
        .await
        .expect("the load did not finish");
    outcome.unread_written = unread_written.load(Ordering::Relaxed);
    if let Some(mut ninth) = ninth {
        let error = ninth.read(&mut [0; 1]).await.unwrap_err();
        assert!(error.to_string().contains("nobody read"), "{error}");
    }
    // The tunnel still works.
    soon(server.control.open_transport(&dial("1")))
        .await
        .unwrap();
    drop(work);
    lab.tasks.stop().await;
    outcome
}

async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.41.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(address));
    (accepted.unwrap().0, connected.unwrap())
}

fn judge_ninth(outcome: &Outcome) {
    assert_eq!(outcome.cut.len(), 1, "{:?}", outcome.cut);
    let cut = &outcome.cut[0];
    assert!(cut.starts_with("9: nobody read"), "{cut}");
    let bound = (tunnel::STREAM_WINDOW + 4 * tunnel::CHUNK) as u64;
    let written = outcome.unread_written;
    assert!(written <= bound, "the ninth could write {written} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_downloads_finish_beside_one_that_is_never_read() {
    let (proxy, agent) = tcp().await;
    bytes(0, 0);
    let before = resident();
    let load = Load {
        down: DOWNLOAD,
        up: 0,
        unread: true,
        rekey: false,
    };
    let outcome = run(Lab::new(), proxy, agent, load).await;
    judge_ninth(&outcome);
    assert!(outcome.heartbeats > 2, "{} heartbeats", outcome.heartbeats);
    // Ten times what the streams may have under way; a ninth without a bound takes hundreds.
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "memory grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_exchanges_in_the_middle_cost_no_stream() {
    let (proxy, agent) = tcp().await;
    let load = Load {
        down: DOWNLOAD,
        up: 0,
        unread: true,
        rekey: true,
    };
    judge_ninth(&run(Lab::new(), proxy, agent, load).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_exchanges_by_a_low_limit_cost_no_stream_either_way() {
    let (proxy, agent) = tcp().await;
    let mut lab = Lab::new();
    lab.settings.rekey_bytes = 4 << 20;
    let load = Load {
        down: DOWNLOAD / 2,
        up: DOWNLOAD / 2,
        unread: true,
        rekey: false,
    };
    judge_ninth(&run(lab, proxy, agent, load).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_both_ways_over_a_small_link_does_not_stand_still() {
    let (proxy, agent) = duplex(16 * 1024);
    let mut lab = Lab::new();
    lab.settings.rekey_bytes = 16 << 20;
    let load = Load {
        down: DOWNLOAD / 4,
        up: DOWNLOAD / 4,
        unread: true,
        rekey: true,
    };
    judge_ninth(&run(lab, proxy, agent, load).await);
}
