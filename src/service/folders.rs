//! Folders in the state folder.

use std::path::{Path, PathBuf};

use super::ServiceError;
use crate::clock::Clock;

pub(super) fn make_folder(path: &Path) -> Result<(), ServiceError> {
    std::fs::create_dir_all(path).map_err(|error| ServiceError::State {
        path: path.display().to_string(),
        error,
    })
}

/// Creates a new state folder for a trial, in the folder `kind` of the state folder.
///
/// # Errors
///
/// [`ServiceError::State`] names the folder.
pub fn trial_folder(state: &Path, kind: &str, clock: Clock) -> Result<PathBuf, ServiceError> {
    let now = clock.now().strftime("%Y%m%dT%H%M%S").to_string();
    let parent = state.join(kind);
    make_folder(&parent)?;
    // Two trials in one second get different folders.
    for number in 0_u32.. {
        let path = parent.join(format!("{now}-{number}"));
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(ServiceError::State {
                    path: path.display().to_string(),
                    error,
                });
            }
        }
    }
    unreachable!("numbers do not run out")
}
