//! `--serve`: the page over a run that was played, until a signal.
//!
//! It is the page of `up` before a journal that does not grow: everything can be looked at, at every
//! instant that is held, and there is nothing to change.

use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Exit, Io, Scenario};
use crate::http::guard::Token;
use crate::http::source::Source;
use crate::http::{Control, ControlError, FaultAsked, FaultSet, Reloaded, Server};
use crate::model::fact::Act;
use crate::model::id::{FaultId, Node};

/// Why nothing can be done to such a run.
const OVER: &str = "this run was played in virtual time and is over: it can only be looked at";

/// The hand of a run that is over.
struct Over;

#[async_trait]
impl Control for Over {
    async fn reload(&self) -> Result<Reloaded, Vec<String>> {
        Err(vec![String::from(OVER)])
    }

    async fn operate(&self, _: &Node, _: Act) -> Result<(), ControlError> {
        Err(ControlError::NotPossible(String::from(OVER)))
    }

    async fn set_fault(&self, _: FaultAsked) -> Result<FaultSet, String> {
        Err(String::from(OVER))
    }

    async fn lift_fault(&self, _: FaultId) -> bool {
        false
    }

    async fn clear_faults(&self) -> usize {
        0
    }
}

/// Refuses what cannot be shown before anything is played; `None` when all is well.
pub(super) fn refuse(
    address: Option<SocketAddr>,
    scenarios: &[Scenario],
    io: &mut Io<'_>,
) -> anyhow::Result<Option<Exit>> {
    let why = match address {
        Some(address) if !address.ip().is_loopback() => format!(
            "others may reach {address}: give --serve an address of 127.0.0.0/8, or write the run \
             to a file with --html"
        ),
        Some(_) if scenarios.len() != 1 => {
            String::from("--serve shows one run of one scenario; name one")
        }
        Some(_) | None => return Ok(None),
    };
    writeln!(io.err, "error: {why}")?;
    Ok(Some(Exit::Usage))
}

/// Shows a run until SIGINT or SIGTERM.
pub(super) fn serve(address: SocketAddr, source: Source, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let page = match TcpListener::bind(address).await {
            Ok(page) => page,
            Err(error) => {
                writeln!(
                    io.err,
                    "error: the page cannot listen on {address}: {error}; leave the address of \
                     --serve out to take a free port"
                )?;
                return Ok(Exit::CouldNotRun);
            }
        };
        let http = page.local_addr()?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let server = Server {
            source: Source {
                read_only: true,
                ..source
            },
            control: std::sync::Arc::new(Over),
            token: Token::random(),
            allow_hosts: Vec::new(),
            web_dir: None,
        };
        let stop = CancellationToken::new();
        let page = server.serve(page, stop.clone());
        tokio::pin!(page);
        writeln!(io.out, "ready http={http}")?;
        io.out.flush()?;
        writeln!(io.err, "\n  the run:  http://{http}/  (Ctrl-C ends)")?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = &mut page => return Ok(Exit::Success),
        }
        stop.cancel();
        page.await;
        Ok(Exit::Success)
    })
}
