//! What would be: one question asked as anybody, one move, one reload. Nothing is changed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use serde::de::DeserializeOwned;

use super::api::{self, Problem};
use super::look::blocking;
use super::routes::{check_change, read_json};
use super::{App, source::Source};
use crate::lab::client::present;
use crate::lab::whatif;
use crate::model::id::Node;
use crate::model::topology::Topology;
use crate::policy::answer::Rules;

/// Reads the body of a question.
async fn read<T: DeserializeOwned>(request: Request<Body>, what: &str) -> Result<T, Problem> {
    let body = read_json(request).await?;
    serde_json::from_slice(&body).map_err(|error| {
        let detail = format!("{what}: {error}");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })
}

fn wrong(why: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why)
}

/// Gives the rules in force, and everybody where they are now.
fn now(source: &Source) -> Result<(Arc<Rules>, Topology), Problem> {
    let Some(rules) = source.rules() else {
        let detail = "this run is over: only a running lab can be asked";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    };
    let topology = source.journal.ask(|state| present(&source.topology, state));
    Ok((rules, topology))
}

/// `POST /api/resolve`: every view's answer to one client.
#[utoipa::path(post, path = "/api/resolve", request_body(content = api::resolve::ResolveAs), responses(
    (status = 200, body = api::resolve::Resolution, description = "Every view's answer"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn resolve(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let what = "a question is {\"as\": \"agent/NAME\", an address or the like, \"name\": …} and \
                \"type\", \"transport\", \"subnet\", \"do\"";
    let asked: api::resolve::ResolveAs = read(request, what).await?;
    let source = app.source.clone();
    let resolution = blocking(move || {
        let (rules, topology) = now(&source)?;
        let (question, through) = asked.question(&topology, source.dns).map_err(wrong)?;
        Ok(api::resolve::Resolution::new(&rules, &question, through))
    });
    Ok(api::json(&resolution.await?))
}

/// `POST /api/whatif`: what would change for somebody in another network.
#[utoipa::path(post, path = "/api/whatif", request_body(content = api::whatif::Move), responses(
    (status = 200, body = api::whatif::Moved, description = "What would change"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn whatif(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let what = "a move is {\"node\": \"agent/NAME\" or \"user/NAME\", \"network\": …}";
    let asked: api::whatif::Move = read(request, what).await?;
    let source = app.source.clone();
    let moved = blocking(move || {
        let (rules, topology) = now(&source)?;
        let node = asked.node.split_once('/');
        let node = node.and_then(|(kind, name)| Node::named(kind, name));
        let node = node.ok_or_else(|| {
            wrong(format!(
                "{:?} is no node; write agent/NAME or user/NAME",
                asked.node
            ))
        })?;
        let moved = whatif::whatif(&topology, &rules, &node, &asked.network);
        Ok(api::whatif::Moved::new(&moved.map_err(wrong)?))
    });
    Ok(api::json(&moved.await?))
}

/// `POST /api/reload/preview`: what a reload would change, and for whom.
#[utoipa::path(post, path = "/api/reload/preview", request_body(content = api::Nothing, description = "Nothing, or an empty object"), responses(
    (status = 200, body = api::preview::Preview, description = "What a reload would change"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
), security(("token" = [])))]
pub(super) async fn preview(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    check_change(&app, request).await?;
    let preview = app.control.preview().await;
    Ok(api::json(&api::preview::Preview::new(preview)))
}

/// `GET /api/faults/catalogue`: the faults that this lab can have, and where.
#[utoipa::path(get, path = "/api/faults/catalogue", responses(
    (status = 200, body = api::catalogue::Catalogue, description = "The faults there can be"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn catalogue(State(app): State<Arc<App>>) -> Result<Response<Body>, Problem> {
    let topology = Arc::clone(&app.source.topology);
    let made = blocking(move || Ok(api::catalogue::Catalogue::new(&topology)));
    Ok(api::json(&made.await?))
}
