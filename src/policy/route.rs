//! Which tunnel takes a user's request, which peers may, or the words of the refusal (Teleport
//! `local_cluster`).
//!
//! Newest to oldest: a tunnel without a first heartbeat is passed over, the first valid one wins,
//! and one marked invalid is the last resort. There is no balancing between several tunnels of one
//! agent. A stand-in, which says nothing of what it serves, comes after all agents. With proxy
//! peering the proxies that the agent reported are asked next, in random order; never for a request
//! that is itself from a peer. Apps and databases are never dialled directly.

use crate::model::draw::Seed;
use crate::model::id::{ConnId, Name};
use crate::model::teleport::{ConnType, Strategy};

/// One registered tunnel as routing sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The tunnel; a greater number is newer.
    pub conn: ConnId,
    /// The agent's host id.
    pub host_id: &'a str,
    /// Whether its first heartbeat came.
    pub ready: bool,
    /// Whether it is late with heartbeats or refused a stream.
    pub invalid: bool,
}

/// A tunnel that takes the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picked {
    /// The tunnel.
    pub conn: ConnId,
    /// Why this one.
    pub why: &'static str,
}

/// What the order of the peers is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Luck<'a> {
    /// The lab's seed.
    pub seed: Seed,
    /// Who draws: the node, `proxy/1`.
    pub entity: &'a str,
    /// For which request.
    pub n: u64,
}

/// By what ways an instance tried, as the refusal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Its own tunnels and those of its peers.
    LocalAndPeer,
    /// Its own tunnels.
    ReverseTunnel,
}

impl Over {
    /// Gives the ways of a pool with this strategy.
    pub const fn by(strategy: Strategy) -> Self {
        match strategy {
            Strategy::AgentMesh => Self::ReverseTunnel,
            Strategy::ProxyPeering { .. } => Self::LocalAndPeer,
        }
    }

    /// Gives Teleport's words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::LocalAndPeer => "local and peer reverse tunnels",
            Self::ReverseTunnel => "reverse tunnel",
        }
    }
}

/// Picks a tunnel to one of `servers`, tried in the given order, else the stand-in.
///
/// The error is the cause alone; [`refusal`] makes the words for the user of it.
pub fn pick<'a>(
    kind: ConnType,
    tunnels: impl DoubleEndedIterator<Item = Candidate<'a>> + Clone,
    servers: impl IntoIterator<Item = &'a Name>,
    stand_in: Option<ConnId>,
) -> Result<Picked, String> {
    let mut cause = None;
    for server in servers {
        match pick_one(kind, tunnels.clone().rev(), server) {
            Ok(picked) => return Ok(picked),
            Err(why) => cause = cause.or(Some(why)),
        }
    }
    if let Some(conn) = stand_in {
        let why = "no agent's tunnel: newest stand-in";
        return Ok(Picked { conn, why });
    }
    Err(cause.unwrap_or_else(|| String::from("no agent announces it")))
}

fn pick_one<'a>(
    kind: ConnType,
    newest_first: impl Iterator<Item = Candidate<'a>>,
    server: &str,
) -> Result<Picked, String> {
    let (mut registered, mut last_resort) = (false, None);
    for tunnel in newest_first.filter(|tunnel| tunnel.host_id == server) {
        registered = true;
        match (tunnel.ready, tunnel.invalid) {
            (true, false) => {
                return Ok(Picked {
                    conn: tunnel.conn,
                    why: "newest valid tunnel",
                });
            }
            (true, true) => {
                let why = "no valid tunnel: newest invalid one";
                last_resort = last_resort.or(Some(Picked {
                    conn: tunnel.conn,
                    why,
                }));
            }
            (false, _) => {}
        }
    }
    last_resort.ok_or_else(|| {
        let kind = kind.word();
        if registered {
            format!("{kind} is offline: no active {server} tunnels found")
        } else {
            format!("no {kind} reverse tunnel for {server} found")
        }
    })
}

/// Chooses the peers that may take a request for which no tunnel is here.
///
/// `attached` are the ids of the proxies that the agent reported, `own` is the asker's. `None` when
/// nobody is to be asked: without peering, and for a request that came from a peer. Otherwise the ids
/// in the order in which to try them, or why there are none.
pub fn peers<'a>(
    strategy: Strategy,
    from_peer: bool,
    attached: impl IntoIterator<Item = &'a Name>,
    own: &str,
    luck: Luck<'_>,
) -> Option<Result<Vec<Name>, String>> {
    if from_peer || Over::by(strategy) == Over::ReverseTunnel {
        return None;
    }
    // An instance does not dial itself: its own tunnels were looked through already.
    let mut ids: Vec<Name> = attached
        .into_iter()
        .filter(|id| ***id != *own)
        .cloned()
        .collect();
    ids.sort();
    ids.dedup();
    if ids.is_empty() {
        return Some(Err(String::from("failed to dial: no proxy ids given")));
    }
    // A draw for each id: whether one more is reported does not change the order of the others.
    ids.sort_by_cached_key(|id| {
        let purpose = format!("peer {id}");
        (luck.seed.draw(luck.entity, &purpose, luck.n), id.clone())
    });
    Some(Ok(ids))
}

/// Gives the words that a user sees when no tunnel took the request.
pub fn refusal(kind: ConnType, over: Over, cause: &str) -> String {
    let (kind, over) = (kind.word(), over.words());
    let cause = cause.replace('\n', "\n  ");
    format!(
        "Teleport proxy failed to connect to \"{kind}\" agent \"@local-node\" over {over}:\n\n  \
         {cause}\n\nThe agent is probably offline, or holds no tunnel to this proxy.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESH: Strategy = Strategy::AgentMesh;
    const PEERING: Strategy = Strategy::ProxyPeering { connections: 1 };

    fn tunnel(conn: u64, host_id: &str, ready: bool, invalid: bool) -> Candidate<'_> {
        Candidate {
            conn: ConnId(conn),
            host_id,
            ready,
            invalid,
        }
    }

    fn check(tunnels: &[Candidate<'_>], servers: &[&str], expected: Result<u64, &str>) {
        let servers: Vec<Name> = servers.iter().map(|id| Name::from(*id)).collect();
        let picked = pick(ConnType::App, tunnels.iter().copied(), &servers, None);
        match expected {
            Ok(conn) => assert_eq!(picked.map(|p| p.conn), Ok(ConnId(conn))),
            Err(part) => assert!(
                picked.as_ref().is_err_and(|e| e.contains(part)),
                "{picked:?}"
            ),
        }
    }

    #[test]
    fn the_newest_valid_tunnel_wins() {
        let tunnels = [tunnel(1, "a", true, false), tunnel(2, "a", true, false)];
        check(&tunnels, &["a"], Ok(2));
    }

    #[test]
    fn a_tunnel_without_a_heartbeat_is_passed_over() {
        let tunnels = [tunnel(1, "a", true, false), tunnel(2, "a", false, false)];
        check(&tunnels, &["a"], Ok(1));
        check(
            &tunnels[1..],
            &["a"],
            Err("app is offline: no active a tunnels found"),
        );
    }

    #[test]
    fn an_invalid_tunnel_is_the_last_resort() {
        let tunnels = [tunnel(1, "a", true, false), tunnel(2, "a", true, true)];
        check(&tunnels, &["a"], Ok(1));
        check(&tunnels[1..], &["a"], Ok(2));
    }

    #[test]
    fn without_a_tunnel_the_request_is_refused_and_not_sent_elsewhere() {
        check(
            &[tunnel(1, "b", true, false)],
            &["a"],
            Err("no app reverse tunnel for a found"),
        );
        check(&[], &[], Err("no agent announces it"));
    }

    #[test]
    fn another_agent_with_the_same_app_takes_over() {
        check(&[tunnel(1, "b", true, false)], &["a", "b"], Ok(1));
    }

    #[test]
    fn a_stand_in_comes_after_every_agent_even_an_invalid_one() {
        let servers = [Name::from("a")];
        let stand_in = Some(ConnId(9));
        let pick = |tunnels: &[Candidate<'_>]| {
            let picked = pick(ConnType::App, tunnels.iter().copied(), &servers, stand_in);
            picked.map(|picked| picked.conn)
        };
        assert_eq!(pick(&[tunnel(1, "a", true, true)]), Ok(ConnId(1)));
        assert_eq!(pick(&[tunnel(1, "a", false, false)]), Ok(ConnId(9)));
        assert_eq!(pick(&[]), Ok(ConnId(9)));
    }

    #[test]
    fn refusals_name_the_type_and_the_ways() {
        let servers = [Name::from("a")];
        let offline = [tunnel(1, "a", false, false)];
        let db = |tunnels: &[Candidate<'_>]| {
            pick(ConnType::Db, tunnels.iter().copied(), &servers, None).unwrap_err()
        };
        assert_eq!(db(&[]), "no db reverse tunnel for a found");
        assert_eq!(db(&offline), "db is offline: no active a tunnels found");
        let text = refusal(ConnType::Db, Over::by(PEERING), "why");
        let head = "Teleport proxy failed to connect to \"db\" agent \"@local-node\" over local and \
                    peer reverse tunnels:\n\n  why\n";
        assert!(text.starts_with(head), "{text}");
        let text = refusal(ConnType::App, Over::by(MESH), "why");
        assert!(text.contains("\"app\" agent \"@local-node\" over reverse tunnel:"));
    }

    fn asked(
        strategy: Strategy,
        from_peer: bool,
        ids: &[&str],
        n: u64,
    ) -> Option<Result<Vec<Name>, String>> {
        let ids: Vec<Name> = ids.iter().map(|id| Name::from(*id)).collect();
        let luck = Luck {
            seed: Seed(1),
            entity: "proxy/1",
            n,
        };
        peers(strategy, from_peer, &ids, "p1", luck)
    }

    #[test]
    fn peers_are_asked_with_peering_alone_and_never_for_a_peer() {
        assert_eq!(asked(MESH, false, &["p2"], 1), None);
        assert_eq!(asked(PEERING, true, &["p2"], 1), None);
        assert_eq!(
            asked(PEERING, false, &["p2"], 1),
            Some(Ok(vec!["p2".into()]))
        );
    }

    #[test]
    fn without_ids_but_ones_own_nobody_is_dialled() {
        for ids in [&[][..], &["p1"][..]] {
            let none = Some(Err(String::from("failed to dial: no proxy ids given")));
            assert_eq!(asked(PEERING, false, ids, 1), none);
        }
    }

    #[test]
    fn the_order_of_the_peers_is_drawn_anew_for_each_request_and_is_the_seeds() {
        let order = |n| {
            asked(PEERING, false, &["p2", "p3", "p4"], n)
                .unwrap()
                .unwrap()
        };
        let orders: std::collections::BTreeSet<_> = (0..100).map(order).collect();
        assert_eq!(orders.len(), 6, "every order comes up: {orders:?}");
        assert_eq!(order(7), order(7));
    }
}
