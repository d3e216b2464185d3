//! A door's own connects: of flows and of checks, with what faults do to them.

use super::{Aim, Connect, Early, Event, Id, Input, Listening, REFUSED, SYN_AGAIN, World};
use super::{ClientAddr, SocketAddr};
use crate::model::time::{Span, Time};

impl World<'_> {
    pub(super) fn connect_backend(&mut self, door: u32, proxy: u32, aim: Aim) {
        let connect = Connect {
            door,
            proxy,
            aim,
            began: self.now,
            again: 0,
        };
        self.send_syn(connect, self.now);
    }

    /// Sends a door's SYN to an instance at this instant.
    fn send_syn(&mut self, connect: Connect, at: Time) {
        let topology = &self.topology;
        let door = &topology.balancers[connect.door as usize].name;
        let proxy = &topology.pool.proxies[connect.proxy as usize].name;
        let met = self.faults.connecting(topology, door, proxy);
        let delay = self.delay(met.latency, met.jitter);
        let at = at + self.topology.model.latency + delay;
        let from = Id::Balancer(connect.door);
        self.queue.push(at, from, Event::BackendSyn(connect));
    }

    /// A door's SYN is at the instance.
    pub(in crate::sim) fn backend_syn(&mut self, connect: Connect) {
        let topology = &self.topology;
        let door = &topology.balancers[connect.door as usize].name;
        let proxy = &topology.pool.proxies[connect.proxy as usize].name;
        let met = self.faults.connecting(topology, door, proxy);
        let instance = &self.proxies[connect.proxy as usize];
        let listening = self.faults.listening(&instance.node);
        let result = match listening {
            _ if met.refused => Err(String::from(REFUSED)),
            Listening::Silent => return self.syn_again(connect),
            _ if met.silent => return self.syn_again(connect),
            Listening::Refusing => Err(String::from(REFUSED)),
            // The kernel answers for a process that stands still.
            Listening::Open | Listening::Paused if instance.listening => Ok(()),
            Listening::Open | Listening::Paused => Err(String::from(REFUSED)),
        };
        // The answer takes as long as the way there; longer than the timeout is too long.
        let at = self.now + self.topology.model.latency;
        self.end_connect(connect, at, result);
    }

    fn end_connect(&mut self, connect: Connect, at: Time, result: Result<(), String>) {
        let timeout = self.timeout_of(connect);
        let (at, result) = if at.since(connect.began) > timeout {
            let words = format!("no answer within {timeout}");
            (connect.began + timeout, Err(words))
        } else {
            (at, result)
        };
        let from = Id::Proxy(connect.proxy);
        let event = Event::BackendEnded(connect, result);
        self.queue.push(at.max(self.now), from, event);
    }

    /// Nobody answered: the SYN is sent again until the connect's own timeout.
    fn syn_again(&mut self, connect: Connect) {
        let timeout = self.timeout_of(connect);
        let again = SYN_AGAIN.get(usize::from(connect.again));
        match again.filter(|again| **again < timeout) {
            Some(again) => {
                let at = connect.began + *again;
                let again = connect.again + 1;
                self.send_syn(Connect { again, ..connect }, at.max(self.now));
            }
            None => {
                let never = connect.began + timeout + Span::from_us(1);
                self.end_connect(connect, never, Ok(()));
            }
        }
    }

    fn timeout_of(&self, connect: Connect) -> Span {
        let config = &self.topology.balancers[connect.door as usize];
        match connect.aim {
            Aim::Check(_) => config.check.timeout,
            Aim::Flow(_) => config.timeout_connect,
        }
    }

    /// A door's connect has ended.
    pub(in crate::sim) fn backend_ended(&mut self, connect: Connect, result: Result<(), String>) {
        let Connect { door, proxy, .. } = connect;
        match connect.aim {
            Aim::Check(check) => {
                let early = Early::Checked(check, proxy);
                if self.follow(door, early).is_none() {
                    return;
                }
                let error = result.err();
                let input = Input::Checked {
                    check,
                    proxy,
                    error,
                };
                self.feed_door(door, input, None);
            }
            Aim::Flow(flow) => {
                let held = result.is_ok().then(|| self.hold_connected(door, flow));
                if let Some(at) = held.flatten() {
                    let again = Event::BackendEnded(connect, result);
                    return self.queue.push(at, Id::Proxy(proxy), again);
                }
                let Some(link) = self.doors[door as usize].flows.get(&flow).copied() else {
                    // A cut has ended it meanwhile, and nobody waits.
                    return;
                };
                let input = match result {
                    Ok(()) => {
                        let from = self.source_of(door);
                        if let Some(link) = self.links.get_mut(link) {
                            link.proxy = proxy;
                            link.seen = from;
                        }
                        Input::Connected { flow, from }
                    }
                    Err(error) => Input::ConnectFailed { flow, error },
                };
                self.feed_door(door, input, Some(link));
            }
        }
    }

    /// Gives a door's own address for a second connection.
    fn source_of(&mut self, door: u32) -> Option<ClientAddr> {
        let own = self.topology.balancers[door as usize].listen.first()?.ip();
        let ports = &mut self.doors[door as usize].ports;
        Some(ClientAddr(SocketAddr::new(
            own,
            crate::sim::dial::port(ports),
        )))
    }
}
