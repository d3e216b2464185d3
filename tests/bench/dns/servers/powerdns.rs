//! PowerDNS with its bind back end and packet cache: the public zone for everybody. Its views by
//! address are costlier, so this is the harder comparison.

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
        "launch=bind\nbind-config={folder}/zones.conf\nlocal-address=127.0.0.1\n\
         local-port={port}\nsocket-dir={folder}\ndaemon=no\nguardian=no\ndisable-syslog=yes\n\
         loglevel=3\nreceiver-threads=1\ndistributor-threads=1\nsecurity-poll-suffix=\n\
         version-string=anonymous\n"
    );
    let zone = format!("zone \"{ORIGIN}\" {{ type master; file \"{zones}/{zone}.zone\"; }};\n");
    let folder = format!("--config-dir={folder}");
    Plan {
        line: line(&["pdns_server", &folder]),
        files: vec![("pdns.conf".into(), text), ("zones.conf".into(), zone)],
    }
}
