//! A line of the query log, in words near to BIND's or as JSON.
//!
//! ```text
//! TIME client ADDRESS#PORT (NAME): view VIEW: query: NAME CLASS TYPE FLAGS (DESTINATION)
//!      rule RULE rcode RCODE answer FLAGS size BYTES [server SERVER] [ecs NET] step STEP
//! ```
//!
//! all on one line, and for a message that could not be read
//!
//! ```text
//! TIME client ADDRESS#PORT: malformed: PROBLEM (received BYTES over TRANSPORT) rcode FORMERR
//! ```
//!
//! The first FLAGS are BIND's: `+` recursion desired or `-`, `E(0)` EDNS and its
//! version, `T` TCP, `D` DNSSEC OK, `C` checking disabled. Those of the answer are `aa`, `tc`,
//! joined by commas, or `-`. SERVER is who answered a question that was passed on: an address, `cache`,
//! or `none`. Names are written with the escapes of zone files, so no octet of a
//! query can end a line or colour a terminal.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use hickory_proto::rr::DNSClass;

use super::Entry;
use crate::policy::answer::Transport;
use crate::policy::zone::type_word;

pub(super) fn text(at: SystemTime, entry: &Entry<'_>) -> String {
    let Entry {
        question, answer, ..
    } = entry;
    let mut line = humantime::format_rfc3339_millis(at).to_string();
    let client = question.source;
    let view = answer.view.map_or("none", |view| &view.name);
    let rule = answer.rule().map_or("none", |rule| rule);
    let kind = type_word(question.record_type);
    // Writing to a string does not fail.
    let _ = write!(
        line,
        " client {}#{} ({}): view {view}: query: {} {} {kind} {} ({}) rule {rule} rcode {} answer {} \
         size {}",
        client.ip(),
        client.0.port(),
        question.name,
        question.name,
        class(question.class),
        Asked(entry),
        question.destination.ip(),
        entry.rcode(),
        Answered(entry),
        entry.size,
    );
    if let Some(told) = entry.told {
        let _ = write!(line, " server {}", told.server);
    }
    if let Some(subnet) = question.edns.and_then(|edns| edns.subnet) {
        let _ = write!(line, " ecs {subnet}");
    }
    let _ = write!(line, " step {}", answer.reason);
    line
}

pub(super) fn json(at: SystemTime, entry: &Entry<'_>) -> String {
    let Entry {
        question, answer, ..
    } = entry;
    let optional = |text: Option<&str>| text.map_or_else(|| String::from("null"), quoted);
    let subnet = question.edns.and_then(|edns| edns.subnet);
    let subnet = subnet.map(|subnet| subnet.to_string());
    let server = entry.told.map(|told| told.server.to_string());
    format!(
        "{{\"time\":{},\"client\":{},\"subnet\":{},\"transport\":{},\"name\":{},\"class\":{},\
         \"type\":{},\"flags\":{},\"destination\":{},\"view\":{},\"rule\":{},\"rcode\":{},\
         \"answer\":{},\"size_bytes\":{},\"server\":{},\"step\":{}}}",
        quoted(&humantime::format_rfc3339_millis(at).to_string()),
        quoted(&question.source.to_string()),
        optional(subnet.as_deref()),
        quoted(question.transport.word()),
        quoted(&question.name.to_string()),
        quoted(&class(question.class)),
        quoted(&type_word(question.record_type)),
        quoted(&Asked(entry).to_string()),
        quoted(&question.destination.to_string()),
        optional(answer.view.map(|view| &*view.name)),
        optional(answer.rule().map(|rule| &**rule)),
        quoted(entry.rcode()),
        quoted(&Answered(entry).to_string()),
        entry.size,
        optional(server.as_deref()),
        quoted(&answer.reason.to_string()),
    )
}

/// Writes a JSON string (RFC 8259 section 7). Everything beyond ASCII is gone from our texts.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn class(class: DNSClass) -> String {
    match class {
        DNSClass::IN => String::from("IN"),
        DNSClass::CH => String::from("CH"),
        DNSClass::HS => String::from("HS"),
        DNSClass::ANY => String::from("ANY"),
        DNSClass::NONE => String::from("NONE"),
        DNSClass::OPT(number) | DNSClass::Unknown(number) => format!("CLASS{number}"),
    }
}

/// `+E(0)TD`.
struct Asked<'a>(&'a Entry<'a>);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { head, question, .. } = self.0;
        f.write_char(if head.recursion_desired { '+' } else { '-' })?;
        if let Some(edns) = question.edns {
            write!(f, "E({})", edns.version)?;
        }
        if question.transport == Transport::Tcp {
            f.write_char('T')?;
        }
        if question.edns.is_some_and(|edns| edns.dnssec_ok) {
            f.write_char('D')?;
        }
        if head.checking_disabled {
            f.write_char('C')?;
        }
        Ok(())
    }
}

/// `aa,tc`, or `-`.
struct Answered<'a>(&'a Entry<'a>);

impl fmt::Display for Answered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.0.answer.authoritative, self.0.truncated) {
            (true, true) => "aa,tc",
            (true, false) => "aa",
            (false, true) => "tc",
            (false, false) => "-",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_string_holds_no_control_character() {
        assert_eq!(quoted("a\"b\\c\n\u{1b}["), "\"a\\\"b\\\\c\\u000a\\u001b[\"");
    }
}
