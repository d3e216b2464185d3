//! Where a name leads a client of a scenario: the view that answers, the address, the door.
//!
//! Asks `answer::decide`, as the server does, from the address that the client's resolver has.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::OpCode;
use hickory_proto::rr::{DNSClass, RecordType};

use crate::model::addr::{ClientAddr, HostPort, ListenAddr};
use crate::model::id::Node;
use crate::model::network::{Verdict, judge};
use crate::model::topology::Topology;
use crate::policy::answer::{Question, Rules, Transport, decide};
use crate::policy::zone::read_name;

/// Where a name and a port lead.
#[derive(Clone, Debug)]
pub struct Lead {
    /// The name and the port.
    pub to: HostPort,
    /// The view that answered; none for an address, and where no view lets the client in.
    pub view: Option<String>,
    /// The answer's code, where there is no address.
    pub code: Option<String>,
    /// The first address, which is dialled.
    pub address: Option<SocketAddr>,
    /// The door that listens there, and whether it lets the client in.
    pub door: Option<(String, bool)>,
}

/// Follows an address from a client with this one.
pub fn lead(topology: &Topology, rules: &Rules, from: IpAddr, to: &HostPort) -> Lead {
    let mut lead = Lead {
        to: to.clone(),
        view: None,
        code: None,
        address: None,
        door: None,
    };
    let address = to.host.parse().ok();
    let Some(address) = address.or_else(|| resolve(topology, rules, from, &mut lead)) else {
        return lead;
    };
    let address = SocketAddr::new(address, to.port);
    lead.address = Some(address);
    lead.door = topology.balancer_at(address).map(|door| {
        let allowed = matches!(judge(&door.allow, from), Verdict::Allowed(_));
        (door.name.to_string(), door.allow.is_empty() || allowed)
    });
    lead
}

/// Gives the first address of a name: one is dialled, no others are tried.
fn resolve(topology: &Topology, rules: &Rules, from: IpAddr, lead: &mut Lead) -> Option<IpAddr> {
    let Ok(name) = read_name(&lead.to.host) else {
        lead.code = Some(String::from("is not a DNS name"));
        return None;
    };
    for record_type in [RecordType::A, RecordType::AAAA] {
        let question = Question {
            source: ClientAddr(SocketAddr::new(asks_from(topology, from), 0)),
            destination: ListenAddr(topology.dns.listen),
            transport: Transport::Udp,
            opcode: OpCode::Query,
            count: 1,
            name,
            record_type,
            class: DNSClass::IN,
            recursion_desired: false,
            edns: None,
        };
        let answer = decide(rules, &question);
        lead.view = answer.view.map(|view| view.name.to_string());
        if let Some(address) = answer.records().find_map(|shown| shown.address()) {
            return Some(address);
        }
        lead.code = lead.code.take().or_else(|| Some(answer.code().to_string()));
    }
    None
}

/// Gives the address that the DNS server sees: the resolver's where the client has one.
pub fn asks_from(topology: &Topology, from: IpAddr) -> IpAddr {
    let resolver = match topology.client_at(from) {
        Some(Node::Agent(name)) => {
            let mut agents = topology.agents.iter();
            agents
                .find(|agent| agent.name == name)
                .and_then(|agent| agent.resolver.clone())
        }
        Some(Node::User(name)) => {
            let mut users = topology.users.iter();
            users
                .find(|user| user.name == name)
                .and_then(|user| user.resolver.clone())
        }
        _ => None,
    };
    let resolver = resolver.and_then(|name| topology.resolver(&name));
    resolver.map_or(from, |resolver| topology.resolver_address(resolver))
}

impl Lead {
    /// Gives it in one line.
    pub fn words(&self) -> String {
        let mut text = self.to.to_string();
        if let Some(view) = &self.view {
            let _ = write!(text, ": view {view}");
        }
        match (&self.address, &self.code) {
            (Some(address), _) => {
                let _ = write!(text, " -> {address}");
            }
            (None, code) => {
                let code = code.as_deref().unwrap_or("nothing");
                let _ = write!(text, " -> no address ({code})");
                return text;
            }
        }
        text.push_str(&match &self.door {
            Some((door, true)) => format!(" -> balancer/{door}"),
            Some((door, false)) => format!(" -> balancer/{door}, which refuses this client"),
            None => String::from(" -> no door of the scenario"),
        });
        text
    }
}
