//! A lab with its page and its state folder: what `up` and `run` share.
//!
//! In goes a scenario's path; out come its files, a folder where others find the lab, and the hand
//! that makes changes for the page. What happens when is the verbs' own affair.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;

use super::state::{self, Door, Folder, LabFile};
use super::{Exit, Io, client};
use crate::http::guard::Token;
use crate::http::{
    AccessAsked, AccessGiven, Control, ControlError, FaultAsked, FaultSet, Preview, Reloaded,
};
use crate::lab::conduct::Conductor;
use crate::lab::stage::Stage;
use crate::lab::{Lab, OperateError, access};
use crate::model::fact::Act;
use crate::model::id::{FaultId, Node};
use crate::model::mistake::{Files, Mistake};
use crate::model::teleport::ConnType;
use crate::model::time::Span;
use crate::scenario::files::Disk;
use crate::scenario::format::{self, Wrong};
use crate::scenario::{embedded, fault};

/// Gives the scenario's path and where its files are: the disk, or the embedded set.
pub(super) fn source(scenario: Option<&Path>) -> (PathBuf, Arc<dyn Files + Send + Sync>) {
    match scenario {
        Some(path) => (path.to_path_buf(), Arc::new(Disk)),
        None => (PathBuf::from(embedded::SCENARIO), Arc::new(embedded::FILES)),
    }
}

/// Gives the token of a lab: that of a file, or one that is drawn where only this machine reaches it.
pub(super) fn token(http: SocketAddr, file: Option<&Path>) -> Result<Token, String> {
    match file {
        Some(file) => {
            let shown = file.display();
            private(file).map_err(|why| format!("the token in {shown}: {why}"))?;
            let text = std::fs::read_to_string(file);
            let text = text.map_err(|error| format!("the token in {shown}: {error}"))?;
            Token::read(&text).map_err(|why| format!("the token in {shown}: {why}"))
        }
        None if http.ip().is_loopback() => Ok(Token::random()),
        None => Err(format!(
            "others may reach {http}: choose a token of your own with --token-file FILE, or an \
             address of 127.0.0.0/8"
        )),
    }
}

/// Tells whether nobody but its owner may read or write a file; a pipe is whose it is.
fn private(file: &Path) -> Result<(), String> {
    let about = std::fs::metadata(file).map_err(|error| error.to_string())?;
    let mode = about.permissions().mode() & 0o777;
    if about.is_file() && mode & 0o077 != 0 {
        return Err(format!(
            "others may open the file (its mode is {mode:o}); close it with chmod 600"
        ));
    }
    Ok(())
}

/// Prints mistakes, and gives the exit code for them.
pub(super) fn print_mistakes(mistakes: &[Mistake], io: &mut Io<'_>) -> anyhow::Result<Exit> {
    for mistake in mistakes {
        writeln!(io.err, "error: {mistake}")?;
    }
    Ok(Exit::Usage)
}

/// Why a lab of the embedded example does not reload.
const NO_FILES: &str = "this lab runs the embedded example, which has no files to read again; write \
                        them out with `twodoors init DIR` and run `twodoors up \
                        DIR/scenarios/split-dns.yaml`";

/// Reads scenario and zones again; a lab of the embedded example has none.
pub(super) async fn reload(lab: &Arc<Lab>, embedded: bool) -> Result<Reloaded, Vec<String>> {
    if embedded {
        return Err(vec![String::from(NO_FILES)]);
    }
    let lab = Arc::clone(lab);
    // Files are read and parsed for as long as that takes, while connections go on.
    let reloaded = tokio::task::spawn_blocking(move || lab.reload()).await;
    let texts = |list: &[Mistake]| list.iter().map(ToString::to_string).collect();
    match reloaded {
        Ok(Ok(reloaded)) => Ok(Reloaded {
            generation: reloaded.generation,
            changed: reloaded.changed,
            warnings: texts(&reloaded.warnings),
        }),
        Ok(Err(mistakes)) => Err(texts(&mistakes)),
        Err(error) => Err(vec![format!("the reload broke off: {error}")]),
    }
}

/// Makes the state folder at a path, unless a lab runs with it.
pub(super) fn state_folder(path: &Path) -> anyhow::Result<Folder> {
    if let Ok(other) = state::read(path)
        && client::answers(other.http)
    {
        anyhow::bail!(
            "the lab {} (process {}) runs with the state folder {}; choose another with --state",
            other.name,
            other.pid,
            path.display()
        );
    }
    Folder::create(path).with_context(|| {
        format!(
            "the state folder {}; choose one with --state",
            path.display()
        )
    })
}

/// Writes what others need to find the lab and to speak to it.
pub(super) fn write_state(
    folder: &Folder,
    lab: &Lab,
    http: SocketAddr,
    token: &Token,
) -> anyhow::Result<()> {
    folder.write("ca.pem", lab.ca_pem())?;
    folder.write(
        "known_hosts",
        &format!("{}\n", lab.known_hosts().trim_end()),
    )?;
    let stand_in = lab.stand_in();
    folder.write("agent_key", &stand_in.key)?;
    folder.write("agent_key-cert.pub", &stand_in.certificate)?;
    folder.write("token", &format!("{}\n", token.reveal()))?;
    let balancers = lab.doors().map(|(name, listen)| Door {
        name: name.to_string(),
        listen: listen.iter().map(|address| address.0).collect(),
    });
    folder.write_lab(&LabFile {
        schema: state::SCHEMA.to_owned(),
        name: lab.topology().name.to_string(),
        pid: std::process::id(),
        dns: lab.dns(),
        dns_also: lab.dns_all().iter().skip(1).copied().collect(),
        http,
        balancers: balancers.collect(),
    })?;
    Ok(())
}

/// Makes changes for the page, `ctl` and `fault`.
pub(super) struct Hand {
    lab: Arc<Lab>,
    /// Who sets its faults.
    conductor: Conductor,
    /// Whether its files are those of the binary.
    embedded: bool,
    stage: Arc<Stage>,
}

impl Hand {
    /// Makes the hand of a lab; `embedded` tells whether its files are those of the binary.
    pub(super) fn new(lab: &Arc<Lab>, conductor: Conductor, embedded: bool) -> Self {
        let stage = Stage::new(Arc::clone(lab), conductor.clone(), embedded);
        Self {
            lab: Arc::clone(lab),
            conductor,
            embedded,
            stage: Arc::new(stage),
        }
    }
}

#[async_trait]
impl Control for Hand {
    async fn reload(&self) -> Result<Reloaded, Vec<String>> {
        reload(&self.lab, self.embedded).await
    }

    async fn preview(&self) -> Result<Preview, Vec<String>> {
        if self.embedded {
            return Err(vec![String::from(NO_FILES)]);
        }
        let lab = Arc::clone(&self.lab);
        let texts = |list: &[Mistake]| list.iter().map(ToString::to_string).collect();
        match tokio::task::spawn_blocking(move || lab.preview()).await {
            Ok(Ok(preview)) => Ok(Preview {
                warnings: texts(&preview.warnings),
                difference: preview.difference,
                refused: preview.refused,
            }),
            Ok(Err(mistakes)) => Err(texts(&mistakes)),
            Err(error) => Err(vec![format!("the preview broke off: {error}")]),
        }
    }

    fn stage(&self) -> Option<Arc<Stage>> {
        Some(Arc::clone(&self.stage))
    }

    async fn operate(&self, node: &Node, act: Act) -> Result<(), ControlError> {
        self.lab
            .operate(node, act)
            .await
            .map_err(|error| match error {
                OperateError::Unknown(_) => ControlError::Unknown,
                OperateError::Failed(why) => ControlError::NotPossible(why),
            })
    }

    async fn set_fault(&self, asked: FaultAsked) -> Result<FaultSet, String> {
        let said = |wrong: Wrong| {
            let cure = Some(wrong.cure).filter(|cure| !cure.is_empty());
            let cure = cure.map_or_else(String::new, |cure| format!("; {cure}"));
            format!("{}{cure}", wrong.what)
        };
        let (by, to) = (asked.by.as_deref(), asked.to.as_deref());
        let fault = fault::parse(self.lab.topology(), &asked.word, &asked.target, by, to);
        let fault = fault.map_err(said)?;
        let lasts = asked.lasts.as_deref().map(format::duration).transpose();
        let lasts = lasts.map_err(said)?;
        if lasts == Some(Span::ZERO) {
            return Err(String::from(
                "a fault for no time changes nothing; give it some, or leave `for` out",
            ));
        }
        let text = fault.to_string();
        let set = self.conductor.set(fault, lasts);
        let id = set.map_err(|full| full.to_string())?;
        Ok(FaultSet { id, text })
    }

    async fn lift_fault(&self, fault: FaultId) -> bool {
        self.conductor.lift(fault)
    }

    async fn clear_faults(&self) -> usize {
        self.conductor.clear()
    }

    async fn access(&self, asked: AccessAsked) -> Result<AccessGiven, String> {
        let AccessAsked {
            kind,
            name,
            user,
            from,
            database,
        } = asked;
        let Some(kind) = ConnType::read(&kind) else {
            return Err(format!("{kind:?} is neither app nor db"));
        };
        let wanted = access::Wanted {
            kind,
            name,
            user,
            from,
            database,
        };
        let access = self.lab.access(&wanted)?;
        let (certificate, key) = match access.certificate {
            Some(own) => (Some(own.certificate_pem), Some(own.key_pem)),
            None => (None, None),
        };
        Ok(AccessGiven {
            certificate,
            key,
            user: access.user,
            from: access.from,
            dns: access.dns,
            proxy: access.proxy,
            moved: access.moved,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_loopback_a_token_must_be_chosen() {
        for loopback in ["127.0.0.1:0", "127.9.9.9:80", "[::1]:0"] {
            token(loopback.parse().unwrap(), None).unwrap();
        }
        for open in [
            "0.0.0.0:80",
            "[::]:80",
            "192.0.2.1:80",
            "[::ffff:127.0.0.1]:80",
        ] {
            let why = token(open.parse().unwrap(), None).unwrap_err();
            assert!(why.contains("--token-file FILE"), "{open}: {why}");
        }
    }

    #[test]
    fn a_token_comes_from_a_file_that_nobody_else_may_open() {
        let name = format!("twodoors-token-{}", std::process::id());
        let file = std::env::temp_dir().join(name);
        let http = "0.0.0.0:80".parse().unwrap();
        let read = |text: &str, mode: u32| {
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            token(http, Some(&file))
        };
        for mode in [0o600, 0o400] {
            let own = read("0123456789abcdef\n", mode).unwrap();
            assert!(own.matches("0123456789abcdef"));
            std::fs::remove_file(&file).unwrap();
        }
        for mode in [0o644, 0o640, 0o604, 0o620] {
            let why = read("0123456789abcdef\n", mode).unwrap_err();
            assert!(
                why.contains("chmod 600") && why.contains(&format!("{mode:o}")),
                "{why}"
            );
        }
        for (text, told) in [("", "at least 16"), ("two words that are long", "one word")] {
            let why = read(text, 0o600).unwrap_err();
            assert!(why.contains(told), "{why}");
        }
        std::fs::remove_file(&file).unwrap();
        let why = token(http, Some(&file)).unwrap_err();
        assert!(why.contains("twodoors-token"), "{why}");
    }
}
