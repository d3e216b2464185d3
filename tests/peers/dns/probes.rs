//! Messages that few send: unknown, broken, or cut short (RFC 8906 section 8, RFC 9619).

use super::questions::{Opt, message, opt};

/// A message, by what is odd about it.
pub(super) struct Probe {
    pub(super) name: &'static str,
    pub(super) message: Vec<u8>,
    pub(super) tcp: bool,
}

const WWW: &[u8] = b"\x03www\x03all\x04test\0";
const BIG: &[u8] = b"\x06bigtxt\x03all\x04test\0";
const NOWHERE: &[u8] = b"\x07nowhere\x07example\0";

/// The probes.
pub(super) fn all() -> Vec<Probe> {
    let mut probes = heads();
    probes.extend(shapes());
    probes.extend(broken());
    let over_tcp: Vec<_> = probes
        .iter()
        .filter(|probe| !probe.name.starts_with("broken"))
        .map(|probe| Probe {
            tcp: true,
            message: probe.message.clone(),
            ..*probe
        })
        .collect();
    probes.extend(over_tcp);
    probes
}

fn probe(name: &'static str, message: Vec<u8>) -> Probe {
    Probe {
        name,
        message,
        tcp: false,
    }
}

fn heads() -> Vec<Probe> {
    let www = |flags| message(7, flags, (WWW, 1, 1), None);
    let of = |name, kind, class| message(8, 0, (name, kind, class), None);
    let mut probes = Vec::new();
    for opcode in [1, 2, 3, 4, 5, 6, 7, 9, 15] {
        probes.push(probe("opcode", www(opcode << 11)));
        let edns = Some(Opt::of(1_232, 0));
        let with = message(7, opcode << 11, (WWW, 1, 1), edns);
        probes.push(probe("opcode with EDNS", with));
    }
    for bit in 0..11 {
        probes.push(probe("flag", www(1 << bit)));
    }
    for class in [0, 2, 3, 4, 99, 254, 255] {
        probes.push(probe("class", of(WWW, 1, class)));
    }
    for kind in [
        0, 41, 128, 200, 249, 250, 251, 252, 253, 254, 256, 32_768, 65_535,
    ] {
        probes.push(probe("type", of(WWW, kind, 1)));
        probes.push(probe("type at an apex", of(b"\x03all\x04test\0", kind, 1)));
        probes.push(probe("type outside", of(NOWHERE, kind, 1)));
    }
    probes
}

fn shapes() -> Vec<Probe> {
    let www = |edns| message(9, 0, (WWW, 1, 1), Some(edns));
    let big = |payload| message(9, 0, (BIG, 16, 1), Some(Opt::of(payload, 0)));
    let outside = |flags| message(9, 0, (NOWHERE, 1, 1), Some(Opt::of(1_232, flags)));
    let options = |options| {
        www(Opt {
            options,
            ..Opt::of(1_232, 0)
        })
    };
    let mut probes = Vec::new();
    for version in [1, 2, 255] {
        let edns = Opt {
            version,
            ..Opt::of(1_232, 0)
        };
        probes.push(probe("EDNS version", www(edns)));
        let unknown = b"\xfd\xe9\0\x01x";
        let edns = Opt {
            options: unknown,
            ..edns
        };
        probes.push(probe("EDNS version and option", www(edns)));
    }
    for bit in 0..16 {
        probes.push(probe("EDNS flag", www(Opt::of(1_232, 1 << bit))));
    }
    for payload in [0, 1, 511, 512, 513, 1_232, 4_096, 65_535] {
        probes.push(probe("EDNS payload", big(payload)));
    }
    for content in [
        &b"\xfd\xe9\0\0"[..],
        b"\xfd\xe9\0\x03abc",
        b"\xfd\xe9\0\0\xfd\xea\0\0",
        b"\0\x03\0\0",
        b"\0\x0a\0\x0812345678",
        b"\0\x0a\0\x101234567812345678",
        b"\0\x0b\0\0",
        b"\0\x0c\0\x040000",
        b"\0\x08\0\x07\0\x01\x18\0\xc0\0\x02",
        b"\0\x08\0\x04\0\x01\0\0",
        b"\0\x0e\0\x02\x12\x34",
    ] {
        probes.push(probe("EDNS option", options(content)));
    }
    probes.push(probe("outside with EDNS", outside(0)));
    probes.push(probe("outside with DO", outside(0x8000)));
    probes
}

/// Only over UDP: what a server does with its stream after these is its own affair.
fn broken() -> Vec<Probe> {
    let whole = message(10, 0, (WWW, 1, 1), Some(Opt::of(1_232, 0)));
    let plain = message(10, 0, (WWW, 1, 1), None);
    let mut probes = Vec::new();
    for length in 0..whole.len() {
        probes.push(probe("broken: cut short", whole[..length].to_vec()));
    }
    let changed = |place: usize, octet: u8| {
        let mut message = plain.clone();
        message[place] = octet;
        message
    };
    for octet in [0x40, 0x80, 0xc0, 0xff] {
        probes.push(probe("broken: label", changed(12, octet)));
    }
    probes.push(probe("broken: is an answer", changed(2, 0x80)));
    for count in [0, 2, 255] {
        probes.push(probe("broken: count of questions", changed(5, count)));
    }
    for place in [7, 9, 11] {
        probes.push(probe("broken: count of records", changed(place, 1)));
    }
    let mut twice = whole.clone();
    twice[11] = 2;
    opt(&mut twice, Opt::of(1_232, 0));
    probes.push(probe("broken: two OPT", twice));
    let mut beyond = whole;
    *beyond.last_mut().unwrap() = 9;
    probes.push(probe("broken: option beyond its record", beyond));
    let mut trailing = plain.clone();
    trailing.extend(b"more");
    probes.push(probe("broken: trailing octets", trailing));
    let mut named = plain.clone();
    named[11] = 1;
    named.extend(b"\x01x");
    opt(&mut named, Opt::of(1_232, 0));
    probes.push(probe("broken: OPT with a name", named));
    probes
}
