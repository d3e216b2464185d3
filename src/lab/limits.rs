//! Descriptors: the soft limit is raised to the hard one, and too few are said in words.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::model::topology::Topology;

/// What a lab at rest needs beside its tunnels: listeners, the page, a few clients.
const BASE: u64 = 128;

/// Four descriptors a tunnel (agent, door twice, proxy), and as many for each visit of a user.
const PER_FLOW: u64 = 4;

/// Raises the soft limit; gives a sentence when even the hard one is too low for this lab.
pub fn raise(topology: &Topology) -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "the soft limit of open files stays");
        }
    }
    let flows = topology.mesh_size() + topology.users.len();
    let needed = BASE + PER_FLOW * u64::try_from(flows).unwrap_or(u64::MAX / PER_FLOW - BASE);
    match getrlimit(Resource::Nofile).current {
        Some(current) if current < needed => Err(format!(
            "this lab needs about {needed} open files and may have {current}: raise the hard limit \
             (`ulimit -Hn {needed}` as root, or LimitNOFILE= in a unit)"
        )),
        _ => Ok(()),
    }
}
