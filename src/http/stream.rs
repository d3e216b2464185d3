//! The journal as server-sent events: facts in batches, and the whole snapshot when it changed.
//!
//! A reader says where it stands (`Last-Event-ID` or `?since=`) and gets everything after that,
//! each fact once. Nothing is buffered for a slow reader but two events: the journal is the buffer,
//! and whoever falls behind what it keeps is told to fetch the snapshot again (`overflow`).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse as _;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_core::Stream;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::api::{self, Problem};
use super::{App, Cut};
use crate::model::id::Seq;

/// How many readers there may be: a page has one, and six tabs are many.
pub(super) const READERS_MAX: usize = 32;

/// How many facts go into one event; what is left comes a tick later.
const FACTS_A_BATCH: usize = 1_000;

/// Ten times a second is as fast as a person can read.
const TICK: Duration = Duration::from_millis(100);

/// How many events wait for the socket; a tick makes two.
const EVENTS_WAITING: usize = 2;

/// How long a reader may leave an event unread before its connection is cut.
const TIMEOUT_READER: Duration = Duration::from_secs(10);

/// A comment this often tells both ends that the connection lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Where a reader wants to begin.
#[derive(Debug, Deserialize)]
pub(super) struct Since {
    since: Option<u64>,
}

/// The newest snapshot as JSON, made once for all readers.
#[derive(Default)]
pub(super) struct Snapshots(Mutex<Option<(Seq, Arc<str>)>>);

impl Snapshots {
    /// Gives the state now, written anew only when a fact came in.
    pub(super) fn text(&self, app: &App) -> Arc<str> {
        let newest = app.journal.ask(|snapshot| snapshot.seq);
        let mut kept = self.0.lock().expect("writing a snapshot does not panic");
        if let Some((seq, text)) = kept.as_ref()
            && *seq == newest
        {
            return Arc::clone(text);
        }
        let moment = app.journal.now();
        let wire = api::Snapshot::new(&moment, &app.source, &app.run);
        let text: Arc<str> = api::text(&wire).into();
        *kept = Some((moment.state.seq, Arc::clone(&text)));
        text
    }
}

/// Answers `GET /api/facts`.
#[utoipa::path(get, path = "/api/facts", params(("since" = Option<u64>, Query, description = "The last fact that is known"), ("last-event-id" = Option<u64>, Header, description = "The same, by a browser that comes back")), responses(
    (status = 200, body = String, content_type = "text/event-stream", description = "Events: facts in batches, the snapshot when it changed"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn facts(
    State(app): State<Arc<App>>,
    Extension(cut): Extension<Cut>,
    query: Result<Query<Since>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let bad = || Problem::new(StatusCode::BAD_REQUEST, "since is not a sequence number");
    let Query(Since { since }) = query.map_err(|_| bad())?;
    // A browser that reconnects repeats the address of its first request: the header is newer.
    let since = match headers.get("last-event-id") {
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.parse().ok());
            Some(id.ok_or_else(bad)?)
        }
        None => since,
    };
    let Ok(slot) = Arc::clone(&app.readers).try_acquire_owned() else {
        let detail = "as many readers follow the facts as the lab serves; close a page";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let (events, waiting) = mpsc::channel(EVENTS_WAITING);
    let newest = app.journal.ask(|snapshot| snapshot.seq);
    let reader = Reader {
        events,
        at: since.map_or(newest, Seq),
        shown: None,
        _slot: slot,
    };
    let tasks = app.tasks.clone();
    tasks.spawn(async move {
        if reader.run(&app).await == Left::Stuck {
            cut.0.cancel();
        }
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let stream = Sse::new(Events(waiting)).keep_alive(keep_alive);
    Ok(stream.into_response())
}

/// Why a reader is no longer served.
#[derive(PartialEq, Eq)]
enum Left {
    /// It went away, or the lab ended.
    Gone,
    /// It does not read.
    Stuck,
}

struct Reader {
    events: mpsc::Sender<Event>,
    /// The last fact that it was given.
    at: Seq,
    /// The last snapshot that it was given.
    shown: Option<Seq>,
    _slot: OwnedSemaphorePermit,
}

impl Reader {
    async fn run(mut self, app: &App) -> Left {
        let mut news = app.journal.watch();
        loop {
            if let Err(left) = self.tell(app).await {
                return left;
            }
            tokio::select! {
                () = app.shutdown.cancelled() => break,
                () = self.events.closed() => return Left::Gone,
                () = tokio::time::sleep(TICK) => {}
            }
            let more = *news.borrow_and_update() > self.at;
            if more {
                continue;
            }
            tokio::select! {
                () = app.shutdown.cancelled() => break,
                () = self.events.closed() => return Left::Gone,
                changed = news.changed() => if changed.is_err() { break },
            }
        }
        let ended = self.send(Event::default().event("ended").data("{}")).await;
        ended.err().unwrap_or(Left::Gone)
    }

    /// Sends what is new: facts first, so that a snapshot never runs ahead of an unseen gap.
    async fn tell(&mut self, app: &App) -> Result<(), Left> {
        let newest = app.journal.ask(|snapshot| snapshot.seq);
        let mut batch = app.journal.after(self.at, FACTS_A_BATCH);
        // A number above the newest is of an earlier run on the same address.
        if batch.gap || self.at > newest {
            let overflow = api::Overflow { seq: newest.0 };
            self.at = newest;
            batch.facts.clear();
            self.send(event("overflow", Some(newest), &api::text(&overflow)))
                .await?;
        }
        if let Some(last) = batch.facts.last() {
            self.at = last.seq;
            let facts: Vec<_> = batch.facts.iter().map(|f| api::Fact::new(f)).collect();
            self.send(event("facts", Some(self.at), &api::text(&facts)))
                .await?;
        }
        if self.shown != Some(newest) {
            self.shown = Some(newest);
            self.send(event("snapshot", None, &app.snapshots.text(app)))
                .await?;
        }
        Ok(())
    }

    async fn send(&self, event: Event) -> Result<(), Left> {
        match tokio::time::timeout(TIMEOUT_READER, self.events.send(event)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Left::Gone),
            Err(_) => Err(Left::Stuck),
        }
    }
}

fn event(name: &str, id: Option<Seq>, data: &str) -> Event {
    let event = Event::default().event(name).data(data);
    match id {
        Some(id) => event.id(id.to_string()),
        None => event,
    }
}

/// The receiving end as the stream that axum wants.
struct Events(mpsc::Receiver<Event>);

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|event| event.map(Ok))
    }
}
