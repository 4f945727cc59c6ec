//! What the Dockerfile's build has: the files of its context, and a manifest with which Cargo builds from them.

use std::fs;
use std::process::Command;

use super::super::support::program::repository;
use super::image::{self, Stage};

/// The files of the context that come into the image or its build, each with the stage that copies it.
fn context(stages: &[Stage]) -> Vec<&str> {
    let copies = stages
        .iter()
        .flat_map(|stage| &stage.copies)
        .filter(|copied| copied.from.is_none());
    copies
        .flat_map(|copied| &copied.sources)
        .map(String::as_str)
        .collect()
}

#[test]
fn every_file_that_the_dockerfile_copies_is_in_the_context() {
    let text = fs::read_to_string(repository(".dockerignore")).expect(".dockerignore is there");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        lines.first(),
        Some(&"*"),
        "nothing goes to the daemon but what is named"
    );
    let stages = image::stages();
    let context = context(&stages);
    assert!(context.len() >= 4, "{context:?}");
    for path in &context {
        assert!(
            repository(path).exists(),
            "the Dockerfile copies {path}, which does not exist"
        );
        assert!(
            lines.contains(&format!("!{path}").as_str()),
            ".dockerignore keeps {path} from the build"
        );
    }
    for path in lines.iter().filter_map(|line| line.strip_prefix('!')) {
        assert!(
            context.contains(&path),
            "{path} goes to the daemon, and the Dockerfile does not copy it"
        );
    }
}

/// Cargo looks for a target's file unless the manifest names its path; the image has no tests and no benches.
#[test]
fn cargo_takes_the_manifest_where_the_sources_are_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let stages = image::stages();
    let first = stages.first().expect("the build's stage");
    let files = first.copies.iter().flat_map(|copied| &copied.sources);
    for file in files.filter(|file| repository(file).is_file()) {
        fs::copy(repository(file), folder.path().join(file)).expect("copied");
    }
    fs::create_dir(folder.path().join("src")).expect("a folder");
    fs::write(folder.path().join("src/main.rs"), "fn main() {}").expect("written");
    fs::write(folder.path().join("src/lib.rs"), "").expect("written");
    let build = "cargo build --release --locked --bin flexcast";
    assert!(
        first.runs.iter().all(|run| run.contains(build)),
        "the build runs something else than {build}"
    );
    // Of a program that there is not: Cargo reads the manifest and the lock file, and builds nothing.
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "build",
            "--release",
            "--locked",
            "--offline",
            "--bin",
            "none",
        ])
        .current_dir(folder.path());
    let output = cargo.output().expect("Cargo runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("no bin target named `none`"),
        "Cargo refuses the image's build: {told}"
    );
    assert!(
        told.lines().any(|line| line.trim() == "flexcast"),
        "the build has no program flexcast: {told}"
    );
}

#[test]
fn the_image_exposes_the_port_that_its_command_listens_on() {
    let image = image::read();
    let [port] = image.ports[..] else {
        panic!("one port is exposed: {:?}", image.ports);
    };
    let address = format!("0.0.0.0:{port}");
    assert!(
        image.command.contains(&address),
        "{:?} does not listen on {address}",
        image.command
    );
}
