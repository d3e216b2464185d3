use super::*;
use crate::model::fact::Act;
use crate::policy::proxy::Input;
use crate::policy::testing::Bench;

#[test]
fn a_parameter_is_read_as_it_was_written() {
    for text in ["/", "/a b?c=d&e=%", "/ä/../x#y"] {
        let path = format!("/x?other=1&path={}", escaped(text));
        assert_eq!(parameter(&path, "path").as_deref(), Some(text));
    }
    for broken in [
        "/x?path=%",
        "/x?path=%4",
        "/x?path=%zz",
        "/x?path=%FF",
        "/x",
    ] {
        assert_eq!(parameter(broken, "path"), None, "{broken}");
    }
}

#[test]
fn only_a_path_on_the_same_host_is_local() {
    for path in ["/", "/a", "/a//b?c=//d"] {
        assert!(is_local(path), "{path}");
    }
    let long = format!("/{}", "x".repeat(PATH_MAX));
    for path in [
        "",
        "a",
        "//evil.example",
        "/\\evil.example",
        "https://a",
        "/\t/a",
        &long,
    ] {
        assert!(!is_local(path), "{path}");
    }
}

#[test]
fn the_port_of_https_is_left_out() {
    let at = |port| HostPort {
        host: "a.example".into(),
        port,
    };
    assert_eq!(location(&at(443), "/x"), "https://a.example/x");
    assert_eq!(location(&at(3080), "/"), "https://a.example:3080/");
}

const ORDERS: &str = "orders.proxy.example.com:3080";

/// A pool with the public addresses `proxy.example.com:3080` and `second.example.com:443`, whose
/// apps `orders` and `kiosk` want sessions.
fn pool() -> Bench<Proxy> {
    let mut bench = Bench::new(Proxy::new(0, &"1".into()));
    let public = &mut bench.topology.pool.teleport.public;
    public.push(HostPort {
        host: "second.example.com".into(),
        port: 443,
    });
    for agent in &mut bench.topology.agents {
        agent.apps[0].login = true;
    }
    bench.feed(Input::Operate(Act::Start));
    bench
}

fn ask(
    bench: &mut Bench<Proxy>,
    (host, path): (&str, &str),
    session: Option<&str>,
) -> Outbox<Output> {
    bench.feed(Input::RequestRead {
        client: ClientAddr("127.20.0.21:4000".parse().unwrap()),
        host: host.to_owned(),
        path: path.to_owned(),
        session: session.map(Name::from),
    })
}

/// Gives where a request is led, and the secret that comes with it.
fn led(bench: &mut Bench<Proxy>, asked: (&str, &str), session: Option<&str>) -> (String, String) {
    let out = ask(bench, asked, session);
    let [Output::Redirect { to, path, login }] = &out.outputs[..] else {
        panic!("{out:?}")
    };
    let secret = match login {
        None => String::from("none"),
        Some(Login::Launch { user, host }) => format!("token of {user} for {host}"),
        Some(Login::Session { user, host }) => format!("session of {user} for {host}"),
    };
    (location(to, path), secret)
}

fn status(out: &Outbox<Output>) -> Option<u16> {
    match out.outputs[..] {
        [Output::RefuseRequest { status, .. }] => Some(status),
        _ => None,
    }
}

#[test]
fn a_request_without_a_session_goes_the_way_of_teleports_login() {
    let mut bench = pool();
    assert_eq!(
        led(&mut bench, (ORDERS, "/a?b=c"), None),
        (
            String::from(
                "https://proxy.example.com:3080/web/launch/orders.proxy.example.com?path=%2Fa%3Fb%3Dc"
            ),
            String::from("none")
        )
    );
    let page = "/web/launch/orders.proxy.example.com?path=%2Fa%3Fb%3Dc";
    assert_eq!(
        led(&mut bench, ("proxy.example.com:3080", page), None),
        (
            String::from("https://orders.proxy.example.com:3080/x-teleport-auth?path=%2Fa%3Fb%3Dc"),
            String::from("token of alice for orders.proxy.example.com")
        )
    );
    let auth = "/x-teleport-auth?path=%2Fa%3Fb%3Dc";
    assert_eq!(
        led(&mut bench, (ORDERS, auth), Some("alice")),
        (
            String::from("https://orders.proxy.example.com:3080/a?b=c"),
            String::from("session of alice for orders.proxy.example.com")
        )
    );
    // With it the request reaches routing, where this pool has no tunnel.
    assert_eq!(
        status(&ask(&mut bench, (ORDERS, "/a"), Some("alice"))),
        Some(404)
    );
}

#[test]
fn a_session_begins_with_a_fact_and_a_token_that_does_not_hold_is_refused() {
    let mut bench = pool();
    let auth = (ORDERS, "/x-teleport-auth?path=%2F");
    let out = ask(&mut bench, auth, Some("alice"));
    assert!(
        matches!(&out.facts[..], [Kind::SessionBegun { app, user, .. }]
            if &**app == "orders" && &**user == "alice"),
        "{out:?}"
    );
    let out = ask(&mut bench, auth, None);
    assert_eq!(status(&out), Some(403));
    assert!(out.facts.is_empty());
}

#[test]
fn the_first_public_address_has_the_login_whatever_name_the_user_came_by() {
    // #16046: a user whose network cannot reach the first one fails at this hop.
    let mut bench = pool();
    let (page, _) = led(&mut bench, ("orders.second.example.com", "/"), None);
    assert_eq!(
        page,
        "https://proxy.example.com:3080/web/launch/orders.second.example.com?path=%2F"
    );
    let path = "/web/launch/orders.second.example.com?path=%2F";
    let (back, _) = led(&mut bench, ("proxy.example.com:3080", path), None);
    assert_eq!(
        back,
        "https://orders.second.example.com/x-teleport-auth?path=%2F"
    );
}

#[test]
fn a_login_leads_nowhere_but_to_the_pools_own_apps() {
    let mut bench = pool();
    for (page, expected) in [
        ("/web/launch/evil.example", 404),
        ("/web/launch/proxy.example.com", 404),
        ("/web/launch/unknown.proxy.example.com", 404),
        ("/web/launch/orders.proxy.example.com.evil.example", 404),
        ("/web/launch/", 404),
        (
            "/web/launch/orders.proxy.example.com?path=%2F%2Fevil.example",
            400,
        ),
        (
            "/web/launch/orders.proxy.example.com?path=https%3A%2F%2Fevil.example",
            400,
        ),
        (
            "/web/launch/orders.proxy.example.com?path=%2F%5Cevil.example",
            400,
        ),
        (
            "/web/launch/orders.proxy.example.com?path=%2F%0D%0AX:y",
            400,
        ),
    ] {
        let out = ask(&mut bench, ("proxy.example.com", page), None);
        assert_eq!(status(&out), Some(expected), "{page}: {out:?}");
    }
    // A session's own way back: a path that could leave becomes the app's first page.
    let auth = "/x-teleport-auth?path=%2F%2Fevil.example";
    let (back, _) = led(&mut bench, (ORDERS, auth), Some("alice"));
    assert_eq!(back, "https://orders.proxy.example.com:3080/");
    let (page, _) = led(&mut bench, (ORDERS, "//evil.example"), None);
    assert!(page.ends_with("?path=%2F"), "{page}");
}

#[test]
fn an_app_without_login_is_open_as_before() {
    let mut bench = pool();
    bench.topology.agents[0].apps[0].login = false;
    assert_eq!(status(&ask(&mut bench, (ORDERS, "/"), None)), Some(404));
    assert_eq!(status(&ask(&mut bench, (ORDERS, AUTH), None)), Some(404));
    // Its neighbour still wants one.
    led(&mut bench, ("kiosk.proxy.example.com", "/"), None);
}

#[test]
fn without_a_public_address_nothing_is_an_app() {
    let mut bench = pool();
    bench.topology.pool.teleport.public.clear();
    let out = ask(&mut bench, (ORDERS, "/"), None);
    assert_eq!(out.outputs, [Output::ServeWebApi]);
}

#[test]
fn who_comes_from_no_users_address_logs_in_as_a_guest() {
    let mut bench = pool();
    let out = bench.feed(Input::RequestRead {
        client: ClientAddr("127.20.0.99:4000".parse().unwrap()),
        host: String::from("proxy.example.com"),
        path: String::from("/web/launch/orders.proxy.example.com"),
        session: None,
    });
    assert!(
        matches!(&out.outputs[..], [Output::Redirect { login: Some(Login::Launch { user, .. }), .. }]
            if &**user == GUEST),
        "{out:?}"
    );
}
