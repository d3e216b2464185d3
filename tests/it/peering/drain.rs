//! Drains and late heartbeats of a whole lab: what stands goes on, what is new goes elsewhere.

use twodoors::model::fault::{Effect, Fault, Target};
use twodoors::model::id::FaultId;
use twodoors::model::time::Span;
use twodoors::policy::faults::Faults;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_lets_open_streams_finish_and_moves_every_agent_at_once() {
    let whole = lab(|topology| topology.users.clear()).await;
    whole.mesh().await;
    let mut user = connect(&whole, 0, "orders").await;
    // More than any buffer on the way holds, so that it is open when the drain begins.
    const BYTES: usize = 30_000_000;
    send(&mut user, "orders", &format!("/bytes/{BYTES}")).await;
    let mut first = [0; 1024];
    user.read_exact(&mut first).await.unwrap();
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
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(STEP, user.read_to_end(&mut rest)).await;
    let got = first.len() + rest.len();
    assert!(got > BYTES, "{got} bytes of {BYTES} and a head");
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
    /// How many streams are open, and the bytes of each: more than any buffer on the way holds.
    const OPEN: usize = 6;
    const BYTES: usize = 16_000_000;
    let whole = lab(|topology| topology.users.clear()).await;
    whole.mesh().await;
    let mut open = Vec::new();
    for place in 0..OPEN {
        let app = AGENTS[place % 2];
        let mut user = connect(&whole, 0, app).await;
        send(&mut user, app, &format!("/bytes/{BYTES}")).await;
        let mut first = [0; 1024];
        user.read_exact(&mut first).await.unwrap();
        open.push(user);
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
    for mut user in open {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(STEP, user.read_to_end(&mut rest)).await;
        assert!(1024 + rest.len() > BYTES, "{} of {BYTES}", rest.len());
    }
    let drained =
        |fact: &Fact| fact.node == Node::Proxy("1".into()) && matches!(fact.kind, Kind::Drained);
    whole.fact(("it is over", STEP), since, drained).await;
    whole.lab.stop().await;
}
