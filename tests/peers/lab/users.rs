//! What people use behind the doors: psql through `twodoors proxy db` to a real PostgreSQL, curl
//! through the login of an app, openssl's protocols and curl's PROXY headers at an instance.
//!
//! Labs of their own, beside the one that the other steps share.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::bench::{Done, Lab, Lines, eventually, finish, run};
use super::{CHECKS, MESH};

/// What psql is given of a large result.
const LARGE: usize = 8_000_000;

/// A PostgreSQL of its own, in a folder of its own, stopped at the end.
struct Postgres {
    folder: PathBuf,
    port: u16,
}

impl Postgres {
    fn start() -> Self {
        let name = format!("twodoors-peers-postgres-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        if rustix::process::geteuid().is_root() {
            run("chown", &["nobody", &folder.display().to_string()]).ended(0);
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let postgres = Self { folder, port };
        let data = postgres.data();
        let made = ["-D", &data, "-U", "postgres", "-A", "trust", "--no-sync"];
        postgres.program("initdb", &made).ended(0);
        // An agent dials from an address of its own, which initdb's rules leave out.
        let rules = Path::new(&data).join("pg_hba.conf");
        fs::write(rules, "host all all 127.0.0.0/8 trust\n").unwrap();
        let shown = postgres.folder.display();
        let options = format!("-h 127.0.0.1 -p {port} -k {shown} -F");
        let log = format!("{shown}/log");
        let args = ["-D", &data, "-w", "-l", &log, "-o", &options, "start"];
        postgres.program("pg_ctl", &args).ended(0);
        postgres
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    /// Runs one of the server's programs; it refuses to be root.
    fn program(&self, name: &str, args: &[&str]) -> Done {
        let versions = fs::read_dir("/usr/lib/postgresql");
        let versions = versions.expect("postgresql is missing; `tests/run` says what to install");
        let newest = versions.map(|entry| entry.unwrap().path()).max().unwrap();
        let program = newest.join("bin").join(name);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "nobody", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        // The server keeps the outputs that pg_ctl has, so a pipe would never end.
        let said = self.folder.with_extension("said");
        let file = fs::File::create(&said).unwrap();
        command.args(args).current_dir("/").stdin(Stdio::null());
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let code = command.status().unwrap().code();
        let out = fs::read(&said).unwrap();
        let _ = fs::remove_file(&said);
        Done {
            code,
            out,
            err: String::new(),
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        self.program("pg_ctl", &["-D", &data, "-m", "immediate", "stop"]);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A running `twodoors proxy`.
struct Proxy {
    child: Child,
    err: Lines,
    port: String,
    ready: String,
}

impl Proxy {
    fn start(lab: &Lab, args: &[&str]) -> Self {
        let whole: Vec<&str> = ["proxy"].iter().chain(args).copied().collect();
        let mut child = lab.spawn(&whole);
        let out = Lines::collect(child.stdout.take().unwrap());
        let err = Lines::collect(child.stderr.take().unwrap());
        let ready = eventually("twodoors proxy is ready", CHECKS, || {
            let line = out.with("ready proxy=127.0.0.1:").pop();
            line.ok_or_else(|| err.with("").join("\n"))
        });
        let port = ready.split(['=', ' ']).nth(2).unwrap();
        let port = port.rsplit(':').next().unwrap().to_owned();
        Self {
            child,
            err,
            port,
            ready,
        }
    }

    fn psql(&self, statement: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args(["60", "psql", "-X", "-h", "127.0.0.1", "-p", &self.port]);
        command.args(["-U", "postgres", "-d", "postgres", "-Atc", statement]);
        command.stdin(Stdio::null());
        command
    }

    fn ask(&self, statement: &str) -> Done {
        finish(&mut self.psql(statement), "psql")
    }

    /// Ends it as a service manager does; gives its exit code.
    fn terminate(mut self) -> Option<i32> {
        run("kill", &["-s", "TERM", &self.child.id().to_string()]).ended(0);
        eventually("twodoors proxy ends", CHECKS, || {
            let status = self.child.try_wait().unwrap();
            status
                .map(|status| status.code())
                .ok_or_else(|| String::from("it runs"))
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn change(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from:?} in {}", path.display());
    fs::write(path, text.replace(from, to)).unwrap();
}

/// Waits until each instance has every tunnel: then each of them serves.
fn meshed(lab: &Lab) {
    eventually("the mesh", MESH, || {
        let mesh = &lab.snapshot()["mesh"];
        (mesh["now"] == mesh["full"])
            .then_some(())
            .ok_or_else(|| mesh.to_string())
    });
}

#[test]
fn psql_reaches_a_real_server_through_a_door_and_the_pool() {
    let postgres = Postgres::start();
    let target = format!("127.0.0.1:{}", postgres.port);
    let lab = Lab::edited("psql", 181, |example| {
        let agent = example.join("scenarios/teleport/wiki.yaml");
        let served = format!(
            "db_service:\n  enabled: yes\n  databases:\n    \
             - {{name: ledger, protocol: postgres, uri: \"{target}\"}}\n"
        );
        let text = fs::read_to_string(&agent).unwrap();
        fs::write(&agent, text + &served).unwrap();
        let more = format!("name: wiki, databases: {{ledger: \"{target}\"}}, network");
        let scenario = example.join("scenarios/split-dns.yaml");
        change(&scenario, "name: wiki, network", &more);
    });
    meshed(&lab);
    let outside = Proxy::start(
        &lab,
        &["db", "ledger", "--as", "alice", "--from", "external"],
    );
    let from = format!(" from={} ", lab.external(21));
    assert!(outside.ready.contains(&from), "{}", outside.ready);
    assert_eq!(outside.ask("select 1").ended(0).text(), "1");
    let large = format!("select repeat('x', {LARGE})");
    let large = outside.ask(&large).ended(0).text();
    assert!(large.len() == LARGE && large.bytes().all(|byte| byte == b'x'));

    // One session sleeps while another sees it.
    let mut sleeper = outside.psql("select pg_sleep_for('10min')");
    sleeper.stdout(Stdio::null()).stderr(Stdio::null());
    let mut sleeper = sleeper.spawn().unwrap();
    let sleeps = "select count(*) from pg_stat_activity where query like 'select pg_sleep_for%'";
    eventually("the other session", CHECKS, || {
        let seen = outside.ask(sleeps).text();
        (seen == "1").then_some(()).ok_or(seen)
    });
    let stop = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                where query like 'select pg_sleep_for%'";
    outside.ask(stop).ended(0);
    assert_ne!(sleeper.wait().unwrap().code(), Some(0));

    // Somebody of the office goes through the door of the office, with the same command.
    let inside = Proxy::start(&lab, &["db", "ledger", "--from", "internal"]);
    let opened = |door: &str, network: &str| {
        let state = lab.snapshot();
        super::list(&super::named(&state["balancers"], door)["networks"])
            .find(|count| count["network"] == *network)
            .map_or(0, |count| super::number(&count["opened"]))
    };
    let before = opened("internal", "external");
    assert_eq!(inside.ask("select 2").ended(0).text(), "2");
    assert_eq!((before, opened("internal", "external")), (0, 0));
    assert!(opened("external", "external") > 0);
    assert_eq!(opened("external", "internal"), 0, "nobody of the office");

    // Its twin: without the agent psql fails, and the proxy says why.
    lab.twodoors(&["ctl", "stop", "agent/wiki"]).ended(0);
    eventually("no agent serves the ledger", CHECKS, || {
        let done = outside.ask("select 1");
        (done.code == Some(2))
            .then_some(())
            .ok_or_else(|| done.all())
    });
    let why = "failed to connect to any of the database servers";
    outside.err.wait_for(0, why);
    assert_eq!(outside.terminate(), Some(0));
    assert_eq!(inside.terminate(), Some(0));

    let nobody = lab.twodoors(&["proxy", "db", "nothing", "--as", "alice"]);
    let nobody = nobody.ended(2).err;
    assert!(nobody.contains("there is ledger"), "{nobody}");
    let elsewhere = lab.path("nowhere").display().to_string();
    let away = [
        "proxy", "db", "ledger", "--from", "external", "--state", &elsewhere,
    ];
    let away = lab.twodoors(&away).ended(3).err;
    assert!(away.contains("no lab runs with the state folder"), "{away}");
}

#[test]
fn curl_logs_in_to_an_app_and_keeps_the_cookie() {
    let lab = Lab::edited("login", 202, |example| {
        let scenario = example.join("scenarios/split-dns.yaml");
        change(&scenario, "orders.yaml, login: none", "orders.yaml");
    });
    meshed(&lab);
    let jar = lab.path("jar").display().to_string();
    let (from, door) = (lab.external(21), lab.external(2));
    let name = format!("proxy.example.com:3080:{door}");
    let curl = |more: &[&str]| {
        let common = [
            "--resolve",
            &name,
            "-w",
            "\n%{num_redirects} %{http_version} %{http_code}",
        ];
        let more: Vec<&str> = common.iter().chain(more).copied().collect();
        lab.curl(from, door, "orders", "/", &more)
    };
    // Without a place for the cookie the way is a circle.
    let circle = curl(&["-L", "--max-redirs", "9"]).ended(47);
    assert!(circle.text().ends_with("9 2 302"), "{}", circle.all());
    let arrived = curl(&["-L", "-c", &jar]).ended(0).text();
    assert!(
        arrived.starts_with("orders: served by agent orders"),
        "{arrived}"
    );
    assert!(arrived.ends_with("3 2 200"), "{arrived}");
    let kept = fs::read_to_string(&jar).unwrap();
    assert!(
        kept.contains("#HttpOnly_orders.proxy.example.com\tFALSE\t/\tTRUE\t"),
        "{kept}"
    );
    assert!(kept.contains("\t__Host-grv_app_session\t"), "{kept}");
    let again = curl(&["-b", &jar, "--http1.1"]).ended(0).text();
    assert!(again.ends_with("0 1.1 200"), "{again}");
    let two = curl(&["-b", &jar, "--http2"]).ended(0).text();
    assert!(two.ends_with("0 2 200"), "{two}");
    // The local port logs in by itself.
    let proxy = Proxy::start(&lab, &["app", "orders", "--as", "alice"]);
    let url = format!("http://127.0.0.1:{}/", proxy.port);
    let local = run("curl", &["-q", "-sS", "--noproxy", "*", "--fail", &url]).ended(0);
    let by_alice = format!("orders: served by agent orders to {from} ");
    assert!(local.text().starts_with(&by_alice), "{}", local.text());
    assert_eq!(proxy.terminate(), Some(0));
}

#[test]
fn openssl_and_curl_meet_an_instance_as_its_file_says() {
    for mode in ["on", "off", "unset"] {
        let lab = Lab::edited(&format!("haproxy-{mode}"), 223, |example| {
            let key = match mode {
                "unset" => String::new(),
                mode => format!("proxy_protocol: {mode}"),
            };
            let file = example.join("scenarios/teleport/proxy.yaml");
            change(&file, "proxy_protocol: on", &key);
        });
        let from = lab.external(21);
        let find = |more: &[&str]| {
            let instance = lab.proxy(1);
            let url = "https://proxy.example.com:3080/webapi/find";
            let to = format!("proxy.example.com:3080:{}", instance.ip());
            let (ca, from) = (
                lab.path("state/ca.pem").display().to_string(),
                from.to_string(),
            );
            let mut args = vec!["-q", "-sS", "--noproxy", "*", "--fail", "--cacert", &ca];
            args.extend([
                "--interface",
                &from,
                "--resolve",
                &to,
                "--max-time",
                "20",
                url,
            ]);
            args.extend(more);
            let done = run("curl", &args);
            done.code == Some(0) && done.text().contains("ssh")
        };
        let (with, without) = (find(&["--haproxy-protocol"]), find(&[]));
        let expected = (mode != "off", mode != "on");
        assert_eq!((with, without), expected, "header, none, when {mode}");
        if mode != "unset" {
            continue;
        }
        let names = "no-such,teleport-reversetunnel,http/1.1";
        for (offered, chosen) in [
            (names, Some("teleport-reversetunnel")),
            ("http/1.1,teleport-reversetunnel", Some("http/1.1")),
            ("h2,http/1.1", Some("h2")),
            (
                "teleport-postgres-ping,teleport-postgres",
                Some("teleport-postgres-ping"),
            ),
            ("no-such,neither", None),
        ] {
            let (bind, to) = (format!("{from}:0"), lab.proxy(1).to_string());
            let args = [
                "s_client", "-bind", &bind, "-connect", &to, "-alpn", offered,
            ];
            let done = run("openssl", &args);
            match chosen {
                Some(chosen) => {
                    let said = format!("ALPN protocol: {chosen}\n");
                    assert!(done.text().contains(&said), "{offered}: {}", done.all());
                }
                None => {
                    let alert = "alert no application protocol";
                    assert!(done.err.contains(alert), "{}", done.all());
                }
            }
        }
    }
}
