//! Files of views, what `twodoors dns --views` reads: the keys of `dns:` at the top.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

use twodoors::lab::load::of_views;
use twodoors::model::mistake::Files;
use twodoors::model::network::Mode;
use twodoors::policy::view::{Selector, Source};
use twodoors::scenario::load_views;

/// One file of views, and a zone of whatever name.
struct Views(String);

impl Files for Views {
    fn read(&self, path: &Path) -> Result<String, String> {
        match path.extension().and_then(|end| end.to_str()) {
            Some("yaml") => Ok(self.0.clone()),
            Some("zone") => Ok(String::new()),
            _ => Err(String::from("no such file")),
        }
    }
}

const SOUND: &str = "\
networks:
  inside: [10.0.0.0/8]
listen: [127.0.0.1:5300, '[::1]:5300']
mode: longest_prefix
lists: {offices: [inside, '!10.9.0.0/16']}
ecs: {trusted: [127.0.0.1]}
reload_limit: 25%
x-note: ignored
views:
  - {name: private, match: [offices], zones: [{origin: a.test, file: a.zone, miss: public}]}
  - {name: public, match: [any], zones: [a.test.zone]}
";

fn said(text: &str) -> Vec<String> {
    let unsound = load_views(Path::new("views.yaml"), &Views(text.to_owned()));
    let mistakes = unsound.expect_err("it has mistakes").mistakes;
    mistakes.iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_of_views_holds_what_dns_holds_in_a_scenario() {
    let loaded = load_views(Path::new("views.yaml"), &Views(SOUND.to_owned()));
    let loaded = loaded.expect("no mistakes");
    let dns = &loaded.dns;
    assert_eq!(dns.listeners().count(), 2);
    assert_eq!(dns.mode, Mode::LongestPrefix);
    assert_eq!(dns.reload_limit.to_string(), "25%");
    assert_eq!(dns.views[0].zones[0].miss.word(), "public");
    assert_eq!(dns.views[1].zones[0].origin, "a.test.");
    assert_eq!(&*loaded.networks[0].name, "inside");
    assert_eq!(loaded.read.len(), 3);
    let selector = Selector::compile(dns);
    for (from, view) in [("10.1.0.1", 0), ("10.9.0.1", 1), ("192.0.2.1", 1)] {
        let from: IpAddr = from.parse().expect("an address");
        let selected = selector.select(Source::Client(from), from);
        assert_eq!(selected.matched.map(|(view, _)| view), Some(view), "{from}");
    }
}

#[test]
fn mistakes_of_a_file_of_views_are_told_with_their_places() {
    let broken = SOUND
        .replace("[offices]", "[ofices]")
        .replace("mode:", "mood:")
        .replace("public}", "pubic}");
    assert_eq!(
        said(&broken),
        [
            "views.yaml:4:1 mood: unknown key \"mood\"; one of: cookies, ecs, listen, lists, mode, \
             networks, nsid, proxy, reload_limit, version, views",
            "views.yaml:10:29 views[0].match[0]: there is no network or list \"ofices\"; did you \
             mean offices?",
            "views.yaml:10:83 views[0].zones[0].miss: \"pubic\" is not known here; did you \
             mean public?",
        ]
    );
    // What a scenario has beside `dns:` is not of such a file.
    assert_eq!(said("pool: {}\n").len(), 2);
}

#[test]
fn nobody_forwards_for_everybody() {
    let forward = |allow: &str| {
        let all = "{name: all, match: [any], zones: [a.test.zone], forward: ";
        format!("views:\n  - {all}{{servers: [127.0.0.1], allow: [{allow}]}}}}\n")
    };
    for open in ["any", "0.0.0.0/0", "\"!10.0.0.0/8\", any", "\"::/0\""] {
        let told = said(&forward(open));
        assert!(
            told.iter().any(|told| told.contains("an open resolver")),
            "{open}: {told:?}"
        );
    }
    let sound = Views(forward("10.0.0.0/8"));
    assert!(load_views(Path::new("views.yaml"), &sound).is_ok());
    let servers = said(&forward("10.0.0.0/8").replace("127.0.0.1", "ns1"));
    assert!(
        servers
            .iter()
            .any(|told| told.contains("not the address of a server")),
        "{servers:?}"
    );
}

#[test]
fn what_nobody_reaches_is_told_with_its_place() {
    let text = SOUND.replace("[any]", "[10.1.0.0/16, any, 10.1.0.0/16]");
    let loaded = load_views(Path::new("views.yaml"), &Views(text));
    let loaded = loaded.expect("no mistakes");
    let odd = of_views(&loaded.dns, "", &loaded.places);
    let odd: Vec<_> = odd.iter().map(|odd| odd.place.to_string()).collect();
    assert_eq!(odd, ["views.yaml:11:46"]);
}

/// Lists that hold one another are bounded: in depth, and in what they are written out.
#[test]
fn lists_that_grow_out_of_hand_are_refused() {
    let chain = |length: usize, twice: usize| {
        let mut lists = String::from("lists:\n  l0: [10.0.0.0/8]\n");
        for n in 1..length {
            let inner = vec![format!("l{}", n - 1); twice].join(", ");
            writeln!(lists, "  l{n}: [{inner}]").expect("memory can be written");
        }
        let last = length - 1;
        format!("{lists}views: [{{name: v, match: [l{last}], zones: [a.zone]}}]\n")
    };
    let load = |text: String| load_views(Path::new("views.yaml"), &Views(text));
    assert!(load(chain(16, 2)).is_err(), "2^15 is too many elements");
    assert!(load(chain(13, 2)).is_ok());
    assert!(load(chain(16, 1)).is_ok());
    let deep = said(&chain(17, 1));
    assert!(deep[0].contains("more than 16 deep"), "{deep:?}");
    // The last of a long chain is looked at first here, and the mistake is the same one.
    let mut lines: Vec<String> = chain(400, 1).lines().map(String::from).collect();
    lines[1..401].reverse();
    let deep = said(&lines.join("\n"));
    assert!(deep[0].contains("more than 16 deep"), "{deep:?}");
}
