//! What a connection gets by the listener that it came in at (reference 3.3).
//!
//! Over TLS `policy/alpn` chooses; here is raw SSH, which the web listener serves only where it is the
//! tunnel listener too, and whether the instance has room.

use crate::model::addr::ClientAddr;
use crate::model::fact::{Kind, Service};
use crate::model::id::{ConnId, Name};
use crate::model::teleport::{Port, ProxyService};
use crate::policy::{Context, Outbox, alpn};

use super::{CONNS_MAX, Output, Proxy, Work};

/// What a connection said of itself.
struct Asked {
    listener: Port,
    client: ClientAddr,
    sni: Option<Name>,
    alpn: Vec<Name>,
}

/// What it gets, before anybody looks whether there is room.
struct Chosen {
    service: Result<Service, String>,
    protocol: Option<&'static str>,
    why: &'static str,
}

impl Proxy {
    pub(super) fn hello_read(
        &mut self,
        cx: &Context<'_>,
        (listener, client): (Port, ClientAddr),
        (sni, alpn): (Option<Name>, Vec<Name>),
        out: &mut Outbox<Output>,
    ) {
        let classified = alpn::classify(listener, sni.as_deref(), &alpn);
        let alpn = alpn::shown(&alpn)
            .iter()
            .map(|name| name.as_str().into())
            .collect();
        let asked = Asked {
            listener,
            client,
            sni,
            alpn,
        };
        let chosen = Chosen {
            service: classified.service.map_err(|refusal| refusal.to_string()),
            protocol: classified.protocol,
            why: classified.why,
        };
        self.arrived(cx, asked, chosen, out);
    }

    pub(super) fn ssh_read(
        &mut self,
        cx: &Context<'_>,
        (listener, client): (Port, ClientAddr),
        out: &mut Outbox<Output>,
    ) {
        let asked = Asked {
            listener,
            client,
            sni: None,
            alpn: Vec::new(),
        };
        let chosen = ssh(listener, &cx.topology.pool.teleport);
        self.arrived(cx, asked, chosen, out);
    }

    /// Gives a connection its service, when this instance has room for it.
    fn arrived(
        &mut self,
        cx: &Context<'_>,
        asked: Asked,
        chosen: Chosen,
        out: &mut Outbox<Output>,
    ) {
        self.conns += 1;
        let conn = ConnId(self.conns);
        let full = self.open.len() >= CONNS_MAX.max(2 * cx.topology.agents.len());
        let (service, why) = match (&chosen.service, self.work) {
            (_, Work::Stopped) => (None, "the proxy is stopped"),
            _ if full => (None, "too many connections are open"),
            (Ok(service), _) => (Some(*service), chosen.why),
            (Err(_), _) => (None, chosen.why),
        };
        let Asked {
            listener,
            client,
            sni,
            alpn,
        } = asked;
        out.fact(Kind::ServiceChosen {
            conn,
            listener,
            client,
            sni,
            alpn,
            service,
            why,
        });
        let Some(service) = service else {
            let client = Some(client);
            let why = chosen.service.err().unwrap_or_else(|| why.to_owned());
            out.fact(Kind::ConnRefused { conn, client, why });
            out.push(Output::RefuseHello { conn });
            return;
        };
        self.open.insert(conn);
        out.push(Output::Serve {
            conn,
            service,
            protocol: chosen.protocol,
        });
    }
}

/// Chooses the service for raw SSH.
fn ssh(listener: Port, teleport: &ProxyService) -> Chosen {
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
