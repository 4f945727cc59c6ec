//! The folders of the state.

use std::path::{Path, PathBuf};

use super::ServiceError;
use crate::clock::Clock;

pub(super) fn make_folder(path: &Path) -> Result<(), ServiceError> {
    std::fs::create_dir_all(path).map_err(|error| ServiceError::State {
        path: path.display().to_string(),
        error,
    })
}

/// A state directory of its own for a trial of some kind: fresh, in the real one.
///
/// # Errors
///
/// [`ServiceError::State`] names it.
pub fn trial_folder(state: &Path, kind: &str, clock: Clock) -> Result<PathBuf, ServiceError> {
    let now = clock.now().strftime("%Y%m%dT%H%M%S").to_string();
    let parent = state.join(kind);
    make_folder(&parent)?;
    // Two trials of one second have folders of their own.
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
