//! Until when agents and users wait: for the door to open or shut, for what came of a dial or a visit.

use super::order::{Arrived, Told};
use crate::model::fact::{Act, Purpose};
use crate::model::id::{DialId, RequestId};
use crate::model::time::{Span, Time};
use crate::policy::{agent, user};
use crate::sim::event::{Event, Id, Message};
use crate::sim::network::LinkId;
use crate::sim::world::World;

impl World<'_> {
    /// Tells an agent what came of a dial, no earlier than the recorded run did.
    pub(in crate::sim) fn tell_outcome(&mut self, index: u32, input: agent::Input) {
        let told = Told::of_agent(&input);
        match self.hold_told(Id::Agent(index), told) {
            Some(at) => {
                let event = Event::Outcome(index, Box::new(input));
                self.queue.push(at, Id::Agent(index), event);
            }
            None => self.outcome(index, input),
        }
    }

    /// Tells an agent what came of a dial.
    pub(in crate::sim) fn outcome(&mut self, index: u32, input: agent::Input) {
        self.feed_agent(index, input);
        self.watch_mesh();
    }

    /// Tells a user something, no earlier than the recorded run did.
    pub(in crate::sim) fn tell_user(&mut self, index: u32, input: user::Input) {
        let told = Told::of_user(&input);
        match self.hold_told(Id::User(index), told) {
            Some(at) => {
                let event = Event::Told(index, Box::new(input));
                self.queue.push(at, Id::User(index), event);
            }
            None => self.feed_user(index, input),
        }
    }

    fn hold_told(&self, id: Id, told: Option<Told>) -> Option<Time> {
        let order = self.options.follow.as_ref()?;
        let at = order.told(&self.node(id)?, told?)?;
        (self.now < at).then_some(at)
    }

    /// Gives until when a client's SYN waits on its way: for the door to open that let the client in,
    /// or to shut, where it did not.
    pub(in crate::sim) fn hold_syn(&mut self, id: LinkId) -> Option<Time> {
        self.options.follow.as_ref()?;
        let link = self.links.get(id)?;
        let (purpose, attempt, door) = (link.purpose, link.attempt, link.door);
        let node = self.node(link.client)?;
        let counted = (node.clone(), Told::Connected(purpose, attempt, 0));
        let turn = self.turns.told.entry(counted).or_default();
        *turn += 1;
        let stands = Told::Connected(purpose, attempt, *turn);
        let order = self.options.follow.as_ref()?;
        let name = &self.topology.balancers.get(door as usize)?.name;
        let acts = order.arrivals.get(name)?.iter().rev();
        let acts = acts.filter_map(|arrival| match arrival.what {
            Arrived::Operated { act } => Some((order.here(arrival.at), act == Act::Start)),
            Arrived::Accepted { .. } | Arrived::Checked { .. } => None,
        });
        let stood = order.told(&node, stands);
        let (until, open) = match stood {
            Some(at) => (at, true),
            None => (order.told(&node, Told::end_of(purpose, attempt))?, false),
        };
        let mut acts = acts.filter(|(at, opens)| *at <= until && *opens == open);
        let (at, _) = acts.next()?;
        (self.now < at).then_some(at)
    }

    /// Gives until when a message waits at a client's end; `None` when it is time.
    pub(in crate::sim) fn hold_at_client(&mut self, id: LinkId, message: &Message) -> Option<Time> {
        let order = self.options.follow.as_ref()?;
        let link = self.links.get(id)?;
        let node = self.node(link.client)?;
        let attempt = link.attempt;
        let (dial, request) = (DialId(attempt), RequestId(attempt));
        let first = |told: Told| order.told(&node, told);
        let end = first(Told::end_of(link.purpose, attempt));
        let at = match (message, link.purpose) {
            (Message::HelloDone, _) if self.is_last(id) => first(Told::Shut(attempt)).and(end),
            (Message::Document, Purpose::Ping) => {
                match first(Told::Answered(attempt, link.listener.0.port())) {
                    Some(at) => Some(at),
                    // Another candidate was first.
                    None => end.map(|at| at + Span::from_us(1)),
                }
            }
            (Message::Document, Purpose::Find) => first(Told::Found(dial)).or(end),
            (Message::HostKey, _) => first(Told::Shown(dial)).or(end),
            (Message::Gossip(_), _) => {
                let counted = (node.clone(), Told::Gossip(dial, 0));
                let turn = self.turns.told.get(&counted).map_or(1, |turn| turn + 1);
                let at = first(Told::Gossip(dial, turn));
                if at.is_none_or(|at| at <= self.now) {
                    self.turns.told.insert(counted, turn);
                }
                at
            }
            (Message::Redirect(_), Purpose::Launch) => {
                let next = Told::Connected(Purpose::Launch, attempt, 2);
                match order.told(&node, next).is_some() && !self.is_launched(link.client) {
                    true => None,
                    false => first(Told::LoggedIn(request)).or(end),
                }
            }
            (Message::Redirect(_), Purpose::Visit) => {
                let turn = (node.clone(), Told::Connected(Purpose::Visit, attempt, 0));
                // A second one, after the login, ends the visit.
                let again = self.turns.told.get(&turn).is_some_and(|turn| *turn > 1);
                match again {
                    true => end,
                    false => first(Told::Redirected(request)).or(end),
                }
            }
            (
                Message::Answer(_)
                | Message::BeatOpened
                | Message::Document
                | Message::NoDocument(_),
                _,
            ) => end,
            _ => None,
        };
        // Who asks closes the connection, and is told what came of it afterwards.
        let asks =
            !matches!(link.purpose, Purpose::Tunnel) && !matches!(message, Message::HelloDone);
        let over = self.through(id).filter(|_| asks);
        let over = over.and_then(|flow| order.ended(&flow));
        let at = at.map(|at| over.map_or(at, |over| at.min(over)));
        at.filter(|at| self.now < *at)
    }

    /// Gives when a client took the last message of a connection that it is known to have read.
    pub(super) fn read_last(&self, id: LinkId) -> Option<Time> {
        let order = self.options.follow.as_ref()?;
        let link = self.links.get(id)?;
        let node = self.node(link.client)?;
        let told = |told: Told| order.told(&node, told);
        let (dial, request) = (DialId(link.attempt), RequestId(link.attempt));
        match link.purpose {
            Purpose::Find => told(Told::Found(dial)),
            Purpose::Launch => told(Told::LoggedIn(request)).filter(|_| self.is_last(id)),
            Purpose::Ping => told(Told::Answered(link.attempt, link.listener.0.port())),
            Purpose::Tunnel => {
                let gossip = (1..).map_while(|turn| told(Told::Gossip(dial, turn)));
                let known = [told(Told::Shown(dial)), told(Told::Up(dial))];
                known.into_iter().flatten().chain(gossip).max()
            }
            Purpose::Visit => {
                let led = told(Told::Redirected(request)).filter(|_| !self.is_last(id));
                let failed = told(Told::Failed(request)).is_some();
                led.or_else(|| told(Told::Visited(request)).filter(|_| !failed))
            }
        }
    }

    /// Gives until when a candidate of a ping waits to be begun: those that were not reached before
    /// the ping was over wait for that.
    pub(in crate::sim) fn hold_ping(&self, index: u32, attempt: u64, port: u16) -> Option<Time> {
        let order = self.options.follow.as_ref()?;
        let node = self.node(Id::User(index))?;
        let over = order.told(&node, Told::Pinged(attempt))?;
        let asked = order.told(&node, Told::Asked(attempt, port)).is_some();
        (!asked && self.now < over).then_some(over)
    }

    /// Tells whether a connection was the last of its dial or visit in the recorded run.
    fn is_last(&self, id: LinkId) -> bool {
        let (Some(order), Some(link)) = (&self.options.follow, self.links.get(id)) else {
            return false;
        };
        let Some(node) = self.node(link.client) else {
            return false;
        };
        let request = RequestId(link.attempt);
        let was = |told: Told| order.told(&node, told).is_some();
        let turn = Told::Connected(link.purpose, link.attempt, 0);
        let turn = self.turns.told.get(&(node.clone(), turn));
        let next = turn.map_or(1, |turn| turn + 1);
        let more = was(Told::Connected(link.purpose, link.attempt, next));
        match link.purpose {
            Purpose::Find => !was(Told::Found(DialId(link.attempt))),
            Purpose::Launch => !was(Told::LoggedIn(request)) && !more,
            Purpose::Ping => false,
            Purpose::Tunnel => true,
            Purpose::Visit if next == 2 => !was(Told::Redirected(request)),
            Purpose::Visit => true,
        }
    }

    fn is_launched(&self, client: Id) -> bool {
        match client {
            Id::User(index) => self.users[index as usize].is_launched(),
            Id::Agent(_) | Id::Balancer(_) | Id::Dns | Id::Lab | Id::Proxy(_) | Id::Resolver(_) => {
                false
            }
        }
    }
}
