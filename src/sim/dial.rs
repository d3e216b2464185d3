//! The way out of agents and users: the name, the SYN, TLS.
//!
//! The counterpart of `live/dial`: there is no cache, the name is asked for at every dial, the first
//! address of the answer is the only one tried.

use std::net::{IpAddr, SocketAddr};

use super::event::{Event, Id, Message, Side, Way};
use super::network::{Cause, ClientStage, Dialing, LinkId, TIMEOUT_CONNECT, TIMEOUT_HANDSHAKE};
use super::world::World;
use crate::model::addr::{ClientAddr, HostPort, ListenAddr};
use crate::model::fact::{Cause as Failing, Purpose, Stage};
use crate::model::time::Span;
use crate::policy::principals::covers;

/// The first of the ports that Linux gives to clients, and how many there are.
const PORTS: (u16, u16) = (32_768, 28_232);

/// Gives the next port of a client.
pub(super) fn port(given: &mut u16) -> u16 {
    let port = PORTS.0 + *given % PORTS.1;
    *given = (*given + 1) % PORTS.1;
    port
}

impl World<'_> {
    /// Begins a connection to a name, for a purpose of this number.
    pub(super) fn dial(
        &mut self,
        client: Id,
        (purpose, attempt): (Purpose, u64),
        to: HostPort,
        whole: Option<Span>,
    ) {
        let Some(source) = self.source(client) else {
            return;
        };
        let own: Option<IpAddr> = to.host.parse().ok();
        let dialing = Dialing {
            to,
            whole: whole.map(|whole| self.now + whole),
            began: self.now,
        };
        let id = self
            .links
            .begin(client, (purpose, attempt), source, dialing);
        self.remember_link(client, id);
        self.expect(id, Side::Client, None);
        match own {
            Some(address) => self.resolved(id, Ok(address)),
            None => self.ask(id),
        }
    }

    /// Takes the answer to the name and sends the SYN.
    pub(super) fn resolved(&mut self, id: LinkId, result: Result<IpAddr, String>) {
        let now = self.now;
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if link.client_stage != ClientStage::Resolving {
            return;
        }
        let client = link.client;
        match (result, link.dialing.as_mut()) {
            (Ok(address), Some(dialing)) => {
                dialing.began = now;
                let address = SocketAddr::new(address, dialing.to.port);
                link.client_stage = ClientStage::Connecting;
                link.listener = ListenAddr(address);
                let mut doors = (0..).zip(&self.topology.balancers);
                let door = doors.find(|(_, door)| door.listen.contains(&link.listener));
                link.door = door.map_or(u32::MAX, |(index, _)| index);
                self.expect(id, Side::Client, Some(TIMEOUT_CONNECT));
                let at = now + self.topology.model.latency;
                self.queue.push(at, client, Event::Syn(id, 0));
            }
            (Err(error), _) => self.give_up(id, Stage::Resolve, error),
            (Ok(_), None) => {}
        }
    }

    /// The door's kernel has answered the SYN.
    pub(super) fn connected(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if link.client_stage != ClientStage::Connecting {
            return;
        }
        link.client_stage = ClientStage::Tls;
        let host = link.dialing.as_ref().map(|dialing| &dialing.to.host);
        let host = host.map_or_else(String::new, ToString::to_string);
        let (client, purpose, attempt) = (link.client, link.purpose, link.attempt);
        let address = link.listener;
        self.tell_connected(client, (purpose, attempt), host, address);
        self.expect(id, Side::Client, Some(TIMEOUT_HANDSHAKE));
        self.shape(id);
        self.send(id, Way::Up, Message::Hello);
    }

    /// The SYN was answered with RST.
    pub(super) fn refused(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        if link.client_stage == ClientStage::Connecting {
            let error = format!("{}: Connection refused (os error 111)", link.listener);
            self.give_up(id, Stage::Connect, error);
        }
    }

    /// The server's part of TLS is there: the name is verified.
    pub(super) fn tls_done(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let Some(dialing) = &link.dialing else { return };
        if !self
            .web_names
            .iter()
            .any(|name| covers(name, &dialing.to.host))
        {
            let host = &dialing.to.host;
            let error = format!(
                "TLS handshake: invalid peer certificate: certificate not valid for name \
                 \"{host}\"; certificate is only valid for {}",
                self.web_names.join(" or ")
            );
            return self.give_up(id, Stage::Tls, error);
        }
        let (stage, message) = match link.purpose {
            Purpose::Find | Purpose::Launch | Purpose::Ping => (ClientStage::Asking, Message::Find),
            Purpose::Tunnel => (ClientStage::Ssh, Message::Ssh),
            Purpose::Visit => (ClientStage::Asking, Message::Request),
        };
        link.client_stage = stage;
        self.expect(id, Side::Client, Some(TIMEOUT_HANDSHAKE));
        self.send(id, Way::Up, message);
    }

    /// The client waited long enough.
    pub(super) fn client_timed_out(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let whole = link.dialing.as_ref().is_some_and(|d| d.whole.is_some());
        let seconds = TIMEOUT_HANDSHAKE.as_us() / 1_000_000;
        let (stage, error) = match link.client_stage {
            _ if whole => (Stage::Find, format!("no answer in {seconds}s")),
            ClientStage::Resolving => (Stage::Resolve, String::from("request timed out")),
            ClientStage::Connecting => {
                let words = format!("{}: no answer in {seconds}s", link.listener);
                (Stage::Connect, words)
            }
            ClientStage::Tls => {
                let words = format!("TLS handshake: nothing came for {seconds}s");
                (Stage::Tls, words)
            }
            ClientStage::Asking | ClientStage::Ssh => {
                (Stage::Ssh, format!("no login within {seconds}s"))
            }
            ClientStage::Up | ClientStage::Closed => return,
        };
        if whole && link.purpose == Purpose::Visit {
            return self.visit_timed_out(id, error);
        }
        self.give_up(id, stage, error);
    }

    /// Ends an attempt by the client's own will and says why.
    pub(super) fn give_up(&mut self, id: LinkId, stage: Stage, error: String) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (client, purpose, attempt) = (link.client, link.purpose, link.attempt);
        self.close(id, Side::Client, Message::Fin);
        self.tell_failed(
            client,
            (purpose, attempt),
            (stage, plain_cause(stage)),
            error,
        );
    }

    /// The other side ended a connection before its purpose was reached, or a tunnel.
    pub(super) fn client_lost(
        &mut self,
        client: Id,
        (purpose, attempt): (Purpose, u64),
        stage: ClientStage,
        cause: Cause,
    ) {
        let stage = match stage {
            ClientStage::Up => return self.tell_tunnel_closed(client, attempt, cause.words()),
            ClientStage::Resolving => Stage::Resolve,
            ClientStage::Connecting => Stage::Connect,
            ClientStage::Tls => Stage::Tls,
            ClientStage::Asking if purpose == Purpose::Visit => {
                return self.tell_visit_cut(client, attempt, cause.words());
            }
            ClientStage::Asking => Stage::Find,
            ClientStage::Ssh => Stage::Ssh,
            ClientStage::Closed => return,
        };
        let words = cause.words();
        let error = match stage {
            Stage::Tls => format!("TLS handshake: {words}"),
            Stage::Ssh => format!("ssh: {words}"),
            Stage::Resolve | Stage::Connect | Stage::Find | Stage::Claim => words.to_owned(),
        };
        self.tell_failed(
            client,
            (purpose, attempt),
            (stage, plain_cause(stage)),
            error,
        );
    }

    /// Gives the address that a client sends from, with the next port.
    fn source(&mut self, client: Id) -> Option<ClientAddr> {
        let (address, ports) = match client {
            Id::Agent(index) => {
                let agent = self.agents.get_mut(index as usize)?;
                (agent.address, &mut agent.ports)
            }
            Id::User(index) => {
                let user = self.users.get_mut(index as usize)?;
                (user.address, &mut user.ports)
            }
            Id::Lab | Id::Dns | Id::Balancer(_) | Id::Proxy(_) | Id::Resolver(_) => return None,
        };
        Some(ClientAddr(SocketAddr::new(address, port(ports))))
    }
}

/// Gives the kind of failure where nothing more is known than how far it came.
const fn plain_cause(stage: Stage) -> Failing {
    match stage {
        Stage::Resolve => Failing::DnsFailed,
        Stage::Connect => Failing::Connect,
        Stage::Tls => Failing::Tls,
        Stage::Find => Failing::Find,
        Stage::Ssh => Failing::Ssh,
        Stage::Claim => Failing::Claimed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_that_linux_gives_and_begin_again() {
        let mut given = 28_230;
        assert_eq!(port(&mut given), 60_998);
        assert_eq!(port(&mut given), 60_999);
        assert_eq!(port(&mut given), 32_768);
    }
}
