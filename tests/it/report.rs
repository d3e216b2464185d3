//! Reports: each form against a file, and what must hold of any.
//!
//! `TWODOORS_BLESS=1 cargo test --test it report` writes `tests/fixtures/report` anew.

use std::path::Path;

use twodoors::judge::{Example, Outcome, Unit, Value, Verdict};
use twodoors::lab::report::{
    EVENTS_MAX, Ending, Mode, Report, Series, Story, Summary, exit_code, junit,
};
use twodoors::model::draw::Seed;
use twodoors::model::fact::{Act, Fact, Kind};
use twodoors::model::id::{Node, Seq};
use twodoors::model::mistake::Place;
use twodoors::model::time::{Span, Time};

fn compare(file: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/report");
    let path = folder.join(file);
    if std::env::var_os("TWODOORS_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, text, "{} differs", path.display());
}

fn verdict(index: usize, text: &str, outcome: Outcome) -> Verdict {
    Verdict {
        index,
        text: text.into(),
        place: Place {
            file: "scenarios/x.yaml".into(),
            line: 40 + index,
            column: 5,
        },
        outcome,
        why: String::new(),
        evidence: 27,
        needed: 1,
        measured: String::from("all of 27 connections through balancer/internal"),
        value: Some(Value {
            number: 0.0,
            unit: Unit::Exceptions,
        }),
        examples: Vec::new(),
        abort: false,
    }
}

fn verdicts() -> Vec<Verdict> {
    let door = "agents in internal use balancer/internal";
    let time = "{metric: reconnect_time, quantile: 0.99, below: 90s}";
    let answer = "{query: proxy.example.com A, from: external, answer: [127.20.0.2]} and so on";
    let example = |at, text: &str| Example {
        at: Time::from_us(at),
        node: Node::Agent("orders".into()),
        text: text.into(),
    };
    vec![
        verdict(0, door, Outcome::Met),
        Verdict {
            why: String::from("p99: 95.20s is not below 1m30s"),
            evidence: 312,
            measured: String::from("p99 95.20s of 312 reconnects"),
            value: Some(Value {
                number: 95.2,
                unit: Unit::Seconds,
            }),
            examples: vec![
                example(126_345_678, "reconnect after 95.20s"),
                example(127_000_000, "\u{1b}[31m<&\"'> and a tail"),
            ],
            ..verdict(1, time, Outcome::Failed)
        },
        Verdict {
            why: String::from("saw 0 of at least 1 answer"),
            evidence: 0,
            measured: String::from("no question asked"),
            value: None,
            ..verdict(2, answer, Outcome::Inconclusive)
        },
    ]
}

fn fact(at: u64, node: Node, kind: Kind) -> Fact {
    Fact {
        seq: Seq(0),
        at: Time::from_us(at),
        node,
        kind,
    }
}

fn story() -> Story {
    let door = || Node::Balancer("internal".into());
    let act = |act| Kind::Operated { act };
    let detail = String::from("kiosk in external uses balancer/external");
    let id = "role-follows-network";
    let finding = || {
        fact(
            5,
            Node::Agent("kiosk".into()),
            Kind::Finding {
                id,
                detail: detail.clone(),
            },
        )
    };
    let mut story = Story::default();
    for fact in [
        fact(1, door(), act(Act::Start)),
        fact(1_000_000, Node::Lab, Kind::Ready),
        finding(),
        finding(),
        fact(31_000_000, door(), act(Act::Stop)),
        fact(41_000_000, door(), act(Act::Start)),
        fact(
            121_000_000,
            Node::Lab,
            Kind::RunEnded {
                why: "the timeline is played",
            },
        ),
        fact(121_000_001, door(), act(Act::Stop)),
    ] {
        story.fold(&fact);
    }
    story
}

fn report(seed: u64, verdicts: Vec<Verdict>) -> Report {
    Report {
        path: "scenarios/x.yaml".into(),
        name: "split-dns".into(),
        seed: Seed(seed),
        mode: Mode::Virtual,
        ending: Ending::Played,
        verdicts,
        digest: Some(0x0123_4567_89ab_cdef_0011_2233_4455_6677 + u128::from(seed)),
        summary: Summary {
            lasted: Span::from_secs(120),
            wall: Span::from_ms(812),
            facts: 48_211,
            events: vec![("arrive", 31_002), ("deadline", 9_100)],
            bytes_per_agent: Some(176),
        },
        story: story(),
    }
}

fn met(seed: u64) -> Report {
    report(seed, vec![verdicts().remove(0)])
}

fn table(report: &Report, colour: bool) -> String {
    let mut out = Vec::new();
    report.table(&mut out, colour).unwrap();
    String::from_utf8(out).unwrap()
}

fn pretty(json: &serde_json::Value) -> String {
    serde_json::to_string_pretty(json).unwrap() + "\n"
}

/// Eight seeds, of which two fail and one cannot say.
fn series() -> Series {
    let mut reports: Vec<Report> = (1..=8).map(|seed| report(seed, verdicts())).collect();
    for (at, own) in reports.iter_mut().enumerate() {
        let verdict = &mut own.verdicts[1];
        let seconds = 80.0 + 3.0 * f64::from(u32::try_from(at).unwrap());
        verdict.outcome = if seconds < 95.0 {
            Outcome::Met
        } else {
            Outcome::Failed
        };
        verdict.value = Some(Value {
            number: seconds,
            unit: Unit::Seconds,
        });
        if at < 7 {
            own.verdicts[2].outcome = Outcome::Met;
        }
    }
    // As threads hand them over.
    reports.reverse();
    reports.swap(1, 5);
    Series::new(reports, Span::from_secs(9)).unwrap()
}

#[test]
fn a_failed_run_fits_one_screen_and_says_what_for_whom_and_how_to_repeat_it() {
    let text = table(&report(7, verdicts()), false);
    compare("failed.txt", &text);
    assert!(text.lines().count() <= 40, "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        "exit 1: 1 of 3 expectations failed, 1 inconclusive; \
         repeat: twodoors sim scenarios/x.yaml --seed 7"
    );
}

#[test]
fn colour_only_adds_to_the_words() {
    let plain = table(&report(7, verdicts()), false);
    let coloured = table(&report(7, verdicts()), true);
    assert_ne!(coloured, plain);
    let mut stripped = coloured;
    for code in ["\u{1b}[1;31m", "\u{1b}[33m", "\u{1b}[32m", "\u{1b}[0m"] {
        stripped = stripped.replace(code, "");
    }
    assert_eq!(stripped, plain);
}

#[test]
fn hundreds_of_expectations_still_fit_one_screen() {
    let many = (0..300).map(|index| {
        let mut own = verdicts().remove(1);
        own.text = format!("expectation {index} {}", "with a long text ".repeat(20)).into();
        own
    });
    let text = table(&report(7, many.collect()), false);
    assert!(text.lines().count() <= 60, "{text}");
    assert!(text.contains("and 280 more, in the JSON"), "{text}");
}

#[test]
fn a_met_run_is_short() {
    compare("met.txt", &table(&met(7), false));
}

#[test]
fn json_and_junit_are_as_their_files() {
    let report = report(7, verdicts());
    compare("failed.json", &pretty(&report.json()));
    compare("failed.xml", &report.junit());
    let mut out = Vec::new();
    series().table(&mut out, false).unwrap();
    compare("seeds.txt", &String::from_utf8(out).unwrap());
    compare("seeds.json", &pretty(&series().json()));
    compare("seeds.xml", &series().junit());
}

#[test]
fn the_exit_code_is_that_of_the_worst() {
    let open = report(7, vec![verdicts().remove(2)]);
    let bad = report(7, verdicts());
    let nothing = report(7, Vec::new());
    assert_eq!(met(7).exit_code(), 0);
    assert_eq!(open.exit_code(), 4);
    assert_eq!(bad.exit_code(), 1);
    assert_eq!(nothing.exit_code(), 4);
    assert_eq!(met(7).last_line(), "exit 0: the expectation is met");
    assert!(
        nothing
            .last_line()
            .starts_with("exit 4: the scenario expects nothing; repeat: ")
    );
    for (own, ok) in [
        (met(7), true),
        (open, false),
        (bad, false),
        (nothing, false),
    ] {
        assert_eq!(own.json()["ok"], ok);
        assert_eq!(own.json()["exit_code"], own.exit_code());
    }
    assert_eq!(exit_code([0, 4, 1, 4]), 1);
    assert_eq!(exit_code([0, 4]), 4);
    assert_eq!(exit_code([0, 0]), 0);
    assert_eq!(exit_code([]), 4);
    assert_eq!(exit_code([1, 130]), 130);
    let mut interrupted = met(7);
    interrupted.ending = Ending::Interrupted;
    assert_eq!(interrupted.exit_code(), 130);
}

#[test]
fn a_command_to_repeat_survives_a_shell() {
    let mut report = met(7);
    report.mode = Mode::Live;
    assert_eq!(report.repeat(), "twodoors run scenarios/x.yaml --seed 7");
    report.path = "my lab's/x.yaml".into();
    assert_eq!(
        report.repeat(),
        "twodoors run 'my lab'\\''s/x.yaml' --seed 7"
    );
}

#[test]
fn several_seeds_are_one_report_in_whatever_order_they_came() {
    let series = series();
    let seeds: Vec<u64> = series.reports().iter().map(|own| own.seed.0).collect();
    assert_eq!(seeds, (1..=8).collect::<Vec<u64>>());
    assert_eq!(series.exit_code(), 1);
    assert_eq!(
        series.last_line(),
        "exit 1: 3 of 8 seeds failed; repeat: twodoors sim scenarios/x.yaml --seed 6"
    );
    let told = series.told();
    assert_eq!((told[1].met, &*told[1].failed), (5, &[6, 7, 8][..]));
    assert_eq!(told[2].inconclusive, [8]);
    let well = Series::new(vec![met(1), met(2)], Span::ZERO).unwrap();
    assert_eq!(
        well.last_line(),
        "exit 0: all expectations met with all 2 seeds"
    );
    assert!(Series::new(Vec::new(), Span::ZERO).is_none());
}

#[test]
fn a_story_is_bounded_and_counts_what_it_leaves_out() {
    let mut story = Story::default();
    for at in 0..1_000 {
        let act = Act::Stop;
        story.fold(&fact(at, Node::Proxy("1".into()), Kind::Operated { act }));
    }
    assert_eq!(story.events.len(), EVENTS_MAX);
    assert_eq!(story.events_more, 1_000 - EVENTS_MAX as u64);
}

#[test]
fn junit_is_well_formed_and_counts_what_it_holds() {
    let empty = report(7, Vec::new());
    let both = [report(7, verdicts()), met(8), empty];
    for (xml, suites, cases, failures, skipped) in [
        (report(7, verdicts()).junit(), 1, 3, 1, 1),
        (series().junit(), 1, 3, 1, 1),
        (junit(&both), 3, 5, 1, 2),
    ] {
        let elements = well_formed(&xml).unwrap();
        let count = |name: &str| elements.iter().filter(|own| own.name == name).count();
        assert_eq!(count("testsuite"), suites, "{xml}");
        assert_eq!(count("testcase"), cases, "{xml}");
        assert_eq!(count("failure"), failures, "{xml}");
        assert_eq!(count("skipped"), skipped, "{xml}");
        let of = |element: &Element, key: &str| element.value(key).parse::<usize>().unwrap();
        let root = &elements[0];
        assert_eq!(root.name, "testsuites");
        assert_eq!((of(root, "tests"), of(root, "failures")), (cases, failures));
        let own: Vec<&Element> = elements
            .iter()
            .filter(|own| own.name == "testsuite")
            .collect();
        let sum = |key| own.iter().map(|suite| of(suite, key)).sum::<usize>();
        assert_eq!((sum("tests"), sum("failures")), (cases, failures));
        assert_eq!((sum("skipped"), sum("errors")), (skipped, 0));
        for case in elements.iter().filter(|own| own.name == "testcase") {
            assert!(!case.value("classname").is_empty() && !case.value("name").is_empty());
            assert_eq!(case.value("time"), "120.000");
        }
    }
}

#[test]
fn the_checker_of_xml_can_complain() {
    let good = report(7, verdicts()).junit();
    for (from, to) in [
        ("&lt;", "<"),
        ("&amp;", "&"),
        ("</failure>", ""),
        ("</testsuite>", "</testcase>"),
        ("seed\" value=\"7\"", "seed\" value=7"),
        ("name=\"twodoors\"", "name=\"two\u{1b}doors\""),
    ] {
        let twin = good.replacen(from, to, 1);
        assert_ne!(twin, good, "{from}");
        assert!(well_formed(&twin).is_err(), "{from} as {to}");
    }
}

struct Element {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    fn value(&self, key: &str) -> &str {
        let own = self.attributes.iter().find(|(own, _)| own == key);
        own.map_or("", |(_, value)| value)
    }
}

/// Reads XML without comments, CDATA and DTD: every start tag in order, or what is wrong.
fn well_formed(xml: &str) -> Result<Vec<Element>, String> {
    let mut rest = xml
        .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>")
        .ok_or("no declaration")?;
    let (mut elements, mut open): (Vec<Element>, Vec<String>) = (Vec::new(), Vec::new());
    while let Some(at) = rest.find('<') {
        text(&rest[..at])?;
        let end = rest.find('>').ok_or("a tag does not end")?;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop().as_deref() != Some(name) {
                return Err(format!("</{name}> ends what is not open"));
            }
            continue;
        }
        let (tag, empty) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, mut list) = tag.split_once(' ').unwrap_or((tag, ""));
        if name.is_empty() || !name.chars().all(char::is_alphanumeric) {
            return Err(format!("{name:?} is no name"));
        }
        let mut attributes = Vec::new();
        while !list.trim().is_empty() {
            let (key, after) = list
                .split_once("=\"")
                .ok_or_else(|| format!("{list:?} has no value"))?;
            let (value, after) = after
                .split_once('"')
                .ok_or_else(|| format!("{key} has no end"))?;
            if !key.trim().chars().all(|c| c.is_alphanumeric() || c == '_') {
                return Err(format!("{key:?} is no key"));
            }
            text(value)?;
            attributes.push((key.trim().to_owned(), value.to_owned()));
            list = after;
        }
        let name = name.to_owned();
        if !empty {
            open.push(name.clone());
        }
        elements.push(Element { name, attributes });
    }
    text(rest)?;
    match open.last() {
        Some(name) => Err(format!("<{name}> is not closed")),
        None => Ok(elements),
    }
}

/// Checks what stands between tags or quotes.
fn text(text: &str) -> Result<(), String> {
    if text.contains(|c: char| c.is_control() && c != '\n') || text.contains(['"', '\'']) {
        return Err(format!("{text:?} holds what it may not"));
    }
    for part in text.split('&').skip(1) {
        let (name, _) = part.split_once(';').ok_or("an entity does not end")?;
        if !["amp", "lt", "gt", "quot", "apos"].contains(&name) {
            return Err(format!("&{name}; is unknown"));
        }
    }
    Ok(())
}
