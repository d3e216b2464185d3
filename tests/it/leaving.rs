//! Users who leave early: what they asked for ends at the proxy, at the agent and at the app.

use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use twodoors::live::tls;
use twodoors::model::addr::HostPort;
use twodoors::model::fact::{Act, Fact, Failure, Kind};
use twodoors::model::id::{Node, Seq};
use twodoors::model::time::Span;
use twodoors::model::topology::{Start, Topology};
use twodoors::snapshot::{Admin, Snapshot};

use crate::lab::Whole;

/// How long one step may take on a busy machine; far below every timeout of the product.
const STEP: Duration = Duration::from_secs(10);

/// A lab whose app `orders` is this test's own, which says nothing by itself.
struct Scene {
    whole: Whole,
    app: TcpListener,
    /// A proxy that has a tunnel to the app's agent.
    proxy: Node,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(mut prepare: impl FnMut(&mut Topology)) -> Self {
        let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = app.local_addr().unwrap().port();
        let whole = Whole::prepared(|options| {
            let apps = options.loaded.topology.agents.iter_mut();
            let orders = apps
                .flat_map(|agent| &mut agent.apps)
                .find(|app| *app.name == *"orders");
            orders.unwrap().target = Some(HostPort {
                host: "127.0.0.1".into(),
                port,
            });
            prepare(&mut options.loaded.topology);
        })
        .await;
        // The list goes out in answer to a tunnel's first heartbeat, which is when it is ready.
        let registered = whole
            .fact(("a tunnel of orders", STEP), Seq(0), |fact| {
                matches!(&fact.kind, Kind::TunnelRegistered { agent, .. } if **agent == *"orders")
            })
            .await;
        let proxy = registered.node.clone();
        whole
            .fact(("its heartbeat", STEP), registered.seq, |fact| {
                fact.node == proxy && matches!(fact.kind, Kind::GossipSent { .. })
            })
            .await;
        Self { whole, app, proxy }
    }

    /// Sends the head of a request, and gives the user's end and the app's.
    async fn ask(&self) -> (TlsStream<TcpStream>, TcpStream) {
        let topology = self.whole.lab.topology();
        let proxies = topology.pool.proxies.iter();
        let listen = proxies
            .map(|proxy| (Node::Proxy(proxy.name.clone()), proxy.listen.0))
            .find(|(node, _)| *node == self.proxy)
            .unwrap()
            .1;
        let mut roots = RootCertStore::empty();
        let pem = CertificateDer::from_pem_slice(self.whole.lab.ca_pem().as_bytes());
        roots.add(pem.unwrap()).unwrap();
        let mut stream = TcpStream::connect(listen).await.unwrap();
        // As a door would, so that the test knows which proxy serves.
        let header = b"PROXY TCP4 127.0.0.1 127.0.0.1 4000 3080\r\n";
        stream.write_all(header).await.unwrap();
        let name = "orders.proxy.example.com";
        let connecting = tls::connect(stream, name, &["http/1.1"], roots.into());
        let mut user = Box::pin(connecting).await.unwrap();
        let head = format!("GET / HTTP/1.1\r\nHost: {name}:3080\r\n\r\n");
        user.write_all(head.as_bytes()).await.unwrap();
        let (mut app, _) = soon("the app is reached", self.app.accept()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = soon("the head at the app", app.read_buf(&mut head)).await;
            assert_ne!(read.unwrap(), 0, "{head:?}");
        }
        (user, app)
    }

    /// Waits until the proxy says how the only request since then ended.
    async fn ended(&self, since: Seq) -> (u16, u64) {
        let ended =
            |fact: &Fact| fact.node == self.proxy && matches!(fact.kind, Kind::RequestEnded { .. });
        let what = ("the proxy knows that the request has ended", STEP);
        let fact = self.whole.fact(what, since, ended).await;
        let Kind::RequestEnded { status, bytes, .. } = fact.kind else {
            unreachable!("it was waited for")
        };
        (status, bytes)
    }
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(STEP, future)
        .await
        .unwrap_or_else(|_| panic!("waited {STEP:?} in vain: {what}"))
}

/// Waits until the app sees that nobody listens any more.
async fn left_alone(mut app: TcpStream) -> TcpStream {
    let read = soon("the app's connection ends", app.read(&mut [0; 1])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_leaves_ends_the_request_everywhere() {
    let scene = Scene::new().await;

    // Before the head of the answer.
    let since = scene.whole.seq();
    let (user, app) = scene.ask().await;
    drop(user);
    assert_eq!(scene.ended(since).await, (0, 0));
    let early = left_alone(app).await;

    // In the middle of the answer.
    let since = scene.whole.seq();
    let (mut user, mut app) = scene.ask().await;
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    app.write_all(answer).await.unwrap();
    let mut came = Vec::new();
    while !came.ends_with(b"half") {
        let read = soon("half an answer", user.read_buf(&mut came)).await;
        assert_ne!(read.unwrap(), 0);
    }
    drop(user);
    assert_eq!(scene.ended(since).await, (0, 4));
    let late = left_alone(app).await;

    // One who stays gets the whole, and an app that hangs up first is a bad gateway.
    let since = scene.whole.seq();
    let (mut user, mut app) = scene.ask().await;
    app.write_all(answer).await.unwrap();
    app.write_all(b"+ half").await.unwrap();
    let mut came = Vec::new();
    while !came.ends_with(b"half+ half") {
        let read = soon("a whole answer", user.read_buf(&mut came)).await;
        assert_ne!(read.unwrap(), 0);
    }
    assert_eq!(scene.ended(since).await, (200, 10));
    let since = scene.whole.seq();
    let (_user, app) = scene.ask().await;
    drop(app);
    assert_eq!(scene.ended(since).await.0, 502);

    // Nothing is left of them, though both apps still keep silent: a drain has only tunnels to wait
    // for, and these go by advice.
    let since = scene.whole.seq();
    let Node::Proxy(name) = &scene.proxy else {
        panic!("{}", scene.proxy)
    };
    scene
        .whole
        .operate(&format!("proxy/{name}"), Act::Drain)
        .await;
    let drained = |fact: &Fact| fact.node == scene.proxy && matches!(fact.kind, Kind::Drained);
    let over = ("the drain is over", STEP);
    scene.whole.fact(over, since, drained).await;
    drop((early, late));
    scene.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visit_in_flight_at_a_stopped_proxy_is_cut_and_refusals_are_counted_alike_on_both_sides()
{
    // Users who do not wait for the mesh find proxies without a tunnel at first.
    let eager = |topology: &mut Topology| {
        for user in &mut topology.users {
            user.start = Start::After(Span::from_ms(1));
        }
    };
    let scene = Scene::with(eager).await;
    let (whole, lab) = (&scene.whole, &scene.whole.lab);
    // The first visits may all go to proxies that have no tunnel yet.
    let visit = tokio::time::timeout(STEP * 6, scene.app.accept()).await;
    let (_held, _) = visit.expect("a visit comes to the app").unwrap();
    let orders = |fact: &Fact| matches!(&fact.kind, Kind::Routed { app, .. } if **app == *"orders");
    let routed = whole.fact(("its route", STEP), Seq(0), orders).await;
    let Node::Proxy(name) = &routed.node else {
        panic!("{routed}")
    };
    whole.operate(&format!("proxy/{name}"), Act::Stop).await;
    let failed = |fact: &Fact| {
        matches!(&fact.kind, Kind::VisitFailed { app, .. } if **app == *"orders")
            && !matches!(
                fact.kind,
                Kind::VisitFailed {
                    reason: Failure::NoTunnel,
                    ..
                }
            )
    };
    let cut = whole
        .fact(("the visit fails", STEP), routed.seq, failed)
        .await;
    assert!(
        matches!(
            cut.kind,
            Kind::VisitFailed {
                reason: Failure::Cut,
                ..
            }
        ),
        "{cut}"
    );

    drop(scene.app);
    for user in &lab.topology().users {
        whole
            .operate(&format!("user/{}", user.name), Act::Drain)
            .await;
    }
    let done = |s: &Snapshot| s.users.iter().all(|user| user.admin == Admin::Drained);
    let state = whole.state(("all visits have ended", STEP), done).await;
    let heard = state
        .users
        .iter()
        .flat_map(|user| user.failures.get(&Failure::NoTunnel));
    let counted = state.proxies.iter().map(|proxy| proxy.no_tunnel);
    assert_eq!(heard.sum::<u64>(), counted.sum::<u64>());
    lab.stop().await;
}
