//! A user's login: from the launch page to the app's own host, where the session begins.
//!
//! Live a token travels from the one to the other, and a cookie comes of it; here the name does.

use super::{HostPort, Input, Purpose, RequestId, TIMEOUT, World};
use crate::model::id::Name;
use crate::model::time::Time;
use crate::sim::event::Redirection;

/// A login that is under way.
#[derive(Debug)]
pub(super) struct Login {
    to: HostPort,
    until: Time,
    /// Whether the launch page has answered.
    launched: bool,
}

impl Login {
    /// Tells whether the launch page has answered.
    pub(super) const fn is_launched(&self) -> bool {
        self.launched
    }

    /// Gives where it is.
    pub(super) const fn at(&self) -> &HostPort {
        &self.to
    }
}

impl World<'_> {
    /// Follows a visit's redirect to the launch page.
    pub(super) fn begin_login(&mut self, index: u32, request: RequestId, to: HostPort) {
        let until = self.now + TIMEOUT;
        let user = &mut self.users[index as usize];
        // Both sides made the same path: the host of the app that is visited.
        let path = user.redirected.take().unwrap_or_else(|| String::from("/"));
        user.login = Some(Login {
            to: to.clone(),
            until,
            launched: false,
        });
        self.login_step(index, request.0, (to, path), None);
    }

    /// The launch page led to the app's host, or that host has begun the session.
    pub(super) fn login_led_on(&mut self, index: u32, attempt: u64, led: Redirection) {
        let user = &mut self.users[index as usize];
        let Some(login) = &mut user.login else { return };
        let Some((name, host)) = led.login else {
            return;
        };
        if login.launched {
            user.login = None;
            user.sessions.insert(host);
            let request = RequestId(attempt);
            return self.tell_user(index, Input::LoggedIn { request });
        }
        login.launched = true;
        login.to = led.to.clone();
        // A new login begins without the old cookie.
        user.sessions.remove(&*led.to.host);
        self.login_step(index, attempt, (led.to, led.path), Some(name));
    }

    fn login_step(
        &mut self,
        index: u32,
        attempt: u64,
        (to, path): (HostPort, String),
        token: Option<Name>,
    ) {
        let login = &self.users[index as usize].login;
        let until = login.as_ref().map_or(self.now, |login| login.until);
        let what = (Purpose::Launch, attempt);
        self.ask_as_user(index, what, to, until, (path, token));
    }
}
