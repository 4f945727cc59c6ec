//! Rules about the sources: the modules that a module may import, the place of each crate, the length of a file. Clippy
//! checks the length of functions (clippy.toml).

mod messages;
mod sources;
mod walls;

use std::collections::BTreeSet;
use std::fs;

use flexcast::twilio::codes::CODES;

use self::sources::rust_files;
pub(super) use self::sources::{numbers, sources};

/// A longer file does two things. Tests have tables of cases.
const SOURCE_LINES_MAX: usize = 420;
const TEST_LINES_MAX: usize = 500;

/// What each module of `src/` may import from this crate (a module, or a part of one), and why not more. `cli` and
/// `service` see everything that is not private: they are the two ends.
const MAY_IMPORT: &[(&str, &[&str], &str)] = &[
    ("message", &[], "it is plain data: no I/O, no clock"),
    ("clock", &[], "a leaf"),
    (
        "numbers",
        &["message"],
        "it reads what people write, and knows no file and no campaign",
    ),
    ("shutdown", &[], "a leaf"),
    ("files", &[], "a leaf"),
    (
        "listening",
        &["clock", "shutdown"],
        "it accepts connections, and does not know what is asked on them",
    ),
    (
        "sqlite_file",
        &["files"],
        "it looks after files and does not know what is in them",
    ),
    ("telemetry", &[], "a leaf"),
    ("tls", &[], "a leaf: it knows certificates, and no service"),
    (
        "metrics",
        &["message", "pacing", "queue", "twilio"],
        "it knows the words of labels, and nobody's state",
    ),
    (
        "pacing",
        &["clock"],
        "a lane is its own type: it does not know what is paced",
    ),
    (
        "twilio",
        &["message", "tls"],
        "it does not know that it is paced or journalled",
    ),
    (
        "campaign",
        &["message", "numbers", "pacing", "twilio"],
        "a campaign is data, checked against the account",
    ),
    (
        "ledger",
        &["message", "pacing", "sqlite_file", "tls"],
        "it records what it is told and decides nothing: of pacing it knows the rows alone",
    ),
    (
        "queue",
        &["clock", "message", "shutdown", "sqlite_file", "tls"],
        "it carries bodies and does not read them",
    ),
    (
        "intake",
        &["campaign", "clock", "ledger", "message", "numbers", "queue"],
        "a file becomes messages on a queue: Twilio is asked for nothing",
    ),
    (
        "engine",
        &[
            "campaign", "clock", "ledger", "message", "metrics", "pacing", "twilio",
        ],
        "the engine never acknowledges: return what the saga came to",
    ),
    (
        "shown_lanes",
        &["pacing", "queue", "twilio"],
        "it is plain data, which the worker writes and `operate` reads",
    ),
    (
        "outcomes",
        &[
            "campaign",
            "clock",
            "ledger",
            "message",
            "queue",
            "twilio::codes",
        ],
        "outcomes never call Twilio: they ask the table of its errors alone",
    ),
    (
        "marks",
        &["clock", "ledger", "message", "twilio"],
        "it compares a ledger with what the account says of it, and knows no consumer",
    ),
    (
        "worker",
        &[
            "campaign",
            "clock",
            "engine",
            "intake",
            "ledger",
            "marks",
            "message",
            "metrics",
            "outcomes",
            "pacing",
            "queue",
            "shown_lanes",
            "shutdown",
            "twilio",
        ],
        "it works with the contracts that `service` hands it",
    ),
    (
        "operate",
        &[
            "campaign",
            "clock",
            "files",
            "intake",
            "ledger",
            "message",
            "outcomes",
            "pacing",
            "queue",
            "shown_lanes",
            "twilio",
        ],
        "it knows no command line, no server and no worker: its callers present what it returns. Of intake it has the \
         previews and imports, of outcomes the end of a campaign, of pacing the rates of a forecast, of the queue the \
         contract, of twilio the record of a part that is away: it calls nobody",
    ),
    (
        "http",
        &[
            "clock",
            "ledger",
            "listening",
            "message",
            "metrics",
            "queue",
            "shutdown",
            "twilio",
        ],
        "it looks, and starts nothing",
    ),
    (
        "simulator",
        &["clock", "files", "listening", "shutdown", "twilio"],
        "it is Twilio: it knows nothing of campaigns and messages",
    ),
    (
        "config",
        &[
            "campaign", "engine", "message", "pacing", "tls", "twilio", "worker",
        ],
        "it composes each module's own settings",
    ),
];

/// A crate that is talked to in one place only.
const BELONGS_TO: &[(&str, &[&str])] = &[
    ("axum", &["http/"]),
    ("chardetng", &["intake/file/encoding/mod.rs"]),
    ("clap", &["cli/"]),
    ("clap_complete", &["cli/completions.rs"]),
    ("clap_mangen", &["cli/man.rs"]),
    ("governor", &["pacing/"]),
    ("hyper", &["http/", "simulator/"]),
    ("lapin", &["queue/rabbitmq/"]),
    (
        "minijinja",
        &[
            "campaign/texts/particulars.rs",
            "campaign/texts/template.rs",
        ],
    ),
    ("prometheus", &["metrics/"]),
    ("quick_xml", &["intake/file/workbook/"]),
    (
        "reqwest",
        &["twilio/client/transport.rs", "queue/rabbitmq/management/"],
    ),
    ("rlibphonenumber", &["numbers/"]),
    ("rustls_native_certs", &["tls/"]),
    (
        "rusqlite",
        &["ledger/sqlite/", "queue/embedded/", "sqlite_file/"],
    ),
    ("ssfmt", &["intake/file/workbook/"]),
    ("strsim", &["operate/wording/near.rs"]),
    ("tokio_postgres", &["ledger/postgres/"]),
    ("webpki", &["tls/"]),
    ("webpki_root_certs", &["tls/"]),
    ("zip", &["intake/file/workbook/"]),
];

/// Texts that name the error that Twilio would answer with.
const TO_AN_OPERATOR: &str = "the text names the error that Twilio would answer with";

/// The codes of Twilio's that stand outside their table, each with the reason.
const NAMES_A_CODE: &[(&str, u32, &str)] = &[
    ("campaign/texts/content.rs", 21617, TO_AN_OPERATOR),
    ("campaign/texts/content.rs", 21656, TO_AN_OPERATOR),
    ("campaign/texts/content.rs", 50540, TO_AN_OPERATOR),
    ("campaign/rules.rs", 63016, TO_AN_OPERATOR),
    (
        "operate/importing/checklist/texts.rs",
        63016,
        TO_AN_OPERATOR,
    ),
    (
        "pacing/quotas/senders.rs",
        30001,
        "it is the page that a rate comes from",
    ),
];

fn module(file: &str) -> &str {
    let first = file.split('/').next().unwrap_or_default();
    first.trim_end_matches(".rs")
}

fn module_of(path: &str) -> &str {
    path.split("::").next().unwrap_or_default()
}

/// The modules of this crate that a file names, each with the path inside it.
fn imports(code: &str) -> BTreeSet<&str> {
    let after = code.split("crate::").skip(1);
    let names = after.map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_' || c == ':'));
        rest[..end.unwrap_or(rest.len())].trim_end_matches(':')
    });
    names.collect()
}

#[test]
fn modules_import_only_what_they_may() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        assert!(
            !code.contains("crate::{"),
            "{file}: one `use` a module, so that this test sees it"
        );
        let own = module(&file);
        if ["main", "lib", "cli", "service"].contains(&own) {
            continue;
        }
        let row = MAY_IMPORT.iter().find(|(name, ..)| *name == own);
        let (_, allowed, why) = row.unwrap_or_else(|| panic!("{file}: {own} is in no row"));
        for import in imports(&code) {
            let is_allowed = |allowed: &&str| {
                let inside = import.strip_prefix(*allowed);
                inside.is_some_and(|path| path.is_empty() || path.starts_with("::"))
            };
            if module_of(import) != own && !allowed.iter().any(is_allowed) {
                wrong.push(format!("{file} imports crate::{import}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_service_and_cli_know_the_backends() {
    let backends = ["queue::rabbitmq", "queue::embedded", "ledger::sqlite"];
    for (file, code) in sources() {
        for backend in backends {
            let (contract, _) = backend.split_once("::").expect("two parts");
            let may = ["service", "cli", contract].contains(&module(&file));
            assert!(
                may || !code.contains(&format!("crate::{backend}")),
                "{file}: {backend}"
            );
        }
    }
}

#[test]
fn a_crate_is_talked_to_in_its_own_place() {
    for (file, code) in sources() {
        for (name, places) in BELONGS_TO {
            let path = format!("{name}::");
            let mut found = code.match_indices(&path);
            let is_named = found.any(|(at, _)| {
                let before = code[..at].chars().next_back();
                // `crate::metrics::prometheus::` would be a module of ours.
                before.is_none_or(|c| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
            });
            let is_home = places.iter().any(|place| file.starts_with(place));
            assert!(
                !is_named || is_home,
                "{file} talks to {name}: that is for {places:?}"
            );
        }
    }
}

#[test]
fn twilios_error_codes_stand_in_their_table_alone() {
    let mut found = BTreeSet::new();
    for (file, code) in sources() {
        let is_apart = file == "twilio/codes/table.rs" || module(&file) == "simulator";
        for number in numbers(&code).filter(|_| !is_apart) {
            if CODES.iter().any(|row| row.code == number) {
                found.insert((file.clone(), number));
            }
        }
    }
    let reasoned = NAMES_A_CODE.iter();
    let reasoned = reasoned.map(|(file, code, _)| ((*file).to_owned(), *code));
    assert_eq!(
        found,
        reasoned.collect(),
        "a list of codes beside twilio/codes/table.rs: give the row what is asked of it"
    );
}

#[test]
fn no_file_is_too_long() {
    for (folder, max) in [("src", SOURCE_LINES_MAX), ("tests", TEST_LINES_MAX)] {
        for path in rust_files(folder) {
            let text = fs::read_to_string(&path).expect("a source file");
            let lines = text.lines().count();
            assert!(
                lines <= max,
                "{}: {lines} lines, {max} at most",
                path.display()
            );
        }
    }
}

#[test]
fn every_file_says_what_it_is_first() {
    for path in rust_files("src").into_iter().chain(rust_files("tests/it")) {
        let text = fs::read_to_string(&path).expect("a source file");
        let is_main = path.ends_with("src/main.rs");
        assert!(is_main || text.starts_with("//! "), "{}", path.display());
    }
}

/// What `operate` names nowhere: how a program ends, and where its words appear.
const NOT_IN_OPERATE: &[&str] = &[
    "ExitCode",
    "IsTerminal",
    "clap",
    "eprint",
    "print!",
    "println!",
    "std::env",
    "std::io",
    "std::process",
    "stderr",
    "stdout",
    "twilio::Twilio",
];

/// A file of `operate` that names one of these all the same, and why.
const IN_OPERATE_ALL_THE_SAME: &[(&str, &str, &str)] = &[(
    "operate/backup.rs",
    "std::io",
    "it writes a file, and tells the operating system's errors apart",
)];

#[test]
fn operations_know_no_terminal_and_no_exit_code() {
    let mut is_seen = false;
    for (file, code) in sources() {
        if module(&file) != "operate" {
            continue;
        }
        is_seen = true;
        for name in NOT_IN_OPERATE {
            let mut may = IN_OPERATE_ALL_THE_SAME.iter();
            let may = may.any(|(of, what, _)| *of == file && what == name);
            assert!(
                may || !code.contains(name),
                "{file} names {name}: an operation returns data, and its caller presents them"
            );
        }
    }
    assert!(is_seen, "operate/ is where this test looks for it");
}

/// The ledger's methods with which operators and imports change something.
const CHANGES: &[&str] = &[
    "begin_import",
    "bind",
    "broker_lost",
    "change_state",
    "end_import",
    "end_right",
    "end_waits",
    "finish_campaign",
    "mark_queued",
    "move_sender",
    "queue_again",
    "recall",
    "record_damaged",
    "record_stray",
    "redefine",
    "release_leases",
    "renew_right",
    "save_campaign",
    "set_aside",
    "settle_undo",
    "settle_unknown",
    "show_alive",
    "skip_unbegun",
    "take_undo",
];

/// A command that calls a function of such a name, and why that is no change past `operate`.
const CHANGES_ALL_THE_SAME: &[(&str, &str, &str)] = &[
    (
        "cli/campaign.rs",
        "bind",
        "Service::bind ties the ledger to the account, before the campaign is applied",
    ),
    ("cli/work.rs", "bind", "as in cli/campaign.rs"),
    (
        "cli/unknown.rs",
        "settle_unknown",
        "the operation has the name of the ledger's method",
    ),
];

#[test]
fn commands_change_nothing_but_through_operate() {
    let all = sources();
    let is_method = |name: &str| {
        let declared = format!("async fn {name}(");
        let mut ledger = all.iter().filter(|(file, _)| module(file) == "ledger");
        ledger.any(|(_, code)| code.contains(&declared))
    };
    for name in CHANGES {
        assert!(is_method(name), "the ledger has no method {name} any more");
    }
    for (file, code) in all.iter().filter(|(file, _)| module(file) == "cli") {
        // Neither for a change nor for a look: what a command shows, a page shows too.
        for way in [".ledger", "Importer", "enqueue("] {
            assert!(
                !code.contains(way),
                "{file} names {way}: a command asks `operate`"
            );
        }
        for name in CHANGES {
            let mut may = CHANGES_ALL_THE_SAME.iter();
            let may = may.any(|(of, what, _)| of == file && what == name);
            assert!(
                may || !code.contains(&format!(".{name}(")),
                "{file} calls {name}: a change goes through `operate`"
            );
        }
    }
}
