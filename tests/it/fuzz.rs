//! Mutated packets, zone and scenario files: nothing panics, hangs or grows.
//!
//! Each test runs itself in a process of its own, so that the memory measured is its own. Seeds are
//! fixed; a run that fails names the round, which repeats it.

#![expect(clippy::unwrap_used, reason = "a test helper fails its test")]

#[path = "../fuzz/packets.rs"]
mod packets;
#[path = "../fuzz/scenarios.rs"]
pub(crate) mod scenarios;
#[path = "../fuzz/zones.rs"]
mod zones;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{DNSClass, RecordType};
use twodoors::journal::Journal;
use twodoors::live::dns::Dns;
use twodoors::model::draw::Seed;
use twodoors::model::time::Time;
use twodoors::scenario::embedded;

use crate::dns::kit::{edns, query, root, rules, shipped};

/// Set in the process that does the work.
const CHILD: &str = "TWODOORS_FUZZ_CHILD";

/// How long the work may take; it takes seconds.
const PATIENCE: Duration = Duration::from_secs(300);

/// Mutates by a seed: each draw is told apart by a counter.
struct Mutator {
    seed: Seed,
    draws: u64,
}

impl Mutator {
    fn new(seed: u64) -> Self {
        let seed = Seed(seed);
        Self { seed, draws: 0 }
    }

    /// Draws a number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.draws += 1;
        let drawn = self.seed.draw("fuzz", "mutate", self.draws);
        usize::try_from(drawn % bound.max(1) as u64).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or(0)
    }

    /// Changes a few bytes: flips, sets, removes, inserts, repeats, splices, cuts.
    fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8], words: &[&str]) {
        // Half of the rounds keep the length, so that more of them get past the parser.
        let kinds = if self.below(2) == 0 { 2 } else { 8 };
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            match self.below(kinds) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => bytes[at] = self.byte(),
                2 if at < bytes.len() => {
                    let end = (at + self.below(8)).min(bytes.len());
                    bytes.drain(at..end);
                }
                3 => bytes.insert(at, self.byte()),
                4 => {
                    let from = self.below(other.len() + 1);
                    let end = (from + self.below(40)).min(other.len());
                    bytes.splice(at..at, other[from..end].iter().copied());
                }
                5 if at < bytes.len() => {
                    let end = (at + self.below(16)).min(bytes.len());
                    let part = bytes[at..end].to_vec();
                    bytes.splice(at..at, part);
                }
                6 if self.below(4) == 0 => bytes.truncate(at),
                _ if kinds > 2 => {
                    let word = words[self.below(words.len())];
                    bytes.splice(at..at, word.bytes());
                }
                _ => {}
            }
        }
    }
}

/// Runs `work` in a process of its own that runs just this test, and waits for it with a bound.
fn alone(test: &str, work: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return work();
    }
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        // hickory reserves room for as many questions as a message claims to hold, up to 65535.
        // With a fixed threshold glibc gives such blocks back at once instead of keeping the heap
        // as large as the largest was, so what is measured is what is held.
        .env("MALLOC_MMAP_THRESHOLD_", "131072")
        .spawn()
        .unwrap();
    let step = Duration::from_millis(50);
    for _ in 0..PATIENCE.as_millis() / step.as_millis() {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(
                status.success(),
                "{test} failed in its own process; see above"
            );
            return;
        }
        std::thread::sleep(step);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("{test} was not done after {PATIENCE:?}");
}

/// The pages of memory that this process holds.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Runs rounds; the memory after the last is at most 1.2 times that after a tenth.
#[expect(clippy::print_stdout, reason = "the figures are part of the result")]
fn rounds(count: u64, mut round: impl FnMut(u64)) {
    let mut early = 0;
    for number in 0..count {
        if number == count / 10 {
            early = resident();
        }
        round(number);
    }
    let late = resident();
    println!("{count} rounds: {early} pages after a tenth, {late} at the end");
    assert!(late * 10 <= early * 12, "{early} pages became {late}");
}

fn messages() -> Vec<Vec<u8>> {
    let mut messages: Vec<Message> = Vec::new();
    let names = [
        "proxy",
        "orders.proxy",
        "teleport",
        "deep.lab",
        "nosuch",
        "*.proxy",
    ];
    for name in names {
        let name = format!("{name}.example.com.");
        for record_type in [RecordType::A, RecordType::ANY, RecordType::from(65280)] {
            messages.push(query(&name, record_type, None));
            messages.push(query(&name, record_type, Some(edns(4096))));
        }
        let mut option = edns(1232);
        let subnet = EdnsOption::Subnet("127.42.7.0/24".parse().unwrap());
        option.options_mut().insert(subnet);
        messages.push(query(&name, RecordType::A, Some(option)));
    }
    messages[0].queries[0].query_class = DNSClass::CH;
    let bytes = messages.iter().map(|message| message.to_vec().unwrap());
    bytes.collect()
}

#[test]
fn mutated_packets_are_answered_without_panic_or_growth() {
    alone(
        "fuzz::mutated_packets_are_answered_without_panic_or_growth",
        || {
            let topology = shipped();
            let (rules, _) = rules(&topology).unwrap();
            let rules = Arc::new(ArcSwap::from_pointee(rules));
            let dns = Dns::new(&topology, rules, Journal::new(&topology), || Time::ZERO);
            let mut worker = dns.by_hand();
            let corpus = messages();
            let words = ["\0", "\u{c}", "\0\u{1}", "\0\0)", "\0\u{8}\0\u{7}\0\u{1}"];
            let mut answered = 0_u32;
            rounds(100_000, |number| {
                let mut mutator = Mutator::new(number);
                let mut bytes = corpus[mutator.below(corpus.len())].clone();
                let other = &corpus[mutator.below(corpus.len())];
                mutator.mutate(&mut bytes, other, &words);
                let from = ["127.41.0.9:99", "127.0.0.1:99", "[::1]:99"][mutator.below(3)];
                let tcp = mutator.below(4) == 0;
                let met = packets::feed(&mut worker, &bytes, from, tcp);
                answered += u32::from(met == packets::Met::Answered);
            });
            println!("{answered} of 100000 packets could be parsed");
            assert!(answered > 10_000, "the mutations leave too few messages");
        },
    );
}

#[test]
fn mutated_zone_files_are_read_without_panic_or_growth() {
    alone(
        "fuzz::mutated_zone_files_are_read_without_panic_or_growth",
        || {
            let corpus = [
                "zones/private/example.com.zone",
                "tests/fixtures/zones/private/other.test.zone",
                "tests/fixtures/zones/shared/common.inc",
            ];
            let corpus = corpus.map(|file| std::fs::read(root().join(file)).unwrap());
            let whole = corpus[0].iter().copied();
            let whole: Vec<u8> = whole.collect();
            let whole = String::from_utf8(whole).unwrap();
            let whole = whole.replace("example.com", "example.test").into_bytes();
            let words = [
                "(",
                ")",
                "\"",
                "\\",
                ";",
                "\n",
                " ",
                "@",
                "$INCLUDE x",
                "$ORIGIN a.b",
                "$TTL 1h",
                "$GENERATE 1-9 g$ A 192.0.2.$\n",
                "$GENERATE 0-9/3 g${1,3,x} CNAME",
                "${0,9,n}",
                "$",
                "\\# 4 01020304",
                "\\300",
                "\\0",
                "CNAME",
                "TYPE65280",
                "SVCB 1 . alpn=\"h2\"",
                "\u{fe}",
                "é",
                "1w2d3h4m5s",
                "99999999999",
                "..",
                "CLASS1",
                "\0",
                "\r",
                " LOC 1 N 2 E 3m\n",
                " NSEC @ A TYPE9999\n",
                " APL 1:192.0.2.0/24\n",
                " RRSIG A 13 2 1 20300101000000 1 1 @ AAAA\n",
                " IPSECKEY 1 3 2 @ AAAA\n",
                " HTTPS 1 . mandatory=port port=1\n",
                " CAA 0 issue \"\"\n",
                " DNAME x\n",
            ];
            let mut zones = 0_u32;
            rounds(5_000, |number| {
                let mut mutator = Mutator::new(number);
                let which = mutator.below(4);
                let mut bytes = corpus.get(which).unwrap_or(&whole).clone();
                let other = &corpus[mutator.below(corpus.len())];
                mutator.mutate(&mut bytes, other, &words);
                zones += u32::from(zones::feed(&bytes));
            });
            println!("{zones} of 5000 files were zones");
            assert!(zones > 100, "the mutations leave too few zones");
        },
    );
}

#[test]
fn mutated_scenario_files_are_read_without_panic_or_growth() {
    alone(
        "fuzz::mutated_scenario_files_are_read_without_panic_or_growth",
        || {
            let corpus: Vec<&[u8]> = embedded::ALL
                .iter()
                .filter(|(name, _)| name.ends_with(".yaml"))
                .map(|(_, text)| text.as_bytes())
                .collect();
            let words = [
                "&a ",
                "*a",
                "<<: ",
                "[",
                "{",
                "}",
                ": ",
                "- ",
                "\n---\n",
                "\t",
                "#",
                "|\n",
                "\"",
                "'",
                "!",
                "%",
                "1e999",
                "~",
                "any",
                "name: ",
                "127.10.0.0/16",
                "2s",
                "\0",
                "\u{feff}",
            ];
            let mut sound = 0_u32;
            rounds(3_000, |number| {
                let mut mutator = Mutator::new(number);
                let mut bytes = corpus[mutator.below(corpus.len())].to_vec();
                let other = corpus[mutator.below(corpus.len())];
                mutator.mutate(&mut bytes, other, &words);
                sound += u32::from(scenarios::scenario(&bytes));
            });
            println!("{sound} of 3000 files were sound somewhere");
            assert!(sound > 100, "the mutations leave too few sound files");
        },
    );
}

#[test]
fn huge_zone_files_are_read_in_linear_time() {
    alone("fuzz::huge_zone_files_are_read_in_linear_time", || {
        const MANY: usize = 100_000;
        let soa = "@ 60 SOA ns h 1 2 3 4 5\n NS ns\nns A 192.0.2.1\n";
        let one_name: String = (0..MANY).map(|n| format!(" TXT \"{n}\"\n")).collect();
        let names: String = (0..MANY).map(|n| format!("n{n} A 192.0.2.1\n")).collect();
        let deep = "a.".repeat(120);
        for text in [
            "(".repeat(MANY),
            ")".repeat(MANY),
            "\"".repeat(MANY),
            "a".repeat(MANY),
            "\\".repeat(MANY),
            format!("@ TXT {}", "x ".repeat(MANY)),
            format!("{}A 192.0.2.1", " ".repeat(MANY)),
            "$INCLUDE x\n".repeat(MANY / 100),
            "$GENERATE 0-9999 g$ A 192.0.2.1\n".repeat(MANY / 100),
            format!(
                "$GENERATE 0-99999 g TXT \"{}\"\n$INCLUDE x\n",
                "x ".repeat(MANY / 4)
            ),
            "\r".repeat(MANY),
            format!("@ TXT (\n{}", "x\n".repeat(MANY * 10)),
            "a..b A 1\n".repeat(MANY),
            format!("{soa}{one_name}"),
            format!("{soa}{names}"),
            format!(
                "{soa}{}",
                format!("{deep}example.test. NS ns\n").repeat(MANY / 10)
            ),
        ] {
            zones::feed(text.as_bytes());
        }
    });
}
