//! A topology with two views over the shipped or the test zones, and a server of it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio_util::sync::CancellationToken;
use twodoors::journal::Journal;
use twodoors::live::dns::{Dns, Limits};
use twodoors::model::addr::HostPort;
use twodoors::model::draw::Seed;
use twodoors::model::id::Generation;
use twodoors::model::mistake::{Files, Mistake};
use twodoors::model::network::{Element, Matcher};
use twodoors::model::time::Time;
use twodoors::model::topology::{self, Pool, Topology, View, ZoneSource};
use twodoors::policy::answer::Rules;

/// The files of the repository, by paths from its root.
pub(crate) struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<String, String> {
        std::fs::read_to_string(root().join(path)).map_err(|error| error.to_string())
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// An element of a match list.
pub(crate) fn element(text: &str) -> Element {
    let bare = text.trim_start_matches('!');
    let what = match bare {
        "any" => Matcher::Any,
        "none" => Matcher::None,
        range => Matcher::Ranges(vec![range.parse().unwrap()]),
    };
    Element {
        text: text.into(),
        negated: bare != text,
        what,
    }
}

/// A view: its name, its match list and its zones as (origin, path from the root).
pub(crate) fn view(name: &str, elements: &[&str], zones: &[(&str, &str)]) -> View {
    View {
        name: name.into(),
        match_clients: elements.iter().map(|text| element(text)).collect(),
        match_destinations: Vec::new(),
        forward: None,
        zones: zones
            .iter()
            .map(|(origin, file)| ZoneSource {
                origin: (*origin).to_owned(),
                file: PathBuf::from(file),
                miss: topology::Miss::Nxdomain,
            })
            .collect(),
    }
}

/// A topology with nothing but these views; 127.0.0.1 may send a client subnet.
pub(crate) fn topology(views: Vec<View>) -> Topology {
    Topology {
        name: "test".into(),
        seed: Seed(1),
        networks: Vec::new(),
        dns: topology::Dns {
            ecs_trusted: vec!["127.0.0.1/32".parse().unwrap()],
            views,
            ..topology::Dns::new("127.0.0.1:0".parse().unwrap())
        },
        pool: Pool {
            name: "proxies".into(),
            proxies: Vec::new(),
            teleport: twodoors::model::teleport::ProxyService::multiplexed(
                Vec::new(),
                HostPort {
                    host: "0.0.0.0".into(),
                    port: 3080,
                },
            ),
        },
        balancers: Vec::new(),
        agents: Vec::new(),
        users: Vec::new(),
        resolvers: Vec::new(),
        timeline: Vec::new(),
        expect: Vec::new(),
        duration: twodoors::model::time::Span::from_secs(60),
        model: topology::Model::default(),
    }
}

/// The shipped zones in views for the test's own networks.
pub(crate) fn shipped() -> Topology {
    topology(vec![
        view(
            "private",
            &["!127.41.255.0/24", "127.41.0.0/16", "127.10.0.0/16"],
            &[("example.com.", "zones/private/example.com.zone")],
        ),
        view(
            "public",
            &["127.42.0.0/16", "127.20.0.0/16"],
            &[("example.com.", "zones/public/example.com.zone")],
        ),
    ])
}

/// Loads the rules of a topology from the repository.
pub(crate) fn rules(topology: &Topology) -> Result<(Rules, Vec<Mistake>), Vec<Mistake>> {
    Rules::load(topology, Generation(1), &Disk)
}

/// A server that runs in the background of the test until it is dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) journal: Journal,
    pub(crate) rules: Arc<ArcSwap<Rules>>,
    shutdown: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Starts a server on a free port of 127.0.0.1.
pub(crate) fn serve(topology: &Topology) -> Served {
    serve_limited(topology, Limits::default())
}

/// Starts a server with limits of its own.
pub(crate) fn serve_limited(topology: &Topology, limits: Limits) -> Served {
    let (loaded, _) = rules(topology).expect("the zones of the test are clean");
    let rules = Arc::new(ArcSwap::from_pointee(loaded));
    let journal = Journal::new(topology);
    let dns = Dns::new(topology, Arc::clone(&rules), journal.clone(), || Time::ZERO);
    let dns = dns.limited(limits);
    let shutdown = CancellationToken::new();
    let (send, receive) = std::sync::mpsc::channel();
    let stop = shutdown.clone();
    let listen = topology.dns.listen;
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let bound = dns.bind(&[listen]).unwrap();
            send.send(bound.addresses()[0]).unwrap();
            bound.run(stop).await;
        });
    });
    Served {
        address: receive.recv().expect("the server binds a free port"),
        journal,
        rules,
        shutdown,
        thread: Some(thread),
    }
}

impl Served {
    /// Stops the server; its last counts are facts when this returns.
    pub(crate) fn stop(&mut self) {
        self.shutdown.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A query message for a name without escapes.
pub(crate) fn query(name: &str, record_type: RecordType, edns: Option<Edns>) -> Message {
    query_of(Name::from_ascii(name).unwrap(), record_type, edns)
}

/// A query message.
pub(crate) fn query_of(name: Name, record_type: RecordType, edns: Option<Edns>) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(name, record_type));
    if let Some(edns) = edns {
        message.set_edns(edns);
    }
    message
}

/// EDNS with a payload size.
pub(crate) fn edns(payload: u16) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(payload);
    edns
}

/// Sends bytes from an address and gives the answer's bytes, by datagram or stream.
pub(crate) async fn exchange(server: SocketAddr, from: IpAddr, bytes: &[u8], tcp: bool) -> Vec<u8> {
    let limit = std::time::Duration::from_secs(10);
    let answer = async {
        if tcp {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::new(from, 0)).unwrap();
            let mut stream = socket.connect(server).await.unwrap();
            let length = u16::try_from(bytes.len()).unwrap();
            stream.write_all(&length.to_be_bytes()).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            let length = stream.read_u16().await.unwrap();
            let mut answer = vec![0; usize::from(length)];
            stream.read_exact(&mut answer).await.unwrap();
            answer
        } else {
            let socket = UdpSocket::bind((from, 0)).await.unwrap();
            socket.connect(server).await.unwrap();
            socket.send(bytes).await.unwrap();
            let mut answer = vec![0; 65_535];
            let length = socket.recv(&mut answer).await.unwrap();
            answer.truncate(length);
            answer
        }
    };
    let answer = tokio::time::timeout(limit, answer).await;
    answer.expect("the server answers within 10 s")
}

/// Asks and reads the answer.
pub(crate) async fn ask(server: SocketAddr, from: &str, message: &Message, tcp: bool) -> Message {
    let bytes = message.to_vec().unwrap();
    let answer = exchange(server, from.parse().unwrap(), &bytes, tcp).await;
    Message::from_vec(&answer).expect("the answer is a message")
}
