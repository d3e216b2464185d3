//! Reads Teleport's own files as they are: `teleport.yaml`, environment files, Helm values, and
//! answers of `/webapi/find`.
//!
//! In goes the text of a file; out come what the pool or an agent takes from it, where its keys
//! stand, and mistakes with the file's own places. Defaults, version rules and their words are
//! Teleport's. Keys that Teleport has and the lab does not model are listed once a file, so that
//! nobody believes in a setting without effect.

mod address;
mod agent;
mod auth;
mod certificate;
mod environment;
mod find;
mod helm;
mod proxy;
mod reader;
mod shape;
mod versions;

use std::path::Path;

use crate::model::addr::HostPort;
use crate::model::id::Name;
use crate::model::mistake::{Files, Mistake};
use crate::model::places::Keys;
use crate::model::teleport as model;
use crate::model::topology::Database;

use super::Mistakes;

/// What the pool takes from its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyFile {
    /// What it says, the version's defaults filled in.
    pub service: model::ProxyService,
    /// Where each key of it stands.
    pub keys: Keys,
}

/// What an agent takes from its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentFile {
    /// `version`; Helm values are v3.
    pub version: model::Version,
    /// Whom it asks first: `teleport.proxy_server`, else the first of `auth_servers`.
    pub proxy_server: HostPort,
    /// The names of its apps, in order.
    pub apps: Vec<Name>,
    /// Its databases, in order, without targets.
    pub databases: Vec<Database>,
    /// `TELEPORT_TUNNEL_PUBLIC_ADDR` of the `extraEnv` of Helm values, as written.
    pub tunnel_public_addr: Option<Name>,
    /// Where each key of it stands.
    pub keys: Keys,
}

/// What an agent takes from its environment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// `TELEPORT_TUNNEL_PUBLIC_ADDR` as written; absent when empty.
    pub tunnel_public_addr: Option<Name>,
    /// Where each variable stands.
    pub keys: Keys,
}

/// Reads the file of the pool. `None` when it has a mistake, which has been added.
///
/// `files` are asked for the certificates that it names; keys are never read.
pub fn proxy(
    path: &Path,
    text: &str,
    files: &dyn Files,
    mistakes: &mut Mistakes,
    warnings: &mut Mistakes,
) -> Option<ProxyFile> {
    proxy::read(path, text, files, mistakes, warnings)
}

/// Reads the file of an agent. `None` when it has a mistake, which has been added.
pub fn agent(
    path: &Path,
    text: &str,
    mistakes: &mut Mistakes,
    warnings: &mut Mistakes,
) -> Option<AgentFile> {
    agent::read(path, text, mistakes, warnings)
}

/// Reads the values of the Helm chart `teleport-kube-agent`. `None` when they have a mistake, which
/// has been added.
pub fn helm(
    path: &Path,
    text: &str,
    mistakes: &mut Mistakes,
    warnings: &mut Mistakes,
) -> Option<AgentFile> {
    helm::read(path, text, mistakes, warnings)
}

/// Reads an environment file as systemd does. `None` when it has a mistake, which has been added.
pub fn environment(
    path: &Path,
    text: &str,
    mistakes: &mut Mistakes,
    warnings: &mut Mistakes,
) -> Option<Environment> {
    environment::read(path, text, mistakes, warnings)
}

/// Reads a document of `/webapi/find`, as a proxy answers it or as somebody saved it.
pub fn find(path: &Path, text: &str) -> Result<model::Document, Vec<Mistake>> {
    find::read(path, text)
}
