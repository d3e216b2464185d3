//! What becomes of a request once its app or database is known: a tunnel, peers, or a refusal, and
//! how it ends. Alike for HTTP apps, databases, and what a peer passes on.

use super::{Input, Output, Proxy, Work};
use crate::model::addr::ClientAddr;
use crate::model::fact::Kind;
use crate::model::id::{ConnId, Name, RequestId};
use crate::model::teleport::ConnType;
use crate::model::time::Time;
use crate::policy::route::{self, Luck, Over};
use crate::policy::{Context, Outbox, agent};

/// A request whose app or database is known.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Who, as the PROXY header or the peer says.
    pub(super) client: ClientAddr,
    /// What for.
    pub(super) kind: ConnType,
    /// The app or database.
    pub(super) resource: Name,
    /// Who passes it on.
    pub(super) from: From,
}

/// Where a request comes from.
#[derive(Debug)]
pub(super) enum From {
    /// Another instance, which wants a tunnel of this agent and no other.
    Peer {
        /// The agent's host id.
        host_id: Name,
    },
    /// A user at this instance.
    User,
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct Routed {
    way: Way,
    asked: Asked,
}

#[derive(Debug)]
enum Way {
    /// Peers are asked, because of this.
    Peers(String),
    Tunnel(ConnId),
}

/// What a request is for, and who has not been tried for it.
#[derive(Debug)]
struct Asked {
    client: ClientAddr,
    kind: ConnType,
    resource: Name,
    from_peer: bool,
    since: Time,
    /// Host ids, in the order in which to try them.
    servers: Vec<Name>,
    /// Whether a stand-in may take it.
    stand_in: bool,
}

/// What a user of a database reads when no agent took him ((unchecked) in reference 4.6).
const NO_DATABASE: &str = "failed to connect to any of the database servers";

impl Proxy {
    /// Tells whether somebody announces it, or a stand-in here forwards it.
    pub(super) fn knows(&self, kind: ConnType, resource: &str) -> bool {
        self.announced.knows(kind, resource) || self.stand_in(resource).is_some()
    }

    /// Chooses a tunnel or peers for a request, or refuses it (reference 4.6).
    pub(super) fn send_on(&mut self, cx: &Context<'_>, wanted: Wanted, out: &mut Outbox<Output>) {
        self.requests += 1;
        let request = RequestId(self.requests);
        let (from_peer, servers) = match wanted.from {
            // A peer asks for what the agent itself reported, and a stand-in reports nothing.
            From::Peer { host_id } => (true, vec![host_id]),
            From::User => {
                let (kind, skip) = (wanted.kind, self.requests);
                (false, self.announced.servers(kind, &wanted.resource, skip))
            }
        };
        let asked = Asked {
            client: wanted.client,
            kind: wanted.kind,
            resource: wanted.resource,
            from_peer,
            since: cx.now,
            servers,
            stand_in: !from_peer,
        };
        if let Err((asked, cause)) = self.choose(cx, request, asked, out) {
            // The asker tells the user of a peer, and counts him once.
            let text = if asked.from_peer {
                cause
            } else {
                self.no_tunnel(cx, request, &asked, &cause, out)
            };
            out.push(Output::RefuseRequest {
                status: 502,
                no_tunnel: true,
                text,
            });
        }
    }

    /// Gives a request to a tunnel or to peers; gives it back with the cause when there are none.
    fn choose(
        &mut self,
        cx: &Context<'_>,
        request: RequestId,
        mut asked: Asked,
        out: &mut Outbox<Output>,
    ) -> Result<(), (Asked, String)> {
        let stand_in = self.stand_in(&asked.resource).filter(|_| asked.stand_in);
        let candidates = self.tunnels.iter().filter_map(|(conn, tunnel)| {
            Some(route::Candidate {
                conn: *conn,
                host_id: tunnel.host_id()?,
                ready: tunnel.beat.is_some(),
                invalid: tunnel.refused || tunnel.offline,
            })
        });
        let candidates: Vec<_> = candidates.collect();
        let picked = route::pick(asked.kind, candidates.into_iter(), &asked.servers, stand_in);
        let cause = match picked {
            Ok(route::Picked { conn, why }) => {
                if let Some(tunnel) = self.tunnels.get_mut(&conn) {
                    tunnel.open += 1;
                    let agent = tunnel.agent.clone();
                    let host_id = tunnel.host_id().cloned();
                    asked
                        .servers
                        .retain(|server| Some(server) != host_id.as_ref());
                    asked.stand_in &= host_id.is_some();
                    let (client, kind, app) = (asked.client, asked.kind, asked.resource.clone());
                    let way = Way::Tunnel(conn);
                    self.routed.insert(request, Routed { way, asked });
                    out.fact(Kind::Routed {
                        request,
                        client,
                        app: app.clone(),
                        agent: agent.clone(),
                        conn,
                        why,
                    });
                    out.push(Output::Route {
                        request,
                        conn,
                        kind,
                        app,
                        agent,
                        host_id: host_id.unwrap_or_else(|| Name::from("")),
                    });
                }
                return Ok(());
            }
            Err(cause) => cause,
        };
        match self.peers_for(cx, request, &asked.servers, asked.from_peer) {
            Some(Ok((peers, host_id))) => {
                let (kind, resource) = (asked.kind, asked.resource.clone());
                asked.servers.retain(|server| *server != host_id);
                let way = Way::Peers(cause);
                self.routed.insert(request, Routed { way, asked });
                out.push(Output::AskPeers {
                    request,
                    peers,
                    kind,
                    resource,
                    host_id,
                });
                Ok(())
            }
            Some(Err(why)) => Err((asked, format!("{cause}\n{why}"))),
            None => Err((asked, cause)),
        }
    }

    /// Gives the names of the peers to ask, and for a tunnel of which agent: the first server whose
    /// proxies are known.
    fn peers_for(
        &self,
        cx: &Context<'_>,
        request: RequestId,
        servers: &[Name],
        from_peer: bool,
    ) -> Option<Result<(Vec<Name>, Name), String>> {
        let node = self.node.to_string();
        let strategy = cx.topology.pool.teleport.strategy;
        let mut refused = None;
        for server in servers {
            let luck = Luck {
                seed: cx.topology.seed,
                entity: &node,
                n: request.0,
            };
            let attached = self.announced.attached(cx.topology, server);
            match route::peers(strategy, from_peer, attached, &self.config(cx).id, luck)? {
                Ok(ids) => {
                    let names = ids.iter().map(|id| cx.topology.proxy_name(id)).collect();
                    return Some(Ok((names, server.clone())));
                }
                Err(why) => refused = refused.or(Some(Err(why))),
            }
        }
        refused
    }

    /// Counts a request that no tunnel took, and gives the words for its user.
    fn no_tunnel(
        &self,
        cx: &Context<'_>,
        request: RequestId,
        asked: &Asked,
        cause: &str,
        out: &mut Outbox<Output>,
    ) -> String {
        let over = Over::by(cx.topology.pool.teleport.strategy);
        let text = match asked.kind {
            ConnType::App => route::refusal(asked.kind, over, cause),
            ConnType::Db => format!("{NO_DATABASE}: {cause}\n"),
        };
        out.fact(Kind::NoTunnel {
            request,
            client: asked.client,
            app: asked.resource.clone(),
            text: text.clone(),
        });
        text
    }

    /// A peer took the stream of a request that was passed on.
    fn peer_took(&self, request: RequestId, peer: Name, out: &mut Outbox<Output>) {
        if let Some(Routed { asked, .. }) = self.routed.get(&request) {
            out.fact(Kind::Peered {
                request,
                client: asked.client,
                app: asked.resource.clone(),
                peer,
                why: "no tunnel here, and the agent reported one there",
            });
        }
    }

    /// The tunnel did not take the stream or brought no answer, or no peer took the request.
    ///
    /// That ends it: only a tunnel that is not there sends a request to peers. But a database is asked
    /// for at each agent that serves it, one after the other.
    pub(super) fn stream_refused(
        &mut self,
        cx: &Context<'_>,
        request: RequestId,
        why: &str,
        broken: bool,
        out: &mut Outbox<Output>,
    ) {
        let Some(Routed { way, asked }) = self.finish(cx, request, out) else {
            return;
        };
        let (cause, from_tunnel) = match way {
            Way::Peers(cause) => (format!("{cause}\n{why}"), false),
            Way::Tunnel(conn) => {
                self.broken_tunnel(conn, broken, out);
                (why.to_owned(), true)
            }
        };
        let database = asked.kind == ConnType::Db && !asked.from_peer;
        let mut asked = asked;
        if database && (!asked.servers.is_empty() || asked.stand_in) {
            match self.choose(cx, request, asked, out) {
                Ok(()) => return,
                Err((given_back, _)) => asked = given_back,
            }
        }
        // Only what is for want of a tunnel is counted as such; an agent may have other reasons.
        let going = broken || [agent::CLOSED, agent::DRAINING].contains(&why);
        let no_tunnel = database || going || !from_tunnel;
        let text = if no_tunnel && !asked.from_peer {
            self.no_tunnel(cx, request, &asked, &cause, out)
        } else {
            // The asker has the words for the user of a peer.
            let text = if asked.from_peer {
                cause
            } else {
                format!("no answer through the tunnel: {cause}\n")
            };
            out.fact(Kind::RequestEnded {
                request,
                status: 502,
                bytes: text.len() as u64,
                took: cx.now.since(asked.since),
            });
            text
        };
        out.push(Output::RefuseRequest {
            status: 502,
            no_tunnel,
            text,
        });
        self.note_drained(out);
    }

    /// A tunnel that takes no stream is invalid, and closed at once if it has no session.
    fn broken_tunnel(&mut self, conn: ConnId, broken: bool, out: &mut Outbox<Output>) {
        if let Some(tunnel) = self.tunnels.get_mut(&conn)
            && broken
        {
            tunnel.refused = true;
            if tunnel.open == 0 {
                out.push(Output::CloseTunnel { conn });
            }
        }
    }

    /// A routed request ended by itself.
    pub(super) fn request_ended(
        &mut self,
        cx: &Context<'_>,
        request: RequestId,
        (status, bytes): (u16, u64),
        out: &mut Outbox<Output>,
    ) {
        if let Some(routed) = self.finish(cx, request, out) {
            let took = cx.now.since(routed.asked.since);
            out.fact(Kind::RequestEnded {
                request,
                status,
                bytes,
                took,
            });
            self.note_drained(out);
        }
    }

    fn finish(
        &mut self,
        cx: &Context<'_>,
        request: RequestId,
        out: &mut Outbox<Output>,
    ) -> Option<Routed> {
        let routed = self.routed.remove(&request)?;
        if let Way::Tunnel(conn) = routed.way
            && let Some(tunnel) = self.tunnels.get_mut(&conn)
        {
            tunnel.open = tunnel.open.saturating_sub(1);
            if tunnel.open == 0 {
                self.without_sessions(cx, conn, out);
            }
        }
        Some(routed)
    }

    /// Ends every open request without an answer.
    pub(super) fn cut_requests(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        for (request, routed) in std::mem::take(&mut self.routed) {
            out.fact(Kind::RequestEnded {
                request,
                status: 0,
                bytes: 0,
                took: cx.now.since(routed.asked.since),
            });
        }
    }

    /// Takes the inputs of peering.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others are handed elsewhere by the machine"
    )]
    pub(super) fn peering(&mut self, cx: &Context<'_>, input: Input, out: &mut Outbox<Output>) {
        match input {
            // A stopped instance's connections are about to be cut.
            Input::PeerAsked { .. } if self.work == Work::Stopped => {}
            Input::PeerAsked {
                peer: _,
                client,
                kind,
                resource,
                host_id,
            } => {
                let from = From::Peer { host_id };
                let wanted = Wanted {
                    client,
                    kind,
                    resource,
                    from,
                };
                self.send_on(cx, wanted, out);
            }
            Input::PeerTook { request, peer } => self.peer_took(request, peer, out),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
