//! How tunnels and streams go on and end: messages, half-close, closing, cutting.

use tokio::io::duplex;
use tokio::time::sleep;
use twodoors::live::tunnel::Refused;

use super::*;

async fn pair(lab: &Lab) -> (ServerTunnel, ClientTunnel) {
    let (near, far) = duplex(64 * 1024);
    soon(lab.tunnel(near, far)).await
}

async fn stream(server: &ServerTunnel, client: &mut ClientTunnel) -> (TunnelStream, TunnelStream) {
    let wanted = dial("orders");
    let (near, far) = soon(async {
        tokio::join!(server.control.open_transport(&wanted), async {
            transport(&mut client.events).await.accept()
        })
    })
    .await;
    (near.unwrap(), far)
}

#[tokio::test]
async fn gossip_and_advice_reach_the_agent_in_order() {
    let lab = Lab::new();
    let (server, mut client) = pair(&lab).await;
    assert!(server.control.send_discovery(&["p1", "p2"]));
    assert!(server.control.send_discovery(&["p1"]));
    assert!(server.control.advise_reconnect());
    for expected in [&["p1", "p2"][..], &["p1"]] {
        match soon(client.events.recv()).await {
            Some(ClientEvent::Discovery { ids }) => assert_eq!(ids, expected),
            other => panic!("{other:?}"),
        }
    }
    let advice = soon(client.events.recv()).await;
    assert!(matches!(advice, Some(ClientEvent::Advice)), "{advice:?}");
}

#[tokio::test]
async fn a_message_to_an_ended_tunnel_is_not_one_that_waits_in_vain() {
    let lab = Lab::new();
    let (server, client) = pair(&lab).await;
    lab.tasks.stop().await;
    drop(client);
    assert!(server.control.send_discovery(&["p1"]));
}

#[tokio::test]
async fn each_side_of_a_stream_can_end_before_the_other() {
    let lab = Lab::new();
    let (server, mut client) = pair(&lab).await;
    let mut text = String::new();

    let (mut user, mut app) = stream(&server, &mut client).await;
    user.shutdown().await.unwrap();
    soon(app.read_to_string(&mut text)).await.unwrap();
    app.write_all(b"after the user's end").await.unwrap();
    app.shutdown().await.unwrap();
    soon(user.read_to_string(&mut text)).await.unwrap();

    let (mut user, mut app) = stream(&server, &mut client).await;
    app.shutdown().await.unwrap();
    soon(user.read_to_string(&mut text)).await.unwrap();
    user.write_all(b", after the app's end").await.unwrap();
    user.shutdown().await.unwrap();
    soon(app.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "after the user's end, after the app's end");
}

#[tokio::test]
async fn a_stream_dropped_without_an_end_is_an_error_for_the_other_side() {
    let lab = Lab::new();
    let (server, mut client) = pair(&lab).await;
    let (mut user, mut app) = stream(&server, &mut client).await;
    app.write_all(b"half an ans").await.unwrap();
    let mut begun = [0; 11];
    soon(user.read_exact(&mut begun)).await.unwrap();
    drop(app);
    let error = soon(user.read(&mut begun)).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    // What was written before an end arrives even when the stream is dropped right after.
    let (mut user, mut app) = stream(&server, &mut client).await;
    app.write_all(b"whole").await.unwrap();
    app.shutdown().await.unwrap();
    drop(app);
    let mut text = String::new();
    soon(user.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "whole");
}

#[tokio::test]
async fn a_refusal_comes_back_in_the_agents_words() {
    let lab = Lab::new();
    let (server, mut client) = pair(&lab).await;
    let wanted = dial("billing");
    let refuse = async {
        let request = transport(&mut client.events).await;
        assert_eq!(request.dial, wanted);
        request.refuse("no app \"billing\" here");
    };
    let (opened, ()) =
        soon(async { tokio::join!(server.control.open_transport(&wanted), refuse) }).await;
    let refused = Refused::Agent(String::from("no app \"billing\" here"));
    assert_eq!(opened.unwrap_err(), refused);
}

#[tokio::test]
async fn an_agent_that_does_not_answer_is_given_up() {
    let mut lab = Lab::new();
    lab.settings.timeout_dial = Duration::from_millis(200);
    let (server, _client) = pair(&lab).await;
    let opened = soon(server.control.open_transport(&dial("orders"))).await;
    assert!(matches!(opened, Err(Refused::Timeout(_))), "{opened:?}");
}

#[tokio::test]
async fn streams_of_one_tunnel_are_bounded() {
    let lab = Lab::new();
    let (server, mut client) = pair(&lab).await;
    let mut open = Vec::new();
    for _ in 0..tunnel::STREAMS_MAX {
        open.push(stream(&server, &mut client).await);
    }
    let one_more = soon(server.control.open_transport(&dial("orders"))).await;
    assert_eq!(one_more.unwrap_err(), Refused::Busy);
    drop(open);
    // Their places come back once they are closed on the wire.
    let wanted = dial("orders");
    let again = async {
        while let Err(refused) = server.control.open_transport(&wanted).await {
            assert_eq!(refused, Refused::Busy);
            sleep(Duration::from_millis(5)).await;
        }
    };
    let accept = async {
        drop(transport(&mut client.events).await.accept());
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = soon(again) => {}
        () = accept => {}
    }
}

#[tokio::test]
async fn both_sides_learn_that_a_tunnel_was_closed_and_its_streams_break() {
    let lab = Lab::new();
    let (mut server, mut client) = pair(&lab).await;
    let (mut user, mut app) = stream(&server, &mut client).await;
    server.control.close("the proxy stops");
    match soon(client.events.recv()).await {
        Some(ClientEvent::Closed { why }) => assert_eq!(why, "the proxy stops"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        soon(server.events.recv()).await,
        Some(ServerEvent::Closed { .. })
    ));
    soon(user.read(&mut [0; 1])).await.unwrap_err();
    soon(app.read(&mut [0; 1])).await.unwrap_err();
    let opened = soon(server.control.open_transport(&dial("orders"))).await;
    assert!(matches!(opened, Err(Refused::Closed(_))), "{opened:?}");
}

#[tokio::test]
async fn a_tunnel_closes_when_the_agent_lets_go_of_it() {
    let lab = Lab::new();
    let (mut server, client) = pair(&lab).await;
    drop(client);
    let closed = soon(server.events.recv()).await;
    assert!(
        matches!(closed, Some(ServerEvent::Closed { .. })),
        "{closed:?}"
    );
    assert_eq!(soon(server.events.recv()).await, None);
}

#[tokio::test]
async fn a_tunnel_closes_when_the_proxy_lets_go_of_it() {
    let lab = Lab::new();
    let (server, mut client) = pair(&lab).await;
    drop(server);
    let closed = soon(client.events.recv()).await;
    assert!(
        matches!(closed, Some(ClientEvent::Closed { .. })),
        "{closed:?}"
    );
}

#[tokio::test]
async fn a_link_that_breaks_is_noticed_by_both_sides() {
    let lab = Lab::new();
    let (near, mut near_end) = duplex(64 * 1024);
    let (mut far_end, far) = duplex(64 * 1024);
    let cable = lab.tasks.spawn_watching(async move {
        // Ends when the test pulls the cable.
        let _ = tokio::io::copy_bidirectional(&mut near_end, &mut far_end).await;
    });
    let (mut server, mut client) = soon(lab.tunnel(near, far)).await;
    cable.abort();
    let closed = soon(server.events.recv()).await;
    assert!(
        matches!(closed, Some(ServerEvent::Closed { .. })),
        "{closed:?}"
    );
    let closed = soon(client.events.recv()).await;
    assert!(
        matches!(closed, Some(ClientEvent::Closed { .. })),
        "{closed:?}"
    );
}

#[tokio::test]
async fn stopping_the_tasks_ends_a_tunnel_under_load() {
    let lab = Lab::new();
    let (server, mut client) = pair(&lab).await;
    let (mut user, mut app) = stream(&server, &mut client).await;
    let mut buffer = vec![0; 4096];
    let bulk = async { while app.write(b"bulk").await.is_ok() {} };
    let (loaded, load) = tokio::sync::oneshot::channel();
    let read = async {
        let (mut came, mut loaded) = (0, Some(loaded));
        while let Ok(n @ 1..) = user.read(&mut buffer).await {
            came += n;
            // Several windows' worth: credit goes back, bytes go forth.
            if came > tunnel::STREAM_WINDOW * 4
                && let Some(loaded) = loaded.take()
            {
                loaded.send(()).unwrap();
            }
        }
    };
    let stop = async {
        load.await.unwrap();
        lab.tasks.stop().await;
    };
    soon(async { tokio::join!(bulk, read, stop) }).await;
}

/// Writes two windows to one side of a stream whose other side is read slowly or not at all.
async fn write_to_unread(mut writer: TunnelStream, mut reader: TunnelStream, reading: bool) {
    let length = tunnel::STREAM_WINDOW * 2;
    let write = async {
        let written = writer.write_all(&vec![1; length]).await;
        assert_eq!(written.is_ok(), reading);
        if reading {
            writer.shutdown().await.unwrap();
        }
    };
    let read = async {
        let mut buffer = vec![0; 16 * 1024];
        let mut came = 0;
        while reading && came < length {
            // Longer than the stall in sum, never for as long as it at once.
            sleep(Duration::from_millis(50)).await;
            came += reader.read(&mut buffer).await.unwrap();
        }
    };
    soon(async { tokio::join!(write, read) }).await;
}

fn impatient() -> Lab {
    let mut lab = Lab::new();
    lab.settings.stream_stall = Duration::from_millis(200);
    lab
}

#[tokio::test]
async fn an_unread_stream_is_cut_whichever_side_does_not_read() {
    let lab = impatient();
    let (mut server, mut client) = pair(&lab).await;
    let (user, app) = stream(&server, &mut client).await;
    write_to_unread(app, user, false).await;
    match soon(server.events.recv()).await {
        Some(ServerEvent::StreamCut { address, why }) => {
            assert_eq!(address, "orders");
            assert!(why.starts_with("nobody read for 0.2s"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    let (user, app) = stream(&server, &mut client).await;
    write_to_unread(user, app, false).await;
    match soon(client.events.recv()).await {
        Some(ClientEvent::StreamCut { address, .. }) => assert_eq!(address, "orders"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_slowly_read_stream_is_slowed_and_never_cut() {
    let lab = impatient();
    let (server, mut client) = pair(&lab).await;
    let (user, app) = stream(&server, &mut client).await;
    write_to_unread(app, user, true).await;
}

/// An agent that answers requests and then sends without regard to credit.
struct Flood;

impl russh::client::Handler for Flood {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _key: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        Ok(true)
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        mut channel: russh::Channel<russh::client::Msg>,
        _path: &str,
        reply: russh::client::ChannelOpenHandle,
        _session: &mut russh::client::Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Tasks::new().spawn(async move {
            channel.data(&b"{\"ok\":true}\n"[..]).await?;
            let mut asked = 0;
            // The request, and then the word that the user has the answer.
            while asked < 2 {
                if let Some(russh::ChannelMsg::Data { .. }) = channel.wait().await {
                    asked += 1;
                }
            }
            for _ in 0..64 {
                channel.data(&vec![1; 64 * 1024][..]).await?;
            }
            // Held open: it is not this end that closes.
            std::future::pending::<()>().await;
            Ok::<_, russh::Error>(())
        });
        Ok(())
    }
}

#[tokio::test]
async fn a_peer_that_ignores_its_credit_is_cut_at_the_cap_at_once() {
    let lab = Lab::new();
    let (near, far) = duplex(64 * 1024);
    let login = async {
        let config = Arc::new(russh::client::Config::default());
        let mut handle = russh::client::connect_stream(config, far, Flood)
            .await
            .unwrap();
        let (key, certificate) = (lab.agent.key.clone(), lab.agent.certificate.clone());
        let login = handle
            .authenticate_openssh_cert("a1", key, certificate)
            .await;
        assert!(login.unwrap().success());
        // In a tuple, since the handle is itself a future.
        (handle,)
    };
    let (server, _flood) = soon(async { tokio::join!(lab.accept(near), login) }).await;
    let mut server = server.unwrap();
    let mut user = soon(server.control.open_transport(&dial("orders")))
        .await
        .unwrap();
    user.write_all(b"go").await.unwrap();
    // The stall is ten seconds here, so it is not what cuts.
    match timeout(Duration::from_secs(5), server.events.recv())
        .await
        .unwrap()
    {
        Some(ServerEvent::StreamCut { why, .. }) => {
            assert!(why.starts_with("the sender ignored its credit"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    let error = soon(user.read(&mut [0; 1])).await.unwrap_err();
    assert!(error.to_string().starts_with("stream cut"), "{error}");
    // The tunnel itself goes on.
    soon(server.control.open_transport(&dial("orders")))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_link_that_swallows_everything_is_noticed_by_keepalives() {
    let mut lab = Lab::new();
    lab.settings.keepalive_interval = Duration::from_millis(100);
    let (near, mut near_end) = duplex(64 * 1024);
    let (mut far_end, far) = duplex(64 * 1024);
    let (swallow, swallowing) = tokio::sync::oneshot::channel::<()>();
    lab.tasks.spawn_watching(async move {
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near_end, &mut far_end) => {}
            _ = swallowing => std::future::pending().await,
        }
    });
    let (mut server, mut client) = soon(lab.tunnel(near, far)).await;
    // Healthy and idle for longer than it takes to notice a dead one.
    let quiet = timeout(Duration::from_millis(800), server.events.recv()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    swallow.send(()).unwrap();
    let closed = soon(server.events.recv()).await;
    assert!(
        matches!(closed, Some(ServerEvent::Closed { .. })),
        "{closed:?}"
    );
    let closed = soon(client.events.recv()).await;
    assert!(
        matches!(closed, Some(ClientEvent::Closed { .. })),
        "{closed:?}"
    );
}

#[tokio::test]
async fn an_idle_stream_with_little_unread_is_left_alone() {
    let mut lab = Lab::new();
    lab.settings.stream_stall = Duration::from_millis(50);
    let (mut server, mut client) = pair(&lab).await;
    let (mut user, mut app) = stream(&server, &mut client).await;
    app.write_all(&[1; 1001]).await.unwrap();
    soon(user.read_exact(&mut [0; 1])).await.unwrap();
    // A cut takes at most two stalls: three neighbours with more unread are cut in this time.
    for _ in 0..3 {
        let (_neighbour, mut busy) = stream(&server, &mut client).await;
        busy.write_all(&vec![1; tunnel::STREAM_WINDOW])
            .await
            .unwrap();
        let cut = soon(server.events.recv()).await;
        assert!(
            matches!(cut, Some(ServerEvent::StreamCut { .. })),
            "{cut:?}"
        );
    }
    let mut came = [0; 1000];
    soon(user.read_exact(&mut came)).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_is_cut_after_its_end_came_is_no_whole() {
    let lab = impatient();
    let (mut server, mut client) = pair(&lab).await;
    let (mut user, mut app) = stream(&server, &mut client).await;
    app.write_all(&[1; 200_000]).await.unwrap();
    app.shutdown().await.unwrap();
    let cut = soon(server.events.recv()).await;
    assert!(
        matches!(cut, Some(ServerEvent::StreamCut { .. })),
        "{cut:?}"
    );
    let read = soon(user.read_to_end(&mut Vec::new())).await;
    assert!(
        read.as_ref()
            .is_err_and(|e| e.to_string().starts_with("stream cut")),
        "{read:?}"
    );
}

#[tokio::test]
async fn a_stream_is_closed_when_the_other_side_left_and_not_when_one_direction_ended() {
    let lab = Lab::new();
    let (server, mut client) = pair(&lab).await;

    // A request has ended, and its answer is still awaited.
    let (mut user, mut app) = stream(&server, &mut client).await;
    let closed = app.closed();
    tokio::pin!(closed);
    user.shutdown().await.unwrap();
    soon(app.read_to_end(&mut Vec::new())).await.unwrap();
    app.write_all(b"answer").await.unwrap();
    soon(user.read_exact(&mut [0; 6])).await.unwrap();
    let early = is_ready(closed.as_mut()).await;
    assert!(!early, "half an end is not the end");
    // The user leaves although the answer is not whole.
    drop(user);
    soon(closed).await;

    // The tunnel goes.
    let (user, app) = stream(&server, &mut client).await;
    server.control.close("the proxy stops");
    soon(user.closed()).await;
    soon(app.closed()).await;
}

/// Tells whether a future is ready at this moment.
async fn is_ready(mut future: Pin<&mut impl Future<Output = ()>>) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}
