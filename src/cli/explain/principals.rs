//! `twodoors explain principals`: the names in the certificates of a proxy, in their order.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::files::{self, Reader};
use crate::cli::{Exit, Io, host};
use crate::lab::load::{Loaded, load};
use crate::model::teleport::ProxyService;
use crate::policy::findings::{self, Pair};
use crate::policy::principals;

/// What stands for a part of a name that is known only when the proxy runs.
const HOST_ID: &str = "<host-id>";
const HOSTNAME: &str = "<hostname>";
const CLUSTER: &str = "<cluster>";

/// Explains which names a proxy's certificates carry.
#[derive(Args, Clone, Debug)]
pub struct PrincipalsArgs {
    /// The teleport.yaml of the proxies; `-` is standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "scenario")]
    pub proxy: Option<PathBuf>,

    /// The host name of the proxy; in a scenario that of its first instance.
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,

    /// A scenario, for the cluster and the host id; its pool where no file is given.
    #[arg(short, long, env = "TWODOORS_SCENARIO", value_name = "FILE")]
    pub scenario: Option<PathBuf>,

    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// Gives the cluster's name: the file's own, the scenario's, or what stands for it.
pub(super) fn cluster(service: Option<&ProxyService>, scenario: Option<&Loaded>) -> String {
    let own = service.and_then(|service| service.cluster.as_deref());
    let own = own.map(str::to_owned);
    own.or_else(|| scenario.map(|loaded| loaded.topology.cluster().to_owned()))
        .unwrap_or_else(|| CLUSTER.to_owned())
}

/// Gives the SSH principals and the web certificate's names of the first instance.
pub(super) fn of(
    service: &ProxyService,
    scenario: Option<&Loaded>,
    hostname: Option<&str>,
) -> (Vec<String>, Vec<String>) {
    let proxy = scenario.and_then(|loaded| loaded.topology.pool.proxies.first());
    let id = proxy.map_or_else(|| HOST_ID.to_owned(), |proxy| proxy.id.to_string());
    let nodename = proxy.map(principals::proxy_nodename);
    let hostname = hostname.map(str::to_owned).or(nodename);
    let hostname = hostname.unwrap_or_else(|| HOSTNAME.to_owned());
    let requested = principals::requested(service, &hostname);
    let cluster = cluster(Some(service), scenario);
    let issued = principals::issued((&id, &hostname), &cluster, requested);
    (issued, principals::web(service, &hostname))
}

/// Explains them.
pub fn principals(args: &PrincipalsArgs, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let mut reader = Reader::default();
    let file = args.proxy.as_deref().and_then(|path| reader.proxy(path));
    if let Some(exit) = reader.end(io)? {
        return Ok(exit);
    }
    let scenario = match args
        .scenario
        .as_deref()
        .map(|path| host::source(Some(path)))
    {
        None => None,
        Some((path, files)) => match load(&path, &*files) {
            Ok(loaded) => Some(loaded),
            Err(mistakes) => return host::print_mistakes(&mistakes, io),
        },
    };
    let own = || {
        scenario
            .as_ref()
            .map(|loaded| &loaded.topology.pool.teleport)
    };
    let Some(service) = file.as_ref().map(|file| &file.service).or_else(own) else {
        return Ok(Exit::Usage);
    };
    let (issued, web) = of(service, scenario.as_ref(), args.hostname.as_deref());
    let dns = principals::identity_dns_names(service);
    let agent = None;
    let found = findings::for_pair(&Pair { service, agent });
    if args.json {
        let keys = file.as_ref().map(|file| &file.keys);
        let findings = found.iter().map(|finding| {
            json!({
                "id": finding.id,
                "severity": finding.severity.word(),
                "subject": finding.subject.to_string(),
                "place": files::place(finding, keys, None, None),
                "what": finding.what,
                "cure": finding.cure,
            })
        });
        let value = json!({
            "schema": "twodoors.explain/1",
            "cluster": cluster(Some(service), scenario.as_ref()),
            "principals": issued,
            "identity_dns_names": dns,
            "web_names": web,
            "findings": findings.collect::<Vec<_>>(),
        });
        writeln!(io.out, "{}", serde_json::to_string_pretty(&value)?)?;
        return Ok(Exit::Success);
    }
    for name in &issued {
        writeln!(io.out, "principal  {name}")?;
    }
    for name in &dns {
        writeln!(io.out, "identity   {name}")?;
    }
    for name in &web {
        writeln!(io.out, "web        {name}")?;
    }
    for finding in &found {
        writeln!(io.out, "finding    {finding}")?;
    }
    Ok(Exit::Success)
}
