//! Debian's name servers as ordinary children: own folder, own port, 127.0.0.1 only, ended with the
//! test.

use std::fmt::Write as _;
use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::kit::root;
use crate::ports::free_port;

use super::questions::message;
use super::{ORIGINS, file};

/// Which server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Bind,
    Knot,
    Nsd,
}

/// A server that ends with the test.
pub(super) struct Peer {
    child: Child,
    pub(super) folder: PathBuf,
    pub(super) address: SocketAddr,
}

impl Kind {
    /// The program, and Debian's package that has it.
    const fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Bind => ("/usr/sbin/named", "bind9"),
            Self::Knot => ("/usr/sbin/knotd", "knot"),
            Self::Nsd => ("/usr/sbin/nsd", "nsd"),
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Bind => &["-g", "-n", "1", "-c"],
            Self::Knot => &["-c"],
            Self::Nsd => &["-d", "-c"],
        }
    }

    fn configuration(self, folder: &Path, port: u16) -> String {
        let home = folder.display();
        let mut text = match self {
            Self::Bind => format!(
                "options {{\n directory \"{home}\";\n listen-on port {port} {{ 127.0.0.1; }};\n \
                 listen-on-v6 {{ none; }};\n pid-file none;\n session-keyfile none;\n \
                 recursion no;\n minimal-responses yes;\n check-names primary ignore;\n \
                 empty-zones-enable no;\n dnssec-validation no;\n notify no;\n \
                 zero-no-soa-ttl no;\n allow-transfer {{ none; }};\n max-cache-size 8m;\n}};\n\
                 controls {{ }};\n"
            ),
            Self::Knot => format!(
                "server:\n  rundir: \"{home}\"\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  \
                 tcp-workers: 1\n  background-workers: 1\nlog:\n  - target: stderr\n    \
                 any: warning\ndatabase:\n  storage: \"{home}\"\ntemplate:\n  - id: default\n    \
                 storage: \"{home}\"\n    file: \"%s.zone\"\n    semantic-checks: soft\n    \
                 journal-content: none\n    zonefile-load: whole\nzone:\n"
            ),
            Self::Nsd => format!(
                "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  chroot: \"\"\n  \
                 zonesdir: \"{home}\"\n  database: \"\"\n  zonelistfile: \"{home}/zones\"\n  \
                 pidfile: \"{home}/pid\"\n  xfrdfile: \"{home}/xfrd\"\n  xfrdir: \"{home}\"\n  \
                 server-count: 1\n  rrl-ratelimit: 0\n  minimal-responses: yes\n  refuse-any: yes\n\
                 remote-control:\n  control-enable: no\n"
            ),
        };
        for origin in ORIGINS {
            let bare = origin.trim_end_matches('.');
            let zone = match self {
                Self::Bind => {
                    format!("zone \"{origin}\" {{ type primary; file \"{bare}.zone\"; }};\n")
                }
                Self::Knot => format!("  - domain: {origin}\n"),
                Self::Nsd => format!("zone:\n  name: \"{bare}\"\n  zonefile: \"{bare}.zone\"\n"),
            };
            let _ = write!(text, "{zone}");
        }
        text
    }
}

impl Peer {
    /// Starts a server; a port that was taken meanwhile is tried anew.
    pub(super) fn start(kind: Kind) -> Self {
        let (program, package) = kind.program();
        assert!(
            Path::new(program).exists(),
            "{program} is missing: install {package} (tests/run --install does), without its service"
        );
        let mut words = String::new();
        for attempt in 0..3 {
            let mut peer = Self::spawn(kind, attempt);
            if peer.is_ready() {
                return peer;
            }
            words = std::fs::read_to_string(peer.folder.join("log")).unwrap_or_default();
        }
        panic!("{program} did not start in three tries; it said:\n{words}");
    }

    fn spawn(kind: Kind, attempt: u32) -> Self {
        let port = free_port();
        let name = format!("twodoors-{kind:?}-{}-{attempt}-{port}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for origin in ORIGINS {
            // The server may not see the repository, so it gets copies.
            let copy = folder.join(format!("{origin}zone"));
            std::fs::copy(root().join(file(origin)), copy).unwrap();
        }
        let configuration = folder.join("server.conf");
        std::fs::write(&configuration, kind.configuration(&folder, port)).unwrap();
        let log = File::create(folder.join("log")).unwrap();
        let child = Command::new(kind.program().0)
            .args(kind.arguments())
            .arg(&configuration)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            folder,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }

    /// Waits, for at most 20 s, until it answers for the last zone.
    fn is_ready(&mut self) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let patience = Duration::from_millis(200);
        socket.set_read_timeout(Some(patience)).unwrap();
        for _ in 0..100 {
            let mut ready = true;
            for (id, name) in [(1, &b"\x06single\0"[..]), (2, b"\x03all\x04test\0")] {
                let good = message(id, 0, (name, 6, 1), None);
                socket.send_to(&good, self.address).unwrap();
                let mut answer = [0; 512];
                let come = socket.recv(&mut answer);
                // Without an error, and with one record.
                ready &= come.is_ok() && answer[3] & 0xf == 0 && answer[7] == 1;
            }
            if ready {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                break;
            }
        }
        false
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
