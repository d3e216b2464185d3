//! What one step does: an operator's act, a fault, another record set.

use crate::model::fact::Act;
use crate::model::fault::{Effect, Fault};
use crate::model::timeline::{RecordChange, What};

use super::super::{LabNode, Name, Resolver, Step, file, format, present, with};
use super::{Deed, Homes, list};
use crate::scenario::fault;
use Step::{Index as I, Key as K};
use file::Do;

impl Resolver<'_> {
    /// Reads what a step does.
    pub(super) fn deed(
        &mut self,
        steps: &[Step<'_>],
        step: &file::Step,
        homes: &mut Homes<'_>,
    ) -> Option<Deed> {
        let Some(word) = step.what else {
            // Within a parallel the schema asks for it.
            let is_part = steps.len() > 2;
            if !is_part && !self.written(&with(steps, &[K("do")])) {
                let what = "this step does nothing";
                self.wrong(
                    steps,
                    what,
                    "add do: stop, or another word; or parallel: [...]",
                );
            }
            return None;
        };
        self.keys_of(steps, word);
        match word {
            Do::Drain => self.act(steps, step, Act::Drain),
            Do::Kill => self.act(steps, step, Act::Kill),
            Do::Start => self.act(steps, step, Act::Start),
            Do::Stop => self.act(steps, step, Act::Stop),
            Do::Certificate => Some(certificate(step)),
            Do::Record => self.record(steps, step),
            Do::Reload => Some(Deed {
                what: What::Reload,
                words: String::from("reload"),
            }),
            Do::Roam => {
                let roam = self.roam(steps, step, homes)?;
                Some(Deed {
                    words: format!("roam {} to {} ({})", roam.node, roam.network, roam.address),
                    what: What::Roam(roam),
                })
            }
            Do::Wait => self.wait(steps, step),
            Do::Blackhole
            | Do::Drop
            | Do::HalfOpen
            | Do::Jitter
            | Do::Latency
            | Do::Partition
            | Do::Pause
            | Do::Refuse
            | Do::ResetPeer
            | Do::Servfail
            | Do::Stale
            | Do::TtlFloor
            | Do::ViewFlip => self.fault(steps, step, word.word()),
        }
    }

    /// Refuses the keys that mean nothing to a word.
    fn keys_of(&mut self, steps: &[Step<'_>], word: Do) {
        let own: &[&str] = match word {
            Do::Drain | Do::Kill | Do::Stop => &["target", "for"],
            Do::Start => &["target"],
            Do::Certificate => &["names"],
            Do::Record => &["view", "name", "type", "ttl", "data"],
            Do::Reload => &[],
            Do::Roam => &["target", "to", "address"],
            Do::Wait => &["for"],
            Do::Jitter | Do::Latency | Do::TtlFloor => &["target", "for", "by"],
            Do::ViewFlip => &["target", "for", "to"],
            Do::Blackhole
            | Do::Drop
            | Do::HalfOpen
            | Do::Partition
            | Do::Pause
            | Do::Refuse
            | Do::ResetPeer
            | Do::Servfail
            | Do::Stale => &["target", "for"],
        };
        let always = ["do", "at", "when", "after", "every", "until"];
        let keys: Vec<&str> = always.iter().chain(own).copied().collect();
        self.only(steps, &keys, word.word(), "take it out");
    }

    fn act(&mut self, steps: &[Step<'_>], step: &file::Step, act: Act) -> Option<Deed> {
        let text = self.target(steps, step, "balancer/external")?;
        let at = with(steps, &[K("target")]);
        let node = match self.names.node(text) {
            Ok(node) => node,
            Err(wrong) => {
                self.wrong(&at, wrong.what, wrong.cure);
                return None;
            }
        };
        match (&node, act) {
            (LabNode::Agent(_) | LabNode::Balancer(_) | LabNode::Proxy(_), _)
            | (LabNode::User(_), Act::Kill | Act::Start | Act::Stop) => Some(Deed {
                words: format!("{act} {node}"),
                what: What::Act { node, act },
            }),
            (LabNode::User(_), Act::Drain) => {
                let what = format!("{node} serves nobody, so there is nothing to drain");
                self.wrong(&at, what, "write do: stop");
                None
            }
            (LabNode::Dns | LabNode::Lab | LabNode::Resolver(_), _) => {
                let what = format!("{node} runs as long as the lab");
                let cure = "for a DNS server that does not answer, write do: drop with target: dns";
                self.wrong(&at, what, cure);
                None
            }
        }
    }

    fn fault(&mut self, steps: &[Step<'_>], step: &file::Step, word: &str) -> Option<Deed> {
        let (by, to) = (step.by.as_deref(), step.to.as_deref());
        let unread = |key: &'static str, text: Option<&str>| {
            text.is_none() && self.tree.at(&with(steps, &[K(key)])).is_some()
        };
        // What is unsound has been told, and what means nothing to the word, too.
        let takes_by = matches!(word, "jitter" | "latency" | "ttl_floor");
        let takes_to = word == "view_flip";
        let is_unread = (takes_by && unread("by", by)) || (takes_to && unread("to", to));
        let by = by.filter(|_| takes_by);
        let to = to.filter(|_| takes_to);
        let effect = if is_unread {
            None
        } else {
            match fault::effect(&self.names, word, by, to) {
                Ok(effect) => Some(effect),
                Err((key, wrong)) => {
                    self.wrong_at(steps, key, wrong);
                    None
                }
            }
        };
        let example = match word {
            "partition" => "network/internal <-> network/external",
            "half_open" => "network/internal -> balancer/internal",
            "drop" | "servfail" | "stale" => "dns",
            "ttl_floor" => "resolver/NAME",
            "view_flip" => "view/NAME",
            _ => "balancer/external",
        };
        let text = self.target(steps, step, example)?;
        let target = match fault::target(&self.names, word, text) {
            Ok(target) => target,
            Err(wrong) => {
                self.wrong_at(steps, "target", wrong);
                return None;
            }
        };
        let fault = Fault {
            target,
            effect: effect?,
        };
        if let Some(wrong) = fault::goes_elsewhere(&fault) {
            self.wrong_at(steps, "to", wrong);
        }
        // As it was written: 50ms, not 50.0ms.
        let dose = if let Effect::ViewFlip { to } = &fault.effect {
            format!(" to {to}")
        } else {
            by.map(|by| format!(" {by}")).unwrap_or_default()
        };
        Some(Deed {
            words: format!("{word}{dose} on {}", fault.target),
            what: What::Fault(fault),
        })
    }

    fn wait(&mut self, steps: &[Step<'_>], step: &file::Step) -> Option<Deed> {
        let waits = ["for", "when", "at", "after"];
        if !waits
            .iter()
            .any(|key| self.written(&with(steps, &[K(key)])))
        {
            let what = "wait needs to know how long, or for what";
            self.wrong(steps, what, "add for: 10s, or when: mesh");
            return None;
        }
        let words = match (&step.lasts, &step.when) {
            (Some(lasts), _) => format!("wait {lasts}"),
            (None, Some(when)) => format!("wait for {when}"),
            (None, None) => String::from("wait"),
        };
        Some(Deed {
            what: What::Wait,
            words,
        })
    }

    fn record(&mut self, steps: &[Step<'_>], step: &file::Step) -> Option<Deed> {
        for (key, example) in [
            ("name", "proxy.example.com"),
            ("type", "A"),
            ("data", "[127.10.0.2]; an empty list removes the records"),
        ] {
            if !self.written(&with(steps, &[K(key)])) {
                let what = format!("record needs {key}");
                self.wrong(steps, what, format!("add {key}: {example}"));
            }
        }
        let view = match step.view.as_deref().map(|view| self.names.view(view)) {
            Some(Ok(view)) => Some(view),
            Some(Err(wrong)) => {
                self.wrong_at(steps, "view", wrong);
                None
            }
            None => None,
        };
        let ttl = self.ttl(steps, step.ttl.as_deref());
        let name = format::owner(step.name.as_deref()?).ok()?;
        if self.zones_known && !self.zones.iter().any(|zone| holds(&zone.origin, &name)) {
            let origins: Vec<&str> = self.zones.iter().map(|zone| &*zone.origin).collect();
            let what = format!("no view has a zone that {name} is in");
            let cure = format!("take a name below {}", origins.first().unwrap_or(&"a zone"));
            self.wrong(&with(steps, &[K("name")]), what, cure);
        }
        let rtype = format::record_type(step.rtype.as_deref()?).ok()?;
        let mut data: Vec<Name> = Vec::new();
        step.data.as_ref()?;
        for (index, text) in present(&step.data) {
            if let Err(wrong) = self.data(rtype, text) {
                let at = with(steps, &[K("data"), I(index)]);
                self.wrong(&at, wrong.what, wrong.cure);
            }
            data.push(text.as_str().into());
        }
        let mut words = match &*data {
            [] => format!("record {name} {rtype} removed"),
            data => format!("record {name} {rtype} {} (TTL {ttl} s)", list(data)),
        };
        if let Some(view) = &view {
            words = format!("{words} in view/{view}");
        }
        let change = RecordChange {
            view,
            name: name.into(),
            rtype: rtype.into(),
            ttl,
            data,
        };
        Some(Deed {
            what: What::Record(change),
            words,
        })
    }

    /// Looks at the data of addresses; that of other types is read with the zones.
    fn data(&self, rtype: &str, text: &str) -> Result<(), format::Wrong> {
        let (kind, fits, example) = match rtype {
            "A" => (
                "IPv4",
                text.parse::<std::net::Ipv4Addr>().is_ok(),
                "127.10.0.2",
            ),
            "AAAA" => (
                "IPv6",
                text.parse::<std::net::Ipv6Addr>().is_ok(),
                "\"::1\"",
            ),
            _ => return Ok(()),
        };
        if fits {
            return Ok(());
        }
        Err(format::wrong(
            format!("{text:?} is not an {kind} address, as {rtype} records hold"),
            format!("write it like {example}"),
        ))
    }

    fn ttl(&mut self, steps: &[Step<'_>], text: Option<&str>) -> u32 {
        let span = text.and_then(|text| format::duration(text).ok());
        let Some(span) = span else {
            return TTL_DEFAULT;
        };
        let seconds = span.as_us() / 1_000_000;
        if !span.as_us().is_multiple_of(1_000_000) {
            let what = "a TTL counts whole seconds";
            self.wrong(&with(steps, &[K("ttl")]), what, format!("write {seconds}s"));
        }
        u32::try_from(seconds).unwrap_or(TTL_DEFAULT)
    }
}

/// The TTL of a record set that names none, seconds.
const TTL_DEFAULT: u32 = 60;

fn certificate(step: &file::Step) -> Deed {
    let names = present(&step.names);
    let names = names.into_iter().filter_map(|(_, name)| {
        let name = format::owner(name).ok()?;
        Some(Name::from(name.trim_end_matches('.')))
    });
    let names: Vec<Name> = names.collect();
    let words = match &*names {
        [] => String::from("certificate"),
        names => format!("certificate for {}", list(names)),
    };
    Deed {
        what: What::Certificate { names },
        words,
    }
}

/// Tells whether a name is in a zone, both absolute and in lower case.
fn holds(origin: &str, name: &str) -> bool {
    origin == "."
        || name == origin
        || name
            .strip_suffix(origin)
            .is_some_and(|rest| rest.ends_with('.'))
}
