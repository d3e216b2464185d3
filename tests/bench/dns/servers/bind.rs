//! BIND with two views; answers as small as the others', one worker, no log of queries.

use std::net::SocketAddr;
use std::path::Path;

use super::{Data, Plan, line};
use crate::data::ORIGIN;

pub(super) fn plan(data: Data, folder: &Path, zones: &Path, at: SocketAddr) -> Plan {
    let (folder, zones, port) = (folder.display(), zones.display(), at.port());
    let zone = |file: &str| {
        format!("zone \"{ORIGIN}\" {{ type primary; file \"{zones}/{file}.zone\"; }};")
    };
    let content = match data {
        Data::Million => zone("million"),
        Data::TwoViews => format!(
            "view private {{ match-clients {{ 127.10.0.0/16; }}; {} }};\n\
             view public {{ match-clients {{ any; }}; {} }};",
            zone("private"),
            zone("public"),
        ),
    };
    let text = format!(
        "options {{\n  directory \"{folder}\";\n  pid-file \"{folder}/named.pid\";\n  \
         listen-on port {port} {{ 127.0.0.1; }};\n  listen-on-v6 {{ none; }};\n  recursion no;\n  \
         minimal-responses yes;\n  notify no;\n  querylog no;\n  dnssec-validation no;\n}};\n\
         controls {{ }};\n\
         logging {{ channel errors {{ stderr; severity error; }}; category default {{ errors; }}; }};\n\
         {content}\n"
    );
    let file = format!("{folder}/named.conf");
    let mut words = vec!["named", "-f", "-c", &file];
    if data == Data::TwoViews {
        words.extend(["-n", "1"]);
    }
    Plan {
        line: line(&words),
        files: vec![("named.conf".into(), text)],
    }
}
