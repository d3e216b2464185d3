//! Who may hold a tunnel: host keys, logins, claims, deadlines, ALPN.

use russh::keys::ssh_key::certificate::{Builder, CertType};
use tokio::io::duplex;

use super::*;

/// A certificate with something that an authority would not put into it.
fn certificate(lab: &Lab, change: impl FnOnce(&mut Builder)) -> HostIdentity {
    odd(&lab.authority, now() - 60, now() + 60, change)
}

fn odd(
    authority: &Authority,
    from: u64,
    to: u64,
    change: impl FnOnce(&mut Builder),
) -> HostIdentity {
    let key = authority.key().unwrap();
    let mut builder = Builder::new([7; 32], key.public_key(), from, to).unwrap();
    builder.key_id("odd").unwrap();
    change(&mut builder);
    // Fails when the change has set another one, which then stands.
    let _ = builder.cert_type(CertType::Host);
    HostIdentity {
        certificate: authority.sign(builder).unwrap(),
        key: Arc::new(key),
    }
}

fn named(names: &[&str]) -> impl FnOnce(&mut Builder) {
    move |builder| {
        for name in names {
            builder.valid_principal(*name).unwrap();
        }
    }
}

/// Shows `proxy` to the agent and gives the agent's error.
async fn shown(mut lab: Lab, proxy: HostIdentity) -> String {
    lab.proxy = proxy;
    let (near, far) = duplex(64 * 1024);
    let (server, client) = soon(async { tokio::join!(lab.accept(near), lab.connect(far)) }).await;
    assert!(server.is_err(), "the proxy must not get a login");
    client.unwrap_err().to_string()
}

/// Logs in with `agent` and gives the agent's and the proxy's error.
async fn login(mut lab: Lab, agent: HostIdentity) -> (String, String) {
    lab.agent = agent;
    let (near, far) = duplex(64 * 1024);
    let (server, client) = soon(async { tokio::join!(lab.accept(near), lab.connect(far)) }).await;
    (
        client.unwrap_err().to_string(),
        server.unwrap_err().to_string(),
    )
}

#[tokio::test]
async fn a_host_key_without_the_dialled_name_is_refused_in_the_words_of_teleport() {
    let lab = Lab::new();
    let proxy = certificate(&lab, named(&["p1.lab", "external_proxy.example.com"]));
    assert_eq!(
        shown(lab, proxy).await,
        "ssh: principal \"internal_proxy.example.com\" not in the set of valid principals for \
         given certificate: [\"p1.lab\" \"external_proxy.example.com\"]"
    );
}

#[tokio::test]
async fn a_host_key_of_another_authority_is_refused() {
    let other = Authority::new(now()).unwrap();
    let proxy = odd(&other, now() - 60, now() + 60, named(&[DIALLED]));
    assert_eq!(
        shown(Lab::new(), proxy).await,
        "ssh: no authorities for hostname: internal_proxy.example.com"
    );
}

#[tokio::test]
async fn a_host_key_out_of_its_time_is_refused() {
    let lab = Lab::new();
    let proxy = odd(&lab.authority, now() - 60, now() - 30, named(&[DIALLED]));
    assert_eq!(shown(lab, proxy).await, "ssh: cert has expired");
    let lab = Lab::new();
    let proxy = odd(&lab.authority, now() + 60, now() + 90, named(&[DIALLED]));
    assert_eq!(shown(lab, proxy).await, "ssh: cert is not yet valid");
}

#[tokio::test]
async fn a_user_certificate_is_no_host_key() {
    let lab = Lab::new();
    let proxy = certificate(&lab, |builder| {
        builder.cert_type(CertType::User).unwrap();
        named(&[DIALLED])(builder);
    });
    assert_eq!(
        shown(lab, proxy).await,
        "ssh: certificate presented as a host key has type 1"
    );
}

#[tokio::test]
async fn a_plain_host_key_is_refused() {
    let lab = Lab::new();
    // A certificate of another key is not shown at all, which leaves the plain key.
    let mut proxy = certificate(&lab, named(&[DIALLED]));
    proxy.key = Arc::new(lab.authority.key().unwrap());
    assert_eq!(shown(lab, proxy).await, "ssh: non-certificate host key");
}

#[tokio::test]
async fn a_host_key_for_everyone_or_with_conditions_is_refused() {
    let lab = Lab::new();
    let proxy = certificate(&lab, |builder| {
        builder.all_principals_valid().unwrap();
    });
    assert_eq!(
        shown(lab, proxy).await,
        "ssh: certificate without principals"
    );
    let lab = Lab::new();
    let proxy = certificate(&lab, |builder| {
        named(&[DIALLED])(builder);
        builder
            .critical_option("source-address", "10.0.0.0/8")
            .unwrap();
    });
    assert_eq!(
        shown(lab, proxy).await,
        "ssh: unsupported critical option \"source-address\" in certificate"
    );
}

#[tokio::test]
async fn a_claim_refused_inside_the_handshake_keeps_its_own_words() {
    let lab = Lab::new();
    let (near, far) = duplex(64 * 1024);
    let judge = |shown: principals::Shown| {
        let id = principals::host_id(&shown.principals).unwrap();
        Err(format!("{id}: proxy already claimed"))
    };
    let (settings, tasks) = (&lab.settings, &lab.tasks);
    let connect = tunnel::connect(far, &lab.agent, &lab.trust, judge, settings, tasks);
    let (server, client) = soon(async { tokio::join!(lab.accept(near), connect) }).await;
    assert!(server.is_err());
    let error = client.unwrap_err();
    assert!(matches!(error, TunnelError::HostKey(_)));
    assert_eq!(error.to_string(), "p1: proxy already claimed");
}

const NO_METHODS: &str =
    "ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain";

fn agent(names: &[&str], role: Option<&str>) -> impl FnOnce(&mut Builder) {
    move |builder| {
        named(names)(builder);
        if let Some(role) = role {
            builder.extension("x-teleport-role", role).unwrap();
        }
    }
}

#[tokio::test]
async fn an_agent_cannot_log_in_with_the_name_of_another() {
    let lab = Lab::new();
    // The first principal, which the agent logs in by, is another's host id and not in the list.
    let odd_one = certificate(&lab, agent(&["a2.lab", "a1"], Some("App")));
    let (seen, known) = login(lab, odd_one).await;
    assert_eq!(seen, NO_METHODS);
    assert!(known.contains("principal \"a2\" not in the set"), "{known}");
}

#[tokio::test]
async fn a_login_without_a_trusted_agent_certificate_is_refused() {
    let other = Authority::new(now()).unwrap();
    let foreign = odd(
        &other,
        now() - 60,
        now() + 60,
        agent(&["a1.lab", "a1"], Some("App")),
    );
    let (seen, known) = login(Lab::new(), foreign).await;
    assert_eq!(seen, NO_METHODS);
    assert_eq!(known, "login refused: ssh: no authorities for hostname: a1");

    let lab = Lab::new();
    let late = odd(
        &lab.authority,
        10,
        20,
        agent(&["a1.lab", "a1"], Some("App")),
    );
    assert_eq!(login(lab, late).await.0, NO_METHODS);
}

#[tokio::test]
async fn a_proxy_and_a_host_without_a_role_cannot_log_in_as_agents() {
    let lab = Lab::new();
    let proxy = certificate(&lab, agent(&["p2.lab", "p2"], Some("Proxy")));
    let known = login(lab, proxy).await.1;
    assert_eq!(known, "login refused: a proxy cannot log in as an agent");
    let lab = Lab::new();
    let nobody = certificate(&lab, agent(&["a1.lab", "a1"], None));
    let known = login(lab, nobody).await.1;
    assert_eq!(known, "login refused: the certificate has no role");
}

#[tokio::test]
async fn the_odd_certificates_of_these_tests_are_accepted_without_their_oddness() {
    let mut lab = Lab::new();
    lab.proxy = certificate(&lab, named(&["p1.lab", DIALLED]));
    lab.agent = certificate(&lab, agent(&["a1.lab", "a1"], Some("App")));
    let (near, far) = duplex(64 * 1024);
    let (server, _client) = soon(lab.tunnel(near, far)).await;
    assert_eq!(agent_of(&server).host_id, "a1");
}

#[tokio::test]
async fn a_silent_peer_is_dropped_at_the_deadline() {
    let mut lab = Lab::new();
    lab.settings.timeout_login = Duration::from_millis(200);
    let (near, mut far) = duplex(64 * 1024);
    let error = soon(lab.accept(near)).await.unwrap_err();
    assert!(matches!(error, TunnelError::Timeout(_)), "{error}");
    // The link is closed, not only given up.
    let mut rest = Vec::new();
    soon(far.read_to_end(&mut rest)).await.unwrap();

    let (near, mut far) = duplex(64 * 1024);
    let error = soon(lab.connect(near)).await.unwrap_err();
    assert!(matches!(error, TunnelError::Timeout(_)), "{error}");
    soon(far.read_to_end(&mut rest)).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_speaks_ssh_but_never_logs_in_is_dropped_at_the_deadline() {
    let mut lab = Lab::new();
    lab.settings.timeout_login = Duration::from_millis(500);
    let (near, mut far) = duplex(64 * 1024);
    let idle = async {
        far.write_all(b"SSH-2.0-idle\r\n").await.unwrap();
        let mut rest = Vec::new();
        // Ends with the link, however it is closed.
        let _ = far.read_to_end(&mut rest).await;
        rest
    };
    let (server, said) = soon(async { tokio::join!(lab.accept(near), idle) }).await;
    assert!(matches!(server, Err(TunnelError::Timeout(_))));
    assert!(said.starts_with(b"SSH-2.0-"));
}

#[tokio::test]
async fn a_client_whose_protocols_are_not_served_gets_the_alert() {
    let authority = Authority::new(now()).unwrap();
    let names = [String::from("internal_proxy.example.com")];
    let server = tls::Server::new(authority.issue_web(&names, now()).unwrap());
    let roots = Arc::new(authority.roots());
    let (near, far) = duplex(64 * 1024);
    let proxy = async {
        let hello = tls::Hello::read(near).await.unwrap();
        let classified = alpn::classify(Port::Web, hello.sni.as_deref(), &hello.alpn);
        assert!(classified.service.is_err());
        hello.refuse(&server).await;
    };
    let client = tls::connect(far, DIALLED, &["imap"], Arc::clone(&roots));
    let ((), client) = soon(async { tokio::join!(proxy, client) }).await;
    let error = client.unwrap_err().to_string();
    assert!(
        error.to_lowercase().contains("noapplicationprotocol"),
        "{error}"
    );

    // A name that the certificate does not hold is the client's refusal.
    let (near, far) = duplex(64 * 1024);
    let proxy = async {
        let hello = tls::Hello::read(near).await.unwrap();
        assert!(hello.finish(&server, Some("http/1.1")).await.is_err());
    };
    let client = tls::connect(far, "other.example.com", &["http/1.1"], roots);
    let ((), client) = soon(async { tokio::join!(proxy, client) }).await;
    let error = client.unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "{error}");
}

/// A user certificate, under the login that our own end takes for it: the first principal.
fn user(names: &'static [&'static str]) -> impl FnOnce(&mut Builder) {
    move |builder| {
        builder.cert_type(CertType::User).unwrap();
        named(names)(builder);
    }
}

#[tokio::test]
async fn a_user_certificate_makes_a_stand_in_that_may_not_speak_as_an_agent() {
    let mut lab = Lab::new();
    lab.agent = certificate(&lab, user(&["stand-in"]));
    let (near, far) = duplex(64 * 1024);
    let (server, client) = soon(async { tokio::join!(lab.accept(near), lab.connect(far)) }).await;
    let login = Login::StandIn {
        name: String::from("odd"),
    };
    assert_eq!(server.unwrap().login, login);
    let error = client.unwrap_err();
    assert!(matches!(error, TunnelError::Heartbeat(_)), "{error}");
}

#[tokio::test]
async fn a_user_certificate_is_checked_as_an_agents_is() {
    let lab = Lab::new();
    let other = certificate(&lab, user(&["stand-in.lab", "somebody"]));
    let (seen, known) = login(lab, other).await;
    assert_eq!(seen, NO_METHODS);
    assert!(
        known.contains("principal \"stand-in\" not in the set"),
        "{known}"
    );

    let foreign = Authority::new(now()).unwrap();
    let foreign = odd(&foreign, now() - 60, now() + 60, user(&["stand-in"]));
    let (_, known) = login(Lab::new(), foreign).await;
    assert!(known.contains("no authorities for hostname"), "{known}");

    let lab = Lab::new();
    let late = odd(&lab.authority, 10, 20, user(&["stand-in"]));
    assert_eq!(login(lab, late).await.0, NO_METHODS);
}
