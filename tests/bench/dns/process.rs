//! Processes that are measured: started on a core, ended by their id, their time and memory read.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::ClockId;
use nix::unistd::Pid;
use rustix::process::{Signal, kill_process, kill_process_group};
use twodoors::live::clock::Clock;

use crate::Failed;

/// The core of whatever serves.
const SERVER_CORE: &str = "0";

/// The core of whatever asks.
pub(crate) const CLIENT_CORE: usize = 1;

/// A server that was told to end and did not within this many looks is killed.
const LOOKS: u32 = 500;

/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// Keeps this thread, and those that it starts, on the client's core.
pub(crate) fn pin_client() -> Result<(), Failed> {
    let mut cores = CpuSet::new();
    cores.set(CLIENT_CORE)?;
    sched_setaffinity(Pid::from_raw(0), &cores)
        .map_err(|error| format!("cannot run on core {CLIENT_CORE}: {error}; two are needed"))?;
    Ok(())
}

/// Waits a little, before another look.
pub(crate) fn pause() {
    thread::park_timeout(LOOK);
}

/// A folder for configurations, gone with its value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self, Failed> {
        let path = std::env::temp_dir().join(format!("twodoors-bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be taken away stays in the temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A line of standard output, and when it came, in microseconds after the start.
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) at: u64,
}

/// A process that was started here.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    lines: Receiver<Line>,
    clock: Clock,
}

impl Process {
    /// Starts a command line; with `pinned`, on the server's core.
    ///
    /// What it says on standard error stands in `log`.
    pub(crate) fn start(line: &[String], log: PathBuf, pinned: bool) -> Result<Self, Failed> {
        let core = ["taskset", "-c", SERVER_CORE].map(str::to_owned);
        let everywhere = ["taskset", "-c", "0,1"].map(str::to_owned);
        let before: &[String] = if pinned { &core } else { &everywhere };
        let mut words = before.iter().chain(line);
        let program = words.next().ok_or("nothing to start")?;
        let mut command = Command::new(program);
        command
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            // Of its own group, so that nothing of it stays behind.
            .process_group(0);
        let clock = Clock::start();
        let mut child = command
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let out = child.stdout.take().ok_or("no standard output")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for text in BufReader::new(out).lines().map_while(Result::ok) {
                let at = clock.now().as_us();
                // The other end is gone when nobody reads any more.
                let _ = sender.send(Line { text, at });
            }
        });
        Ok(Self {
            child,
            log,
            lines,
            clock,
        })
    }

    fn pid(&self) -> Option<rustix::process::Pid> {
        rustix::process::Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }

    /// Gives the time since the start, in microseconds.
    pub(crate) fn age(&self) -> u64 {
        self.clock.now().as_us()
    }

    /// Waits for a line of standard output that begins so.
    pub(crate) fn line(&self, begins: &str, patience: Duration) -> Result<Line, Failed> {
        loop {
            match self.lines.recv_timeout(patience) {
                Ok(line) if line.text.starts_with(begins) => return Ok(line),
                Ok(_) => {}
                Err(_) => {
                    return Err(format!("no line {begins:?}; it said:\n{}", self.said()).into());
                }
            }
        }
    }

    /// Tells whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> Result<bool, Failed> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Gives the last of what it said on standard error.
    pub(crate) fn said(&self) -> String {
        let all = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = all.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Sends SIGHUP.
    pub(crate) fn reload(&self) -> Result<(), Failed> {
        kill_process(self.pid().ok_or("no process")?, Signal::HUP)?;
        Ok(())
    }

    /// Gives every process of it: itself and what it has started.
    fn family(&self) -> Vec<u32> {
        let mut family = vec![self.child.id()];
        let mut next = 0;
        while let Some(pid) = family.get(next).copied() {
            next += 1;
            for task in tasks(pid) {
                let children = fs::read_to_string(task.join("children")).unwrap_or_default();
                family.extend(
                    children
                        .split_whitespace()
                        .filter_map(|pid| pid.parse::<u32>().ok()),
                );
            }
        }
        family
    }

    /// Gives the processor time of all its processes so far, in microseconds, with threads that have
    /// ended.
    ///
    /// It is the kernel's clock of each process, which is exact where the ticks of `stat` are 10 ms.
    pub(crate) fn cpu_us(&self) -> Result<f64, Failed> {
        let mut sum = 0.0;
        for pid in self.family() {
            let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(i32::try_from(pid)?))?;
            sum += Duration::from(clock.now()?).as_secs_f64() * 1e6;
        }
        Ok(sum)
    }

    /// Gives a line of its `status` in KiB: the largest of its processes.
    fn status(&self, key: &str) -> f64 {
        let of = |pid: u32| {
            let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            let value = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
            value.unwrap_or(0.0)
        };
        self.family().into_iter().map(of).fold(0.0, f64::max)
    }

    /// Gives the most memory that its largest process ever held, in MiB.
    pub(crate) fn peak_mib(&self) -> f64 {
        self.status("VmHWM") / 1024.0
    }

    /// Gives the memory that its largest process holds, in MiB.
    pub(crate) fn memory_mib(&self) -> f64 {
        self.status("VmRSS") / 1024.0
    }

    /// Ends it: politely, then by force; gives its exit code where it had one.
    pub(crate) fn stop(mut self) -> Result<Option<i32>, Failed> {
        kill_process(self.pid().ok_or("no process")?, Signal::TERM)?;
        for _ in 0..LOOKS {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            pause();
        }
        Ok(None)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(group) = self.pid() {
            // It has no process any more when it ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Gives how many datagrams the system dropped because the sockets of this address were full.
pub(crate) fn overflowed(at: SocketAddr) -> Result<u64, Failed> {
    let IpAddr::V4(address) = at.ip() else {
        return Err("only IPv4 is looked at".into());
    };
    let bits = u32::from_ne_bytes(address.octets());
    let local = format!("{bits:08X}:{:04X}", at.port());
    let mut sum = 0;
    for line in fs::read_to_string("/proc/net/udp")?.lines() {
        let mut words = line.split_whitespace().skip(1);
        if words.next() == Some(&*local) {
            sum += words.last().ok_or("no drops")?.parse::<u64>()?;
        }
    }
    Ok(sum)
}

/// Gives the folder of each thread of a process.
fn tasks(pid: u32) -> Vec<PathBuf> {
    let folder = fs::read_dir(format!("/proc/{pid}/task"));
    let entries = folder.into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
