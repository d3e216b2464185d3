//! Which view is asked next for a name that a zone leaves to others (`miss: public`).
//!
//! In go the views in order, what chose among them, and who asks; out comes the next view that lets
//! him in and has a zone for the name. In order of the file it stands behind the view that was asked;
//! by longest prefix it is the one of the next shorter prefix.

use std::cmp::Reverse;
use std::net::IpAddr;

use hickory_proto::rr::RecordType;

use crate::model::network::{Mode, Verdict, judge, judge_longest};
use crate::model::topology::Miss;
use crate::policy::name::Key;
use crate::policy::view::Selector;
use crate::policy::zone::Zone;

use super::{Rules, View};

/// Who asks, where another view may have to be found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    /// The address that chose the view.
    pub(super) source: IpAddr,
    /// Where the question came in.
    pub(super) destination: IpAddr,
}

/// Views in order, and what chooses among them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order<'r> {
    pub(super) views: &'r [View],
    pub(super) selector: &'r Selector,
}

impl<'r> Order<'r> {
    pub(super) fn of(rules: &'r Rules) -> Self {
        Self {
            views: &rules.views,
            selector: &rules.selector,
        }
    }

    /// Finds the next view that lets the asker in and has a zone for a name.
    pub(super) fn next(
        self,
        view: &View,
        asker: Asker,
        key: &Key,
        record_type: RecordType,
    ) -> Option<(&'r View, &'r Zone)> {
        let place = self.views.iter().position(|one| std::ptr::eq(one, view))?;
        if self.selector.mode() == Mode::LongestPrefix {
            return self.wider(place, asker, key, record_type);
        }
        let later = self.views[place + 1..].iter();
        let mut later = later.filter(|view| {
            let in_list = |list, address| matches!(judge(list, address), Verdict::Allowed(_));
            in_list(&view.match_clients, asker.source)
                && (view.match_destinations.is_empty()
                    || in_list(&view.match_destinations, asker.destination.to_canonical()))
        });
        later.find_map(|view| Some((view, view.held_for(key, record_type)?.0)))
    }

    /// Finds the view of the next shorter prefix that lets the asker in and has a zone for a name;
    /// the order of the file decides between equals, as it does for the first choice.
    fn wider(
        self,
        place: usize,
        asker: Asker,
        key: &Key,
        record_type: RecordType,
    ) -> Option<(&'r View, &'r Zone)> {
        let lists = self.selector.lists().enumerate();
        let open = lists.filter(|(_, lists)| lists.take(asker.destination));
        let mut ranked: Vec<(Reverse<u8>, usize)> = open
            .filter_map(|(view, lists)| {
                let (verdict, length) = judge_longest(lists.clients, asker.source);
                matches!(verdict, Verdict::Allowed(_)).then_some((Reverse(length), view))
            })
            .collect();
        ranked.sort_unstable();
        // A view that a fault chose may let in others only; then all are asked but itself.
        let own = ranked.iter().position(|(_, view)| *view == place);
        let later = ranked.into_iter().skip(own.map_or(0, |own| own + 1));
        let mut later = later.filter_map(|(_, view)| self.views.get(view));
        later.find_map(|view| Some((view, view.held_for(key, record_type)?.0)))
    }

    /// Gives the zones that are asked in turn for names at and below an apex, the view's own first:
    /// each but the last leaves what it lacks to the one behind it.
    pub(super) fn zones(self, view: &'r View, asker: Option<Asker>, apex: &Key) -> Vec<&'r Zone> {
        let mut zones: Vec<&'r Zone> = Vec::new();
        let mut at = view
            .held_for(apex, RecordType::SOA)
            .map(|held| (view, held));
        while let Some((view, (zone, miss))) = at {
            // Views are passed once each; a zone that they share says the same again.
            if !zones.iter().any(|known| std::ptr::eq(*known, zone)) {
                zones.push(zone);
            }
            let next = (miss == Miss::Public).then_some(asker).flatten();
            let next = next.and_then(|asker| self.next(view, asker, apex, RecordType::SOA));
            at = next.and_then(|(view, _)| Some((view, view.held_for(apex, RecordType::SOA)?)));
        }
        zones
    }
}
