//! The first hour, as `docs/first-hour.md` shows it: all its commands, on a terminal of 80 columns.

use std::process::Command;

use crate::support::flexcast::in_repository;

const DOCUMENT: &str = "docs/first-hour.md";

/// To write the document and the picture anew: `GOLDEN=write`.
#[test]
fn the_first_hour_is_as_the_document_shows_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let is_written = std::env::var("GOLDEN").is_ok_and(|wanted| wanted == "write");
    let played = Command::new("python3")
        .arg(in_repository("tests/it/support/session.py"))
        .arg(in_repository(DOCUMENT))
        .arg(env!("CARGO_BIN_EXE_flexcast"))
        .arg(folder.path())
        .args(is_written.then_some("--write"))
        .output()
        .expect("Python");
    let told = String::from_utf8_lossy(&played.stderr);
    assert!(played.status.success(), "{told}");
    let drawn = Command::new(in_repository("scripts/terminal_picture.py"))
        .args([&in_repository(DOCUMENT), "## Send"])
        .output()
        .expect("Python");
    let picture = in_repository("docs/first-hour.svg");
    if is_written {
        std::fs::write(&picture, &drawn.stdout).expect("the picture");
    }
    let found = std::fs::read(&picture).unwrap_or_default();
    assert!(
        found == drawn.stdout,
        "docs/first-hour.svg is not the session of {DOCUMENT}; write both with GOLDEN=write"
    );
}
