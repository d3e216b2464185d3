//! Texts of Teleport's own files that a scenario does not have: Go's durations, URIs of apps.

use std::net::Ipv6Addr;

use crate::model::time::Span;

use super::{Wrong, wrong};

/// The longest duration that is taken, in nanoseconds: what Go's own type holds.
const NANOS_MAX: u128 = i64::MAX as u128;

/// Units of Go's `time.ParseDuration`, in nanoseconds; the longer text first where one begins
/// another.
const UNITS: &[(&str, u128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration as Go does, without the negative ones: `5m`, `1h30m`, `1.5s`; `0` needs no
/// unit.
pub fn go_duration(text: &str) -> Result<Span, Wrong> {
    let cure = "write a number with its unit, like 5m or 30s";
    if text == "0" {
        return Ok(Span::ZERO);
    }
    let bare = |c: char| c.is_ascii_digit() || c == '.';
    if !text.is_empty() && text.chars().all(bare) {
        return Err(wrong(format!("{text} has no unit"), super::add_unit(text)));
    }
    let mut nanos: u128 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !bare(c)).unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let unit = UNITS.iter().find(|(unit, _)| after.starts_with(unit));
        let read = unit.and_then(|(unit, each)| Some((part(number, *each)?, unit.len())));
        let Some((more, length)) = read else {
            return Err(wrong(format!("{text:?} is not a duration"), cure));
        };
        nanos = nanos.saturating_add(more);
        rest = &after[length..];
    }
    if text.is_empty() {
        return Err(wrong(format!("{text:?} is not a duration"), cure));
    }
    if nanos > NANOS_MAX {
        return Err(wrong(
            format!("{text} is longer than Teleport can count"),
            "write a shorter duration",
        ));
    }
    let micros = u64::try_from(nanos / 1_000).unwrap_or(u64::MAX);
    Ok(Span::from_us(micros))
}

/// Reads a number that may have a fraction, of a unit of so many nanoseconds.
fn part(number: &str, each: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    // More digits than Go's own type can hold are too many, too.
    let digits = |text: &str| match text {
        "" => Some(0),
        _ => text.parse::<u128>().ok().filter(|_| text.len() <= 19),
    };
    let mut scale = 1;
    for _ in fraction.chars() {
        scale *= 10;
        if scale > NANOS_MAX {
            return None;
        }
    }
    let whole = digits(whole)?.checked_mul(each)?;
    let fraction = digits(fraction)?.checked_mul(each)? / scale;
    whole.checked_add(fraction)
}

/// Checks what `tsh --proxy` takes: `host[:web[,ssh]]`, either port left out (`host:,3023`).
pub fn proxy_host(text: &str) -> Result<(), Wrong> {
    let cure = "write it like proxy.example.com:443 or proxy.example.com:3080,3023";
    // Of an IPv6 address the colons are within brackets.
    let bracket = text.rfind(']').unwrap_or(0);
    let colon = text[bracket..].find(':').map(|at| bracket + at);
    let (host, ports) = colon.map_or((text, ""), |at| (&text[..at], &text[at + 1..]));
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let six = inner.is_some_and(|host| host.parse::<Ipv6Addr>().is_ok());
    if !six && !super::is_host(host) {
        return Err(wrong(format!("{host:?} is not a host"), cure));
    }
    let ports: Vec<&str> = ports.split(',').collect();
    if ports.len() > 2 {
        return Err(wrong(format!("{text:?} has more than two ports"), cure));
    }
    let sound = |port: &&str| port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0);
    match ports.iter().find(|port| !sound(port)) {
        Some(port) => Err(wrong(format!("{port:?} is not a port"), cure)),
        None => Ok(()),
    }
}

/// What an app's URI leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppKind {
    /// Over HTTP, which the lab carries.
    Http,
    /// Over something else that Teleport carries and the lab does not.
    Other,
}

/// Reads the URI of an app: its kind.
pub fn app_uri(text: &str) -> Result<AppKind, Wrong> {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    match scheme {
        "http" | "https" if !rest.is_empty() => Ok(AppKind::Http),
        "tcp" if !rest.is_empty() => Ok(AppKind::Other),
        // A cloud's console and MCP servers need no host.
        "cloud" | "mcp+stdio" | "mcp+http" | "mcp+https" | "mcp+sse+http" | "mcp+sse+https" => {
            Ok(AppKind::Other)
        }
        _ => Err(wrong(
            format!("{text:?} is not the address of an app"),
            "write it like http://localhost:8080",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, ms) in [
            ("5m", 300_000),
            ("5m0s", 300_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            (".5s", 500),
            ("250ms", 250),
            ("1000us", 1),
            ("1000µs", 1),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(go_duration(text), Ok(Span::from_ms(ms)), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            "",
            "5",
            "1.5",
            "m",
            ".s",
            "1..5s",
            "-5m",
            "5 m",
            "1d",
            "5min",
            "99999999999h",
            "340282366920938463463374607431768211455h",
            "1.00000000000000000000000000000000000000001s",
        ] {
            assert!(go_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_proxy_has_at_most_two_ports() {
        for text in [
            "proxy.example.com",
            "proxy.example.com:443",
            "proxy.example.com:3080,3023",
            "proxy.example.com:,3023",
            "[::1]:3080,3023",
            "[::1]",
        ] {
            assert_eq!(proxy_host(text), Ok(()), "{text}");
        }
        for text in [
            "",
            ":443",
            "a:b",
            "a:1,2,3",
            "a:0",
            "a:65536",
            "::1",
            "[x]:1",
            "https://a",
        ] {
            assert!(proxy_host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_app_is_http_or_something_that_is_not_carried() {
        assert_eq!(app_uri("https://localhost:1"), Ok(AppKind::Http));
        for text in ["tcp://localhost:22", "cloud://AWS", "mcp+stdio://"] {
            assert_eq!(app_uri(text), Ok(AppKind::Other), "{text}");
        }
        for text in ["", "localhost:80", "http://", "ftp://a", "tcp://"] {
            assert!(app_uri(text).is_err(), "{text}");
        }
    }
}
