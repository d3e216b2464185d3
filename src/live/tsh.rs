//! Pings as tsh does: several candidates, the next begun after a while, the first good answer wins.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::browser::{Browser, Failed, Fetched, Life};
use super::webapi;
use crate::model::addr::{HostPort, ListenAddr};
use crate::model::fact::Failure;
use crate::policy::address::Document;
use crate::policy::user::{PING_EVERY, TIMEOUT};

/// Who answered, and what.
pub type Pinged = (HostPort, Document);

/// Asks the candidates, each begun a while after the one before, whatever that one does; the others
/// are given up when one answers. All failing is one failure, by the one that came furthest.
pub async fn ping(
    browser: &Arc<Browser>,
    candidates: Vec<HostPort>,
    life: &Life,
    connected: impl Fn(&HostPort, ListenAddr) + Clone + Send + Sync + 'static,
) -> Result<Pinged, Failed> {
    let tasks = life.tasks.child();
    let (told, mut heard) = mpsc::channel(candidates.len().max(1));
    for (place, candidate) in (0..).zip(candidates) {
        let (browser, told, connected) = (Arc::clone(browser), told.clone(), connected.clone());
        let own = Life {
            tasks: tasks.clone(),
            group: life.group.clone(),
        };
        tasks.spawn(async move {
            sleep(Duration::from(PING_EVERY.times(place))).await;
            let stands = |address| connected(&candidate, address);
            let asking = browser.get(&candidate, webapi::PING, &own, stands);
            let answer = limited(asking).await;
            let answer = answer.and_then(|answer| read(&answer));
            // Nobody listens any more when another candidate has won.
            let _ = told.send((candidate, answer)).await;
        });
    }
    drop(told);
    let (mut furthest, mut errors) = (Failure::Resolve, Vec::new());
    while let Some((asked, answer)) = heard.recv().await {
        match answer {
            Ok(document) => {
                tasks.cancel();
                return Ok((asked, document));
            }
            Err((reason, error)) => {
                furthest = further(furthest, reason);
                errors.push(format!("{asked}: {error}"));
            }
        }
    }
    Err((furthest, errors.join("; ")))
}

/// Does one step of a visit, for at most [`TIMEOUT`].
pub async fn limited<T>(step: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    let limit = Duration::from(TIMEOUT);
    timeout(limit, step).await.unwrap_or_else(|_| {
        let error = format!("no answer in {}s", limit.as_secs());
        Err((Failure::Timeout, error))
    })
}

/// Reads the answer; one that is not 200 is an error (Teleport's `Ping`, unlike its `Find`).
fn read(answer: &Fetched) -> Result<Document, Failed> {
    if answer.status != 200 {
        return Err((Failure::Status, format!("status {}", answer.status)));
    }
    webapi::read(&answer.body).map_err(|error| (Failure::Status, error))
}

/// Gives the reason that came further on the way to an answer.
fn further(one: Failure, other: Failure) -> Failure {
    let way = [
        Failure::Resolve,
        Failure::Connect,
        Failure::Tls,
        Failure::Timeout,
        Failure::Cut,
        Failure::Status,
        Failure::NoTunnel,
    ];
    let place = |reason| way.iter().position(|known| *known == reason);
    if place(one) < place(other) {
        other
    } else {
        one
    }
}
