//! Files that are small and want to be large: refused before memory or disk is taken.
//!
//! The program runs as a process of its own, whose largest memory the system measures (`getrusage`), and which the
//! system ends when it writes more than it may (`RLIMIT_FSIZE`).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::workbooks::workbook;
use crate::support::flexcast::eventually;
use crate::support::program::{flexcast, repository, succeed};

/// The most memory and disk for a hostile file, in bytes; the disk may be ten times the file, too.
const MEMORY_MAX: u64 = 256 * 1024 * 1024;
const DISK_MAX: u64 = 64 * 1024 * 1024;

/// Runs a command, and prints its largest memory in bytes, its exit code and what it said.
const MEASURED: &str = r"
import resource, subprocess, sys
most = int(sys.argv[1])
limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
ran = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=limit)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, ran.returncode)
print(ran.stdout.decode(errors='replace'))
";

const CAMPAIGN: &str = r#"
id = "case"
strategy = "task_now"
api = "conversations"
channel = "sms"
sender = "+12025550100"
body = "Hello {{ customer.name }}!"
default_region = "US"
[agents]
default = "alice"
"#;

/// What an import of the file says, which ends with 65 within the bounds.
fn refusal(path: &Path) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("c.toml"), CAMPAIGN).expect("written");
    let length = fs::metadata(path).expect("a file").len();
    let disk = DISK_MAX.max(10 * length) + 1024 * 1024;
    let mut python = Command::new(repository("target/venv/bin/python"));
    python
        .args(["-c", MEASURED, &disk.to_string()])
        .current_dir(folder.path());
    python.args([env!("CARGO_BIN_EXE_flexcast"), "import", "c.toml"]);
    let said = succeed(python.arg(path).arg("--dry-run"));
    let (first, said) = said.split_once('\n').expect("two lines");
    let (memory, code) = first.split_once(' ').expect("two numbers");
    assert_eq!(code, "65", "{said}");
    let memory: u64 = memory.parse().expect("a number");
    assert!(memory <= MEMORY_MAX, "{} MiB: {said}", memory / 1024 / 1024);
    said.to_owned()
}

fn text(at: &str, text: &str) -> String {
    format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
}

/// A header that names the numbers.
fn phone() -> String {
    format!("<row r=\"1\">{}</row>", text("A1", "phone"))
}

fn refused(sheet: &str, parts: &[(&str, &str)], said: &str) {
    let file = workbook(sheet, parts);
    let found = refusal(file.path());
    assert!(found.contains(said), "{found} should say {said}");
}

#[test]
fn a_workbook_that_wants_more_memory_than_it_may_is_refused() {
    // One value of 200 MB, as a shared text, in a cell and as an attribute.
    let megabytes = "x".repeat(200 * 1024 * 1024);
    let shared = format!("<sst><si><t>{megabytes}</t></si></sst>");
    refused(&phone(), &[("sharedStrings.xml", &shared)], "longer than");
    refused(&text("A1", &megabytes), &[], "longer than");
    refused(&format!("<row r=\"{megabytes}\"/>"), &[], "longer than");
    let many = "<si><t>abcdefghijklmnopqrstuvwxyz</t></si>".repeat(4_500_000);
    let many = format!("<sst>{many}</sst>");
    refused(&phone(), &[("sharedStrings.xml", &many)], "MiB of memory");
    let deep = "<a>".repeat(5_000_000);
    refused(&format!("{}{deep}", phone()), &[], "nested");
    let wide: String = (0..3000).map(|_| text("B2", &"x".repeat(1000))).collect();
    let wide = format!("{}<row r=\"2\">{wide}</row>", phone());
    refused(&wide, &[], "MiB of text");
    let styles = "<xf numFmtId=\"9\"/>".repeat(200_000);
    let styles = format!("<styleSheet><cellXfs>{styles}</cellXfs></styleSheet>");
    refused(&phone(), &[("styles.xml", &styles)], "styles");
}

#[test]
fn a_workbook_that_wants_more_disk_than_it_may_is_refused() {
    // A text of 1,000 characters, 90,000 times.
    let long = "x".repeat(1000);
    let shared = format!("<sst uniqueCount=\"99999999999\"><si><t>{long}</t></si></sst>");
    let point = |row: u32| format!("<row r=\"{row}\"><c r=\"A{row}\" t=\"s\"><v>0</v></c></row>");
    let repeated: String = (2..90_000).map(point).collect();
    let repeated = format!("{}{repeated}", phone());
    refused(&repeated, &[("sharedStrings.xml", &shared)], "ten times");
    // A header as wide as a sheet, a last row, and no customer.
    let (first, last) = (text("A1", "phone"), text("XFD1048576", "x"));
    let corner = format!(
        "<row r=\"1\">{first}{}</row><row r=\"1048576\">{last}</row>",
        text("XFD1", "x")
    );
    refused(&corner, &[], "no rows");
    // Cells that no sheet has.
    for (place, row, said) in [
        ("A4294967295", 4_294_967_295_u32, "rows"),
        ("ZZZZ2", 2, "columns"),
    ] {
        let cell = format!("<row r=\"{row}\"><c r=\"{place}\"><v>1</v></c></row>");
        refused(&format!("{}{cell}", phone()), &[], said);
    }
}

#[test]
fn a_csv_of_very_many_columns_is_refused_with_its_line() {
    let columns = |count: usize| (0..count).map(|at| format!("c{at},")).collect::<String>();
    let alike = "x,".repeat(16_000);
    let table = [
        (
            format!("phone,{}\n1,2\n", columns(100_000)),
            "line 1 has more than 16384 columns",
        ),
        (
            format!("phone,name\n1,2\n+12025550173,{}\n", ",".repeat(8_000_000)),
            "line 3 has more than",
        ),
        // As many as there may be, and all alike.
        (format!("{alike}\n1,2\n"), "no column holds"),
    ];
    for (text, said) in table {
        let file = super::file(text.as_bytes());
        let found = refusal(file.path());
        assert!(
            found.contains(said),
            "{} should say {said}",
            &found[..found.len().min(500)]
        );
    }
}

#[test]
fn an_import_that_is_killed_leaves_no_list_in_the_temporary_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let temporary = folder.path().join("temporary");
    fs::create_dir(&temporary).expect("a folder");
    fs::write(folder.path().join("c.toml"), CAMPAIGN).expect("written");
    let pipe = folder.path().join("pipe");
    succeed(Command::new("mkfifo").arg(&pipe));
    let mut command = flexcast(folder.path());
    command
        .env("TMPDIR", &temporary)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command
        .args(["import", "c.toml", "pipe", "--dry-run"])
        .spawn();
    let mut child = child.expect("it starts");
    // The writer waits for the reader, and the list never ends.
    let mut writer = fs::OpenOptions::new()
        .write(true)
        .open(&pipe)
        .expect("a reader");
    let row = "phone,name\n+12025550173,Clark\n".repeat(10_000);
    writer.write_all(row.as_bytes()).expect("it reads");
    // What was written is in the file once a second piece as large as the pipe is taken.
    writer.write_all(row.as_bytes()).expect("it reads");
    let files = format!("/proc/{}/fd", child.id());
    let is_kept = || {
        let mut links = fs::read_dir(&files).into_iter().flatten().flatten();
        let is_ours = |to: PathBuf| to.starts_with(&temporary);
        links
            .any(|link| fs::read_link(link.path()).is_ok_and(is_ours))
            .then_some(())
    };
    if Path::new("/proc/self/fd").exists() {
        eventually("the list is kept", is_kept);
    }
    child.kill().expect("killed");
    child.wait().expect("it ended");
    let left = fs::read_dir(&temporary).expect("a folder").count();
    assert_eq!(left, 0, "files of the list stay behind");
}
