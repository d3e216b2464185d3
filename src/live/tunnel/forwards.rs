//! What a stand-in forwards: the names of its remote forwards, and how a stream to one is opened.
//!
//! `ssh -N -R NAME:0:HOST:PORT` asks the server to listen at the address NAME; here nothing listens,
//! the name stands for an app or a database. `-R NAME:HOST:PORT` is no such thing to ssh; a path
//! (`-R /NAME:HOST:PORT`) is, and its last part is the name. Bytes start at once: there is no answer.

use std::sync::{Arc, Mutex, MutexGuard};

use russh::server::{Handle, Msg};
use russh::{Channel, ChannelOpenFailure};

use super::message::DialReq;
use super::server::Refused;
use crate::model::id::Name;
use crate::policy::proxy::FORWARDS_MAX;

/// The port that the first forward gets which asks for any; nobody listens on it.
const PORT_FIRST: u32 = 1;

/// The forwards of one stand-in. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Forwards {
    known: Arc<Mutex<Vec<Forward>>>,
}

#[derive(Clone, Debug)]
struct Forward {
    name: Name,
    way: Way,
}

/// How the client knows the forward.
#[derive(Clone, Debug)]
enum Way {
    Path(String),
    Tcp { address: String, port: u32 },
}

impl Forwards {
    /// Takes a forward of TCP, and sets the port when any will do; `false` refuses it.
    pub(super) fn add_tcp(&self, address: &str, port: &mut u32) -> bool {
        let mut known = self.lock();
        if *port == 0 {
            *port = PORT_FIRST + u32::try_from(known.len()).unwrap_or(0);
        }
        let way = Way::Tcp {
            address: address.to_owned(),
            port: *port,
        };
        add(&mut known, address, way)
    }

    /// Takes a forward of a socket's path; `false` refuses it.
    pub(super) fn add_path(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        add(&mut self.lock(), name, Way::Path(path.to_owned()))
    }

    /// Gives all names.
    pub(super) fn names(&self) -> Vec<Name> {
        self.lock()
            .iter()
            .map(|forward| forward.name.clone())
            .collect()
    }

    /// Opens a channel to what is forwarded under the name that is asked for.
    pub(super) async fn open(
        &self,
        handle: &Handle,
        dial: &DialReq,
    ) -> Result<Channel<Msg>, Refused> {
        let name = &dial.address;
        let way = {
            let known = self.lock();
            let found = known.iter().rev().find(|forward| *forward.name == **name);
            found.map(|forward| forward.way.clone())
        };
        let opened = match way {
            None => {
                let why = format!("this stand-in forwards nothing named {name:?}");
                return Err(Refused::Agent(why));
            }
            Some(Way::Path(path)) => handle.channel_open_forwarded_streamlocal(path).await,
            Some(Way::Tcp { address, port }) => {
                let client = dial.client_src_addr.parse::<std::net::SocketAddr>();
                let (host, from) = client.map_or_else(
                    |_| (String::from("0.0.0.0"), 0),
                    |client| (client.ip().to_string(), client.port()),
                );
                let opened = handle.channel_open_forwarded_tcpip(address, port, host, from.into());
                opened.await
            }
        };
        opened.map_err(|error| {
            // OpenSSH says so when the app does not answer: its tunnel is as good as before.
            let failed = ChannelOpenFailure::ConnectFailed;
            if matches!(&error, russh::Error::ChannelOpenFailure(why) if *why == failed) {
                Refused::Agent(format!("the stand-in did not reach {name:?}"))
            } else {
                Refused::Closed(error.to_string())
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Forward>> {
        self.known.lock().expect("nothing panics under this lock")
    }
}

/// Names that a forward without one has: ssh means "every address" or "this machine" by them.
const NO_NAMES: [&str; 6] = ["", "*", "localhost", "127.0.0.1", "::1", "0.0.0.0"];

fn add(known: &mut Vec<Forward>, name: &str, way: Way) -> bool {
    let taken = known.iter().any(|forward| *forward.name == *name);
    if NO_NAMES.contains(&name) || taken || known.len() >= FORWARDS_MAX {
        return false;
    }
    known.push(Forward {
        name: name.into(),
        way,
    });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_is_known_by_the_name_that_it_binds() {
        let forwards = Forwards::default();
        let mut port = 0;
        assert!(forwards.add_tcp("wiki", &mut port));
        assert_ne!(port, 0, "ssh is told a port");
        assert!(forwards.add_path("/run/ledger"));
        assert_eq!(forwards.names(), ["wiki", "ledger"].map(Name::from));
        assert!(!forwards.add_tcp("wiki", &mut port), "a name is taken once");
    }

    #[test]
    fn a_forward_without_a_name_is_refused() {
        let forwards = Forwards::default();
        for address in NO_NAMES {
            assert!(!forwards.add_tcp(address, &mut 0), "{address:?}");
        }
        for number in 0..FORWARDS_MAX {
            assert!(forwards.add_tcp(&format!("app-{number}"), &mut 0));
        }
        assert!(!forwards.add_tcp("one-more", &mut 0), "there is a bound");
    }
}
