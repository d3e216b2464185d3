//! The values of the Helm chart `teleport-kube-agent`, which renders a v3 file for an agent.
//!
//! Of the chart (major 11 and later) this takes `proxyAddr`, `roles`, `apps`, `databases`, and of
//! `extraEnv` the one variable that decides something here (reference 6.4).

use std::path::Path;

use crate::model::id::Name;
use crate::model::teleport::Version;

use super::super::file::List;
use super::super::{Mistakes, hint, schema};
use super::environment::{VARIABLE, Variable, value};
use super::reader::File;
use super::shape::{self, Helm};
use super::{AgentFile, agent, versions};

/// What `roles` may name.
const ROLES: &[&str] = &["kube", "app", "db", "discovery", "jamf"];

/// The keys that decide something here, for those who mistype one: the chart takes any key.
const KEYS: &[&str] = &["proxyAddr", "roles", "apps", "databases", "extraEnv"];

pub(super) fn read(
    path: &Path,
    text: &str,
    mistakes: &mut Mistakes,
    warnings: &mut Mistakes,
) -> Option<AgentFile> {
    let schema = schema::helm();
    let (mut file, values) = File::read::<Helm>(path, text, &schema, mistakes, warnings)?;
    mistyped(&mut file);
    let proxy_server = proxy_addr(&mut file, values.proxy_addr.as_deref());
    let roles = roles(&mut file, values.roles.as_deref());
    let mut apps = agent::apps(&mut file, &values.apps, "apps");
    let mut databases = agent::databases(&mut file, &values.databases, "databases");
    let has = |role: &str| roles.iter().any(|known| known == role);
    if !has("app") && !apps.is_empty() {
        not_served(&mut file, "apps", "app");
        apps.clear();
    }
    if !has("db") && !databases.is_empty() {
        not_served(&mut file, "databases", "db");
        databases.clear();
    }
    let tunnel_public_addr = environment(&mut file, &values.extra_env);
    // So that both kinds of an agent's file are asked for the same key.
    file.alias("teleport.proxy_server", "proxyAddr");
    let sound = file.is_sound();
    let keys = file.end();
    Some(AgentFile {
        version: Version::V3,
        proxy_server: proxy_server.filter(|_| sound)?,
        apps,
        databases,
        tunnel_public_addr,
        keys,
    })
}

/// Warns of a key that is nearly one that decides something.
fn mistyped(file: &mut File<'_>) {
    let others: Vec<String> = file
        .unmodelled()
        .iter()
        .map(|key| key.path.clone())
        .collect();
    for key in others {
        let near = hint::nearest_within(&key, KEYS, 2);
        if let Some(near) = near.filter(|_| !key.contains('.')) {
            let what = format!("the chart takes {key:?} and does nothing with it");
            file.warn(&key, what, format!("did you mean {near}?"));
        }
    }
}

fn proxy_addr(file: &mut File<'_>, text: Option<&str>) -> Option<crate::model::addr::HostPort> {
    let text = text?;
    if text.is_empty() {
        // An empty text is the chart's default, and refused by it.
        file.wrong(
            "proxyAddr",
            "proxyAddr is required in chart values",
            "write proxyAddr: proxy.example.com:443",
        );
        return None;
    }
    file.public("proxyAddr", text, versions::PORT_WEB)
}

fn roles(file: &mut File<'_>, text: Option<&str>) -> Vec<String> {
    let text = text.unwrap_or("kube");
    let roles: Vec<String> = text
        .split(',')
        .map(|role| role.trim().to_lowercase())
        .filter(|role| !role.is_empty())
        .collect();
    for role in &roles {
        if !ROLES.contains(&role.as_str()) {
            let what = format!("there is no role {role:?}");
            file.wrong("roles", what, hint::cure(role, ROLES));
        }
    }
    if roles.is_empty() {
        file.wrong(
            "roles",
            "no role is named",
            format!("one of: {}", ROLES.join(", ")),
        );
    }
    roles
}

fn not_served(file: &mut File<'_>, list: &str, role: &str) {
    file.warn(
        list,
        format!("roles does not name {role}, so these are not served"),
        format!("write roles: {role}"),
    );
}

/// Gives the variable of `extraEnv`; of two Kubernetes takes the last.
fn environment(file: &mut File<'_>, given: &List<shape::Variable>) -> Option<Name> {
    let mut found = None;
    for (index, variable) in given.iter().flatten().enumerate() {
        let Some(variable) = variable else { continue };
        let key = format!("extraEnv[{index}]");
        if variable.name.as_deref() != Some(VARIABLE) {
            file.without_effect(&key);
            continue;
        }
        if file.has(&format!("{key}.valueFrom")) {
            file.warn(
                &key,
                format!("{VARIABLE} comes from the cluster here, so its value cannot be known: it counts as unset"),
                "write it as value in a copy of these values",
            );
            found = None;
            continue;
        }
        let text = variable.value.as_deref().unwrap_or_default();
        let at = format!("{key}.value");
        file.alias(VARIABLE, &at);
        found = match value(text) {
            Variable::Absent => None,
            Variable::Is(name) => Some(name),
            Variable::TooLong => {
                file.wrong(&at, "this is longer than an address can be", "");
                None
            }
        };
    }
    found
}
