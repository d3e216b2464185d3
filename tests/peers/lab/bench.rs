//! A lab of the real binary, and the programs that look at it from outside.
//!
//! The scenario is the one that `twodoors init` writes, moved to free addresses of 127/8, so that
//! it runs beside any other lab of this machine.

#![expect(
    clippy::disallowed_methods,
    reason = "a test of the process waits by the wall clock"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The longest that one program may take, in seconds as `timeout` wants them.
const PROGRAM_SECONDS: &str = "60";

/// How long a lab may take until it listens, and until it has stopped.
const LIFE: Duration = Duration::from_secs(10);

/// Where the search for free second octets begins; a lab beside begins elsewhere.
const LOWEST: usize = 61;

/// What a program left behind.
pub(super) struct Done {
    pub(super) code: Option<i32>,
    pub(super) out: Vec<u8>,
    pub(super) err: String,
}

impl Done {
    /// Gives standard output as text, without the last line end.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).trim_end().to_owned()
    }

    /// Gives both outputs, for messages.
    pub(super) fn all(&self) -> String {
        format!("{}\n{}", self.text(), self.err)
    }

    /// Fails unless the program ended so.
    #[track_caller]
    pub(super) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "it printed:\n{}", self.all());
        self
    }
}

/// Runs one of Debian's programs to its end; one that is missing fails by its name.
pub(super) fn run(program: &str, args: &[&str]) -> Done {
    let mut command = Command::new("timeout");
    command.arg(PROGRAM_SECONDS).arg(program).args(args);
    finish(command.stdin(Stdio::null()), program)
}

pub(super) fn finish(command: &mut Command, program: &str) -> Done {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{program} could not be run: {error}"));
    let code = output.status.code();
    assert_ne!(
        code,
        Some(127),
        "{program} is missing; `tests/run` says what to install"
    );
    assert_ne!(
        code,
        Some(124),
        "{program} took more than {PROGRAM_SECONDS}s"
    );
    Done {
        code,
        out: output.stdout,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Waits until `check` gives something; fails with `what` and the last reason when it does not.
#[track_caller]
pub(super) fn eventually<T>(
    what: &str,
    patience: Duration,
    mut check: impl FnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    loop {
        match check() {
            Ok(found) => return found,
            Err(why) if start.elapsed() > patience => {
                panic!("waited {patience:?} in vain: {what}: {why}")
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The lines that a process has printed so far.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    pub(super) fn collect(from: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let kept = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                kept.0.lock().unwrap().push(line);
            }
        });
        lines
    }

    /// Gives how many there are.
    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Waits for a line after the first `seen` that holds `part`.
    #[track_caller]
    pub(super) fn wait_for(&self, seen: usize, part: &str) -> String {
        eventually(part, LIFE, || {
            let lines = self.0.lock().unwrap();
            let found = lines.iter().skip(seen).find(|line| line.contains(part));
            found.cloned().ok_or_else(|| lines[seen..].join("\n"))
        })
    }

    /// Gives the lines that hold `part`.
    pub(super) fn with(&self, part: &str) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines
            .iter()
            .filter(|line| line.contains(part))
            .cloned()
            .collect()
    }
}

/// The second octets of the three groups of addresses.
#[derive(Clone, Copy)]
pub(super) struct Octets {
    internal: u8,
    external: u8,
    pool: u8,
}

impl Octets {
    /// Finds three in a row that no listener uses; two searches at once begin apart.
    fn free(lowest: usize) -> Self {
        let free = |octet: u8| {
            (1..=3).all(|last| {
                TcpListener::bind(SocketAddr::from(([127, octet, 0, last], 3080))).is_ok()
            })
        };
        let first = (0..20)
            .filter_map(|step| u8::try_from(lowest + 3 * step).ok())
            .find(|first| (0..3).all(|more| free(first + more)));
        let first = first.expect("one of twenty groups of loopback addresses is free");
        Self {
            internal: first,
            external: first + 1,
            pool: first + 2,
        }
    }
}

/// A running lab.
pub(super) struct Lab {
    child: Child,
    folder: PathBuf,
    octets: Octets,
    pub(super) dns: SocketAddr,
    pub(super) http: SocketAddr,
    pub(super) out: Lines,
    pub(super) err: Lines,
    pub(super) started: Instant,
    pub(super) ready_after: Duration,
}

impl Lab {
    /// Writes the example out, moves it and runs it.
    pub(super) fn start() -> Self {
        Self::begin("up", "").standing()
    }

    /// Runs an example that `edit` has changed in its folder, beside the others.
    pub(super) fn edited(name: &str, lowest: usize, edit: impl FnOnce(&Path)) -> Self {
        Self::begin_as(("up", name), "", lowest, edit).standing()
    }

    /// Waits for the ready line and reads it.
    fn standing(self) -> Self {
        let mut lab = self;
        let ready = eventually("the ready line", LIFE, || {
            let line = lab.out.with("ready ").pop();
            line.ok_or_else(|| lab.err.with("").join("\n"))
        });
        lab.ready_after = lab.started.elapsed();
        let field = |name: &str| {
            let field = ready.split(' ').find_map(|field| field.strip_prefix(name));
            field
                .unwrap_or_else(|| panic!("{name} in {ready}"))
                .to_owned()
        };
        lab.dns = field("dns=").parse().unwrap();
        lab.http = field("http=").parse().unwrap();
        assert_eq!(field("internal="), format!("{}:3080", lab.internal(2)));
        assert_eq!(field("external="), format!("{}:3080", lab.external(2)));
        assert_eq!(field("state="), lab.path("state").display().to_string());
        lab
    }

    /// Writes the example out with `more` at its end, moves it and plays it with `run`.
    pub(super) fn play(more: &str) -> Self {
        let mut lab = Self::begin("run", more);
        let file = eventually("lab.json", LIFE, || {
            let text = fs::read_to_string(lab.path("state/lab.json"));
            let file = text.ok().and_then(|text| serde_json::from_str(&text).ok());
            file.ok_or_else(|| lab.err.with("").join("\n"))
        });
        let address = |file: &Value, name: &str| file[name].as_str().unwrap().parse().unwrap();
        lab.dns = address(&file, "dns");
        lab.http = address(&file, "http");
        lab
    }

    /// Starts a verb on the example; where it listens is not known yet.
    fn begin(verb: &str, more: &str) -> Self {
        Self::begin_as((verb, verb), more, LOWEST, |_| {})
    }

    fn begin_as(
        (verb, name): (&str, &str),
        more: &str,
        lowest: usize,
        edit: impl FnOnce(&Path),
    ) -> Self {
        let name = format!("twodoors-peers-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let example = folder.join("example");
        fs::create_dir_all(&folder).unwrap();
        let mut init = twodoors();
        finish(init.arg("init").arg(&example), "twodoors init").ended(0);
        let scenario = example.join("scenarios/split-dns.yaml");
        let text = fs::read_to_string(&scenario).unwrap();
        // What the example itself is judged by would be there twice.
        let text = match text.split_once("\nduration:") {
            Some((before, _)) if !more.is_empty() => format!("{before}\n"),
            _ => text,
        };
        fs::write(&scenario, text + more).unwrap();
        edit(&example);
        let octets = Octets::free(lowest);
        move_files(&example, octets);

        let started = Instant::now();
        let mut command = twodoors();
        command.args([
            verb,
            "--dns",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            "--state",
        ]);
        command.arg(folder.join("state")).arg(scenario);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = Lines::collect(child.stdout.take().unwrap());
        let err = Lines::collect(child.stderr.take().unwrap());
        Self {
            child,
            folder,
            octets,
            dns: ([127, 0, 0, 1], 0).into(),
            http: ([127, 0, 0, 1], 0).into(),
            out,
            err,
            started,
            ready_after: Duration::ZERO,
        }
    }

    /// Gives an address of the internal network.
    pub(super) fn internal(&self, last: u8) -> IpAddr {
        [127, self.octets.internal, 0, last].into()
    }

    /// Gives an address of the external network.
    pub(super) fn external(&self, last: u8) -> IpAddr {
        [127, self.octets.external, 0, last].into()
    }

    /// Gives the address of an instance of the pool.
    pub(super) fn proxy(&self, number: u8) -> SocketAddr {
        ([127, self.octets.pool, 0, number], 3080).into()
    }

    /// Gives the process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives a path below the test's own folder: `state/ca.pem`, `example/zones/…`.
    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.folder.join(below)
    }

    /// Replaces text of a file of the example, which must be there; gives the file as it was.
    #[track_caller]
    pub(super) fn edit(&self, below: &str, from: &str, to: &str) -> String {
        let path = self.path("example").join(below);
        let before = fs::read_to_string(&path).unwrap();
        assert!(before.contains(from), "{from:?} in {}", path.display());
        fs::write(&path, before.replace(from, to)).unwrap();
        before
    }

    /// Writes a file of the example as it was.
    pub(super) fn restore(&self, below: &str, text: &str) {
        fs::write(self.path("example").join(below), text).unwrap();
    }

    /// Sends a signal.
    pub(super) fn signal(&self, name: &str) {
        run("kill", &["-s", name, &self.pid().to_string()]).ended(0);
    }

    /// Runs one of the binary's own verbs on this lab.
    pub(super) fn twodoors(&self, args: &[&str]) -> Done {
        let mut command = twodoors();
        command.args(args).env("TWODOORS_STATE", self.path("state"));
        finish(&mut command, "twodoors")
    }

    /// Starts one of the binary's own verbs on this lab.
    pub(super) fn spawn(&self, args: &[&str]) -> Child {
        let mut command = twodoors();
        command.args(args).env("TWODOORS_STATE", self.path("state"));
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Tries to run another lab of the same scenario.
    pub(super) fn second(&self) -> Done {
        let mut command = Command::new("timeout");
        command.arg(PROGRAM_SECONDS).arg(binary()).arg("up");
        command.args(["--dns", "127.0.0.1:0", "--http", "127.0.0.1:0", "--state"]);
        command
            .arg(self.path("second"))
            .arg(self.path("example/scenarios/split-dns.yaml"));
        finish(command.stdin(Stdio::null()), "twodoors up")
    }

    /// Asks the lab's DNS server from an address.
    pub(super) fn dig(&self, from: IpAddr, question: &[&str]) -> Done {
        let (server, port, from) = (
            format!("@{}", self.dns.ip()),
            self.dns.port().to_string(),
            from.to_string(),
        );
        let mut args = vec![&*server, "-p", &port, "-b", &from, "+time=3", "+tries=2"];
        args.extend(question);
        run("dig", &args).ended(0)
    }

    /// Runs curl from an address to an app, through the door at `door`.
    pub(super) fn curl(
        &self,
        from: IpAddr,
        door: IpAddr,
        app: &str,
        path: &str,
        more: &[&str],
    ) -> Done {
        let args = self.curl_args(from, door, app, path);
        let args: Vec<&str> = args
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        run("curl", &args)
    }

    /// Gives curl's arguments for a request to an app, as a person would type them.
    pub(super) fn curl_args(
        &self,
        from: IpAddr,
        door: IpAddr,
        app: &str,
        path: &str,
    ) -> Vec<String> {
        let host = format!("{app}.proxy.example.com");
        let arg = |text: &str| text.to_owned();
        vec![
            arg("-q"),
            arg("-sS"),
            arg("--noproxy"),
            arg("*"),
            arg("--cacert"),
            self.path("state/ca.pem").display().to_string(),
            arg("--interface"),
            from.to_string(),
            arg("--resolve"),
            format!("{host}:3080:{door}"),
            format!("https://{host}:3080{path}"),
        ]
    }

    /// Gives the state of the lab, as the API tells it.
    pub(super) fn snapshot(&self) -> Value {
        let url = format!("http://{}/api/snapshot", self.http);
        let done = run("curl", &["-q", "-sS", "--noproxy", "*", "--fail", &url]).ended(0);
        serde_json::from_slice(&done.out).unwrap()
    }

    /// Stops the lab as Ctrl-C does; gives the exit code and how long it took.
    pub(super) fn interrupt(&mut self) -> (Option<i32>, Duration) {
        let start = Instant::now();
        self.signal("INT");
        let code = eventually("the end after SIGINT", LIFE, || {
            let status = self.child.try_wait().unwrap();
            status
                .map(|status| status.code())
                .ok_or_else(|| String::from("it runs"))
        });
        (code, start.elapsed())
    }
}

impl Drop for Lab {
    #[expect(
        clippy::print_stderr,
        reason = "who reads of a failure wants to look at the files"
    )]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the lab's files are in {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn binary() -> PathBuf {
    let other = std::env::var_os("TWODOORS_BIN").map(PathBuf::from);
    other.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_twodoors")))
}

fn twodoors() -> Command {
    let mut command = Command::new(binary());
    for setting in ["TWODOORS_DNS", "TWODOORS_HTTP", "TWODOORS_STATE"] {
        command.env_remove(setting);
    }
    command
}

fn move_files(folder: &Path, octets: Octets) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            move_files(&path, octets);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let moved = [
            (10, octets.internal),
            (20, octets.external),
            (30, octets.pool),
        ]
        .iter()
        .fold(text, |text, (from, to)| {
            text.replace(&format!("127.{from}."), &format!("127.{to}."))
        });
        fs::write(&path, moved).unwrap();
    }
}
