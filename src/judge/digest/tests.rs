use super::*;
use crate::model::draw::Seed;
use crate::model::fact::{Act, Kind};
use crate::model::id::{DialId, Seq};
use crate::model::time::{Span, Time};

fn fact(ms: u64, name: &str, kind: Kind) -> Fact {
    Fact {
        seq: Seq(ms),
        at: Time::from_us(ms * 1_000),
        node: Node::Agent(name.into()),
        kind,
    }
}

fn waits(ms: u64, name: &str, wait: u64) -> Fact {
    let wait = Span::from_ms(wait);
    fact(ms, name, Kind::BackingOff { wait, step: 1 })
}

fn facts() -> Vec<Fact> {
    let mut facts = Vec::new();
    for n in 0..20 {
        for name in ["orders", "kiosk", "wiki"] {
            facts.push(waits(n, name, n * 7));
        }
        facts.push(fact(n, "orders", Kind::Operated { act: Act::Stop }));
    }
    facts
}

fn digest(facts: &[Fact]) -> String {
    let mut digest = Digest::default();
    facts.iter().for_each(|fact| digest.fold(fact));
    digest.to_string()
}

#[test]
fn the_interleaving_of_nodes_and_the_numbers_of_facts_do_not_matter() {
    let facts = facts();
    let expected = digest(&facts);
    let mut sorted = facts.clone();
    sorted.sort_by(|one, other| other.node.cmp(&one.node));
    assert_ne!(sorted, facts);
    assert_eq!(digest(&sorted), expected);
    // Any merge that keeps each node's own order.
    for seed in 0..50 {
        let mut rest = facts.clone();
        let mut merged = Vec::new();
        for turn in 0.. {
            let names = ["orders", "kiosk", "wiki"];
            let pick = Seed(seed).draw("merge", "pick", turn) % 3;
            let wanted = Node::Agent(names[usize::try_from(pick).unwrap()].into());
            if let Some(at) = rest.iter().position(|fact| fact.node == wanted) {
                let mut fact = rest.remove(at);
                fact.seq = Seq(turn);
                merged.push(fact);
            } else if rest.is_empty() {
                break;
            }
        }
        assert_eq!(digest(&merged), expected, "seed {seed}");
    }
}

#[test]
fn the_order_within_a_node_matters() {
    let facts = facts();
    let own = |fact: &Fact| fact.node == Node::Agent("orders".into());
    let indexes: Vec<usize> = (0..facts.len()).filter(|at| own(&facts[*at])).collect();
    for pair in indexes.windows(2) {
        let mut swapped = facts.clone();
        swapped.swap(pair[0], pair[1]);
        assert_ne!(digest(&swapped), digest(&facts), "{pair:?}");
    }
}

#[test]
fn every_field_matters() {
    let facts = facts();
    let expected = digest(&facts);
    for at in 0..facts.len() {
        let mut late = facts.clone();
        late[at].at += Span::from_us(1);
        assert_ne!(digest(&late), expected, "the instant of {at}");
        let mut moved = facts.clone();
        moved[at].node = Node::User("orders".into());
        assert_ne!(digest(&moved), expected, "the node of {at}");
        let mut other = facts.clone();
        if let Kind::BackingOff { step, .. } = &mut other[at].kind {
            *step += 1;
        } else {
            other[at].kind = Kind::Operated { act: Act::Kill };
        }
        assert_ne!(digest(&other), expected, "a field of {at}");
        let mut fewer = facts.clone();
        fewer.remove(at);
        assert_ne!(digest(&fewer), expected, "without {at}");
    }
}

#[test]
fn texts_that_run_together_are_told_apart() {
    let lost = |proxy: &str, why: &str| {
        let kind = Kind::TunnelLost {
            dial: DialId(1),
            proxy: proxy.into(),
            why: why.into(),
            tunnels: 0,
        };
        digest(&[fact(1, "orders", kind)])
    };
    let told: std::collections::BTreeSet<String> = [
        lost("1", "2"),
        lost("12", ""),
        lost("", "12"),
        lost("1", "\", why: \"2"),
        lost("1\0", "2"),
    ]
    .into();
    assert_eq!(told.len(), 5);
}

#[test]
fn the_digest_of_a_known_stream_is_known() {
    // The same in every build and on every platform: another number is another digest.
    assert_eq!(digest(&facts()), "6c340721a11702d3b28d3455640ed181");
    assert_eq!(digest(&[]), "0b30e63f3589787dfa084cd12dbe2626");
}

#[test]
fn a_text_is_the_same_however_it_is_cut_into_pieces() {
    let text = "a text of forty-one bytes, which is no word";
    let whole = |pieces: &[&str]| {
        let mut state = State::default();
        for piece in pieces {
            state.write_str(piece).unwrap();
        }
        state.end();
        (state.one, state.two)
    };
    let expected = whole(&[text]);
    for cut in 0..text.len() {
        let (one, other) = text.split_at(cut);
        assert_eq!(whole(&[one, other]), expected, "{cut}");
    }
    assert_ne!(whole(&["a", "b\0"]), whole(&["ab"]));
}
