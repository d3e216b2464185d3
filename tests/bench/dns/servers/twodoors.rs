//! The server that all this is about: two views with whole zones.

use std::net::SocketAddr;
use std::path::Path;

use super::{Data, Plan, line};
use crate::data::ORIGIN;

/// Plans `twodoors dns` with this views file.
pub(crate) fn with_views(folder: &Path, at: SocketAddr, text: String) -> Plan {
    let (file, at) = (folder.join("views.yaml"), at.to_string());
    let file = file.display().to_string();
    Plan {
        line: line(&["twodoors", "dns", "--views", &file, "--listen", &at]),
        files: vec![("views.yaml".into(), text)],
    }
}

pub(super) fn plan(data: Data, folder: &Path, zones: &Path, at: SocketAddr) -> Plan {
    let zone = |file: &str| {
        let file = zones.join(format!("{file}.zone"));
        format!("zones: [{{origin: {ORIGIN}, file: {}}}]", file.display())
    };
    match data {
        Data::Million => {
            let zone = format!("{ORIGIN}={}", zones.join("million.zone").display());
            let at = at.to_string();
            Plan {
                line: line(&["twodoors", "dns", "--zone", &zone, "--listen", &at]),
                files: Vec::new(),
            }
        }
        Data::TwoViews => {
            let text = format!(
                "networks:\n  internal: [127.10.0.0/16]\nviews:\n  \
                 - {{name: private, match: [internal], {}}}\n  \
                 - {{name: public, match: [any], {}}}\n",
                zone("private"),
                zone("public")
            );
            with_views(folder, at, text)
        }
    }
}
