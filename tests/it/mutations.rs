//! The mutations of `scripts/mutation-check.sh`: each still fits the sources.

use std::path::{Path, PathBuf};
use std::process::Command;

fn patches(root: &Path) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(root.join("tests/mutations")).expect("a folder of ours");
    let paths = folder.map(|entry| entry.expect("an entry").path());
    let mut patches: Vec<_> = paths.collect();
    patches.sort();
    patches
}

#[test]
fn every_mutation_still_applies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let patches = patches(root);
    // What the issue of the drill names.
    for name in [
        "acknowledged-before-outcome",
        "intent-not-written",
        "look-up-skipped",
        "marker-ignored",
    ] {
        let is_there = patches
            .iter()
            .any(|path| path.ends_with(format!("{name}.patch")));
        assert!(is_there, "tests/mutations/{name}.patch is missing");
    }
    for patch in patches {
        let mut git = Command::new("git");
        git.args(["apply", "--check"]).arg(&patch).current_dir(root);
        // In somebody else's checkout it would skip what is not below that one's root, and be content.
        git.env("GIT_CEILING_DIRECTORIES", root.parent().unwrap_or(root));
        let checked = match git.output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return println!("SKIPPED: there is no git to check the patches with");
            }
            checked => checked.expect("git runs"),
        };
        assert!(
            checked.status.success(),
            "{} no longer applies: make it anew for the sources as they are now\n{}",
            patch.display(),
            String::from_utf8_lossy(&checked.stderr)
        );
    }
}
