//! How `status`, `ctl` and `fault` reach a running lab: its state folder, then its API.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args as ClapArgs;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::state::{self, LabFile};
use super::where_labs_are;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a lab may take to be seen; it is on this machine.
const TIMEOUT_LOOK: Duration = Duration::from_millis(500);

/// How long an answer may be: a snapshot of a lab of ten thousand nodes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Which lab.
#[derive(Clone, Debug, ClapArgs)]
pub struct Which {
    /// The state folder of the lab; by default the one lab that runs.
    #[arg(long, global = true, env = "TWODOORS_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// A running lab, found.
#[derive(Debug)]
pub struct Client {
    folder: PathBuf,
    /// What its state folder says.
    pub lab: LabFile,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body, JSON.
    pub body: serde_json::Value,
}

impl Answer {
    /// Gives the sentence of a refusal.
    pub fn detail(&self) -> &str {
        let detail = self.body.get("detail").and_then(|detail| detail.as_str());
        detail.unwrap_or(self.status.as_str())
    }
}

impl Which {
    /// Finds the lab.
    pub fn find(&self) -> anyhow::Result<Client> {
        if let Some(folder) = &self.state {
            let lab = state::read(folder).with_context(|| {
                format!("no lab runs with the state folder {}", folder.display())
            })?;
            return Ok(Client {
                folder: folder.clone(),
                lab,
            });
        }
        let base = where_labs_are();
        // A lab that was killed leaves its state folder as it was.
        let (mut running, left): (Vec<_>, Vec<_>) = state::running(&base)
            .into_iter()
            .partition(|(_, lab)| answers(lab.http));
        match running.len() {
            0 => match left.first() {
                Some((folder, lab)) => bail!(
                    "no lab runs here; process {} left {} behind, which `twodoors up` uses again",
                    lab.pid,
                    folder.display()
                ),
                None => bail!(
                    "no lab runs here ({}); start one with `twodoors up`, or give its --state DIR",
                    base.display()
                ),
            },
            1 => {
                let (folder, lab) = running.remove(0);
                Ok(Client { folder, lab })
            }
            _ => {
                let folders: Vec<String> = running
                    .iter()
                    .map(|(folder, _)| folder.display().to_string())
                    .collect();
                bail!(
                    "several labs run; choose one with --state: {}",
                    folders.join(", ")
                )
            }
        }
    }
}

/// Tells whether something listens there.
pub(super) fn answers(http: SocketAddr) -> bool {
    std::net::TcpStream::connect_timeout(&http, TIMEOUT_LOOK).is_ok()
}

impl Client {
    /// Gives the lab's state folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Asks for something.
    pub fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.call(Method::GET, path, Bytes::new())
    }

    /// Asks for a change, with the token.
    pub fn post(&self, path: &str) -> anyhow::Result<Answer> {
        self.call(Method::POST, path, Bytes::new())
    }

    /// Asks for a change that takes more words than its path.
    pub fn post_json(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<Answer> {
        self.call(Method::POST, path, Bytes::from(body.to_string()))
    }

    /// Asks for something to be taken away, with the token.
    pub fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.call(Method::DELETE, path, Bytes::new())
    }

    fn call(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header(header::HOST, self.lab.http.to_string());
        if method != Method::GET {
            let token = read_token(&self.folder)?;
            request = request
                .header(header::AUTHORIZATION, format!("Bearer {token}"))
                .header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let http = self.lab.http;
        runtime
            .block_on(async { tokio::time::timeout(TIMEOUT, exchange(http, request)).await })
            .unwrap_or_else(|_| bail!("no answer in {}s", TIMEOUT.as_secs()))
            .with_context(|| {
                format!(
                    "the lab {} (process {}) at http://{http}",
                    self.lab.name, self.lab.pid
                )
            })
    }
}

fn read_token(folder: &Path) -> anyhow::Result<String> {
    state::token(folder).with_context(|| format!("the token in {}", folder.display()))
}

async fn exchange(to: SocketAddr, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
    let stream = TcpStream::connect(to).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let asked = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await;
        let body = body.map_err(anyhow::Error::from_boxed)?.to_bytes();
        let body = serde_json::from_slice(&body).context("the answer is not JSON")?;
        Ok(Answer { status, body })
    };
    // The connection does the reading and writing while the call waits.
    tokio::pin!(asked, connection);
    tokio::select! {
        answer = &mut asked => answer,
        ended = &mut connection => {
            ended?;
            asked.await
        }
    }
}
