//! Handshakes at an instance: the PROXY header, the ClientHello or raw SSH, work that takes time,
//! the login.

use super::{Event, Id, Input, Job, LinkId, Message, Output, Side, World};
use super::{ServerStage, Serves, TIMEOUT_HANDSHAKE, Way};
use crate::model::addr::ClientAddr;
use crate::model::fact::Service;
use crate::model::id::{ConnId, Name};
use crate::model::teleport::{Port, ProxyProtocol, SendProxy};
use crate::policy::proxy_protocol::{self, Admission, Header, Seen};
use crate::sim::follow::Heard;

impl World<'_> {
    /// Reads the first bytes of a ClientHello.
    pub(super) fn hello(&mut self, id: LinkId, index: u32) {
        let Some((listener, client)) = self.admit(id, index) else {
            return;
        };
        let Some(link) = self.links.get(id) else {
            return;
        };
        let Some(dialing) = &link.dialing else { return };
        let host = dialing.to.host.clone();
        let sni = Some(host).filter(|host| host.parse::<std::net::IpAddr>().is_err());
        let alpn = dialing.alpn.iter().map(|name| Name::from(*name)).collect();
        let input = Input::HelloRead {
            listener,
            client,
            sni,
            alpn,
        };
        self.choose_service(id, index, input, Job::Tls);
    }

    /// Reads the first bytes of raw SSH.
    pub(super) fn raw_ssh(&mut self, id: LinkId, index: u32) {
        if let Some((listener, client)) = self.admit(id, index) {
            let input = Input::SshRead { listener, client };
            self.choose_service(id, index, input, Job::Ssh);
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is no choice is acted upon"
    )]
    fn choose_service(&mut self, id: LinkId, index: u32, input: Input, job: Job) {
        for output in self.feed_proxy(index, input) {
            match output {
                Output::RefuseHello { .. } => {
                    if job == Job::Tls {
                        self.send(id, Way::Down, Message::HelloRefused);
                    }
                    self.close(id, Side::Server, Message::Fin);
                }
                Output::Serve { conn, service, .. } => {
                    if let Some(link) = self.links.get_mut(id) {
                        link.conn = conn;
                        link.service = Some(service);
                    }
                    self.proxies[index as usize].conns.insert(conn, id);
                    self.set_stage(
                        id,
                        match job {
                            Job::Ssh => ServerStage::Ssh,
                            Job::Tls => ServerStage::Tls,
                        },
                    );
                    self.expect(id, Side::Server, Some(TIMEOUT_HANDSHAKE));
                    self.work(index, id, job);
                }
                other => self.act_proxy(index, other),
            }
        }
    }

    /// Takes what the door says of the client, as the listener's PROXY mode has it; gives the listener
    /// and whom the instance takes for the client, unless it closes the connection.
    fn admit(&mut self, id: LinkId, index: u32) -> Option<(Port, ClientAddr)> {
        let link = self.links.get(id)?;
        let service = &self.topology.pool.teleport;
        let listener = service.behind(link.listener.0.port());
        let send = self.topology.balancers[link.door as usize].send_proxy;
        // Without a header the door itself is the client.
        let (source, door) = (link.source, link.client_seen());
        let admitted = admitted(service.proxy_protocol, send, source, door);
        match admitted {
            Ok(seen) => {
                self.links.get_mut(id)?.seen = Some(seen);
                Some((listener, seen))
            }
            Err(why) => {
                self.refused_conn(index, ConnId(0), door, why.to_owned());
                self.close(id, Side::Server, Message::Fin);
                None
            }
        }
    }

    /// Tells whether a connection came in at the listener that has but find and ping.
    pub(in crate::sim) fn is_minimal(&self, id: LinkId) -> bool {
        let link = self.links.get(id);
        link.is_some_and(|link| link.service == Some(Service::WebMinimal))
    }

    pub(super) fn set_stage(&mut self, id: LinkId, stage: ServerStage) {
        if let Some(link) = self.links.get_mut(id) {
            link.server_stage = stage;
        }
    }

    /// Gives what an agent says that it serves.
    pub(super) fn serves_of(&self, id: LinkId, proxies: &[Name]) -> Serves {
        let Some(Id::Agent(agent)) = self.links.get(id).map(|link| link.client) else {
            return Serves::default();
        };
        let agent = &self.topology.agents[agent as usize];
        let databases = agent.databases.iter();
        Serves {
            apps: agent.apps.iter().map(|app| app.name.clone()).collect(),
            databases: databases.map(|database| database.name.clone()).collect(),
            proxies: proxies.to_vec(),
        }
    }

    /// Gives a handshake to a free server, or has it wait.
    pub(super) fn work(&mut self, index: u32, id: LinkId, job: Job) {
        let servers = self.topology.model.servers.max(1);
        let proxy = &mut self.proxies[index as usize];
        if proxy.busy < servers {
            proxy.busy += 1;
            self.begin_job(index, id, job);
        } else {
            proxy.waiting.push_back((id, job));
        }
    }

    fn begin_job(&mut self, index: u32, id: LinkId, job: Job) {
        let cost = match job {
            Job::Ssh => self.topology.model.ssh,
            Job::Tls => self.topology.model.tls,
        };
        let event = Event::Served(index, id, job);
        self.queue.push(self.now + cost, Id::Proxy(index), event);
    }

    /// A handshake's work is done; the server takes the next that is still wanted.
    pub(in crate::sim) fn served(&mut self, index: u32, id: LinkId, job: Job) {
        let proxy = &mut self.proxies[index as usize];
        proxy.busy -= 1;
        while let Some((next, job)) = proxy.waiting.pop_front() {
            if self
                .links
                .get(next)
                .is_some_and(|link| link.is_open(Side::Server))
            {
                proxy.busy += 1;
                self.begin_job(index, next, job);
                break;
            }
        }
        if !self
            .links
            .get(id)
            .is_some_and(|link| link.is_open(Side::Server))
        {
            return;
        }
        let message = match job {
            Job::Ssh => Message::HostKey,
            Job::Tls => Message::HelloDone,
        };
        self.send(id, Way::Down, message);
    }

    pub(super) fn login(&mut self, id: LinkId, index: u32, conn: ConnId) {
        let Some(Id::Agent(agent)) = self.links.get(id).map(|link| link.client) else {
            return;
        };
        let host_id = self.topology.agents[agent as usize].id.clone();
        self.set_stage(id, ServerStage::Tunnel);
        self.expect(id, Side::Server, None);
        self.send(id, Way::Down, Message::LoggedIn);
        let input = Input::TunnelOpened { conn, host_id };
        let flow = self.flow_of(id).and_then(|flow| self.named(flow));
        match flow.and_then(|flow| self.hold_heard(index, Heard::Login(flow))) {
            Some(at) => {
                let event = Event::Hears(index, Box::new(input));
                self.queue.push(at, Id::Proxy(index), event);
            }
            None => drop(self.feed_proxy(index, input)),
        }
    }
}

/// Tells whom an instance takes for the client, or why it lets nobody in.
fn admitted(
    mode: ProxyProtocol,
    send: SendProxy,
    source: ClientAddr,
    door: ClientAddr,
) -> Result<ClientAddr, &'static str> {
    let mut seen = Seen::default();
    let header = match send {
        SendProxy::None => Header::None,
        SendProxy::V1 => Header::V1,
        SendProxy::V2 => Header::V2,
    };
    match proxy_protocol::admit(mode, &mut seen, header, false) {
        Admission::Header => Ok(source),
        Admission::PortZero => Ok(ClientAddr((source.ip(), 0).into())),
        Admission::Refused(why) => Err(why),
        Admission::Socket => Ok(door),
    }
}
