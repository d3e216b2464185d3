//! The order of a recorded run: what reached each door, and when everybody was told of what.
//!
//! In goes a recording; out comes what a simulation is held to. Nothing is replayed here.

use std::io::BufRead;

use super::line::{CallLine, Line};
use super::replay::{Difference, Lines, header};
use crate::model::id::Node;
use crate::model::time::Time;
use crate::model::topology::Topology;
use crate::sim::{Order, Reader};

/// Reads the scenario of a recording and the order in which things reached its doors.
pub fn order(recording: impl BufRead) -> Result<(Topology, Order), Difference> {
    let mut lines = Lines::new(recording);
    let topology = header(&mut lines)?;
    let mut reader = Reader::default();
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
            node,
            at_us,
            input,
            outputs,
            ..
        } = call;
        let named = node.split_once('/');
        let Some(node) = named.and_then(|(kind, name)| Node::named(kind, name)) else {
            continue;
        };
        let input = input.map(|line| line.0);
        reader.take(&node, Time::from_us(at_us), input.as_ref(), &outputs);
    }
    let order = reader.finish();
    let order = order.ok_or_else(|| lines.incomplete("nobody was started in it"))?;
    Ok((topology, order))
}
