use super::*;
use crate::model::draw::Seed;

const NAME: &[u8] = b"\x05Proxy\x07example\x03com\x00";

fn header(flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let words = [0xbeef, flags].into_iter().chain(counts);
    words.flat_map(u16::to_be_bytes).collect()
}

/// A question for an A record in IN.
fn question(name: &[u8]) -> Vec<u8> {
    [name, &[0, 1, 0, 1]].concat()
}

fn record(owner: &[u8], kind: u16, class: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    [
        owner,
        &kind.to_be_bytes(),
        &class.to_be_bytes(),
        &ttl.to_be_bytes(),
        &length.to_be_bytes(),
        data,
    ]
    .concat()
}

fn opt(options: &[u8]) -> Vec<u8> {
    record(&[0], TYPE_OPT, 1232, 0x8000, options)
}

fn option(code: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    [&code.to_be_bytes(), &length.to_be_bytes(), content].concat()
}

fn message(counts: [u16; 4], parts: &[Vec<u8>]) -> Vec<u8> {
    [header(0x0100, counts), parts.concat()].concat()
}

fn query(bytes: &[u8]) -> Query<'_> {
    match parse(bytes) {
        Parsed::Query(query) => query,
        other @ (Parsed::Ignored | Parsed::Malformed(_)) => panic!("{other:?}"),
    }
}

fn malformed(bytes: &[u8]) -> Malformed {
    match parse(bytes) {
        Parsed::Malformed(malformed) => malformed,
        other @ (Parsed::Ignored | Parsed::Query(_)) => panic!("{other:?}"),
    }
}

#[test]
fn a_question_and_its_options_are_read_as_written() {
    let options = [
        option(3, b""),
        option(8, &[0, 1, 24, 0, 10, 1, 2]),
        option(10, b"12345678"),
        option(10, b"second"),
        option(11, b""),
        option(12, &[0; 9]),
        option(65_001, b"unknown"),
    ]
    .concat();
    let other = record(b"\xc0\x0c", 1, 1, 0, &[127, 0, 0, 1]);
    let tsig = record(NAME, TYPE_TSIG, 255, 0, &[]);
    let bytes = message([1, 0, 0, 3], &[question(NAME), other, opt(&options), tsig]);
    let query = query(&bytes);
    assert_eq!((query.id, query.flags, query.opcode()), (0xbeef, 0x0100, 0));
    let asked = query.question.unwrap();
    assert_eq!((asked.name, asked.kind, asked.class), (NAME, 1, 1));
    assert_eq!(asked.length(), NAME.len() + 4);
    let edns = query.edns.unwrap();
    assert_eq!((edns.payload, edns.version, edns.extended), (1232, 0, 0));
    assert!(edns.wants_dnssec() && query.tsig);
    assert_eq!(edns.nsid, Some(&b""[..]));
    assert_eq!(edns.subnet, Some(&[0, 1, 24, 0, 10, 1, 2][..]));
    assert_eq!(edns.cookie, Some(&b"12345678"[..]), "the first counts");
    assert_eq!(edns.keepalive, Some(&b""[..]));
    assert_eq!(edns.padding, Some(&[0; 9][..]));
    assert_eq!(edns.options, options);
}

#[test]
fn what_may_not_be_answered_is_ignored() {
    let whole = message([1, 0, 0, 0], &[question(NAME)]);
    for length in 0..HEADER {
        assert_eq!(parse(&whole[..length]), Parsed::Ignored, "{length} bytes");
    }
    let response = [header(QR, [1, 0, 0, 0]), question(NAME)].concat();
    assert_eq!(parse(&response), Parsed::Ignored);
    assert!(matches!(parse(&whole), Parsed::Query(_)));
}

/// Counts, parts, the fault, whether the question could be read, whether EDNS was seen.
type Case = ([u16; 4], Vec<Vec<u8>>, Problem, bool, bool);

#[test]
fn faults_are_named_and_keep_the_question_where_it_can_be_read() {
    let a = || question(NAME);
    let long_name = [
        [b"\x3f".as_slice(), &[b'a'; 63]].concat().repeat(4),
        vec![0],
    ]
    .concat();
    let bad_option = [0, 10, 0, 9, 1];
    let rr = record(NAME, 1, 1, 0, &[127, 0, 0, 1]);
    let tsig = record(&[0], TYPE_TSIG, 255, 0, &[]);
    let cut = a()[..NAME.len() + 3].to_vec();
    let table: Vec<Case> = vec![
        ([0, 0, 0, 0], vec![], Problem::Questions, false, false),
        (
            [0, 0, 0, 1],
            vec![opt(&[])],
            Problem::Questions,
            false,
            true,
        ),
        (
            [2, 0, 0, 0],
            vec![a(), a()],
            Problem::Questions,
            false,
            false,
        ),
        ([1, 0, 0, 0], vec![], Problem::Short, false, false),
        ([1, 0, 0, 0], vec![cut], Problem::Short, false, false),
        (
            [1, 0, 0, 0],
            vec![question(b"\xc0\x0c")],
            Problem::Pointer,
            false,
            false,
        ),
        (
            [1, 0, 0, 0],
            vec![question(b"\x01a\xc0\x0c")],
            Problem::Pointer,
            false,
            false,
        ),
        (
            [1, 0, 0, 0],
            vec![question(b"\x41a\x00")],
            Problem::Name,
            false,
            false,
        ),
        (
            [1, 0, 0, 0],
            vec![question(&long_name)],
            Problem::Name,
            false,
            false,
        ),
        (
            [1, 0, 0, 0],
            vec![a(), vec![0]],
            Problem::Trailing,
            true,
            false,
        ),
        (
            [1, 1, 0, 0],
            vec![a(), rr.clone()],
            Problem::Filled,
            true,
            false,
        ),
        (
            [1, 0, 1, 1],
            vec![a(), rr, opt(&[])],
            Problem::Filled,
            true,
            true,
        ),
        ([1, 1, 0, 0], vec![a(), opt(&[])], Problem::Opt, true, false),
        ([1, 0, 0, 1], vec![a()], Problem::Short, true, false),
        (
            [1, 0, 0, 2],
            vec![a(), opt(&[]), opt(&[])],
            Problem::Opt,
            true,
            true,
        ),
        (
            [1, 0, 0, 1],
            vec![a(), record(NAME, TYPE_OPT, 512, 0, &[])],
            Problem::Opt,
            true,
            false,
        ),
        (
            [1, 0, 0, 1],
            vec![a(), record(b"\xc0\x1e", TYPE_OPT, 512, 0, &[])],
            Problem::Opt,
            true,
            false,
        ),
        (
            [1, 0, 0, 1],
            vec![a(), opt(&bad_option)],
            Problem::Option,
            true,
            true,
        ),
        (
            [1, 0, 0, 1],
            vec![a(), opt(&[0, 10, 0])],
            Problem::Option,
            true,
            true,
        ),
        (
            [1, 0, 0, 2],
            vec![a(), tsig.clone(), opt(&[])],
            Problem::Tsig,
            true,
            false,
        ),
        (
            [1, 0, 0, 2],
            vec![a(), tsig.clone(), tsig],
            Problem::Tsig,
            true,
            false,
        ),
    ];
    for (counts, parts, problem, question, edns) in table {
        let bytes = message(counts, &parts);
        let found = malformed(&bytes);
        let expected = Malformed {
            id: 0xbeef,
            flags: 0x0100,
            question: question.then(|| HEADER..HEADER + NAME.len() + 4),
            edns,
            problem,
        };
        assert_eq!(found, expected, "{counts:?} {parts:02x?}");
    }
}

#[test]
fn a_cookie_excuses_a_missing_question() {
    let bytes = message([0, 0, 0, 1], &[opt(&option(10, b"12345678"))]);
    let query = query(&bytes);
    assert_eq!(query.question, None);
    assert!(query.edns.unwrap().cookie.is_some());
}

#[test]
fn names_may_be_as_long_as_255_bytes() {
    let labels = |last: u8| {
        let mut name = [b"\x3f".as_slice(), &[b'a'; 63]].concat().repeat(3);
        name.push(last);
        name.extend(std::iter::repeat_n(b'b', usize::from(last)));
        name.push(0);
        name
    };
    assert_eq!(labels(61).len(), 255);
    assert!(
        query(&message([1, 0, 0, 0], &[question(&labels(61))]))
            .question
            .is_some()
    );
    let longer = message([1, 0, 0, 0], &[question(&labels(62))]);
    assert_eq!(malformed(&longer).problem, Problem::Name);
}

#[test]
fn an_incremental_transfer_may_name_its_version() {
    let soa = record(NAME, 6, 1, 0, &[]);
    let asked = [NAME, &TYPE_IXFR.to_be_bytes(), &[0, 1]].concat();
    query(&message([1, 0, 1, 0], &[asked, soa]));
}

#[test]
fn other_opcodes_are_read_as_far_as_an_answer_needs() {
    let update = [
        header(5 << 11, [1, 0, 2, 1]),
        question(NAME),
        b"whatever".to_vec(),
    ]
    .concat();
    let read = query(&update);
    assert_eq!((read.opcode(), read.edns), (5, None));
    assert_eq!(read.question.unwrap().name, NAME);
    let status = [header(2 << 11, [0, 0, 0, 1]), opt(&[])].concat();
    let read = query(&status);
    assert!(read.question.is_none() && read.edns.is_some());
}

/// Any change to good messages is read or refused, and what is kept lies inside the message.
#[test]
fn mutated_messages_never_panic() {
    let options = [option(8, &[0, 1, 24, 0, 10, 1, 2]), option(10, b"12345678")].concat();
    let tsig = record(NAME, TYPE_TSIG, 255, 0, &[0; 20]);
    let seeds = [
        message([1, 0, 0, 0], &[question(NAME)]),
        message([1, 0, 0, 2], &[question(NAME), opt(&options), tsig]),
        message(
            [1, 1, 1, 1],
            &[
                question(NAME),
                record(b"\xc0\x0c", 1, 1, 0, &[1; 4]),
                opt(&[]),
            ],
        ),
    ];
    let mut draws = 0;
    let mut below = |bound: usize| {
        draws += 1;
        let drawn = Seed(53).draw("message", "mutate", draws);
        usize::try_from(drawn % bound as u64).unwrap()
    };
    let (mut read, mut refused) = (0, 0);
    for round in 0..60_000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..=below(4) {
            let at = below(bytes.len() + 1);
            match below(4) {
                0 if at < bytes.len() => bytes[at] = u8::try_from(below(256)).unwrap(),
                1 if at < bytes.len() => bytes[at] ^= 1 << below(8),
                2 => bytes.truncate(at.max(8)),
                _ => bytes.insert(at, u8::try_from(below(256)).unwrap()),
            }
        }
        match parse(&bytes) {
            Parsed::Query(query) => {
                read += 1;
                if let Some(asked) = query.question {
                    let end = HEADER + asked.name.len();
                    assert_eq!(asked.name, &bytes[HEADER..end], "round {round}");
                    assert_eq!(asked.name.last(), Some(&0), "round {round}");
                }
            }
            Parsed::Malformed(malformed) => {
                refused += 1;
                let range = malformed.question.unwrap_or(0..0);
                assert!(range.end <= bytes.len(), "round {round}");
            }
            Parsed::Ignored => {}
        }
    }
    assert!(read > 5_000 && refused > 5_000, "{read} {refused}");
}
