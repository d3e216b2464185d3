//! Teleport's files as `explain` is handed them: by path, or `-` for standard input.

use std::io::Read as _;
use std::path::Path;

use crate::cli::{Exit, Io};
use crate::model::finding::Finding;
use crate::model::mistake::{Files as _, Mistake};
use crate::model::places::{Keys, Subject};
use crate::scenario::Mistakes;
use crate::scenario::files::{Disk, FILE_BYTES_MAX};
use crate::scenario::teleport::{self, AgentFile, Environment, ProxyFile};

/// What marks the values of a Helm chart, at the beginning of a line.
const HELM: &[&str] = &["proxyAddr", "extraEnv", "roles"];

/// What marks a `teleport.yaml`.
const TELEPORT: &[&str] = &[
    "teleport",
    "version",
    "app_service",
    "proxy_service",
    "db_service",
];

/// Reads files and keeps what is wrong and odd in all of them.
#[derive(Default)]
pub(super) struct Reader {
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
    stdin_read: bool,
}

impl Reader {
    pub(super) fn proxy(&mut self, path: &Path) -> Option<ProxyFile> {
        let text = self.text(path)?;
        self.read(path, |mistakes, warnings| {
            teleport::proxy(path, &text, &Disk, mistakes, warnings)
        })
    }

    /// Reads the `teleport.yaml` of an agent, or Helm values, whichever it is.
    pub(super) fn agent(&mut self, path: &Path) -> Option<AgentFile> {
        let text = self.text(path)?;
        let helm = is_helm(&text);
        self.read(path, |mistakes, warnings| {
            let read = if helm {
                teleport::helm
            } else {
                teleport::agent
            };
            read(path, &text, mistakes, warnings)
        })
    }

    pub(super) fn environment(&mut self, path: &Path) -> Option<Environment> {
        let text = self.text(path)?;
        self.read(path, |mistakes, warnings| {
            teleport::environment(path, &text, mistakes, warnings)
        })
    }

    pub(super) fn find(&mut self, path: &Path) -> Option<crate::model::teleport::Document> {
        let text = self.text(path)?;
        match teleport::find(path, &text) {
            Ok(document) => Some(document),
            Err(mistakes) => {
                self.mistakes.extend(mistakes);
                None
            }
        }
    }

    /// Prints what is wrong and odd; gives the exit code where something is wrong.
    pub(super) fn end(self, io: &mut Io<'_>) -> std::io::Result<Option<Exit>> {
        for warning in &self.warnings {
            writeln!(io.err, "warning: {warning}")?;
        }
        for mistake in &self.mistakes {
            writeln!(io.err, "error: {mistake}")?;
        }
        Ok((!self.mistakes.is_empty()).then_some(Exit::Usage))
    }

    fn read<T>(
        &mut self,
        path: &Path,
        read: impl FnOnce(&mut Mistakes, &mut Mistakes) -> Option<T>,
    ) -> Option<T> {
        let (mut mistakes, mut warnings) = (Mistakes::default(), Mistakes::default());
        let read = read(&mut mistakes, &mut warnings);
        self.mistakes.extend(mistakes.into_list(path));
        self.warnings.extend(warnings.into_list(path));
        read
    }

    fn text(&mut self, path: &Path) -> Option<String> {
        let text = if path == Path::new("-") {
            self.stdin()
        } else {
            Disk.read(path)
        };
        text.map_err(|what| self.wrong(path, what)).ok()
    }

    /// Standard input can be read once, and as far as a file.
    fn stdin(&mut self) -> Result<String, String> {
        if std::mem::replace(&mut self.stdin_read, true) {
            return Err(String::from("standard input is read already"));
        }
        let mut text = String::new();
        let mut input = std::io::stdin().lock().take(FILE_BYTES_MAX as u64 + 1);
        let read = input.read_to_string(&mut text);
        read.map_err(|error| error.to_string())?;
        if text.len() > FILE_BYTES_MAX {
            return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
        }
        Ok(text)
    }

    fn wrong(&mut self, path: &Path, what: String) {
        let place = Keys::new(path).nearest("");
        self.mistakes.push(Mistake {
            place,
            path: String::new(),
            what,
            cure: String::new(),
        });
    }
}

/// Tells whether a text is the values of a Helm chart and no `teleport.yaml`.
fn is_helm(text: &str) -> bool {
    let has = |keys: &[&str]| {
        text.lines().any(|line| {
            let line = line.trim_start_matches(['{', '"']);
            keys.iter().any(|key| {
                let rest = line.strip_prefix(key);
                rest.is_some_and(|rest| rest.trim_start_matches('"').trim_start().starts_with(':'))
            })
        })
    };
    has(HELM) && !has(TELEPORT)
}

/// Gives where a finding can be mended in the files that were read.
pub(super) fn place(
    finding: &Finding,
    proxy: Option<&Keys>,
    agent: Option<&Keys>,
    environment: Option<&Keys>,
) -> Option<String> {
    let key = finding.key.as_ref()?;
    let keys = match &key.of {
        Subject::Pool => proxy,
        Subject::Agent(_) => agent,
        // The variable may stand in Helm values.
        Subject::Environment(_) => environment.or(agent),
        Subject::Scenario => None,
    };
    Some(format!("{} {}", keys?.nearest(&key.path), key.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helm_values_are_told_from_teleports_own_files() {
        for (text, helm) in [
            ("proxyAddr: a:443\nroles: app\n", true),
            ("{\"proxyAddr\": \"a:443\"}", true),
            ("roles: app\nextraEnv: []\n", true),
            ("version: v3\nteleport: {proxy_server: a}\n", false),
            ("teleport:\n  proxyAddr: a\n", false),
            ("", false),
        ] {
            assert_eq!(is_helm(text), helm, "{text}");
        }
    }
}
