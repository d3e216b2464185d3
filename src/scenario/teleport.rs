//! Reads `teleport.yaml` files as they are, as far as this version goes.
//!
//! In goes the text of a file; out come what the pool or an agent takes from it, and mistakes with
//! the file's own places. Keys that this version does not read are mistakes, so that nobody
//! believes in a setting without effect. Defaults, version rules and their words are Teleport's.

mod address;

use std::path::Path;

use serde::Deserialize;

use crate::model::addr::HostPort;
use crate::model::id::Name;

use super::tree::{self, Mark, Node, Step};
use super::{Mistakes, format, schema};

/// The port of the web listener, and of `proxy_server` without a port.
const PORT_WEB: u16 = 3080;

/// The port of the Auth Service.
const PORT_AUTH: u16 = 3025;

/// What the pool takes from its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyFile {
    /// `public_addr`, in order.
    pub public_addrs: Vec<HostPort>,
    /// `web_listen_addr`.
    pub web_listen_addr: HostPort,
    /// `proxy_listener_mode: multiplex`.
    pub tls_routing: bool,
}

/// What an agent takes from its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentFile {
    /// `teleport.proxy_server`.
    pub proxy_server: HostPort,
    /// The names of its apps, in order.
    pub apps: Vec<Name>,
}

/// The shapes: optional all through, as in `file`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    version: Option<String>,
    teleport: Option<Teleport>,
    auth_service: Option<AuthService>,
    proxy_service: Option<ProxyService>,
    app_service: Option<AppService>,
    ssh_service: Option<SshService>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Teleport {
    proxy_server: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthService {
    enabled: Option<Switch>,
    proxy_listener_mode: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProxyService {
    enabled: Option<Switch>,
    public_addr: Option<OneOrMany>,
    web_listen_addr: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AppService {
    enabled: Option<Switch>,
    apps: super::file::List<App>,
}

/// Only held against `app_service`: an agent that serves no app may be one that serves SSH, whose
/// tunnels are the same.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SshService {
    enabled: Option<Switch>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct App {
    name: Option<String>,
    /// Where the app is for a real agent; in the lab the scenario's `apps` says it.
    #[serde(rename = "uri")]
    _uri: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Switch {
    Flag(bool),
    Word(String),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<Option<String>>),
}

impl Switch {
    fn on(&self) -> bool {
        match self {
            Self::Flag(flag) => *flag,
            Self::Word(word) => format::switch(word).unwrap_or(false),
        }
    }
}

/// Reads the file of the pool. `None` when it has a mistake, which has been added.
pub fn proxy(
    path: &Path,
    text: &str,
    mistakes: &mut Mistakes,
    warnings: &mut Mistakes,
) -> Option<ProxyFile> {
    let file = File::read(path, text, mistakes, warnings)?;
    file.proxy()
}

/// Reads the file of an agent. `None` when it has a mistake, which has been added.
pub fn agent(
    path: &Path,
    text: &str,
    mistakes: &mut Mistakes,
    warnings: &mut Mistakes,
) -> Option<AgentFile> {
    let file = File::read(path, text, mistakes, warnings)?;
    file.agent()
}

struct File<'a> {
    path: &'a Path,
    tree: Node,
    shape: Shape,
    mistakes: &'a mut Mistakes,
    warnings: &'a mut Mistakes,
    sound: bool,
}

impl<'a> File<'a> {
    fn read(
        path: &'a Path,
        text: &str,
        mistakes: &'a mut Mistakes,
        warnings: &'a mut Mistakes,
    ) -> Option<Self> {
        let mut own = Mistakes::default();
        let tree = tree::read(path, text, &mut own);
        let json = tree
            .as_ref()
            .map(|tree| schema::check(&schema::teleport(), path, tree, &mut own));
        let sound = own.is_empty();
        mistakes.append(own);
        let tree = tree?;
        let json = json.filter(serde_json::Value::is_object)?;
        let shape = match serde_json::from_value(json) {
            Ok(shape) => shape,
            Err(error) => {
                // Unsound parts were left out, so this is a schema that says more than the shapes.
                mistakes.add(path, tree.mark, "", error.to_string(), "");
                return None;
            }
        };
        Some(Self {
            path,
            tree,
            shape,
            mistakes,
            warnings,
            sound,
        })
    }

    fn proxy(mut self) -> Option<ProxyFile> {
        let services = std::mem::take(&mut self.shape.proxy_service).unwrap_or_default();
        let auth = std::mem::take(&mut self.shape.auth_service).unwrap_or_default();
        let proxy_on = self.on("proxy_service", services.enabled.as_ref(), true);
        let auth_on = self.on("auth_service", auth.enabled.as_ref(), true);
        if proxy_on == Some(false) {
            self.wrong(
                &["proxy_service", "enabled"],
                "the file of the pool has the Proxy Service switched off",
                "write enabled: yes",
            );
        }
        if self.server().is_some() && proxy_on == Some(true) {
            self.wrong(
                &["teleport", "proxy_server"],
                "proxy_server can not be specified when proxy service is enabled",
                "take it out",
            );
        }
        if auth_on == Some(false) {
            self.wrong(
                &["auth_service", "enabled"],
                "this version takes proxy_listener_mode from an Auth Service in the pool's file",
                "write enabled: yes",
            );
        }
        if self.shape.app_service.is_some() {
            self.wrong(
                &["app_service"],
                "in this version proxies serve no apps of their own",
                "move it into the file of an agent",
            );
        }
        let ssh = std::mem::take(&mut self.shape.ssh_service).unwrap_or_default();
        if self.on("ssh_service", ssh.enabled.as_ref(), false) == Some(true) {
            self.wrong(
                &["ssh_service"],
                "in this version proxies serve no SSH of their own",
                "move it into the file of an agent",
            );
        }
        // Absent means separate: the zero value of the cluster networking configuration.
        let mode = auth.proxy_listener_mode.as_deref().unwrap_or("separate");
        if mode != "multiplex" && self.sound {
            self.wrong(
                &["auth_service", "proxy_listener_mode"],
                "this version runs multiplex only, and without this key the mode is separate",
                "write proxy_listener_mode: multiplex",
            );
        }
        let web_listen_addr = services.web_listen_addr;
        let web_listen_addr = web_listen_addr.as_deref().unwrap_or("0.0.0.0:3080");
        let web = self.address(
            &["proxy_service", "web_listen_addr"],
            web_listen_addr,
            PORT_WEB,
        );
        let port = web.as_ref().map_or(PORT_WEB, |web| web.port);
        let public_addrs = self.public_addrs(services.public_addr, port);
        if let Some(web) = &web
            && !matches!(&*web.host, "0.0.0.0" | "::" | "")
        {
            self.warn(
                &["proxy_service", "web_listen_addr"],
                format!(
                    "the host {} is not used: every instance has its own address",
                    web.host
                ),
                "write 0.0.0.0",
            );
        }
        let web_listen_addr = web?;
        self.sound.then_some(ProxyFile {
            public_addrs,
            web_listen_addr,
            tls_routing: mode == "multiplex",
        })
    }

    fn public_addrs(&mut self, given: Option<OneOrMany>, port: u16) -> Vec<HostPort> {
        let key = ["proxy_service", "public_addr"];
        match given {
            Some(OneOrMany::One(text)) => self.address(&key, &text, port).into_iter().collect(),
            Some(OneOrMany::Many(texts)) => {
                let mut addresses = Vec::new();
                for (index, text) in texts.iter().enumerate() {
                    let Some(text) = text else { continue };
                    let steps = [Step::Key(key[0]), Step::Key(key[1]), Step::Index(index)];
                    addresses.extend(self.address_at(&steps, text, port));
                }
                addresses
            }
            None if self.sound => {
                self.wrong(
                    &key,
                    "without public_addr agents would be told the listen address",
                    "add public_addr: proxy.example.com:3080",
                );
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn agent(mut self) -> Option<AgentFile> {
        self.version_rules();
        let proxy = self.shape.proxy_service.as_ref();
        let proxy = proxy.and_then(|proxy| proxy.enabled.as_ref());
        let auth = self.shape.auth_service.as_ref();
        let auth = auth.and_then(|auth| auth.enabled.as_ref());
        let auth_on = self.on("auth_service", auth, true);
        if self.on("proxy_service", proxy, true) == Some(true) && self.server().is_some() {
            self.wrong(
                &["teleport", "proxy_server"],
                "proxy_server can not be specified when proxy service is enabled",
                "the Proxy Service is on by default: add proxy_service: {enabled: no}",
            );
        }
        if auth_on == Some(true) {
            self.warn(
                &["auth_service"],
                "the Auth Service is on by default: a real agent would start one of its own",
                "add auth_service: {enabled: no}",
            );
        }
        let apps = self.apps();
        let text = self.server()?.to_owned();
        let server = self.address(&["teleport", "proxy_server"], &text, PORT_WEB)?;
        if server.port == PORT_AUTH {
            self.warn(
                &["teleport", "proxy_server"],
                "port 3025 is the Auth Service's",
                "name the Proxy Service's web port, 3080 by default",
            );
        }
        self.sound.then_some(AgentFile {
            proxy_server: server,
            apps,
        })
    }

    fn apps(&mut self) -> Vec<Name> {
        let service = std::mem::take(&mut self.shape.app_service).unwrap_or_default();
        // Other services are on by default, this one is not.
        let on = self.on("app_service", service.enabled.as_ref(), false);
        let ssh = std::mem::take(&mut self.shape.ssh_service).unwrap_or_default();
        // On by default as well, but whoever leaves it out forgot app_service rather than meant it.
        let ssh = self.on("ssh_service", ssh.enabled.as_ref(), false) == Some(true);
        if ssh {
            self.warn(
                &["ssh_service"],
                "this version holds the agent's tunnels and serves no SSH through them",
                "",
            );
        }
        if ssh && on == Some(false) {
            return Vec::new();
        }
        if on == Some(false) && self.sound {
            self.wrong(
                &["app_service", "enabled"],
                "config: no service is enabled; of an agent's services this version has app_service and, for its tunnels alone, ssh_service",
                "write app_service: {enabled: yes, apps: [{name: orders, uri: http://localhost:8080}]}; or ssh_service: {enabled: yes} for an agent that only holds tunnels",
            );
        }
        let Some(apps) = service.apps else {
            if self.sound {
                self.wrong(
                    &["app_service", "apps"],
                    "this agent serves no app",
                    "add apps: [{name: orders, uri: http://localhost:8080}]",
                );
            }
            return Vec::new();
        };
        let mut names: Vec<Name> = Vec::new();
        for (index, app) in apps.iter().enumerate() {
            let Some(name) = app.as_ref().and_then(|app| app.name.as_deref()) else {
                continue;
            };
            if names.iter().any(|known| &**known == name) {
                let steps = [
                    Step::Key("app_service"),
                    Step::Key("apps"),
                    Step::Index(index),
                    Step::Key("name"),
                ];
                self.wrong_at(&steps, format!("the app {name} is there twice"), "keep one");
            }
            names.push(name.into());
        }
        names
    }

    /// The rules of the versions, for an agent (`configuration`, `applyAuthOrProxyAddress`).
    fn version_rules(&mut self) {
        let old = self.shape.version.as_deref().unwrap_or("v1") != "v3";
        if !self.sound {
            return;
        }
        if old && self.server().is_some() {
            let cure = match self.shape.version {
                None => "add version: v3; without it the file is v1",
                Some(_) => "write version: v3",
            };
            self.wrong(
                &["teleport", "proxy_server"],
                "proxy_server is supported from config version v3 onwards",
                cure,
            );
        } else if self.server().is_none() {
            let cure = if old {
                "v1 and v2 name it in auth_servers, which this version does not read: write version: v3 and teleport: {proxy_server: proxy.example.com:3080}"
            } else {
                "add teleport: {proxy_server: proxy.example.com:3080}"
            };
            self.wrong(
                &["teleport", "proxy_server"],
                "config: auth_server or proxy_server is required",
                cure,
            );
        }
    }

    /// Tells whether a service is switched on; `None` when its switch is unsound.
    fn on(&self, service: &str, switch: Option<&Switch>, default: bool) -> Option<bool> {
        let written = self.tree.at(&[Step::Key(service), Step::Key("enabled")]);
        match (switch, written) {
            (Some(switch), _) => Some(switch.on()),
            (None, Some(_)) => None,
            (None, None) => Some(default),
        }
    }

    fn server(&self) -> Option<&str> {
        self.shape
            .teleport
            .as_ref()
            .and_then(|teleport| teleport.proxy_server.as_deref())
            .filter(|server| !server.is_empty())
    }

    fn address(&mut self, keys: &[&str], text: &str, default: u16) -> Option<HostPort> {
        let steps: Vec<Step<'_>> = keys.iter().map(|key| Step::Key(key)).collect();
        self.address_at(&steps, text, default)
    }

    fn address_at(&mut self, steps: &[Step<'_>], text: &str, default: u16) -> Option<HostPort> {
        match address::read(text, default) {
            Ok(address) => Some(address),
            Err(what) => {
                self.wrong_at(steps, what, "write it like proxy.example.com:3080");
                None
            }
        }
    }

    fn wrong(&mut self, keys: &[&str], what: impl Into<String>, cure: &str) {
        let steps: Vec<Step<'_>> = keys.iter().map(|key| Step::Key(key)).collect();
        self.wrong_at(&steps, what, cure);
    }

    fn wrong_at(&mut self, steps: &[Step<'_>], what: impl Into<String>, cure: &str) {
        self.sound = false;
        let (mark, path) = self.place(steps);
        self.mistakes.add(self.path, mark, &path, what, cure);
    }

    fn warn(&mut self, keys: &[&str], what: impl Into<String>, cure: &str) {
        let steps: Vec<Step<'_>> = keys.iter().map(|key| Step::Key(key)).collect();
        let (mark, path) = self.place(&steps);
        self.warnings.add(self.path, mark, &path, what, cure);
    }

    fn place(&self, steps: &[Step<'_>]) -> (Mark, String) {
        super::place(&self.tree, steps)
    }
}
