//! What `twodoors proxy` asks of the lab: a certificate and where to begin, and why it was refused.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::{AccessAsked, AccessGiven};
use crate::journal::Journal;
use crate::model::addr::ClientAddr;
use crate::model::fact::Kind;
use crate::model::id::Seq;

/// How many facts are looked through for a refusal: it was a moment ago.
const FACTS_MAX: u64 = 5_000;

/// The body of `POST /api/certificates`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// `app` or `db`.
    kind: String,
    /// The app or database service.
    name: String,
    /// The user.
    user: Option<String>,
    /// A network of the scenario, or an address.
    from: Option<String>,
    /// The database within the service.
    #[serde(default)]
    database: String,
}

/// The answer to it. It holds a key: it is given to whoever has the token, and logged nowhere.
#[derive(Deserialize, Serialize, ToSchema)]
pub struct Given {
    /// The certificate in PEM, for a database.
    pub certificate: Option<String>,
    /// Its key in PEM.
    pub key: Option<String>,
    /// The user's name.
    pub user: String,
    /// The address to come from.
    #[schema(value_type = String)]
    pub from: IpAddr,
    /// Whom to ask for names.
    #[schema(value_type = String)]
    pub dns: SocketAddr,
    /// `tsh --proxy`.
    pub proxy: String,
    /// Listeners that are bound elsewhere: real address and bound one.
    #[schema(value_type = Vec<Vec<String>>)]
    pub moved: Vec<(SocketAddr, SocketAddr)>,
}

/// The answer to `GET /api/refusals/{client}`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refusal {
    /// The words of the newest refusal of this client; null when there was none.
    pub text: Option<String>,
}

impl From<Ask> for AccessAsked {
    fn from(ask: Ask) -> Self {
        Self {
            kind: ask.kind,
            name: ask.name,
            user: ask.user,
            from: ask.from,
            database: ask.database,
        }
    }
}

impl From<AccessGiven> for Given {
    fn from(given: AccessGiven) -> Self {
        let AccessGiven {
            certificate,
            key,
            user,
            from,
            dns,
            proxy,
            moved,
        } = given;
        Self {
            certificate,
            key,
            user,
            from,
            dns,
            proxy,
            moved,
        }
    }
}

impl Refusal {
    /// Finds the newest refusal of a client; one whose port is unknown to the proxy counts as his.
    pub fn of(journal: &Journal, client: SocketAddr) -> Self {
        let newest = journal.ask(|state| state.seq.0);
        let since = Seq(newest.saturating_sub(FACTS_MAX));
        let facts = journal.after(since, usize::MAX).facts;
        let his = |known: &ClientAddr| {
            known.0 == client || (known.ip() == client.ip() && known.0.port() == 0)
        };
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "two of many facts are refusals"
        )]
        let text = facts.iter().rev().find_map(|fact| match &fact.kind {
            Kind::NoTunnel { client, text, .. } if his(client) => Some(text.trim_end().to_owned()),
            Kind::ConnRefused {
                client: Some(client),
                why,
                ..
            } if his(client) => Some(why.clone()),
            _ => None,
        });
        Self { text }
    }
}
