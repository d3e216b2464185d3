//! Sessions of users at apps: the lab's stand-in for what Teleport keeps in its auth server.
//!
//! One value is shared by a pool's instances, so a login that begins at one ends at another. A
//! *session* is a text that the lab signs, bound to one app's host and valid for a time: nothing is
//! kept for it. A *launch* is a random token for one app's host, kept until it is taken, once.
//! Secrets are in no fact and no log.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::model::id::Name;

/// The session cookie of an app (Teleport `web-app`).
pub const COOKIE: &str = "__Host-grv_app_session";

/// The parameter that carries a launch's token.
pub const TOKEN: &str = "token";

/// How long a session is valid, in seconds: Teleport's default of `max_session_ttl` (from memory).
pub const SESSION_FOR: u64 = 12 * 3_600;

/// How long a launch's token is valid, in seconds: two redirects take no longer.
pub const LAUNCH_FOR: u64 = 60;

/// How many launches may be open at once; the oldest is forgotten for a new one.
pub const LAUNCHES_MAX: usize = 1_024;

/// How long a cookie may be that is looked at: a user's name of 64 characters makes 210.
const COOKIE_MAX: usize = 1_024;

/// The sessions of one pool. Clones are the same.
#[derive(Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    key: hmac::Key,
    launches: Mutex<VecDeque<Launch>>,
}

struct Launch {
    token: String,
    user: Name,
    host: String,
    until: u64,
}

impl Default for Sessions {
    fn default() -> Self {
        let key = random::<32>();
        Self {
            inner: Arc::new(Inner {
                key: hmac::Key::new(hmac::HMAC_SHA256, &key),
                launches: Mutex::default(),
            }),
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("key", &"***")
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// Makes the token that begins a session at this host, at the time `now` (Unix seconds).
    pub fn launch(&self, user: &Name, host: &str, now: u64) -> String {
        let token = hex(&random::<16>());
        let mut launches = self.launches();
        launches.retain(|launch| launch.until > now);
        if launches.len() >= LAUNCHES_MAX {
            launches.pop_front();
        }
        launches.push_back(Launch {
            token: token.clone(),
            user: user.clone(),
            host: host.to_owned(),
            until: now + LAUNCH_FOR,
        });
        token
    }

    /// Takes a launch's token: whose it is, if it is for this host, in time, and shown for the first
    /// time. One that is shown at another host is gone too.
    pub fn take(&self, token: &str, host: &str, now: u64) -> Option<Name> {
        let mut launches = self.launches();
        let place = launches.iter().position(|launch| launch.token == token)?;
        let launch = launches.remove(place)?;
        (launch.host == host && launch.until > now).then_some(launch.user)
    }

    /// Makes the cookie of a session at this host.
    pub fn begin(&self, user: &Name, host: &str, now: u64) -> String {
        let said = format!("{}.{}", hex(user.as_bytes()), now + SESSION_FOR);
        let tag = hmac::sign(&self.inner.key, signed(&said, host).as_bytes());
        format!("{said}.{}", hex(tag.as_ref()))
    }

    /// Tells whose session at this host a cookie is, if it is one and still valid.
    pub fn check(&self, cookie: &str, host: &str, now: u64) -> Option<Name> {
        if cookie.len() > COOKIE_MAX {
            return None;
        }
        let (said, tag) = cookie.rsplit_once('.')?;
        let text = signed(said, host);
        hmac::verify(&self.inner.key, text.as_bytes(), &unhex(tag)?).ok()?;
        let (user, until) = said.split_once('.')?;
        let until: u64 = until.parse().ok()?;
        let user = String::from_utf8(unhex(user)?).ok()?;
        (until > now).then(|| user.as_str().into())
    }

    fn launches(&self) -> MutexGuard<'_, VecDeque<Launch>> {
        self.inner
            .launches
            .lock()
            .expect("launches are only put in and taken out")
    }
}

/// What is signed: a host has no line break, so no two sessions have the same text.
fn signed(said: &str, host: &str) -> String {
    format!("session\n{host}\n{said}")
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system has a random source");
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let pairs = text.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;
    const HOST: &str = "orders.proxy.example.com";

    #[test]
    fn a_session_holds_for_its_app_and_its_time_alone() {
        let sessions = Sessions::default();
        let alice = Name::from("alice");
        let cookie = sessions.begin(&alice, HOST, NOW);
        assert_eq!(sessions.check(&cookie, HOST, NOW), Some(alice));
        assert_eq!(
            sessions.check(&cookie, "kiosk.proxy.example.com", NOW),
            None
        );
        assert_eq!(sessions.check(&cookie, HOST, NOW + SESSION_FOR), None);
        let other = Sessions::default();
        assert_eq!(other.check(&cookie, HOST, NOW), None, "another lab's key");
    }

    #[test]
    fn a_cookie_that_was_changed_anywhere_is_none() {
        let sessions = Sessions::default();
        let cookie = sessions.begin(&"alice".into(), HOST, NOW);
        for place in 0..cookie.len() {
            let mut changed = cookie.clone().into_bytes();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(sessions.check(&changed, HOST, NOW), None, "{place}");
        }
        for odd in ["", ".", "..", "é.é.é", "61.9.0", "6.1.a"] {
            assert_eq!(sessions.check(odd, HOST, NOW), None, "{odd}");
        }
    }

    #[test]
    fn a_token_is_taken_once_at_its_app_and_in_time() {
        let sessions = Sessions::default();
        let alice = Name::from("alice");
        let token = sessions.launch(&alice, HOST, NOW);
        assert_eq!(sessions.take(&token, HOST, NOW), Some(alice.clone()));
        assert_eq!(sessions.take(&token, HOST, NOW), None, "a second time");
        let token = sessions.launch(&alice, HOST, NOW);
        let elsewhere = "kiosk.proxy.example.com";
        assert_eq!(sessions.take(&token, elsewhere, NOW), None);
        assert_eq!(
            sessions.take(&token, HOST, NOW),
            None,
            "it was shown elsewhere"
        );
        let token = sessions.launch(&alice, HOST, NOW);
        assert_eq!(sessions.take(&token, HOST, NOW + LAUNCH_FOR), None);
        assert_eq!(sessions.take("", HOST, NOW), None);
    }

    #[test]
    fn launches_are_bounded() {
        let sessions = Sessions::default();
        let first = sessions.launch(&"alice".into(), HOST, NOW);
        for _ in 0..LAUNCHES_MAX {
            sessions.launch(&"alice".into(), HOST, NOW);
        }
        assert_eq!(sessions.launches().len(), LAUNCHES_MAX);
        assert_eq!(sessions.take(&first, HOST, NOW), None, "it was the oldest");
    }
}
