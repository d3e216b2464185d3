//! What doors say about their clients, and what the pool makes of it (reference 3.7).

use crate::model::teleport::{ProxyProtocol, SendProxy};
use crate::model::topology::Balancer;

use super::scene::Scene;
use super::told::Told;

const KEY: &str = "proxy_service.proxy_protocol";

/// Tells what there is to tell of PROXY headers.
pub(super) fn tell(scene: &Scene<'_>, told: &mut Told) {
    let doors = scene
        .topology
        .map_or(&[][..], |topology| &topology.balancers);
    let mode = scene.service.proxy_protocol;
    for (index, door) in doors.iter().enumerate() {
        let key = format!("balancers[{index}].send_proxy");
        let name = &door.name;
        match (mode, door.send_proxy) {
            (ProxyProtocol::On, SendProxy::None) => told.door(
                "proxy-header-missing",
                name,
                &key,
                (
                    format!(
                        "balancer/{name} sends no PROXY header and proxy_protocol is on: the pool \
                         closes every connection that comes through it, while the door's checks, \
                         which send nothing, go on passing"
                    ),
                    format!(
                        "have {name} send one (send_proxy: v2); or take proxy_protocol out of the \
                         pool's file and keep the doors' other clients away from it"
                    ),
                ),
            ),
            (ProxyProtocol::Off, SendProxy::V1 | SendProxy::V2) => told.door(
                "proxy-header-refused",
                name,
                &key,
                (
                    format!(
                        "balancer/{name} sends PROXY headers and proxy_protocol is off: the pool \
                         closes every connection that comes through it"
                    ),
                    format!(
                        "write proxy_protocol: on, or have {name} send none (send_proxy: none)"
                    ),
                ),
            ),
            (ProxyProtocol::Off | ProxyProtocol::On | ProxyProtocol::Unset, _) => {}
        }
    }
    let sends = |door: &&Balancer| door.send_proxy != SendProxy::None;
    if let (ProxyProtocol::Unset, Some(door)) = (mode, doors.iter().find(sends)) {
        let every = doors.iter().all(|door| sends(&door));
        let cure = if every {
            "write proxy_protocol: on"
        } else {
            "have every door send a header, and write proxy_protocol: on"
        };
        told.pool(
            "proxy-protocol-unset",
            KEY,
            (
                format!(
                    "proxy_protocol is not set and balancer/{} sends PROXY headers: they are \
                     believed, the client's port becomes 0, each such connection is an error in \
                     Teleport's log, and IP pinning is refused",
                    door.name
                ),
                cure.to_owned(),
            ),
        );
    }
}
