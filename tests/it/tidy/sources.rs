//! The files of the crate, and what is read of them.

use std::fs;
use std::path::{Path, PathBuf};

pub(super) fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of ours") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// A file's path under `src/` with forward slashes, and its code: without comments, unit tests and files of them.
pub(crate) fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_code = |path: &PathBuf| !path.to_string_lossy().ends_with("tests.rs");
    let files = rust_files("src").into_iter().filter(is_code);
    let read = files.map(|path| {
        let text = fs::read_to_string(&path).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim().starts_with("//"));
        let name = path.strip_prefix(&root).expect("under src").display();
        (
            name.to_string().replace('\\', "/"),
            lines.collect::<Vec<_>>().join("\n"),
        )
    });
    read.collect()
}

/// The numbers of a code, as they are written in decimal.
pub(crate) fn numbers(code: &str) -> impl Iterator<Item = u32> {
    let words = code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter_map(|word| word.replace('_', "").parse().ok())
}
