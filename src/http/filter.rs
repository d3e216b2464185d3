//! The filter language of the query log: terms that must all hold, each about a field or about any.
//!
//! ```text
//! client:127.10 type=A rcode!=NOERROR !name:*.proxy.example.com. "any words" wild*card
//! ```
//!
//! `:` means contains, or matches whole where there is a `*`; `=` means is, `!=` is not; `!` before a
//! term turns it round; a bare word is looked for in every field. Case does not matter. A value with
//! a space stands in double quotes.

/// A filter over these fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<Term>,
}

/// What is wrong with a filter, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The character at which it goes wrong, from 1.
    pub column: usize,
    /// In words, with what would be right.
    pub what: String,
}

/// How many terms a filter has at most.
pub const TERMS_MAX: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    /// The place of the field; `None` for any.
    field: Option<usize>,
    how: How,
    /// In lower case.
    value: String,
    negated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Contains,
    Is,
}

impl Filter {
    /// Reads a filter over the fields with these names.
    pub fn read(text: &str, fields: &[&str]) -> Result<Self, Wrong> {
        let chars: Vec<char> = text.chars().collect();
        let mut terms = Vec::new();
        let mut at = 0;
        loop {
            while chars.get(at).is_some_and(|c| c.is_whitespace()) {
                at += 1;
            }
            if at == chars.len() {
                return Ok(Self { terms });
            }
            if terms.len() == TERMS_MAX {
                return Err(wrong(at, format!("a filter has at most {TERMS_MAX} terms")));
            }
            terms.push(term(&chars, &mut at, fields)?);
        }
    }

    /// Tells whether all terms hold of these texts, which are in the order of the fields.
    pub fn holds(&self, texts: &[String]) -> bool {
        self.terms.iter().all(|term| {
            let held = match term.field {
                Some(field) => texts.get(field).is_some_and(|text| term.is_in(text)),
                None => texts.iter().any(|text| term.is_in(text)),
            };
            held != term.negated
        })
    }
}

impl Term {
    fn is_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        if self.value.contains('*') {
            return globs(&self.value, &text);
        }
        match self.how {
            How::Contains => text.contains(&self.value),
            How::Is => text == self.value,
        }
    }
}

fn term(chars: &[char], at: &mut usize, fields: &[&str]) -> Result<Term, Wrong> {
    let begin = *at;
    let mut negated = false;
    if chars[*at] == '!' {
        negated = true;
        *at += 1;
    }
    let name_at = *at;
    while chars.get(*at).is_some_and(char::is_ascii_alphabetic) {
        *at += 1;
    }
    let name: String = chars[name_at..*at].iter().collect();
    let how = match (chars.get(*at), chars.get(*at + 1)) {
        (Some(':'), _) => Some((How::Contains, false, 1)),
        (Some('='), _) => Some((How::Is, false, 1)),
        (Some('!'), Some('=')) => Some((How::Is, true, 2)),
        _ => None,
    };
    let Some((how, not, length)) = how.filter(|_| !name.is_empty()) else {
        *at = name_at;
        let value = value(chars, at)?;
        if value.is_empty() {
            let what = String::from("a word is missing after the `!`");
            return Err(wrong(begin, what));
        }
        return Ok(Term {
            field: None,
            how: How::Contains,
            value,
            negated,
        });
    };
    let field = fields
        .iter()
        .position(|field| field.eq_ignore_ascii_case(&name));
    let field = field.ok_or_else(|| {
        let known = fields.join(", ");
        wrong(
            name_at,
            format!("there is no field {name}; there are {known}"),
        )
    })?;
    *at += length;
    let value_at = *at;
    let value = value(chars, at)?;
    if value.is_empty() {
        return Err(wrong(value_at, format!("a value is missing after {name}")));
    }
    Ok(Term {
        field: Some(field),
        how,
        value,
        negated: negated != not,
    })
}

/// Reads a value: up to the next space, or what stands in quotes.
fn value(chars: &[char], at: &mut usize) -> Result<String, Wrong> {
    let begin = *at;
    if chars.get(begin) == Some(&'"') {
        let rest = &chars[begin + 1..];
        let end = rest.iter().position(|c| *c == '"');
        let end = end.ok_or_else(|| wrong(begin, String::from("this quote is never closed")))?;
        *at = begin + end + 2;
        return Ok(lower(&rest[..end]));
    }
    while chars.get(*at).is_some_and(|c| !c.is_whitespace()) {
        *at += 1;
    }
    Ok(lower(&chars[begin..*at]))
}

fn lower(chars: &[char]) -> String {
    chars.iter().collect::<String>().to_lowercase()
}

fn wrong(at: usize, what: String) -> Wrong {
    Wrong {
        column: at + 1,
        what,
    }
}

/// Tells whether a text matches a pattern whole, in which `*` stands for anything.
fn globs(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(found) = rest.find(part) else {
            return false;
        };
        rest = &rest[found + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[&str] = &["client", "name", "rcode"];

    #[track_caller]
    fn check(filter: &str, texts: [&str; 3], expected: bool) {
        let read = Filter::read(filter, FIELDS).unwrap();
        let texts = texts.map(String::from);
        assert_eq!(read.holds(&texts), expected, "{filter}: {read:?}");
    }

    const ROW: [&str; 3] = ["127.10.0.9:4000", "Orders.proxy.example.com.", "NOERROR"];

    #[test]
    fn terms_hold_together_and_each_in_its_way() {
        for (filter, expected) in [
            ("", true),
            ("   ", true),
            ("client:127.10", true),
            ("client:127.20", false),
            ("client:127.10 rcode:noerror", true),
            ("client:127.10 rcode:servfail", false),
            ("rcode=NOERR", false),
            ("rcode=noerror", true),
            ("rcode!=NOERROR", false),
            ("rcode!=NXDOMAIN", true),
            ("!rcode:nxd", true),
            ("!rcode!=NOERROR", true),
            ("name:orders.*", true),
            ("name=*.example.com.", true),
            ("name:*.example.org.", false),
            ("name:*a*b*", false),
            ("name:o*proxy*com.", true),
            ("proxy.example", true),
            ("!proxy.example", false),
            ("\"NOERROR\"", true),
            ("\"client:127.10\"", false),
            ("name:\"Orders.proxy\"", true),
            ("4000 noerror", true),
            ("\"https://x\"", false),
        ] {
            check(filter, ROW, expected);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_column() {
        for (filter, column, word) in [
            ("colour:red", 1, "no field colour"),
            ("client:a nme:b", 10, "there are client, name, rcode"),
            ("client:", 8, "missing after client"),
            ("client: name:x", 8, "missing"),
            ("é name:\"x", 8, "never closed"),
            ("!", 1, "missing after the `!`"),
            ("rcode!=", 8, "missing after rcode"),
        ] {
            let wrong = Filter::read(filter, FIELDS).unwrap_err();
            assert_eq!(wrong.column, column, "{filter}: {wrong:?}");
            assert!(wrong.what.contains(word), "{filter}: {wrong:?}");
        }
        let many = "a ".repeat(TERMS_MAX + 1);
        assert!(Filter::read(&many, FIELDS).is_err());
    }

    #[test]
    fn any_text_is_read_without_a_panic() {
        use crate::model::draw::Seed;
        let letters: Vec<char> = "ab:=! \"*né".chars().collect();
        for case in 0..3_000 {
            let draw = |what, n| Seed(5).draw(&format!("case {case}"), what, n);
            let text: String = (0..draw("length", 0) % 14)
                .map(|n| letters[usize::try_from(draw("letter", n) % 10).unwrap()])
                .collect();
            if let Ok(filter) = Filter::read(&text, FIELDS) {
                filter.holds(&ROW.map(String::from));
            }
        }
    }
}
