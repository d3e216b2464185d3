//! Debian's named as an ordinary child: own folder, own port, 127.0.0.1 only, ended with the test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;

use crate::kit::{query, root};
use crate::ports::free_port;

use super::client::Client;
use super::{NETWORKS, zones};

const NAMED: &str = "/usr/sbin/named";

/// BIND's named, an ordinary child that ends with the test.
pub(super) struct Named {
    child: Child,
    folder: PathBuf,
    pub(super) address: SocketAddr,
}

impl Named {
    /// Starts named; a port that was taken meanwhile is tried anew.
    pub(super) fn start() -> Self {
        assert!(
            Path::new(NAMED).exists(),
            "{NAMED} is missing: install bind9 (tests/runinstall does), without its service"
        );
        let mut words = String::new();
        for attempt in 0..3 {
            match Self::try_start(attempt) {
                Ok(named) => return named,
                Err(log) => words = log,
            }
        }
        panic!("named did not start in three tries; it said:\n{words}");
    }

    /// Starts it; gives what it said when it does not come up.
    fn try_start(attempt: u32) -> Result<Self, String> {
        let mut named = Self::spawn(attempt);
        if named.is_ready() {
            return Ok(named);
        }
        let log = std::fs::read_to_string(named.folder.join("log"));
        Err(log.unwrap_or_default())
    }

    fn spawn(attempt: u32) -> Self {
        let port = free_port();
        let name = format!("twodoors-named-{}-{attempt}-{port}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("named.conf");
        std::fs::write(&file, configuration(&folder, port)).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = Command::new(NAMED)
            .args(["-g", "-n", "1", "-c"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            child,
            folder,
            address,
        }
    }

    /// Waits, for at most 20 s, until it answers for a zone.
    fn is_ready(&mut self) -> bool {
        let question = query("example.com.", RecordType::SOA, None)
            .to_vec()
            .unwrap();
        let mut client = Client::new(NETWORKS[0].2, Duration::from_millis(200));
        for _ in 0..100 {
            if let Some(answer) = client.udp(self.address, &question)
                && Message::from_vec(&answer).is_ok_and(|message| !message.answers.is_empty())
            {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                break;
            }
        }
        false
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn configuration(folder: &Path, port: u16) -> String {
    let mut text = format!(
        "options {{\n directory \"{}\";\n listen-on port {port} {{ 127.0.0.1; }};\n \
         listen-on-v6 {{ none; }};\n pid-file none;\n session-keyfile none;\n recursion no;\n \
         minimal-responses yes;\n check-names primary ignore;\n empty-zones-enable no;\n \
         dnssec-validation no;\n notify no;\n zero-no-soa-ttl no;\n allow-transfer {{ none; }};\n \
         max-cache-size 8m;\n}};\ncontrols {{ }};\n",
        folder.display()
    );
    for (name, network, _) in NETWORKS {
        text.push_str(&format!(
            "view {name} {{\n match-clients {{ {network}; }};\n"
        ));
        for (origin, file) in zones(name) {
            // named opens includes relative to its own folder, so it gets copies beside it.
            let copy = folder
                .join(name)
                .join(Path::new(&file).file_name().unwrap());
            std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
            let zone = std::fs::read_to_string(root().join(&file)).unwrap();
            let shared = root().join("tests/fixtures/zones/shared");
            let zone = zone.replace("../shared", &shared.display().to_string());
            std::fs::write(&copy, zone).unwrap();
            text.push_str(&format!(
                " zone \"{origin}\" {{ type primary; file \"{}\"; }};\n",
                copy.display()
            ));
        }
        text.push_str("};\n");
    }
    text
}
