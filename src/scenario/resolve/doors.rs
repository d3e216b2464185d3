//! Balancers, and the rule that every listener of the lab has an address of its own.

use std::net::SocketAddr;

use crate::model::teleport::SendProxy;

use super::{
    Algorithm, Balancer, Check, Dns, ListenAddr, Pool, Resolver, Role, Span, Step, file, format,
    present, with,
};
use Step::{Index as I, Key as K};

impl Resolver<'_> {
    pub(super) fn balancers(&mut self, shapes: &file::Scenario) -> Vec<Balancer> {
        let balancers = present(&shapes.balancers);
        let names: Vec<_> = balancers.iter().map(|(_, b)| b.name.as_deref()).collect();
        self.unique(&[K("balancers")], "balancer", &balancers, &names);
        balancers
            .iter()
            .map(|(index, balancer)| self.balancer(*index, balancer))
            .collect()
    }

    fn balancer(&mut self, index: usize, balancer: &file::Balancer) -> Balancer {
        let steps = [K("balancers"), I(index)];
        let listen = present(&balancer.listen)
            .into_iter()
            .filter_map(|(_, text)| format::socket_address(text).ok())
            .map(ListenAddr)
            .collect();
        let allow = self.elements(&with(&steps, &[K("allow")]), &balancer.allow);
        let check = self.check(&steps, balancer.check.as_ref());
        let timeout_connect = self.span(
            &with(&steps, &[K("timeout_connect")]),
            balancer.timeout_connect.as_deref(),
            Span::from_secs(5),
        );
        Balancer {
            name: balancer.name.as_deref().unwrap_or_default().into(),
            listen,
            allow,
            algorithm: match balancer.algorithm {
                Some(file::Algorithm::LeastConnections) => Algorithm::LeastConnections,
                Some(file::Algorithm::RoundRobin) | None => Algorithm::RoundRobin,
            },
            check,
            meant_for: balancer.meant_for.map(|role| match role {
                file::Role::Agents => Role::Agents,
                file::Role::Users => Role::Users,
            }),
            timeout_connect,
            retries: balancer.retries.unwrap_or(3),
            send_proxy: match balancer.send_proxy {
                Some(file::SendProxy::None) => SendProxy::None,
                Some(file::SendProxy::V1) => SendProxy::V1,
                Some(file::SendProxy::V2) | None => SendProxy::V2,
            },
        }
    }

    fn check(&mut self, balancer: &[Step<'_>], check: Option<&file::Check>) -> Check {
        let none = file::Check::default();
        let check = check.unwrap_or(&none);
        let steps = with(balancer, &[K("check")]);
        let at = |key| with(&steps, &[K(key)]);
        let interval = check.interval.as_deref();
        let interval = self.span(&at("interval"), interval, Span::from_secs(2));
        let timeout = check.timeout.as_deref();
        let timeout = self.span(&at("timeout"), timeout, Span::from_secs(1));
        if timeout >= interval {
            self.wrong(
                &at("timeout"),
                format!("a check may take {timeout}, but the next begins after {interval}"),
                "make the timeout shorter than the interval",
            );
        }
        Check {
            interval,
            timeout,
            rise: check.rise.unwrap_or(2),
            fall: check.fall.unwrap_or(3),
        }
    }

    /// Every listener of the lab has an address of its own, and balancers stay out of the pool.
    pub(super) fn listeners(
        &mut self,
        dns: Option<&Dns>,
        pool: Option<&Pool>,
        shapes: &file::Scenario,
    ) {
        let mut known: Vec<(SocketAddr, String)> = Vec::new();
        if let Some(dns) = dns {
            for (index, listen) in dns.listeners().enumerate() {
                let mut steps = vec![K("dns"), K("listen")];
                let several = self.written(&[K("dns"), K("listen"), I(0)]);
                steps.extend(several.then_some(I(index)));
                self.beyond_loopback(&steps, listen.ip());
                let who = String::from("the DNS server");
                known.push((listen, who.clone()));
                self.taken.insert(listen.ip().to_canonical(), who);
            }
        }
        for proxy in pool.into_iter().flat_map(|pool| &pool.proxies) {
            let who = format!("proxy/{}", proxy.name);
            known.push((proxy.listen.0, who.clone()));
            let further = proxy.further.iter();
            known.extend(further.map(|(_, address)| (address.0, who.clone())));
            self.taken.insert(proxy.listen.ip(), who);
        }
        let range = shapes
            .pool
            .as_ref()
            .and_then(|pool| pool.addresses.as_deref())
            .and_then(|text| format::cidr(text).ok());
        if let Some(range) = range {
            self.beyond_loopback(&[K("pool"), K("addresses")], range.addr());
        }
        for (index, balancer) in present(&shapes.balancers) {
            let who = format!("balancer/{}", balancer.name.as_deref().unwrap_or("?"));
            for (at, text) in present(&balancer.listen) {
                let steps = [K("balancers"), I(index), K("listen"), I(at)];
                let Ok(address) = format::socket_address(text) else {
                    continue;
                };
                self.beyond_loopback(&steps, address.ip());
                if address.port() == 0 {
                    self.wrong(
                        &steps,
                        format!(
                            "{address} has no port: DNS names a door's address, never its port"
                        ),
                        format!("write a port, like {}", SocketAddr::new(address.ip(), 3080)),
                    );
                }
                if let Some(range) = range.filter(|range| range.contains(&address.ip())) {
                    self.wrong(
                        &steps,
                        format!("{address} is among the pool's addresses {range}"),
                        "give the balancer an address of a client network",
                    );
                }
                if let Some((_, other)) = known.iter().find(|(other, _)| collide(*other, address)) {
                    let what = format!("{address} is where {other} listens already");
                    self.wrong(&steps, what, "give it another address or port");
                }
                known.push((address, who.clone()));
                self.taken.insert(address.ip().to_canonical(), who.clone());
            }
        }
        for (index, resolver) in present(&shapes.resolvers) {
            let who = format!("resolver/{}", resolver.name.as_deref().unwrap_or("?"));
            let listen = resolver.listen.as_deref();
            let Some(address) = listen.and_then(|text| format::socket_address(text).ok()) else {
                continue;
            };
            let steps = [K("resolvers"), I(index), K("listen")];
            self.beyond_loopback(&steps, address.ip());
            if address.port() == 0 {
                let cure = format!("write a port, like {}", SocketAddr::new(address.ip(), 5353));
                self.wrong(&steps, format!("{address} has no port"), cure);
            }
            if let Some((_, other)) = known.iter().find(|(other, _)| collide(*other, address)) {
                let what = format!("{address} is where {other} listens already");
                self.wrong(&steps, what, "give it another address or port");
            }
            known.push((address, who.clone()));
            // On somebody's machine it may have that machine's address.
            if resolver.on.is_none() {
                self.taken.entry(address.ip().to_canonical()).or_insert(who);
            }
        }
    }
}

/// Tells whether two listeners cannot both be bound; the DNS server takes a free port for 0.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let same_host = a.ip().to_canonical() == b.ip().to_canonical();
    let all = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && (same_host || all)
}
