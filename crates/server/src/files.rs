//! What files need that are whole or absent: names beside them, and folders that keep theirs.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The file beside `path` whose name ends so.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Syncs the folder that `path` is in: what was made, renamed or removed there stays so.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
