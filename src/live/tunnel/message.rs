//! What is said inside the channels of a tunnel: lines of JSON with Teleport's own field names.
//!
//! In go the plain words of the caller, out come lines that end with a newline, and back. A line is
//! at most [`LINE_MAX`] bytes; anything else is an error that ends the channel.

use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::model::id::Name;
use crate::policy::proxy::Serves;

/// The path of the channel that an agent opens to say that it lives.
pub const HEARTBEAT: &str = "teleport-heartbeat";

/// The path of the channel that a proxy opens to name all proxies.
pub const DISCOVERY: &str = "teleport-discovery";

/// The path of a channel that a proxy opens for a user's request.
pub const TRANSPORT: &str = "teleport-transport";

/// The request by which a proxy advises an agent to connect elsewhere.
pub const RECONNECT: &str = "reconnect@goteleport.com";

/// How long a line may be: a thousand proxies or apps by name.
pub const LINE_MAX: usize = 64 * 1024;

/// An agent's sign of life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// When it was sent, RFC 3339 in UTC.
    pub ping: String,
    /// The names of the apps that the agent serves.
    #[serde(default)]
    pub resources: Vec<String>,
    /// The names of the databases that the agent serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// Ids of the proxies that the agent is attached to; told with proxy peering.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<String>,
}

impl Heartbeat {
    /// Makes a sign of life of this instant (Unix seconds).
    pub fn new(now: u64, serves: &Serves) -> Self {
        // Later than the year 9999 has no RFC 3339 form.
        let instant = UNIX_EPOCH + Duration::from_secs(now.min(253_402_300_799));
        Self {
            ping: humantime::format_rfc3339_seconds(instant).to_string(),
            resources: texts(&serves.apps),
            databases: texts(&serves.databases),
            proxies: texts(&serves.proxies),
        }
    }

    /// Gives what it announces.
    pub fn serves(self) -> Serves {
        Serves {
            apps: names(self.resources),
            databases: names(self.databases),
            proxies: names(self.proxies),
        }
    }
}

fn texts(names: &[Name]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn names(texts: Vec<String>) -> Vec<Name> {
    texts.into_iter().map(Into::into).collect()
}

/// What a proxy says on the discovery channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Discovery {
    /// All proxies, by host id.
    Proxies {
        /// One entry a proxy.
        proxies: Vec<ProxyEntry>,
    },
    /// A request without more: [`RECONNECT`].
    Request {
        /// Its name.
        request: String,
    },
}

/// One proxy of a discovery message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyEntry {
    /// The version of the resource: `v2`.
    pub version: String,
    /// Holds the name.
    pub metadata: Metadata,
}

/// The part of a Teleport resource that holds its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The host id of the proxy.
    pub name: String,
}

impl Discovery {
    /// Names these proxies.
    pub fn proxies(ids: &[impl AsRef<str>]) -> Self {
        let entry = |id: &str| ProxyEntry {
            version: String::from("v2"),
            metadata: Metadata {
                name: id.to_owned(),
            },
        };
        Self::Proxies {
            proxies: ids.iter().map(|id| entry(id.as_ref())).collect(),
        }
    }

    /// Advises to connect elsewhere.
    pub fn reconnect() -> Self {
        Self::Request {
            request: RECONNECT.to_owned(),
        }
    }
}

/// A request for a stream to a resource behind the agent (`teleport-transport-dial`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DialReq {
    /// The resource: the name of an app or a database.
    pub address: String,
    /// The agent, `<host id>.<cluster>`.
    pub server_id: String,
    /// The kind of tunnel: `app` or `db`.
    pub conn_type: String,
    /// The user's address.
    pub client_src_addr: String,
    /// The address that the user dialled.
    pub client_dst_addr: String,
}

/// The agent's answer to a [`DialReq`]: `{"ok":true}` or `{"error":"…"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DialReply {
    /// Whether bytes may follow.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// Writes a message as a line.
pub(in crate::live) fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line =
        serde_json::to_vec(message).expect("these messages have string keys and plain values");
    line.push(b'\n');
    line
}

/// Reads a message from a line.
pub(in crate::live) fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| format!("not the message expected: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_fields_of_teleport() {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let mut serves = Serves {
            apps: vec!["orders".into()],
            ..Serves::default()
        };
        assert_eq!(
            text(line(&Heartbeat::new(1_800_000_000, &serves))),
            "{\"ping\":\"2027-01-15T08:00:00Z\",\"resources\":[\"orders\"]}\n"
        );
        serves.databases.push("ledger".into());
        serves.proxies.push("0f3c".into());
        let full = line(&Heartbeat::new(1_800_000_000, &serves));
        let read: Heartbeat = parse(&full).unwrap();
        assert_eq!(read.serves(), serves);
        assert!(text(full).ends_with(
            "\"resources\":[\"orders\"],\"databases\":[\"ledger\"],\"proxies\":[\"0f3c\"]}\n"
        ));
        assert_eq!(
            text(line(&Discovery::proxies(&["0f3c"]))),
            "{\"proxies\":[{\"version\":\"v2\",\"metadata\":{\"name\":\"0f3c\"}}]}\n"
        );
        assert_eq!(
            text(line(&Discovery::reconnect())),
            "{\"request\":\"reconnect@goteleport.com\"}\n"
        );
        let ok = DialReply {
            ok: true,
            ..DialReply::default()
        };
        assert_eq!(text(line(&ok)), "{\"ok\":true}\n");
        let error = DialReply {
            error: String::from("no app \"x\""),
            ..DialReply::default()
        };
        assert_eq!(text(line(&error)), "{\"error\":\"no app \\\"x\\\"\"}\n");
    }

    #[test]
    fn messages_are_read_back_and_unknown_fields_are_passed_over() {
        let real = br#"{"proxies":[{"version":"v2","metadata":{"name":"a"},"gid":"g","ttl":1}]}"#;
        assert_eq!(parse(real), Ok(Discovery::proxies(&["a"])));
        let dial: DialReq = parse(br#"{"address":"orders","teleport_version":"18"}"#).unwrap();
        assert_eq!(dial.address, "orders");
        assert!(parse::<Heartbeat>(b"{}").is_err());
        assert!(parse::<Discovery>(b"[1]").is_err());
    }
}
