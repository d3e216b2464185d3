//! `sim --serve`: the page over a run that was played.

use std::io::Write as _;
use std::net::TcpStream;

use super::*;

/// A run that is shown.
struct Served {
    child: Child,
    address: String,
    /// What was printed before.
    told: String,
}

/// A test that fails leaves nobody behind.
impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    fn start(shipped: &Shipped, words: &str) -> Self {
        let mut command = shipped.command(words);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut served = Self {
            child: command.spawn().unwrap(),
            address: String::new(),
            told: String::new(),
        };
        let mut out = BufReader::new(served.child.stdout.take().unwrap());
        loop {
            let mut line = String::new();
            let read = out.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "never ready: {}", served.told);
            if let Some(address) = line.strip_prefix("ready http=") {
                address.trim().clone_into(&mut served.address);
                return served;
            }
            served.told.push_str(&line);
        }
    }

    /// Asks, and gives the status and the body.
    fn ask(&self, line: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let host = &self.address;
        let head = "Connection: close\r\nContent-Type: application/json\r\nContent-Length: 0";
        write!(stream, "{line} HTTP/1.1\r\nHost: {host}\r\n{head}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// Gives the state at an instant, without what tells one server from another.
    fn snapshot(&self, at_us: u64) -> Value {
        let (status, body) = self.ask(&format!("GET /api/snapshot?at_us={at_us}"));
        assert_eq!(status, 200, "{body}");
        let mut snapshot: Value = serde_json::from_str(&body).unwrap();
        let run = snapshot["run"].take();
        assert!(run.is_string());
        snapshot
    }

    fn end(mut self, signal: Signal) -> i32 {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
        self.child.wait().unwrap().code().expect("it ends itself")
    }
}

#[test]
fn a_run_that_was_played_is_shown_and_each_time_the_same() {
    let shipped = Shipped::new();
    let seven = format!("sim {STORY} --seed 7 --serve");
    let first = Served::start(&shipped, &seven);
    assert!(first.told.contains("\nexit 0: "), "{}", first.told);
    let second = Served::start(&shipped, &seven);
    let other = Served::start(
        &shipped,
        &format!("sim {STORY} --seed 8 --serve 127.0.0.1:0"),
    );
    let mut seen = Vec::new();
    for at in [0, 12_000_000, 12_345_678, 60_000_000] {
        let state = first.snapshot(at);
        assert_eq!(state, second.snapshot(at), "{at}");
        if at > 0 {
            assert_ne!(state, other.snapshot(at), "another seed, another run");
            assert!(!seen.contains(&state), "nothing happened before {at}");
        }
        assert_eq!(state["mode"], "virtual");
        assert_eq!(state["read_only"], true);
        seen.push(state);
    }
    assert_eq!(seen.last().unwrap()["ended_us"], 60_000_000);
    for (line, status) in [
        ("GET /", 200),
        ("GET /timeline", 200),
        ("GET /api/timeline", 200),
        ("GET /api/scenarios", 200),
        ("GET /api/export", 200),
        ("GET /api/why?node=user/alice&at_us=30000000", 200),
        ("POST /api/reload", 404),
        ("POST /api/runs", 404),
        ("POST /api/faults", 404),
        ("POST /api/nodes/proxy/1/stop", 404),
    ] {
        let (answered, body) = first.ask(line);
        assert_eq!(answered, status, "{line}: {body}");
    }
    let (_, told) = first.ask("GET /api/scenarios");
    let told: Value = serde_json::from_str(&told).unwrap();
    let shown = &told["scenarios"][0];
    assert_eq!(shown["file"], told["current"]["file"]);
    assert_eq!(told["scenarios"].as_array().unwrap().len(), 1);
    assert!(!shown["lesson"].as_str().unwrap().is_empty(), "{told}");
    assert_eq!(shown["findings"][0]["id"], "role-follows-network", "{told}");
    let (_, bundle) = first.ask("GET /api/export");
    let bundle: Value = serde_json::from_str(&bundle).unwrap();
    assert_eq!(bundle["about"], *shown);
    assert_eq!(first.end(Signal::TERM), 0);
    assert_eq!(second.end(Signal::INT), 0);
    assert_eq!(other.end(Signal::TERM), 0);
}

#[test]
fn what_cannot_be_shown_is_refused_in_a_sentence_before_anything_is_played() {
    let shipped = Shipped::new();
    for (words, code, why) in [
        (format!("sim {STORY} --serve 0.0.0.0:0"), 2, "127.0.0.0/8"),
        (format!("sim {STORY} {TWIN} --serve"), 2, "one scenario"),
        (format!("sim {STORY} --serve --json"), 2, "--json"),
        (format!("sim {STORY} --serve --seeds 1..2"), 2, "--seeds"),
        (format!("sim {STORY} --serve nowhere"), 2, "nowhere"),
    ] {
        let ended = shipped.run(&words);
        assert_eq!(ended.code, code, "{words}: {ended:?}");
        assert!(ended.err.contains(why), "{words}: {ended:?}");
        assert!(ended.out.is_empty(), "{words}: {ended:?}");
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let ended = shipped.run(&format!("sim {STORY} --serve {address}"));
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("leave the address"), "{ended:?}");
}
