//! When a door checks which instance, and what it thinks of each.

use super::{Outbox, Output, behind, number, proxy_name};
use crate::model::fact::{Health, Kind};
use crate::model::time::{Span, Time};
use crate::model::topology::{Balancer, Check};
use crate::policy::Context;
use crate::policy::health::{Change, Opinion};

/// The shortest time between two checks: a scenario without an interval must not spin.
const INTERVAL_MIN: Span = Span::from_ms(1);

/// How many checks of a second are told; further ones are counted.
const TOLD_MAX: u32 = 32;

/// The pool as the checks of one door see it.
#[derive(Debug)]
pub(super) struct Watch {
    checks_made: u64,
    watched: Vec<Watched>,
    /// The second of the last check, and how many of it were told.
    told: (u64, u32),
}

#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    opinion: Opinion,
    /// When the next check is due.
    due: Time,
    /// The check that is not answered yet, and its beginning.
    running: Option<(u64, Time)>,
    /// How many checks ended since one was told.
    untold: u64,
}

impl Watch {
    /// Begins without an opinion; all checks are due at once.
    pub(super) fn new(proxies: usize) -> Self {
        Self {
            checks_made: 0,
            watched: vec![Watched::default(); proxies],
            told: (0, 0),
        }
    }

    /// Gives the opinion of an instance; `None` when there is no such instance.
    pub(super) fn health(&self, proxy: usize) -> Option<Health> {
        let watched = self.watched.get(proxy)?;
        Some(watched.opinion.health())
    }

    /// Tells whether an instance may get flows.
    pub(super) fn is_usable(&self, proxy: usize) -> bool {
        self.health(proxy).is_some_and(Health::usable)
    }

    /// Gives the instant of the next check.
    pub(super) fn next_check(&self) -> Option<Time> {
        self.watched.iter().map(|watched| watched.due).min()
    }

    /// Asks for the checks that are due, except where the one before is not answered yet.
    ///
    /// Checked is the listener behind the door's first address; an instance without it fails.
    pub(super) fn wake(&mut self, cx: &Context<'_>, config: &Balancer, out: &mut Outbox<Output>) {
        let count = self.watched.len() as u64;
        let check = &config.check;
        let told = &mut self.told;
        for (index, watched) in self.watched.iter_mut().enumerate() {
            if watched.due > cx.now {
                continue;
            }
            let web = || Ok(cx.topology.pool.proxies[index].listen);
            let first = config.listen.first();
            let backend = first.map_or_else(web, |first| behind(cx, index, *first));
            match backend {
                Ok(backend) if watched.running.is_none() => {
                    self.checks_made += 1;
                    watched.running = Some((self.checks_made, cx.now));
                    out.push(Output::Check {
                        check: self.checks_made,
                        proxy: number(index),
                        backend,
                    });
                }
                Ok(_) => {}
                Err(error) => {
                    let took = Span::ZERO;
                    watched.tell(cx, told, (index, took, Some(&error)), out);
                    if let Some(change) = watched.opinion.observe(check, Some(&error)) {
                        out.fact(changed(cx, index, change));
                    }
                }
            }
            // The first checks run at once; from then on they are spread over the interval, so that
            // a pool is not hit by all its checks in the same instant.
            let wait = if watched.opinion.health() == Health::Unknown {
                Span::from_us(check.interval.as_us() / count).times(index as u64 + 1)
            } else {
                check.interval
            };
            watched.due = cx.now + wait.max(INTERVAL_MIN);
        }
    }

    /// Takes the result of a check: its number, the instance, and why it failed.
    pub(super) fn checked(
        &mut self,
        cx: &Context<'_>,
        config: &Check,
        (check, proxy, error): (u64, usize, Option<&str>),
        out: &mut Outbox<Output>,
    ) {
        let Some(watched) = self.watched.get_mut(proxy) else {
            return;
        };
        let Some((_, since)) = watched.running.filter(|(running, _)| *running == check) else {
            return;
        };
        watched.running = None;
        let took = cx.now.since(since);
        watched.tell(cx, &mut self.told, (proxy, took, error), out);
        if let Some(change) = watched.opinion.observe(config, error) {
            out.fact(changed(cx, proxy, change));
        }
    }

    /// Forgets all opinions, and the checks that run.
    pub(super) fn stop(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        for (proxy, watched) in self.watched.iter_mut().enumerate() {
            watched.running = None;
            if let Some(change) = watched.opinion.forget("the balancer was stopped") {
                out.fact(changed(cx, proxy, change));
            }
        }
    }

    /// Makes all checks due.
    pub(super) fn start(&mut self, now: Time) {
        for watched in &mut self.watched {
            watched.due = now;
        }
    }
}

impl Watched {
    /// Tells of a check that ended, unless as many were told in this second as are.
    fn tell(
        &mut self,
        cx: &Context<'_>,
        told: &mut (u64, u32),
        (proxy, took, error): (usize, Span, Option<&str>),
        out: &mut Outbox<Output>,
    ) {
        let second = cx.now.as_us() / 1_000_000;
        if told.0 != second {
            *told = (second, 0);
        }
        if told.1 == TOLD_MAX {
            self.untold += 1;
            return;
        }
        told.1 += 1;
        out.fact(Kind::Checked {
            proxy: proxy_name(cx, proxy),
            took,
            error: error.map(str::to_owned),
            untold: std::mem::take(&mut self.untold),
        });
    }
}

fn changed(cx: &Context<'_>, proxy: usize, change: Change) -> Kind {
    Kind::HealthChanged {
        proxy: proxy_name(cx, proxy),
        to: change.to,
        cause: change.cause,
    }
}
