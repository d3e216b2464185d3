//! The files of `web/`, carried in the binary.
//!
//! In goes a path, out comes the file with its type and a tag by which a browser asks only for
//! what changed. Nothing is read from disk, unless whoever works on the page names its folder.

use std::borrow::Cow;
use std::path::Path;
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

/// The pages: each path shows the same document, which draws what the path says.
pub const PAGES: &[&str] = &["/", "/topology", "/dns", "/pool", "/timeline", "/scenarios"];

/// A tag per file, in the order of [`ASSETS`].
static TAGS: LazyLock<Vec<String>> =
    LazyLock::new(|| ASSETS.iter().map(|asset| tag(asset.content)).collect());

/// Makes the tag of a file.
fn tag(content: &str) -> String {
    let sum = digest::digest(&digest::SHA256, content.as_bytes());
    let hex: String = sum.as_ref()[..8]
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("\"{hex}\"")
}

/// Answers a path with its file; `None` when there is none.
///
/// With a folder the file is read from there, so that a change of the page shows without a build.
pub(super) fn answer(
    path: &str,
    headers: &HeaderMap,
    folder: Option<&Path>,
) -> Option<Response<Body>> {
    let wanted = match path {
        page if PAGES.contains(&page) => "index.html",
        "/index.html" => return None,
        other => other.strip_prefix('/')?,
    };
    let (content, tag): (Cow<'static, str>, _) = match folder {
        Some(folder) => {
            let content = read(folder, wanted)?;
            let tag = tag(&content);
            (content.into(), Cow::from(tag))
        }
        None => {
            let index = ASSETS.iter().position(|asset| asset.path == wanted)?;
            (ASSETS[index].content.into(), TAGS[index].as_str().into())
        }
    };
    let about = [(header::ETAG, &*tag), (header::CACHE_CONTROL, "no-cache")];
    let known = headers.get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Some((StatusCode::NOT_MODIFIED, about).into_response());
    }
    let media = [(header::CONTENT_TYPE, media_type(wanted))];
    Some((about, media, content.into_owned()).into_response())
}

/// Reads a file of the page; only plain names lead anywhere, so nothing outside the folder does.
fn read(folder: &Path, wanted: &str) -> Option<String> {
    let plain = |part: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        !part.starts_with('.') && !part.is_empty() && part.bytes().all(known)
    };
    let is_plain = wanted.split('/').all(plain);
    is_plain.then(|| std::fs::read_to_string(folder.join(wanted)).ok())?
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_own_files_and_nothing_outside() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        assert!(read(&folder, "index.html").is_some());
        assert!(read(&folder, "views/topology.js").is_some());
        for outside in [
            "../Cargo.toml",
            "views/../../Cargo.toml",
            "/etc/passwd",
            "",
            "views//",
        ] {
            assert!(read(&folder, outside).is_none(), "{outside}");
        }
        assert!(folder.join("../Cargo.toml").exists());
    }
}
