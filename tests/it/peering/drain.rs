//! Drains and late heartbeats of a whole lab: what stands goes on, what is new goes elsewhere.

use twodoors::model::fault::{Effect, Fault, Target};
use twodoors::model::id::FaultId;
use twodoors::model::time::Span;
use twodoors::policy::faults::Faults;

use super::*;

/// An upload that is echoed and goes on when the test says so. While it waits nothing stands unread,
/// so it may wait for long: a stream that nobody reads would be cut (`STREAM_STALL`).
struct Upload(TlsStream<TcpStream>);

impl Upload {
    /// How many bytes are sent and read at a time, and how often before the wait and after it.
    const PIECE: usize = 64 * 1024;
    const PIECES: [u8; 2] = [2, 14];

    /// Sends the head and the first pieces through the first proxy, and reads them back.
    async fn begin(whole: &Whole, app: &str) -> Self {
        let mut user = connect(whole, 0, app).await;
        let length = usize::from(Self::PIECES[0] + Self::PIECES[1]) * Self::PIECE;
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: {app}.proxy.example.com:3080\r\nContent-Length: {length}\r\n\r\n"
        );
        user.write_all(head.as_bytes()).await.unwrap();
        let mut upload = Self(user);
        // The answer begins when some of the body has come.
        upload.0.write_all(&vec![0; Self::PIECE]).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(upload.0.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 200"), "{}", head.escape_ascii());
        upload.echoed(0).await;
        for piece in 1..Self::PIECES[0] {
            upload.0.write_all(&vec![piece; Self::PIECE]).await.unwrap();
            upload.echoed(piece).await;
        }
        upload
    }

    /// Sends the rest and reads all of it back.
    async fn finish(mut self) {
        for piece in Self::PIECES[0]..Self::PIECES[0] + Self::PIECES[1] {
            self.0.write_all(&vec![piece; Self::PIECE]).await.unwrap();
            self.echoed(piece).await;
        }
    }

    async fn echoed(&mut self, piece: u8) {
        let mut bytes = vec![0xff; Self::PIECE];
        let read = tokio::time::timeout(STEP, self.0.read_exact(&mut bytes)).await;
        read.expect("a piece comes back in time").unwrap();
        assert!(
            bytes.iter().all(|byte| *byte == piece),
            "piece {piece} came back otherwise"
        );
    }
}

/// A lab whose every agent is reached through its own tunnel to every proxy. A tunnel that was made
/// a moment ago is not used before its first heartbeat.
async fn served_everywhere() -> Whole {
    let whole = lab(|topology| topology.users.clear()).await;
    whole.mesh().await;
    for proxy in 0..3 {
        for app in AGENTS {
            ask_until(&whole, proxy, app, 200).await;
        }
    }
    whole
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_lets_open_streams_finish_and_moves_every_agent_at_once() {
    let whole = served_everywhere().await;
    let upload = Upload::begin(&whole, "orders").await;
    // One who is connected and asks later.
    let mut late = connect(&whole, 0, "billing").await;
    let since = whole.seq();
    whole.operate("proxy/1", Act::Drain).await;
    for agent in AGENTS {
        let advised = |fact: &Fact| {
            fact.node == Node::Agent(agent.into())
                && matches!(&fact.kind, Kind::Advised { proxy } if **proxy == *"1")
        };
        whole
            .fact(("each agent is advised", STEP), since, advised)
            .await;
    }
    for agent in ["billing", "wiki", "kiosk"] {
        let removed = |fact: &Fact| {
            fact.node == Node::Proxy("1".into())
                && matches!(&fact.kind, Kind::TunnelRemoved { agent: gone, .. } if **gone == *agent)
        };
        whole.fact(("idle tunnels go", STEP), since, removed).await;
    }
    // What is new here is refused and counted; the tunnel of orders is there and drains.
    send(&mut late, "billing", "/").await;
    let refused = read(&mut late).await;
    assert_eq!(refused.status, 502, "{refused:?}");
    assert!(
        refused.text.contains("no app reverse tunnel for"),
        "{refused:?}"
    );
    let counted = |fact: &Fact| matches!(fact.kind, Kind::NoTunnel { .. });
    whole
        .fact(("the refusal is counted", STEP), since, counted)
        .await;
    // New requests are served by the others meanwhile.
    assert_eq!(ask(&whole, 1, "orders", "/").await.status, 200);
    let drained =
        |fact: &Fact| fact.node == Node::Proxy("1".into()) && matches!(fact.kind, Kind::Drained);
    let early = whole.facts();
    assert!(
        !early.iter().any(|fact| fact.seq > since && drained(fact)),
        "it waits for the open stream"
    );
    // The open stream is whole.
    upload.finish().await;
    whole
        .fact(("the drain is over", STEP), since, drained)
        .await;
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_whose_heartbeats_stop_is_offline() {
    let whole = lab(|topology| {
        topology.users.clear();
        topology.pool.teleport.keep_alive = Span::from_secs(2);
        topology.pool.teleport.keep_alive_max = 2;
    })
    .await;
    let since = whole.seq();
    // Its clockwork stands still, and its sockets answer: no heartbeat comes.
    let target = Target::Node(Node::Agent("orders".into()));
    let effect = Effect::Pause;
    let faults = Faults::default().with(FaultId(1), Fault { target, effect });
    whole.lab.set_faults(faults);
    let offline = |fact: &Fact| {
        matches!(&fact.kind, Kind::TunnelOffline { agent, silent, .. }
            if **agent == *"orders" && *silent >= Span::from_secs(4))
    };
    whole
        .fact(("its tunnel is offline", STEP), since, offline)
        .await;
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_load_finishes_what_is_open_and_counts_what_it_refuses() {
    /// How many streams are open.
    const OPEN: usize = 6;
    let whole = served_everywhere().await;
    let mut open = Vec::new();
    for place in 0..OPEN {
        open.push(Upload::begin(&whole, AGENTS[place % 2]).await);
    }
    // Those who are connected and ask later, some for agents whose tunnels have open streams.
    let mut late = Vec::new();
    for app in AGENTS.iter().cycle().take(2 * AGENTS.len()) {
        late.push((*app, connect(&whole, 0, app).await));
    }
    let since = whole.seq();
    whole.operate("proxy/1", Act::Drain).await;
    for agent in AGENTS {
        let node = Node::Agent(agent.into());
        let advised = |fact: &Fact| fact.node == node && matches!(fact.kind, Kind::Advised { .. });
        let advised = whole.fact(("each is advised", STEP), since, advised).await;
        let dialled = |fact: &Fact| fact.node == node && matches!(fact.kind, Kind::DoorUsed { .. });
        let wait = ("each dials again", STEP);
        let dialled = whole.fact(wait, advised.seq, dialled).await;
        // By the next look for a lease, a second at most, and what a busy machine adds.
        let took = Duration::from(dialled.at.since(advised.at));
        assert!(took < STEP / 2, "{agent} moved {took:?} after the advice");
    }
    let (mut asked, mut served, mut refused) = (0, 0, 0);
    let mut count = |answer: Answer| {
        asked += 1;
        match answer.status {
            200 => served += 1,
            502 => refused += 1,
            _ => panic!("{answer:?}"),
        }
    };
    for (app, mut user) in late {
        send(&mut user, app, "/").await;
        count(read(&mut user).await);
    }
    for proxy in [1, 2] {
        for app in AGENTS {
            count(ask(&whole, proxy, app, "/").await);
        }
    }
    assert_eq!((asked, served, refused), (16, 8, 8));
    let facts = || whole.facts().into_iter().filter(|fact| fact.seq > since);
    let of = |is: fn(&Kind) -> bool| facts().filter(|fact| is(&fact.kind)).count();
    assert_eq!(of(|kind| matches!(kind, Kind::NoTunnel { .. })), refused);
    assert_eq!(of(|kind| matches!(kind, Kind::Drained)), 0, "it waits");
    // What is open is whole, and then the drain is over.
    for upload in open {
        upload.finish().await;
    }
    let drained =
        |fact: &Fact| fact.node == Node::Proxy("1".into()) && matches!(fact.kind, Kind::Drained);
    whole.fact(("it is over", STEP), since, drained).await;
    whole.lab.stop().await;
}
