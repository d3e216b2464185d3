//! How `tsh` reads `--proxy` and what it makes of the answer to ping (reference 5).

use crate::model::addr::{self, HostPort};
use crate::policy::address::Document;

/// The ports that are tried when none is given, in order (from memory: [M] in the reference).
const PORTS: [u16; 2] = [3080, 443];

/// The port of an advertised address that names none (Teleport `lib/client`).
const PORT_WEB: u16 = 3080;

/// Gives whom to ping for `host[:web[,ssh]]`: the port that is given, else the known ones in turn.
pub(super) fn candidates(text: &str) -> Result<Vec<HostPort>, String> {
    let web = match text.rsplit_once(']') {
        Some(_) => text.split(',').next().unwrap_or(text),
        None => {
            let mut ports = text.split(',');
            let web = ports.next().unwrap_or(text);
            if ports.count() > 1 {
                return Err(format!("{text:?} has more than a web and an SSH port"));
            }
            web
        }
    };
    let written = addr::read(web).map_err(|why| format!("--proxy {text:?}: {why}"))?;
    let host = || written.host.into();
    Ok(match written.port {
        Some(port) => vec![HostPort { host: host(), port }],
        None => PORTS.map(|port| HostPort { host: host(), port }).to_vec(),
    })
}

/// Gives where the user goes from now on: the advertised address, else the one that answered.
pub(super) fn web_after_ping(document: &Document, asked: &HostPort) -> HostPort {
    match addr::read(&document.public_addr) {
        Ok(written) if !written.host.is_empty() => HostPort {
            host: written.host.into(),
            port: written.port.unwrap_or(PORT_WEB),
        },
        _ => asked.clone(),
    }
}
