//! What each path answers. The checks of `guard` are behind us when a request comes here.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::{delete, get, post};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Bytes;

use super::api::{self, Problem};
use super::{App, ControlError, assets, metrics, stream};
use crate::journal::Journal;
use crate::model::fact::Act;
use crate::model::id::{FaultId, Node};

/// The largest body of a change; ours are empty or a few words.
const BODY_MAX: usize = 64 * 1024;

/// How long the body of a change may take to arrive.
const TIMEOUT_BODY: Duration = Duration::from_secs(10);

/// What Prometheus expects of its text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Makes the table of paths.
pub(super) fn router(app: Arc<App>) -> axum::Router {
    axum::Router::new()
        .route("/api/snapshot", get(snapshot))
        .route("/api/facts", get(stream::facts))
        .route("/api/reload", post(reload))
        .route("/api/nodes/{kind}/{name}/{act}", post(operate))
        .route(
            "/api/faults",
            get(faults).post(set_fault).delete(clear_faults),
        )
        .route("/api/faults/{fault}", delete(lift_fault))
        .route("/api/certificates", post(certificate))
        .route("/api/refusals/{client}", get(refusal))
        .route("/metrics", get(prometheus))
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(file)
        .method_not_allowed_fallback(|| async { wrong_method() })
        .with_state(app)
}

/// Makes the table of a DNS server without a lab.
pub(super) fn metrics_only(journal: Journal) -> axum::Router {
    let shown = |State(journal): State<Journal>| async move {
        prometheus_text(metrics::render_dns(&journal.snapshot()))
    };
    axum::Router::new()
        .route("/metrics", get(shown))
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "there is nothing but /metrics here")
        })
        .method_not_allowed_fallback(|| async { wrong_method() })
        .with_state(journal)
}

/// Tells whether an answer of this path may not be kept by anyone.
pub(super) fn never_stored(path: &str) -> bool {
    path.starts_with("/api/") || path == "/metrics" || path == "/healthz"
}

async fn file(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let folder = app.web_dir.as_deref();
    match assets::answer(request.uri().path(), request.headers(), folder) {
        Some(_) if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            wrong_method().into()
        }
        Some(answer) => answer,
        None => Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path").into(),
    }
}

fn wrong_method() -> Problem {
    let detail = "this path does not know that method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

async fn snapshot(State(app): State<Arc<App>>) -> Response<Body> {
    let text = app.snapshots.text(&app);
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], text.to_string()).into_response()
}

async fn prometheus(State(app): State<Arc<App>>) -> Response<Body> {
    prometheus_text(metrics::render(&app.journal.snapshot()))
}

fn prometheus_text(text: String) -> Response<Body> {
    let plain = HeaderValue::from_static(METRICS_TYPE);
    ([(header::CONTENT_TYPE, plain)], text).into_response()
}

async fn reload(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    check_change(&app, request).await?;
    match app.control.reload().await {
        Ok(reloaded) => Ok(api::json(&api::Reloaded::from(reloaded))),
        Err(mistakes) => {
            let detail = "the reload was refused and the old rules stay in force";
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
            Err(problem.with_mistakes(mistakes))
        }
    }
}

async fn operate(
    State(app): State<Arc<App>>,
    Path((kind, name, act)): Path<(String, String, String)>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    check_change(&app, request).await?;
    let act = Act::ALL.iter().copied().find(|known| known.word() == act);
    let node = Node::named(&kind, &name);
    let (Some(act), Some(node)) = (act, node) else {
        let detail = "a change is POST /api/nodes/KIND/NAME/ACT with KIND balancer, proxy, agent \
                      or user and ACT stop, kill, start or drain";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    match app.control.operate(&node, act).await {
        Ok(()) => Ok(api::json(&api::Operated::new(&node, act))),
        Err(error @ ControlError::Unknown) => {
            let detail = format!("{error}: {node}");
            Err(Problem::new(StatusCode::NOT_FOUND, detail))
        }
        Err(error @ ControlError::NotPossible(_)) => {
            Err(Problem::new(StatusCode::CONFLICT, error.to_string()))
        }
    }
}

async fn faults(State(app): State<Arc<App>>) -> Response<Body> {
    api::json(&app.journal.ask(api::faults::Faults::new))
}

async fn set_fault(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let body = read_change(&app, request).await?;
    let asked: api::faults::SetFault = serde_json::from_slice(&body).map_err(|error| {
        let detail = format!(
            "a fault is set with {{\"word\": …, \"target\": …}} and, where the word takes them, \
             \"by\", \"to\" and \"for\": {error}"
        );
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    let set = app.control.set_fault(asked.into()).await;
    set.map(|set| api::json(&api::faults::Set::from(set)))
        .map_err(|why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why))
}

async fn clear_faults(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    check_change(&app, request).await?;
    let lifted = app.control.clear_faults().await;
    Ok(api::json(&api::faults::Lifted { lifted }))
}

async fn lift_fault(
    State(app): State<Arc<App>>,
    Path(fault): Path<String>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    check_change(&app, request).await?;
    let number = fault.parse().ok().map(FaultId);
    let lifted = match number {
        Some(number) => app.control.lift_fault(number).await,
        None => false,
    };
    if !lifted {
        let detail = format!("no fault {fault} is in force; GET /api/faults lists those that are");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    Ok(api::json(&api::faults::Lifted { lifted: 1 }))
}

/// Gives a user's certificate: no change of the lab, but for those who have its token alone.
async fn certificate(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let body = read_change(&app, request).await?;
    let asked: api::access::Ask = serde_json::from_slice(&body).map_err(|error| {
        let detail = format!(
            "a certificate is asked for with {{\"kind\": \"app\" or \"db\", \"name\": …}} and \
             \"user\" or \"from\" or both, and \"database\": {error}"
        );
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    let given = app.control.access(asked.into()).await;
    given
        .map(|given| api::json(&api::access::Given::from(given)))
        .map_err(|why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why))
}

/// Says why a client was refused last.
async fn refusal(
    State(app): State<Arc<App>>,
    Path(client): Path<String>,
) -> Result<Response<Body>, Problem> {
    let Ok(client) = client.parse() else {
        let detail = "a client is ADDRESS:PORT";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let refusal = api::access::Refusal::of(&app.journal, client);
    Ok(api::json(&refusal))
}

/// Checks what a change must bring that says all in its path: nothing more.
async fn check_change(app: &App, request: Request<Body>) -> Result<(), Problem> {
    let body = read_change(app, request).await?;
    let object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body);
    if body.is_empty() || object.is_ok_and(|object| object.is_empty()) {
        return Ok(());
    }
    let detail = "the body of a change is empty or an empty JSON object";
    Err(Problem::new(StatusCode::BAD_REQUEST, detail))
}

/// Checks what every change must bring, the token, JSON, and little of it; gives the body.
async fn read_change(app: &App, request: Request<Body>) -> Result<Bytes, Problem> {
    let headers = request.headers();
    if !app.token.is_in(headers) {
        let detail = "a change needs the lab's token as Authorization: Bearer; it is in the file \
                      token of the state folder and in the link that the lab printed";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
    }
    if !is_json(headers) {
        let detail = "a change needs Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let body = Limited::new(request.into_body(), BODY_MAX).collect();
    let Ok(body) = tokio::time::timeout(TIMEOUT_BODY, body).await else {
        let detail = "the body did not arrive in time";
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail));
    };
    let Ok(body) = body else {
        let detail = "the body is larger than 64 KiB or broke off";
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    };
    Ok(body.to_bytes())
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let essence = value
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
