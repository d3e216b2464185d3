//! unbound as an authority: the public zone as an auth-zone, and a view over it in which the
//! internal network finds the other door.

use std::net::SocketAddr;
use std::path::Path;

use super::{Data, Plan, line};
use crate::Failed;
use crate::data::{INTERNAL_DOOR, ORIGIN};

pub(super) fn plan(
    data: Data,
    folder: &Path,
    zones: &Path,
    at: SocketAddr,
) -> Result<Plan, Failed> {
    if data != Data::TwoViews {
        return Err("unbound is only compared with two views".into());
    }
    let (folder, zones, port) = (folder.display(), zones.display(), at.port());
    let text = format!(
        "server:\n  interface: 127.0.0.1\n  port: {port}\n  do-daemonize: no\n  use-syslog: no\n  \
         logfile: \"\"\n  verbosity: 0\n  chroot: \"\"\n  username: \"\"\n  directory: {folder}\n  \
         pidfile: \"\"\n  num-threads: 1\n  module-config: iterator\n  minimal-responses: yes\n  \
         access-control: 127.0.0.0/8 allow\n  access-control-view: 127.10.0.0/16 private\n\
         remote-control:\n  control-enable: no\n\
         auth-zone:\n  name: {ORIGIN}\n  zonefile: {zones}/public.zone\n  for-downstream: yes\n  \
         for-upstream: no\n  fallback-enabled: no\n\
         view:\n  name: private\n  view-first: yes\n  \
         local-zone: proxy.{ORIGIN}. redirect\n  \
         local-data: \"proxy.{ORIGIN}. 300 IN A {INTERNAL_DOOR}\"\n  \
         local-data: \"proxy.{ORIGIN}. 300 IN SOA ns1.{ORIGIN}. hostmaster.{ORIGIN}. 1 3600 600 \
         604800 60\"\n"
    );
    let file = format!("{folder}/unbound.conf");
    Ok(Plan {
        line: line(&["unbound", "-d", "-c", &file]),
        files: vec![("unbound.conf".into(), text)],
    })
}
