//! The way to an app's session, over sockets: redirects, cookies, one-time tokens, both HTTPs.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap};
use hyper::{Request, Version};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpSocket;
use twodoors::live::tasks::Tasks;
use twodoors::live::tls;
use twodoors::model::fact::Kind;
use twodoors::model::id::Seq;
use twodoors::model::teleport::WebCertificate;
use twodoors::model::time::Span;
use twodoors::model::topology::Start;

use crate::lab::Whole;

/// How long a step of a lab may take on a busy machine.
const STEP: Duration = Duration::from_secs(60);

const ORDERS: &str = "orders.proxy.example.com";
const KIOSK: &str = "kiosk.proxy.example.com";
const PUBLIC: &str = "proxy.example.com";

/// The example whose apps want sessions; its users begin at once.
async fn scene(visits: bool) -> Whole {
    Whole::prepared(|options| {
        let topology = &mut options.loaded.topology;
        // One instance has every tunnel at once; the certificate has the apps' names.
        topology.pool.proxies.truncate(1);
        topology.pool.teleport.certificate = WebCertificate::Elsewhere;
        for agent in &mut topology.agents {
            for app in &mut agent.apps {
                app.login = true;
            }
        }
        for user in &mut topology.users {
            user.start = Start::After(Span::ZERO);
        }
        if !visits {
            topology.users.clear();
        }
    })
    .await
}

pub(crate) fn roots(whole: &Whole) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let pem = CertificateDer::from_pem_slice(whole.lab.ca_pem().as_bytes());
    roots.add(pem.unwrap()).unwrap();
    roots.into()
}

/// An answer to one request of a visitor from the internet.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: header::HeaderName) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    fn location(&self) -> &str {
        self.header(header::LOCATION)
    }

    /// The path of where it leads, and the host.
    fn led(&self) -> (String, String) {
        let rest = self.location().strip_prefix("https://").unwrap();
        let (at, path) = rest.split_once('/').unwrap();
        let host = at.split(':').next().unwrap();
        (host.to_owned(), format!("/{path}"))
    }
}

#[derive(Clone)]
struct OnTasks(Tasks);

impl<F> hyper::rt::Executor<F> for OnTasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// Asks through the external door, as a visitor with this cookie.
async fn ask(
    whole: &Whole,
    version: Version,
    (host, path): (&str, &str),
    cookie: Option<&str>,
) -> Answer {
    let from: IpAddr = whole.moved("127.20.0.99").parse().unwrap();
    let door: SocketAddr = whole.moved("127.20.0.2:3080").parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    let stream = socket.connect(door).await.unwrap();
    let two = version == Version::HTTP_2;
    let alpn = if two { "h2" } else { "http/1.1" };
    let stream = tls::connect(stream, host, &[alpn], roots(whole))
        .await
        .unwrap();
    assert_eq!(
        stream.get_ref().1.alpn_protocol(),
        Some(alpn.as_bytes()),
        "what was offered was chosen"
    );
    let tasks = Tasks::new();
    let io = TokioIo::new(stream);
    let mut request = Request::get(path);
    if two {
        // No `Host`: the authority is all there is.
        request = Request::get(format!("https://{host}:3080{path}")).version(version);
    } else {
        request = request.header(header::HOST, format!("{host}:3080"));
    }
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let answer = if two {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(OnTasks(tasks.clone()), io)
                .await
                .unwrap();
        tasks.spawn(connection);
        sender.send_request(request).await.unwrap()
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tasks.spawn(connection);
        sender.send_request(request).await.unwrap()
    };
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    tasks.stop().await;
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// Goes the way of a login, and gives the cookie and the path with the token that was taken.
async fn log_in(whole: &Whole, version: Version, host: &str) -> (String, String) {
    let first = ask(whole, version, (host, "/deep?q=1"), None).await;
    assert_eq!(first.status, 302, "{first:?}");
    let (page, path) = first.led();
    assert_eq!(page, PUBLIC);
    assert_eq!(path, format!("/web/launch/{host}?path=%2Fdeep%3Fq%3D1"));
    let launched = ask(whole, version, (&page, &path), None).await;
    let (back, token) = launched.led();
    assert_eq!((launched.status, &*back), (302, host), "{launched:?}");
    assert!(token.starts_with("/x-teleport-auth?path="), "{token}");
    let begun = ask(whole, version, (host, &token), None).await;
    assert_eq!(begun.status, 302, "{begun:?}");
    assert_eq!(begun.location(), format!("https://{host}:3080/deep?q=1"));
    let cookie = begun.header(header::SET_COOKIE).to_owned();
    for attribute in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(cookie.starts_with("__Host-grv_app_session="), "{cookie}");
    (cookie.split(';').next().unwrap().to_owned(), token)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_arrives_by_the_redirects_and_nobody_by_anothers_session() {
    let whole = scene(false).await;
    whole.mesh().await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let (cookie, token) = log_in(&whole, version, ORDERS).await;
        let own = ask(&whole, version, (ORDERS, "/deep?q=1"), Some(&cookie)).await;
        assert_eq!(own.status, 200, "{own:?}");
        assert!(
            own.body.starts_with("orders: served by agent orders"),
            "{own:?}"
        );
        assert!(
            own.body.contains(ORDERS),
            "the app hears its own host: {own:?}"
        );

        // The twins: each of these must not arrive.
        let other = ask(&whole, version, (KIOSK, "/"), Some(&cookie)).await;
        assert_eq!(other.status, 302, "another app's session: {other:?}");
        let changed = cookie.replace("session=", "session=00");
        let changed = ask(&whole, version, (ORDERS, "/"), Some(&changed)).await;
        assert_eq!(changed.status, 302, "{changed:?}");
        let none = ask(&whole, version, (ORDERS, "/"), None).await;
        assert_eq!(none.status, 302, "{none:?}");
        let again = ask(&whole, version, (ORDERS, &token), None).await;
        assert_eq!(again.status, 403, "a token that was taken: {again:?}");
        let page = format!("/web/launch/{KIOSK}?path=%2F");
        let launched = ask(&whole, version, (PUBLIC, &page), None).await;
        let (_, for_kiosk) = launched.led();
        let stolen = ask(&whole, version, (ORDERS, &for_kiosk), None).await;
        assert_eq!(stolen.status, 403, "another app's token: {stolen:?}");
        let page = "/web/launch/evil.example.com?path=%2F";
        let evil = ask(&whole, version, (PUBLIC, page), None).await;
        assert_eq!((evil.status, evil.location()), (404, ""), "{evil:?}");
    }
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_of_the_lab_is_led_to_the_login_and_keeps_the_session() {
    let whole = scene(true).await;
    let answered = |fact: &twodoors::model::fact::Fact| {
        matches!(&fact.kind, Kind::VisitAnswered(visit) if visit.status == 200)
            && fact.node.to_string() == "user/alice"
    };
    let first = whole
        .fact(("alice is answered", STEP), Seq(0), answered)
        .await;
    let facts = whole.facts();
    let before = |is: &dyn Fn(&Kind) -> bool| {
        let mut earlier = facts.iter().filter(|fact| fact.seq < first.seq);
        earlier.any(|fact| is(&fact.kind))
    };
    assert!(before(
        &|kind| matches!(kind, Kind::Redirected { to, .. } if *to.host == *PUBLIC)
    ));
    assert!(before(
        &|kind| matches!(kind, Kind::SessionBegun { user, .. } if **user == *"alice")
    ));
    assert!(before(&|kind| matches!(
        kind,
        Kind::DoorUsed {
            purpose: twodoors::model::fact::Purpose::Launch,
            ..
        }
    )));
    whole.lab.stop().await;
}
