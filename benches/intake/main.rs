//! What an import costs beside the least that anybody could do: rows of a file onto a queue.
//!
//! In turns, each in a process of its own whose peak memory is read at its end (`VmHWM`): a bare loop of
//! `csv` and `lapin` with confirms and without any check; an import into RabbitMQ; an import into the
//! embedded queue, both with a ledger in a file. Rates are compared within a round: the machine's other
//! work moves them all. Needs a broker at `AMQP_URL`:
//!
//! ```text
//! scripts/with-services.sh cargo bench --bench intake
//! FLEXCAST_BENCH_ROWS=100000 FLEXCAST_BENCH_MANY=0 FLEXCAST_BENCH_ROUNDS=3 scripts/with-services.sh ...
//! ```

mod bare;
mod imported;
mod list;

use std::path::Path;
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};

/// What an import should at least reach of the bare loop's rate, and its most memory.
const RATIO_MIN: f64 = 0.6;
const PEAK_MIB_MAX: f64 = 96.0;

/// How much more memory the long file may need than the short one.
const GROWTH_MAX: f64 = 1.1;

/// What one process measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Measured {
    rows: u64,
    seconds: f64,
    /// `VmHWM` at the end, in KiB.
    peak_kib: u64,
    /// Processor time of the process, in seconds.
    cpu_seconds: f64,
}

impl Measured {
    fn rate(&self) -> f64 {
        self.rows as f64 / self.seconds
    }

    fn peak_mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }
}

const ROLES: [&str; 3] = ["bare", "rabbitmq", "embedded"];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("--role") {
        let (role, file) = (arguments.next(), arguments.next());
        let (role, file) = (role.expect("a role"), file.expect("a file"));
        let measured = play(&role, Path::new(&file));
        println!("{}", serde_json::to_string(&measured).expect("JSON"));
        return ExitCode::SUCCESS;
    }
    if std::env::var("AMQP_URL").is_err() {
        println!(
            "intake: AMQP_URL is not set: scripts/with-services.sh cargo bench --bench intake"
        );
        return ExitCode::SUCCESS;
    }
    let rows = number("FLEXCAST_BENCH_ROWS", 1_000_000);
    let many = number("FLEXCAST_BENCH_MANY", 5_000_000);
    let rounds = number("FLEXCAST_BENCH_ROUNDS", 3);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("list.csv");
    list::write(&file, rows);
    println!("{rows} rows of seven columns, {rounds} rounds");
    println!("round  what      rows/s  of bare  peak MiB  CPU us/row");
    let mut short = [Vec::new(), Vec::new(), Vec::new()];
    for round in 1..=rounds {
        for (role, all) in ROLES.iter().zip(&mut short) {
            all.push(in_a_process(role, &file));
        }
        let bare = short[0][short[0].len() - 1];
        for (role, all) in ROLES.iter().zip(&short) {
            tell(&round.to_string(), role, &all[all.len() - 1], &bare);
        }
    }
    let medians = [1, 2].map(|role| median(&short[0], &short[role]));
    let peaks = [1, 2].map(|role| peak(&short[role]));
    for at in [0, 1] {
        let verdict = medians[at] >= RATIO_MIN && peaks[at] <= PEAK_MIB_MAX;
        println!(
            "{}: {:.2} of the bare loop's rate (at least {RATIO_MIN}), {:.0} MiB (at most {PEAK_MIB_MAX:.0}): {}",
            ROLES[at + 1],
            medians[at],
            peaks[at],
            if verdict { "met" } else { "not met" }
        );
    }
    if many > 0 {
        long(&file, many, peaks);
    }
    ExitCode::SUCCESS
}

/// The same at more rows: the memory must not grow.
fn long(file: &Path, rows: u64, short: [f64; 2]) {
    list::write(file, rows);
    println!("{rows} rows");
    let bare = in_a_process("bare", file);
    tell("-", "bare", &bare, &bare);
    for (role, short) in ROLES[1..].iter().zip(short) {
        let measured = in_a_process(role, file);
        tell("-", role, &measured, &bare);
        let growth = measured.peak_mib() / short;
        let verdict = growth <= GROWTH_MAX;
        println!(
            "{role}: {growth:.2} of the short file's memory (at most {GROWTH_MAX}): {}",
            if verdict { "met" } else { "not met" }
        );
    }
}

fn play(role: &str, file: &Path) -> Measured {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    let began = flexcast::clock::Clock::system().instant();
    let rows = runtime.block_on(async {
        match role {
            "bare" => bare::publish(file).await,
            "rabbitmq" => imported::into_rabbitmq(file).await,
            "embedded" => imported::into_embedded(file).await,
            other => panic!("{other} is no role"),
        }
    });
    Measured {
        rows,
        seconds: began.elapsed().as_secs_f64(),
        peak_kib: peak_kib(),
        cpu_seconds: cpu_seconds(),
    }
}

fn in_a_process(role: &str, file: &Path) -> Measured {
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program);
    let output = child.args(["--role", role]).arg(file).output();
    let output = output.expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{role}: {said}");
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().expect("a line");
    serde_json::from_str(last).expect("what it measured")
}

fn tell(round: &str, role: &str, measured: &Measured, bare: &Measured) {
    println!(
        "{round:>5}  {role:<8} {:>7.0}  {:>7.2}  {:>8.1}  {:>10.1}",
        measured.rate(),
        measured.rate() / bare.rate(),
        measured.peak_mib(),
        measured.cpu_seconds * 1e6 / measured.rows as f64
    );
}

/// The median over the rounds of one's rate by the bare loop's of the same round.
fn median(bare: &[Measured], ours: &[Measured]) -> f64 {
    let ratios = bare.iter().zip(ours);
    let mut ratios: Vec<_> = ratios
        .map(|(bare, ours)| ours.rate() / bare.rate())
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

fn peak(all: &[Measured]) -> f64 {
    all.iter().map(Measured::peak_mib).fold(0.0, f64::max)
}

fn number(variable: &str, default: u64) -> u64 {
    let told = std::env::var(variable).ok();
    told.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// `VmHWM` of this process (Linux, proc(5)).
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|text| text.parse().ok()).expect("VmHWM")
}

/// User and system time of this process: fields 14 and 15, in hundredths of a second (proc(5)).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, after) = stat.rsplit_once(") ").expect("a name in brackets");
    let fields: Vec<&str> = after.split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0
}
