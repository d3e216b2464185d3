//! What a `GET` of the lab's state answers: everything here reads, and nothing changes.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse as _;

use super::App;
use super::api::bundle::Bundle;
use super::api::consequences::{Consequences, NODES_MAX};
use super::api::queries::{self, Queries, Wanted};
use super::api::runs::Scenarios;
use super::api::tables::{self, Table};
use super::api::way::{Request, Why};
use super::api::{self, Problem};
use super::filter::Filter;
use super::runs::stage;
use super::source::Source;
use crate::journal::{At, Gone, Moment};
use crate::model::fact::Act;
use crate::model::id::{Node, Seq};
use crate::model::time::Time;
use crate::policy::answer::Rules;

/// The parameters of a request, each by its name.
#[derive(Debug)]
pub(super) struct Asked(Vec<(String, String)>);

/// What axum makes of a query string.
pub(super) type Pairs =
    Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>;

impl Asked {
    /// Takes the parameters; those that are not among `known` are a mistake.
    pub(super) fn new(pairs: Pairs, known: &[&str]) -> Result<Self, Problem> {
        let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
        let Query(pairs) = pairs.map_err(|error| bad(error.body_text()))?;
        let unknown = pairs
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()));
        if let Some((name, _)) = unknown {
            let known = match known {
                [] => String::from("takes no parameters"),
                known => format!("takes {}", known.join(", ")),
            };
            return Err(bad(format!(
                "there is no parameter {name:?}: this path {known}"
            )));
        }
        Ok(Self(pairs))
    }

    /// Gives the text of a parameter; the last one counts.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// Gives every text of a parameter.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let pairs = self.0.iter();
        pairs.filter_map(move |(own, text)| (own == name).then_some(text.as_str()))
    }

    /// Gives the number of a parameter.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let number = self.text(name).map(str::parse).transpose();
        number.map_err(|_| {
            let detail = format!("{name} is a whole number, not {:?}", self.text(name));
            Problem::new(StatusCode::BAD_REQUEST, detail)
        })
    }

    /// Gives the state that is asked for: `at_us`, `seq`, or the one now.
    pub(super) fn at(&self) -> Result<At, Problem> {
        match (self.number("at_us")?, self.number("seq")?) {
            (Some(_), Some(_)) => {
                let detail = "a state is asked for by at_us or by seq, not by both";
                Err(Problem::new(StatusCode::BAD_REQUEST, detail))
            }
            (Some(us), None) => Ok(At::Time(Time::from_us(us))),
            (None, Some(seq)) => Ok(At::Seq(Seq(seq))),
            (None, None) => Ok(At::Now),
        }
    }
}

impl From<Gone> for Problem {
    fn from(gone: Gone) -> Self {
        let detail = format!(
            "{gone}; ask for at_us={} or later, or seq={} or later",
            gone.at.as_us(),
            gone.seq
        );
        Self::new(StatusCode::GONE, detail)
    }
}

/// Gives the lab at an instant, from a thread that may fold for a while.
pub(super) async fn moment(app: &App, at: At) -> Result<Moment, Problem> {
    let journal = app.journal.clone();
    blocking(move || journal.moment(at).map_err(Problem::from)).await
}

/// Works something out on a thread that may be busy for a while.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let broke_off = |error: tokio::task::JoinError| {
        let detail = format!("this could not be worked out: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    };
    tokio::task::spawn_blocking(work).await.map_err(broke_off)?
}

/// `GET /api/snapshot`: the state now, or at an instant.
#[utoipa::path(get, path = "/api/snapshot", params(("at_us" = Option<u64>, Query, description = "The instant, in microseconds since the start"), ("seq" = Option<u64>, Query, description = "The fact after which; not beside at_us")), responses(
    (status = 200, body = api::Snapshot, description = "The state"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn snapshot(
    State(app): State<Arc<App>>,
    pairs: Pairs,
) -> Result<Response<Body>, Problem> {
    let asked = Asked::new(pairs, &["at_us", "seq"])?;
    let text = match asked.at()? {
        At::Now => app.snapshots.text(&app).to_string(),
        at @ (At::Seq(_) | At::Time(_)) => {
            let moment = moment(&app, at).await?;
            api::text(&api::Snapshot::new(&moment, &app.source, &app.run))
        }
    };
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], text).into_response())
}

/// `GET /api/timeline`: what happened, on one axis.
#[utoipa::path(get, path = "/api/timeline", params(("from_us" = Option<u64>, Query, description = "From when"), ("to_us" = Option<u64>, Query, description = "Until when")), responses(
    (status = 200, body = api::timeline::Timeline, description = "What happened"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn timeline(
    State(app): State<Arc<App>>,
    pairs: Pairs,
) -> Result<Response<Body>, Problem> {
    let asked = Asked::new(pairs, &["from_us", "to_us"])?;
    let instant = |name| Ok::<_, Problem>(asked.number(name)?.map(Time::from_us));
    let (from, to) = (instant("from_us")?, instant("to_us")?);
    if from.zip(to).is_some_and(|(from, to)| to < from) {
        let detail = "to_us is before from_us";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let source = app.source.clone();
    let timeline = blocking(move || Ok(api::timeline::Timeline::new(&source, from, to))).await?;
    Ok(api::json(&timeline))
}

/// `GET /api/queries`: the query log.
#[utoipa::path(get, path = "/api/queries", params(("filter" = Option<String>, Query, description = "Terms such as view:private rcode!=NOERROR"), ("limit" = Option<u64>, Query, minimum = 1, maximum = 2000, description = "How many at most"), ("before_seq" = Option<u64>, Query, description = "Only older ones"), ("after_seq" = Option<u64>, Query, description = "Only newer ones")), responses(
    (status = 200, body = Queries, description = "The query log"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn queries(
    State(app): State<Arc<App>>,
    pairs: Pairs,
) -> Result<Response<Body>, Problem> {
    let wanted = wanted(pairs)?;
    let source = app.source.clone();
    let queries = blocking(move || Ok(Queries::new(&source, &wanted))).await?;
    Ok(api::json(&queries))
}

/// Reads which rows of the query log are wanted.
pub(super) fn wanted(pairs: Pairs) -> Result<Wanted, Problem> {
    let asked = Asked::new(pairs, &["filter", "limit", "before_seq", "after_seq"])?;
    let filter = asked.text("filter").unwrap_or_default();
    let filter = Filter::read(filter, queries::FIELDS).map_err(|wrong| {
        let detail = format!(
            "the filter is wrong at column {}: {}",
            wrong.column, wrong.what
        );
        Problem::new(StatusCode::BAD_REQUEST, detail).with_column(wrong.column)
    })?;
    let limit = match asked.number("limit")? {
        None => queries::ROWS,
        Some(limit) => {
            let limit = usize::try_from(limit).ok();
            let limit = limit.filter(|limit| (1..=queries::ROWS_MAX).contains(limit));
            limit.ok_or_else(|| {
                let detail = format!("limit is from 1 to {}", queries::ROWS_MAX);
                Problem::new(StatusCode::BAD_REQUEST, detail)
            })?
        }
    };
    Ok(Wanted {
        filter,
        limit,
        before: asked.number("before_seq")?.map(Seq),
        after: asked.number("after_seq")?.map(Seq),
    })
}

/// `GET /api/why`: the decisions that lead a client where it goes.
#[utoipa::path(get, path = "/api/why", params(("node" = String, Query, description = "agent/NAME or user/NAME"), ("at_us" = Option<u64>, Query, description = "The instant, in microseconds since the start"), ("seq" = Option<u64>, Query, description = "The fact after which; not beside at_us")), responses(
    (status = 200, body = Why, description = "The decisions in order"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn why(
    State(app): State<Arc<App>>,
    pairs: Pairs,
) -> Result<Response<Body>, Problem> {
    let asked = Asked::new(pairs, &["node", "at_us", "seq"])?;
    let node = node(asked.text("node"))?;
    let (moment, source) = (moment(&app, asked.at()?).await?, app.source.clone());
    let why = blocking(move || {
        Why::new(&source, &moment.state, &node).ok_or_else(|| {
            let detail = format!("the lab has no agent or user {node}");
            Problem::new(StatusCode::NOT_FOUND, detail)
        })
    });
    Ok(api::json(&why.await?))
}

/// `GET /api/visits/USER/N`: one visit as hops.
#[utoipa::path(get, path = "/api/visits/{user}/{number}", params(("user" = String, Path, description = "The user"), ("number" = u64, Path, description = "The number of the visit")), responses(
    (status = 200, body = Request, description = "The visit"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn visit(
    State(app): State<Arc<App>>,
    Path((user, number)): Path<(String, String)>,
) -> Result<Response<Body>, Problem> {
    request(app, Node::User(user.as_str().into()), &number).await
}

/// `GET /api/dials/AGENT/N`: one dial as hops.
#[utoipa::path(get, path = "/api/dials/{agent}/{number}", params(("agent" = String, Path, description = "The agent"), ("number" = u64, Path, description = "The number of the dial")), responses(
    (status = 200, body = Request, description = "The dial"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn dial(
    State(app): State<Arc<App>>,
    Path((agent, number)): Path<(String, String)>,
) -> Result<Response<Body>, Problem> {
    request(app, Node::Agent(agent.as_str().into()), &number).await
}

async fn request(app: Arc<App>, node: Node, number: &str) -> Result<Response<Body>, Problem> {
    let topology = &app.source.topology;
    let known = match &node {
        Node::Agent(name) => topology.agents.iter().any(|agent| agent.name == *name),
        Node::User(_) => topology.users.iter().any(|user| &*user.name == node.name()),
        Node::Balancer(_) | Node::Dns | Node::Lab | Node::Proxy(_) | Node::Resolver(_) => false,
    };
    let missing = |detail: String| Problem::new(StatusCode::NOT_FOUND, detail);
    if !known {
        return Err(missing(format!("the lab has no {node}")));
    }
    let number: u64 = number
        .parse()
        .map_err(|_| missing(format!("{number:?} is no number of {node}")))?;
    let source = app.source.clone();
    let found = blocking(move || {
        Request::new(&source, &node, number).ok_or_else(|| {
            let detail = format!("{number} of {node} is no longer held, or is not made yet");
            Problem::new(StatusCode::GONE, detail)
        })
    });
    Ok(api::json(&found.await?))
}

/// `GET /api/consequences`: what an act breaks.
#[utoipa::path(get, path = "/api/consequences", params(("node" = Vec<String>, Query, description = "KIND/NAME, repeated for several"), ("act" = String, Query, description = "drain, kill, start or stop")), responses(
    (status = 200, body = Consequences, description = "What breaks"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn consequences(
    State(app): State<Arc<App>>,
    pairs: Pairs,
) -> Result<Response<Body>, Problem> {
    let asked = Asked::new(pairs, &["node", "act"])?;
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let act = asked.text("act").unwrap_or_default();
    let act = Act::ALL.iter().find(|known| known.word() == act).copied();
    let act = act.ok_or_else(|| bad(String::from("act is drain, kill, start or stop")))?;
    let nodes = asked.all("node").map(|text| node(Some(text)));
    let nodes = nodes.collect::<Result<Vec<Node>, Problem>>()?;
    if nodes.is_empty() || nodes.len() > NODES_MAX {
        return Err(bad(format!(
            "name from 1 to {NODES_MAX} nodes: node=proxy/1&node=proxy/2"
        )));
    }
    let told = app
        .journal
        .ask(|state| Consequences::new(state, &nodes, act));
    Ok(api::json(&told))
}

/// Reads a node: `agent/orders`.
fn node(text: Option<&str>) -> Result<Node, Problem> {
    let node = text.and_then(|text| text.split_once('/'));
    let node = node.and_then(|(kind, name)| Node::named(kind, name));
    node.ok_or_else(|| {
        let detail = "node is KIND/NAME, such as agent/orders or proxy/1";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Csv,
    Json,
}

fn written(table: &Table, form: Form) -> Response<Body> {
    let (media, text) = match form {
        Form::Csv => ("text/csv; charset=utf-8; header=present", table.csv()),
        Form::Json => ("application/json", table.json()),
    };
    let media = HeaderValue::from_static(media);
    ([(header::CONTENT_TYPE, media)], text).into_response()
}

/// `GET /api/tables/NAME.csv` and `.json`: a table of the page.
#[utoipa::path(get, path = "/api/tables/{table}", params(("table" = String, Path, description = "NAME.csv or NAME.json"), ("at_us" = Option<u64>, Query, description = "The instant, in microseconds since the start"), ("seq" = Option<u64>, Query, description = "The fact after which; not beside at_us")), responses(
    (status = 200, content((String = "text/csv; charset=utf-8; header=present"), (Vec<serde_json::Map<String, serde_json::Value>> = "application/json")), description = "The table"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn table(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    pairs: Pairs,
) -> Result<Response<Body>, Problem> {
    let missing = || {
        let detail = format!(
            "there is no table {file}: a table is NAME.csv or NAME.json with a NAME of {}, {}",
            tables::TABLES.join(", "),
            tables::LISTS.join(", ")
        );
        Problem::new(StatusCode::NOT_FOUND, detail)
    };
    let (name, form) = match file.rsplit_once('.') {
        Some((name, "csv")) => (name.to_owned(), Form::Csv),
        Some((name, "json")) => (name.to_owned(), Form::Json),
        _ => return Err(missing()),
    };
    if tables::LISTS.contains(&name.as_str()) {
        Asked::new(pairs, &[])?;
        let stage = stage(&app)?;
        let made =
            blocking(move || Ok(Table::of_scenarios(&name, &Scenarios::new(&stage)))).await?;
        return Ok(written(&made.ok_or_else(missing)?, form));
    }
    if !tables::TABLES.contains(&name.as_str()) {
        return Err(missing());
    }
    let asked = Asked::new(pairs, &["at_us", "seq"])?;
    let at = asked.at()?;
    let (moment, source) = (moment(&app, at).await?, app.source.clone());
    let made = blocking(move || {
        let then = moment.state.generation;
        let another = |rules: Arc<Rules>| rules.generation != then;
        if name == "zones" && at != At::Now && source.rules().is_some_and(another) {
            let detail = format!(
                "the zones of that instant were of generation {}, and only those of now are held: leave at_us and seq out",
                then.0
            );
            return Err(Problem::new(StatusCode::GONE, detail));
        }
        Ok(Table::new(&name, &moment, &source))
    })
    .await?;
    Ok(written(&made.ok_or_else(missing)?, form))
}

/// `GET /api/queries.csv`: the query log as a table.
#[utoipa::path(get, path = "/api/queries.csv", params(("filter" = Option<String>, Query, description = "Terms such as view:private rcode!=NOERROR"), ("limit" = Option<u64>, Query, minimum = 1, maximum = 2000, description = "How many at most"), ("before_seq" = Option<u64>, Query, description = "Only older ones"), ("after_seq" = Option<u64>, Query, description = "Only newer ones")), responses(
    (status = 200, body = String, content_type = "text/csv; charset=utf-8; header=present", description = "The query log"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn queries_csv(
    State(app): State<Arc<App>>,
    pairs: Pairs,
) -> Result<Response<Body>, Problem> {
    log(app, pairs, Form::Csv).await
}

/// `GET /api/queries.json`: the same as JSON.
#[utoipa::path(get, path = "/api/queries.json", params(("filter" = Option<String>, Query, description = "Terms such as view:private rcode!=NOERROR"), ("limit" = Option<u64>, Query, minimum = 1, maximum = 2000, description = "How many at most"), ("before_seq" = Option<u64>, Query, description = "Only older ones"), ("after_seq" = Option<u64>, Query, description = "Only newer ones")), responses(
    (status = 200, body = Vec<Object>, description = "The query log"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn queries_json(
    State(app): State<Arc<App>>,
    pairs: Pairs,
) -> Result<Response<Body>, Problem> {
    log(app, pairs, Form::Json).await
}

async fn log(app: Arc<App>, pairs: Pairs, form: Form) -> Result<Response<Body>, Problem> {
    let wanted = wanted(pairs)?;
    let source = app.source.clone();
    let table = blocking(move || Ok(Table::of_log(&Queries::new(&source, &wanted)))).await?;
    Ok(written(&table, form))
}

/// `GET /api/export`: the run in one file, packed if `form=gz` asks for it.
#[utoipa::path(get, path = "/api/export", params(("form" = Option<String>, Query, description = "json, or gz for a file that gzip has packed")), responses(
    (status = 200, content((Bundle = "application/json"), (Vec<u8> = "application/gzip")), description = "The run"),
    (status = "default", body = Problem, content_type = "application/problem+json", description = "What is wrong, in words")
))]
pub(super) async fn export(
    State(app): State<Arc<App>>,
    pairs: Pairs,
) -> Result<Response<Body>, Problem> {
    let asked = Asked::new(pairs, &["form"])?;
    let form = match asked.text("form") {
        None | Some("json") => Download::Json,
        Some("gz") => Download::Packed,
        Some(_) => {
            let detail = "form is json or gz";
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
    };
    let source = app.source.clone();
    download(&app, form, move || (source, None)).await
}

/// How a run is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Download {
    Json,
    Packed,
}

/// Puts a run together in one file; `find` is asked on a thread that may be busy for a while.
pub(super) async fn download(
    app: &App,
    form: Download,
    find: impl FnOnce() -> (Source, Option<serde_json::Value>) + Send + 'static,
) -> Result<Response<Body>, Problem> {
    // One at a time: a bundle is a large answer.
    let Ok(slot) = Arc::clone(&app.exports).try_acquire_owned() else {
        let detail = "another export is being made; ask again in a moment";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let made = blocking(move || {
        let (source, report) = find();
        let bundle = Bundle::new(&source, report);
        let body = match form {
            Download::Json => Ok(api::text(&bundle).into_bytes()),
            Download::Packed => bundle.packed(),
        };
        drop(slot);
        let body = body.map_err(|error| {
            let detail = format!("the run could not be packed: {error}");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
        })?;
        Ok((source.topology.name.clone(), body))
    });
    let (name, body) = made.await?;
    let plain = |byte: &char| byte.is_ascii_alphanumeric() || *byte == '-';
    let name: String = name.chars().filter(plain).collect();
    let (media, end) = match form {
        Download::Json => ("application/json", "json"),
        Download::Packed => ("application/gzip", "json.gz"),
    };
    let file = format!("attachment; filename=\"{name}.twodoors.{end}\"");
    let head = [
        (header::CONTENT_TYPE, String::from(media)),
        (header::CONTENT_DISPOSITION, file),
    ];
    Ok((head, body).into_response())
}
