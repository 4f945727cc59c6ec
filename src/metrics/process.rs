//! The metrics of the process itself, under the names that Prometheus clients share.
//!
//! In: `/proc` (proc(5)). Out: `process_*`, read at each scrape. Without `/proc` there are none.

use std::fs;

use prometheus::{Counter, Gauge, Registry};

use super::make::make;

/// Clock ticks a second in `/proc/self/stat`: `USER_HZ`, which Linux keeps at 100 for programs.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub(super) struct ProcessMetrics {
    cpu: Counter,
    memory: Gauge,
    open_fds: Gauge,
    start_time: Gauge,
}

struct ProcessReading {
    cpu_seconds: f64,
    resident_bytes: f64,
    open_fds: f64,
    start_seconds: f64,
}

impl ProcessMetrics {
    /// Registers the metrics; None if they cannot be read on this system.
    pub(super) fn register(registry: &Registry) -> Option<Self> {
        read()?;
        let gauge = |name, help| make(registry, Gauge::new(name, help));
        Some(Self {
            cpu: make(
                registry,
                Counter::new(
                    "process_cpu_seconds_total",
                    "Processor time, user and system together, in seconds.",
                ),
            ),
            memory: gauge(
                "process_resident_memory_bytes",
                "Resident memory, in bytes.",
            ),
            open_fds: gauge("process_open_fds", "Open file descriptors."),
            start_time: gauge(
                "process_start_time_seconds",
                "When the process started, in seconds since 1970-01-01 UTC.",
            ),
        })
    }

    /// Reads `/proc` again.
    pub(super) fn update(&self) {
        let Some(now) = read() else { return };
        self.cpu.inc_by((now.cpu_seconds - self.cpu.get()).max(0.0));
        self.memory.set(now.resident_bytes);
        self.open_fds.set(now.open_fds);
        self.start_time.set(now.start_seconds);
    }
}

fn read() -> Option<ProcessReading> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name is in parentheses and may contain anything; the numbered fields follow it.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    // The first of these is field 3 of proc(5): utime is 14, stime 15, starttime 22.
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    let cpu_seconds = (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND;
    let boot_seconds = number_after("/proc/stat", "btime")?;
    Some(ProcessReading {
        cpu_seconds,
        resident_bytes: number_after("/proc/self/status", "VmRSS:")? * 1024.0,
        // One of them is opened by this read.
        open_fds: fs::read_dir("/proc/self/fd")
            .ok()?
            .count()
            .saturating_sub(1) as f64,
        start_seconds: boot_seconds + ticks(22)? / TICKS_PER_SECOND,
    })
}

/// The number after `word` at the beginning of a line.
fn number_after(path: &str, word: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(word))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_files_and_a_beginning() {
        let now = read().expect("Linux has /proc");
        assert!(now.resident_bytes > 1e5 && now.open_fds >= 3.0);
        // 2020-01-01: the machine was started after this was written.
        assert!(now.start_seconds > 1_577_836_800.0);
    }
}
