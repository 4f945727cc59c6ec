//! A cluster of three nodes that lose each other under consumers at work: the drill of `make cluster-drill`, in short.

use std::process::Command;

use crate::support::program::{repository, succeed};

#[test]
fn nodes_that_die_a_majority_that_is_away_and_a_memory_alarm_lose_and_double_nothing() {
    let mut drill = Command::new(repository("target/venv/bin/python"));
    drill.arg(repository("scripts/cluster_drill.py"));
    drill.args(["--binary", env!("CARGO_BIN_EXE_flexcast")]);
    drill.args(["--pairs", "conversations/task_on_reply"]);
    drill.args([
        "--messages",
        "800",
        "--pace",
        "8",
        "--consumers",
        "2",
        "--any-pace",
    ]);
    eprintln!("{}", succeed(&mut drill));
}
