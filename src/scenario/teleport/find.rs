//! A document of `/webapi/find` or `/webapi/ping`: what a proxy says of itself.
//!
//! In goes the JSON that a real cluster answered; out comes what of it decides something. Fields
//! that are not known are ignored, as Teleport's client does; a field of the wrong kind is a
//! mistake with its place.

use std::path::Path;

use crate::model::mistake::Mistake;
use crate::model::teleport::Document;

use super::super::Mistakes;
use super::super::tree::{self, Node, Step, Value};

pub(super) fn read(path: &Path, text: &str) -> Result<Document, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    let tree = tree::read(path, text, &mut mistakes);
    let document = tree.and_then(|tree| {
        let mut fields = Fields {
            path,
            tree: &tree,
            mistakes: &mut mistakes,
        };
        fields.document()
    });
    match document {
        Some(document) if mistakes.is_empty() => Ok(document),
        _ => Err(mistakes.into_list(path)),
    }
}

struct Fields<'a> {
    path: &'a Path,
    tree: &'a Node,
    mistakes: &'a mut Mistakes,
}

impl<'a> Fields<'a> {
    fn document(&mut self) -> Option<Document> {
        let proxy = self.tree.entry("proxy");
        let Some(Value::Map(_)) = proxy.map(|proxy| &proxy.node.value) else {
            let mark = proxy.map_or(self.tree.mark, |proxy| proxy.node.mark);
            self.mistakes.add(
                self.path,
                mark,
                "proxy",
                "this is not an answer of /webapi/find: it has no mapping proxy",
                "save one with curl https://proxy.example.com:3080/webapi/find",
            );
            return None;
        };
        Some(Document {
            tls_routing: self.flag("proxy.tls_routing_enabled"),
            cluster_name: self.text("cluster_name"),
            public_addr: self.text("proxy.ssh.public_addr"),
            web_listen_addr: self.text("proxy.ssh.web_listen_addr"),
            ssh_public_addr: self.text("proxy.ssh.ssh_public_addr"),
            ssh_listen_addr: self.text("proxy.ssh.listen_addr"),
            tunnel_public_addr: self.text("proxy.ssh.ssh_tunnel_public_addr"),
            tunnel_listen_addr: self.text("proxy.ssh.tunnel_listen_addr"),
            kube_public_addr: self.text("proxy.kube.public_addr"),
            kube_listen_addr: self.text("proxy.kube.listen_addr"),
            postgres_public_addr: self.text("proxy.db.postgres_public_addr"),
            postgres_listen_addr: self.text("proxy.db.postgres_listen_addr"),
            mysql_public_addr: self.text("proxy.db.mysql_public_addr"),
            mysql_listen_addr: self.text("proxy.db.mysql_listen_addr"),
            mongo_public_addr: self.text("proxy.db.mongo_public_addr"),
            mongo_listen_addr: self.text("proxy.db.mongo_listen_addr"),
        })
    }

    fn text(&mut self, key: &str) -> String {
        let Some(node) = self.at(key) else {
            return String::new();
        };
        if let Value::Text(text) = &node.value {
            // Somebody else wrote it, and it is shown on a terminal.
            if text.contains(char::is_control) {
                let what = format!("{text:?} holds a control character");
                let cure = "look at where the document comes from";
                self.mistakes.add(self.path, node.mark, key, what, cure);
            }
            return text.clone();
        }
        self.wrong(key, node, "text");
        String::new()
    }

    fn flag(&mut self, key: &str) -> bool {
        let Some(node) = self.at(key) else {
            return false;
        };
        if let Value::Bool(flag) = &node.value {
            return *flag;
        }
        self.wrong(key, node, "true or false");
        false
    }

    /// Finds a field; one that is null is absent, as in Go.
    fn at(&self, key: &str) -> Option<&'a Node> {
        let steps: Vec<Step<'_>> = key.split('.').map(Step::Key).collect();
        let node = self.tree.at(&steps)?;
        (node.value != Value::Null).then_some(node)
    }

    fn wrong(&mut self, key: &str, node: &Node, wanted: &str) {
        let what = format!("{} is found where {wanted} is wanted", node.kind());
        self.mistakes.add(self.path, node.mark, key, what, "");
    }
}
