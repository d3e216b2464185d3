//! The examples that are part of the binary: what `up` runs, the guide's two other ways beside it,
//! and what `init` writes.
//!
//! Paths are those of the repository, so `init` writes the same layout.

use std::path::Path;

use crate::model::mistake::Files;

use super::files::tidy;

/// The path of the scenario in the embedded set.
pub const SCENARIO: &str = "scenarios/split-dns.yaml";

/// The embedded set: path and text.
pub const ALL: &[(&str, &str)] = &[
    (SCENARIO, include_str!("../../scenarios/split-dns.yaml")),
    (
        "scenarios/teleport/billing.yaml",
        include_str!("../../scenarios/teleport/billing.yaml"),
    ),
    (
        "scenarios/teleport/kiosk.yaml",
        include_str!("../../scenarios/teleport/kiosk.yaml"),
    ),
    (
        "scenarios/teleport/orders.yaml",
        include_str!("../../scenarios/teleport/orders.yaml"),
    ),
    (
        "scenarios/teleport/proxy.pem",
        include_str!("../../scenarios/teleport/proxy.pem"),
    ),
    (
        "scenarios/teleport/proxy.yaml",
        include_str!("../../scenarios/teleport/proxy.yaml"),
    ),
    (
        "scenarios/teleport/wiki.yaml",
        include_str!("../../scenarios/teleport/wiki.yaml"),
    ),
    (
        "zones/private/example.com.zone",
        include_str!("../../zones/private/example.com.zone"),
    ),
    (
        "zones/public/example.com.zone",
        include_str!("../../zones/public/example.com.zone"),
    ),
    (
        "scenarios/multiple-public-addresses.yaml",
        include_str!("../../scenarios/multiple-public-addresses.yaml"),
    ),
    (
        "scenarios/tunnel-public-address.yaml",
        include_str!("../../scenarios/tunnel-public-address.yaml"),
    ),
    (
        "scenarios/teleport/multiple-public-addresses/agent.env",
        include_str!("../../scenarios/teleport/multiple-public-addresses/agent.env"),
    ),
    (
        "scenarios/teleport/multiple-public-addresses/orders.yaml",
        include_str!("../../scenarios/teleport/multiple-public-addresses/orders.yaml"),
    ),
    (
        "scenarios/teleport/multiple-public-addresses/proxy.yaml",
        include_str!("../../scenarios/teleport/multiple-public-addresses/proxy.yaml"),
    ),
    (
        "scenarios/teleport/multiple-public-addresses/wiki.yaml",
        include_str!("../../scenarios/teleport/multiple-public-addresses/wiki.yaml"),
    ),
    (
        "scenarios/teleport/tunnel-public-address/orders.yaml",
        include_str!("../../scenarios/teleport/tunnel-public-address/orders.yaml"),
    ),
    (
        "scenarios/teleport/tunnel-public-address/proxy.yaml",
        include_str!("../../scenarios/teleport/tunnel-public-address/proxy.yaml"),
    ),
    (
        "scenarios/teleport/tunnel-public-address/wiki.yaml",
        include_str!("../../scenarios/teleport/tunnel-public-address/wiki.yaml"),
    ),
    (
        "zones/two-names/example.com.zone",
        include_str!("../../zones/two-names/example.com.zone"),
    ),
];

/// The embedded set as files.
pub const FILES: Embedded = Embedded;

/// Reads the embedded set; nothing else exists in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Embedded;

impl Files for Embedded {
    fn read(&self, path: &Path) -> Result<String, String> {
        let path = tidy(path);
        ALL.iter()
            .find(|(name, _)| Path::new(name) == path)
            .map(|(_, text)| (*text).to_owned())
            .ok_or_else(|| String::from("there is no such file in the embedded example"))
    }
}
