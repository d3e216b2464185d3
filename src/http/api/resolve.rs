//! What each view would answer to one client, side by side.
//!
//! The view that the client gets answers as the server would, faults included; each other one as it
//! would if it were the client's: the same `decide` with the choice made beforehand.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use hickory_proto::op::OpCode;
use hickory_proto::rr::DNSClass;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Place;
use crate::lab::client::{Client, read_subnet};
use crate::lab::lead::asks_from;
use crate::model::addr::{ClientAddr, ListenAddr};
use crate::model::network::Mode;
use crate::model::topology::Topology;
use crate::policy::answer::{
    Answer, Edns, PAYLOAD_MAX, Question, Rrset, RuleTried, Rules, Transport, decide, records,
    scope_words, tried,
};
use crate::policy::view::Subnet;
use crate::policy::zone::{read_name, read_type, type_word};

/// How many views answer side by side; the one that the client gets is always among them.
pub const VIEWS_MAX: usize = 64;

/// How long a text of a question may be; a name has at most 1,004 characters, all escaped.
const TEXT_MAX: usize = 1_100;

/// A question: `POST /api/resolve`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveAs {
    /// Who asks: `agent/orders`, `user/alice`, `network/internal` or an address.
    pub r#as: String,
    /// The name.
    pub name: String,
    /// The type; A unless told.
    pub r#type: Option<String>,
    /// `udp`, or `tcp`.
    pub transport: Option<String>,
    /// The client subnet that the sender gives.
    pub subnet: Option<String>,
    /// Whether signatures are asked for.
    pub r#do: Option<bool>,
}

/// The answers of all views.
#[derive(Debug, Serialize, ToSchema)]
pub struct Resolution {
    /// The address that the server sees.
    pub client: String,
    /// Where it asks.
    pub destination: String,
    /// The view that answers.
    pub chosen: Option<String>,
    /// Why that one.
    pub why: String,
    /// A command that asks the same.
    pub dig: String,
    /// Each view, in order.
    pub views: Vec<ViewAnswer>,
    /// The records that every view answers.
    pub same: Vec<String>,
    /// For whom the answer to the client subnet is true.
    pub scope: Option<String>,
}

/// What one view answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct ViewAnswer {
    /// Its name.
    pub view: String,
    /// Whether this client gets it.
    pub chosen: bool,
    /// The rule by which it does.
    pub rule: Option<String>,
    /// Its rules that were tried for this client, in order.
    pub tried: Vec<Tried>,
    /// The response code, or `dropped` or `forwarded`.
    pub rcode: String,
    /// Whether it speaks for the name.
    pub authoritative: bool,
    /// The answer section.
    pub answer: Vec<Rec>,
    /// The authority section.
    pub authority: Vec<Rec>,
    /// The additional section.
    pub additional: Vec<Rec>,
    /// The step that gave the answer, and the faults that act on it.
    pub step: String,
    /// The extended error (RFC 8914).
    pub extended_error: Option<String>,
    /// Whether code or answer section are other than those of the view that the client gets; where
    /// it gets none, than those of the first.
    pub differs: bool,
}

/// A rule that was tried.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tried {
    /// As it is written.
    pub rule: String,
    /// Whether it holds the client.
    pub matched: bool,
    /// What came of it.
    pub why: String,
}

/// A record.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rec {
    /// In words: `proxy.example.com. 60 A 127.10.0.2`.
    pub text: String,
    /// Whose.
    pub owner: String,
    /// In seconds.
    pub ttl: u32,
    /// The type.
    pub rtype: String,
    /// The data.
    pub data: String,
    /// Where it is written.
    pub place: Option<Place>,
    /// Whether some view has it not in this section.
    pub differs: bool,
}

impl ResolveAs {
    /// Makes the question, and tells through which resolver it goes, if through one; the error is a
    /// sentence.
    pub fn question(
        &self,
        topology: &Topology,
        dns: SocketAddr,
    ) -> Result<(Question, Option<String>), String> {
        let texts = [&self.r#as, &self.name];
        let texts = texts.into_iter().chain(&self.r#type).chain(&self.subnet);
        if let Some(long) = texts.into_iter().find(|text| text.len() > TEXT_MAX) {
            let length = long.len();
            return Err(format!(
                "a text of {length} bytes is too long: {TEXT_MAX} at most"
            ));
        }
        let client =
            Client::named(self.r#as.trim(), topology).map_err(|wrong| format!("as: {wrong}"))?;
        let source = match client.name {
            Some(_) => asks_from(topology, client.address),
            None => client.address,
        };
        let through = (source != client.address)
            .then(|| format!("it asks through the resolver at {source}, not itself"));
        let name = self.name.trim();
        if name.is_empty() {
            return Err(String::from(
                "name: what is asked for? Give a name like proxy.example.com",
            ));
        }
        let name = read_name(name).map_err(|wrong| format!("name: {wrong}"))?;
        let kind = self.r#type.as_deref().map_or("A", str::trim);
        let record_type =
            read_type(kind).ok_or_else(|| format!("type: {kind} is not a record type"))?;
        let transport = match self.transport.as_deref() {
            None | Some("udp") => Transport::Udp,
            Some("tcp") => Transport::Tcp,
            Some(other) => return Err(format!("transport: {other:?} is neither udp nor tcp")),
        };
        let subnet = self.subnet.as_deref().map(str::trim);
        let subnet = subnet
            .filter(|text| !text.is_empty())
            .map(read_subnet)
            .transpose();
        let subnet = subnet.map_err(|wrong| format!("subnet: {wrong}"))?;
        let dnssec_ok = self.r#do.unwrap_or(false);
        let edns = (subnet.is_some() || dnssec_ok).then(|| Edns {
            version: 0,
            payload: PAYLOAD_MAX,
            dnssec_ok,
            subnet: subnet.map(|network| Subnet {
                address: network.network(),
                source: network.prefix_len(),
                scope: 0,
            }),
            ..Edns::default()
        });
        let question = Question {
            source: ClientAddr(SocketAddr::new(source, 0)),
            destination: ListenAddr(dns),
            transport,
            opcode: OpCode::Query,
            count: 1,
            name,
            record_type,
            class: DNSClass::IN,
            recursion_desired: true,
            edns,
        };
        Ok((question, through))
    }
}

impl Resolution {
    /// Has every view answer.
    pub fn new(rules: &Rules, question: &Question, through: Option<String>) -> Self {
        let answer = decide(rules, question);
        let chosen = answer.view.map(|view| view.name.clone());
        let shown = shown_views(rules, chosen.as_deref());
        // The rules of the others must outlive their answers.
        let others: Vec<Option<Rules>> = shown
            .iter()
            .map(|place| {
                let own = chosen.as_ref() == Some(&rules.views[*place].name);
                (!own).then(|| rules.answering_from(*place))
            })
            .collect();
        let answers: Vec<Answer<'_>> = others
            .iter()
            .map(|own| {
                own.as_ref()
                    .map_or_else(|| answer.clone(), |own| decide(own, question))
            })
            .collect();
        let rules_tried = tried(question, &answer);
        let kept = Kept::of(&answers);
        let base = shown
            .iter()
            .position(|place| chosen.as_ref() == Some(&rules.views[*place].name));
        let base = answers.get(base.unwrap_or(0)).map(summary);
        let views = shown.iter().zip(&answers).map(|(place, own)| {
            let name = &rules.views[*place].name;
            let chosen = chosen.as_ref() == Some(name);
            let rule = own.rule().filter(|_| chosen).map(ToString::to_string);
            ViewAnswer {
                view: name.to_string(),
                chosen,
                rule,
                tried: rules_tried
                    .iter()
                    .filter(|rule| rule.view == **name)
                    .map(Tried::new)
                    .collect(),
                rcode: own.code().to_owned(),
                authoritative: own.authoritative,
                answer: kept.records(&own.answer, 0),
                authority: kept.records(&own.authority, 1),
                additional: kept.records(&own.additional, 2),
                step: step(own),
                extended_error: own
                    .error()
                    .map(|code| format!("{code} {}", own.error_text())),
                differs: base.as_ref() != Some(&summary(own)),
            }
        });
        let echoed = answer.edns.and_then(|edns| edns.subnet);
        Self {
            client: question.source.ip().to_string(),
            destination: question.destination.to_string(),
            why: why(&answer, &rules_tried, through),
            dig: dig(question),
            views: views.collect(),
            same: kept.same(),
            scope: echoed
                .map(|subnet| format!("{subnet} scope {}: {}", subnet.scope, scope_words(subnet))),
            chosen: chosen.map(|name| name.to_string()),
        }
    }
}

/// Gives the places of the views to show.
fn shown_views(rules: &Rules, chosen: Option<&str>) -> Vec<usize> {
    let mut places: Vec<usize> = (0..rules.views.len().min(VIEWS_MAX)).collect();
    let mut views = rules.views.iter();
    let own = views.position(|view| Some(&*view.name) == chosen);
    if let Some(own) = own.filter(|own| *own >= VIEWS_MAX) {
        places.pop();
        places.push(own);
    }
    places
}

/// A record as it is compared: owner, TTL, type and data.
type Words = (String, u32, String, String);

/// The records that all views have, by section.
struct Kept([BTreeSet<Words>; 3]);

impl Kept {
    fn of(answers: &[Answer<'_>]) -> Self {
        let section = |pick: fn(&Answer<'_>) -> BTreeSet<Words>| {
            let sets = answers.iter().map(pick);
            sets.reduce(|all, own| &all & &own).unwrap_or_default()
        };
        Self([
            section(|answer| words(&answer.answer).into_iter().collect()),
            section(|answer| words(&answer.authority).into_iter().collect()),
            section(|answer| words(&answer.additional).into_iter().collect()),
        ])
    }

    fn records(&self, sets: &[Rrset<'_>], section: usize) -> Vec<Rec> {
        let shown = records(sets).zip(words(sets));
        let recs = shown.map(|(shown, words)| Rec {
            text: shown.words(),
            place: Some(Place {
                file: shown.file.display().to_string(),
                line: shown.line,
                column: 1,
            }),
            differs: !self.0[section].contains(&words),
            owner: words.0,
            ttl: words.1,
            rtype: words.2,
            data: words.3,
        });
        recs.collect()
    }

    fn same(&self) -> Vec<String> {
        let common = self.0[0].iter();
        let lines = common.map(|(owner, ttl, rtype, data)| format!("{owner} {ttl} {rtype} {data}"));
        lines.collect()
    }
}

fn words(sets: &[Rrset<'_>]) -> Vec<Words> {
    let each = records(sets).map(|shown| {
        (
            shown.owner.to_ascii(),
            shown.ttl,
            type_word(shown.record_type),
            shown.data_words(),
        )
    });
    each.collect()
}

/// What two views are compared by; the authority section tells no client where to go.
fn summary(answer: &Answer<'_>) -> (String, BTreeSet<Words>) {
    let records = words(&answer.answer).into_iter().collect();
    (answer.code().to_owned(), records)
}

/// Says the step, after the faults that act on it.
fn step(answer: &Answer<'_>) -> String {
    format!("{} ({})", answer.reason, answer.reason.step.rfc())
}

/// Says why this view, without a final stop.
fn why(answer: &Answer<'_>, tried: &[RuleTried], through: Option<String>) -> String {
    let mut text = through.map_or_else(String::new, |through| format!("{through}; "));
    let Some(selected) = answer.selected else {
        text.push_str("no view is asked: ");
        text.push_str(&answer.reason.to_string());
        return text;
    };
    let source = selected.source;
    let own = selected.matched.and_then(|(view, element)| {
        let view = answer.views.get(view)?;
        let rule = view.match_clients.get(element)?;
        Some((view, rule.text.clone()))
    });
    text.push_str(&match (own, answer.selector.mode()) {
        (Some((view, rule)), Mode::FirstMatch) => {
            format!(
                "{rule} of the view {} is the first rule that lets {source} in",
                view.name
            )
        }
        (Some((view, rule)), Mode::LongestPrefix) => {
            format!(
                "{rule} of the view {} is the longest prefix that holds {source}",
                view.name
            )
        }
        (None, _) if tried.is_empty() => format!("there is no rule for {source}"),
        (None, _) => format!("no rule of any view lets {source} in"),
    });
    for acting in &answer.reason.faults {
        text.push_str(&format!("; {acting}"));
    }
    text
}

/// Writes the command that asks the same.
fn dig(question: &Question) -> String {
    let to = question.destination;
    let mut text = format!(
        "dig -b {} @{} -p {} {} {}",
        question.source.ip(),
        to.ip(),
        to.0.port(),
        shell_word(&question.name.to_ascii()),
        type_word(question.record_type)
    );
    if question.transport == Transport::Tcp {
        text.push_str(" +tcp");
    }
    if question.edns.is_some_and(|edns| edns.dnssec_ok) {
        text.push_str(" +dnssec");
    }
    if let Some(subnet) = question.edns.and_then(|edns| edns.subnet) {
        text.push_str(&format!(" +subnet={subnet}"));
    }
    text
}

/// Quotes a text for a shell where it needs it: a name may hold any byte.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    // What begins with a dash would be an option.
    if text.chars().all(plain) && !text.starts_with('-') {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

impl Tried {
    fn new(rule: &RuleTried) -> Self {
        let at = if rule.list == "match" { "" } else { "at " };
        Self {
            rule: format!("{at}{}", rule.text),
            matched: rule.holds,
            why: rule.verdict.clone(),
        }
    }
}
