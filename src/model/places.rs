//! Where in the user's files each key stands, so that what is found out later can point there.
//!
//! Made while the files are read; looked up by whose file it is and by the key's path, as mistakes
//! write it: `proxy_service.public_addr[1]`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::id::Name;
use super::mistake::Place;

/// Whose file it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The `teleport.yaml` or the Helm values of an agent.
    Agent(Name),
    /// The environment file of an agent; its Helm values where the variable stands there.
    Environment(Name),
    /// The `teleport.yaml` of the pool.
    Pool,
    /// The scenario.
    Scenario,
}

/// The keys of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    file: PathBuf,
    /// Line and column of each value, by the path of its key.
    places: BTreeMap<String, (usize, usize)>,
}

impl Keys {
    /// Makes the keys of a file in which none is known yet.
    pub fn new(file: &Path) -> Self {
        Self {
            file: file.to_path_buf(),
            places: BTreeMap::new(),
        }
    }

    /// Notes where the value of a key begins, from 1 both.
    pub fn put(&mut self, key: impl Into<String>, line: usize, column: usize) {
        self.places.insert(key.into(), (line, column));
    }

    /// Lets a key be found by another name, too: `proxyAddr` as `teleport.proxy_server`.
    pub fn alias(&mut self, key: &str, of: &str) {
        if let Some(place) = self.places.get(of).copied() {
            self.places.insert(key.to_owned(), place);
        }
    }

    /// Gives the file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Gives the place of a key that is written in the file.
    pub fn get(&self, key: &str) -> Option<Place> {
        let (line, column) = self.places.get(key).copied()?;
        Some(self.place(line, column))
    }

    /// Gives the place of a key; that of the nearest mapping or list around it when it is not
    /// there. The empty key is the whole file, which begins at its first value.
    pub fn nearest(&self, key: &str) -> Place {
        let mut rest = key;
        loop {
            if let Some(place) = self.get(rest) {
                return place;
            }
            if rest.is_empty() {
                return self.place(1, 1);
            }
            rest = &rest[..rest.rfind(['.', '[']).unwrap_or(0)];
        }
    }

    fn place(&self, line: usize, column: usize) -> Place {
        Place {
            file: self.file.clone(),
            line,
            column,
        }
    }
}

/// The keys of every file of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Agents of a fleet share the keys of their file.
    of: BTreeMap<Subject, Arc<Keys>>,
}

impl Places {
    /// Notes whose file it is.
    pub fn put(&mut self, subject: Subject, keys: Arc<Keys>) {
        self.of.insert(subject, keys);
    }

    /// Gives the keys of somebody's file, if there is one.
    pub fn keys(&self, subject: &Subject) -> Option<&Keys> {
        self.of.get(subject).map(|keys| &**keys)
    }

    /// Gives the place of a key in somebody's file, or the nearest to it; `None` when there is no
    /// such file.
    pub fn place(&self, subject: &Subject, key: &str) -> Option<Place> {
        self.keys(subject).map(|keys| keys.nearest(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        let mut keys = Keys::new(Path::new("proxy.yaml"));
        keys.put("proxy_service", 4, 3);
        keys.put("proxy_service.public_addr", 5, 16);
        keys.put("proxy_service.public_addr[1]", 7, 9);
        keys
    }

    #[test]
    fn a_key_that_is_not_there_is_where_it_would_be() {
        let keys = keys();
        for (key, at) in [
            ("proxy_service.public_addr[1]", "proxy.yaml:7:9"),
            ("proxy_service.public_addr[0]", "proxy.yaml:5:16"),
            ("proxy_service.listen_addr", "proxy.yaml:4:3"),
            ("auth_service.cluster_name", "proxy.yaml:1:1"),
            ("", "proxy.yaml:1:1"),
        ] {
            assert_eq!(keys.nearest(key).to_string(), at, "{key}");
        }
        assert_eq!(keys.get("proxy_service.listen_addr"), None);
    }

    #[test]
    fn each_is_asked_for_by_whose_file_it_is() {
        let mut keys = keys();
        keys.alias("public", "proxy_service.public_addr");
        keys.alias("nothing", "auth_service");
        let mut places = Places::default();
        places.put(Subject::Pool, Arc::new(keys));
        let public = places.place(&Subject::Pool, "public");
        assert_eq!(public.expect("an alias").to_string(), "proxy.yaml:5:16");
        let nothing = places.place(&Subject::Pool, "nothing");
        assert_eq!(nothing.expect("the file").to_string(), "proxy.yaml:1:1");
        assert_eq!(places.place(&Subject::Scenario, "name"), None);
    }
}
