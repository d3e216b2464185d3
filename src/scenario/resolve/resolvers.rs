//! Resolvers with a cache, and the figures of the simulation.

use crate::model::topology::{Model, Resolver as CachingResolver};

use super::{LabNode, Resolver, Step, file, format, present, with};
use Step::{Index as I, Key as K};

impl Resolver<'_> {
    /// Resolves the resolvers. Their addresses have been looked at by `listeners`.
    pub(super) fn resolvers(&mut self, shapes: &file::Scenario) -> Vec<CachingResolver> {
        let entries = present(&shapes.resolvers);
        let names: Vec<_> = entries.iter().map(|(_, r)| r.name.as_deref()).collect();
        self.unique(&[K("resolvers")], "resolver", &entries, &names);
        let mut resolved = Vec::new();
        for (index, entry) in entries {
            let on = entry.on.as_deref();
            let on = on.and_then(|on| self.machine(&[K("resolvers"), I(index), K("on")], on));
            let listen = entry.listen.as_deref();
            let listen = listen.and_then(|listen| format::socket_address(listen).ok());
            let (Some(name), Some(listen)) = (entry.name.as_deref(), listen) else {
                continue;
            };
            if let Some(on) = &on {
                self.names.machines.insert(name.into(), on.clone());
            }
            let name = name.into();
            resolved.push(CachingResolver { name, listen, on });
        }
        resolved
    }

    fn machine(&mut self, steps: &[Step<'_>], on: &str) -> Option<LabNode> {
        match self.names.node(on) {
            Ok(node @ (LabNode::Agent(_) | LabNode::User(_))) => Some(node),
            Ok(other) => {
                let what = format!("{other} is neither an agent nor a user");
                self.wrong(steps, what, "take on out for a machine of its own");
                None
            }
            Err(wrong) => {
                self.wrong(steps, wrong.what, wrong.cure);
                None
            }
        }
    }

    /// Reads the figures of the simulation.
    pub(super) fn model(&mut self, shapes: &file::Scenario) -> Model {
        let default = Model::default();
        let Some(model) = &shapes.model else {
            return default;
        };
        let latency = model.latency.as_deref();
        let latency = latency.and_then(|text| format::duration(text).ok());
        let handshake = model.handshake.as_ref();
        let tls = handshake.and_then(|handshake| handshake.tls.as_deref());
        let ssh = handshake.and_then(|handshake| handshake.ssh.as_deref());
        let steps = [K("model"), K("handshake")];
        Model {
            latency: latency.unwrap_or(default.latency),
            servers: handshake
                .and_then(|handshake| handshake.servers)
                .unwrap_or(default.servers),
            tls: self.span(&with(&steps, &[K("tls")]), tls, default.tls),
            ssh: self.span(&with(&steps, &[K("ssh")]), ssh, default.ssh),
        }
    }
}
