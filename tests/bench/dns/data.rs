//! What is served and what is asked: zones and questions, made from a seed.

use std::fmt::Write;

/// The zone of every part.
pub(crate) const ORIGIN: &str = "example.com";

/// Records of the small zone.
pub(crate) const RECORDS: u32 = 1_003;

/// Records of the large zone.
pub(crate) const MILLION: u32 = 1_000_000;

/// Names in the query file.
pub(crate) const NAMES: u32 = 20_000;

/// Of a hundred questions, how many ask for the proxy.
const PROXY_SHARE: u64 = 30;

/// Where each view sends a client: the doors of the example.
pub(crate) const INTERNAL_DOOR: &str = "127.10.0.2";
/// The door of everybody else.
pub(crate) const EXTERNAL_DOOR: &str = "127.20.0.2";

/// Records of the small zone that are no hosts: SOA, NS, its address, a text, the proxy and its
/// wildcard, an alias, a delegation with glue.
const OTHERS: u32 = 9;

/// Records of the large zone that are no hosts: SOA, NS, its address, a wildcard.
const OTHERS_OF_MILLION: u32 = 4;

/// A, in wire form.
pub(crate) const A: u16 = 1;

/// NOERROR and NXDOMAIN, in wire form.
pub(crate) const NOERROR: u8 = 0;
/// No such name.
pub(crate) const NXDOMAIN: u8 = 3;

/// Draws numbers; the same seed draws the same ones (splitmix64).
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Draws a number below a bound that is not zero.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).unwrap_or(0)
    }

    /// Draws some bytes.
    pub(crate) fn bytes(&mut self, length: u32) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    /// Puts things into a random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            let bound = u32::try_from(last + 1).unwrap_or(1);
            things.swap(last, self.below(bound) as usize);
        }
    }
}

/// Gives the address of a host of the small zone.
pub(crate) fn host_address(host: u32) -> String {
    format!("192.0.{}.{}", host / 250, host % 250 + 1)
}

/// How many hosts the small zone has.
pub(crate) const fn hosts() -> u32 {
    RECORDS - OTHERS
}

fn head(serial: u32) -> String {
    format!(
        "$ORIGIN {ORIGIN}.\n$TTL 300\n\
         @ IN SOA ns1 hostmaster {serial} 3600 600 604800 60\n\
         @ IN NS ns1\n\
         ns1 IN A 127.0.0.1\n"
    )
}

/// The small zone without what differs between the views.
pub(crate) fn common_zone() -> String {
    let mut zone = head(1);
    zone.push_str(
        "@ IN TXT \"bench\"\nteleport IN CNAME proxy\nlab IN NS ns1.lab\nns1.lab IN A 127.10.0.53\n",
    );
    for host in 0..hosts() {
        let _ = writeln!(zone, "h{host} IN A {}", host_address(host));
    }
    zone
}

/// The small zone as one door's view has it.
pub(crate) fn zone(door: &str) -> String {
    let mut zone = common_zone();
    let _ = write!(zone, "proxy IN A {door}\n*.proxy IN A {door}\n");
    zone
}

/// A zone for the name of the proxy alone, which a view has over the common one.
pub(crate) fn proxy_zone(door: &str) -> String {
    format!(
        "$ORIGIN proxy.{ORIGIN}.\n$TTL 300\n\
         @ IN SOA ns1.{ORIGIN}. hostmaster.{ORIGIN}. 1 3600 600 604800 60\n\
         @ IN NS ns1.{ORIGIN}.\n@ IN A {door}\n* IN A {door}\n"
    )
}

/// The address of a host of the large zone.
pub(crate) fn large_address(host: u32) -> String {
    let [_, a, b, c] = host.to_be_bytes();
    format!("10.{a}.{b}.{c}")
}

/// How many hosts the large zone has; the last of them is its last record.
pub(crate) const fn large_hosts() -> u32 {
    MILLION - OTHERS_OF_MILLION
}

/// The large zone.
pub(crate) fn large_zone() -> String {
    let mut zone = head(1);
    zone.push_str("*.wild IN A 10.255.255.254\n");
    for host in 0..large_hosts() {
        let _ = writeln!(zone, "h{host:07} IN A {}", large_address(host));
    }
    zone
}

/// A small zone of a generation: what has to change together says which one it is of.
pub(crate) fn generation_zone(door: &str, generation: u32) -> String {
    let mut zone = zone(door).replacen(" 1 3600", &format!(" {generation} 3600"), 1);
    let [_, _, high, low] = generation.to_be_bytes();
    let _ = write!(
        zone,
        "pair 0 IN TXT \"one={generation}\"\npair 0 IN TXT \"two={generation}\"\n\
         chain 0 IN CNAME generation-{generation}\n\
         generation-{generation} 0 IN A 10.0.{high}.{low}\n"
    );
    zone
}

/// Questions in wire form, one after the other in one block, each with the answer's code.
#[derive(Default)]
pub(crate) struct Questions {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    codes: Vec<u8>,
}

impl Questions {
    /// Adds a question of class IN without EDNS and without the wish for recursion.
    pub(crate) fn ask(&mut self, name: &str, kind: u16, code: u8) {
        self.bytes.extend([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        for label in name.split('.').filter(|label| !label.is_empty()) {
            self.bytes.push(u8::try_from(label.len()).unwrap_or(0));
            self.bytes.extend(label.bytes());
        }
        self.bytes.push(0);
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend([0, 1]);
        self.end(code);
    }

    /// Adds a message as it is; its first two bytes will be overwritten.
    pub(crate) fn raw(&mut self, message: &[u8]) {
        self.bytes.extend(message);
        self.end(NOERROR);
    }

    fn end(&mut self, code: u8) {
        self.ends.push(self.bytes.len());
        self.codes.push(code);
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Gives a question and the code of its answer.
    pub(crate) fn get(&self, number: usize) -> (&[u8], u8) {
        let begin = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        (&self.bytes[begin..self.ends[number]], self.codes[number])
    }
}

/// The names of the query file.
pub(crate) fn names(draw: &mut Draw) -> Vec<String> {
    let name = |draw: &mut Draw| {
        if draw.next() % 100 < PROXY_SHARE {
            format!("proxy.{ORIGIN}")
        } else {
            format!("h{}.{ORIGIN}", draw.below(hosts()))
        }
    };
    (0..NAMES).map(|_| name(draw)).collect()
}

/// The query file as questions for the bench's own client.
pub(crate) fn questions(names: &[String]) -> Questions {
    let mut questions = Questions::default();
    for name in names {
        questions.ask(name, A, NOERROR);
    }
    questions
}

/// The query file as dnsperf reads it.
pub(crate) fn dnsperf_file(names: &[String]) -> String {
    let lines = names.iter().map(|name| format!("{name} A\n"));
    lines.collect()
}

/// Messages that no server should take for a question: cut short, lying about their counts, with
/// names that lead nowhere, and noise.
pub(crate) fn malformed(draw: &mut Draw) -> Questions {
    let mut whole = Questions::default();
    whole.ask(&format!("proxy.{ORIGIN}"), A, NOERROR);
    let (whole, _) = whole.get(0);
    let mut questions = Questions::default();
    for number in 0..2_000_u32 {
        let mut message = whole.to_vec();
        let last = u32::try_from(message.len() - 1).unwrap_or(1);
        match number % 6 {
            0 => message.truncate(2 + draw.below(last - 2) as usize),
            // Counts of questions and records that are not there.
            1 => message[4..12].copy_from_slice(&draw.bytes(8)),
            // A name that points to itself.
            2 => message[12..14].copy_from_slice(&[0xc0, 12]),
            // A label longer than the message.
            3 => message[12] = 63,
            4 => {
                let length = 12 + draw.below(100);
                message = draw.bytes(length);
            }
            _ => {
                let place = 2 + draw.below(last - 2) as usize;
                message[place] ^= draw.bytes(1)[0];
            }
        }
        questions.raw(&message);
    }
    questions
}
