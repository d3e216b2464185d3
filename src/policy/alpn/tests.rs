use super::*;

fn check(listener: Port, alpn: &[&str], expected: Result<(Service, Option<&str>), &str>) {
    let classified = classify(listener, Some("proxy.example.com"), alpn);
    match (&classified.service, expected) {
        (Ok(service), Ok((wanted, protocol))) => {
            assert_eq!(
                (*service, classified.protocol),
                (wanted, protocol),
                "{alpn:?}"
            );
        }
        (Err(refusal), Err(part)) => {
            assert!(refusal.to_string().contains(part), "{alpn:?}: {refusal}");
            assert_eq!(classified.protocol, None);
        }
        _ => panic!("{listener} {alpn:?}: {classified:?}, expected {expected:?}"),
    }
}

#[test]
fn the_first_offer_in_the_clients_order_that_is_served_wins() {
    let tunnel = Ok((Service::ReverseTunnel, Some(REVERSE_TUNNEL)));
    let check = |alpn: &[&str], expected| check(Port::Web, alpn, expected);
    check(&[], Ok((Service::Web, None)));
    check(&[HTTP], Ok((Service::Web, Some(HTTP))));
    check(&[H2, HTTP], Ok((Service::Web, Some(H2))));
    check(&[HTTP, H2], Ok((Service::Web, Some(HTTP))));
    check(&[REVERSE_TUNNEL], tunnel);
    check(&[REVERSE_TUNNEL_V2, REVERSE_TUNNEL], tunnel);
    check(&[HTTP, REVERSE_TUNNEL], Ok((Service::Web, Some(HTTP))));
    check(&[POSTGRES], Ok((Service::Database, Some(POSTGRES))));
    check(&[TCP], Ok((Service::Tcp, Some(TCP))));
    check(
        &[POSTGRES_PING, POSTGRES],
        Ok((Service::Database, Some(POSTGRES_PING))),
    );
    check(
        &[POSTGRES, POSTGRES_PING],
        Ok((Service::Database, Some(POSTGRES))),
    );
    check(&["teleport-tcp-ping", TCP], Ok((Service::Tcp, Some(TCP))));
}

#[test]
fn what_teleport_serves_and_twodoors_does_not_is_said_and_ends_the_walk() {
    let check = |alpn: &[&str], what| check(Port::Web, alpn, Err(what));
    for (name, what) in NOT_CARRIED {
        check(&[name, HTTP], what);
    }
    for name in ["teleport-mysql-ping", "teleport-mysql-OC4wLjI4"] {
        check(&[name], "does not carry MySQL");
    }
    check(&["teleport-redis-ping"], "does not carry Redis");
    check(&["teleport-auth@lab"], "the way to Auth");
    check(&["teleport-tcp-ping"], "TCP apps in ping frames");
}

#[test]
fn names_of_kubernetes_beat_every_protocol_and_others_only_begin_alike() {
    let classify = |sni| classify(Port::Web, Some(sni), &[HTTP]).service;
    let kube = classify("kube-teleport-proxy-alpn.proxy.example.com");
    assert_eq!(kube, Err(Refusal::NotCarried { what: "Kubernetes" }));
    assert_eq!(classify("kube.proxy.example.com"), Ok(Service::Web));
}

#[test]
fn the_tunnel_listener_has_the_minimal_web_api_and_no_tunnels_over_tls() {
    let check = |alpn: &[&str], expected| check(Port::Tunnel, alpn, expected);
    check(&[], Ok((Service::WebMinimal, None)));
    check(&[HTTP], Ok((Service::WebMinimal, Some(HTTP))));
    check(&[REVERSE_TUNNEL, H2], Ok((Service::WebMinimal, Some(H2))));
    check(&[REVERSE_TUNNEL], Err("failed to find ALPN handler"));
    check(&[POSTGRES], Err("failed to find ALPN handler"));
    check(&["teleport-proxy-grpc"], Err("gRPC for nodes that join"));
}

#[test]
fn other_listeners_have_one_protocol_each() {
    check(Port::Peer, &[], Ok((Service::Peer, None)));
    check(
        Port::Postgres,
        &["postgresql"],
        Ok((Service::Database, None)),
    );
    check(Port::Ssh, &[HTTP], Err("SSH of users"));
    check(Port::Kube, &[], Err("Kubernetes"));
    check(Port::Mysql, &[], Err("MySQL"));
    check(Port::Mongo, &[], Err("MongoDB"));
}

#[test]
fn what_is_unknown_is_refused_in_the_words_of_the_reference() {
    for alpn in [
        [REVERSE_TUNNEL_V2, "acme-tls/1"],
        ["HTTP/1.1", "teleport"],
        ["teleport-proxy-ssh-ping", "teleport-postgresx"],
    ] {
        let refused = classify(Port::Web, None, &alpn).service;
        let words = format!(
            "failed to find ALPN handler based on received client supported protocols [{}]",
            alpn.join(" ")
        );
        assert_eq!(refused.map_err(|refusal| refusal.to_string()), Err(words));
    }
}

#[test]
fn a_long_list_is_shown_in_part_and_looked_at_in_part() {
    let long = vec!["x".repeat(255); 29_000];
    let Err(refusal) = classify(Port::Web, None, &long).service else {
        panic!("nothing of it is served")
    };
    let text = refusal.to_string();
    assert!(
        text.len() < 2_000 && text.ends_with("and 28984 more]"),
        "{text}"
    );
    let mut late = vec!["x"; OFFERED_MAX];
    late.push(HTTP);
    assert!(classify(Port::Web, None, &late).service.is_err());
    assert!(classify(Port::Web, None, &late[1..]).service.is_ok());
}

#[test]
fn an_agent_offers_by_mode_and_strategy() {
    let peering = Strategy::ProxyPeering { connections: 2 };
    assert_eq!(offers(true, Strategy::AgentMesh), [REVERSE_TUNNEL]);
    assert_eq!(offers(true, peering), [REVERSE_TUNNEL_V2, REVERSE_TUNNEL]);
    assert!(offers(false, peering).is_empty());
}
