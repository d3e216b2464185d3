//! `twodoors explain dns`: one DNS decision and its reasons; nothing is run.
//!
//! In go the words of the command line, the topology and its rules; out comes what `decide` says of
//! that question, every rule that was tried, and the place of every record. It asks the function
//! that the server asks, so the two cannot differ.

mod passed;
mod zones;

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use clap::Args;
use hickory_proto::op::OpCode;
use hickory_proto::rr::{DNSClass, RecordType};
use ipnet::IpNet;
use serde_json::{Value, json};

use crate::cli::{Exit, Io};
use crate::lab::client::{Client, read_subnet};
use crate::model::addr::{ClientAddr, ListenAddr};
use crate::model::network::Mode;
use crate::model::topology::Topology;
use crate::policy::answer::{
    Answer, Edns, PAYLOAD_MAX, Question, Rrset, Rules, Transport, decide, kept, records,
    scope_words, tried,
};
use crate::policy::view::Subnet;
use crate::policy::zone::{read_name, read_type, type_word};

const EXAMPLES: &str = "\
Examples:
  twodoors explain dns --from kiosk proxy.example.com
  twodoors explain dns --from 127.10.0.9 git.example.com AAAA
  twodoors explain dns --from 127.0.0.1 --subnet 127.20.0.0/16 proxy.example.com +short
  twodoors explain dns -s lab/scenarios/split-dns.yaml --from olga --json proxy.example.com
  twodoors explain dns --views views.yaml --from 10.0.0.9 --to 192.0.2.53 proxy.example.com
  twodoors explain dns --zone example.com=example.com.zone --from 10.0.0.9 proxy.example.com";

/// Explains the answer to one DNS question.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DnsArgs {
    /// Who asks: an address, or the name of an agent, a user or a network of the scenario.
    #[arg(short = 'b', long, value_name = "ADDRESS|NAME")]
    pub from: String,

    /// The client subnet that the sender gives, honoured only from listed senders.
    #[arg(long, value_name = "NET")]
    pub subnet: Option<IpNet>,

    /// Where the question comes in; by default where the server listens first.
    #[arg(long, value_name = "ADDRESS", value_parser = destination)]
    pub to: Option<SocketAddr>,

    /// Prints JSON.
    #[arg(long)]
    pub json: bool,

    /// The name, and the type if not A; dig's +tcp, +short and +subnet=NET are understood.
    #[arg(required = true, value_name = "NAME [TYPE]", num_args = 1..=8)]
    pub question: Vec<String>,
}

/// Reads `ADDRESS` or `ADDRESS:PORT`.
fn destination(text: &str) -> Result<SocketAddr, String> {
    let whole = text.parse::<SocketAddr>().ok();
    let bare = || text.parse::<IpAddr>().ok();
    let address = whole.or_else(|| Some(SocketAddr::new(bare()?, 53)));
    let wrong = || format!("{text} is not an address, like 127.0.0.1");
    address.ok_or_else(wrong)
}

/// What the words of the command line ask for.
struct Asked {
    question: Question,
    /// Who asks, in words, where a name was given.
    who: Option<String>,
    /// Where, when that was said.
    to: Option<SocketAddr>,
    short: bool,
}

/// Explains the answer to one DNS question.
pub fn dns(
    args: &DnsArgs,
    topology: &Topology,
    rules: &Rules,
    io: &mut Io<'_>,
) -> anyhow::Result<Exit> {
    let asked = match read(args, topology) {
        Ok(asked) => asked,
        Err(mistake) => {
            writeln!(io.err, "twodoors explain dns: {mistake}")?;
            return Ok(Exit::Usage);
        }
    };
    let answer = decide(rules, &asked.question);
    let text = if args.json {
        let value = as_json(&topology.name, rules, &asked, &answer);
        format!("{}\n", serde_json::to_string_pretty(&value)?)
    } else if asked.short {
        let words = answer
            .records()
            .map(|shown| format!("{}\n", shown.data_words()));
        words.collect()
    } else {
        as_text(&topology.name, rules, &asked, &answer)?
    };
    io.out.write_all(text.as_bytes())?;
    Ok(Exit::Success)
}

fn read(args: &DnsArgs, topology: &Topology) -> Result<Asked, String> {
    let (mut name, mut record_type) = (None, None);
    let (mut subnet, mut transport, mut short) = (args.subnet, Transport::Udp, false);
    for word in &args.question {
        if let Some(option) = word.strip_prefix('+') {
            match option.split_once('=') {
                Some(("subnet", network)) => subnet = Some(read_subnet(network)?),
                None if option == "tcp" || option == "vc" => transport = Transport::Tcp,
                None if option == "short" => short = true,
                _ => {
                    return Err(format!(
                        "{word} is not known; +tcp, +short, +subnet=NET are"
                    ));
                }
            }
        } else if word.starts_with('@') {
            return Err(format!(
                "{word}: no server is asked; the rules are the scenario's"
            ));
        } else if name.is_none() {
            name = Some(read_name(word)?);
        } else if record_type.is_none() {
            let known = read_type(word).ok_or_else(|| format!("{word} is not a record type"))?;
            record_type = Some(known);
        } else {
            return Err(format!("{word} is one word too much: NAME [TYPE]"));
        }
    }
    let client = Client::named(&args.from, topology);
    let client = client.map_err(|wrong| format!("--from {wrong}"))?;
    let (address, who) = (client.address, client.name);
    let edns = subnet.map(|network| Edns {
        version: 0,
        payload: PAYLOAD_MAX,
        dnssec_ok: false,
        subnet: Some(Subnet {
            address: network.network(),
            source: network.prefix_len(),
            scope: 0,
        }),
        subnet_broken: false,
        ..Edns::default()
    });
    let destination = args.to.unwrap_or(topology.dns.listen);
    let question = Question {
        source: ClientAddr(SocketAddr::new(address, 0)),
        destination: ListenAddr(destination),
        transport,
        opcode: OpCode::Query,
        count: 1,
        name: name.ok_or("a name is missing")?,
        record_type: record_type.unwrap_or(RecordType::A),
        class: DNSClass::IN,
        recursion_desired: true,
        edns,
    };
    Ok(Asked {
        question,
        who,
        to: args.to,
        short,
    })
}

fn as_text(
    scenario: &str,
    rules: &Rules,
    asked: &Asked,
    answer: &Answer<'_>,
) -> Result<String, std::fmt::Error> {
    let question = &asked.question;
    let mut text = String::new();
    let who = asked
        .who
        .as_ref()
        .map_or_else(String::new, |who| format!(" ({who})"));
    let kind = type_word(question.record_type);
    let from = question.source.ip();
    let word = question.transport.word();
    writeln!(text, "scenario  {scenario}")?;
    let to = match asked.to {
        Some(to) => format!(" at {}", to.ip()),
        None => String::new(),
    };
    writeln!(
        text,
        "question  {} {kind} from {from}{who}{to} over {word}",
        question.name
    )?;
    if rules.selector.mode() != Mode::FirstMatch {
        writeln!(text, "mode      {}", rules.selector.mode().word())?;
    }
    if let Some(selected) = answer.selected {
        writeln!(text, "source    {}", selected.source)?;
    }
    for rule in tried(question, answer) {
        writeln!(
            text,
            "rule      {}: {}{} {}",
            rule.view,
            if rule.list == "match" { "" } else { "at " },
            rule.text,
            rule.verdict
        )?;
    }
    let view = answer.view.map_or("none", |view| &view.name);
    writeln!(text, "view      {view}")?;
    if let Some(zone) = answer.zone {
        writeln!(
            text,
            "zone      {} (generation {})",
            zone.origin(),
            answer.generation
        )?;
    }
    if let Some(why) = zones::why(question, answer) {
        writeln!(text, "          {why}")?;
    }
    writeln!(
        text,
        "step      {} ({})",
        answer.reason,
        answer.reason.step.rfc()
    )?;
    for line in passed::lines(question, answer) {
        writeln!(text, "forward   {line}")?;
    }
    if let Some(closest) = answer.reason.closest {
        writeln!(
            text,
            "          the closest name that exists is {}",
            closest.name()
        )?;
    }
    for acting in &answer.reason.faults {
        writeln!(text, "acting    {acting}")?;
    }
    let aa = if answer.authoritative { " aa" } else { "" };
    writeln!(text, "answer    {}{aa}", answer.code())?;
    let sections = [
        ("answer", &answer.answer),
        ("authority", &answer.authority),
        ("glue", &answer.additional),
    ];
    let lines = sections.iter().flat_map(|(_, section)| records(section));
    let width = lines.map(|shown| shown.words().len()).max().unwrap_or(0);
    for (section, sets) in sections {
        for shown in records(sets) {
            let place = format!("{}:{}", shown.file.display(), shown.line);
            writeln!(text, "{section:<9} {:<width$}  {place}", shown.words())?;
        }
    }
    if let Some(subnet) = answer.edns.and_then(|edns| edns.subnet) {
        writeln!(
            text,
            "subnet    {subnet} echoed with scope {}: {}",
            subnet.scope,
            scope_words(subnet)
        )?;
    }
    if let Some(code) = answer.error() {
        writeln!(text, "error     {code} (RFC 8914): {}", answer.error_text())?;
    }
    for line in kept(question, answer).lines {
        writeln!(text, "cache     {line}")?;
    }
    Ok(text)
}

fn as_json(scenario: &str, rules: &Rules, asked: &Asked, answer: &Answer<'_>) -> Value {
    let question = &asked.question;
    let records = |section: &[Rrset<'_>]| -> Vec<Value> {
        let records = records(section).map(|shown| {
            json!({
                "name": shown.owner.to_ascii(),
                "ttl_seconds": shown.ttl,
                "type": type_word(shown.record_type),
                "data": shown.data_words(),
                "file": shown.file,
                "line": shown.line,
            })
        });
        records.collect()
    };
    let tried = tried(question, answer).into_iter();
    let tried: Vec<_> = tried
        .map(|rule| {
            json!({
                "view": rule.view, "list": rule.list, "rule": rule.text, "verdict": rule.verdict,
            })
        })
        .collect();
    let sent = question.edns.and_then(|edns| edns.subnet);
    let echoed = answer.edns.and_then(|edns| edns.subnet);
    let kept = kept(question, answer);
    json!({
        "schema": "twodoors.explain/1",
        "scenario": scenario,
        "question": {
            "name": question.name.to_ascii(),
            "type": type_word(question.record_type),
            "from": question.source.ip(),
            "to": question.destination.to_string(),
            "who": asked.who,
            "transport": question.transport.word(),
            "subnet": sent.map(|subnet| subnet.to_string()),
        },
        "source": answer.selected.map(|selected| selected.source.to_string()),
        "mode": rules.selector.mode().word(),
        "rules": tried,
        "view": answer.view.map(|view| view.name.to_string()),
        "rule": answer.rule().map(ToString::to_string),
        "zone": answer.zone.map(|zone| zone.origin().to_ascii()),
        "zone_why": zones::why(question, answer),
        "forward": passed::as_json(question, answer),
        "generation": answer.generation.0,
        "faults": answer.reason.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "step": answer.reason.to_string(),
        "rfc": answer.reason.step.rfc(),
        "closest": answer.reason.closest.map(|node| node.name().to_ascii()),
        "rcode": answer.code(),
        "authoritative": answer.authoritative,
        "answer": records(&answer.answer),
        "authority": records(&answer.authority),
        "additional": records(&answer.additional),
        "scope": echoed.map(|subnet| subnet.scope),
        "scope_why": echoed.map(scope_words),
        "error": answer.error().map(|code| json!({"code": code, "text": answer.error_text()})),
        "cache": {"seconds": kept.seconds, "why": kept.lines},
    })
}
