//! Scenarios and runs: what is listed, begun, stepped and stopped. Each is done by the lab's stage.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, Response, StatusCode};

use super::api::runs::{Begin, LIVE, Run, Scenarios};
use super::api::{self, Problem};
use super::look::{Download, blocking, download};
use super::routes::{check_change, read_change};
use super::{App, source::Source};
use crate::lab::report::Report;
use crate::lab::stage::State::Running;
use crate::lab::stage::{Refused, Stage};

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Not(why) => Self::new(StatusCode::CONFLICT, why),
            Refused::Unknown(_) => Self::new(StatusCode::NOT_FOUND, refused.to_string()),
            Refused::Mistakes(mistakes) => {
                let texts = mistakes.iter().map(ToString::to_string).collect();
                let detail = "the scenario has mistakes, so nothing is played";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with_mistakes(texts)
            }
        }
    }
}

/// Gives what plays scenarios.
pub(super) fn stage(app: &App) -> Result<Arc<Stage>, Problem> {
    app.control.stage().ok_or_else(|| {
        let detail = "nothing can be played from here: no lab runs";
        Problem::new(StatusCode::CONFLICT, detail)
    })
}

fn live(stage: &Stage) -> Result<Run, Problem> {
    Run::live(stage).ok_or_else(|| {
        let detail = "no live run has begun; POST /api/runs begins one";
        Problem::new(StatusCode::NOT_FOUND, detail)
    })
}

/// `GET /api/scenarios`.
#[utoipa::path(get, path = "/api/scenarios", responses(
    (status = 200, body = Scenarios, description = "Those at hand, and the runs"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn scenarios(State(app): State<Arc<App>>) -> Result<Response<Body>, Problem> {
    let Some(stage) = app.control.stage() else {
        return Ok(api::json(&Scenarios::shown(&app.source)));
    };
    Ok(api::json(
        &blocking(move || Ok(Scenarios::new(&stage))).await?,
    ))
}

/// `POST /api/runs`: begins a run.
#[utoipa::path(post, path = "/api/runs", request_body(content = Begin), responses(
    (status = 200, body = Run, description = "It plays"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
), security(("token" = [])))]
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let body = read_change(&app, request).await?;
    let asked: Begin = serde_json::from_slice(&body).map_err(|error| {
        let detail = format!(
            "a run is begun with {{\"scenario\": ID, \"mode\": \"virtual\" or \"live\"}} and, in \
             virtual time, \"seed\": {error}"
        );
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    let stage = stage(&app)?;
    let wrong = |detail: &str| Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    let run = blocking(move || match &*asked.mode {
        "virtual" => {
            let run = stage.begin_virtual(&asked.scenario, asked.seed)?;
            Ok(Run::of(&run))
        }
        "live" if asked.seed.is_some() => {
            wrong("a live run has the seed that the lab was started with")
        }
        "live" => {
            stage.begin_live(&asked.scenario)?;
            live(&stage)
        }
        _ => wrong("mode is virtual or live"),
    });
    Ok(api::json(&run.await?))
}

/// `GET /api/runs/{id}`.
#[utoipa::path(get, path = "/api/runs/{id}", params(("id" = String, Path, description = "live, or the number of a virtual run")), responses(
    (status = 200, body = Run, description = "The run"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn run(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response<Body>, Problem> {
    let stage = stage(&app)?;
    let run = match &*id {
        LIVE => live(&stage)?,
        id => Run::of(&*stage.run(id)?),
    };
    Ok(api::json(&run))
}

/// `GET /api/runs/{id}/bundle`: a virtual run in one file, once it is over.
#[utoipa::path(get, path = "/api/runs/{id}/bundle", params(("id" = String, Path, description = "live, or the number of a virtual run")), responses(
    (status = 200, body = api::bundle::Bundle, description = "The run in one file"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn bundle(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response<Body>, Problem> {
    let stage = stage(&app)?;
    let conflict = |detail: &str| Err(Problem::new(StatusCode::CONFLICT, detail));
    if id == LIVE {
        return conflict("the live run is the lab's own; GET /api/export gives it");
    }
    let run = stage.run(&id)?;
    if run.state() == Running {
        return conflict("the run is being played; its bundle is there when it is over");
    }
    let find = move || (Source::played(&run), run.report().map(Report::json));
    download(&app, Download::Json, find).await
}

/// `POST /api/runs/{id}/stop`.
#[utoipa::path(post, path = "/api/runs/{id}/stop", params(("id" = String, Path, description = "live, or the number of a virtual run")), request_body(content = api::Nothing, description = "Nothing, or an empty object"), responses(
    (status = 200, body = Run, description = "It ends"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
), security(("token" = [])))]
pub(super) async fn stop(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    check_change(&app, request).await?;
    let stage = stage(&app)?;
    let run = match &*id {
        LIVE => {
            stage.stop_live()?;
            live(&stage)?
        }
        id => {
            let run = stage.run(id)?;
            run.stop();
            Run::of(&run)
        }
    };
    Ok(api::json(&run))
}

/// `POST /api/runs/{id}/step`.
#[utoipa::path(post, path = "/api/runs/{id}/step", params(("id" = String, Path, description = "live, or the number of a virtual run")), request_body(content = api::Nothing, description = "Nothing, or an empty object"), responses(
    (status = 200, body = Run, description = "The next step is taken"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
), security(("token" = [])))]
pub(super) async fn step(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    check_change(&app, request).await?;
    let stage = stage(&app)?;
    if id != LIVE {
        stage.run(&id)?;
        let detail = "a virtual run is played at once; step through it where it is shown";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    stage.step_live()?;
    Ok(api::json(&live(&stage)?))
}
