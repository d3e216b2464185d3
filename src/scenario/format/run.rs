//! The formats of `timeline` and `expect`: words of DNS, and numbers with their unit.

use std::net::SocketAddr;

use crate::model::time::Span;
use crate::model::topology::Share;

use super::super::hint;
use super::{Wrong, duration, origin, wrong};

/// The record types that can be written in a scenario: those that zone files are written with.
pub const RECORD_TYPES: &[&str] = &[
    "A", "AAAA", "CAA", "CNAME", "DS", "HINFO", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV",
    "SSHFP", "SVCB", "TLSA", "TXT",
];

/// The response codes that an answer can have.
pub const RCODES: &[&str] = &[
    "NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", "FORMERR", "NOTIMP", "NOTAUTH",
];

/// Reads the owner of a record set: as an origin, and perhaps a wildcard.
pub fn owner(text: &str) -> Result<String, Wrong> {
    let (star, rest) = match text.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", text),
    };
    origin(rest)
        .map(|name| format!("{star}{name}"))
        .map_err(|_| {
            wrong(
                format!("{text:?} is not a DNS name"),
                "write it like proxy.example.com",
            )
        })
}

/// Reads a record type.
pub fn record_type(text: &str) -> Result<&'static str, Wrong> {
    let known = RECORD_TYPES.iter().find(|known| **known == text);
    known.copied().ok_or_else(|| {
        wrong(
            format!("{text:?} is not a record type"),
            word(text, RECORD_TYPES),
        )
    })
}

/// Reads a response code.
pub fn rcode(text: &str) -> Result<&'static str, Wrong> {
    let known = RCODES.iter().find(|known| **known == text);
    known.copied().ok_or_else(|| {
        wrong(
            format!("{text:?} is not a response code"),
            word(text, RCODES),
        )
    })
}

/// Gives the cure for a word of DNS, where `a` may be meant for `A`.
fn word(text: &str, allowed: &[&str]) -> String {
    let upper = text.to_ascii_uppercase();
    if allowed.contains(&&*upper) {
        return format!("write {upper}");
    }
    hint::cure(text, allowed)
}

/// Reads a question: a name and a type.
pub fn question(text: &str) -> Result<(String, &'static str), Wrong> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [name, rtype] = words[..] else {
        return Err(wrong(
            format!("{text:?} is not a name and a type"),
            "write it like proxy.example.com A",
        ));
    };
    Ok((owner(name)?, record_type(rtype)?))
}

/// A number with the unit that it was written with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// `1.5`.
    Plain(f64),
    /// `2000/s`, in 1/s.
    Rate(f64),
    /// `1%`, from 0 to 1.
    Share(f64),
    /// `90s`.
    Time(Span),
}

/// Reads a number with its unit.
pub fn bound(text: &str) -> Result<Bound, Wrong> {
    let number = |text: &str| {
        let number = text.trim().parse::<f64>().ok();
        number.filter(|number| number.is_finite() && *number >= 0.0)
    };
    let read = if let Some(rate) = text.strip_suffix("/s") {
        number(rate).map(Bound::Rate)
    } else if let Some(percent) = text.strip_suffix('%') {
        number(percent).map(|percent| Bound::Share(percent / 100.0))
    } else {
        let plain = number(text).map(Bound::Plain);
        plain.or_else(|| duration(text).ok().map(Bound::Time))
    };
    read.ok_or_else(|| {
        wrong(
            format!("{text:?} is not a number with a unit"),
            "write it like 90s, 2000/s, 1% or 1.5",
        )
    })
}

/// Reads the address of a DNS server, on port 53 unless one is given.
pub fn server(text: &str) -> Result<SocketAddr, Wrong> {
    let plain = || Some(SocketAddr::new(text.parse().ok()?, 53));
    let whole = text.parse().ok().or_else(plain);
    whole
        .filter(|address: &SocketAddr| address.port() != 0)
        .ok_or_else(|| {
            wrong(
                format!("{text:?} is not the address of a server"),
                "write it like 127.0.0.1:5301, or without the port for 53",
            )
        })
}

/// Reads a share of a whole: a number of percent with at most six decimals.
pub fn share(text: &str) -> Result<Share, Wrong> {
    let read = || {
        let number = text.strip_suffix('%')?.trim_end();
        let (whole, rest) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 3 || rest.len() > 6 {
            return None;
        }
        if !digits(whole) || !digits(rest) || number.ends_with('.') {
            return None;
        }
        let share = format!("{whole}{rest:0<6}").parse().ok().map(Share)?;
        (share <= Share::ALL).then_some(share)
    };
    read().ok_or_else(|| {
        wrong(
            format!("{text:?} is not a share of a whole"),
            "write it like 25%",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_unit() {
        assert_eq!(bound("90s"), Ok(Bound::Time(Span::from_secs(90))));
        assert_eq!(bound("2000/s"), Ok(Bound::Rate(2000.0)));
        assert_eq!(bound("1%"), Ok(Bound::Share(0.01)));
        assert_eq!(bound("0.01"), Ok(Bound::Plain(0.01)));
        for text in ["inf", "NaN", "", "%", "/s", "1 apple", "-0.5"] {
            assert!(bound(text).is_err(), "{text}");
        }
        for text in ["0%", "0.5%", "25%", "33.333333%", "100%"] {
            assert_eq!(
                share(text).map(|share| share.to_string()).as_deref(),
                Ok(text)
            );
        }
        for text in ["25", "-1%", "100.1%", "1e1%", "%", ".5%", "1.%", "1.2.3%"] {
            assert!(share(text).is_err(), "{text}");
        }
        assert_eq!(rcode("nxdomain").unwrap_err().cure, "write NXDOMAIN");
    }
}
