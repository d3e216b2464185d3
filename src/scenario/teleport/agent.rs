//! The file of an agent: whom it asks, and which apps and databases it serves.

use std::path::Path;

use crate::model::id::Name;
use crate::model::topology::Database;

use super::super::file::List;
use super::super::format::{self, AppKind};
use super::super::{Mistakes, schema};
use super::reader::File;
use super::shape::{self, Shape};
use super::{AgentFile, versions};

/// The one protocol of databases that the lab carries.
const CARRIED: &str = "postgres";

/// Services that hold tunnels of their own and that the lab knows nothing else of.
const OTHERS: &[&str] = &[
    "kubernetes_service",
    "windows_desktop_service",
    "discovery_service",
    "okta_service",
    "jamf_service",
];

pub(super) fn read(
    path: &Path,
    text: &str,
    mistakes: &mut Mistakes,
    warnings: &mut Mistakes,
) -> Option<AgentFile> {
    let schema = schema::teleport();
    let (mut file, shape) = File::read::<Shape>(path, text, &schema, mistakes, warnings)?;
    let version = versions::version(&file, shape.version.as_deref());
    versions::rules(&mut file, version, &shape.teleport);
    let proxy_server = versions::seed(&mut file, version, &shape.teleport);
    let (apps, databases) = services(&mut file, &shape);
    let sound = file.is_sound();
    let keys = file.end();
    Some(AgentFile {
        version: version.filter(|_| sound)?,
        proxy_server: proxy_server?,
        apps,
        databases,
        tunnel_public_addr: None,
        keys,
    })
}

fn services(file: &mut File<'_>, shape: &Shape) -> (Vec<Name>, Vec<Database>) {
    let auth_on = file.on("auth_service", true);
    if auth_on == Some(true) {
        file.warn(
            "auth_service",
            "the Auth Service is on by default: a real agent would start one of its own",
            "add auth_service: {enabled: no}",
        );
    }
    let apps_on = file.on("app_service", false);
    let databases_on = file.on("db_service", false);
    let ssh_on = file.on("ssh_service", true);
    let mut apps = apps(file, &shape.app_service.apps, "app_service.apps");
    let mut databases = databases(file, &shape.db_service.databases, "db_service.databases");
    if apps_on == Some(false) && !apps.is_empty() {
        off(file, "app_service", "apps");
        apps.clear();
    }
    if databases_on == Some(false) && !databases.is_empty() {
        off(file, "db_service", "databases");
        databases.clear();
    }
    if file.has("ssh_service") && ssh_on == Some(true) {
        file.warn(
            "ssh_service",
            "the lab holds the agent's tunnels and serves no SSH through them",
            "",
        );
    } else if apps.is_empty() && databases.is_empty() && ssh_on == Some(true) {
        // On by default, as in Teleport; whoever leaves it out may have forgotten app_service.
        file.warn(
            "ssh_service",
            "this agent serves no app and no database: the SSH Service, on by default, holds its tunnels alone",
            "add app_service: {enabled: yes, apps: [{name: orders, uri: http://localhost:8080}]}",
        );
    }
    let mut others = OTHERS.iter();
    let other = others.any(|other| file.on(other, false) != Some(false));
    let proxy_on = file.on("proxy_service", true);
    let on = [apps_on, databases_on, ssh_on, proxy_on, auth_on];
    if !other && on.into_iter().all(|on| on == Some(false)) {
        file.wrong(
            "app_service.enabled",
            "config: enable at least one of auth_service, ssh_service, proxy_service, app_service, database_service, kubernetes_service, windows_desktop_service, discovery_service, okta_service or jamf_service",
            "write app_service: {enabled: yes, apps: [{name: orders, uri: http://localhost:8080}]}",
        );
    }
    (apps, databases)
}

/// Warns of a list whose service is switched off, which is the default.
fn off(file: &mut File<'_>, service: &str, list: &str) {
    file.warn(
        &format!("{service}.{list}"),
        format!("{service} is off unless it is switched on, so these are not served"),
        format!("add {service}: {{enabled: yes}}"),
    );
}

/// Gives the apps of a list that the lab can carry.
pub(super) fn apps(file: &mut File<'_>, given: &List<shape::App>, list: &str) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for (index, app) in given.iter().flatten().enumerate() {
        let Some(app) = app else { continue };
        let key = format!("{list}[{index}]");
        let somewhere = ["uri", "cloud", "mcp"];
        if !somewhere.iter().any(|at| file.has(&format!("{key}.{at}"))) {
            file.wrong(&key, "\"uri\" is missing", "add uri: http://localhost:8080");
        }
        let Some(name) = app.name.as_deref() else {
            continue;
        };
        if seen.contains(&name) {
            let what = format!("the app {name} is there twice");
            file.wrong(&format!("{key}.name"), what, "keep one");
        }
        seen.push(name);
        let kind = app.uri.as_deref().map(format::app_uri);
        match kind {
            Some(Ok(AppKind::Http)) => names.push(name.into()),
            // What is unsound has been told.
            Some(Err(_)) => {}
            None | Some(Ok(AppKind::Other)) => file.warn(
                &key,
                format!("the app {name} is not one of HTTP, which is all that the lab carries: it is left out"),
                "",
            ),
        }
    }
    names
}

/// Gives the databases of a list; where they really are is the scenario's to say.
pub(super) fn databases(
    file: &mut File<'_>,
    given: &List<shape::Database>,
    list: &str,
) -> Vec<Database> {
    let mut databases: Vec<Database> = Vec::new();
    for (index, database) in given.iter().flatten().enumerate() {
        let Some(database) = database else { continue };
        let key = format!("{list}[{index}]");
        let name = database.name.as_deref();
        let (Some(name), Some(protocol)) = (name, database.protocol.as_deref()) else {
            continue;
        };
        if databases.iter().any(|known| &*known.name == name) {
            let what = format!("the database {name} is there twice");
            file.wrong(&format!("{key}.name"), what, "keep one");
        }
        if protocol != CARRIED {
            file.warn(
                &format!("{key}.protocol"),
                format!("the lab carries {CARRIED} alone: whoever asks for {name} is refused"),
                "",
            );
        }
        databases.push(Database {
            name: name.into(),
            protocol: protocol.into(),
            target: None,
        });
    }
    databases
}
