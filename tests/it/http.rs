//! The HTTP side over real sockets, with a made-up lab behind it.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends the test")]

mod ask;
mod faults;
mod look;
mod openapi;
mod runs;
mod scene;
mod security;
mod shown;
mod stream;
mod way;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use twodoors::http::guard::Token;
use twodoors::http::source::Source;
use twodoors::http::{Control, ControlError, FaultAsked, FaultSet, Reloaded, Server};
use twodoors::journal::Journal;
use twodoors::lab::report::Mode;
use twodoors::live::clock::Clock;
use twodoors::model::fact::{Act, Kind};
use twodoors::model::fault::{Effect, Fault, Target};
use twodoors::model::id::{FaultId, Generation, Node};

/// A lab that does as it is told, in words only.
struct FakeControl {
    journal: Journal,
    clock: Clock,
}

#[async_trait]
impl Control for FakeControl {
    async fn reload(&self) -> Result<Reloaded, Vec<String>> {
        Ok(Reloaded {
            generation: Generation(2),
            changed: vec![String::from("private/proxy.example.com.")],
            warnings: Vec::new(),
        })
    }

    async fn operate(&self, node: &Node, act: Act) -> Result<(), ControlError> {
        match (node.kind(), node.name()) {
            ("balancer", "internal" | "external")
            | ("proxy", "1" | "2" | "3")
            | ("agent", "orders" | "billing" | "wiki" | "kiosk") => {}
            ("user", "alice") => {
                return Err(ControlError::NotPossible(String::from("users come and go")));
            }
            _ => return Err(ControlError::Unknown),
        }
        self.journal
            .add(self.clock.now(), node, [Kind::Operated { act }]);
        Ok(())
    }

    /// Knows one fault, at any target.
    async fn set_fault(&self, asked: FaultAsked) -> Result<FaultSet, String> {
        if asked.word != "refuse" {
            let why = format!("there is no fault {:?}; did you mean refuse?", asked.word);
            return Err(why);
        }
        let faults = self.journal.ask(|state| state.faults.len());
        let id = FaultId(u64::try_from(faults).unwrap() + 1);
        let what = Fault {
            target: Target::Node(Node::Balancer(asked.target.as_str().into())),
            effect: Effect::Refuse,
        };
        let text = what.to_string();
        let until = asked.lasts.map(|_| self.clock.now());
        let set = Kind::FaultSet {
            fault: id,
            what,
            until,
        };
        self.journal.add(self.clock.now(), &Node::Lab, [set]);
        Ok(FaultSet { id, text })
    }

    async fn lift_fault(&self, fault: FaultId) -> bool {
        let found = self.journal.ask(|state| {
            let mut faults = state.faults.iter();
            faults.find(|known| known.id == fault).cloned()
        });
        let Some(found) = found else {
            return false;
        };
        let what = found.what;
        let lifted = Kind::FaultLifted { fault, what };
        self.journal.add(self.clock.now(), &Node::Lab, [lifted]);
        true
    }

    async fn clear_faults(&self) -> usize {
        let faults = self.journal.ask(|state| state.faults.clone());
        for fault in &faults {
            self.lift_fault(fault.id).await;
        }
        faults.len()
    }
}

/// A server at work; dropping it ends its task.
struct Running {
    address: SocketAddr,
    journal: Journal,
    token: Token,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

async fn start_of(source: Source, control: Arc<dyn Control>) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (shutdown, token) = (CancellationToken::new(), Token::random());
    let journal = source.journal.clone();
    let server = Server {
        source,
        control,
        token: token.clone(),
        allow_hosts: Vec::new(),
        web_dir: None,
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(server.serve(listener, shutdown.clone()));
    Running {
        address,
        journal,
        token,
        shutdown,
        tasks,
    }
}

async fn start_on(
    address: &str,
    journal: Journal,
    control: Arc<dyn Control>,
    token: Token,
    allow_hosts: Vec<String>,
) -> Running {
    let server = Server {
        source: Source {
            mode: Mode::Live,
            ..Source::of(journal.clone(), Arc::new(scene::topology()))
        },
        control,
        token: token.clone(),
        allow_hosts,
        web_dir: None,
    };
    serve_on(address, server, journal, token).await
}

async fn serve_on(address: &str, server: Server, journal: Journal, token: Token) -> Running {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(server.serve(listener, shutdown.clone()));
    Running {
        address,
        journal,
        token,
        shutdown,
        tasks,
    }
}

/// Starts a server of a made-up lab on a free port.
async fn start() -> Running {
    start_allowing(&[]).await
}

/// Starts a server that shows a lab and changes nothing.
async fn start_read_only() -> Running {
    let topology = Arc::new(scene::topology());
    let journal = Journal::new(&topology);
    let source = Source {
        read_only: true,
        ..Source::of(journal.clone(), topology)
    };
    let control = FakeControl {
        journal,
        clock: Clock::start(),
    };
    start_of(source, Arc::new(control)).await
}

async fn start_allowing(names: &[&str]) -> Running {
    let topology = scene::topology();
    let journal = Journal::new(&topology);
    let clock = Clock::start();
    let control = FakeControl {
        journal: journal.clone(),
        clock,
    };
    let names = names.iter().map(ToString::to_string).collect();
    let token = Token::random();
    start_on("127.0.0.1:0", journal, Arc::new(control), token, names).await
}

/// How long a test waits for what must come; a loaded machine is slow, not that slow.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back: status, head and body as text.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn has(&self, header: &str) -> bool {
        self.head
            .to_ascii_lowercase()
            .contains(&header.to_ascii_lowercase())
    }
}

impl Running {
    /// Sends these header lines and this body as they are, and reads until the server closes.
    async fn raw(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut text = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body);
        // The server may answer and close before it has read a large body.
        let _early = stream.write_all(text.as_bytes()).await;
        let mut all = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all));
        let _reset = read.await.expect("the server answers and closes");
        let all = String::from_utf8(all).unwrap();
        let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
        Answer {
            status: head.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// Sends a request that names this server rightly.
    async fn ask(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let host = format!("Host: {}", self.address);
        let mut all = vec![host.as_str()];
        all.extend(headers);
        self.raw(line, &all, body).await
    }

    /// Asks for a change as one with the token does.
    async fn change(&self, path: &str) -> Answer {
        self.change_by(&format!("POST {path}"), "{}").await
    }

    /// Asks for a change by a method and with a body, as one with the token does.
    async fn change_by(&self, line: &str, body: &str) -> Answer {
        let token = format!("Authorization: Bearer {}", self.token.reveal());
        let headers = [token.as_str(), "Content-Type: application/json"];
        self.ask(line, &headers, body).await
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.tasks.join_next());
        ended
            .await
            .expect("the server ends in time")
            .unwrap()
            .unwrap();
    }
}
