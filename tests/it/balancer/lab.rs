//! Backends of plain threads, and doors in front of them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use twodoors::journal::Journal;
use twodoors::live::balancer::Balancer;
use twodoors::live::clock::Clock;
use twodoors::live::faults::InForce;
use twodoors::live::runner::{Call, Shared, Tap};
use twodoors::live::serve;
use twodoors::live::tasks::Tasks;
use twodoors::model::fact::{Health, Kind};
use twodoors::model::id::{Node, Seq};
use twodoors::model::time::Time;
use twodoors::model::topology;
use twodoors::policy::AnyInput;

use crate::support::{self, eventually};

/// What a backend does with a client's connection, after the PROXY header.
pub(crate) type Behaviour = fn(name: &str, stream: TcpStream);

/// An instance of the pool: says its name in a line, then does as it was told.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

/// What a backend saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// The PROXY headers of clients, and where they came from.
    pub(crate) headers: Mutex<Vec<(Vec<u8>, SocketAddr)>>,
    /// How many checks came.
    pub(crate) checks: AtomicUsize,
    stop: AtomicBool,
}

impl Backend {
    /// Starts one on this address, port 0 for a free one.
    pub(crate) fn start(name: &str, address: &str, behave: Behaviour) -> Self {
        let listener = listen(address.parse().unwrap());
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let thread = thread::spawn({
            let (seen, name) = (Arc::clone(&seen), name.to_owned());
            move || serve_clients(&listener, &seen, &name, behave)
        });
        Self {
            address,
            seen,
            thread: Some(thread),
        }
    }

    /// Closes its listener; what is open goes on.
    pub(crate) fn stop(&mut self) {
        self.seen.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    let listener = serve::listen(address).unwrap();
    listener.set_nonblocking(false).unwrap();
    listener
}

fn serve_clients(listener: &TcpListener, seen: &Arc<Seen>, name: &str, behave: Behaviour) {
    loop {
        let (mut stream, source) = listener.accept().unwrap();
        if seen.stop.load(Ordering::SeqCst) {
            return;
        }
        let (seen, name) = (Arc::clone(seen), name.to_owned());
        thread::spawn(move || {
            let mut header = vec![0; 16];
            if stream.read_exact(&mut header).is_err() {
                return;
            }
            let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
            header.resize(16 + length, 0);
            stream.read_exact(&mut header[16..]).unwrap();
            if header[12] == 0x20 {
                seen.checks.fetch_add(1, Ordering::SeqCst);
            } else {
                seen.headers.lock().unwrap().push((header, source));
                let _ = stream.write_all(format!("{name}\n").as_bytes());
                behave(&name, stream);
            }
        });
    }
}

/// Sends everything back and ends when the client does.
pub(crate) fn echo(_: &str, mut stream: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
}

/// A pool with its doors, at work.
pub(crate) struct Lab {
    pub(crate) shared: Shared,
    pub(crate) doors: Vec<Balancer>,
    /// Each call of each machine.
    pub(crate) record: Arc<Record>,
    /// Stops the doors when it is stopped.
    pub(crate) tasks: Tasks,
}

/// One call of a machine: who, when, with what, and what came of it.
pub(crate) type Recorded = (Node, Time, Option<AnyInput>, Vec<String>, Vec<Kind>);

/// Keeps each call.
#[derive(Default)]
pub(crate) struct Record(pub(crate) Mutex<Vec<Recorded>>);

impl Tap for Record {
    fn call(&self, call: Call<'_>) {
        let facts = call.facts.to_vec();
        let recorded = (call.node.clone(), call.now, call.input, call.outputs, facts);
        self.0.lock().unwrap().push(recorded);
    }
}

impl Lab {
    /// Starts doors on free ports of the addresses that they name, and waits until each has an
    /// opinion of each backend.
    pub(crate) async fn start(backends: &[SocketAddr], mut doors: Vec<topology::Balancer>) -> Self {
        let mut listeners = Vec::new();
        for door in &mut doors {
            let mut own = Vec::new();
            for address in &mut door.listen {
                let listener = serve::listen(address.0).unwrap();
                address.0 = listener.local_addr().unwrap();
                own.push(listener);
            }
            listeners.push(own);
        }
        let networks = [("inside", "127.41.0.0/16"), ("outside", "127.42.0.0/16")];
        let topology = Arc::new(support::topology(&networks, backends, doors));
        let record = Arc::new(Record::default());
        let shared = Shared {
            clock: Clock::start(),
            journal: Journal::new(&topology),
            topology,
            faults: InForce::default(),
            ports: twodoors::live::ports::Ports::default(),
            tap: Some(Arc::clone(&record) as Arc<dyn Tap>),
        };
        let tasks = Tasks::new();
        let mut started = Vec::new();
        for (index, own) in listeners.into_iter().enumerate() {
            let door = Balancer::new(index, shared.clone());
            door.start(own, &tasks).unwrap();
            started.push(door);
        }
        let lab = Self {
            shared,
            doors: started,
            record,
            tasks,
        };
        let expected = backends.len() * lab.doors.len();
        eventually("an opinion of each backend", || {
            (lab.count(|kind| matches!(kind, Kind::HealthChanged { .. })) >= expected).then_some(())
        })
        .await;
        lab
    }

    /// Gives where a door listens.
    pub(crate) fn address(&self, door: usize) -> SocketAddr {
        self.shared.topology.balancers[door].listen[0].0
    }

    /// Gives all facts so far, with the index of the door that made them.
    pub(crate) fn facts(&self) -> Vec<(usize, Kind)> {
        let facts = self.shared.journal.after(Seq(0), usize::MAX).facts;
        let door = |fact: &twodoors::model::fact::Fact| {
            let mut nodes = self.doors.iter().map(Balancer::node);
            nodes.position(|node| *node == fact.node).unwrap()
        };
        facts
            .iter()
            .map(|fact| (door(fact), fact.kind.clone()))
            .collect()
    }

    /// Counts the facts of a kind.
    pub(crate) fn count(&self, of: impl Fn(&Kind) -> bool) -> usize {
        self.facts().iter().filter(|(_, kind)| of(kind)).count()
    }

    /// Waits for a fact.
    pub(crate) async fn fact(&self, what: &str, of: impl Fn(&Kind) -> bool) -> Kind {
        eventually(what, || {
            self.facts()
                .into_iter()
                .map(|(_, kind)| kind)
                .find(|kind| of(kind))
        })
        .await
    }

    /// Gives a door's latest opinion of a backend.
    pub(crate) fn health(&self, door: usize, proxy: &str) -> Health {
        self.shared.journal.ask(|snapshot| {
            let mut backends = snapshot.balancers[door].backends.iter();
            backends
                .find(|backend| *backend.proxy == *proxy)
                .unwrap()
                .health
        })
    }
}

/// Connects to a door from an address and gives up reading after a while.
pub(crate) fn dial(from: &str, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let from: SocketAddr = format!("{from}:0").parse().unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

/// Reads the line with the backend's name.
pub(crate) fn greeting(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte).unwrap();
        if byte[0] == b'\n' {
            return String::from_utf8(line).unwrap();
        }
        line.push(byte[0]);
    }
}
