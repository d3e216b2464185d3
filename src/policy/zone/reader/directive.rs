//! Lines that begin with `$`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Reader, Source, State};
use crate::policy::zone::lexer::Token;
use crate::policy::zone::text::{self, head};

/// How deep files include files; a file that includes itself ends here.
const INCLUDE_DEPTH_MAX: usize = 8;

/// How many files one zone may include, since each could name the next twice.
const INCLUDES_MAX: usize = 100;

impl Reader<'_> {
    pub(super) fn directive(
        &mut self,
        source: &Source<'_>,
        word: Token<'_>,
        arguments: &[Token<'_>],
        state: &mut State,
    ) {
        if word.is("$GENERATE") {
            self.generate(source, word, arguments, state);
            return;
        }
        let most = match () {
            () if word.is("$INCLUDE") => 2,
            () if word.is("$ORIGIN") || word.is("$TTL") => 1,
            () => {
                let what = format!("the directive {} is not known", head(word.text));
                let cure = "known are $ORIGIN, $TTL, $INCLUDE and $GENERATE";
                self.mistake(source, word.spot, what, cure);
                return;
            }
        };
        let upper = head(word.text).to_ascii_uppercase();
        let Some(argument) = arguments.first() else {
            self.mistake(source, word.spot, format!("{upper} needs an argument"), "");
            return;
        };
        if let Some(more) = arguments.get(most) {
            let what = format!("{upper} takes no more than {most}");
            self.mistake(source, more.spot, what, "remove it");
            return;
        }
        let result = if word.is("$TTL") {
            text::ttl(argument.text).map(|seconds| {
                state.default_ttl = Some(self.bounded(source, argument.spot, seconds));
            })
        } else if word.is("$ORIGIN") {
            text::name(argument.text, &state.origin).map(|origin| state.origin = origin)
        } else {
            self.include(source, *argument, arguments.get(1).copied(), state);
            Ok(())
        };
        if let Err(what) = result {
            self.mistake(source, argument.spot, what, "");
        }
    }

    fn include(
        &mut self,
        source: &Source<'_>,
        file: Token<'_>,
        origin: Option<Token<'_>>,
        state: &State,
    ) {
        let mut inner = state.clone();
        if let Some(origin) = origin {
            match text::name(origin.text, &state.origin) {
                Ok(origin) => inner.origin = origin,
                Err(what) => return self.mistake(source, origin.spot, what, ""),
            }
        }
        self.includes += 1;
        if source.depth == INCLUDE_DEPTH_MAX || self.includes > INCLUDES_MAX {
            let what = format!(
                "{} is included too deep; at most {INCLUDE_DEPTH_MAX} levels and {INCLUDES_MAX} files",
                head(file.text)
            );
            return self.mistake(source, file.spot, what, "does it include itself?");
        }
        let folder = source.path.parent().unwrap_or_else(|| Path::new(""));
        let Ok(name) = std::str::from_utf8(file.text) else {
            let what = format!("{} is not UTF-8 text", head(file.text));
            return self.mistake(source, file.spot, what, "rename the file");
        };
        let path: PathBuf = folder.join(name);
        match self.files.open(&path) {
            Ok(input) => self.file(&Arc::from(path), input, &mut inner, source.depth + 1),
            Err(error) => {
                let what = format!("{} cannot be read: {error}", path.display());
                self.mistake(source, file.spot, what, "");
            }
        }
    }
}
