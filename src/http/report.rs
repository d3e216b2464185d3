//! The page and a run that is over in one file, which needs no server and no network.
//!
//! In goes a run as JSON, out comes a document: the page's own files, its modules as `data:`
//! addresses of an import map, and the run, packed by gzip and written in base64, which the page
//! unpacks itself. A browser opens it from disk, and may load nothing: the policy inside knows its own
//! parts by their sums and names no address.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Component, Path};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use super::assets::ASSETS;

/// The module that the page begins with.
const ENTRY: &str = "main.js";

/// What the run is, for a browser: nothing that it executes. Base64 cannot end its element.
const BUNDLE_TYPE: &str = "application/gzip;base64";

/// The stylesheet that the page asks for later: a report has it from the beginning.
const LATER: &str = "pages.css";

/// What stands before a module's path in the import map: a bare name, since nothing is relative to
/// a `data:` address.
const PREFIX: &str = "twodoors/";

/// A module that the page asks for and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{module} imports {wanted}, which is no file of the page")]
pub struct Missing {
    module: String,
    wanted: String,
}

/// Writes the report of a run; `bundle` is what the page's `BundleSource` reads, as JSON that gzip
/// has packed.
pub fn page(bundle: &[u8]) -> Result<String, Missing> {
    let sources = ASSETS.iter().map(|asset| (asset.path, asset.content));
    let sources: BTreeMap<&str, &str> = sources.collect();
    let content = |path| sources.get(path).copied().unwrap_or_default();
    let modules = modules(&sources, ENTRY)?;
    let map = import_map(&modules);
    let entry = format!("import '{PREFIX}{ENTRY}';");
    let mut styles = String::new();
    let mut kept = String::new();
    for line in content("index.html").lines() {
        if let Some(path) = attribute(line, "<link rel=\"stylesheet\" href=\"/") {
            styles.push_str(content(path));
            styles.push_str(content(LATER));
        } else if line.contains("<link rel=\"icon\"") {
            let icon = STANDARD.encode(content("icon.svg"));
            let _ = writeln!(
                kept,
                "  <link rel=\"icon\" href=\"data:image/svg+xml;base64,{icon}\">"
            );
        } else if attribute(line, "<script type=\"module\" src=\"/").is_some() {
            let policy = format!(
                "default-src 'none'; script-src {} {} data:; style-src {}; img-src data:; \
                 base-uri 'none'; form-action 'none'",
                sum(&map),
                sum(&entry),
                sum(&styles)
            );
            let _ = writeln!(
                kept,
                "  <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n  \
                 <style>{styles}</style>\n  \
                 <script type=\"{BUNDLE_TYPE}\" id=\"bundle\">{}</script>\n  \
                 <script type=\"importmap\">{map}</script>\n  \
                 <script type=\"module\">{entry}</script>",
                STANDARD.encode(bundle)
            );
        } else {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    Ok(kept)
}

/// Gives the value of a line's attribute that is written after these words.
fn attribute<'l>(line: &'l str, words: &str) -> Option<&'l str> {
    let (_, rest) = line.split_once(words)?;
    rest.split_once('"').map(|(value, _)| value)
}

/// Gives the sum by which a policy knows an element (CSP 3, section 2.3.1).
fn sum(content: &str) -> String {
    let sum = digest::digest(&digest::SHA256, content.as_bytes());
    format!("'sha256-{}'", STANDARD.encode(sum))
}

fn import_map(modules: &BTreeMap<String, String>) -> String {
    let address = |source| format!("data:text/javascript;base64,{}", STANDARD.encode(source));
    let named = modules.iter();
    let named = named.map(|(path, source)| (format!("{PREFIX}{path}"), address(source).into()));
    let imports: serde_json::Map<String, serde_json::Value> = named.collect();
    serde_json::json!({ "imports": imports }).to_string()
}

/// Gives every module that the first one leads to, with bare names in its imports.
fn modules(
    sources: &BTreeMap<&str, &str>,
    first: &str,
) -> Result<BTreeMap<String, String>, Missing> {
    let mut done = BTreeMap::new();
    let mut open = vec![first.to_owned()];
    while let Some(path) = open.pop() {
        if done.contains_key(&path) {
            continue;
        }
        let source = sources.get(&*path).copied().unwrap_or_default();
        let (rewritten, wanted) = bare(&path, source);
        for wanted in &wanted {
            if !sources.contains_key(&**wanted) {
                return Err(Missing {
                    module: path,
                    wanted: wanted.clone(),
                });
            }
        }
        open.extend(wanted);
        done.insert(path, rewritten);
    }
    Ok(done)
}

/// Gives a module with bare names in its imports, and the paths that it imports.
///
/// An import is a statement of its own, from the first column, or a call after an arrow or `await`;
/// what stands in comments is for the checker of types.
fn bare(path: &str, source: &str) -> (String, Vec<String>) {
    let mut wanted = Vec::new();
    let mut written = String::with_capacity(source.len());
    let mut inside = false;
    for line in source.split_inclusive('\n') {
        inside |= line.starts_with("import ") || line.starts_with("export * ");
        let called = line
            .find("=> import('")
            .or_else(|| line.find("await import('"));
        let quoted = match called {
            Some(at) => line[at..].find('\'').map(|quote| at + quote),
            None if inside => line.find('\''),
            None => None,
        };
        let relative = quoted.and_then(|start| {
            let end = start + 1 + line[start + 1..].find('\'')?;
            Some((start + 1, end, resolve(path, &line[start + 1..end])?))
        });
        if inside && line.trim_end().ends_with(';') {
            inside = false;
        }
        match relative {
            None => written.push_str(line),
            Some((start, end, module)) => {
                let _ = write!(
                    written,
                    "{}{PREFIX}{module}{}",
                    &line[..start],
                    &line[end..]
                );
                wanted.push(module);
            }
        }
    }
    (written, wanted)
}

/// Gives the path of `./b.js` or `../b.js`, as a module writes it.
fn resolve(from: &str, wanted: &str) -> Option<String> {
    if !wanted.starts_with('.') {
        return None;
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in Path::new(wanted).components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::http::api::bundle::pack;

    #[test]
    fn every_import_of_the_page_is_found_and_none_stays_relative() {
        let sources = ASSETS.iter().map(|asset| (asset.path, asset.content));
        let sources: BTreeMap<&str, &str> = sources.collect();
        let modules = modules(&sources, ENTRY).unwrap();
        for (path, source) in &modules {
            for line in source
                .lines()
                .filter(|line| !line.trim_start().starts_with(['*', '/']))
            {
                let relative = line.contains("from './") || line.contains("from '../");
                assert!(!relative, "{path}: {line}");
            }
        }
        // Nothing is carried that no module asks for, and nothing of the code is left behind.
        let code = |path: &str| path.ends_with(".js");
        let left = sources
            .keys()
            .filter(|path| code(path) && !modules.contains_key(**path));
        assert_eq!(left.collect::<Vec<_>>(), Vec::<&&str>::new());
    }

    #[test]
    fn an_import_of_nothing_is_a_mistake() {
        let sources = BTreeMap::from([("main.js", "import { a } from './views/b.js';\n")]);
        let missing = modules(&sources, "main.js").unwrap_err();
        assert_eq!(
            missing.to_string(),
            "main.js imports views/b.js, which is no file of the page"
        );
    }

    #[test]
    fn imports_are_told_from_words_that_look_like_them() {
        let source = "\
/** @import {A} from './types.js' */
import {
  a, b,
} from '../dom.js';
import * as c from './c.js';
/** @type {import('./types.js').B} */
const later = () => import('./d.js');
const text = \"from './e.js'\";
";
        let (written, wanted) = bare("views/x.js", source);
        assert_eq!(wanted, ["dom.js", "views/c.js", "views/d.js"]);
        assert!(written.contains("} from 'twodoors/dom.js';"));
        assert!(written.contains("=> import('twodoors/views/d.js')"));
        assert!(written.contains("\"from './e.js'\""));
        assert!(written.contains("@import {A} from './types.js'"));
    }

    #[test]
    fn a_run_cannot_leave_its_element() {
        let run = r#"{"name":"</script><!--<script>alert(1)"}"#;
        let page = page(&pack(run).unwrap()).unwrap();
        let (_, after) = page.split_once("id=\"bundle\">").unwrap();
        let (inside, _) = after.split_once("</script>").unwrap();
        let packed = STANDARD.decode(inside).unwrap();
        let mut text = String::new();
        let mut unpacker = flate2::read::GzDecoder::new(&packed[..]);
        unpacker.read_to_string(&mut text).unwrap();
        assert_eq!(text, run);
    }

    #[test]
    fn the_policy_names_the_sums_of_what_is_inside_and_no_address() {
        let page = page(b"").unwrap();
        let between = |from: &str, to: &str| {
            let (_, rest) = page.split_once(from).unwrap();
            rest.split_once(to).unwrap().0
        };
        let policy = between("Content-Security-Policy\" content=\"", "\"");
        for part in [
            between("<script type=\"importmap\">", "</script>"),
            between("<script type=\"module\">", "</script>"),
            between("<style>", "</style>"),
        ] {
            assert!(!part.is_empty());
            assert!(policy.contains(&sum(part)), "{policy}");
        }
        for sheet in ASSETS.iter().filter(|asset| asset.path.ends_with(".css")) {
            assert!(page.contains(sheet.content), "{}", sheet.path);
        }
        assert!(!policy.contains("http") && !policy.contains("'self'"));
        for outside in ["src=\"/", "rel=\"stylesheet\""] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
