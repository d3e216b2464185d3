//! Texts that somebody else chose, as a terminal shows them: by the rule of the page, which is tested
//! with the same fixture (`tests/web/format.test.js`).

use std::ops::RangeInclusive;

use serde_json::Value;
use twodoors::model::escaped::Escaped;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/texts/shown.json")).unwrap()
}

#[test]
fn a_text_is_shown_as_the_page_shows_it() {
    let fixture = fixture();
    let cases = fixture["cases"].as_array().unwrap();
    assert!(cases.len() > 30);
    for case in cases {
        let [text, shown] = ["text", "shown"].map(|name| case[name].as_str().unwrap());
        assert_eq!(Escaped(text).to_string(), shown, "{text:?}");
        // What is shown can be shown again.
        assert_eq!(Escaped(shown).to_string(), shown, "{text:?}");
    }
}

#[test]
fn every_character_without_a_shape_is_an_escape_and_no_other() {
    let fixture = fixture();
    let ranges = fixture["hidden"].as_array().unwrap().iter();
    let ranges: Vec<RangeInclusive<u32>> = ranges
        .map(|range| {
            let end = |at: usize| range[at].as_str().unwrap();
            let [first, last] = [0, 1].map(|at| u32::from_str_radix(end(at), 16).unwrap());
            first..=last
        })
        .collect();
    let listed = |c: char| ranges.iter().any(|range| range.contains(&u32::from(c)));
    for c in '\0'..=char::MAX {
        // A letter before, since what has nothing to stand on is an escape too.
        let text = format!("a{c}");
        let hidden = Escaped(&text).to_string() != text;
        assert_eq!(hidden, listed(c), "{:04x}", u32::from(c));
    }
}
