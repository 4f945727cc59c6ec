//! The service for systemd agrees with the program: exit codes, the time to end, variables, commands.

use std::fs;
use std::process::Command;
use std::time::Duration;

use flexcast::cli::ExitCode;
use flexcast::config::Work;

use super::read;
use crate::support::program::succeed;

const SERVICE: &str = "deploy/systemd/flexcast.service";
const ENVIRONMENT: &str = "deploy/systemd/flexcast.env.example";

/// The values of a setting of the service, in their order.
fn values(setting: &str) -> Vec<String> {
    let service = read(SERVICE);
    let lines = service
        .lines()
        .filter_map(|line| line.strip_prefix(setting));
    let values = lines.filter_map(|rest| rest.strip_prefix('='));
    values.map(str::to_owned).collect()
}

#[test]
fn a_consumer_is_not_started_again_when_a_person_has_to_act() {
    let codes = [ExitCode::Usage, ExitCode::Refused, ExitCode::Config];
    let codes = codes.map(|code| (code as u8).to_string());
    assert_eq!(values("RestartPreventExitStatus"), [codes.join(" ")]);
    assert_eq!(values("Restart"), ["on-failure"]);
}

#[test]
fn a_stop_has_more_time_than_the_drain() {
    let seconds = values("TimeoutStopSec").concat().parse();
    let stop = Duration::from_secs(seconds.expect("a number of seconds"));
    let drain = Work::default().drain;
    assert!(
        stop >= drain + Duration::from_secs(10),
        "{stop:?}, {drain:?}"
    );
    let document = read("docs/install.md");
    for time in [stop, drain] {
        let text = format!("({} s)", time.as_secs());
        assert!(document.contains(&text), "docs/install.md: {text}");
    }
}

#[test]
fn its_variables_are_those_of_the_program() {
    let document = read("docs/configuration.md");
    let texts = [read(SERVICE), read(ENVIRONMENT)];
    let lines = texts.iter().flat_map(|text| text.lines());
    let lines = lines.map(|line| line.trim_start_matches('#'));
    let pairs = lines.filter_map(|line| {
        let line = line.strip_prefix("Environment=").unwrap_or(line);
        let (name, _) = line.split_once('=')?;
        let is_variable = name.contains('_') && name.chars().all(|c| c.is_uppercase() || c == '_');
        is_variable.then_some(name)
    });
    let mut count = 0;
    for name in pairs {
        count += 1;
        // A secret `X` can be in a file that `X_FILE` names.
        let secret = name.strip_suffix("_FILE").unwrap_or_default();
        let is_named = [name, secret]
            .iter()
            .any(|name| !name.is_empty() && document.contains(&format!("`{name}`")));
        assert!(is_named, "docs/configuration.md: {name}");
    }
    assert!(count >= 9, "{count} variables");
}

#[test]
fn systemd_accepts_the_service() {
    let mut version = Command::new("systemd-analyze");
    if version.arg("--version").output().is_err() {
        eprintln!("systemd-analyze is not installed: the service is not checked");
        return;
    }
    let program = env!("CARGO_BIN_EXE_flexcast");
    // systemd wants a program that exists.
    let service = read(SERVICE).replace("/usr/local/bin/flexcast", program);
    assert!(service.contains(&format!("ExecStart={program} work\n")));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("flexcast.service");
    fs::write(&file, service).expect("a file");
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).arg(&file);
    let output = verify.output().expect("systemd-analyze");
    let warnings = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = warnings
        .lines()
        .filter(|line| line.contains("flexcast"))
        .collect();
    assert!(ours.is_empty(), "{ours:#?}");
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=yes", "--threshold=20"]);
    succeed(security.arg(&file));
}
