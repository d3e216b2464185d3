//! Fleets: the same as their members written out, and as quick to load as a lab of that size needs.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use twodoors::model::mistake::Files;
use twodoors::model::topology::Topology;
use twodoors::scenario::{embedded, load};

use super::mutated::cpu_time;

/// The embedded scenario with other agents and users.
struct Edited {
    text: String,
}

impl Files for Edited {
    fn read(&self, path: &Path) -> Result<String, String> {
        if path == Path::new(embedded::SCENARIO) {
            return Ok(self.text.clone());
        }
        embedded::FILES.read(path)
    }
}

fn topology(agents: &str, users: &str) -> Topology {
    let text = embedded::FILES.read(Path::new(embedded::SCENARIO));
    let text = text.expect("the example is there");
    let (head, _) = text.split_once("\nagents:").expect("it has agents");
    let text = format!("{head}\nagents:\n{agents}\nusers:\n{users}\n");
    let loaded = load(Path::new(embedded::SCENARIO), &Edited { text });
    let loaded = loaded.unwrap_or_else(|unsound| panic!("{:?}", unsound.mistakes.first()));
    loaded.topology
}

const AGENT: &str = "network: internal, teleport: teleport/orders.yaml";
const USER: &str = "network: external, visits: [orders], every: 5s, start: 1s";

#[test]
fn a_fleet_is_its_members_written_out() {
    let (mut agents, mut users) = (String::new(), String::new());
    for number in 1..=1000 {
        writeln!(agents, "  - {{name: branch-{number}, {AGENT}}}").expect("memory can be written");
        writeln!(users, "  - {{name: clerk-{number}, {USER}}}").expect("memory can be written");
    }
    let one_by_one = topology(&agents, &users);
    let fleet = |count| {
        topology(
            &format!("  - {{name: branch, count: {count}, {AGENT}}}"),
            &format!("  - {{name: clerk, count: {count}, {USER}}}"),
        )
    };
    assert_eq!(one_by_one.agents.len(), 1000);
    assert_eq!(fleet(1000), one_by_one);
    assert_ne!(fleet(999), one_by_one);
}

#[test]
fn a_fleet_of_fifty_thousand_fits_into_one_network_and_is_read_quickly() {
    let start = cpu_time();
    let agents = format!("  - {{name: branch, count: 50000, {AGENT}}}");
    let users = "  - {name: alice, network: external, visits: [orders]}";
    let topology = topology(&agents, users);
    let took = cpu_time().saturating_sub(start);
    assert_eq!(topology.agents.len(), 50_000);
    let mut addresses: Vec<_> = topology.agents.iter().map(|agent| agent.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 50_000);
    // Without optimization this takes less than a second, and with the square of it minutes.
    assert!(took < Duration::from_secs(10), "{took:?}");
}
