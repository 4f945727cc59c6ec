//! What the machine gives: the disk's syncs, the process's CPU time.

use std::io::Write;
use std::time::Duration;

use flexcast::clock::Clock;

/// Where the ledgers are, and what is synced.
pub(crate) fn folder() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
}

/// Appends of a page, each synced before the next, in one second.
pub(crate) fn syncs_a_second(for_long: Duration) -> std::io::Result<f64> {
    let folder = folder()?;
    let mut file = std::fs::File::create(folder.path().join("syncs"))?;
    let clock = Clock::system();
    let begun = clock.instant();
    let mut count = 0.0;
    while begun.elapsed() < for_long {
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        count += 1.0;
    }
    Ok(count / begun.elapsed().as_secs_f64())
}

/// The CPU time that the whole machine has spent working, in milliseconds; 0 where `/proc` does not say.
pub(crate) fn machine_cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let all = stat.lines().next().unwrap_or_default();
    let ticks = all.split_whitespace().skip(1).take(7);
    // user, nice, system, idle, iowait, irq, softirq
    let working = ticks.enumerate().filter(|(n, _)| !matches!(n, 3 | 4));
    let ticks: f64 = working.flat_map(|(_, text)| text.parse::<f64>()).sum();
    ticks * 10.0
}

/// The CPU time that this process has used, in milliseconds; 0 where `/proc` does not say.
pub(crate) fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which ends with the last bracket: user and system time are the 12th and 13th.
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let times = after.split_whitespace().skip(11).take(2);
    let ticks: f64 = times.flat_map(str::parse::<f64>).sum();
    // Linux counts in hundredths of a second on every machine we run on.
    ticks * 10.0
}
