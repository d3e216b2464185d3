//! The command with which plain `ssh` becomes a stand-in agent of this lab (reference 4.4).

use std::net::IpAddr;
use std::path::Path;

use crate::lab::Lab;
use crate::live::authority::STAND_IN;
use crate::model::addr::HostPort;
use crate::model::teleport::{Port, ProxyService};
use crate::policy::alpn;

/// Gives the command, for somebody at this address; `None` when DNS leads him to no door.
pub(super) fn command(lab: &Lab, state: &Path, from: IpAddr) -> Option<String> {
    let teleport = &lab.topology().pool.teleport;
    let HostPort { host, port } = address(teleport)?;
    let door = lab.resolve(from, &format!("{host}."))?;
    let state = state.display();
    let way = if teleport.tls_routing() {
        // ssh speaks no TLS by itself; the source has to be one that the door lets in.
        format!(
            "-o ProxyCommand='openssl s_client -quiet -bind {from}:0 -alpn {} -servername {host} \
             -connect {door}:{port}'",
            alpn::REVERSE_TUNNEL
        )
    } else {
        format!("-b {from} -p {port} -o HostName={door}")
    };
    Some(format!(
        "ssh -F none -N -i {state}/agent_key -o IdentitiesOnly=yes -o \
         UserKnownHostsFile={state}/known_hosts -o HostKeyAlias={host} {way} -R \
         NAME:0:127.0.0.1:8000 {STAND_IN}@{host}"
    ))
}

/// Gives where tunnels are dialled: what an agent would be told first.
fn address(teleport: &ProxyService) -> Option<HostPort> {
    if teleport.tls_routing() {
        return teleport.public.first().cloned();
    }
    let own = || {
        let first = teleport.public.first()?;
        let port = teleport.listener(Port::Tunnel).map(|listen| listen.port);
        Some(HostPort {
            host: first.host.clone(),
            port: port.unwrap_or_else(|| Port::Tunnel.default_port()),
        })
    };
    teleport.tunnel_public.first().cloned().or_else(own)
}
