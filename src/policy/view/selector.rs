//! The choice of views, compiled: immutable, made when rules are loaded.
//!
//! A query comes to one address of the server, and the views that answer there make one partition of
//! all sources. There are as many partitions as there are different sets of views; nearly always one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::network::{Element, Mode};
use crate::model::topology::Dns;
use crate::policy::partition::space::{Space, Word, join};
use crate::policy::partition::{Partition, Scope, pieces};

use super::choice::{Lists, choose};
use super::{Selected, Source, Subnet, is_listed};

/// How many partitions are compiled, for as many sets of views by destination. At destinations of
/// further sets the lists are read one by one, which gives the same view more slowly.
pub const DESTINATIONS_MAX: usize = 64;

/// Chooses views.
#[derive(Clone, Debug)]
pub struct Selector {
    pub(super) mode: Mode,
    pub(super) views: Vec<View>,
    ecs_trusted: Vec<IpNet>,
    proxy_trusted: Vec<IpNet>,
    pub(super) partitions: Vec<Partition>,
    /// Which partition answers at a destination.
    destinations: Destinations,
}

/// The lists of one view.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) clients: Vec<Element>,
    pub(super) destinations: Vec<Element>,
}

#[derive(Clone, Debug)]
enum Destinations {
    /// Every view answers everywhere, by the first partition.
    All,
    /// The partition by destination; `None` beyond [`DESTINATIONS_MAX`].
    By(Box<ByDestination>),
}

#[derive(Clone, Debug)]
struct ByDestination {
    four: Space<u32, Option<u32>>,
    six: Space<u128, Option<u32>>,
}

/// Where the two modes give different views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The lowest such source.
    pub source: IpAddr,
    /// The view by first match, by index.
    pub first_match: Option<usize>,
    /// The view by longest prefix, by index.
    pub longest_prefix: Option<usize>,
}

impl Selector {
    /// Compiles the views of a server.
    pub fn compile(dns: &Dns) -> Self {
        let views = dns.views.iter().map(|view| Lists {
            clients: &view.match_clients,
            destinations: &view.match_destinations,
        });
        Self::new(views, dns.mode, &dns.ecs_trusted, &dns.proxy_trusted)
    }

    /// Compiles these lists.
    pub fn new<'a>(
        views: impl IntoIterator<Item = Lists<'a>>,
        mode: Mode,
        ecs_trusted: &[IpNet],
        proxy_trusted: &[IpNet],
    ) -> Self {
        let views: Vec<View> = views
            .into_iter()
            .map(|lists| View {
                clients: lists.clients.to_vec(),
                destinations: lists.destinations.to_vec(),
            })
            .collect();
        let mut sets = Sets {
            views: &views,
            mode,
            known: BTreeMap::new(),
            partitions: Vec::new(),
        };
        let destinations = if views.iter().all(|view| view.destinations.is_empty()) {
            sets.find(&words(views.len(), |_| true));
            Destinations::All
        } else {
            let four = by_destination::<u32>(&views, &mut sets);
            let six = by_destination::<u128>(&views, &mut sets);
            Destinations::By(Box::new(ByDestination { four, six }))
        };
        let partitions = sets.partitions;
        Self {
            mode,
            ecs_trusted: ecs_trusted.to_vec(),
            proxy_trusted: proxy_trusted.to_vec(),
            partitions,
            destinations,
            views,
        }
    }

    /// Finds the address to match. `proxied` is what a PROXY header said of the real client; it is
    /// given only for senders that [`Selector::takes_proxy`] lists.
    pub fn source(
        &self,
        sender: IpAddr,
        proxied: Option<IpAddr>,
        subnet: Option<Subnet>,
    ) -> Source {
        let client = proxied.unwrap_or(sender);
        let source = super::source(&self.ecs_trusted, client, subnet);
        if proxied.is_some() && matches!(source, Source::Client(_)) {
            return Source::Proxied(source.address());
        }
        source
    }

    /// Tells whether this sender's client-subnet option is honoured.
    pub fn takes_subnet(&self, client: IpAddr) -> bool {
        is_listed(&self.ecs_trusted, client)
    }

    /// Tells whether this sender's PROXY header is believed.
    pub fn takes_proxy(&self, sender: IpAddr) -> bool {
        is_listed(&self.proxy_trusted, sender)
    }

    /// Chooses the view for a source at this address of the server, without allocation.
    pub fn select(&self, source: Source, destination: IpAddr) -> Selected {
        let address = source.address();
        let matched = match self.partition(destination) {
            Some(partition) => partition.select(address),
            None => choose(self.lists(), self.mode, address, destination),
        };
        Selected { source, matched }
    }

    /// Gives the partition of all sources at this address of the server; `None` when it is not
    /// compiled, see [`DESTINATIONS_MAX`].
    pub fn partition(&self, destination: IpAddr) -> Option<&Partition> {
        let index = match &self.destinations {
            Destinations::All => Some(0),
            Destinations::By(by) => match destination.to_canonical() {
                IpAddr::V4(four) => by.four.at(four.to_bits()),
                IpAddr::V6(six) => by.six.at(six.to_bits()),
            },
        };
        self.partitions.get(index? as usize)
    }

    /// Gives the compiled partitions, each of another set of views.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// Tells whether every destination has its partition.
    pub fn is_whole(&self) -> bool {
        let Destinations::By(by) = &self.destinations else {
            return true;
        };
        let four = by.four.runs().all(|(_, _, partition)| partition.is_some());
        four && by.six.runs().all(|(_, _, partition)| partition.is_some())
    }

    /// Gives the scope of an answer to this option, see [`Partition::scope`]. Where no partition is
    /// compiled the answer is true for just the bits that were given.
    pub fn scope(
        &self,
        subnet: Subnet,
        destination: IpAddr,
        same: impl FnMut(Option<usize>, Option<usize>) -> bool,
    ) -> Scope {
        match self.partition(destination) {
            Some(partition) => partition.scope(subnet.address, subnet.source, same),
            None => Scope {
                length: subnet.source,
                mixed: false,
                exact: false,
            },
        }
    }

    /// Gives the lists, in order.
    pub fn lists(&self) -> impl Iterator<Item = Lists<'_>> {
        self.views.iter().map(View::lists)
    }

    /// Gives the mode.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Tells whether both modes give every source the same view, so that the order does no harm.
    pub fn modes_agree(&self) -> bool {
        self.disagreement().is_none()
    }

    /// Finds a source to which the two modes give different views, as far as partitions are compiled
    /// (see [`Selector::is_whole`]). It compiles the views anew in the other mode.
    pub fn disagreement(&self) -> Option<Disagreement> {
        let other = match self.mode {
            Mode::FirstMatch => Mode::LongestPrefix,
            Mode::LongestPrefix => Mode::FirstMatch,
        };
        let other = Self::new(self.lists(), other, &[], &[]);
        // The sets of views do not depend on the mode, so the partitions stand side by side.
        let pairs = self.partitions.iter().zip(&other.partitions);
        pairs.into_iter().find_map(|(own, other)| {
            let source = own.first_difference(other)?;
            let view = |partition: &Partition| partition.select(source).map(|(view, _)| view);
            let (first, longest) = match self.mode {
                Mode::FirstMatch => (own, other),
                Mode::LongestPrefix => (other, own),
            };
            Some(Disagreement {
                source,
                first_match: view(first),
                longest_prefix: view(longest),
            })
        })
    }
}

impl View {
    fn lists(&self) -> Lists<'_> {
        Lists {
            clients: &self.clients,
            destinations: &self.destinations,
        }
    }
}

/// The sets of views that were met, each with its partition.
struct Sets<'a> {
    views: &'a [View],
    mode: Mode,
    known: BTreeMap<Vec<u64>, u32>,
    partitions: Vec<Partition>,
}

impl Sets<'_> {
    /// Finds the partition of a set, made when it is new and there is room.
    fn find(&mut self, set: &[u64]) -> Option<u32> {
        if let Some(known) = self.known.get(set) {
            return Some(*known);
        }
        if self.partitions.len() >= DESTINATIONS_MAX {
            return None;
        }
        let views = self.views.iter().enumerate();
        let views = views.filter(|(view, _)| set[view / 64] >> (view % 64) & 1 == 1);
        let lists: Vec<_> = views
            .map(|(view, lists)| (view, lists.clients.as_slice()))
            .collect();
        let index = u32::try_from(self.partitions.len()).ok()?;
        self.partitions.push(Partition::of(&lists, self.mode));
        self.known.insert(set.to_vec(), index);
        Some(index)
    }
}

/// Makes a set of views, 64 in a word.
fn words(count: usize, holds: impl Fn(usize) -> bool) -> Vec<u64> {
    let mut set = vec![0; count.div_ceil(64)];
    for view in (0..count).filter(|view| holds(*view)) {
        set[view / 64] |= 1 << (view % 64);
    }
    set
}

/// Sweeps over the destinations of one family: the set of views changes where a list's piece begins
/// or ends.
fn by_destination<W: Word>(views: &[View], sets: &mut Sets<'_>) -> Space<W, Option<u32>> {
    let mut set = words(views.len(), |view| views[view].destinations.is_empty());
    let mut turns: Vec<(W, usize)> = Vec::new();
    for (index, view) in views.iter().enumerate() {
        for piece in pieces::<W>(&view.destinations, Mode::FirstMatch) {
            turns.push((piece.first, index));
            turns.extend(piece.last.next().map(|after| (after, index)));
        }
    }
    turns.sort_unstable();
    let mut turns = turns.into_iter().peekable();
    let mut runs = Vec::new();
    let mut start = W::MIN;
    loop {
        // A piece that ends where the next of the same view begins turns it twice.
        while let Some((_, view)) = turns.next_if(|(at, _)| *at == start) {
            set[view / 64] ^= 1 << (view % 64);
        }
        runs.push((start, sets.find(&set)));
        let Some((next, _)) = turns.peek() else {
            break;
        };
        start = *next;
    }
    join(runs.into_iter())
}
