//! The way out of agents and users: the name, the SYN, TLS.
//!
//! The counterpart of `live/dial`: there is no cache, the name is asked for at every dial, the first
//! address of the answer is the only one tried.

use std::net::{IpAddr, SocketAddr};

use super::event::{Event, Head, Id, Message, Side, Way};
use super::network::{Cause, ClientStage, Dialing, LinkId, TIMEOUT_CONNECT, TIMEOUT_HANDSHAKE};
use super::world::World;
use crate::model::addr::{ClientAddr, HostPort, ListenAddr};
use crate::model::fact::{Cause as Failing, Purpose, Stage};
use crate::model::time::Time;
use crate::policy::principals::covers;

/// What is said on the way, and how long it may take.
#[derive(Debug, Default)]
pub(super) struct Manner {
    /// Until when the whole may take, where it has a limit as a whole.
    pub(super) whole: Option<Time>,
    /// What is offered in TLS; nothing means raw SSH for a tunnel.
    pub(super) alpn: &'static [&'static str],
    /// What the request says.
    pub(super) head: Option<Box<Head>>,
}

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
        manner: Manner,
    ) {
        let Some(source) = self.source(client) else {
            return;
        };
        let own: Option<IpAddr> = to.host.parse().ok();
        let dialing = Dialing {
            to,
            whole: manner.whole,
            began: self.now,
            alpn: manner.alpn,
            head: manner.head,
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
    pub(super) fn resolved(&mut self, id: LinkId, result: Result<IpAddr, (Failing, String)>) {
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
                let at = self.hold_syn(id).map_or(at, |held| held.max(at));
                self.queue.push(at, client, Event::Syn(id, 0));
            }
            (Err((cause, error)), _) => self.give_up(id, (Stage::Resolve, cause), error),
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
        let dialing = link.dialing.as_ref();
        let raw = link.purpose == Purpose::Tunnel && dialing.is_some_and(|d| d.alpn.is_empty());
        let (stage, first) = match raw {
            true => (ClientStage::Ssh, Message::Ssh),
            false => (ClientStage::Tls, Message::Hello),
        };
        link.client_stage = stage;
        let host = link.dialing.as_ref().map(|dialing| &dialing.to.host);
        let host = host.map_or_else(String::new, ToString::to_string);
        let (client, purpose, attempt) = (link.client, link.purpose, link.attempt);
        let address = link.listener;
        self.tell_connected(client, (purpose, attempt), host, address);
        self.expect(id, Side::Client, Some(TIMEOUT_HANDSHAKE));
        self.shape(id);
        self.send(id, Way::Up, first);
    }

    /// The SYN was answered with RST.
    pub(super) fn refused(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        if link.client_stage == ClientStage::Connecting {
            let error = format!("{}: Connection refused (os error 111)", link.listener);
            self.give_up(id, (Stage::Connect, Failing::ConnectRefused), error);
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
            return self.give_up(id, (Stage::Tls, Failing::TlsName), error);
        }
        let (stage, message) = match link.purpose {
            Purpose::Find | Purpose::Ping => (ClientStage::Asking, Message::Find),
            Purpose::Launch | Purpose::Visit => (ClientStage::Asking, Message::Request),
            Purpose::Tunnel => (ClientStage::Ssh, Message::Ssh),
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
        let ((stage, cause), error) = match link.client_stage {
            _ if whole => (
                (Stage::Find, Failing::Timeout),
                format!("no answer in {seconds}s"),
            ),
            ClientStage::Resolving => (
                (Stage::Resolve, Failing::DnsTimeout),
                String::from("request timed out"),
            ),
            ClientStage::Connecting => {
                let words = format!("{}: no answer in {seconds}s", link.listener);
                ((Stage::Connect, Failing::ConnectTimeout), words)
            }
            ClientStage::Tls => {
                let words = format!("TLS handshake: nothing came for {seconds}s");
                ((Stage::Tls, Failing::Timeout), words)
            }
            ClientStage::Asking | ClientStage::Ssh => (
                (Stage::Ssh, Failing::Timeout),
                format!("no login within {seconds}s"),
            ),
            ClientStage::Up | ClientStage::Closed => return,
        };
        if whole && matches!(link.client, Id::User(_)) {
            return self.user_timed_out(id, error);
        }
        self.give_up(id, (stage, cause), error);
    }

    /// Ends an attempt by the client's own will and says why.
    pub(super) fn give_up(&mut self, id: LinkId, failed: (Stage, Failing), error: String) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (client, purpose, attempt) = (link.client, link.purpose, link.attempt);
        self.close(id, Side::Client, Message::Fin);
        self.tell_failed((client, id), (purpose, attempt), failed, error);
    }

    /// The other side ended a connection before its purpose was reached, or a tunnel.
    pub(super) fn client_lost(
        &mut self,
        (client, id): (Id, LinkId),
        (purpose, attempt): (Purpose, u64),
        stage: ClientStage,
        cause: Cause,
    ) {
        let stage = match stage {
            ClientStage::Up => return self.tell_tunnel_closed(client, attempt, cause.words()),
            ClientStage::Resolving => Stage::Resolve,
            ClientStage::Connecting => Stage::Connect,
            ClientStage::Tls => Stage::Tls,
            ClientStage::Asking if matches!(client, Id::User(_)) => {
                return self.tell_user_cut((client, id), (purpose, attempt), cause.words());
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
        let failed = (stage, cause_at(stage));
        self.tell_failed((client, id), (purpose, attempt), failed, error);
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

/// Gives the kind of failure that an end by the other side is, by how far it came (as `live/tls`).
const fn cause_at(stage: Stage) -> Failing {
    match stage {
        Stage::Resolve => Failing::DnsFailed,
        // Before a word of TLS: whoever lets nobody in does so, and so do refusing proxies.
        Stage::Connect | Stage::Tls => Failing::Connect,
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
