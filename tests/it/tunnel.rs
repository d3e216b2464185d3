//! Reverse tunnels between our own ends: logins, streams, bounds, endings.

#![expect(
    clippy::unwrap_used,
    reason = "in a test's helper as in a test: a failure is the end"
)]

mod endings;
mod identity;
mod load;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use twodoors::live::authority::{Authority, HostIdentity, HostRole, Trust};
use twodoors::live::tasks::Tasks;
use twodoors::live::tls;
use twodoors::live::tunnel::{
    self, AgentLogin, ClientEvent, ClientTunnel, DialReq, Login, ServerEvent, ServerTunnel,
    Settings, TransportRequest, TunnelError, TunnelStream,
};
use twodoors::model::teleport::Port;
use twodoors::policy::proxy::Serves;
use twodoors::policy::{alpn, principals};

/// How long anything here may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The name under which the agent of these tests dials.
const DIALLED: &str = "internal_proxy.example.com";

#[expect(
    clippy::disallowed_methods,
    reason = "certificates need the time of day"
)]
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// One proxy and one agent of one lab, not yet connected.
struct Lab {
    authority: Authority,
    proxy: HostIdentity,
    agent: HostIdentity,
    trust: Trust,
    settings: Settings,
    tasks: Tasks,
}

impl Lab {
    fn new() -> Self {
        let authority = Authority::new(now()).unwrap();
        let names = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        let proxy = names(&["p1.lab", "p1", DIALLED]);
        let agent = names(&["a1.lab", "a1", "orders"]);
        Self {
            proxy: authority
                .issue_host(HostRole::Proxy, "proxy-1", &proxy, now())
                .unwrap(),
            agent: authority
                .issue_host(HostRole::App, "orders", &agent, now())
                .unwrap(),
            trust: authority.trust(),
            authority,
            settings: Settings::default(),
            tasks: Tasks::new(),
        }
    }

    /// Makes a tunnel over these two ends of a link.
    async fn tunnel<A, B>(&self, proxy: A, agent: B) -> (ServerTunnel, ClientTunnel)
    where
        A: AsyncRead + AsyncWrite + Send + 'static,
        B: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (server, client) = tokio::join!(self.accept(proxy), self.connect(agent));
        (server.unwrap(), client.unwrap())
    }

    async fn accept<S>(&self, stream: S) -> Result<ServerTunnel, TunnelError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (settings, tasks) = (&self.settings, &self.tasks);
        tunnel::accept(stream, &self.proxy, &self.trust, now(), settings, tasks).await
    }

    async fn connect<S>(&self, stream: S) -> Result<ClientTunnel, TunnelError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let judge = |shown: principals::Shown| {
            principals::check(&shown, DIALLED, now()).map_err(|refusal| refusal.to_string())
        };
        let (settings, tasks) = (&self.settings, &self.tasks);
        tunnel::connect(stream, &self.agent, &self.trust, judge, settings, tasks).await
    }
}

/// Waits for what must happen; boxed, because TLS and SSH handshakes are large futures.
fn soon<T>(future: impl Future<Output = T>) -> Pin<Box<impl Future<Output = T>>> {
    Box::pin(async move {
        timeout(PATIENCE, future)
            .await
            .expect("it did not happen in time")
    })
}

fn agent_of(tunnel: &ServerTunnel) -> &AgentLogin {
    match &tunnel.login {
        Login::Agent(agent) => agent,
        Login::StandIn { name } => panic!("{name} is a stand-in"),
    }
}

fn serving(app: &str) -> Serves {
    Serves {
        apps: vec![app.into()],
        ..Serves::default()
    }
}

fn dial(address: &str) -> DialReq {
    DialReq {
        address: address.to_owned(),
        ..DialReq::default()
    }
}

async fn transport(events: &mut mpsc::Receiver<ClientEvent>) -> TransportRequest {
    loop {
        match soon(events.recv()).await {
            Some(ClientEvent::Transport(request)) => return request,
            Some(_) => {}
            None => panic!("the tunnel closed without a request"),
        }
    }
}

#[tokio::test]
async fn a_tunnel_over_tls_carries_a_heartbeat_and_a_stream() {
    let lab = Lab::new();
    let listener = TcpListener::bind("127.41.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let names = [String::from("proxy.example.com")];
    let server = tls::Server::new(lab.authority.issue_web(&names, now()).unwrap());
    let proxy = async {
        let (stream, _) = listener.accept().await.unwrap();
        let hello = tls::Hello::read(stream).await.unwrap();
        assert_eq!(hello.sni.as_deref(), Some("proxy.example.com"));
        let classified = alpn::classify(Port::Web, hello.sni.as_deref(), &hello.alpn);
        let stream = hello.finish(&server, classified.protocol).await.unwrap();
        assert_eq!(
            stream.get_ref().1.alpn_protocol(),
            Some(&b"teleport-reversetunnel"[..])
        );
        lab.accept(stream).await.unwrap()
    };
    let agent = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let roots = Arc::new(lab.authority.roots());
        let alpn = [alpn::REVERSE_TUNNEL];
        let stream = tls::connect(stream, "proxy.example.com", &alpn, roots)
            .await
            .unwrap();
        lab.connect(stream).await.unwrap()
    };
    let (mut server, mut client) = soon(async { tokio::join!(proxy, agent) }).await;
    assert_eq!(agent_of(&server).host_id, "a1");
    assert_eq!(agent_of(&server).name, "orders");

    client.control.heartbeat(now(), &serving("orders"));
    assert_eq!(
        soon(server.events.recv()).await,
        Some(ServerEvent::Heartbeat {
            serves: serving("orders")
        })
    );

    let agent = async {
        let request = transport(&mut client.events).await;
        assert_eq!(request.dial.address, "orders");
        let mut stream = request.accept();
        let mut asked = String::new();
        stream.read_to_string(&mut asked).await.unwrap();
        stream
            .write_all(asked.to_uppercase().as_bytes())
            .await
            .unwrap();
        stream.shutdown().await.unwrap();
    };
    let user = async {
        let mut stream = server
            .control
            .open_transport(&dial("orders"))
            .await
            .unwrap();
        stream.write_all(b"hello").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (_, answer) = soon(async { tokio::join!(agent, user) }).await;
    assert_eq!(answer, "HELLO");
}
