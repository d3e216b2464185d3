//! The servers: what each is called, how it is started, and what its views can do.

mod bind;
mod knot;
mod nsd;
mod powerdns;
pub(crate) mod twodoors;
mod unbound;

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failed;
use crate::data;
use crate::process::Process;

/// What a server can tell apart by the network that asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Views {
    /// Nothing: everybody gets the public zone.
    None,
    /// The addresses of the proxy's name, over the public zone.
    Name,
    /// Whole zones.
    Zones,
}

/// A server of the comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Bind,
    Echo,
    Knot,
    Nsd,
    PowerDns,
    Twodoors,
    Unbound,
}

/// Every server, in the order of the tables.
pub(crate) const ALL: [Kind; 7] = [
    Kind::Echo,
    Kind::Twodoors,
    Kind::Bind,
    Kind::Knot,
    Kind::Nsd,
    Kind::PowerDns,
    Kind::Unbound,
];

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Echo => "echo",
            Self::Knot => "knot",
            Self::Nsd => "nsd",
            Self::PowerDns => "pdns",
            Self::Twodoors => "twodoors",
            Self::Unbound => "unbound",
        }
    }

    pub(crate) fn views(self) -> Views {
        match self {
            Self::Bind | Self::Twodoors => Views::Zones,
            Self::Knot | Self::Unbound => Views::Name,
            Self::Echo | Self::Nsd | Self::PowerDns => Views::None,
        }
    }

    /// Gives the program and Debian's package that has it.
    fn program(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Bind => Some(("named", "bind9")),
            Self::Knot => Some(("knotd", "knot knot-module-geoip")),
            Self::Nsd => Some(("nsd", "nsd")),
            Self::PowerDns => Some(("pdns_server", "pdns-server pdns-backend-bind")),
            Self::Unbound => Some(("unbound", "unbound")),
            Self::Echo | Self::Twodoors => None,
        }
    }

    /// Gives what the server says of its version.
    pub(crate) fn version(self, twodoors: &Path) -> Result<String, Failed> {
        let (program, flag) = match self {
            Self::Echo => return Ok("of this bench".into()),
            Self::Twodoors => (twodoors.to_owned(), "--version"),
            Self::Nsd => (found("nsd").ok_or("no nsd")?, "-v"),
            Self::PowerDns => (found("pdns_server").ok_or("no pdns_server")?, "--version"),
            Self::Bind | Self::Knot | Self::Unbound => {
                let (program, _) = self.program().unwrap_or_default();
                (found(program).ok_or(program)?, "-V")
            }
        };
        let output = Command::new(program).arg(flag).output()?;
        let all = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&all);
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

/// What the servers of a part have in common.
pub(crate) struct Setting<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) twodoors: &'a Path,
    /// Whether they run on the server's core alone.
    pub(crate) pinned: bool,
}

/// The data that a server is started with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Data {
    /// The large zone, for everybody.
    Million,
    /// The small zone in two views.
    TwoViews,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

/// Gives the path of a program; Debian has servers in folders that a user may not have on his path.
pub(crate) fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/sbin"]);
    let files = folders.map(|folder| Path::new(folder).join(program));
    files.into_iter().find(|file| file.is_file())
}

/// Gives Debian's packages of what is missing among these servers and the bench's own tools.
pub(crate) fn missing(kinds: &[Kind]) -> Vec<&'static str> {
    let tools = [("taskset", "util-linux"), ("dnsperf", "dnsperf")];
    let programs = kinds.iter().filter_map(|kind| kind.program()).chain(tools);
    programs
        .filter(|(program, _)| found(program).is_none())
        .map(|(_, package)| package)
        .collect()
}

/// Finds a port of 127.0.0.1 that is free for datagrams and connections.
pub(crate) fn free_address() -> Result<SocketAddr, Failed> {
    for _ in 0..100 {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err("no port of 127.0.0.1 is free for both UDP and TCP".into())
}

/// Writes the zones that every server of a part reads.
pub(crate) fn write_zones(folder: &Path, data: Data) -> Result<(), Failed> {
    match data {
        Data::Million => fs::write(folder.join("million.zone"), data::large_zone())?,
        Data::TwoViews => {
            fs::write(folder.join("private.zone"), data::zone(data::INTERNAL_DOOR))?;
            fs::write(folder.join("public.zone"), data::zone(data::EXTERNAL_DOOR))?;
        }
    }
    Ok(())
}

/// A configuration that was written, and the command line that reads it.
pub(crate) struct Plan {
    pub(crate) line: Vec<String>,
    /// Name and content of each file.
    pub(crate) files: Vec<(String, String)>,
}

/// Plans a server with this data at this address; its files go into `folder`.
pub(crate) fn plan(
    kind: Kind,
    data: Data,
    folder: &Path,
    at: SocketAddr,
    twodoors: &Path,
) -> Result<Plan, Failed> {
    let zones = folder.parent().ok_or("the folder has no parent")?;
    let mut plan = match kind {
        Kind::Bind => bind::plan(data, folder, zones, at),
        Kind::Knot => knot::plan(data, folder, zones, at),
        Kind::Nsd => nsd::plan(data, folder, zones, at),
        Kind::PowerDns => powerdns::plan(data, folder, zones, at),
        Kind::Unbound => unbound::plan(data, folder, zones, at)?,
        Kind::Twodoors => twodoors::plan(data, folder, zones, at),
        Kind::Echo => Plan {
            line: vec!["echo".into(), "--echo".into(), at.to_string()],
            files: Vec::new(),
        },
    };
    let program = match kind.program() {
        Some((program, package)) => {
            found(program).ok_or_else(|| format!("{program} is missing: install {package}"))?
        }
        None if kind == Kind::Echo => std::env::current_exe()?,
        None => twodoors.to_owned(),
    };
    plan.line[0] = program.display().to_string();
    Ok(plan)
}

/// Starts a server; it does not answer yet.
pub(crate) fn start(setting: &Setting<'_>, kind: Kind, data: Data) -> Result<Server, Failed> {
    let folder = setting.folder.join(kind.name());
    let address = free_address()?;
    let plan = plan(kind, data, &folder, address, setting.twodoors)?;
    start_plan(setting, &folder, &plan, address)
}

/// Starts what was planned.
pub(crate) fn start_plan(
    setting: &Setting<'_>,
    folder: &Path,
    plan: &Plan,
    address: SocketAddr,
) -> Result<Server, Failed> {
    // Nothing of an earlier start is read again.
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    for (name, content) in &plan.files {
        fs::write(folder.join(name), content)?;
    }
    let process = Process::start(&plan.line, folder.join("stderr"), setting.pinned)?;
    Ok(Server { process, address })
}

/// Makes a command line from words; the first is replaced by the program's path.
fn line(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}
