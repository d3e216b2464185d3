//! What `explain dial` shows: lines for people, and keys for scripts.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Explained;
use crate::lab::lead::Lead;
use crate::model::escaped::Escaped;
use crate::policy::address::{Fate, VARIABLE};
use crate::policy::principals::covers;

impl Explained {
    /// Gives the name that TLS verifies at the dial; none where SSH is spoken at once.
    fn tls_name(&self) -> Option<&str> {
        let found = self.found.as_ref().ok()?;
        self.document.tls_routing.then_some(&*found.address.host)
    }

    /// Tells whether the dialled host is among the principals, where those are known.
    fn listed(&self) -> Option<bool> {
        let host = &self.found.as_ref().ok()?.address.host;
        let pool = self.pool.as_ref()?;
        Some(pool.principals.iter().any(|name| **name == **host))
    }

    /// Tells whether the web certificate has a name, where its names are known.
    fn on_web_certificate(&self, name: Option<&str>) -> Option<bool> {
        let (name, pool) = (name?, self.pool.as_ref()?);
        Some(pool.web_names.iter().any(|known| covers(known, name)))
    }

    pub(super) fn json(&self) -> Value {
        let found = self.found.as_ref().ok();
        let rule = match &self.found {
            Ok(found) => found.rule,
            Err(unfound) => unfound.rule,
        };
        let rules = self.considered.iter().map(|considered| {
            json!({
                "rule": considered.rule.word(),
                "key": considered.rule.key(),
                "value": considered.value,
                "won": considered.fate == Fate::Won,
                "why": match considered.fate {
                    Fate::Won => considered.rule.text(),
                    Fate::Lost(why) => why,
                },
            })
        });
        let findings = self.findings.iter().map(|(finding, place)| {
            json!({
                "id": finding.id,
                "severity": finding.severity.word(),
                "subject": finding.subject.to_string(),
                "place": place,
                "what": finding.what,
                "cure": finding.cure,
            })
        });
        let seed = self.seed.as_ref();
        let find_name = seed.map(|seed| &*seed.host);
        let pool = self.pool.as_ref();
        let listener = pool.and_then(|pool| pool.listener.as_ref());
        let (find_lead, dial_lead) = match &self.leads {
            Some((find, dial)) => (find.as_ref(), dial.as_ref()),
            None => (None, None),
        };
        let mut value = json!({
            "schema": "twodoors.explain/1",
            "tunnel_address": found.map(|found| found.address.to_string()),
            "rule": rule.word(),
            "rules": rules.collect::<Vec<_>>(),
            "tls_routing": self.document.tls_routing,
            "tls_name": self.tls_name(),
            "tls_name_in_certificate": self.on_web_certificate(self.tls_name()),
            "ssh_principal_checked": found.map(|found| &*found.address.host),
            "ssh_principal_listed": self.listed(),
            "principals": pool.map(|pool| &pool.principals),
            "web_names": pool.map(|pool| &pool.web_names),
            "find": seed.map(ToString::to_string),
            "find_name_in_certificate": self.on_web_certificate(find_name),
            "listener": listener.map(|(port, _)| port.word()),
            "service": listener.map(|(_, words)| words),
            "find_leads": find_lead.map(lead_json),
            "dial_leads": dial_lead.map(lead_json),
            "findings": findings.collect::<Vec<_>>(),
        });
        if let Err(unfound) = &self.found {
            value["error"] = json!(unfound.text);
            value["cause"] = json!(unfound.cause.word());
        }
        value
    }

    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        match &self.found {
            Ok(found) => {
                writeln!(text, "address    {}", found.address)?;
                writeln!(text, "rule       {}", found.rule)?;
            }
            Err(unfound) => {
                writeln!(text, "address    none: {unfound}")?;
                writeln!(text, "rule       {}", unfound.rule)?;
            }
        }
        for considered in &self.considered {
            let value = match considered.value.as_str() {
                "" => "-",
                value => value,
            };
            let fate = match considered.fate {
                Fate::Won => "won",
                Fate::Lost(why) => why,
            };
            let name = considered.rule.word();
            writeln!(text, "considered {name:<28} {value:<32} {fate}")?;
        }
        self.verified(&mut text)?;
        if let Some(pool) = &self.pool {
            if let Some((port, words)) = &pool.listener {
                writeln!(text, "listener   {port}: {words}")?;
            }
            writeln!(text, "principals {}", pool.principals.join(" "))?;
        } else {
            writeln!(
                text,
                "principals not known: a find document does not tell them, the proxies' file does"
            )?;
        }
        if let Some((find, dial)) = &self.leads {
            for (what, lead) in [("find goes", find), ("dial goes", dial)] {
                if let Some(lead) = lead {
                    writeln!(text, "{what:<10} {}", lead.words())?;
                }
            }
        }
        for (finding, place) in &self.findings {
            let place = place.as_deref().unwrap_or("-");
            let (severity, id) = (finding.severity, finding.id);
            writeln!(text, "finding    {severity} {id}  {place}")?;
            writeln!(text, "           {}", finding.what)?;
            writeln!(text, "           cure: {}", finding.cure)?;
        }
        // Addresses are others' texts, and this goes to a terminal.
        let mut shown = String::new();
        for line in text.lines() {
            writeln!(shown, "{}", Escaped(line))?;
        }
        Ok(shown)
    }

    fn verified(&self, text: &mut String) -> std::fmt::Result {
        let certificate = |name| match self.on_web_certificate(name) {
            Some(true) => "in the web certificate",
            Some(false) => "NOT in the web certificate",
            None => "the web certificate is not known",
        };
        match &self.seed {
            Some(seed) => {
                let words = certificate(Some(&seed.host));
                writeln!(
                    text,
                    "find       https://{seed}/webapi/find, TLS verifies {}: {words}",
                    seed.host
                )?;
            }
            None => writeln!(
                text,
                "find       asked where the agent's file says; give --agent"
            )?,
        }
        if self.variable.is_some() {
            writeln!(
                text,
                "           {VARIABLE} does not bypass it: it tells the listener mode"
            )?;
        }
        let Ok(found) = &self.found else {
            return Ok(());
        };
        match self.tls_name() {
            Some(name) => writeln!(
                text,
                "TLS        verifies {name}: {}",
                certificate(Some(name))
            )?,
            None => writeln!(
                text,
                "TLS        none: without TLS routing SSH begins at once"
            )?,
        }
        let listed = match self.listed() {
            Some(true) => "among the principals",
            Some(false) => "NOT among the principals: the handshake fails",
            None => "the principals are not known",
        };
        writeln!(text, "SSH        verifies {}: {listed}", found.address.host)
    }
}

fn lead_json(lead: &Lead) -> Value {
    let door = lead.door.as_ref();
    json!({
        "name": lead.to.to_string(),
        "view": lead.view,
        "address": lead.address.map(|address| address.to_string()),
        "balancer": door.map(|(name, _)| name),
        "allowed": door.map(|(_, allowed)| allowed),
    })
}
