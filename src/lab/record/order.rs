//! The order of a recorded run: what reached each door, and when agents learnt of their dials.
//!
//! In goes a recording; out comes what a simulation is held to. Nothing is replayed here.

use std::collections::BTreeMap;
use std::io::BufRead;

use super::line::{CallLine, Line};
use super::replay::{Difference, Lines, header};
use crate::model::fact::Act;
use crate::model::time::Time;
use crate::model::topology::Topology;
use crate::policy::{AnyInput, agent, balancer, user};
use crate::sim::{Arrival, Arrived, Heard, Order, Outcome};

/// Reads the scenario of a recording and the order in which things reached its doors.
pub fn order(recording: impl BufRead) -> Result<(Topology, Order), Difference> {
    let mut lines = Lines::new(recording);
    let topology = header(&mut lines)?;
    let doors: BTreeMap<String, _> = topology
        .balancers
        .iter()
        .map(|door| (format!("balancer/{}", door.name), door.name.clone()))
        .collect();
    let agents: BTreeMap<String, _> = topology
        .agents
        .iter()
        .map(|agent| (format!("agent/{}", agent.name), agent.name.clone()))
        .collect();
    let proxies: BTreeMap<String, _> = topology
        .pool
        .proxies
        .iter()
        .map(|proxy| (format!("proxy/{}", proxy.name), proxy.name.clone()))
        .collect();
    let mut order = Order::default();
    let mut ready = None;
    loop {
        let Some(text) = lines.next()? else {
            return Err(lines.incomplete("it ends without its last line"));
        };
        let call = match Line::read(text).map_err(|why| lines.malformed(why))? {
            Line::Lost(lost) => {
                let why = format!("{lost} calls were lost here, the disk was too slow");
                return Err(lines.incomplete(why));
            }
            Line::End(_) => break,
            Line::Call(call) => *call,
        };
        let CallLine {
            node, at_us, input, ..
        } = call;
        let at = Time::from_us(at_us);
        let Some(input) = input else {
            if let Some(name) = agents.get(&node) {
                let times = order.woken.entry(name.clone()).or_default();
                times.push_back(at);
            }
            continue;
        };
        match &input.0 {
            // Agents and users are started once everything listens.
            AnyInput::Agent(agent::Input::Operate(Act::Start))
            | AnyInput::User(user::Input::Operate(Act::Start)) => {
                ready = ready.or(Some(at));
            }
            AnyInput::Agent(input) => {
                if let (Some(name), Some((dial, outcome))) = (agents.get(&node), Outcome::of(input))
                {
                    order.outcomes.insert((name.clone(), dial, outcome), at);
                }
            }
            AnyInput::Balancer(input) => {
                let Some(name) = doors.get(&node) else {
                    continue;
                };
                if let balancer::Input::FlowEnded { flow, .. } = input {
                    order.ended.insert((name.clone(), *flow), at);
                }
                if let Some(what) = arrived(input) {
                    let door = order.arrivals.entry(name.clone()).or_default();
                    door.push(Arrival { at, what });
                }
            }
            AnyInput::Proxy(input) => {
                if let (Some(name), Some(heard)) = (proxies.get(&node), Heard::of(input)) {
                    let times = order.heard.entry((name.clone(), heard)).or_default();
                    times.push_back(at);
                }
            }
            AnyInput::Conductor(_) | AnyInput::Resolver(_) | AnyInput::User(_) => {}
        }
    }
    order.ready = ready.ok_or_else(|| lines.incomplete("nobody was started in it"))?;
    Ok((topology, order))
}

fn arrived(input: &balancer::Input) -> Option<Arrived> {
    use balancer::Input;
    match input {
        Input::Accepted { client, .. } => Some(Arrived::Accepted {
            client: client.ip(),
        }),
        Input::Checked { proxy, error, .. } => Some(Arrived::Checked {
            proxy: *proxy,
            error: error.clone(),
        }),
        Input::Operated { act } => Some(Arrived::Operated { act: *act }),
        Input::Connected { .. } | Input::ConnectFailed { .. } | Input::FlowEnded { .. } => None,
    }
}
