//! Creates a file under a temporary name until it is complete.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::path::Path;

use rusqlite::Connection;

use super::{FileError, beside, mark, unusable};

use crate::files::private;

/// Creates the file at `path` and fills it with `make`. The caller keeps other processes out. After a crash there
/// is no file of this name, and the next call removes the temporary file.
pub(super) fn create<E: Display>(
    path: &Path,
    make: impl Fn(&mut Connection) -> Result<(), E>,
) -> Result<(), FileError> {
    let new = beside(path, ".new");
    remove(&new);
    let made = fill(&new, make).and_then(|()| {
        fs::rename(&new, path).map_err(|error| unusable(path, &error))?;
        sync_folder(path).map_err(|error| unusable(path, &error))
    });
    if made.is_err() {
        remove(&new);
    }
    made
}

fn fill<E: Display>(
    new: &Path,
    make: impl Fn(&mut Connection) -> Result<(), E>,
) -> Result<(), FileError> {
    // Readable by its owner only before SQLite writes to it: it contains phone numbers. SQLite's log gets the same
    // rights.
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let file = private(&mut options)
        .open(new)
        .map_err(|error| unusable(new, &error))?;
    let mut conn = Connection::open(new).map_err(|error| unusable(new, &error))?;
    let prepare = |conn: &Connection| {
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "FULL")
    };
    prepare(&conn).map_err(|error| unusable(new, &error))?;
    make(&mut conn).map_err(|error| unusable(new, &error))?;
    let finish = |conn: &Connection| {
        mark::set_whole(conn)?;
        mark::fold(conn, mark::Fold::AndEmpty)
    };
    if !finish(&conn).map_err(|error| unusable(new, &error))? {
        return Err(unusable(new, &"another program reads it"));
    }
    conn.close().map_err(|(_, error)| unusable(new, &error))?;
    file.sync_all().map_err(|error| unusable(new, &error))
}

/// A failure is ignored here: the next step reports it.
fn remove(new: &Path) {
    for end in ["", "-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(beside(new, end));
    }
}

/// Syncs a file's folder, so that a rename survives a power failure.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
