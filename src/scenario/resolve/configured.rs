//! What an agent takes from the files that it names: a `teleport.yaml` or Helm values, an
//! environment file; and what the scenario adds to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fleets::Member;
use super::{App, HostPort, Name, Resolver, Span, Step, file, format, hint, teleport, with};
use Step::{Index as I, Key as K};

use crate::model::places::Keys;
use crate::model::teleport::{Backoff, FIND_CACHE};
use crate::model::topology::Database;

/// What all of an agent's entry have in common.
pub(super) struct Like {
    pub(super) network: Name,
    pub(super) resolver: Option<Name>,
    pub(super) proxy_server: HostPort,
    pub(super) tunnel_public_addr: Option<Name>,
    pub(super) find_cache: Span,
    pub(super) backoff: Backoff,
    pub(super) apps: Vec<App>,
    pub(super) databases: Vec<Database>,
    /// Where the keys of its file stand.
    pub(super) keys: Arc<Keys>,
    /// Where its environment's variables stand, if it has any.
    pub(super) environment: Option<Arc<Keys>>,
}

/// An agent's file, read once for all who name it.
#[derive(Clone)]
pub(super) struct AgentRead {
    file: Arc<teleport::AgentFile>,
    keys: Arc<Keys>,
}

/// An environment file, likewise.
#[derive(Clone)]
pub(super) struct EnvironmentRead {
    tunnel_public_addr: Option<Name>,
    keys: Arc<Keys>,
}

/// Targets by the name of an app or a database.
type Targets = Option<BTreeMap<String, Option<String>>>;

impl Resolver<'_> {
    pub(super) fn agent(&mut self, member: &Member<'_, file::Agent>) -> Option<Like> {
        let agent = member.shape;
        let steps = [K("agents"), I(member.index)];
        let resolver = self.asks(&steps, agent.resolver.as_deref());
        let environment = with(&steps, &[K("environment")]);
        let environment = self.environment(&environment, agent.environment.as_deref());
        let find_cache = agent.find_cache.as_deref();
        let find_cache = find_cache.and_then(|text| format::duration(text).ok());
        let backoff = self.backoff(&steps, agent.backoff.as_ref());
        let (key, path, read) = self.agent_file(&steps, agent)?;
        self.served_apps(&with(&steps, &[K(key)]), member, &path, &read.file.apps);
        let file = &read.file;
        self.targets(&steps, "apps", &agent.apps, "app", &path, &file.apps);
        let databases: Vec<Name> = file.databases.iter().map(|db| db.name.clone()).collect();
        self.targets(
            &steps,
            "databases",
            &agent.databases,
            "database",
            &path,
            &databases,
        );
        let apps = file.apps.iter().map(|app| App {
            name: app.clone(),
            target: target(&agent.apps, app),
            login: agent.login != Some(file::Login::None),
        });
        let databases = file.databases.iter().map(|database| Database {
            target: target(&agent.databases, &database.name),
            ..database.clone()
        });
        // A variable in the environment file is nearer to the process than one in Helm values.
        let of_file = environment.as_ref();
        let of_file = of_file.and_then(|read| read.tunnel_public_addr.clone());
        let of_values = file.tunnel_public_addr.clone();
        let variables = match &of_file {
            None if of_values.is_some() => Some(read.keys.clone()),
            _ => environment.map(|read| read.keys),
        };
        Some(Like {
            network: self.name_of(agent.network.as_deref()),
            resolver,
            proxy_server: file.proxy_server.clone(),
            tunnel_public_addr: of_file.or(of_values),
            find_cache: find_cache.unwrap_or(FIND_CACHE),
            backoff,
            apps: apps.collect(),
            databases: databases.collect(),
            keys: read.keys.clone(),
            environment: variables,
        })
    }

    /// Reads the one file that says how an agent is set up, and tells which key names it.
    fn agent_file(
        &mut self,
        steps: &[Step<'_>],
        agent: &file::Agent,
    ) -> Option<(&'static str, PathBuf, AgentRead)> {
        let (key, path) = match (agent.teleport.as_deref(), agent.helm.as_deref()) {
            (Some(_), Some(_)) => {
                self.wrong(
                    &with(steps, &[K("helm")]),
                    "an agent has a teleport.yaml or Helm values, not both",
                    "keep one",
                );
                return None;
            }
            (Some(path), None) => ("teleport", path),
            (None, Some(path)) => ("helm", path),
            (None, None) => {
                let at = |key| with(steps, &[K(key)]);
                // What is written and not sound has been told.
                if !self.written(&at("teleport")) && !self.written(&at("helm")) {
                    let what = "\"teleport\" is missing";
                    self.wrong(steps, what, "add teleport: teleport/orders.yaml");
                }
                return None;
            }
        };
        let (path, text) = self.file(&with(steps, &[K(key)]), path)?;
        let known = self.agent_files.get(&(key, path.clone())).cloned();
        let read = known.unwrap_or_else(|| {
            let (mistakes, warnings) = (&mut self.mistakes, &mut self.warnings);
            let file = match key {
                "helm" => teleport::helm(&path, &text, mistakes, warnings),
                _ => teleport::agent(&path, &text, mistakes, warnings),
            };
            let read = file.map(|file| AgentRead {
                keys: Arc::new(file.keys.clone()),
                file: Arc::new(file),
            });
            self.agent_files.insert((key, path.clone()), read.clone());
            read
        })?;
        Some((key, path, read))
    }

    fn environment(&mut self, steps: &[Step<'_>], path: Option<&str>) -> Option<EnvironmentRead> {
        let (path, text) = self.file(steps, path?)?;
        if let Some(known) = self.environments.get(&path) {
            return known.clone();
        }
        let (mistakes, warnings) = (&mut self.mistakes, &mut self.warnings);
        let read = teleport::environment(&path, &text, mistakes, warnings);
        let read = read.map(|read| EnvironmentRead {
            tunnel_public_addr: read.tunnel_public_addr,
            keys: Arc::new(read.keys),
        });
        self.environments.insert(path, read.clone());
        read
    }

    /// Notes who serves which app.
    fn served_apps(
        &mut self,
        steps: &[Step<'_>],
        member: &Member<'_, file::Agent>,
        path: &Path,
        apps: &[Name],
    ) {
        for app in apps {
            let Some((other, from)) = self.apps.get(app) else {
                let owner = member.name.clone().unwrap_or_else(|| "?".into());
                self.apps.insert(app.clone(), (owner, path.to_path_buf()));
                continue;
            };
            // One file for several agents says that they are alike; two files may be an accident.
            if from != path {
                let what = format!("the app {app} is served by agent/{other} too, by another file");
                let cure = "requests go to either; rename one if that is not meant";
                self.odd(steps, what, cure);
            }
        }
    }

    /// Adds a mistake for every target of something that the file does not have.
    fn targets(
        &mut self,
        steps: &[Step<'_>],
        key: &'static str,
        targets: &Targets,
        kind: &str,
        path: &Path,
        names: &[Name],
    ) {
        for name in targets.iter().flat_map(BTreeMap::keys) {
            if !names.iter().any(|known| **known == **name) {
                let known: Vec<&str> = names.iter().map(|name| &**name).collect();
                let what = format!("{} has no {kind} {name:?}", path.display());
                let steps = with(steps, &[K(key), K(name)]);
                self.wrong(&steps, what, hint::cure(name, &known));
            }
        }
    }

    fn backoff(&mut self, steps: &[Step<'_>], given: Option<&file::Backoff>) -> Backoff {
        let Some(given) = given else {
            return Backoff::Teleport;
        };
        let Some(kind) = given.kind else {
            return Backoff::Teleport;
        };
        let steps = with(steps, &[K("backoff")]);
        let wanted: &[&str] = match kind {
            file::BackoffKind::Teleport => &[],
            file::BackoffKind::Fixed => &["wait"],
            file::BackoffKind::FullJitter | file::BackoffKind::JitterBeforeCap => &["first", "cap"],
        };
        let mut spans = [Span::ZERO; 3];
        let keys = ["wait", "first", "cap"];
        let texts = [&given.wait, &given.first, &given.cap];
        for ((span, key), text) in spans.iter_mut().zip(keys).zip(texts) {
            let at = with(&steps, &[K(key)]);
            match (wanted.contains(&key), self.written(&at)) {
                (true, true) => *span = self.span(&at, text.as_deref(), Span::from_secs(1)),
                (true, false) => {
                    let cure = format!("add {key}: 1s");
                    self.wrong(&steps, format!("{key:?} is missing"), cure);
                }
                (false, true) => {
                    let what = format!("{key} says nothing to this kind of back-off");
                    let cure = match wanted {
                        [] => String::from("take it out"),
                        _ => format!("it takes {}", wanted.join(" and ")),
                    };
                    self.wrong(&at, what, cure);
                }
                (false, false) => {}
            }
        }
        let [wait, first, cap] = spans;
        if cap < first {
            let what = format!("the cap {cap} is below the first bound {first}");
            self.wrong(&with(&steps, &[K("cap")]), what, "write a greater cap");
        }
        match kind {
            file::BackoffKind::Teleport => Backoff::Teleport,
            file::BackoffKind::Fixed => Backoff::Fixed { wait },
            file::BackoffKind::FullJitter => Backoff::FullJitter { first, cap },
            file::BackoffKind::JitterBeforeCap => Backoff::JitterBeforeCap { first, cap },
        }
    }
}

/// Gives where something of this name really is.
fn target(targets: &Targets, name: &str) -> Option<HostPort> {
    format::host_port(targets.as_ref()?.get(name)?.as_deref()?).ok()
}
