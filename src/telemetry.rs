//! Logs: what they look like, where they go, how much of them.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Sends logs to standard error: text on a terminal, JSON elsewhere or with `LOG_FORMAT=json`.
///
/// `level` holds unless `RUST_LOG` says otherwise. Standard output is for data alone.
pub fn start(level: &str, log_format: Option<&str>) {
    let asked = std::env::var("RUST_LOG").ok();
    let filter = asked
        .and_then(|asked| EnvFilter::try_new(without_bodies(&asked)).ok())
        .unwrap_or_else(|| EnvFilter::new(without_bodies(&format!("{level},hyper=warn"))));
    let is_json = match log_format {
        Some(format) => format == "json",
        None => !std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A line that cannot be written (the disk is full) would be told on standard error, with a
        // panic when that fails too.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first.
    let _started = if is_json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_target(false).try_init()
    };
}

/// The directives, with lapin silent unless they name it: it logs returned messages with their
/// bodies, and bodies hold numbers.
fn without_bodies(directives: &str) -> String {
    if directives.contains("lapin") {
        directives.to_owned()
    } else {
        format!("{directives},lapin=off")
    }
}
