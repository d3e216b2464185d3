//! `$GENERATE`, and files that do not fit one window.

use super::*;

fn owners(zone: &Zone) -> Vec<String> {
    let owned = zone.nodes().filter(|node| node.sets().len() > 0);
    owned.skip(2).map(|node| node.name().to_string()).collect()
}

#[test]
fn generate_makes_a_record_of_each_number() {
    let zone = zone("x A 192.0.2.1\n$GENERATE 2-6/2 h$ 5 IN A 192.0.2.$\n TXT after\n");
    let names = ["x", "h2", "h4", "h6"].map(|name| format!("{name}.example.test."));
    assert_eq!(owners(&zone), names);
    assert_eq!(records(&zone, "h4.example.test"), ["5 A 192.0.2.4"]);
    // The owner before it stays the owner.
    let after = records(&zone, "x.example.test");
    assert_eq!(after, ["60 A 192.0.2.1", "60 TXT \"after\""]);
    let key = Key::new(&read_name("h6.example.test").unwrap());
    let set = zone.node(&key).unwrap().sets().next().unwrap();
    assert_eq!(set.items().next().unwrap().line, 6);
}

#[test]
fn generate_writes_numbers_as_wanted() {
    let check = |owner: &str, expected: &str| {
        let zone = zone(&format!("$GENERATE 29-29 {owner} CNAME ns\n"));
        assert_eq!(
            owners(&zone),
            [format!("{expected}.example.test.")],
            "{owner}"
        );
    };
    check("$", "29");
    check("a${0}b", "a29b");
    check("${-9,5}", "00020");
    check("${1,4,o}", "0036");
    check("${0,0,x}-${0,3,X}", "1d-01D");
    check("${0,4,n}x", "d.1.x");
    check("${0,3,N}", "D.1");
    check("${0,8,n}x", "d.1.0.0.x");
    check("a\\$$", "a\\$29");
    check("a$$", "a\\$");
}

#[test]
fn generate_is_checked_and_bounded() {
    check_mistakes(
        "$GENERATE 3-1 a$ A 192.0.2.1",
        &["zone:5:11: `3-1` is not a range"],
    );
    check_mistakes(
        "$GENERATE 1-3/0 a$ A 192.0.2.1",
        &["zone:5:11: `1-3/0` is not"],
    );
    check_mistakes("$GENERATE 1-3", &["zone:5:1: $GENERATE needs"]);
    check_mistakes(
        "$GENERATE 1-3 a${0,0,q} A 192.0.2.1",
        &["zone:5:11: `a${0,0,q}` has a bad"],
    );
    check_mistakes(
        "$GENERATE 1-3 a${-2} A 192.0.2.1",
        &["zone:5:11: `a${-2}`: 1 and the offset"],
    );
    check_mistakes(
        "$GENERATE 1-3 a$ MX 10 b$",
        &["zone:5:24: $GENERATE takes its data as one"],
    );
    check_mistakes(
        "$GENERATE 250-300 a$ A 192.0.2.$",
        &["zone:5:1: A: `192.0.2.256` is not"],
    );
    check_mistakes(
        "$GENERATE 0-2000000000 a$ A 192.0.2.1",
        &["zone:5:11: $GENERATE makes more than 1048576 records"],
    );
    // A short line that makes gigabytes.
    let long = "x".repeat(200);
    let bomb = format!(
        "$GENERATE 0-999999 a TXT \"{}\"",
        format!("{long} ").repeat(300)
    );
    check_mistakes(
        &bomb,
        &["zone:5:11: $GENERATE makes more than 67108864 octets"],
    );
}

#[test]
fn a_zone_larger_than_a_window_is_read_whole() {
    let line = |n: usize| format!("h{n} TXT ( \"{}\"\n ; comment\n )\n", "x".repeat(n % 200));
    let text: String = (0..20_000).map(line).collect();
    let zone = zone(&text);
    assert_eq!(zone.size(), 20_002);
    for n in [0, 7_777, 19_999] {
        let key = Key::new(&read_name(&format!("h{n}.example.test")).unwrap());
        let set = zone.node(&key).unwrap().sets().next().unwrap();
        let item = set.items().next().unwrap();
        assert_eq!((item.line, item.data.len()), (5 + 3 * n, 1 + n % 200));
    }
    let late = format!("{text}a A x\n");
    check_mistakes(&late, &["zone:60005:5: A: `x` is not an IPv4 address"]);
    check_mistakes(
        &format!("{text}a TXT ( x\n"),
        &["zone:60005:7: `(` is never closed"],
    );
}

#[test]
fn an_entry_longer_than_its_bound_is_refused() {
    let long = format!("a TXT (\n{})\n", "x\n".repeat(600_000));
    check_mistakes(
        &long,
        &["zone:5:1: an entry that begins here is longer than 1048576"],
    );
    let fits = format!("a TXT (\n{})\n", "x\n".repeat(30_000));
    zone(&fits);
}
