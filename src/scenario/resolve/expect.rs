//! Expectations: sentences and mappings become checks, each with its place.

mod query;
mod rule;

use crate::model::expect::{Check, Expectation, Who};
use crate::model::id::{Name, Node as LabNode};

use super::roam::Homes;
use super::{Agent, Resolver, Span, Step, User, file, format, present, with};
use crate::scenario::format::{Wrong, wrong};
use crate::scenario::names::Names;
use Step::{Index as I, Key as K};

/// Every form of a sentence.
const FORMS: &str = "write it like: agents in NETWORK use balancer/NAME; users never use \
                     balancer/NAME; every agent returns within 90s";

/// What is checked, and how it is said in one line.
pub(super) struct Said {
    pub(super) check: Check,
    pub(super) words: String,
}

impl Resolver<'_> {
    /// Resolves the expectations.
    pub(super) fn expect(
        &mut self,
        shapes: &file::Scenario,
        agents: &[Agent],
        users: &[User],
        duration: Span,
    ) -> Vec<Expectation> {
        let homes = Homes::new(agents, users);
        let mut resolved = Vec::new();
        for (index, entry) in present(&shapes.expect) {
            if self.mistakes.is_full() {
                break;
            }
            let steps = [K("expect"), I(index)];
            let expectation = match entry {
                file::Expect::Sentence(text) => {
                    let said = self.sentence(&steps, text);
                    said.map(|said| self.plain(&steps, said))
                }
                file::Expect::Rule(rule) => self.rule(&steps, rule, &homes, duration),
            };
            resolved.extend(expectation);
        }
        resolved
    }

    /// Makes an expectation of a check, with nothing said about when and how often.
    pub(super) fn plain(&self, steps: &[Step<'_>], said: Said) -> Expectation {
        let (mark, _) = super::place(self.tree, steps);
        Expectation {
            text: said.words.into(),
            place: mark.of(self.path),
            check: said.check,
            after: Span::ZERO,
            before: None,
            evidence: 1,
            abort: false,
        }
    }

    /// Reads a sentence, or adds what is wrong with it.
    pub(super) fn sentence(&mut self, steps: &[Step<'_>], text: &str) -> Option<Said> {
        match sentence(&self.names, text) {
            Ok(check) => {
                let words: Vec<&str> = text.split_whitespace().collect();
                let words = words.join(" ");
                Some(Said { check, words })
            }
            Err(wrong) => {
                self.wrong(steps, wrong.what, wrong.cure);
                None
            }
        }
    }
}

fn sentence(names: &Names, text: &str) -> Result<Check, Wrong> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let unknown = || wrong(format!("{text:?} is not an expectation"), FORMS);
    let verb = words.iter().position(|word| {
        matches!(
            *word,
            "use" | "uses" | "keep" | "keeps" | "never" | "return" | "returns"
        )
    });
    let (subject, rest) = words.split_at(verb.ok_or_else(unknown)?);
    match rest {
        ["never", "use" | "uses", balancer] | ["use" | "uses", balancer] => Ok(Check::Door {
            who: who(names, subject)?,
            balancer: door(names, balancer)?,
            uses: rest[0] != "never",
        }),
        ["keep" | "keeps", "a", "tunnel"] | ["keep" | "keeps", "tunnels"] => {
            let who = agents(names, subject, "keep a tunnel")?;
            Ok(Check::Keeps { who })
        }
        ["return" | "returns", within @ ..] => {
            let who = agents(names, subject, "return")?;
            let within = match within {
                [] => None,
                ["within", span @ ..] if !span.is_empty() => {
                    let span = format::duration(&span.join(" "))?;
                    Some(span)
                }
                _ => return Err(unknown()),
            };
            if within == Some(Span::ZERO) {
                return Err(wrong("nobody returns within no time", "write within 90s"));
            }
            Ok(Check::Returns { who, within })
        }
        _ => Err(unknown()),
    }
}

/// Reads who is meant, where only agents can be.
fn agents(names: &Names, words: &[&str], what: &str) -> Result<Who, Wrong> {
    let who = who(names, words)?;
    if matches!(who, Who::Users(_) | Who::Node(LabNode::User(_))) {
        return Err(wrong(
            format!("{who} cannot {what}: users have no tunnels to lose"),
            "write {metric: requests_failed, below: 1%}",
        ));
    }
    Ok(who)
}

fn door(names: &Names, text: &str) -> Result<Name, Wrong> {
    if let Some((kind, _)) = text.split_once('/').filter(|(kind, _)| *kind != "balancer") {
        return Err(wrong(
            format!("{text:?} is no door, but a {kind}"),
            "write it like balancer/internal",
        ));
    }
    names.balancer(text)
}

/// Reads who is meant.
fn who(names: &Names, words: &[&str]) -> Result<Who, Wrong> {
    let network = |name: &str| names.network(name).map(Some);
    match words {
        ["agents"] | ["every" | "all", "agent" | "agents"] => Ok(Who::Agents(None)),
        ["users"] | ["every" | "all", "user" | "users"] => Ok(Who::Users(None)),
        ["agents", "in", name] | ["every" | "all", "agent" | "agents", "in", name] => {
            network(name).map(Who::Agents)
        }
        ["users", "in", name] | ["every" | "all", "user" | "users", "in", name] => {
            network(name).map(Who::Users)
        }
        [node] => {
            let node = names.node(node)?;
            if matches!(node, LabNode::Agent(_) | LabNode::User(_)) {
                return Ok(Who::Node(node));
            }
            Err(wrong(
                format!("{node} uses no door"),
                "name an agent or a user",
            ))
        }
        _ => Err(wrong(
            format!("{:?} are nobody", words.join(" ")),
            "write agents, agents in NETWORK, users, users in NETWORK, agent/NAME or user/NAME",
        )),
    }
}

/// Gives the path of a key.
fn at<'a>(steps: &[Step<'a>], key: &'a str) -> Vec<Step<'a>> {
    with(steps, &[K(key)])
}
