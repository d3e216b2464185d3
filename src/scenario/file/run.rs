//! The shapes of `timeline` and `expect`: what a run does, and what is expected of it.

use serde::Deserialize;

use super::List;

/// `timeline[]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A duration.
    pub at: Option<String>,
    /// A condition.
    pub when: Option<String>,
    /// A duration.
    pub after: Option<String>,
    /// A duration.
    pub every: Option<String>,
    /// A duration.
    pub until: Option<String>,
    /// A duration.
    #[serde(rename = "for")]
    pub lasts: Option<String>,
    /// A word.
    #[serde(rename = "do")]
    pub what: Option<Do>,
    /// A node, a link, two networks or a view.
    pub target: Option<String>,
    /// A duration.
    pub by: Option<String>,
    /// The name of a view or of a network.
    pub to: Option<String>,
    /// An address.
    pub address: Option<String>,
    /// The name of a view.
    pub view: Option<String>,
    /// The owner of a record set.
    pub name: Option<String>,
    /// A record type.
    #[serde(rename = "type")]
    pub rtype: Option<String>,
    /// A duration.
    pub ttl: Option<String>,
    /// Record data.
    pub data: List<String>,
    /// DNS names.
    pub names: List<String>,
    /// Steps that begin together.
    pub parallel: List<Part>,
}

/// `timeline[].parallel[]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// A duration.
    pub after: Option<String>,
    /// A duration.
    pub every: Option<String>,
    /// A duration.
    pub until: Option<String>,
    /// A duration.
    #[serde(rename = "for")]
    pub lasts: Option<String>,
    /// A word.
    #[serde(rename = "do")]
    pub what: Option<Do>,
    /// A node, a link, two networks or a view.
    pub target: Option<String>,
    /// A duration.
    pub by: Option<String>,
    /// The name of a view or of a network.
    pub to: Option<String>,
    /// An address.
    pub address: Option<String>,
    /// The name of a view.
    pub view: Option<String>,
    /// The owner of a record set.
    pub name: Option<String>,
    /// A record type.
    #[serde(rename = "type")]
    pub rtype: Option<String>,
    /// A duration.
    pub ttl: Option<String>,
    /// Record data.
    pub data: List<String>,
    /// DNS names.
    pub names: List<String>,
}

impl From<&Part> for Step {
    fn from(part: &Part) -> Self {
        let part = part.clone();
        Self {
            after: part.after,
            every: part.every,
            until: part.until,
            lasts: part.lasts,
            what: part.what,
            target: part.target,
            by: part.by,
            to: part.to,
            address: part.address,
            view: part.view,
            name: part.name,
            rtype: part.rtype,
            ttl: part.ttl,
            data: part.data,
            names: part.names,
            ..Self::default()
        }
    }
}

/// `timeline[].do`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Do {
    /// Silence.
    Blackhole,
    /// Another web certificate.
    Certificate,
    /// An operator's act.
    Drain,
    /// Questions without answers.
    Drop,
    /// Silence one way.
    HalfOpen,
    /// Bytes late by chance.
    Jitter,
    /// An operator's act.
    Kill,
    /// Bytes late.
    Latency,
    /// Silence between two networks.
    Partition,
    /// A node that stands still.
    Pause,
    /// Another record set.
    Record,
    /// RST to every SYN.
    Refuse,
    /// Scenario and zones are read again.
    Reload,
    /// RST to what is open.
    ResetPeer,
    /// A move to another network.
    Roam,
    /// Questions answered SERVFAIL.
    Servfail,
    /// Yesterday's answers.
    Stale,
    /// An operator's act.
    Start,
    /// An operator's act.
    Stop,
    /// Answers kept longer than they should be.
    TtlFloor,
    /// Another view's answers.
    ViewFlip,
    /// Nothing.
    Wait,
}

impl Do {
    /// Gives the word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Blackhole => "blackhole",
            Self::Certificate => "certificate",
            Self::Drain => "drain",
            Self::Drop => "drop",
            Self::HalfOpen => "half_open",
            Self::Jitter => "jitter",
            Self::Kill => "kill",
            Self::Latency => "latency",
            Self::Partition => "partition",
            Self::Pause => "pause",
            Self::Record => "record",
            Self::Refuse => "refuse",
            Self::Reload => "reload",
            Self::ResetPeer => "reset_peer",
            Self::Roam => "roam",
            Self::Servfail => "servfail",
            Self::Stale => "stale",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::TtlFloor => "ttl_floor",
            Self::ViewFlip => "view_flip",
            Self::Wait => "wait",
        }
    }
}

/// `expect[]`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Expect {
    /// A sentence.
    Sentence(String),
    /// A mapping.
    Rule(Box<Rule>),
}

/// An expectation that is a mapping.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A sentence.
    pub expect: Option<String>,
    /// A name and a type.
    pub query: Option<String>,
    /// A network, a node or an address.
    pub from: Option<String>,
    /// Record data.
    pub answer: List<String>,
    /// Networks, by name or in CIDR form.
    pub not_in: List<String>,
    /// A word.
    pub rcode: Option<String>,
    /// The name of a view.
    pub view: Option<String>,
    /// A duration.
    pub every: Option<String>,
    /// A word.
    pub metric: Option<Metric>,
    /// A number from 0 to 1.
    pub quantile: Option<String>,
    /// A number with its unit.
    pub below: Option<String>,
    /// A number with its unit.
    pub above: Option<String>,
    /// A word.
    pub reason: Option<Reason>,
    /// The name of a balancer.
    pub balancer: Option<String>,
    /// A duration.
    pub after: Option<String>,
    /// A duration.
    pub before: Option<String>,
    /// How many facts.
    pub evidence: Option<u64>,
    /// Whether the run ends with it.
    pub abort: Option<bool>,
}

/// `expect[].metric`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// How evenly a balancer spreads.
    Balance,
    /// Dials in a second.
    DialRate,
    /// From the last tunnel's loss to the next one.
    OutageTime,
    /// From a claim's loss to the next one.
    ReconnectTime,
    /// How long a visit takes.
    RequestTime,
    /// The share of visits that fail.
    RequestsFailed,
}

impl Metric {
    /// Gives the word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Balance => "balance",
            Self::DialRate => "dial_rate",
            Self::OutageTime => "outage_time",
            Self::ReconnectTime => "reconnect_time",
            Self::RequestTime => "request_time",
            Self::RequestsFailed => "requests_failed",
        }
    }
}

/// `expect[].reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// TCP failed.
    Connect,
    /// The connection was cut.
    Cut,
    /// The proxy had no tunnel.
    NoTunnel,
    /// The name had no address.
    Resolve,
    /// Another error of the proxy.
    Status,
    /// It took too long.
    Timeout,
    /// TLS failed.
    Tls,
}
