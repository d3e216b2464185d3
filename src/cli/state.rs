//! The state folder of a running lab: what clients and the other commands need to find it.
//!
//! `ca.pem`, `known_hosts`, `agent_key` with its certificate, `token` and `lab.json`, all 0600; the
//! folder is 0700. They go when the lab stops: the next one has other authorities.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The name and version of the shape of `lab.json`.
pub const SCHEMA: &str = "twodoors.lab/1";

/// The files of a lab; `lab.json`, by which it is found, goes first.
const FILES: [&str; 6] = [
    "lab.json",
    "token",
    "agent_key",
    "agent_key-cert.pub",
    "known_hosts",
    "ca.pem",
];

/// What `lab.json` says.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct LabFile {
    /// [`SCHEMA`].
    pub schema: String,
    /// The scenario's name.
    pub name: String,
    /// The process.
    pub pid: u32,
    /// Where DNS listens.
    pub dns: SocketAddr,
    /// Where else it listens, in the order of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_also: Vec<SocketAddr>,
    /// Where the page is.
    pub http: SocketAddr,
    /// Each balancer's addresses, in the order of the file.
    pub balancers: Vec<Door>,
}

/// One balancer of `lab.json`.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct Door {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
}

/// A state folder.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// Gives the folder that holds the state folders of all labs of this user.
///
/// `runtime` is `$XDG_RUNTIME_DIR`; without it a folder of the user's own under `temporary`.
pub fn base(runtime: Option<PathBuf>, temporary: &Path) -> PathBuf {
    match runtime.filter(|path| path.is_absolute()) {
        Some(runtime) => runtime.join("twodoors"),
        None => {
            let user = rustix::process::geteuid().as_raw();
            temporary.join(format!("twodoors-{user}"))
        }
    }
}

/// Finds the labs that run, by their state folders under `base`.
pub fn running(base: &Path) -> Vec<(PathBuf, LabFile)> {
    let Ok(entries) = fs::read_dir(base) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.path(), read(&entry.path()).ok()?)))
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

/// Reads `lab.json` of a state folder.
pub fn read(path: &Path) -> io::Result<LabFile> {
    let text = fs::read(path.join("lab.json"))?;
    serde_json::from_slice(&text).map_err(io::Error::other)
}

/// Reads the token of a state folder.
pub fn token(path: &Path) -> io::Result<String> {
    fs::read_to_string(path.join("token")).map(|token| token.trim().to_owned())
}

impl Folder {
    /// Makes the folder, 0700, or takes one that is there and belongs to this user alone.
    pub fn create(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let meta = fs::symlink_metadata(path)?;
        let user = rustix::process::geteuid().as_raw();
        if !meta.is_dir() || meta.uid() != user {
            let why = format!("{} is not a folder of this user", path.display());
            return Err(io::Error::other(why));
        }
        if meta.mode() & 0o077 != 0 {
            // It may be anything, /etc for root: it is not ours to close to others.
            let why = "it is open to others; name a folder of its own, or close it (chmod 700)";
            return Err(io::Error::other(why));
        }
        Ok(Self {
            path: fs::canonicalize(path)?,
        })
    }

    /// Gives its path, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that others than this user cannot read, in place of an older one.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.path.join(name);
        let beside = self.path.join(format!(".{name}.new"));
        // What a run left that was killed; a new file follows no link.
        if let Err(error) = fs::remove_file(&beside)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        fs::rename(beside, path)
    }

    /// Writes `lab.json`.
    pub fn write_lab(&self, lab: &LabFile) -> io::Result<()> {
        let text = serde_json::to_string_pretty(lab).map_err(io::Error::other)?;
        self.write("lab.json", &(text + "\n"))
    }

    /// Takes away what is only true while the lab runs, which is everything.
    pub fn close(&self) {
        for name in FILES {
            if let Err(error) = fs::remove_file(self.path.join(name)) {
                tracing::debug!(%error, name, "left in the state folder");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_runtime_folder_the_users_own_is_under_the_temporary_one() {
        let base = base(None, Path::new("/tmp"));
        assert!(
            base.to_string_lossy().starts_with("/tmp/twodoors-"),
            "{}",
            base.display()
        );
        let runtime = super::base(Some("/run/user/7".into()), Path::new("/tmp"));
        assert_eq!(runtime, Path::new("/run/user/7/twodoors"));
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused_and_left_as_it_was() {
        let path = std::env::temp_dir().join(format!("twodoors-open-{}", std::process::id()));
        DirBuilder::new().mode(0o755).create(&path).unwrap();
        Folder::create(&path).unwrap_err();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o755);
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let path = std::env::temp_dir().join(format!("twodoors-link-{}", std::process::id()));
        let folder = Folder::create(&path).unwrap();
        let victim = path.join("victim");
        fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, path.join(".token.new")).unwrap();
        folder.write("token", "secret").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        assert_eq!(token(&path).unwrap(), "secret");
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn secrets_are_for_this_user_alone_and_go_when_the_lab_stops() {
        let path = std::env::temp_dir().join(format!("twodoors-state-{}", std::process::id()));
        let folder = Folder::create(&path).unwrap();
        folder.write("token", "secret\n").unwrap();
        let mode = fs::metadata(path.join("token")).unwrap().mode();
        assert_eq!(
            (mode & 0o777, token(&path).unwrap().as_str()),
            (0o600, "secret")
        );
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        for name in FILES {
            folder.write(name, "x").unwrap();
        }
        folder.close();
        assert!(token(&path).is_err());
        let left = fs::read_dir(&path).unwrap().count();
        assert_eq!(left, 0, "the next lab has other authorities");
        fs::remove_dir_all(path).unwrap();
    }
}
