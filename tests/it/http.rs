//! The HTTP side over real sockets, with a made-up lab behind it.

mod demo;
mod scene;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use twodoors::http::guard::Token;
use twodoors::http::{Control, ControlError, Reloaded, Server};
use twodoors::journal::Journal;
use twodoors::live::clock::Clock;
use twodoors::model::fact::{Act, Kind};
use twodoors::model::id::{Generation, Node};

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
}

/// A server at work; dropping it ends its task.
struct Running {
    address: SocketAddr,
    journal: Journal,
    token: Token,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

async fn start_on(
    address: &str,
    journal: Journal,
    control: Arc<dyn Control>,
    token: Token,
) -> Running {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let server = Server {
        journal: journal.clone(),
        control,
        token: token.clone(),
        allow_hosts: Vec::new(),
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
