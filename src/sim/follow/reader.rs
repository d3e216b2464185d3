//! Reads the order of a run from its calls, whether they are recorded or still being made.
//!
//! In goes each call in the order in which it was made; a cause always comes before its effect. A
//! connection is known again at an instance by its client's socket, as the PROXY header brings it, or
//! by the door's own where there is none. A header with port 0 hides both: such flows are not held.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::order::{Arrival, Arrived, Heard, Order, Through, Told};
use crate::model::fact::{Act, Failure, Purpose, Stage};
use crate::model::id::{ConnId, FlowId, Name, Node};
use crate::model::time::Time;
use crate::policy::{AnyInput, agent, balancer, proxy, user};

/// Reads an order, call by call.
#[derive(Debug, Default)]
pub struct Reader {
    order: Order,
    ready: Option<Time>,
    /// How many flows each door has made.
    flows: BTreeMap<Name, u64>,
    /// The flow that last came from a socket.
    sockets: BTreeMap<SocketAddr, Through>,
    /// How many connections each instance has numbered.
    conns: BTreeMap<Name, u64>,
    by_conn: BTreeMap<(Name, ConnId), Through>,
    told: BTreeMap<(Node, Told), u32>,
    heard: BTreeMap<(Name, Heard), u32>,
}

impl Reader {
    /// Takes the next call: whose, when, with what (`None` for a wake), and what came out of it.
    pub fn take(&mut self, node: &Node, at: Time, input: Option<&AnyInput>, outputs: &[String]) {
        self.order.last = self.order.last.max(at);
        if let Node::Agent(_) | Node::Balancer(_) | Node::User(_) = node {
            self.ready = self.ready.or(Some(at));
        }
        match (node, input) {
            (Node::Agent(_) | Node::Balancer(_) | Node::User(_), None) => {
                let times = self.order.woken.entry(node.clone()).or_default();
                times.push_back(at);
            }
            (Node::Agent(_), Some(AnyInput::Agent(agent::Input::Operate(Act::Start))))
            | (Node::User(_), Some(AnyInput::User(user::Input::Operate(Act::Start)))) => {
                self.order.started.entry(node.clone()).or_insert(at);
            }
            (Node::Agent(_), Some(AnyInput::Agent(input))) => {
                self.agent(node, at, input);
                if let Some(told) = Told::of_agent(input) {
                    self.told(node, told, at);
                }
            }
            (Node::User(_), Some(AnyInput::User(input))) => {
                self.user(node, at, input);
                if let Some(told) = Told::of_user(input) {
                    self.told(node, told, at);
                }
            }
            (Node::Balancer(door), Some(AnyInput::Balancer(input))) => {
                self.door(door, at, input, outputs);
            }
            (Node::Proxy(name), Some(AnyInput::Proxy(input))) => self.instance(name, at, input),
            _ => {}
        }
    }

    /// Gives what was read; `None` when nobody was started.
    pub fn finish(self) -> Option<Order> {
        let ready = self.ready.filter(|_| !self.order.started.is_empty())?;
        Some(Order {
            ready,
            ..self.order
        })
    }

    /// Takes what tells the ends of an agent's dials apart.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few inputs are held")]
    fn agent(&mut self, node: &Node, at: Time, input: &agent::Input) {
        use agent::Input;
        match input {
            Input::Failed { dial, stage, .. } if *stage <= Stage::Tls => {
                self.told(node, Told::Shut(dial.0), at);
            }
            Input::TunnelUp { dial, .. } => self.told(node, Told::Up(*dial), at),
            _ => {}
        }
    }

    /// Takes what tells the ends of a user's visits and pings apart.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few inputs are held")]
    fn user(&mut self, node: &Node, at: Time, input: &user::Input) {
        use user::Input;
        let told = match input {
            Input::Connected {
                request,
                purpose: Purpose::Ping,
                address,
                ..
            } => Told::Asked(request.0, address.0.port()),
            Input::Failed {
                request, reason, ..
            } => {
                if matches!(reason, Failure::Connect | Failure::Tls) {
                    self.told(node, Told::Shut(request.0), at);
                }
                Told::Failed(*request)
            }
            Input::PingAnswered { attempt, asked, .. } => Told::Answered(*attempt, asked.port),
            _ => return,
        };
        self.told(node, told, at);
    }

    fn told(&mut self, node: &Node, mut told: Told, at: Time) {
        if let Told::Connected(..) | Told::Gossip(..) = told {
            let n = self.told.entry((node.clone(), told)).or_default();
            *n += 1;
            told = told.in_turn(*n);
        }
        let key = (node.clone(), told);
        self.order.told.entry(key).or_insert(at);
    }

    fn door(&mut self, door: &Name, at: Time, input: &balancer::Input, outputs: &[String]) {
        use balancer::Input;
        let what = match input {
            Input::Accepted { client, .. } => {
                if !outputs.iter().any(|output| output.starts_with("Refuse")) {
                    let made = self.flows.entry(door.clone()).or_default();
                    *made += 1;
                    let flow = (door.clone(), FlowId(*made));
                    self.sockets.insert(client.0, flow);
                }
                Arrived::Accepted {
                    client: client.ip(),
                }
            }
            Input::Checked { proxy, error, .. } => Arrived::Checked {
                proxy: *proxy,
                error: error.clone(),
            },
            Input::Connected { flow, from } => {
                self.order.connected.insert((door.clone(), *flow), at);
                if let Some(from) = from {
                    self.sockets.insert(from.0, (door.clone(), *flow));
                }
                return;
            }
            Input::FlowEnded { flow, .. } => {
                self.order.ended.insert((door.clone(), *flow), at);
                return;
            }
            Input::Operated { act } => Arrived::Operated { act: *act },
            Input::ConnectFailed { .. } => return,
        };
        let arrivals = self.order.arrivals.entry(door.clone()).or_default();
        arrivals.push(Arrival { at, what });
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "few inputs are held")]
    fn instance(&mut self, name: &Name, at: Time, input: &proxy::Input) {
        use proxy::Input;
        let by_conn = |conn: &ConnId| self.by_conn.get(&(name.clone(), *conn)).cloned();
        let heard = match input {
            Input::Announced { host_id, .. } => Some(Heard::Announced(host_id.clone(), 0)),
            Input::Heartbeat { conn, .. } => by_conn(conn).map(|flow| Heard::Beat(flow, 0)),
            Input::HelloRead { client, .. } | Input::SshRead { client, .. } => {
                let made = self.conns.entry(name.clone()).or_default();
                *made += 1;
                let conn = ConnId(*made);
                let flow = self.sockets.get(&client.0).cloned();
                if let Some(flow) = &flow {
                    self.by_conn.insert((name.clone(), conn), flow.clone());
                    self.order.known.insert(flow.0.clone());
                }
                flow.map(Heard::Hello)
            }
            Input::RequestEnded {
                request, status, ..
            } => {
                if *status == 0 {
                    self.heard(name, Heard::Left(*request), at);
                }
                Some(Heard::Ended(*request))
            }
            Input::RequestRead { client, .. } => {
                self.sockets.get(&client.0).cloned().map(Heard::Request)
            }
            Input::StreamRefused {
                request, broken, ..
            } => Some(match broken {
                true => Heard::Broken(*request),
                false => Heard::Refused(*request),
            }),
            Input::TunnelOpened { conn, .. } => by_conn(conn).map(Heard::Login),
            Input::TunnelClosed { conn, .. } => by_conn(conn).map(Heard::Closed),
            _ => None,
        };
        if let Some(heard) = heard {
            self.heard(name, heard, at);
        }
    }

    fn heard(&mut self, name: &Name, mut heard: Heard, at: Time) {
        if let Heard::Announced(..) | Heard::Beat(..) = heard {
            let n = self.heard.entry((name.clone(), heard.clone())).or_default();
            *n += 1;
            heard = heard.in_turn(*n);
        }
        self.order.heard.entry((name.clone(), heard)).or_insert(at);
    }
}

impl Heard {
    /// Gives it with its number in turn, where it has one.
    fn in_turn(mut self, turn: u32) -> Self {
        if let Self::Announced(_, n) | Self::Beat(_, n) = &mut self {
            *n = turn;
        }
        self
    }
}

impl Told {
    /// Gives it with its number in turn, where it has one.
    const fn in_turn(mut self, turn: u32) -> Self {
        if let Self::Connected(_, _, n) | Self::Gossip(_, n) = &mut self {
            *n = turn;
        }
        self
    }

    /// Gives what an agent learns by this, if it is such a thing; without its number in turn.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few inputs are held")]
    pub const fn of_agent(input: &agent::Input) -> Option<Self> {
        use agent::Input;
        Some(match input {
            Input::Connected { dial, purpose, .. } => Self::Connected(*purpose, dial.0, 0),
            Input::FindAnswered { dial, .. } => Self::Found(*dial),
            Input::Failed { dial, .. } | Input::TunnelUp { dial, .. } => Self::Tried(*dial),
            Input::Gossip { dial, .. } => Self::Gossip(*dial, 0),
            Input::HostKeyShown { dial, .. } => Self::Shown(*dial),
            Input::TunnelClosed { dial, .. } => Self::Lost(*dial),
            _ => return None,
        })
    }

    /// Gives what a user learns by this, if it is such a thing; without its number in turn.
    pub const fn of_user(input: &user::Input) -> Option<Self> {
        use user::Input;
        Some(match input {
            Input::Answered { request, .. } | Input::Failed { request, .. } => {
                Self::Visited(*request)
            }
            Input::Connected {
                request, purpose, ..
            } => Self::Connected(*purpose, request.0, 0),
            Input::LoggedIn { request } => Self::LoggedIn(*request),
            Input::MeshComplete => Self::Mesh,
            Input::PingAnswered { attempt, .. } | Input::PingFailed { attempt, .. } => {
                Self::Pinged(*attempt)
            }
            Input::Redirected { request, .. } => Self::Redirected(*request),
            Input::Operate(_) | Input::Roamed { .. } => return None,
        })
    }

    /// Gives what ends a dial, visit or ping of this purpose and number.
    pub(in crate::sim) const fn end_of(purpose: Purpose, attempt: u64) -> Self {
        match purpose {
            Purpose::Find | Purpose::Tunnel => Self::Tried(crate::model::id::DialId(attempt)),
            Purpose::Ping => Self::Pinged(attempt),
            Purpose::Launch | Purpose::Visit => Self::Visited(crate::model::id::RequestId(attempt)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::addr::{ClientAddr, ListenAddr};
    use crate::model::teleport::Port;

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Reads a client's way through a door that says of it what `seen` is; gives what is known of
    /// its request.
    fn request(seen: &str) -> Option<Time> {
        let mut reader = Reader::default();
        let (door, proxy) = (Node::Balancer("external".into()), Node::Proxy("1".into()));
        let user = Node::User("alice".into());
        let start = user::Input::Operate(Act::Start);
        let at = Time::from_us;
        reader.take(&user, at(1), Some(&AnyInput::User(start)), &[]);
        let accepted = |client: &str| balancer::Input::Accepted {
            client: ClientAddr(socket(client)),
            listener: ListenAddr(socket("127.0.0.2:443")),
        };
        let refused = [String::from("Refuse { client: .. }")];
        let input = accepted("127.0.0.9:1000").into();
        reader.take(&door, at(2), Some(&input), &refused);
        let input = accepted("127.0.0.9:1001").into();
        reader.take(&door, at(3), Some(&input), &[]);
        let input = balancer::Input::Connected {
            flow: FlowId(1),
            from: Some(ClientAddr(socket("127.0.0.2:2000"))),
        };
        reader.take(&door, at(4), Some(&input.into()), &[]);
        let client = ClientAddr(socket(seen));
        let input = proxy::Input::HelloRead {
            listener: Port::Web,
            client,
            sni: None,
            alpn: Vec::new(),
        };
        reader.take(&proxy, at(5), Some(&input.into()), &[]);
        let input = proxy::Input::RequestRead {
            client,
            host: String::new(),
            path: String::new(),
            session: None,
        };
        reader.take(&proxy, at(6), Some(&input.into()), &[]);
        let order = reader.finish()?;
        let flow = ("external".into(), FlowId(1));
        let heard = order.heard.get(&("1".into(), Heard::Request(flow)));
        assert_eq!(heard.is_some(), order.known.contains("external"));
        heard.copied()
    }

    #[test]
    fn a_request_is_known_by_the_flow_that_it_came_through() {
        let at = Some(Time::from_us(6));
        // With a PROXY header, and without one.
        assert_eq!(request("127.0.0.9:1001"), at);
        assert_eq!(request("127.0.0.2:2000"), at);
        // One that was turned away made no flow, and port 0 hides it.
        assert_eq!(request("127.0.0.9:1000"), None);
        assert_eq!(request("127.0.0.9:0"), None);
    }
}
