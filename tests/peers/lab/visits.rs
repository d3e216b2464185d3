//! What the steps with faults do: set a fault, visit as curl and ssh do, download half way.

use std::fs;
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};

use super::CHECKS;
use super::bench::{Done, Lab, eventually, run};

/// The body of a download that a fault meets half way, and how fast it is read.
pub(super) const BYTES: u64 = 8_000_000;
const RATE: &str = "2M";

/// A fault that is lifted when the step ends, however it ends.
pub(super) struct Fault<'a> {
    lab: &'a Lab,
    number: String,
}

impl<'a> Fault<'a> {
    pub(super) fn set(lab: &'a Lab, args: &[&str]) -> Self {
        let whole: Vec<&str> = ["fault", "set"].iter().chain(args).copied().collect();
        let said = lab.twodoors(&whole).ended(0).text();
        let number = said
            .strip_prefix("fault ")
            .and_then(|said| said.split_once(':'));
        let (number, _) = number.unwrap_or_else(|| panic!("{said}"));
        Self {
            lab,
            number: number.to_owned(),
        }
    }

    pub(super) fn lift(self) {
        drop(self);
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub(super) fn over(self) {
        eventually("the fault has ended", CHECKS, || {
            let shown = self.lab.twodoors(&["fault", "show", "--json"]);
            let shown = shown.ended(0).text();
            if shown.contains(&format!("\"id\": {}", self.number)) {
                Err(shown)
            } else {
                Ok(())
            }
        });
        // There is nothing left to lift.
        std::mem::forget(self);
    }
}

impl Drop for Fault<'_> {
    fn drop(&mut self) {
        let done = self.lab.twodoors(&["fault", "clear", &self.number]);
        assert!(
            std::thread::panicking() || done.code == Some(0),
            "{}",
            done.all()
        );
    }
}

/// Visits the orders app through the external door, giving up after three seconds.
pub(super) fn curl(lab: &Lab, from: IpAddr) -> Done {
    let more = [
        "-v",
        "--connect-timeout",
        "2",
        "--max-time",
        "3",
        "-w",
        "\n%{time_total}",
    ];
    lab.curl(from, lab.external(2), "orders", "/", &more)
}

pub(super) fn from_outside(lab: &Lab) -> Done {
    curl(lab, lab.external(99))
}

/// Comes as far as a stranger's ssh comes, straight at a door or an instance; gives what it says.
pub(super) fn ssh(lab: &Lab, to: IpAddr) -> String {
    let (from, whom) = (lab.external(99).to_string(), format!("nobody@{to}"));
    let mut args = vec!["-F", "none", "-p", "3080", "-b", &from];
    for option in [
        "BatchMode=yes",
        "ConnectTimeout=2",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
    ] {
        args.extend(["-o", option]);
    }
    args.push(&whom);
    run("ssh", &args).ended(255).err
}

/// Fails unless the app answers, which it may do only after the doors have looked again.
#[track_caller]
pub(super) fn well(lab: &Lab) {
    eventually("the app answers again", CHECKS, || {
        let done = from_outside(lab);
        if done.code == Some(0) {
            Ok(())
        } else {
            Err(done.all())
        }
    });
    // ssh speaks first, and no instance knows its words: the connection is made and closed.
    says(&ssh(lab, lab.external(2)), "kex_exchange_identification");
}

#[track_caller]
pub(super) fn says(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} in:\n{text}");
}

/// A download through the external door that takes its time.
pub(super) struct Download<'a> {
    lab: &'a Lab,
    child: Child,
}

impl<'a> Download<'a> {
    /// Begins it, and waits until bytes have come.
    pub(super) fn begin(lab: &'a Lab) -> Self {
        let path = format!("/bytes/{BYTES}");
        let mut command = Command::new("curl");
        command.args(lab.curl_args(lab.external(99), lab.external(2), "orders", &path));
        command.args(["--limit-rate", RATE, "--max-time", "30", "-v", "-o"]);
        command.arg(lab.path("download"));
        let errors = fs::File::create(lab.path("download.err")).unwrap();
        let _ = fs::remove_file(lab.path("download"));
        command.stdin(Stdio::null()).stderr(errors);
        let download = Self {
            lab,
            child: command.spawn().unwrap(),
        };
        eventually("the download has begun", CHECKS, || {
            let length = download.length();
            if length > 0 {
                Ok(())
            } else {
                Err(length.to_string())
            }
        });
        download
    }

    pub(super) fn length(&self) -> u64 {
        let meta = fs::metadata(self.lab.path("download"));
        meta.map_or(0, |meta| meta.len())
    }

    /// Waits for its end: the exit code and what curl said.
    pub(super) fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        let said = fs::read_to_string(self.lab.path("download.err")).unwrap();
        (code, said)
    }

    /// Waits for its end and fails unless every byte came, in its place.
    #[track_caller]
    pub(super) fn whole(self) {
        let lab = self.lab;
        let (code, said) = self.end();
        assert_eq!(code, Some(0), "{said}");
        let bytes = fs::read(lab.path("download")).unwrap();
        let right = (0_u32..)
            .zip(&bytes)
            .all(|(at, byte)| at % 251 == u32::from(*byte));
        assert!(
            right && bytes.len() as u64 == BYTES,
            "{} bytes",
            bytes.len()
        );
    }
}

/// What a visit took that went well.
#[track_caller]
pub(super) fn took(done: Done) -> f64 {
    let text = done.ended(0).text();
    let seconds = text.lines().last().unwrap_or_default().parse::<f64>();
    seconds.unwrap_or_else(|error| panic!("{error}: {text}"))
}
