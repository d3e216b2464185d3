//! What an agent dials for its tunnel, asked of the pool's file itself (reference 1.6).

use crate::model::addr::{self, HostPort};
use crate::model::teleport::{Port, ProxyService};

/// Works out the tunnel's address; the error is a sentence.
pub(super) fn tunnel(service: &ProxyService, variable: Option<&str>) -> Result<HostPort, String> {
    if let Some(text) = variable {
        let read = addr::read(text).map_err(|why| format!("{text:?} is no address: {why}"))?;
        // No default is applied [I]: the dial itself fails, in Go's words.
        let port = read
            .port
            .ok_or_else(|| format!("address {text}: missing port in address"))?;
        return Ok(specified(read.host, port));
    }
    let web = service.web_listen();
    let public = service.public.first();
    if service.tls_routing() {
        let address = public.unwrap_or(&web);
        return Ok(specified(&address.host, address.port));
    }
    let listener = service.listener(Port::Tunnel);
    let port = listener.map_or(Port::Tunnel.default_port(), |address| address.port);
    let forced = |address: &HostPort| specified(&address.host, port);
    let own = service.tunnel_public.first().cloned();
    Ok(own
        .or_else(|| service.ssh_public.first().map(forced))
        .or_else(|| public.map(forced))
        .or_else(|| listener.map(forced))
        .unwrap_or_else(|| specified(&web.host, web.port)))
}

/// Replaces an unspecified host, which is never a principal, by `localhost`.
fn specified(host: &str, port: u16) -> HostPort {
    let host = if matches!(host, "" | "0.0.0.0" | "::") {
        "localhost"
    } else {
        host
    };
    let host = host.into();
    HostPort { host, port }
}
