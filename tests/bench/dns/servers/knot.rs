//! Knot with mod-geoip over the public zone: the internal network gets the other door.

use std::net::SocketAddr;
use std::path::Path;

use super::{Data, Plan, line};
use crate::data::{INTERNAL_DOOR, ORIGIN};

pub(super) fn plan(data: Data, folder: &Path, zones: &Path, at: SocketAddr) -> Plan {
    let (folder, zones, port) = (folder.display(), zones.display(), at.port());
    let (module, of_zone, zone, workers) = match data {
        Data::Million => ("", "", "million", ""),
        Data::TwoViews => (
            "mod-geoip:\n  - id: doors\n    config-file: FOLDER/geo.conf\n    ttl: 300\n    \
             mode: subnet\n",
            "    module: mod-geoip/doors\n",
            "public",
            "  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n",
        ),
    };
    let module = module.replace("FOLDER", &folder.to_string());
    let text = format!(
        "server:\n  rundir: {folder}\n  listen: 127.0.0.1@{port}\n{workers}\
         log:\n  - target: stderr\n    any: error\n\
         database:\n  storage: {folder}/db\n\
         {module}zone:\n  - domain: {ORIGIN}\n    file: {zones}/{zone}.zone\n    \
         zonefile-sync: -1\n    zonefile-load: whole\n    journal-content: none\n{of_zone}"
    );
    let door =
        |name: &str| format!("{name}.{ORIGIN}:\n  - net: 127.10.0.0/16\n    A: {INTERNAL_DOOR}\n");
    let geo = format!("{}{}", door("proxy"), door("*.proxy"));
    let file = format!("{folder}/knot.conf");
    Plan {
        line: line(&["knotd", "-c", &file]),
        files: vec![("knot.conf".into(), text), ("geo.conf".into(), geo)],
    }
}
