//! Where the ledger and the embedded queue live.
//!
//! In: the flag, the environment, the current folder. Out: an absolute path, and how it was found. Always: without a
//! flag or a variable the place does not depend on the current folder, so that the same campaign has the same ledger
//! whatever folder it is sent from; state that an earlier version left in the current folder is used on.

use std::path::{Path, PathBuf, absolute};

/// Where versions before 0.2 put the state unless they were told otherwise: in the current folder.
const IN_CURRENT_FOLDER: &str = ".flexcast";

/// The ledger's file in the state directory.
pub const LEDGER_FILE: &str = "ledger.db";

/// The embedded queue's file in the state directory.
pub const QUEUE_FILE: &str = "queue.db";

/// The directory of all state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatePlace {
    /// Absolute where the current folder is known.
    pub path: PathBuf,
    /// What an operator is to know of how it was found, as a part of a sentence.
    pub note: Option<String>,
}

impl StatePlace {
    /// The flag's, else `FLEXCAST_STATE`, else `.flexcast` in the current folder if there is state in it, else the
    /// user's directory for state.
    pub(super) fn find(flag: Option<&Path>, variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let told = flag.map(Path::to_path_buf);
        let told = told.or_else(|| variable("FLEXCAST_STATE").map(PathBuf::from));
        if let Some(path) = told {
            return Self::of(&path, None);
        }
        let here = Self::of(Path::new(IN_CURRENT_FOLDER), None);
        let home = of_user(variable);
        if has_state(&here.path) {
            let other = home
                .filter(|home| has_state(home))
                .map(|home| format!("; another ledger or queue is in {}", home.display()));
            let note = format!(
                "in the current folder, where an earlier version put it{}",
                other.unwrap_or_default()
            );
            return Self {
                note: Some(note),
                ..here
            };
        }
        match home {
            Some(home) => Self::of(&home, None),
            None => Self {
                note: Some("in the current folder, since HOME is not set".to_owned()),
                ..here
            },
        }
    }

    fn of(path: &Path, note: Option<String>) -> Self {
        let path = absolute(path).unwrap_or_else(|_| path.to_owned());
        Self { path, note }
    }
}

/// `$XDG_STATE_HOME/flexcast`, or `~/.local/state/flexcast` (XDG Base Directory Specification 0.8, which has relative
/// values ignored); on Windows `%LOCALAPPDATA%\flexcast`.
fn of_user(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let folder = |name: &str| {
        let path = PathBuf::from(variable(name)?);
        path.is_absolute().then_some(path)
    };
    let states = folder("XDG_STATE_HOME");
    let states = states.or_else(|| folder("HOME").map(|home| home.join(".local/state")));
    let states = states.or_else(|| folder("LOCALAPPDATA"));
    states.map(|states| states.join("flexcast"))
}

/// Whether a folder has a ledger, a queue, or the log of one whose file is missing.
fn has_state(folder: &Path) -> bool {
    [LEDGER_FILE, QUEUE_FILE].iter().any(|name| {
        let log = format!("{name}-wal");
        folder.join(name).exists() || folder.join(log).exists()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> StatePlace {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        StatePlace::find(None, &variable)
    }

    #[test]
    fn the_users_directory_for_state_is_the_default_wherever_one_stands() {
        let table: [(&[(&str, &str)], &str); 4] = [
            (&[("HOME", "/home/ann")], "/home/ann/.local/state/flexcast"),
            (
                &[("HOME", "/home/ann"), ("XDG_STATE_HOME", "/var/state")],
                "/var/state/flexcast",
            ),
            (
                &[("HOME", "/home/ann"), ("XDG_STATE_HOME", "state")],
                "/home/ann/.local/state/flexcast",
            ),
            (
                &[("HOME", "/home/ann"), ("FLEXCAST_STATE", "/srv/flexcast")],
                "/srv/flexcast",
            ),
        ];
        for (variables, expected) in table {
            let place = found(variables);
            assert_eq!(place.path, Path::new(expected), "{variables:?}");
            assert_eq!(place.note, None, "{variables:?}");
        }
    }

    #[test]
    fn what_is_told_is_made_absolute_and_no_home_is_said() {
        let here = std::env::current_dir().expect("a folder");
        let told = StatePlace::find(Some(Path::new("state")), &|_| None);
        assert_eq!((told.path, told.note), (here.join("state"), None));
        let place = found(&[]);
        assert_eq!(place.path, here.join(IN_CURRENT_FOLDER));
        assert!(place.note.is_some_and(|note| note.contains("HOME")));
    }
}
