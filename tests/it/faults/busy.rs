//! Flows under load while faults come and go: both sides get every byte once, in order.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use twodoors::model::fact::{Ended, Kind};
use twodoors::model::fault::{Effect, Fault};
use twodoors::model::id::FaultId;
use twodoors::model::time::Span;
use twodoors::policy::faults::Faults;

use super::{CLIENT, dial, echoes, greeting, inner, link, one, scene};
use crate::balancer::lab::Lab;
use crate::support::eventually;

/// A client that sends much and reads all of it back.
struct Busy {
    received: Arc<AtomicUsize>,
    reading: thread::JoinHandle<()>,
    writing: thread::JoinHandle<()>,
    length: usize,
}

/// A byte for each place, which no block size repeats.
fn byte_at(place: usize) -> u8 {
    let mixed = (place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u8::try_from(mixed >> 56).unwrap()
}

impl Busy {
    fn start(mut stream: TcpStream, length: usize) -> Self {
        let received = Arc::new(AtomicUsize::new(0));
        let mut writer = stream.try_clone().unwrap();
        let writing = thread::spawn(move || {
            let mut sent = 0;
            while sent < length {
                let to = length.min(sent + 10_007);
                let bytes: Vec<u8> = (sent..to).map(byte_at).collect();
                writer.write_all(&bytes).unwrap();
                sent = to;
            }
            writer.shutdown(Shutdown::Write).unwrap();
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
            received,
            reading,
            writing,
            length,
        }
    }

    /// Waits until more has come than now, or all.
    async fn goes_on(&self) {
        let before = self.received.load(Ordering::Relaxed);
        eventually("more bytes", || {
            let now = self.received.load(Ordering::Relaxed);
            (now > before || now == self.length).then_some(())
        })
        .await;
    }

    async fn ends(self, lab: &Lab) {
        let bytes = self.length as u64;
        let closed = lab
            .fact("the end", |kind| matches!(kind, Kind::FlowClosed { .. }))
            .await;
        self.writing.join().unwrap();
        self.reading.join().unwrap();
        assert_eq!(self.received.load(Ordering::Relaxed), self.length);
        // The greeting is two bytes.
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
    let busy = Busy::start(client, 32 << 20);
    let mut flips_while_busy = 0;
    for _ in 0..100 {
        lab.shared.faults.set(one(inner(), Effect::Blackhole));
        if busy.received.load(Ordering::Relaxed) < busy.length {
            flips_while_busy += 1;
        }
        tokio::task::yield_now().await;
        lab.shared.faults.set(Faults::default());
        busy.goes_on().await;
    }
    assert!(
        flips_while_busy > 50,
        "the flow was over: {flips_while_busy}"
    );
    busy.ends(&lab).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_all_kinds_come_and_go_and_lose_no_byte() {
    let backends = echoes(1);
    let lab = scene(&backends).await;
    let mut client = dial(CLIENT, lab.address(0));
    greeting(&mut client);
    let busy = Busy::start(client, 24 << 20);
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
