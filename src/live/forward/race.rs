//! One question to several servers: the best first, the next one beside it when that one is silent.
//!
//! In go a question and how long it may take; out comes the first answer worth having, and whose it
//! is. A server that is slow is still listened to while others are asked, so that one which has to
//! ask the world itself is not taken for dead. `policy/upstream` says who is asked in which order.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{exchange, question};
use crate::live::clock::Clock;
use crate::model::time::{Span, Time};
use crate::policy::answer::ERROR_TEXT_MAX;
use crate::policy::resolver::{ERRORS_MAX, Extended, NETWORK_ERROR, NO_REACHABLE_AUTHORITY, Reply};
use crate::policy::upstream::{ATTEMPTS_MAX, NEXT_AFTER, Upstreams};

/// The code of the option that holds an extended error (RFC 8914 section 2).
const EXTENDED_ERROR: u16 = 15;

/// Servers that are asked, and what is known of them.
pub(in crate::live) struct Others {
    clock: Clock,
    upstreams: Mutex<Upstreams>,
}

/// What a question came to.
pub(in crate::live) struct Heard {
    pub(in crate::live) reply: Reply,
    /// Whose answer it is.
    pub(in crate::live) server: Option<SocketAddr>,
    /// Whether all that were asked were silent.
    pub(in crate::live) timed_out: bool,
}

/// What one server said.
enum Said {
    /// A referral: it does not ask others, and does not know (RFC 9520 section 2.3).
    Lame,
    Reply(Reply),
}

/// One attempt.
struct Attempt {
    server: SocketAddr,
    at: Time,
    /// Whether it came to an end.
    settled: bool,
}

/// A question that is being asked.
struct Race<'o> {
    others: &'o Others,
    order: Vec<SocketAddr>,
    asked: Vec<Attempt>,
    running: JoinSet<(usize, io::Result<Said>)>,
    /// The best of the answers that nobody wants.
    bad: Option<(SocketAddr, Reply)>,
    lame: usize,
    unreached: Option<io::ErrorKind>,
}

impl Others {
    pub(in crate::live) fn new(servers: &[SocketAddr], clock: Clock) -> Self {
        Self {
            clock,
            upstreams: Mutex::new(Upstreams::new(servers)),
        }
    }

    /// Asks until a server answers or the time is over.
    pub(in crate::live) async fn ask(
        &self,
        name: &Name,
        record_type: RecordType,
        limit: Span,
    ) -> Heard {
        let mut race = Race {
            others: self,
            order: self.known().order(self.clock.now()),
            asked: Vec::new(),
            running: JoinSet::new(),
            bad: None,
            lame: 0,
            unreached: None,
        };
        let mut end = pin!(sleep(limit.into()));
        let mut next = pin!(sleep(Span::ZERO.into()));
        loop {
            let candidate = race.next();
            tokio::select! {
                Some(done) = race.running.join_next() => {
                    let Ok((attempt, said)) = done else {
                        continue;
                    };
                    if let Some(heard) = race.take(attempt, said) {
                        return heard;
                    }
                    // Who said no is not waited for.
                    next.set(sleep(Span::ZERO.into()));
                }
                () = &mut next, if candidate.is_some() => {
                    if let Some(server) = candidate {
                        race.start(server, name, record_type);
                    }
                    next.set(sleep(NEXT_AFTER.into()));
                }
                () = &mut end => break,
                else => break,
            }
            if race.running.is_empty() && race.next().is_none() {
                break;
            }
        }
        race.lose()
    }

    fn known(&self) -> MutexGuard<'_, Upstreams> {
        let upstreams = self.upstreams.lock();
        upstreams.expect("what is known of servers is only read and set")
    }
}

impl Race<'_> {
    /// Gives who is asked next: each in turn, and then those again that are silent.
    fn next(&self) -> Option<SocketAddr> {
        if self.asked.len() == ATTEMPTS_MAX {
            return None;
        }
        let times = |server: SocketAddr| {
            let attempts = self.asked.iter();
            attempts.filter(move |attempt| attempt.server == server)
        };
        (0..2).find_map(|round| {
            let mut order = self.order.iter().copied();
            order.find(|server| {
                times(*server).count() == round && !times(*server).any(|attempt| attempt.settled)
            })
        })
    }

    fn start(&mut self, server: SocketAddr, name: &Name, record_type: RecordType) {
        let attempt = self.asked.len();
        self.asked.push(Attempt {
            server,
            at: self.others.clock.now(),
            settled: false,
        });
        // Each attempt has a number and a port of its own (RFC 5452 section 9).
        let question = question(name, record_type, true);
        self.running
            .spawn(async move { (attempt, once(server, &question).await) });
    }

    /// Takes what one attempt came to; gives the answer when it is one.
    fn take(&mut self, attempt: usize, said: io::Result<Said>) -> Option<Heard> {
        let now = self.others.clock.now();
        let Attempt { server, at, .. } = *self.asked.get(attempt)?;
        self.asked[attempt].settled = true;
        match said {
            Ok(said) => {
                self.others.known().heard(server, now.since(at));
                match said {
                    Said::Lame => self.lame += 1,
                    Said::Reply(reply) if reply.is_failure() => self.bad = Some((server, reply)),
                    Said::Reply(reply) => {
                        self.notice_silence(server, now);
                        return Some(Heard {
                            reply,
                            server: Some(server),
                            timed_out: false,
                        });
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, %server, "the server was not reached");
                self.others.known().silent(server, at, now);
                self.unreached = Some(error.kind());
            }
        }
        None
    }

    /// Notes who said nothing though it was time to.
    fn notice_silence(&self, but: SocketAddr, now: Time) {
        let mut known = self.others.known();
        for attempt in &self.asked {
            let late = now.since(attempt.at) >= NEXT_AFTER;
            if late && !attempt.settled && attempt.server != but {
                known.silent(attempt.server, attempt.at, now);
            }
        }
    }

    /// Gives what is left when nobody gave an answer.
    fn lose(mut self) -> Heard {
        let now = self.others.clock.now();
        let silent = self.asked.iter().filter(|attempt| !attempt.settled);
        let mut silent: Vec<SocketAddr> = silent.map(|attempt| attempt.server).collect();
        silent.sort_unstable();
        silent.dedup();
        for attempt in self.asked.iter().filter(|attempt| !attempt.settled) {
            self.others.known().silent(attempt.server, attempt.at, now);
        }
        // What a server says of itself is better than what is guessed about it.
        if let Some((server, reply)) = self.bad.take() {
            return Heard {
                reply,
                server: Some(server),
                timed_out: false,
            };
        }
        let mut what = Vec::new();
        if !silent.is_empty() {
            what.push(format!("{} silent", silent.len()));
        }
        if self.lame > 0 {
            what.push(format!("{} gave a referral", self.lame));
        }
        what.extend(self.unreached.map(|kind| kind.to_string()));
        let text = format!("no server gave an answer: {}", what.join(", "));
        let mut errors = vec![Extended {
            code: NO_REACHABLE_AUTHORITY,
            text: text.into(),
        }];
        errors.extend(self.unreached.map(|_| Extended {
            code: NETWORK_ERROR,
            text: Box::default(),
        }));
        Heard {
            reply: Reply {
                errors,
                ..Reply::failure()
            },
            server: None,
            timed_out: self.lame == 0 && self.unreached.is_none(),
        }
    }
}

/// Asks one server once, without an end.
async fn once(server: SocketAddr, question: &Message) -> io::Result<Said> {
    let from: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let answer = exchange(server, from, question).await?;
    if is_referral(&answer) {
        return Ok(Said::Lame);
    }
    let errors = extended(&answer);
    let rcode = answer.metadata.response_code;
    let reply = Reply::from_sections(rcode, answer.answers, answer.authorities);
    Ok(Said::Reply(Reply { errors, ..reply }))
}

/// Tells whether a server sends us elsewhere instead of going there itself. A negative answer has an
/// SOA, or no NS records (RFC 2308 section 2.2).
fn is_referral(answer: &Message) -> bool {
    let has = |soa: bool| {
        let mut authority = answer.authorities.iter();
        authority.any(|record| match soa {
            true => matches!(record.data, RData::SOA(_)),
            false => matches!(record.data, RData::NS(_)),
        })
    };
    answer.metadata.response_code == ResponseCode::NoError
        && !answer.metadata.authoritative
        && answer.answers.is_empty()
        && has(false)
        && !has(true)
}

/// Takes the extended errors of an answer, to be passed on (RFC 8914 section 3); words only of the
/// first, and no more than fit.
fn extended(answer: &Message) -> Vec<Extended> {
    let Some(edns) = &answer.edns else {
        return Vec::new();
    };
    let options = edns.options().get_all(EdnsCode::Unknown(EXTENDED_ERROR));
    let contents = options.into_iter().filter_map(|option| {
        let EdnsOption::Unknown(EXTENDED_ERROR, content) = option else {
            return None;
        };
        Some(content.as_slice())
    });
    let errors = contents.filter_map(|content| content.split_first_chunk());
    let errors = errors.take(ERRORS_MAX - 1).enumerate();
    let errors = errors.map(|(place, (code, words))| Extended {
        code: u16::from_be_bytes(*code),
        text: match place {
            0 => readable(words),
            _ => Box::default(),
        },
    });
    errors.collect()
}

/// Makes words of another server fit to be shown: nothing that moves a terminal's cursor.
fn readable(words: &[u8]) -> Box<str> {
    let words = words.get(..ERROR_TEXT_MAX).unwrap_or(words);
    let words = String::from_utf8_lossy(words);
    let words = words
        .chars()
        .filter(|c| !c.is_control() && *c != '\u{fffd}');
    words.collect()
}
