//! `twodoors dns` as a process: the ready line, answers, signals, exit codes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use rustix::process::{Pid, Signal, kill_process};

use super::kit::{ask, query};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

const INSIDE: &str = "127.41.0.9";
const OUTSIDE: &str = "127.42.0.9";

const VIEWS: &str = "\
networks: {inside: [127.41.0.0/16]}
reload_limit: 50%
views:
  - {name: private, match: [inside], zones: [{origin: a.test, file: private.zone}]}
  - {name: public, match: [any], zones: [{origin: a.test, file: public.zone}]}
";

/// A folder with views and zones.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("twodoors-dns-{}-{number}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0).unwrap();
        folder.write("views.yaml", VIEWS);
        folder.zone("private.zone", "www A 10.0.0.1");
        folder.zone("public.zone", "www A 192.0.2.1");
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.0.join(from), self.0.join(to)).unwrap();
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// Writes a zone: SOA, NS, and these lines.
    pub(crate) fn zone(&self, name: &str, lines: &str) {
        let text =
            format!("$TTL 300\n@ SOA ns h 1 1h 1h 1h 5m\n@ NS ns\nns A 192.0.2.53\n{lines}\n");
        self.write(name, &text);
    }

    fn command(&self, verb: &[&str], words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twodoors"));
        command.args(verb).args(words.split_whitespace());
        command.env_remove("TWODOORS_SCENARIO");
        command.current_dir(&self.0);
        command
    }

    /// Runs it to its end.
    pub(crate) fn ended(&self, words: &str) -> Ended {
        Ended::of(self.command(&["dns"], words).output().unwrap())
    }

    /// Explains an answer.
    pub(crate) fn explained(&self, words: &str) -> Ended {
        Ended::of(self.command(&["explain", "dns"], words).output().unwrap())
    }

    /// Starts it and waits until it answers.
    pub(crate) fn running(&self, words: &str) -> Running {
        let mut command = self.command(&["dns"], words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (send, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let said = Arc::new(Mutex::new(String::new()));
        let (mut err, to) = (child.stderr.take().unwrap(), Arc::clone(&said));
        let listener = std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(count @ 1..) = err.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                to.lock().unwrap().push_str(&text);
            }
        });
        let mut running = Running {
            child,
            lines,
            said,
            listener: Some(listener),
            ready: String::new(),
        };
        running.ready = running.line();
        running
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A server that runs until it is dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    said: Arc<Mutex<String>>,
    listener: Option<std::thread::JoinHandle<()>>,
    pub(crate) ready: String,
}

impl Running {
    /// Waits for the next line of standard output.
    pub(crate) fn line(&self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        line.unwrap_or_else(|_| panic!("no line came: {}", self.said.lock().unwrap()))
    }

    /// Gives each of its threads by name, with its niceness.
    #[cfg(target_os = "linux")]
    pub(crate) fn threads(&self) -> Vec<(String, i32)> {
        let folder = format!("/proc/{}/task", self.child.id());
        let read = |entry: fs::DirEntry| {
            // One that ends meanwhile is not there.
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let (before, after) = stat.rsplit_once(')')?;
            let (_, name) = before.split_once('(')?;
            let niceness = after.split_whitespace().nth(16)?.parse().ok()?;
            Some((name.to_owned(), niceness))
        };
        let entries = fs::read_dir(folder).unwrap().flatten();
        entries.filter_map(read).collect()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; gives the exit code and what was said on standard error.
    pub(crate) fn wait(&mut self) -> (Option<i32>, String) {
        // Its streams are read to their end, so it cannot hang on a full pipe.
        let code = self.child.wait().unwrap().code();
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap();
        }
        (code, self.said.lock().unwrap().clone())
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let word = self
            .ready
            .split(' ')
            .find_map(|word| word.strip_prefix("dns="));
        let addresses = word.expect("the ready line names addresses").split(',');
        addresses.map(|text| text.parse().unwrap()).collect()
    }

    async fn address_of(&self, from: &str, tcp: bool) -> String {
        let answer = self.ask(from, "www.a.test.", tcp).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
        answer.answers[0].data.to_string()
    }

    pub(crate) async fn ask(&self, from: &str, name: &str, tcp: bool) -> Message {
        let message = query(name, RecordType::A, None);
        ask(self.addresses()[0], from, &message, tcp).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn each_client_gets_the_answer_of_its_view_on_every_listener() {
    let folder = Folder::new();
    let served = folder.running("--views views.yaml --listen 127.0.0.1:0 --listen 127.0.0.2:0");
    assert!(
        served.ready.ends_with(" zones=2 records=8 generation=1"),
        "{}",
        served.ready
    );
    let addresses = served.addresses();
    assert_eq!(addresses.len(), 2, "{}", served.ready);
    let message = query("www.a.test.", RecordType::A, None);
    for listener in addresses {
        for tcp in [false, true] {
            for (from, expected) in [(INSIDE, "10.0.0.1"), (OUTSIDE, "192.0.2.1")] {
                let answer = ask(listener, from, &message, tcp).await;
                let got = answer.answers[0].data.to_string();
                assert_eq!(got, expected, "{from} at {listener}");
            }
        }
    }
}

#[tokio::test]
async fn zones_without_views_are_everybodys() {
    let folder = Folder::new();
    folder.zone("b.zone", "www A 192.0.2.9");
    let words = "--zone a.test=public.zone --zone B.Test.=b.zone --listen 127.0.0.1:0";
    let served = folder.running(words);
    assert!(served.ready.contains(" zones=2 "), "{}", served.ready);
    for from in [INSIDE, OUTSIDE] {
        assert_eq!(served.address_of(from, false).await, "192.0.2.1");
    }
    let other = served.ask(INSIDE, "www.b.test.", true).await;
    assert_eq!(other.answers[0].data.to_string(), "192.0.2.9");
}

#[tokio::test]
async fn a_reload_takes_whole_or_not_at_all() {
    let folder = Folder::new();
    let mut served = folder.running("--views views.yaml --listen 127.0.0.1:0");
    folder.zone("private.zone", "www A 10.0.0.2");
    served.signal(Signal::HUP);
    assert_eq!(
        served.line(),
        "reloaded generation=2 changed=1 ipv4=0.001526% ipv6=0%"
    );
    assert_eq!(served.address_of(INSIDE, false).await, "10.0.0.2");

    // One of two zones has a mistake: neither changes.
    folder.zone("private.zone", "www A 10.0.0.3");
    folder.zone("public.zone", "www A nonsense");
    served.signal(Signal::HUP);
    assert_eq!(served.line(), "refused generation=2 mistakes=1");
    assert_eq!(served.address_of(INSIDE, false).await, "10.0.0.2");
    assert_eq!(served.address_of(OUTSIDE, false).await, "192.0.2.1");

    folder.zone("public.zone", "www A 192.0.2.1");
    served.signal(Signal::HUP);
    assert!(
        served
            .line()
            .starts_with("reloaded generation=3 changed=1 ")
    );
    assert_eq!(served.address_of(INSIDE, true).await, "10.0.0.3");
    served.signal(Signal::TERM);
    let (code, said) = served.wait();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("public.zone:5:7: A: "), "{said}");
    assert!(said.contains("generation 2 stays in force"), "{said}");
}

#[tokio::test]
async fn a_reload_beyond_the_limit_is_refused_and_says_how_much() {
    let folder = Folder::new();
    let mut served = folder.running("--views views.yaml --listen 127.0.0.1:0");
    folder.zone("public.zone", "www A 192.0.2.2");
    served.signal(Signal::HUP);
    assert_eq!(
        served.line(),
        "refused generation=1 ipv4=99.998475% ipv6=100% limit=50%"
    );
    assert_eq!(served.address_of(OUTSIDE, false).await, "192.0.2.1");
    // Whoever wants it says so in the same file.
    folder.write("views.yaml", &VIEWS.replace("50%", "100%"));
    served.signal(Signal::HUP);
    assert!(served.line().starts_with("reloaded generation=2 "));
    assert_eq!(served.address_of(OUTSIDE, false).await, "192.0.2.2");
    served.signal(Signal::INT);
    let (code, said) = served.wait();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("changed: public/www.a.test."), "{said}");

    // The command line beats the file.
    let words = "--views views.yaml --listen 127.0.0.1:0 --reload-limit 0.001%";
    let strict = folder.running(words);
    folder.zone("private.zone", "www A 10.0.0.2");
    strict.signal(Signal::HUP);
    assert!(strict.line().ends_with(" limit=0.001%"));
}

#[tokio::test]
async fn a_listener_does_not_move_while_it_runs() {
    let folder = Folder::new();
    let listening = |port: u16| format!("listen: 127.0.0.1:{port}\n{VIEWS}");
    folder.write("views.yaml", &listening(0));
    let served = folder.running("--views views.yaml");
    folder.write("views.yaml", &listening(5399));
    served.signal(Signal::HUP);
    assert_eq!(served.line(), "refused generation=1 mistakes=1");
    assert_eq!(served.address_of(INSIDE, false).await, "10.0.0.1");
}

#[tokio::test]
async fn the_end_under_load_loses_no_answer_that_was_begun() {
    let folder = Folder::new();
    let mut served = folder.running("--views views.yaml --listen 127.0.0.1:0");
    let address = served.addresses()[0];
    let over = Arc::new(AtomicBool::new(false));
    let asking = {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            let message = query("www.a.test.", RecordType::A, None).to_vec().unwrap();
            let socket = UdpSocket::bind((OUTSIDE, 0)).unwrap();
            socket.connect(address).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(50)))
                .unwrap();
            let mut answer = [0; 512];
            while !over.load(Ordering::Relaxed) {
                // After the end there is nobody, which is an error here and right.
                let _ = socket.send(&message);
                let _ = socket.recv(&mut answer);
            }
        })
    };
    // A whole question is there before the signal, so it is answered.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let message = query("www.a.test.", RecordType::A, None).to_vec().unwrap();
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    for _ in 0..2 {
        stream.write_all(&[&length[..], &message].concat()).unwrap();
    }
    let mut first = [0; 2];
    stream.read_exact(&mut first).unwrap();
    served.signal(Signal::TERM);
    let (code, said) = served.wait();
    over.store(true, Ordering::Relaxed);
    asking.join().unwrap();
    assert_eq!(code, Some(0), "{said}");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    let length = usize::from(u16::from_be_bytes(first));
    assert_eq!(rest.len(), 2 * length + 2, "both answers came");
}

#[test]
fn a_port_in_use_is_exit_3_and_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = Folder::new();
    let ended = folder.ended(&format!("--zone a.test=public.zone --listen {address}"));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains(&address.to_string()), "{ended:?}");
    assert_eq!(ended.out, "");
}

#[test]
fn what_cannot_be_served_is_exit_2_with_its_place() {
    let folder = Folder::new();
    folder.zone("public.zone", "www A nonsense");
    for (words, said) in [
        ("--zone a.test=public.zone", "public.zone:5:7: A: "),
        ("--views views.yaml", "public.zone:5:7: A: "),
        ("--zone a.test=none.zone", "none.zone:1:1: "),
        (
            "--zone a.test",
            "write it like example.com=zones/example.com.zone",
        ),
        (
            "--zone a.test=public.zone --views views.yaml",
            "cannot be used with",
        ),
        (
            "",
            "nothing to serve; give --zone ORIGIN=FILE or --views FILE",
        ),
        (
            "--views views.yaml --reload-limit many",
            "is not a share of a whole",
        ),
    ] {
        let ended = folder.ended(words);
        assert_eq!(ended.code, Some(2), "{words}: {ended:?}");
        assert!(ended.err.contains(said), "{words}: {ended:?}");
        assert_eq!(ended.out, "", "{words}");
    }
    folder.write(
        "views.yaml",
        "views: [{name: a, match: [nobody], zones: [a.test.zone]}]\n",
    );
    let ended = folder.ended("--views views.yaml");
    let said = "views.yaml:1:27 views[0].match[0]: there is no network \"nobody\"";
    assert!(ended.err.contains(said), "{ended:?}");
    assert_eq!(ended.code, Some(2));
}

#[test]
fn nobody_asks_for_everybody_or_asks_itself() {
    let folder = Folder::new();
    let forward = |allow: &str, server: &str| {
        let forward = format!("{{allow: [{allow}], servers: [\"{server}\"]}}");
        let views = VIEWS.replacen("zones:", &format!("forward: {forward}, zones:"), 1);
        folder.write("views.yaml", &format!("listen: 127.0.0.1:5399\n{views}"));
        folder.explained("--views views.yaml --from 127.41.0.9 www.a.test")
    };
    let sound = forward("inside", "127.0.0.1:5398");
    assert_eq!(sound.code, Some(0), "{}", sound.err);
    let halves = forward("0.0.0.0/1, 128.0.0.0/1", "127.0.0.1:5398");
    assert_eq!(halves.code, Some(2), "{}", halves.err);
    let told = "views.yaml:5:";
    assert!(halves.err.contains(told), "{}", halves.err);
    assert!(halves.err.contains("an open resolver"), "{}", halves.err);
    let itself = forward("inside", "127.0.0.1:5399");
    assert_eq!(itself.code, Some(2), "{}", itself.err);
    let told = "127.0.0.1:5399 is this server itself";
    assert!(itself.err.contains(told), "{}", itself.err);
    // Also where it only comes out at the start.
    forward("inside", "127.0.0.1:5398");
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = free.local_addr().unwrap();
    forward("inside", &free.to_string());
    let started = folder.ended(&format!("--views views.yaml --listen {free}"));
    assert_ne!(started.code, Some(0), "{}", started.err);
    assert!(
        started.err.contains("is this server itself"),
        "{}",
        started.err
    );
}
