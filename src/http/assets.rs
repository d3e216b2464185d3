//! The files of `web/`, carried in the binary.
//!
//! In goes a path, out comes the file with its type and a tag by which a browser asks only for
//! what changed. Nothing is read from disk, unless whoever works on the page names its folder.

use std::borrow::Cow;
use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse as _;
use flate2::Compression;
use flate2::write::GzEncoder;
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
        /// Every file of the page. `types.js` has typedefs alone, which only the checker of types
        /// reads: no browser asks for it, so it is not carried.
        pub const ASSETS: &[Asset] = &[
            $(Asset { path: $path, content: include_str!(concat!("../../web/", $path)) }),*
        ];
    };
}

assets![
    "api.js",
    "bundle.js",
    "calls.js",
    "dom.js",
    "format.js",
    "glossary.js",
    "icon.svg",
    "index.html",
    "keys.js",
    "later.js",
    "main.js",
    "nothing.html",
    "pages.css",
    "router.js",
    "source.js",
    "store.js",
    "style.css",
    "table.js",
    "timebar.js",
    "tour.js",
    "views/acts.js",
    "views/axis.js",
    "views/chart.js",
    "views/dns.js",
    "views/doors.js",
    "views/facts.js",
    "views/faultcards.js",
    "views/faults.js",
    "views/findings.js",
    "views/forms.js",
    "views/hops.js",
    "views/lanes.js",
    "views/layout.js",
    "views/members.js",
    "views/node.js",
    "views/parts.js",
    "views/picture.js",
    "views/queries.js",
    "views/resolve.js",
    "views/scenarios.js",
    "views/strips.js",
    "views/timeline.js",
    "views/topology.js",
    "views/zones.js",
    "virtual.js",
    "why.js",
    "worst.js",
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

/// Every file as gzip (RFC 1952), in the order of [`ASSETS`]: comments and all, the page is read by
/// people too, and a third of it goes over the wire.
static PACKED: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| ASSETS.iter().map(|asset| packed(asset.content)).collect());

fn packed(content: &str) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::best());
    let written = writer.write_all(content.as_bytes());
    let whole = written.and_then(|()| writer.finish());
    whole.expect("writing into memory does not fail")
}

/// Tells whether the asker takes gzip (RFC 9110 section 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let mut codings = texts.flat_map(|text| text.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().trim_start_matches("q=").parse() == Ok(0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
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
    let packs = folder.is_none() && takes_gzip(headers);
    let (content, mut tag): (Cow<'static, [u8]>, String) = match folder {
        Some(folder) => {
            let content = read(folder, wanted)?;
            let tag = tag(&content);
            (content.into_bytes().into(), tag)
        }
        None => {
            let index = ASSETS.iter().position(|asset| asset.path == wanted)?;
            let content = if packs {
                &*PACKED[index]
            } else {
                ASSETS[index].content.as_bytes()
            };
            (content.into(), TAGS[index].clone())
        }
    };
    if packs {
        // Another representation, so another tag (RFC 9110 section 8.8.3).
        tag.insert(1, 'g');
    }
    let about = [
        (header::ETAG, &*tag),
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "Accept-Encoding"),
    ];
    let known = headers.get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Some((StatusCode::NOT_MODIFIED, about).into_response());
    }
    let media = [(header::CONTENT_TYPE, media_type(wanted))];
    let mut response = (about, media, content.into_owned()).into_response();
    if packs {
        let gzip = HeaderValue::from_static("gzip");
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, gzip);
    }
    Some(response)
}

/// What a person in a browser sees at a path where there is nothing; `None` for any other asker.
pub(super) fn nothing(headers: &HeaderMap) -> Option<Response<Body>> {
    let accepted = headers.get(header::ACCEPT)?.to_str().ok()?;
    let mut media = accepted.split([',', ';']).map(str::trim);
    media
        .any(|media| media.eq_ignore_ascii_case("text/html"))
        .then_some(())?;
    let page = ASSETS.iter().find(|asset| asset.path == "nothing.html")?;
    let media = [(header::CONTENT_TYPE, media_type(page.path))];
    Some((StatusCode::NOT_FOUND, media, page.content).into_response())
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

    #[test]
    fn every_page_is_linked_also_where_nothing_is() {
        for document in ["index.html", "nothing.html"] {
            let asset = ASSETS.iter().find(|asset| asset.path == document).unwrap();
            for page in PAGES.iter().filter(|page| **page != "/") {
                let link = format!("<a href=\"{page}\"");
                assert!(asset.content.contains(&link), "{document}: {page}");
            }
        }
    }

    /// Gives what a browser asks for before the front page stands, and nothing that comes later.
    fn cold() -> Vec<&'static Asset> {
        let find = |path: &str| ASSETS.iter().find(|asset| asset.path == path).unwrap();
        let mut found: Vec<&Asset> = ["index.html", "style.css", "icon.svg"].map(find).to_vec();
        let mut open = vec!["main.js".to_owned(), "views/topology.js".to_owned()];
        while let Some(path) = open.pop() {
            let asset = find(&path);
            if found.iter().any(|known| known.path == path) {
                continue;
            }
            found.push(asset);
            let imports = asset
                .content
                .lines()
                .filter(|line| !line.starts_with([' ', '/']));
            for wanted in imports.filter_map(|line| line.split_once(" from '")) {
                let (wanted, _) = wanted.1.split_once('\'').unwrap();
                let folder = if path.starts_with("views/") {
                    "views/"
                } else {
                    ""
                };
                open.push(match wanted.strip_prefix("../") {
                    Some(above) => above.to_owned(),
                    None => format!("{folder}{}", wanted.trim_start_matches("./")),
                });
            }
        }
        found
    }

    #[test]
    fn a_cold_start_of_the_front_page_is_under_150_kb_as_the_files_are() {
        let cold = cold();
        let bytes: usize = cold.iter().map(|asset| asset.content.len()).sum();
        println!("{bytes} bytes in {} files", cold.len());
        assert!(bytes < 150_000, "{bytes}");
        for later in [
            "pages.css",
            "tour.js",
            "views/dns.js",
            "views/node.js",
            "views/timeline.js",
        ] {
            assert!(ASSETS.iter().any(|asset| asset.path == later), "{later}");
            assert!(!cold.iter().any(|asset| asset.path == later), "{later}");
        }
    }

    #[test]
    fn what_a_browser_loads_is_under_150_kb_and_is_the_file() {
        let loaded = ASSETS.iter().zip(PACKED.iter());
        let bytes: usize = loaded.map(|(_, packed)| packed.len()).sum();
        assert!(bytes < 150_000, "{bytes}");
        let mut headers = HeaderMap::new();
        let whole = answer("/main.js", &headers, None).unwrap();
        assert!(whole.headers().get(header::CONTENT_ENCODING).is_none());
        let gzip = HeaderValue::from_static("br, gzip;q=0.8");
        headers.insert(header::ACCEPT_ENCODING, gzip);
        let packed = answer("/main.js", &headers, None).unwrap();
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
        assert_ne!(
            packed.headers()[header::ETAG],
            whole.headers()[header::ETAG]
        );
        for (asset, packed) in ASSETS.iter().zip(PACKED.iter()) {
            let mut text = String::new();
            let mut reader = flate2::read::GzDecoder::new(&packed[..]);
            std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
            assert_eq!(text, asset.content);
        }
        for refused in ["", "br", "gzip;q=0", "x-gzip"] {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(refused));
            assert!(!takes_gzip(&headers), "{refused}");
        }
    }
}
