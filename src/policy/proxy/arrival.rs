//! What a connection gets by the listener that it came in at (reference 3.3).
//!
//! Over TLS `policy/alpn` chooses; here is raw SSH, which the web listener serves only where it is the
//! tunnel listener too.

use crate::model::addr::ClientAddr;
use crate::model::fact::Service;
use crate::model::id::Name;
use crate::model::teleport::{Port, ProxyService};

/// What a connection said of itself.
pub(super) struct Asked {
    pub(super) listener: Port,
    pub(super) client: ClientAddr,
    pub(super) sni: Option<Name>,
    pub(super) alpn: Vec<Name>,
}

/// What it gets, before anybody looks whether there is room.
pub(super) struct Chosen {
    pub(super) service: Result<Service, String>,
    pub(super) protocol: Option<&'static str>,
    pub(super) why: &'static str,
}

/// Chooses the service for raw SSH.
pub(super) fn ssh(listener: Port, teleport: &ProxyService) -> Chosen {
    let one_address = teleport.listener(Port::Tunnel) == Some(&teleport.web_listen());
    let (service, why) = match listener {
        Port::Tunnel => (
            Some(Service::ReverseTunnel),
            "raw SSH on the tunnel listener",
        ),
        Port::Web if one_address => (
            Some(Service::ReverseTunnel),
            "raw SSH where the tunnel listener is the web listener",
        ),
        Port::Ssh => (Some(Service::Ssh), "raw SSH on the listener of users"),
        Port::Web | Port::Kube | Port::Mysql | Port::Postgres | Port::Mongo | Port::Peer => {
            (None, "raw SSH is not served on this listener")
        }
    };
    let refused = || {
        format!(
            "SSH on the {listener} listener ({}), which does not serve it",
            listener.key()
        )
    };
    Chosen {
        service: service.ok_or_else(refused),
        protocol: None,
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::addr::HostPort;

    fn address(port: u16) -> HostPort {
        HostPort {
            host: "0.0.0.0".into(),
            port,
        }
    }

    #[test]
    fn raw_ssh_is_a_tunnel_where_the_tunnel_listener_is() {
        let mut teleport = ProxyService::multiplexed(Vec::new(), address(3080));
        let service = |teleport: &ProxyService, port| ssh(port, teleport).service.ok();
        assert_eq!(service(&teleport, Port::Web), None);
        assert_eq!(
            service(&teleport, Port::Tunnel),
            Some(Service::ReverseTunnel)
        );
        assert_eq!(service(&teleport, Port::Ssh), Some(Service::Ssh));
        teleport.listen.push((Port::Tunnel, address(3024)));
        assert_eq!(service(&teleport, Port::Web), None);
        teleport.listen[1].1 = address(3080);
        assert_eq!(service(&teleport, Port::Web), Some(Service::ReverseTunnel));
        assert_eq!(service(&teleport, Port::Kube), None);
    }
}
