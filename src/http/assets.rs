//! The files of `web/`, carried in the binary.
//!
//! In goes a path, out comes the file with its type and a tag by which a browser asks only for
//! what changed. Nothing is ever read from disk.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{self, HeaderMap};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse as _;
use ring::digest;

/// A file of the page.
#[derive(Debug)]
pub struct Asset {
    /// Its path below `web/`.
    pub path: &'static str,
    /// Its content.
    pub content: &'static str,
}

macro_rules! assets {
    ($($path:literal),* $(,)?) => {
        /// Every file of the page.
        pub const ASSETS: &[Asset] = &[
            $(Asset { path: $path, content: include_str!(concat!("../../web/", $path)) }),*
        ];
    };
}

assets![
    "api.js",
    "dom.js",
    "format.js",
    "icon.svg",
    "index.html",
    "main.js",
    "store.js",
    "style.css",
    "types.js",
    "views/agents.js",
    "views/dns.js",
    "views/facts.js",
    "views/faults.js",
    "views/findings.js",
    "views/layout.js",
    "views/node.js",
    "views/parts.js",
    "views/pool.js",
    "views/topology.js",
    "views/users.js",
];

/// A tag per file, in the order of [`ASSETS`].
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let tag = |asset: &Asset| {
        let sum = digest::digest(&digest::SHA256, asset.content.as_bytes());
        let hex: String = sum.as_ref()[..8]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        format!("\"{hex}\"")
    };
    ASSETS.iter().map(tag).collect()
});

/// Answers a path with its file; `None` when there is none.
pub(super) fn answer(path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    let wanted = match path {
        "/" => "index.html",
        "/index.html" => return None,
        other => other.strip_prefix('/')?,
    };
    let index = ASSETS.iter().position(|asset| asset.path == wanted)?;
    let tag = TAGS[index].as_str();
    let about = [(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache")];
    let known = headers.get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Some((StatusCode::NOT_MODIFIED, about).into_response());
    }
    let media = [(header::CONTENT_TYPE, media_type(wanted))];
    Some((about, media, ASSETS[index].content).into_response())
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
