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
use super::{App, ControlError, ask, assets, look, metrics, openapi, runs, stream};
use crate::journal::Journal;
use crate::model::fact::Act;
use crate::model::id::{FaultId, Node};

/// The largest body of a change; ours are empty or a few words.
const BODY_MAX: usize = 64 * 1024;

/// How long the body of a change may take to arrive.
const TIMEOUT_BODY: Duration = Duration::from_secs(10);

/// What Prometheus expects of its text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Makes the table of paths; what changes the lab is not there when it is only shown.
pub(super) fn router(app: Arc<App>) -> axum::Router {
    let reading = axum::Router::new()
        .route("/api/snapshot", get(look::snapshot))
        .route("/api/timeline", get(look::timeline))
        .route("/api/why", get(look::why))
        .route("/api/visits/{user}/{number}", get(look::visit))
        .route("/api/dials/{agent}/{number}", get(look::dial))
        .route("/api/queries", get(look::queries))
        .route("/api/consequences", get(look::consequences))
        .route("/api/queries.csv", get(look::queries_csv))
        .route("/api/queries.json", get(look::queries_json))
        .route("/api/tables/{table}", get(look::table))
        .route("/api/export", get(look::export))
        .route("/api/facts", get(stream::facts))
        .route("/api/faults", get(faults))
        .route("/api/faults/catalogue", get(ask::catalogue))
        .route("/api/resolve", post(ask::resolve))
        .route("/api/whatif", post(ask::whatif))
        .route("/api/scenarios", get(runs::scenarios))
        .route("/api/runs/{id}", get(runs::run))
        .route("/api/runs/{id}/bundle", get(runs::bundle))
        .route("/api/refusals/{client}", get(refusal))
        .route("/metrics", get(prometheus))
        .route("/healthz", get(healthz))
        .route("/openapi.json", get(openapi::document));
    let changing = axum::Router::new()
        .route("/api/reload", post(reload))
        .route("/api/reload/preview", post(ask::preview))
        .route("/api/runs", post(runs::begin))
        .route("/api/runs/{id}/stop", post(runs::stop))
        .route("/api/runs/{id}/step", post(runs::step))
        .route("/api/nodes/{kind}/{name}/{act}", post(operate))
        .route("/api/faults", post(set_fault).delete(clear_faults))
        .route("/api/faults/{fault}", delete(lift_fault))
        .route("/api/certificates", post(certificate));
    let read_only = app.source.read_only;
    let router = if read_only {
        reading
    } else {
        reading.merge(changing)
    };
    router
        .fallback(file)
        .method_not_allowed_fallback(move || async move { refused_method(read_only) })
        .with_state(app)
}

/// Makes the table of a DNS server without a lab.
pub(super) fn metrics_only(journal: Journal) -> axum::Router {
    let shown = |State(journal): State<Journal>| async move {
        prometheus_text(metrics::render_dns(&journal.snapshot()))
    };
    axum::Router::new()
        .route("/metrics", get(shown))
        .route("/healthz", get(healthz))
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "there is nothing but /metrics here")
        })
        .method_not_allowed_fallback(|| async { refused_method(false) })
        .with_state(journal)
}

/// Tells whether an answer of this path may not be kept by anyone.
pub(super) fn never_stored(path: &str) -> bool {
    path.starts_with("/api/") || matches!(path, "/metrics" | "/healthz" | "/openapi.json")
}

async fn file(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let folder = app.web_dir.as_deref();
    match assets::answer(request.uri().path(), request.headers(), folder) {
        _ if app.source.read_only && !reads(request.method()) => refused_method(true).into(),
        Some(_) if !reads(request.method()) => refused_method(false).into(),
        Some(answer) => answer,
        None => assets::nothing(request.headers()).unwrap_or_else(|| {
            Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path").into()
        }),
    }
}

const fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Says why a method is not answered at a path.
fn refused_method(read_only: bool) -> Problem {
    if read_only {
        let detail = "this lab is only shown (--read-only): nothing can be changed here";
        return Problem::new(StatusCode::NOT_FOUND, detail);
    }
    let detail = "this path does not know that method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// `GET /healthz`: whether somebody answers.
#[utoipa::path(get, path = "/healthz", responses(
    (status = 200, body = String, content_type = "text/plain; charset=utf-8", description = "It does"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

#[utoipa::path(get, path = "/metrics", responses(
    (status = 200, body = String, content_type = "text/plain; version=0.0.4; charset=utf-8", description = "Metrics for Prometheus"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn prometheus(State(app): State<Arc<App>>) -> Response<Body> {
    prometheus_text(metrics::render(&app.journal.snapshot()))
}

fn prometheus_text(text: String) -> Response<Body> {
    let plain = HeaderValue::from_static(METRICS_TYPE);
    ([(header::CONTENT_TYPE, plain)], text).into_response()
}

#[utoipa::path(post, path = "/api/reload", request_body(content = api::Nothing, description = "Nothing, or an empty object"), responses(
    (status = 200, body = api::Reloaded, description = "It took"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
), security(("token" = [])))]
pub(super) async fn reload(
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

#[utoipa::path(post, path = "/api/nodes/{kind}/{name}/{act}", params(("kind" = String, Path, description = "balancer, proxy, agent, user or resolver"), ("name" = String, Path, description = "The name"), ("act" = String, Path, description = "stop, kill, start or drain")), request_body(content = api::Nothing, description = "Nothing, or an empty object"), responses(
    (status = 200, body = api::Operated, description = "The lab took it on"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
), security(("token" = [])))]
pub(super) async fn operate(
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

#[utoipa::path(get, path = "/api/faults", responses(
    (status = 200, body = api::faults::Faults, description = "Those in force"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn faults(State(app): State<Arc<App>>) -> Response<Body> {
    api::json(&app.journal.ask(api::faults::Faults::new))
}

#[utoipa::path(post, path = "/api/faults", request_body(content = api::faults::SetFault), responses(
    (status = 200, body = api::faults::Set, description = "It is in force"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
), security(("token" = [])))]
pub(super) async fn set_fault(
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

#[utoipa::path(delete, path = "/api/faults", responses(
    (status = 200, body = api::faults::Lifted, description = "All are lifted"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
), security(("token" = [])))]
pub(super) async fn clear_faults(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    check_change(&app, request).await?;
    let lifted = app.control.clear_faults().await;
    Ok(api::json(&api::faults::Lifted { lifted }))
}

#[utoipa::path(delete, path = "/api/faults/{fault}", params(("fault" = u64, Path, description = "Its number")), responses(
    (status = 200, body = api::faults::Lifted, description = "It is lifted"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
), security(("token" = [])))]
pub(super) async fn lift_fault(
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
#[utoipa::path(post, path = "/api/certificates", request_body(content = api::access::Ask), responses(
    (status = 200, body = api::access::Given, description = "How to reach it"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
), security(("token" = [])))]
pub(super) async fn certificate(
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
#[utoipa::path(get, path = "/api/refusals/{client}", params(("client" = String, Path, description = "ADDRESS:PORT")), responses(
    (status = 200, body = api::access::Refusal, description = "The words, if it was refused"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn refusal(
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
pub(super) async fn check_change(app: &App, request: Request<Body>) -> Result<(), Problem> {
    let body = read_change(app, request).await?;
    let object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body);
    if body.is_empty() || object.is_ok_and(|object| object.is_empty()) {
        return Ok(());
    }
    let detail = "the body of a change is empty or an empty JSON object";
    Err(Problem::new(StatusCode::BAD_REQUEST, detail))
}

/// Checks what every change must bring, the token, JSON, and little of it; gives the body.
pub(super) async fn read_change(app: &App, request: Request<Body>) -> Result<Bytes, Problem> {
    let headers = request.headers();
    if !app.token.is_in(headers) {
        let detail = "a change needs the lab's token as Authorization: Bearer; it is in the file \
                      token of the state folder and in the link that the lab printed";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
    }
    read_json(request).await
}

/// Gives a body of JSON, of those who may send it.
pub(super) async fn read_json(request: Request<Body>) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        let detail = "a body needs Content-Type: application/json";
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
