//! What `twodoors proxy` is given to reach a resource as a user: an address to come from, a
//! certificate where one is needed, and where to begin.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Lab;
use crate::live::authority::UserCertificate;
use crate::model::addr::HostPort;
use crate::model::id::Name;
use crate::model::teleport::{ConnType, DatabaseRoute};
use crate::model::topology::Topology;
use crate::policy::proxy::{GUEST, POSTGRES};

/// How long a user's certificate is valid; it is asked for anew at each connection.
pub const CERTIFICATE_FOR: Duration = Duration::from_secs(300);

/// The place in its network of who comes from no address of the scenario, and how many are tried.
const FIRST_HOST: usize = 9;
const HOSTS_TRIED: usize = 1_000;

/// How long the names of a request may be.
const NAME_MAX: usize = 64;

/// What is wanted, and as whom.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// An app or a database.
    pub kind: ConnType,
    /// Its name.
    pub name: String,
    /// The user; whoever is not in the scenario says where from.
    pub user: Option<String>,
    /// A network of the scenario, or an address.
    pub from: Option<String>,
    /// The database within the service; may be empty.
    pub database: String,
}

/// What is given.
#[derive(Debug)]
pub struct Access {
    /// The certificate, for a database.
    pub certificate: Option<UserCertificate>,
    /// The user's name.
    pub user: String,
    /// The address to come from.
    pub from: IpAddr,
    /// Whom to ask for names.
    pub dns: SocketAddr,
    /// `tsh --proxy`: the user's own, else the first public address.
    pub proxy: String,
    /// Listeners that are not bound where the scenario says: real address and bound one.
    pub moved: Vec<(SocketAddr, SocketAddr)>,
}

impl Lab {
    /// Gives what is needed to reach a resource; the error is a sentence.
    pub fn access(&self, wanted: &Wanted) -> Result<Access, String> {
        let topology = self.topology();
        check_resource(topology, wanted)?;
        let user = wanted.user.as_deref().unwrap_or(GUEST);
        for text in [user, &wanted.database] {
            if text.len() > NAME_MAX || text.chars().any(char::is_control) {
                return Err(format!(
                    "{text:?} is no name of at most {NAME_MAX} characters"
                ));
            }
        }
        let known = topology.users.iter().find(|known| *known.name == *user);
        let from = match (&wanted.from, known) {
            (Some(from), _) => address_in(topology, from, known)?,
            (None, Some(known)) => known.address,
            (None, None) => {
                return Err(format!(
                    "the scenario has no user {user:?}, so say where from: --from NETWORK, one of {}",
                    names(topology.networks.iter().map(|network| &network.name))
                ));
            }
        };
        let proxy = match known.and_then(|known| known.proxy.as_ref()) {
            Some(proxy) => proxy.to_string(),
            None => match topology.pool.teleport.public.first() {
                Some(public) => public.to_string(),
                None => return Err(String::from("the pool has no public_addr to go to")),
            },
        };
        let resolver = known.and_then(|known| known.resolver.as_ref());
        let mut resolvers = self.resolvers();
        let own = resolvers.find(|(name, _)| Some(*name) == resolver);
        let dns = own.map_or_else(|| self.dns(), |(_, address)| address);
        Ok(Access {
            certificate: self.certificate_for(wanted, user)?,
            user: user.to_owned(),
            from,
            dns,
            proxy,
            moved: self.moved(),
        })
    }

    fn certificate_for(
        &self,
        wanted: &Wanted,
        user: &str,
    ) -> Result<Option<UserCertificate>, String> {
        if wanted.kind == ConnType::App {
            // An app's session is a cookie, which the login gives.
            return Ok(None);
        }
        let route = DatabaseRoute {
            user: user.into(),
            service: wanted.name.as_str().into(),
            database: wanted.database.as_str().into(),
            protocol: POSTGRES.into(),
        };
        let now = self.shared.clock.unix_seconds();
        let issued = self
            .authority
            .issue_user(Some(&route), user, now, CERTIFICATE_FOR);
        issued.map(Some).map_err(|error| error.to_string())
    }

    fn moved(&self) -> Vec<(SocketAddr, SocketAddr)> {
        let listen = self.doors().flat_map(|(_, listen)| listen);
        let both = listen.map(|real| (real.0, self.bound(real.0)));
        both.filter(|(real, bound)| real != bound).collect()
    }
}

/// A name that nobody serves is a mistake of whoever typed it: it is said at once, with the others.
fn check_resource(topology: &Topology, wanted: &Wanted) -> Result<(), String> {
    let agents = &topology.agents;
    let (word, known): (&str, Vec<&Name>) = match wanted.kind {
        ConnType::App => {
            let apps = agents.iter().flat_map(|agent| &agent.apps);
            ("app", apps.map(|app| &app.name).collect())
        }
        ConnType::Db => {
            let databases = agents.iter().flat_map(|agent| &agent.databases);
            let other = databases
                .clone()
                .find(|db| *db.name == *wanted.name && &*db.protocol != POSTGRES);
            if let Some(other) = other {
                return Err(format!(
                    "the database {} speaks {}; twodoors carries {POSTGRES} alone",
                    other.name, other.protocol
                ));
            }
            ("database", databases.map(|db| &db.name).collect())
        }
    };
    if known.iter().any(|name| ***name == *wanted.name) {
        return Ok(());
    }
    Err(format!(
        "no agent of the scenario serves a {word} named {:?}; there is {}",
        wanted.name,
        names(known.into_iter())
    ))
}

fn names<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    let names: std::collections::BTreeSet<&str> = names.map(|name| &**name).collect();
    if names.is_empty() {
        return String::from("none");
    }
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Gives the address to come from: the one that is written, the user's own if it is in that network,
/// else one that nobody of the scenario has.
fn address_in(
    topology: &Topology,
    from: &str,
    user: Option<&crate::model::topology::User>,
) -> Result<IpAddr, String> {
    if let Ok(address) = from.parse() {
        return Ok(address);
    }
    let bare = from.strip_prefix("network/").unwrap_or(from);
    let mut networks = topology.networks.iter();
    let Some(network) = networks.find(|network| &*network.name == bare) else {
        return Err(format!(
            "--from {from} is neither an address nor a network of the scenario; networks are: {}",
            names(topology.networks.iter().map(|network| &network.name))
        ));
    };
    if let Some(user) = user.filter(|user| network.contains(user.address)) {
        return Ok(user.address);
    }
    free_address(topology, network)
        .ok_or_else(|| format!("no address of the network {bare} is free; name one with --from"))
}

/// Gives an address of a network that nobody of the scenario has.
pub(super) fn free_address(
    topology: &Topology,
    network: &crate::model::network::Network,
) -> Option<IpAddr> {
    let taken = |address: &IpAddr| {
        let doors = topology.balancers.iter().flat_map(|door| &door.listen);
        let resolvers = topology.resolvers.iter();
        topology.client_at(*address).is_some()
            || doors.clone().any(|listen| listen.0.ip() == *address)
            || resolvers.clone().any(|known| known.listen.ip() == *address)
    };
    let ranges = network.ranges.iter();
    let few = |range: &ipnet::IpNet| range.addr() == range.broadcast();
    let mut candidates = ranges.flat_map(|range| {
        let first = if few(range) { 0 } else { FIRST_HOST };
        range.hosts().skip(first).take(HOSTS_TRIED)
    });
    candidates.find(|address| !taken(address))
}

/// Gives the host of an app under an address of the pool.
pub fn app_host(app: &str, web: &HostPort) -> HostPort {
    HostPort {
        host: format!("{app}.{}", web.host).to_ascii_lowercase().into(),
        port: web.port,
    }
}
