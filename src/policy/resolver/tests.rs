//! The cache in virtual time: countdown, negative answers, floors, flights, bounds.

use hickory_proto::rr::rdata::{A, CNAME, SOA};

use super::*;
use crate::policy::testing::Bench;

const WWW: &str = "www.example.com.";

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn a(owner: &str, ttl: u32, last: u8) -> Record {
    Record::from_rdata(name(owner), ttl, RData::A(A::new(192, 0, 2, last)))
}

fn alias(owner: &str, ttl: u32, target: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(target))))
}

fn soa(ttl: u32, minimum: u32) -> Record {
    let soa = SOA::new(name("ns."), name("h."), 1, 2, 3, 4, minimum);
    Record::from_rdata(name("example.com."), ttl, RData::SOA(soa))
}

fn found(records: Vec<Record>) -> Reply {
    Reply::from_sections(ResponseCode::NoError, records, [])
}

fn nothing(rcode: ResponseCode, soa: Option<Record>) -> Reply {
    Reply::from_sections(rcode, Vec::new(), soa)
}

/// A resolver that runs, and what it was asked so far.
struct Scene {
    bench: Bench<Resolver>,
    asks: u64,
}

impl Scene {
    fn new() -> Self {
        let mut bench = Bench::new(Resolver::new(&"office".into()));
        let out = bench.feed(Input::Operate(Act::Start));
        assert_eq!(out.outputs, [Output::Listen]);
        Self { bench, asks: 0 }
    }

    fn ask(&mut self, text: &str) -> Outbox<Output> {
        self.asks += 1;
        self.bench.feed(Input::Asked {
            ask: self.asks,
            client: ClientAddr(([127, 10, 0, 9], 99).into()),
            name: name(text),
            record_type: RecordType::A,
        })
    }

    fn answer(&mut self, forward: u64, reply: Reply) -> Outbox<Output> {
        self.bench.feed(Input::Answered { forward, reply })
    }

    fn secs(&mut self, secs: u64) {
        self.bench.pass(Span::from_secs(secs));
    }

    /// Asks for `www`, which must not be known, and gives it this answer.
    fn learn(&mut self, reply: Reply) -> Reply {
        let out = self.ask(WWW);
        let forward = forwarded(&out).expect("it is not in the cache");
        only_reply(&self.answer(forward, reply), false)
    }

    /// Asks for `www` and gives the answer from the cache; `None` when the DNS server is asked.
    fn cached(&mut self) -> Option<Reply> {
        let out = self.ask(WWW);
        match forwarded(&out) {
            None => Some(only_reply(&out, true)),
            Some(forward) => {
                self.bench.feed(Input::Failed { forward });
                None
            }
        }
    }
}

fn forwarded(out: &Outbox<Output>) -> Option<u64> {
    match out.outputs.as_slice() {
        [Output::Forward { forward, .. }] => Some(*forward),
        _ => None,
    }
}

/// Gives the only answer and checks that the fact beside it says the same.
fn only_reply(out: &Outbox<Output>, cached: bool) -> Reply {
    let ([Output::Reply { reply, .. }], [Kind::Resolved(fact)]) =
        (out.outputs.as_slice(), out.facts.as_slice())
    else {
        panic!("not one answer: {out:?}");
    };
    assert_eq!((fact.cached, fact.ttl), (cached, reply.ttl()));
    assert_eq!(&*fact.rcode, rcode_word(reply.rcode));
    assert_eq!(fact.answer.len(), reply.records.len());
    reply.clone()
}

fn ttls(reply: &Reply) -> Vec<u32> {
    reply.records.iter().map(|record| record.ttl).collect()
}

#[test]
fn an_answer_is_counted_down_and_lives_as_long_as_its_shortest_ttl() {
    let mut scene = Scene::new();
    let whole = vec![
        alias(WWW, 300, "a.example.com."),
        a("a.example.com.", 10, 1),
    ];
    assert_eq!(ttls(&scene.learn(found(whole))), [300, 10]);
    scene.secs(9);
    assert_eq!(ttls(&scene.cached().unwrap()), [291, 1]);
    scene.bench.pass(Span::from_ms(999));
    assert_eq!(ttls(&scene.cached().unwrap()), [291, 1]);
    scene.bench.pass(Span::from_ms(1));
    assert_eq!(scene.cached(), None);
}

#[test]
fn names_are_the_same_in_any_case_and_types_are_not() {
    let mut scene = Scene::new();
    scene.learn(found(vec![a(WWW, 60, 1)]));
    let out = scene.ask("WWW.Example.COM.");
    assert_eq!(ttls(&only_reply(&out, true)), [60]);
    let out = scene.bench.feed(Input::Asked {
        ask: 99,
        client: ClientAddr(([127, 10, 0, 9], 99).into()),
        name: name(WWW),
        record_type: RecordType::AAAA,
    });
    assert!(forwarded(&out).is_some());
}

#[test]
fn rfc_2308_section_5_a_negative_answer_is_kept_by_its_soa() {
    for rcode in [ResponseCode::NXDomain, ResponseCode::NoError] {
        let mut scene = Scene::new();
        let reply = scene.learn(nothing(rcode, Some(soa(300, 7))));
        assert_eq!(reply.soa.map(|soa| soa.ttl), Some(7), "the lesser of both");
        scene.secs(6);
        let reply = scene.cached().unwrap();
        assert_eq!((reply.rcode, reply.ttl()), (rcode, 1));
        scene.secs(1);
        assert_eq!(scene.cached(), None);
        scene.learn(nothing(rcode, None));
        assert_eq!(scene.cached(), None, "without an SOA nobody said how long");
        let day = 86_400;
        scene.learn(nothing(rcode, Some(soa(day, day))));
        scene.bench.pass(NEGATIVE_MAX);
        assert_eq!(scene.cached(), None);
    }
}

#[test]
fn what_says_nothing_lasting_is_not_kept() {
    let mut scene = Scene::new();
    scene.learn(found(vec![a(WWW, 0, 1)]));
    assert_eq!(scene.cached(), None);
    for rcode in [ResponseCode::ServFail, ResponseCode::Refused] {
        assert_eq!(scene.learn(nothing(rcode, Some(soa(60, 60)))).rcode, rcode);
        assert_eq!(scene.cached(), None);
    }
}

#[test]
fn no_answer_is_servfail_and_the_next_question_asks_again() {
    let mut scene = Scene::new();
    scene.learn(found(vec![a(WWW, 5, 1)]));
    scene.secs(5);
    let forward = forwarded(&scene.ask(WWW)).unwrap();
    let out = scene.bench.feed(Input::Failed { forward });
    let reply = only_reply(&out, false);
    assert_eq!(reply, Reply::failure(), "nothing stale is served");
    assert!(forwarded(&scene.ask(WWW)).is_some());
}

#[test]
fn failures_are_kept_a_little_longer_each_time() {
    let mut scene = Scene::new();
    scene.bench = Bench::new(Resolver::new(&"view".into()).keeping_failures());
    scene.bench.feed(Input::Operate(Act::Start));
    let refused = || nothing(ResponseCode::Refused, None);
    for secs in [5, 10, 20, 40, 60, 60] {
        // The first asker is told what was learned, the others that it was kept (RFC 8914 4.14).
        assert_eq!(scene.learn(refused()), refused());
        scene.secs(secs - 1);
        let kept = scene.cached().expect("it is kept");
        assert_eq!(kept.rcode, ResponseCode::Refused);
        let codes: Vec<u16> = kept.errors.iter().map(|error| error.code).collect();
        assert_eq!(codes, [CACHED_ERROR]);
        scene.secs(1);
    }
    // What was mended for as long as it had failed begins anew, and so does what was answered.
    scene.secs(60);
    scene.learn(refused());
    scene.secs(5);
    scene.learn(found(vec![a(WWW, 1, 1)]));
    scene.secs(1);
    scene.learn(refused());
    scene.secs(5);
    let out = scene.ask(WWW);
    let forward = forwarded(&out).expect("five seconds and no more");
    // Nobody said anything: that is kept, too.
    scene.bench.feed(Input::Failed { forward });
    scene.secs(9);
    assert!(scene.cached().is_some());
}

#[test]
fn a_chain_is_not_followed_for_ever() {
    let mut scene = Scene::new();
    let first = forwarded(&scene.ask(WWW)).unwrap();
    scene.bench.pass(QUESTION_MAX - Span::from_us(1));
    let out = scene.answer(first, found(vec![alias(WWW, 60, "b.test.")]));
    let next = forwarded(&out).expect("there is time");
    scene.bench.pass(Span::from_us(1));
    let out = scene.answer(next, found(vec![alias("b.test.", 60, "c.test.")]));
    assert_eq!(only_reply(&out, false), Reply::failure());
}

#[test]
fn a_floor_keeps_what_comes_while_it_is_set_and_nothing_else() {
    let mut scene = Scene::new();
    scene.learn(found(vec![a(WWW, 5, 1)]));
    scene.bench.feed(Input::Floor(Some(Span::from_secs(60))));
    scene.secs(5);
    assert_eq!(scene.cached(), None, "it came before");
    assert_eq!(ttls(&scene.learn(found(vec![a(WWW, 0, 2)]))), [60]);
    scene.bench.feed(Input::Floor(None));
    scene.secs(59);
    assert_eq!(ttls(&scene.cached().unwrap()), [1], "it came meanwhile");
    scene.secs(1);
    assert_eq!(ttls(&scene.learn(found(vec![a(WWW, 5, 3)]))), [5]);
}

#[test]
fn no_ttl_is_longer_than_a_day() {
    let mut scene = Scene::new();
    let reply = scene.learn(found(vec![a(WWW, u32::MAX >> 1, 1)]));
    assert_eq!(ttls(&reply), [86_400]);
    scene.bench.pass(TTL_MAX);
    assert_eq!(scene.cached(), None);
}

#[test]
fn what_is_asked_already_is_asked_once() {
    let mut scene = Scene::new();
    let forward = forwarded(&scene.ask(WWW)).unwrap();
    assert!(scene.ask("WWW.example.com.").outputs.is_empty());
    let out = scene.answer(forward, found(vec![a(WWW, 5, 1)]));
    let asks = out.outputs.iter().map(|output| match output {
        Output::Reply { ask, .. } => *ask,
        Output::Close | Output::Forward { .. } | Output::Listen => panic!("{output:?}"),
    });
    assert_eq!(asks.collect::<Vec<_>>(), [1, 2]);
    assert_eq!(out.facts.len(), 2);
    let late = scene.answer(forward, found(vec![a(WWW, 5, 2)]));
    assert!(late.outputs.is_empty() && late.facts.is_empty());
}

#[test]
fn a_chain_is_followed_to_its_end_and_not_for_ever() {
    let mut scene = Scene::new();
    let out = scene.ask(WWW);
    let first = forwarded(&out).unwrap();
    let out = scene.answer(first, found(vec![alias(WWW, 60, "b.test.")]));
    let [
        Output::Forward {
            forward,
            name: next,
            ..
        },
    ] = out.outputs.as_slice()
    else {
        panic!("{out:?}");
    };
    assert_eq!(next, &name("b.test."));
    let out = scene.answer(*forward, found(vec![a("b.test.", 7, 1)]));
    assert_eq!(ttls(&only_reply(&out, false)), [60, 7]);
    let mut out = scene.ask("loop.test.");
    let mut hops = 0;
    while let Some(forward) = forwarded(&out) {
        hops += 1;
        out = scene.answer(forward, found(vec![alias("loop.test.", 60, "loop.test.")]));
    }
    assert_eq!(hops, CHAIN_MAX + 1);
    assert_eq!(only_reply(&out, false), Reply::failure());
}

#[test]
fn a_move_flushes_nothing_and_an_end_everything() {
    let mut scene = Scene::new();
    scene.learn(found(vec![a(WWW, 60, 1)]));
    let out = scene.bench.feed(Input::Roamed {
        network: "external".into(),
        address: [127, 20, 0, 9].into(),
    });
    assert!(matches!(out.facts[..], [Kind::Roamed { .. }]));
    assert!(scene.cached().is_some());
    scene.ask("other.example.com.");
    let out = scene.bench.feed(Input::Operate(Act::Stop));
    assert_eq!(out.outputs, [Output::Close]);
    assert!(scene.ask(WWW).outputs.is_empty());
    scene.bench.feed(Input::Operate(Act::Start));
    assert_eq!(scene.cached(), None);
}

#[test]
fn a_drain_answers_who_waits() {
    let mut scene = Scene::new();
    let forward = forwarded(&scene.ask(WWW)).unwrap();
    assert!(
        scene
            .bench
            .feed(Input::Operate(Act::Drain))
            .outputs
            .is_empty()
    );
    assert!(scene.ask(WWW).outputs.is_empty());
    let out = scene.answer(forward, found(vec![a(WWW, 60, 1)]));
    assert!(matches!(
        out.outputs[..],
        [Output::Reply { .. }, Output::Close]
    ));
    assert!(matches!(out.facts[..], [Kind::Resolved(_), Kind::Drained]));
}

#[test]
fn flights_askers_and_the_cache_are_bounded() {
    let mut scene = Scene::new();
    let forwards = (0..FLIGHTS_MAX).map(|n| forwarded(&scene.ask(&format!("n{n}.test."))));
    let forwards: Vec<u64> = forwards.map(Option::unwrap).collect();
    assert_eq!(only_reply(&scene.ask(WWW), false), Reply::failure());
    for _ in FLIGHTS_MAX..WAITING_MAX {
        assert!(scene.ask("n0.test.").outputs.is_empty());
    }
    assert_eq!(only_reply(&scene.ask("n0.test."), false), Reply::failure());
    for forward in forwards {
        scene.answer(forward, found(vec![a(WWW, 60, 1)]));
    }
    assert_eq!(scene.bench.machine.waiting, 0);
    scene.learn(found(vec![a(WWW, 5, 1)]));
    for n in 0..CACHE_MAX {
        let forward = forwarded(&scene.ask(&format!("m{n}.test."))).unwrap();
        scene.answer(forward, found(vec![a(WWW, 60, 1)]));
    }
    assert_eq!(scene.bench.machine.cache.len(), CACHE_MAX);
    assert_eq!(scene.cached(), None, "the first to end made room");
}
