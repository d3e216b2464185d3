//! Where files come from when it is the disk, and how a path is joined to the file that names it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use crate::model::mistake::Files;

use super::tree::BYTES_MAX;

/// How many bytes of a text are read at most; zones have a limit of their own.
pub const FILE_BYTES_MAX: usize = 64 * BYTES_MAX;

/// The files of the disk, relative to the working folder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<String, String> {
        let file = file(path)?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| words(&error))?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
        }
        String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            format!("it is not UTF-8 text (byte {at})")
        })
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Read + '_>, String> {
        Ok(Box::new(file(path)?))
    }
}

fn file(path: &Path) -> Result<File, String> {
    // Looked at before it is opened: opening a FIFO would wait for somebody to write.
    let kind = std::fs::metadata(path).map_err(|error| words(&error))?;
    if !kind.is_file() {
        return Err(String::from("it is not a file"));
    }
    File::open(path).map_err(|error| words(&error))
}

fn words(error: &std::io::Error) -> String {
    if error.kind() == ErrorKind::NotFound {
        String::from("there is no such file")
    } else if error.kind() == ErrorKind::PermissionDenied {
        String::from("this user may not read it")
    } else {
        error.to_string()
    }
}

/// Joins a path to the folder of the file that names it, and takes out `.` and `name/..`.
pub fn beside(file: &Path, path: &str) -> PathBuf {
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    tidy(&folder.join(path))
}

/// Takes `.` and `name/..` out of a path.
pub fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match tidy.components().next_back() {
                Some(Component::Normal(_)) => {
                    tidy.pop();
                }
                Some(Component::RootDir) => {}
                _ => tidy.push(part),
            },
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => tidy.push(part),
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_relative_to_the_file_that_names_it() {
        let file = Path::new("scenarios/split-dns.yaml");
        assert_eq!(beside(file, "../zones/a.zone"), Path::new("zones/a.zone"));
        assert_eq!(beside(file, "/zones/a.zone"), Path::new("/zones/a.zone"));
        assert_eq!(beside(Path::new("a.yaml"), "../b"), Path::new("../b"));
        assert_eq!(tidy(Path::new("/../a/./b/../c")), Path::new("/a/c"));
    }
}
