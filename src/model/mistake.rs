//! What is wrong with an input, where, and what would be right.

use std::fmt;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as the user would name it.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// One mistake in a scenario, a Teleport file or a zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// The path inside the document, `balancers[0].listen`; empty for zone files.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What would be right; empty when `what` says it.
    pub cure: String,
}

/// The files of a scenario: the disk, or the set embedded in the binary, or a recording's.
///
/// Paths are as `scenario/resolve` joins them: relative ones to the file that names them.
pub trait Files {
    /// Reads a whole file as text; the error is a sentence without the path.
    fn read(&self, path: &Path) -> Result<String, String>;

    /// Opens a zone file, whose octets need be no text and whose length no limit of texts binds.
    fn open(&self, path: &Path) -> Result<Box<dyn Read + '_>, String> {
        let text = self.read(path)?;
        Ok(Box::new(Cursor::new(text.into_bytes())))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// `file:line:column path: what is wrong; what would be right`.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        if !self.path.is_empty() {
            write!(f, " {}", self.path)?;
        }
        write!(f, ": {}", self.what)?;
        if !self.cure.is_empty() {
            write!(f, "; {}", self.cure)?;
        }
        Ok(())
    }
}
