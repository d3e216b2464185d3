//! Which tunnel takes a user's request, or the words of the refusal (Teleport `local_cluster`).
//!
//! Newest to oldest: a tunnel without a first heartbeat is passed over, the first valid one wins,
//! and one marked invalid is the last resort. There is no balancing between several tunnels of one
//! agent. Apps are never dialled directly, and proxies do not ask each other in a mesh.

use crate::model::id::{ConnId, Name};

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

/// Picks a tunnel to one of `servers`, tried in the given order.
///
/// The error is the cause alone; [`refusal`] makes the words for the user of it.
pub fn pick<'a>(
    tunnels: impl DoubleEndedIterator<Item = Candidate<'a>> + Clone,
    servers: impl IntoIterator<Item = &'a Name>,
) -> Result<Picked, String> {
    let mut cause = None;
    for server in servers {
        match pick_one(tunnels.clone().rev(), server) {
            Ok(picked) => return Ok(picked),
            Err(why) => cause = cause.or(Some(why)),
        }
    }
    Err(cause.unwrap_or_else(|| String::from("no agent announces it")))
}

fn pick_one<'a>(
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
        if registered {
            format!("app is offline: no active {server} tunnels found")
        } else {
            format!("no app reverse tunnel for {server} found")
        }
    })
}

/// Gives the words that a user sees when no tunnel took the request.
pub fn refusal(cause: &str) -> String {
    format!(
        "Teleport proxy failed to connect to \"app\" agent \"@local-node\" over reverse tunnel:\n\n  \
         {cause}\n\nThe agent is probably offline, or holds no tunnel to this proxy.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let picked = pick(tunnels.iter().copied(), &servers);
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
}
