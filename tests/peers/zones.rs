//! Our checker of zones against those of BIND, Knot and NSD, over zones with one mistake each.
//!
//! Where the three agree, so must ours: a zone that all accept exits with 0, one that all refuse
//! with 2. Where they do not agree the table says what each does, and what ours says of it.

mod cases;
mod data;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use self::cases::{LINES, TOP, WHOLE};
use self::data::DATA;

const ORIGIN: &str = "example.test";

/// The checkers, the packages of Debian that have them, and their arguments before the file.
const CHECKERS: [(&str, &str, &[&str]); 3] = [
    ("named-checkzone", "bind9-utils", &[ORIGIN]),
    ("kzonecheck", "knot-dnssecutils", &["-o", ORIGIN]),
    ("nsd-checkzone", "nsd", &[ORIGIN]),
];

/// A zone to be judged.
struct Case {
    name: String,
    zone: Vec<u8>,
    include: String,
}

/// What the three say, and ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    /// Whether BIND, Knot and NSD accept it, in this order.
    theirs: [bool; 3],
    ours: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    /// The three agree, and ours with them.
    Agrees,
    /// The three agree, and ours does not.
    Differs,
    /// The three do not agree.
    Open,
}

impl Verdict {
    fn judge(self) -> Judgement {
        let [first, ..] = self.theirs;
        match self.theirs.iter().all(|accepts| *accepts == first) {
            false => Judgement::Open,
            true if self.ours == first => Judgement::Agrees,
            true => Judgement::Differs,
        }
    }
}

fn cases() -> Vec<Case> {
    let below_top = |name: &str, lines: &[u8], include: &str| Case {
        name: name.to_owned(),
        zone: [TOP, lines].concat(),
        include: include.to_owned(),
    };
    let mut cases: Vec<Case> = Vec::new();
    for (name, zone) in WHOLE {
        cases.push(Case {
            name: (*name).to_owned(),
            zone: zone.to_vec(),
            include: String::new(),
        });
    }
    for (name, lines, include) in LINES {
        cases.push(below_top(name, lines, include));
    }
    for (kind, words) in DATA {
        let line = format!("a {kind} {words}\n");
        cases.push(below_top(line.trim_end(), line.as_bytes(), ""));
    }
    let made = [
        (
            "101 records of one type",
            (1..102)
                .map(|n| format!("a A 192.0.2.{n}\n"))
                .collect::<String>(),
        ),
        (
            "101 types of one name",
            (1_000..1_101)
                .map(|n| format!("a TYPE{n} \\# 0\n"))
                .collect(),
        ),
        ("1000 strings", format!("a TXT {}\n", "x ".repeat(1_000))),
    ];
    for (name, lines) in made {
        cases.push(below_top(name, lines.as_bytes(), ""));
    }
    cases
}

/// A folder of its own that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("twodoors-zones-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(program: impl AsRef<OsStr>, package: &str, folder: &Path, arguments: &[&str]) -> Output {
    let program = program.as_ref();
    let path = std::env::var("PATH").unwrap_or_default();
    let ended = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        // Some of them are where an ordinary user may not look.
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .output();
    ended.unwrap_or_else(|error| {
        let program = program.display();
        panic!("{program} does not start ({error}): install {package}, without its service")
    })
}

/// Lets all four judge a zone; gives what ours says, too.
fn judge(folder: &Folder, case: &Case) -> (Verdict, String) {
    std::fs::write(folder.0.join("zone"), &case.zone).unwrap();
    std::fs::write(folder.0.join("inc"), &case.include).unwrap();
    let theirs = CHECKERS.map(|(program, package, before)| {
        let arguments = [before, &["zone"]].concat();
        run(program, package, &folder.0, &arguments)
            .status
            .success()
    });
    let zone = format!("{ORIGIN}=zone");
    let ours = env!("CARGO_BIN_EXE_twodoors");
    let ours = run(
        ours,
        "it with cargo",
        &folder.0,
        &["dns", "check", "--zone", &zone],
    );
    let code = ours.status.code();
    assert!(matches!(code, Some(0 | 2)), "{}: exit {code:?}", case.name);
    let said = String::from_utf8_lossy(&ours.stderr);
    let said = said.lines().next().unwrap_or_default().to_owned();
    let verdict = Verdict {
        theirs,
        ours: code == Some(0),
    };
    (verdict, said)
}

#[test]
fn zones_are_judged_as_bind_knot_and_nsd_judge_them() {
    let folder = Folder::new("all");
    let word = |accepts: bool| if accepts { "yes" } else { "no" };
    let (mut accepted, mut refused, mut open) = (0, 0, Vec::new());
    let mut wrong = Vec::new();
    for case in cases() {
        let (verdict, said) = judge(&folder, &case);
        match verdict.judge() {
            Judgement::Agrees if verdict.ours => accepted += 1,
            Judgement::Agrees => refused += 1,
            Judgement::Differs => {
                let ours = word(verdict.ours);
                wrong.push(format!("{}: ours says {ours} alone; {said}", case.name));
            }
            Judgement::Open => {
                let [bind, knot, nsd] = verdict.theirs.map(word);
                let name: String = case.name.chars().take(44).collect();
                let ours = word(verdict.ours);
                open.push(format!(
                    "{name:44} {bind:4} {knot:4} {nsd:4} {ours:4} {said}"
                ));
            }
        }
    }
    println!("{accepted} zones are accepted by all and {refused} refused by all, as by ours");
    println!(
        "{} zones they do not agree on; BIND, Knot, NSD, ours:",
        open.len()
    );
    for line in &open {
        println!("{line}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(accepted > 100 && refused > 100, "the zones try too little");
}

/// The broken twin: a verdict of ours against all three is seen.
#[test]
fn a_verdict_against_all_is_seen() {
    let folder = Folder::new("one");
    let case = Case {
        name: String::from("an address that is none"),
        zone: [TOP, b"a A 192.0.2.256\n"].concat(),
        include: String::new(),
    };
    let (verdict, said) = judge(&folder, &case);
    assert!(
        said.starts_with("zone:5:5: A: `192.0.2.256` is not an IPv4"),
        "{said}"
    );
    assert_eq!(verdict.judge(), Judgement::Agrees);
    let against = Verdict {
        ours: true,
        ..verdict
    };
    assert_eq!(against.judge(), Judgement::Differs);
    let open = Verdict {
        theirs: [true, false, false],
        ..verdict
    };
    assert_eq!(open.judge(), Judgement::Open);
}
