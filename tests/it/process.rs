//! `run`, `sim` and `fault` as processes: exit codes, last lines, files, signals.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::eventually;

mod serve;

/// Second octets of 127/8 that these tests take, three by three; no other test does.
const OCTET: u32 = 40;
const TRIPLES: u32 = 19;

/// The story that is always met, and its twin.
const STORY: &str = "scenarios/split-dns.yaml";
const TWIN: &str = "scenarios/broken/split-dns.yaml";

/// What holds of the story, and not of the twin, as soon as a lab is ready.
const AT_ONCE: &str = "duration: 4s
expect:
  - agents in internal use balancer/internal
  - {query: proxy.example.com A, from: external, answer: [127.20.0.2], evidence: 1}
";

/// The shipped scenarios and zones in a folder of their own, with addresses of their own.
struct Shipped {
    root: PathBuf,
    octet: u32,
    /// Holds the addresses against other test processes, also while no lab listens there.
    _held: TcpListener,
}

impl Drop for Shipped {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Shipped {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("twodoors-process-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        // Another test process may have begun its count nearby.
        let octets = (number..).map(|at| OCTET + (std::process::id() + at) % TRIPLES * 3);
        let free = |octet: u32| {
            // No lab listens at the held address; a lab of somebody else may listen at the other.
            let held = TcpListener::bind(format!("127.{octet}.255.254:3080")).ok()?;
            let unused = TcpListener::bind(format!("127.{octet}.0.2:3080")).is_ok();
            unused.then_some((octet, held))
        };
        let (octet, held) = octets.take(TRIPLES as usize).find_map(free).unwrap();
        let shipped = Self {
            root,
            octet,
            _held: held,
        };
        for folder in ["scenarios", "zones"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            shipped.copy(&from, &shipped.root.join(folder));
        }
        shipped
    }

    fn copy(&self, from: &Path, to: &Path) {
        if from.is_file() {
            let text = fs::read_to_string(from).unwrap();
            fs::write(to, self.moved(&text)).unwrap();
            return;
        }
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            self.copy(&entry.path(), &to.join(entry.file_name()));
        }
    }

    fn moved(&self, text: &str) -> String {
        let to = |octet: u32| format!("127.{octet}.");
        text.replace("127.10.", &to(self.octet))
            .replace("127.20.", &to(self.octet + 1))
            .replace("127.30.", &to(self.octet + 2))
    }

    /// Writes a scenario: another one up to a line, and what comes instead.
    fn write(&self, to: &str, (from, until): (&str, &str), instead: &str) {
        let text = fs::read_to_string(self.root.join(from)).unwrap();
        let (kept, _) = text.split_once(&format!("\n{until}")).unwrap();
        let text = format!("{kept}\n{}", self.moved(instead));
        fs::write(self.root.join(to), text).unwrap();
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twodoors"));
        command.args(words.split_whitespace());
        command.current_dir(&self.root);
        for name in [
            "TWODOORS_STATE",
            "TWODOORS_DNS",
            "TWODOORS_HTTP",
            "RUST_LOG",
        ] {
            command.env_remove(name);
        }
        command.env("XDG_RUNTIME_DIR", &self.root);
        command
    }

    fn run(&self, words: &str) -> Ended {
        Ended::of(self.command(words).output().unwrap())
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.root.join(file)).unwrap()).unwrap()
    }
}

/// A process that has ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it was not killed"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn last_line(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }

    /// The command that it tells to repeat, without the name of the binary.
    fn repeat(&self) -> &str {
        let (_, command) = self.last_line().split_once("; repeat: twodoors ").unwrap();
        command
    }

    fn digest(&self) -> &str {
        let lines = self.out.lines();
        let digest = lines
            .filter_map(|line| line.strip_prefix("digest "))
            .next_back();
        digest.unwrap().split(',').next().unwrap()
    }

    #[track_caller]
    fn ends_with(&self, code: i32) {
        assert_eq!(self.code, code, "{self:?}");
        let begins = format!("exit {code}: ");
        assert!(self.last_line().starts_with(&begins), "{self:?}");
    }
}

#[test]
fn several_scenarios_end_with_the_worst_and_say_so_last() {
    let shipped = Shipped::new();
    let empty = "scenarios/empty.yaml";
    shipped.write(empty, (STORY, "agents:"), "");
    shipped.run(&format!("sim {STORY} {STORY}")).ends_with(0);
    shipped.run(&format!("sim {empty} {STORY}")).ends_with(4);
    let mixed = shipped.run(&format!("sim {empty} {TWIN} {STORY}"));
    mixed.ends_with(1);
    assert_eq!(mixed.repeat(), format!("sim {TWIN} --seed 1"));
    let counted = "of 3 scenarios 1 failed, 1 inconclusive, 1 met";
    assert!(mixed.last_line().contains(counted), "{mixed:?}");
    // The end alone says what, for whom, and how to repeat it.
    let end: Vec<&str> = mixed.out.lines().rev().take(12).collect();
    for said in [
        "FAILED        scenarios/broken/split-dns.yaml",
        "agents in internal use balancer/internal: ",
        "agent/orders: find from internal",
    ] {
        assert!(
            end.iter().any(|line| line.contains(said)),
            "{said}: {end:?}"
        );
    }
}

#[test]
fn a_scenario_that_is_not_there_is_wrong_usage_and_nothing_is_played() {
    let ended = Shipped::new().run(&format!("sim {STORY} scenarios/none.yaml"));
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("scenarios/none.yaml"), "{ended:?}");
    assert_eq!(ended.out, "");
}

#[test]
fn json_has_what_a_program_needs_and_nothing_else_on_standard_output() {
    let shipped = Shipped::new();
    let ended = shipped.run(&format!("sim {TWIN} --json --report r.json --junit j.xml"));
    assert_eq!(ended.code, 1);
    let json: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(json["schema"], "twodoors/report/1");
    assert_eq!(json["exit_code"], 1);
    assert_eq!(json["digest"].as_str().unwrap().len(), 32);
    assert!(json["events"]["dns_question"].as_u64().unwrap() > 0);
    assert_eq!(json["virtual_seconds"], 60.0);
    assert!(json["wall_seconds"].as_f64().unwrap() > 0.0);
    assert!(json["bytes_per_agent"].as_u64().unwrap() > 0);
    assert_eq!(json["repeat"], format!("twodoors sim {TWIN} --seed 1"));
    assert_eq!(shipped.json("r.json"), json);
    let junit = fs::read_to_string(shipped.root.join("j.xml")).unwrap();
    assert!(junit.contains("<failure"), "{junit}");
    assert!(ended.err.lines().last().unwrap().starts_with("exit 1: "));
}

#[test]
fn the_report_is_the_same_for_every_number_of_threads() {
    let shipped = Shipped::new();
    let played = |words: &str| {
        let ended = shipped.run(&format!("sim {TWIN} --seeds 1..20 {words}"));
        let lines = ended.out.lines();
        let wall = |line: &&str| !line.contains("wall_seconds") && !line.contains(" seeds in ");
        (
            ended.code,
            lines.filter(wall).collect::<Vec<_>>().join("\n"),
        )
    };
    for form in ["", "--json"] {
        let one = played(&format!("--threads 1 {form}"));
        assert_eq!(one, played(&format!("--threads 3 {form}")));
        assert_eq!(one.0, 1);
    }
}

#[test]
fn the_command_that_is_printed_repeats_the_run() {
    let shipped = Shipped::new();
    let failed = shipped.run(&format!("sim {TWIN} --seed 7"));
    failed.ends_with(1);
    let again = shipped.run(failed.repeat());
    again.ends_with(1);
    assert_eq!(again.digest(), failed.digest());
    assert_ne!(
        shipped.run(&format!("sim {TWIN} --seed 8")).digest(),
        failed.digest()
    );

    let series = shipped.run(&format!("sim {TWIN} --seeds 7..9 --report r.json"));
    series.ends_with(1);
    assert_eq!(series.repeat(), failed.repeat());
    let report = shipped.json("r.json").to_string();
    assert!(report.contains(failed.digest()), "{report}");
}

#[test]
fn a_live_run_ends_with_0_and_its_twin_with_1() {
    let shipped = Shipped::new();
    let (story, twin) = ("scenarios/short.yaml", "scenarios/broken/short.yaml");
    shipped.write(story, (STORY, "duration:"), AT_ONCE);
    shipped.write(twin, (TWIN, "duration:"), AT_ONCE);
    shipped.run(&format!("run {story}")).ends_with(0);
    let failed = shipped.run(&format!("run {twin}"));
    failed.ends_with(1);
    assert_eq!(failed.repeat(), format!("run {twin} --seed 1"));
}

#[test]
fn what_was_judged_is_written_though_a_later_scenario_cannot_be_played() {
    let (shipped, taken) = (Shipped::new(), Shipped::new());
    let own = "scenarios/short.yaml";
    let asks = "duration: 1s
expect:
  - {query: proxy.example.com A, from: external, answer: [127.20.0.2], evidence: 1}
";
    for copy in [&shipped, &taken] {
        copy.write(own, (STORY, "duration:"), asks);
    }
    let _door = TcpListener::bind(taken.moved("127.10.0.2:3080")).unwrap();
    let taken = taken.root.join(own);
    let words = format!(
        "run {own} {} {own} --report r.json --junit j.xml",
        taken.display()
    );
    let ended = shipped.run(&words);
    ended.ends_with(3);
    assert!(ended.err.contains("3080"), "{ended:?}");
    let counted = "of 3 scenarios 1 met, 2 not played";
    assert!(ended.last_line().contains(counted), "{ended:?}");
    let report = shipped.json("r.json");
    assert_eq!(report.as_array().map(Vec::len), Some(1), "{report}");
    let junit = fs::read_to_string(shipped.root.join("j.xml")).unwrap();
    assert!(junit.contains("<testcase"), "{junit}");
}

/// Waits until a run says where one can watch it.
fn plays(child: &mut Child) -> BufReader<impl Read + use<>> {
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let (mut line, mut all) = (String::new(), String::new());
    while !line.contains("plays for") {
        line.clear();
        assert_ne!(err.read_line(&mut line).unwrap(), 0, "it ended: {all}");
        all.push_str(&line);
    }
    err
}

#[tokio::test]
async fn an_interrupted_run_says_what_was_seen_and_ends_with_130() {
    let shipped = Shipped::new();
    let long = "scenarios/long.yaml";
    let expects = AT_ONCE.replace("4s", "10m");
    shipped.write(long, (STORY, "duration:"), &expects);
    let mut command = shipped.command(&format!("run {long} {STORY} --junit j.xml"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // What it says afterwards needs a reader, or it would end by a broken pipe.
    let _err = plays(&mut child);
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::INT).unwrap();
    eventually("the run ends", || child.try_wait().unwrap()).await;
    let ended = Ended::of(child.wait_with_output().unwrap());
    ended.ends_with(130);
    assert!(ended.out.contains("OUTCOME"), "{ended:?}");
    assert!(ended.out.contains("interrupted; until then "), "{ended:?}");
    let counted = "of 2 scenarios 1 interrupted, 1 not played";
    assert!(ended.last_line().contains(counted), "{ended:?}");
    assert!(shipped.root.join("j.xml").exists());
    let left = fs::read_dir(shipped.root.join("twodoors")).unwrap();
    assert_eq!(left.count(), 0, "the state folder goes with the run");
}

#[test]
fn a_fault_without_a_lab_is_refused_in_a_sentence() {
    let ended = Shipped::new().run("fault set refuse balancer/internal");
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("no lab runs here"), "{ended:?}");
    assert!(ended.err.contains("twodoors up"), "{ended:?}");
    assert_eq!(ended.out, "");
}

#[test]
fn whoever_stops_reading_takes_no_verdict_and_no_file_away() {
    let shipped = Shipped::new();
    for (words, file) in [
        ("--junit out.xml", "out.xml"),
        ("--json --report out.json", "out.json"),
    ] {
        let mut command = shipped.command(&format!("sim {TWIN} {words}"));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(1), "{words}");
        let written = fs::read_to_string(shipped.root.join(file)).unwrap();
        assert!(written.contains("agents in internal use"), "{written}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_what_the_last_line_says() {
    let shipped = Shipped::new();
    let ended = shipped.run(&format!("sim {STORY} --junit /dev/full"));
    ended.ends_with(3);
    shipped
        .run(&format!("sim {STORY} --junit out.xml"))
        .ends_with(0);
}
