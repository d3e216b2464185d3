//! Flows under load while faults come and go: both sides get every byte once, in order.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use twodoors::model::fact::{Ended, Kind};
use twodoors::model::fault::{Effect, Fault};
use twodoors::model::id::FaultId;
use twodoors::model::time::Span;
use twodoors::policy::faults::Faults;

use super::{CLIENT, dial, echoes, greeting, inner, link, one, scene};
use crate::balancer::lab::Lab;
use crate::support::eventually;

/// After how many bytes they repeat; no buffer's size divides it.
const PERIOD: usize = 1_000_003;

/// A client that sends until it was enough, and reads all of it back.
struct Busy {
    enough: Arc<AtomicBool>,
    received: Arc<AtomicUsize>,
    reading: thread::JoinHandle<()>,
    writing: thread::JoinHandle<usize>,
}

/// Gives the byte at a place.
fn byte_at(place: usize) -> u8 {
    let mixed = ((place % PERIOD) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u8::try_from(mixed >> 56).unwrap()
}

impl Busy {
    fn start(mut stream: TcpStream) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let received = Arc::new(AtomicUsize::new(0));
        let mut writer = stream.try_clone().unwrap();
        let stop = Arc::clone(&enough);
        let writing = thread::spawn(move || {
            // Made before, so that the reader, who works out each byte, is the slower one: then
            // each buffer on the way is full.
            let bytes: Vec<u8> = (0..PERIOD).map(byte_at).collect();
            let mut sent = 0;
            for piece in bytes.chunks(10_007).cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                writer.write_all(piece).unwrap();
                sent += piece.len();
            }
            writer.shutdown(Shutdown::Write).unwrap();
            sent
        });
        let count = Arc::clone(&received);
        let reading = thread::spawn(move || {
            let (mut place, mut buffer) = (0, vec![0; 1 << 16]);
            while let n @ 1.. = stream.read(&mut buffer).unwrap() {
                for byte in &buffer[..n] {
                    assert_eq!(*byte, byte_at(place), "at {place}");
                    place += 1;
                }
                count.store(place, Ordering::Relaxed);
            }
        });
        Self {
            enough,
            received,
            reading,
            writing,
        }
    }

    /// Waits until more has come than now.
    async fn goes_on(&self) {
        let before = self.received.load(Ordering::Relaxed);
        eventually("more bytes", || {
            (self.received.load(Ordering::Relaxed) > before).then_some(())
        })
        .await;
    }

    async fn ends(self, lab: &Lab) {
        self.enough.store(true, Ordering::Relaxed);
        let sent = self.writing.join().unwrap();
        self.reading.join().unwrap();
        assert_eq!(self.received.load(Ordering::Relaxed), sent);
        assert!(sent > 4 << 20, "only {sent} bytes");
        let closed = lab
            .fact("the end", |kind| matches!(kind, Kind::FlowClosed { .. }))
            .await;
        // The greeting is two bytes.
        let bytes = sent as u64;
        assert!(
            matches!(closed, Kind::FlowClosed { up, down, how: Ended::Finished, .. }
                if up == bytes && down == bytes + 2),
            "{closed:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_flips_of_a_blackhole_lose_no_byte() {
    let backends = echoes(1);
    let lab = scene(&backends).await;
    let mut client = dial(CLIENT, lab.address(0));
    greeting(&mut client);
    let busy = Busy::start(client);
    for _ in 0..100 {
        lab.shared.faults.set(one(inner(), Effect::Blackhole));
        tokio::task::yield_now().await;
        lab.shared.faults.set(Faults::default());
        busy.goes_on().await;
    }
    busy.ends(&lab).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_all_kinds_come_and_go_and_lose_no_byte() {
    let backends = echoes(1);
    let lab = scene(&backends).await;
    let mut client = dial(CLIENT, lab.address(0));
    greeting(&mut client);
    let busy = Busy::start(client);
    let fault = |target, effect| Fault { target, effect };
    let behind = || link("proxy/1", "balancer/inner", false);
    for _ in 0..6 {
        let jitter = fault(behind(), Effect::Jitter(Span::from_ms(5)));
        let latency = fault(inner(), Effect::Latency(Span::from_ms(3)));
        let half = fault(behind(), Effect::HalfOpen);
        let refuse = fault(inner(), Effect::Refuse);
        let mut faults = Faults::default();
        for (number, fault) in (1..).zip([jitter, refuse, latency]) {
            faults = faults.with(FaultId(number), fault);
            lab.shared.faults.set(faults.clone());
            busy.goes_on().await;
        }
        lab.shared.faults.set(faults.with(FaultId(9), half));
        tokio::task::yield_now().await;
        for number in [3, 1, 2] {
            faults = faults.without(FaultId(number));
            lab.shared.faults.set(faults.clone());
            busy.goes_on().await;
        }
    }
    busy.ends(&lab).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_a_delayed_flow_is_bounded() {
    let backends = echoes(1);
    let lab = scene(&backends).await;
    let mut client = dial(CLIENT, lab.address(0));
    greeting(&mut client);
    lab.shared
        .faults
        .set(one(inner(), Effect::Latency(Span::from_secs(3_600))));
    // Two lanes of a mebibyte each and the kernel's buffers, and then no more.
    let sent = super::fill(&client);
    lab.shared.faults.set(Faults::default());
    let mut came = vec![0; sent];
    client.read_exact(&mut came).unwrap();
    assert!(came.iter().all(|byte| *byte == 7));
}
