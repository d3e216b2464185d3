//! Expectations that ask: a question, who asks it, and what must come back.

use std::net::IpAddr;

use crate::model::expect::{AnswerCheck, Check};
use crate::model::id::{Name, Node as LabNode};

use super::super::addresses::Wish;
use super::super::{EVERY_MIN, Resolver, Span, Step, file, format, present, with};
use super::{Homes, Said, at};
use Step::{Index as I, Key as K};
use file::Rule;

/// From one question to the next, unless told.
const EVERY_DEFAULT: Span = Span::from_secs(5);

impl Resolver<'_> {
    pub(super) fn query(
        &mut self,
        steps: &[Step<'_>],
        rule: &Rule,
        homes: &Homes<'_>,
    ) -> Option<Said> {
        let asks = ["answer", "not_in", "rcode", "view"];
        if !asks.iter().any(|key| self.written(&at(steps, key))) {
            let what = "a question without an answer to expect";
            self.wrong(steps, what, "add answer: [...], not_in, rcode or view");
        }
        let from = self.asker(steps, rule, homes);
        let every = rule.every.as_deref();
        let every = self.span(&at(steps, "every"), every, EVERY_DEFAULT);
        if every < EVERY_MIN {
            let what = format!("{every} is too short: it would measure only this machine");
            self.wrong(&at(steps, "every"), what, "at least 10ms");
        }
        let view = match rule.view.as_deref().map(|view| self.names.view(view)) {
            Some(Ok(view)) => Some(view),
            Some(Err(wrong)) => {
                self.wrong(&at(steps, "view"), wrong.what, wrong.cure);
                None
            }
            None => None,
        };
        let not_in = self.ranges(steps, rule);
        let (name, rtype) = format::question(rule.query.as_deref()?).ok()?;
        if !rule.not_in.iter().flatten().flatten().all(String::is_empty)
            && !matches!(rtype, "A" | "AAAA")
        {
            let what = format!("{rtype} records hold no addresses to be in a network");
            self.wrong(&at(steps, "not_in"), what, "ask for A or AAAA");
        }
        let answer = rule
            .answer
            .as_ref()
            .map(|_| self.answer(steps, rule, rtype));
        let (from, client) = from?;
        let mut words = format!("{} {rtype} from {client}", name.trim_end_matches('.'));
        if let Some(answer) = &answer {
            let answer: Vec<&str> = answer.iter().map(|data| &**data).collect();
            words = format!("{words} is [{}]", answer.join(", "));
        }
        let not_in_words: Vec<&str> = present(&rule.not_in)
            .into_iter()
            .map(|(_, text)| text.as_str())
            .collect();
        if !not_in_words.is_empty() {
            words = format!("{words} not in {}", not_in_words.join(", "));
        }
        if let Some(rcode) = &rule.rcode {
            words = format!("{words} with {rcode}");
        }
        if let Some(view) = &view {
            words = format!("{words} by view/{view}");
        }
        Some(Said {
            check: Check::Answer(AnswerCheck {
                name: name.into(),
                rtype: rtype.into(),
                from,
                client,
                every,
                answer,
                not_in,
                rcode: rule.rcode.as_deref().map(Into::into),
                view,
            }),
            words,
        })
    }

    /// Gives the address that asks: a node's own, or a free one of a network.
    fn asker(
        &mut self,
        steps: &[Step<'_>],
        rule: &Rule,
        homes: &Homes<'_>,
    ) -> Option<(IpAddr, Name)> {
        let here = at(steps, "from");
        let Some(text) = rule.from.as_deref() else {
            if !self.written(&here) {
                let what = "who asks decides what is answered, and nobody is named";
                self.wrong(
                    steps,
                    what,
                    "add from: NETWORK, agent/NAME, user/NAME or an address",
                );
            }
            return None;
        };
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some((address.to_canonical(), text.into()));
        }
        let bare = text.strip_prefix("network/");
        if bare.is_some() || !text.contains('/') {
            let network = match self.names.network(bare.unwrap_or(text)) {
                Ok(network) => network,
                Err(wrong) => {
                    let cure = if wrong.cure.is_empty() || bare.is_some() {
                        wrong.cure
                    } else {
                        format!("{} Or name agent/NAME, user/NAME or an address", wrong.cure)
                    };
                    self.wrong(&here, wrong.what, cure);
                    return None;
                }
            };
            let address = self.asking(steps, &network)?;
            return Some((address, network));
        }
        match self.names.node(text) {
            Ok(node @ (LabNode::Agent(_) | LabNode::User(_))) => {
                let (_, address) = homes.of(&node)?;
                Some((address, text.into()))
            }
            Ok(other) => {
                let what = format!("{other} asks no questions");
                self.wrong(
                    &here,
                    what,
                    "name a network, an agent, a user or an address",
                );
                None
            }
            Err(wrong) => {
                self.wrong(&here, wrong.what, wrong.cure);
                None
            }
        }
    }

    /// Gives the address that asks for a network: one that nobody has, the same for every question.
    fn asking(&mut self, steps: &[Step<'_>], network: &Name) -> Option<IpAddr> {
        if let Some(address) = self.askers.get(network) {
            return Some(*address);
        }
        let wish = Wish {
            steps,
            who: format!("the questions from {network}"),
            network: Some(network),
        };
        let address = self.free(&wish, "from")?;
        self.askers.insert(network.clone(), address);
        Some(address)
    }

    fn ranges(&mut self, steps: &[Step<'_>], rule: &Rule) -> Vec<ipnet::IpNet> {
        let mut ranges = Vec::new();
        for (index, text) in present(&rule.not_in) {
            let name = text.strip_prefix("network/").unwrap_or(text);
            let network = self.networks.iter().find(|network| &*network.name == name);
            if let Some(network) = network {
                ranges.extend(network.ranges.iter().copied());
                continue;
            }
            match format::cidr(text) {
                Ok(range) => ranges.push(range),
                Err(wrong) => {
                    let here = with(steps, &[K("not_in"), I(index)]);
                    if text.contains(['.', ':', '/']) {
                        self.wrong(&here, wrong.what, wrong.cure);
                    } else if !self.names.networks.may_have(name) {
                        let cure = self.names.networks.cure(name);
                        let cure = if cure.is_empty() { wrong.cure } else { cure };
                        self.wrong(&here, format!("there is no network {name:?}"), cure);
                    }
                }
            }
        }
        ranges
    }

    /// Reads the data of an answer; addresses are written as they are shown.
    fn answer(&mut self, steps: &[Step<'_>], rule: &Rule, rtype: &str) -> Vec<Name> {
        let mut answer = Vec::new();
        for (index, text) in present(&rule.answer) {
            let (kind, address, example) = match rtype {
                "A" => ("IPv4", text.parse().ok().map(IpAddr::V4), "127.10.0.2"),
                "AAAA" => ("IPv6", text.parse().ok().map(IpAddr::V6), "\"::1\""),
                _ => {
                    answer.push(text.as_str().into());
                    continue;
                }
            };
            let Some(address) = address else {
                let what = format!("{text:?} is not an {kind} address, as {rtype} records hold");
                let here = with(steps, &[K("answer"), I(index)]);
                self.wrong(&here, what, format!("write it like {example}"));
                continue;
            };
            answer.push(address.to_string().into());
        }
        answer
    }
}
