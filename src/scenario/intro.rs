//! The comment that opens a scenario: the question asked, and the lesson expected.

/// What a scenario says of itself; empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intro {
    /// What follows `Question:`.
    pub question: String,
    /// What follows `Lesson:`.
    pub lesson: String,
}

impl Intro {
    /// Reads the comment before the first key.
    pub fn of(text: &str) -> Self {
        let mut intro = Self::default();
        let mut open: Option<&mut String> = None;
        for line in text.lines() {
            let Some(line) = line.trim_start_matches('\u{feff}').strip_prefix('#') else {
                break;
            };
            let line = line.trim();
            if let Some(rest) = line.strip_prefix("Question:") {
                open = Some(&mut intro.question);
                add(&mut open, rest);
            } else if let Some(rest) = line.strip_prefix("Lesson:") {
                open = Some(&mut intro.lesson);
                add(&mut open, rest);
            } else if line.is_empty() {
                // A paragraph ends.
                open = None;
            } else {
                add(&mut open, line);
            }
        }
        intro
    }
}

fn add(open: &mut Option<&mut String>, line: &str) {
    if let Some(text) = open {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(line.trim());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_and_lesson_are_whole_paragraphs_and_nothing_else() {
        let text = "# Question: can\n#   it?\n#\n# Lesson: yes. It\n# can: see.\n#\n# $schema=x\nname: a\n\
                    # Lesson: no\n";
        let intro = Intro::of(text);
        assert_eq!(intro.question, "can it?");
        assert_eq!(intro.lesson, "yes. It can: see.");
        assert_eq!(Intro::of("name: a\n# Question: b\n"), Intro::default());
        assert_eq!(Intro::of(""), Intro::default());
    }

    #[test]
    fn every_embedded_scenario_asks_and_answers() {
        let embedded = crate::scenario::embedded::ALL.iter();
        let scenarios = embedded
            .filter(|(path, text)| path.starts_with("scenarios/") && text.contains("\nexpect:"));
        let mut count = 0;
        for (path, text) in scenarios {
            let Intro { question, lesson } = Intro::of(text);
            assert!(question.ends_with('?') && !lesson.is_empty(), "{path}");
            count += 1;
        }
        assert_eq!(count, 3);
    }
}
