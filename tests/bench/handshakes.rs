//! Handshakes by kind, and idle tunnels: the steps of a dial, each by itself.
//!
//! Both ends are in this process and share its cores, so a rate is that of client and proxy together.

use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use twodoors::live::authority::{Authority, HostIdentity, HostRole, Trust};
use twodoors::live::clock::Clock;
use twodoors::live::tasks::Tasks;
use twodoors::live::tls;
use twodoors::live::tunnel::{self, ClientTunnel, ServerTunnel, Settings};
use twodoors::live::webapi::FIND;
use twodoors::model::time::Time;
use twodoors::policy::principals;

/// What the agents of these figures dial.
const NAME: &str = "proxy.example.com";

/// How many handshakes of a kind are under way at once.
const AT_ONCE: usize = 8;

/// How long each kind is measured.
const MEASURED: Duration = Duration::from_secs(3);

/// A handshake takes milliseconds; one that takes this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a part of the bench may fail with.
pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// Does one thing again and again, several at once, and gives how often a second.
pub(crate) async fn rate<F, G>(one: F) -> Result<f64, Failed>
where
    F: Fn() -> G + Clone + Send + 'static,
    G: Future<Output = Result<(), Failed>> + Send + 'static,
{
    timeout(PATIENCE, one()).await??;
    let began = Clock::start();
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (one, began) = (one.clone(), began);
        workers.spawn(async move {
            let mut done = 0_u32;
            while Duration::from(began.now().since(Time::ZERO)) < MEASURED {
                timeout(PATIENCE, one()).await??;
                done += 1;
            }
            Ok::<_, Failed>(done)
        });
    }
    let mut all = 0_u32;
    while let Some(done) = workers.join_next().await {
        all += done??;
    }
    Ok(f64::from(all) / Duration::from(began.now().since(Time::ZERO)).as_secs_f64())
}

/// How one gets to the web port of a proxy, as the door does for an agent.
#[derive(Clone)]
pub(crate) struct Way {
    proxy: SocketAddr,
    roots: Arc<RootCertStore>,
}

impl Way {
    /// Makes the way to a proxy whose authority is in this text.
    pub(crate) fn new(proxy: SocketAddr, authority: &str) -> Result<Self, Failed> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
        let roots = Arc::new(roots);
        Ok(Self { proxy, roots })
    }

    async fn connect(&self, alpn: &'static [&'static str]) -> Result<TlsStream<TcpStream>, Failed> {
        let mut stream = TcpStream::connect(self.proxy).await?;
        stream.set_nodelay(true)?;
        stream
            .write_all(b"PROXY TCP4 127.0.0.1 127.0.0.1 4000 3080\r\n")
            .await?;
        Ok(Box::pin(tls::connect(stream, NAME, alpn, Arc::clone(&self.roots))).await?)
    }

    /// Connects for a tunnel, up to TLS.
    pub(crate) async fn tls(self) -> Result<(), Failed> {
        self.connect(&["teleport-reversetunnel"]).await?;
        Ok(())
    }

    /// Asks find.
    pub(crate) async fn find(self) -> Result<(), Failed> {
        let mut stream = self.connect(&["http/1.1"]).await?;
        let head = format!("GET {FIND} HTTP/1.1\r\nHost: {NAME}:3080\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        // A proxy that ends may leave TLS's own goodbye out.
        let _ = stream.read_to_end(&mut answer).await;
        if !answer.starts_with(b"HTTP/1.1 200") {
            return Err(String::from_utf8_lossy(&answer).into());
        }
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "certificates need the time of day"
)]
fn today() -> Result<u64, Failed> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// A proxy and an agent of one authority, for tunnels without a lab around them.
pub(crate) struct Ends {
    proxy: HostIdentity,
    agent: HostIdentity,
    trust: Trust,
    settings: Settings,
    now: u64,
}

/// Both ends of a tunnel, which stands as long as they are held.
pub(crate) type Held = (ServerTunnel, ClientTunnel);

impl Ends {
    /// Makes both with certificates of their own.
    pub(crate) fn new() -> Result<Self, Failed> {
        let now = today()?;
        let authority = Authority::new(now)?;
        let names = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        let proxy = names(&["p1.lab", "p1", NAME]);
        let agent = names(&["a1.lab", "a1", "orders"]);
        Ok(Self {
            proxy: authority.issue_host(HostRole::Proxy, "proxy-1", &proxy, now)?,
            agent: authority.issue_host(HostRole::App, "orders", &agent, now)?,
            trust: authority.trust(),
            settings: Settings::default(),
            now,
        })
    }

    /// Makes a tunnel over TCP: SSH's handshake, both host certificates verified.
    pub(crate) async fn tunnel(&self, tasks: &Tasks) -> Result<Held, Failed> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(address));
        let (near, far) = (accepted?.0, connected?);
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let now = self.now;
        let judge = move |shown: principals::Shown| {
            principals::check(&shown, NAME, now).map_err(|refusal| refusal.to_string())
        };
        let accept = tunnel::accept(near, &self.proxy, &self.trust, now, &self.settings, tasks);
        let connect = tunnel::connect(far, &self.agent, &self.trust, judge, &self.settings, tasks);
        let (server, client) = Box::pin(async { tokio::join!(accept, connect) }).await;
        Ok((server?, client?))
    }

    /// Makes a tunnel and ends it.
    pub(crate) async fn ssh(self: Arc<Self>) -> Result<(), Failed> {
        let tasks = Tasks::new();
        let held = self.tunnel(&tasks).await?;
        drop(held);
        tasks.stop().await;
        Ok(())
    }
}
