//! NSD, which has no views: the public zone for everybody. Its rate limit is off.

use std::net::SocketAddr;
use std::path::Path;

use super::{Data, Plan, line};
use crate::data::ORIGIN;

pub(super) fn plan(data: Data, folder: &Path, zones: &Path, at: SocketAddr) -> Plan {
    let (folder, zones, port) = (folder.display(), zones.display(), at.port());
    let zone = match data {
        Data::Million => "million",
        Data::TwoViews => "public",
    };
    let text = format!(
        "server:\n  ip-address: 127.0.0.1@{port}\n  server-count: 1\n  username: \"\"\n  \
         database: \"\"\n  zonesdir: \"{zones}\"\n  pidfile: \"{folder}/nsd.pid\"\n  \
         zonelistfile: \"{folder}/zone.list\"\n  xfrdfile: \"{folder}/xfrd.state\"\n  \
         xfrdir: \"{folder}\"\n  minimal-responses: yes\n  rrl-ratelimit: 0\n  verbosity: 0\n\
         remote-control:\n  control-enable: no\n\
         zone:\n  name: {ORIGIN}\n  zonefile: {zone}.zone\n"
    );
    let file = format!("{folder}/nsd.conf");
    Plan {
        line: line(&["nsd", "-d", "-c", &file]),
        files: vec![("nsd.conf".into(), text)],
    }
}
