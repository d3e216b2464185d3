//! Writes OPT, with all that EDNS says beside an answer.
//!
//! In goes what `policy/answer` decided to say; out come NSID, the client's subnet with its scope, the
//! cookie, the idle time of a stream and the extended errors, in the order of their codes.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::Writer;
use crate::policy::answer::OwnEdns;

impl Writer<'_> {
    /// Writes OPT (RFC 6891 section 6.1.2).
    pub(super) fn opt(&mut self, edns: &OwnEdns<'_>, rcode: ResponseCode, words: &str) {
        self.out.push(0);
        self.out.extend(u16::from(RecordType::OPT).to_be_bytes());
        self.out.extend(edns.payload.to_be_bytes());
        let flags = u8::from(edns.dnssec_ok) << 7;
        self.out.extend([rcode.high(), 0, flags, 0]);
        let at = self.out.len();
        self.out.extend([0, 0]);
        options(self.out, edns, words);
        let length = u16::try_from(self.out.len() - at - 2).unwrap_or(0);
        self.out[at..at + 2].copy_from_slice(&length.to_be_bytes());
        self.counts[3] += 1;
    }
}

/// How long OPT is.
pub(super) fn opt_length(edns: &OwnEdns<'_>, words: &str) -> usize {
    let mut bytes = Vec::new();
    options(&mut bytes, edns, words);
    11 + bytes.len()
}

/// Writes the options of an answer; `words` go with the extended error.
fn options(out: &mut Vec<u8>, edns: &OwnEdns<'_>, words: &str) {
    if let Some(nsid) = edns.nsid {
        option(out, 3, &[nsid]);
    }
    if let Some(subnet) = edns.subnet {
        let octets = usize::from(subnet.source.div_ceil(8));
        let (family, four, six);
        let address: &[u8] = match subnet.address {
            std::net::IpAddr::V4(address) => {
                family = 1;
                four = address.octets();
                &four
            }
            std::net::IpAddr::V6(address) => {
                family = 2;
                six = address.octets();
                &six
            }
        };
        let fixed = [0, family, subnet.source, subnet.scope];
        option(out, 8, &[&fixed, address.get(..octets).unwrap_or_default()]);
    }
    if let Some(cookie) = &edns.cookie {
        option(out, 10, &[cookie]);
    }
    if let Some(tenths) = edns.keepalive {
        option(out, 11, &[&tenths.to_be_bytes()]);
    }
    if let Some(error) = edns.error {
        option(out, 15, &[&error.to_be_bytes(), words.as_bytes()]);
    }
    for error in edns.errors_more {
        option(out, 15, &[&error.to_be_bytes()]);
    }
}

/// Writes one option.
fn option(out: &mut Vec<u8>, code: u16, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.extend(code.to_be_bytes());
    out.extend(u16::try_from(length).unwrap_or(0).to_be_bytes());
    for part in parts {
        out.extend(*part);
    }
}
