//! A fleet on addresses that nobody uses: the zones and proxies of the example, a scenario of the
//! bench's own, and agents that have nothing to show.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use twodoors::lab::load::{Loaded, load};
use twodoors::model::draw::Seed;
use twodoors::model::mistake::{Files, Mistake};
use twodoors::model::time::Span;
use twodoors::scenario::embedded;

/// An agent that has nothing to show: only its tunnels are looked at.
const BRANCH: &str = "
version: v3
teleport:
  proxy_server: proxy.example.com:3080
auth_service:
  enabled: no
proxy_service:
  enabled: no
ssh_service:
  enabled: yes
";

/// The files of the example with another scenario, moved to addresses that nobody uses.
pub(crate) struct Moved {
    scenario: String,
    octet: u8,
}

impl Moved {
    /// Puts a scenario in the place of the example; its networks begin at this second octet.
    pub(crate) fn new(scenario: String, octet: u8) -> Self {
        Self { scenario, octet }
    }
}

impl Files for Moved {
    fn read(&self, path: &Path) -> Result<String, String> {
        let text = if path == Path::new(embedded::SCENARIO) {
            self.scenario.clone()
        } else if path.ends_with("branch.yaml") {
            BRANCH.to_owned()
        } else {
            embedded::FILES.read(path)?
        };
        let moved = [(10, 0), (20, 1), (30, 2)]
            .iter()
            .fold(text, |text, (from, to)| {
                text.replace(
                    &format!("127.{from}."),
                    &format!("127.{}.", self.octet + to),
                )
            });
        Ok(moved)
    }
}

/// Finds three neighbouring second octets of 127/8 that nobody listens on.
pub(crate) fn free() -> Option<u8> {
    let free = |octet: u8| {
        (1..=3)
            .all(|last| TcpListener::bind(SocketAddr::from(([127, octet, 0, last], 3080))).is_ok())
    };
    (130..=240)
        .step_by(3)
        .find(|first| (0..3).all(|more| free(first + more)))
}

fn words(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes
        .iter()
        .map(|mistake| format!("{mistake:?}"))
        .collect();
    lines.join("\n")
}

/// Reads the scenario, with this seed.
pub(crate) fn loaded(files: &Moved, seed: u64) -> Result<Loaded, String> {
    let loaded = load(Path::new(embedded::SCENARIO), files);
    loaded
        .map(|loaded| loaded.with_seed(Seed(seed)))
        .map_err(|mistakes| words(&mistakes))
}

/// Gives a span in seconds.
pub(crate) fn seconds(span: Span) -> f64 {
    Duration::from_micros(span.as_us()).as_secs_f64()
}

/// Reads a count from the command line.
pub(crate) fn asked(name: &str, otherwise: u64) -> Result<u64, std::num::ParseIntError> {
    let mut args = std::env::args().skip_while(|arg| arg != name).skip(1);
    args.next().map_or(Ok(otherwise), |count| count.parse())
}
