//! Twilio's own SDKs drive the simulator: a client that we did not write finds Twilio in it.
//!
//! `make test` installs them with scripts/oracle-env.sh; without them these tests fail.

use std::process::Command;

use super::support::program::{Simulated, repository, succeed};

/// What both scripts ask of a simulator: their agent, no limits, nobody else's customers.
const FLAGS: [&str; 3] = ["--agent", "alice", "--no-limits"];

#[tokio::test]
async fn twilios_python_sdk_runs_both_strategies_on_both_apis() {
    let folder = tempfile::tempdir().expect("a folder");
    let simulated = Simulated::start(folder.path(), &FLAGS).await;
    let mut script = Command::new(repository("target/venv/bin/python"));
    script.arg(repository("tests/oracle/twilio_sdk.py"));
    succeed(script.arg(simulated.url()));
}

#[tokio::test]
async fn twilios_node_sdk_runs_both_strategies_on_both_apis() {
    let folder = tempfile::tempdir().expect("a folder");
    let simulated = Simulated::start(folder.path(), &FLAGS).await;
    let mut script = Command::new("node");
    script.current_dir(repository("tests/oracle"));
    succeed(script.arg("twilio_sdk.mjs").arg(simulated.url()));
}
