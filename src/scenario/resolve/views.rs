//! The DNS server: named match lists, views and their zones.
//!
//! The keys are those of `dns:` in a scenario, or the top-level keys of a file of views.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crate::model::mistake::Files;
use crate::model::network::{Element, Matcher, Mode};
use crate::model::places::Subject;
use crate::model::topology::{Cookies, Dns, Forward, Miss, Share, View, ZoneSource};
use crate::scenario::tree::{Node, Step, Value};
use crate::scenario::{LoadedViews, Mistakes, Unsound, file, format, places};

use super::{Resolver, present, with};
use Step::{Index as I, Key as K};

/// Where the DNS server listens unless told.
const LISTEN_DEFAULT: &str = "127.0.0.1:5300";

/// How deep named lists may hold one another.
const DEPTH_MAX: usize = 16;

/// How many elements a named list may have when the lists in it are written out: a list that holds
/// another one twice is twice as long, and so on.
const WRITTEN_OUT_MAX: usize = 10_000;

/// A named match list.
#[derive(Debug)]
pub(super) enum Named {
    /// It is being resolved.
    Open,
    /// It has a mistake, which has been told.
    Unsound,
    /// It is resolved.
    Whole {
        elements: Arc<[Element]>,
        /// How many elements it has when the lists in it are written out.
        size: usize,
        /// How deep lists are in it.
        depth: usize,
    },
}

/// Resolves a file of views.
pub(in crate::scenario) fn resolve_views(
    path: &Path,
    tree: &Node,
    shapes: (Option<&file::Networks>, &file::Dns),
    files: &dyn Files,
    mistakes: Mistakes,
) -> Result<LoadedViews, Unsound> {
    let mut resolver = Resolver::new(path, tree, files, mistakes, &[]);
    let keys = places::of_tree(path, tree);
    resolver.places.put(Subject::Scenario, Arc::new(keys));
    let (networks, dns) = shapes;
    resolver.networks(networks);
    match resolver.dns(dns) {
        Some(dns) if resolver.mistakes.is_empty() => Ok(LoadedViews {
            dns,
            networks: resolver.networks,
            warnings: resolver.warnings.into_list(path),
            read: resolver.read,
            places: resolver.places,
        }),
        Some(_) | None => Err(Unsound {
            mistakes: resolver.mistakes.into_list(path),
            zones: resolver.zones,
        }),
    }
}

/// Tells whether an element lets in a whole family of addresses.
fn is_open(element: &Element) -> bool {
    let whole = |what: &Matcher| match what {
        Matcher::Any => true,
        Matcher::None => false,
        Matcher::Ranges(ranges) => ranges.iter().any(|range| range.prefix_len() == 0),
        Matcher::List(elements) => elements.iter().any(is_open),
    };
    !element.negated && whole(&element.what)
}

impl Resolver<'_> {
    /// Resolves the DNS server; `None` when it is not sound, which has been told.
    pub(super) fn dns(&mut self, dns: &file::Dns) -> Option<Dns> {
        self.lists(dns);
        let views = present(&dns.views);
        let names: Vec<_> = views.iter().map(|(_, view)| view.name.as_deref()).collect();
        self.unique(&with(self.dns_at, &[K("views")]), "view", &views, &names);
        let views = views
            .iter()
            .map(|(index, view)| self.view(*index, view))
            .collect();
        let mut listeners = self.dns_listeners(dns).into_iter();
        let limit = dns.reload_limit.as_deref();
        Some(Dns {
            listen: listeners.next()?,
            listen_also: listeners.collect(),
            version: dns.version.as_deref().map(Into::into),
            nsid: dns.nsid.as_deref().unwrap_or(Dns::NSID).into(),
            cookies: match dns.cookies {
                Some(file::Cookies::Off) => Cookies::Off,
                Some(file::Cookies::Offered) | None => Cookies::Offered,
                Some(file::Cookies::Required) => Cookies::Required,
            },
            mode: match dns.mode {
                Some(file::Mode::FirstMatch) | None => Mode::FirstMatch,
                Some(file::Mode::LongestPrefix) => Mode::LongestPrefix,
            },
            ecs_trusted: trusted(dns.ecs.as_ref()),
            proxy_trusted: trusted(dns.proxy.as_ref()),
            reload_limit: limit
                .and_then(|text| format::share(text).ok())
                .unwrap_or(Share::ALL),
            views,
        })
    }

    fn dns_listeners(&mut self, dns: &file::Dns) -> Vec<SocketAddr> {
        let texts: Vec<(Option<usize>, &str)> = match &dns.listen {
            None => vec![(None, LISTEN_DEFAULT)],
            Some(file::Listen::One(text)) => vec![(None, text)],
            Some(file::Listen::Several(texts)) => {
                let texts = texts.iter().enumerate();
                texts
                    .filter_map(|(index, text)| Some((Some(index), text.as_deref()?)))
                    .collect()
            }
        };
        let mut listeners: Vec<SocketAddr> = Vec::new();
        for (index, text) in texts {
            let Ok(address) = format::socket_address(text) else {
                continue;
            };
            if address.port() != 0 && listeners.contains(&address) {
                let mut steps = with(self.dns_at, &[K("listen")]);
                steps.extend(index.map(I));
                let what = format!("the server listens on {address} already");
                self.wrong(&steps, what, "write each address once");
                continue;
            }
            listeners.push(address);
        }
        listeners
    }

    fn view(&mut self, index: usize, view: &file::View) -> View {
        let steps = with(self.dns_at, &[K("views"), I(index)]);
        let match_clients = self.match_list(&with(&steps, &[K("match")]), &view.match_clients);
        let destinations = with(&steps, &[K("destinations")]);
        let match_destinations = self.match_list(&destinations, &view.destinations);
        let mut zones: Vec<ZoneSource> = Vec::new();
        for (at, zone) in present(&view.zones) {
            let steps = with(&steps, &[K("zones"), I(at)]);
            let Some(zone) = self.zone(&steps, zone) else {
                self.zones_known = false;
                continue;
            };
            if zones.iter().any(|other| other.origin == zone.origin) {
                let what = format!("this view has the zone {} already", zone.origin);
                self.wrong(&steps, what, "a view serves an origin once");
            }
            self.zones.push(zone.clone());
            zones.push(zone);
        }
        let forward = view.forward.as_ref();
        View {
            name: view.name.as_deref().unwrap_or_default().into(),
            match_clients,
            match_destinations,
            zones,
            forward: forward.map(|forward| self.forward(&steps, forward)),
        }
    }

    /// Resolves who is asked for other names; everybody's questions are not passed on.
    fn forward(&mut self, steps: &[Step<'_>], forward: &file::Forward) -> Forward {
        let steps = with(steps, &[K("forward")]);
        let at = with(&steps, &[K("allow")]);
        let allow = self.match_list(&at, &forward.allow);
        if let Some(open) = allow.iter().find(|element| is_open(element)) {
            let what = format!(
                "{} passes on everybody's questions: an open resolver",
                open.text
            );
            self.wrong(&at, what, "name the networks that may");
        }
        let servers = present(&forward.servers).into_iter();
        let servers = servers.filter_map(|(_, text)| format::server(text).ok());
        Forward {
            allow,
            servers: servers.collect(),
        }
    }

    fn zone(&mut self, steps: &[Step<'_>], zone: &file::Zone) -> Option<ZoneSource> {
        let (origin, path, steps, miss) = match zone {
            file::Zone::Path(path) => {
                let name = Path::new(path).file_name().and_then(|name| name.to_str());
                let Some(origin) = name.and_then(|name| name.strip_suffix(".zone")) else {
                    self.wrong(
                        steps,
                        format!("{path:?} does not end in .zone, so its origin is unknown"),
                        format!("write {{origin: example.com, file: {path}}}"),
                    );
                    return None;
                };
                (origin.to_owned(), path, steps.to_vec(), None)
            }
            file::Zone::Named(named) => {
                let file = named.file.as_ref()?;
                let steps = with(steps, &[K("file")]);
                (named.origin.clone()?, file, steps, named.miss)
            }
        };
        let origin = match format::origin(&origin) {
            Ok(origin) => origin,
            Err(wrong) => {
                self.wrong(&steps, wrong.what, wrong.cure);
                return None;
            }
        };
        let (file, _) = self.file(&steps, path)?;
        Some(ZoneSource {
            origin,
            file,
            miss: match miss {
                Some(file::Miss::Nxdomain) | None => Miss::Nxdomain,
                Some(file::Miss::Public) => Miss::Public,
                Some(file::Miss::Refuse) => Miss::Refuse,
            },
        })
    }

    /// Resolves every named list, in the order of the file.
    fn lists(&mut self, dns: &file::Dns) {
        let tree = self.tree;
        let steps = with(self.dns_at, &[K("lists")]);
        let Some(Value::Map(entries)) = tree.at(&steps).map(|node| &node.value) else {
            return;
        };
        let names = entries.iter().map(|entry| entry.key.as_str());
        let sound = names.filter(|name| format::check("name", name).is_ok());
        self.list_names = sound.map(str::to_owned).collect();
        for entry in entries {
            let name = entry.key.as_str();
            let taken = if matches!(name, "any" | "none") {
                Some(format!("{name:?} has a meaning of its own in match lists"))
            } else {
                let mut networks = self.networks.iter();
                let network = networks.find(|network| &*network.name == name);
                network.map(|_| format!("there is a network {name:?}"))
            };
            if let Some(what) = taken {
                let steps = with(&steps, &[K(name)]);
                self.wrong(&steps, what, "give the list another name");
                self.list_names.retain(|known| known != name);
            }
            self.named(dns, name, &mut Vec::new());
        }
    }

    /// Resolves a named list, and before it those that it holds; `around` are the lists that hold it.
    fn named(&mut self, dns: &file::Dns, name: &str, around: &mut Vec<String>) {
        if self.lists.contains_key(name) {
            return;
        }
        let shapes = dns.lists.as_ref().and_then(|lists| lists.get(name));
        // A name that the schema refused has been told.
        let Some(shape) = shapes else {
            return;
        };
        self.lists.insert(name.to_owned(), Named::Open);
        around.push(name.to_owned());
        let steps = with(self.dns_at, &[K("lists"), K(name)]);
        let before = self.mistakes.count();
        let (mut size, mut depth, mut too_much) = (0_usize, 1_usize, false);
        for (index, text) in present(shape) {
            let steps = with(&steps, &[I(index)]);
            let bare = bare(text);
            let is_list = dns.lists.as_ref().is_some_and(|l| l.contains_key(bare));
            if is_list && around.len() < DEPTH_MAX {
                self.named(dns, bare, around);
            }
            let (more, deep) = match self.lists.get(bare) {
                Some(Named::Open) => {
                    let from = around.iter().position(|name| name == bare).unwrap_or(0);
                    let round = [&around[from..], &[bare.to_owned()]].concat();
                    let what = format!("the list {bare} holds itself: {}", round.join(" holds "));
                    self.wrong(&steps, what, "take it out of one of them");
                    continue;
                }
                Some(Named::Unsound) => continue,
                Some(Named::Whole { size, depth, .. }) => (*size, depth + 1),
                None if is_list => (1, DEPTH_MAX + 1),
                None => (1, 1),
            };
            if deep > DEPTH_MAX {
                let what = format!("lists hold one another more than {DEPTH_MAX} deep");
                self.wrong(&steps, what, "write out one of them");
                too_much = true;
                break;
            }
            size = size.saturating_add(more);
            depth = depth.max(deep);
            if size > WRITTEN_OUT_MAX {
                let what = format!(
                    "with the lists in it written out, this one has more than {WRITTEN_OUT_MAX} \
                     elements"
                );
                self.wrong(&steps, what, "give each list its networks once");
                too_much = true;
                break;
            }
        }
        let elements = if too_much {
            Vec::new()
        } else {
            self.match_list(&steps, shape)
        };
        around.pop();
        let named = if self.mistakes.count() > before {
            Named::Unsound
        } else {
            let elements = elements.into();
            Named::Whole {
                elements,
                size,
                depth,
            }
        };
        self.lists.insert(name.to_owned(), named);
    }

    /// Resolves a match list that may hold named ones.
    fn match_list(&mut self, steps: &[Step<'_>], list: &file::List<String>) -> Vec<Element> {
        self.elements_of(steps, list, true)
    }

    /// Resolves a match list of networks alone.
    pub(super) fn elements(
        &mut self,
        steps: &[Step<'_>],
        list: &file::List<String>,
    ) -> Vec<Element> {
        self.elements_of(steps, list, false)
    }

    fn elements_of(
        &mut self,
        steps: &[Step<'_>],
        list: &file::List<String>,
        lists: bool,
    ) -> Vec<Element> {
        let mut elements = Vec::new();
        for (index, text) in present(list) {
            let bare = bare(text);
            let network = self.networks.iter().find(|network| &*network.name == bare);
            let named = self.lists.get(bare).filter(|_| lists);
            let what = match (bare, network, named) {
                ("any", ..) => Matcher::Any,
                ("none", ..) => Matcher::None,
                (_, Some(network), _) => Matcher::Ranges(network.ranges.clone()),
                (_, None, Some(Named::Whole { elements, .. })) => {
                    Matcher::List(Arc::clone(elements))
                }
                // What is wrong with it has been told.
                (_, None, Some(Named::Open | Named::Unsound)) => continue,
                (_, None, None) => match format::cidr(bare) {
                    Ok(range) => Matcher::Ranges(vec![range]),
                    Err(_) => {
                        let names = self.list_names.iter().filter(|_| lists);
                        let known: Vec<&str> =
                            names.map(String::as_str).chain(["any", "none"]).collect();
                        let cure = self.network_cure(bare, &known);
                        let kind = if lists && !self.lists.is_empty() {
                            "network or list"
                        } else {
                            "network"
                        };
                        let what = format!("there is no {kind} {bare:?}");
                        self.wrong(&with(steps, &[I(index)]), what, cure);
                        continue;
                    }
                },
            };
            elements.push(Element {
                text: text.as_str().into(),
                negated: text.starts_with('!'),
                what,
            });
        }
        elements
    }
}

/// Gives an element without its `!`.
fn bare(text: &str) -> &str {
    text.strip_prefix('!').unwrap_or(text).trim_start()
}

fn trusted(shape: Option<&file::Trusted>) -> Vec<ipnet::IpNet> {
    let texts = shape.and_then(|shape| shape.trusted.as_ref());
    let texts = texts.into_iter().flatten().flatten();
    texts.filter_map(|text| format::cidr(text).ok()).collect()
}
