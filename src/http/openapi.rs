//! The OpenAPI document: made of the handlers and the wire types, so that it cannot say otherwise.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::Response;
use axum::http::header::{self, HeaderValue};
use axum::response::IntoResponse as _;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::api::{self, Problem};
use super::{ask, look, routes, runs, stream};

/// The document as JSON.
pub static TEXT: LazyLock<String> = LazyLock::new(|| {
    let document = Document::openapi();
    document
        .to_json()
        .expect("the wire types have text keys only")
});

#[derive(OpenApi)]
#[openapi(
    info(
        title = "twodoors",
        description = "A running lab: its state, what happened, and changes. Instants and spans are \
                       whole microseconds, instants since the start of the lab. Changes need the \
                       lab's token.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        ask::catalogue,
        ask::preview,
        ask::resolve,
        ask::whatif,
        document,
        look::consequences,
        look::dial,
        look::export,
        look::queries,
        look::queries_csv,
        look::queries_json,
        look::snapshot,
        look::table,
        look::timeline,
        look::visit,
        look::why,
        routes::certificate,
        routes::clear_faults,
        routes::faults,
        routes::healthz,
        routes::lift_fault,
        routes::operate,
        routes::prometheus,
        routes::refusal,
        routes::reload,
        routes::set_fault,
        runs::begin,
        runs::bundle,
        runs::run,
        runs::scenarios,
        runs::step,
        runs::stop,
        stream::facts,
    ),
    components(schemas(api::Fact, api::Overflow)),
    modifiers(&Token)
)]
struct Document;

/// Names the token that changes need.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        if let Some(components) = &mut document.components {
            components.add_security_scheme("token", scheme);
        }
    }
}

/// `GET /openapi.json`: this description.
#[utoipa::path(get, path = "/openapi.json", responses(
    (status = 200, body = Object, description = "This description"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn document() -> Response<Body> {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], TEXT.clone()).into_response()
}
