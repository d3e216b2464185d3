//! The pool: its instances, and their listeners by its `teleport.yaml`.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{
    BackendAddr, Files, LabNode, Name, Pool, Proxy, Resolver, Seed, Step, Subject, file, format,
    host_id, teleport,
};
use Step::Key as K;

use crate::model::teleport::{Port, ProxyService};

impl Resolver<'_> {
    pub(super) fn pool(&mut self, pool: &file::Pool, seed: Seed) -> Option<Pool> {
        let steps = [K("pool"), K("teleport")];
        let read = pool.teleport.as_deref().and_then(|p| self.file(&steps, p));
        let file = read.and_then(|(path, text)| {
            let files = Noted::new(self.files);
            let (mistakes, warnings) = (&mut self.mistakes, &mut self.warnings);
            let file = teleport::proxy(&path, &text, &files, mistakes, warnings);
            self.read.extend(files.read.into_inner());
            file
        });
        let range = format::cidr(pool.addresses.as_deref()?).ok()?;
        let size = pool.size?;
        let hosts: Vec<IpAddr> = range.hosts().take(size).collect();
        if hosts.len() < size {
            self.wrong(
                &[K("pool"), K("addresses")],
                format!(
                    "{range} has {} host addresses for {size} instances",
                    hosts.len()
                ),
                "give a larger network or a smaller size",
            );
        }
        let file = file?;
        self.places.put(Subject::Pool, Arc::new(file.keys));
        let service = file.service;
        let port = service.web_listen().port;
        let proxies = hosts.iter().zip(1..).map(|(host, number): (_, usize)| {
            let name: Name = number.to_string().into();
            Proxy {
                id: host_id(seed, &LabNode::Proxy(name.clone())),
                name,
                listen: BackendAddr(SocketAddr::new(*host, port)),
                further: further(&service, *host),
            }
        });
        Some(Pool {
            name: pool.name.as_deref()?.into(),
            proxies: proxies.collect(),
            teleport: service,
        })
    }
}

/// Files that note what could be read of them.
struct Noted<'a> {
    files: &'a dyn Files,
    read: RefCell<Vec<PathBuf>>,
}

impl<'a> Noted<'a> {
    fn new(files: &'a dyn Files) -> Self {
        let read = RefCell::default();
        Self { files, read }
    }
}

impl Files for Noted<'_> {
    fn read(&self, path: &Path) -> Result<String, String> {
        let text = self.files.read(path)?;
        let mut read = self.read.borrow_mut();
        if !read.iter().any(|known| known == path) {
            read.push(path.to_path_buf());
        }
        Ok(text)
    }
}

/// Gives an instance's listeners beside the web listener: each port once, since tunnels may share
/// the web listener.
fn further(service: &ProxyService, host: IpAddr) -> Vec<(Port, BackendAddr)> {
    let web = service.web_listen().port;
    let others = service.listen.iter();
    others
        .filter(|(port, address)| *port != Port::Web && address.port != web)
        .map(|(port, address)| (*port, BackendAddr(SocketAddr::new(host, address.port))))
        .collect()
}
