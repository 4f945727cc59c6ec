//! No command prints private text at any log level: customers' numbers, names and texts, secrets, and characters that a
//! terminal acts on.
//!
//! Each command runs on rows whose every column is private, hostile or wrong. The test searches all output, except the
//! standard output of commands that an operator asks for such data.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use crate::support::broker::Vhost;
use crate::support::flexcast::{FakeTwilio, Place, Ran, eventually, fast_config};
use crate::support::postgres::Database;

/// What a terminal acts on: an escape, an 8-bit one, a mark that reverses what follows, a bell.
const HOSTILE: &str = "\u{1b}[31m\u{9b}2J\u{202e}\u{7}";

/// The digits of the customers' numbers, but for the last ones.
const DIGITS: &str = "21255573";

/// Of every column's value, the part by which it is found; of the texts too.
const PRIVATE: [&str; 6] = [
    "Zerelda",
    "XQJ-77",
    "PLATINUMZ",
    "remarkable",
    "Zebedee",
    "Hovstraat",
];

/// An id that is an e-mail address: lists show it, and nothing else does.
const ID: &str = "zerelda.q@";

/// The customers whose message becomes unknown, and dead.
const UNKNOWN: &str = "+12125557301";
const DEAD: &str = "+12125557304";

const CAMPAIGN: &str = r#"
id = "spring"
strategy = "task_on_reply"
channel = "sms"
sender = "+12025550100"
body = "Hello {{ customer.name }}, your remarkable code is XQJ-77 {{ customer.attributes.plan }}"
default_region = "US"
[flex]
studio_flow_sid = "FW00000000000000000000000000000001"
[agents]
default = "alice"
[task]
show = ["plan", "street"]
"#;

/// The commands whose standard output is the data that an operator asked for: customers, or definitions of campaigns.
const ASKED_FOR: [&str; 4] = [
    "campaign export",
    "campaign list",
    "campaign show",
    "dead show",
];

/// Rows of which each has something private in every column, and some something wrong besides.
fn contacts() -> String {
    let mut file = "phone,name,id,agent,plan,street,country,not_before\n".to_owned();
    let mut row = |phone: &str, name: &str, id: &str, agent: &str, rest: &str| {
        file.push_str(&format!("{phone},{name},{id},{agent},{rest}\n"));
    };
    let good = "PLATINUMZ,Hovstraat 5,,";
    row(
        "+12125557301",
        "Zerelda Q",
        "zerelda.q@example.org",
        "alice",
        good,
    );
    row(
        "2125557302",
        &format!("Zerelda{HOSTILE}"),
        "+12125557302",
        "alice",
        good,
    );
    row("(212) 555-7303", "Zerelda R", "12125557303", "alice", good);
    row(
        "+12125557304",
        "Zerelda S",
        "zerelda.q@example.net",
        "alice",
        good,
    );
    // Wrong in one column each.
    row("21255573", "Zerelda", "crm-5", "alice", good);
    row("Zebedee", "Zerelda", "crm-6", "alice", good);
    row(
        &format!("+1212555730{HOSTILE}"),
        "Zerelda",
        "crm-7",
        "alice",
        good,
    );
    row(
        "+12125557308",
        "Zerelda",
        &format!("crm{HOSTILE}"),
        "alice",
        good,
    );
    row(
        "+12125557309",
        "Zerelda",
        "crm-9",
        "alice",
        "PLATINUMZ,Hovstraat,Zebedee,",
    );
    row(
        "+12125557310",
        "Zerelda",
        "crm-10",
        "alice",
        "PLATINUMZ,Hovstraat,,Zebedee",
    );
    row("+12125557301", "Zerelda Twice", "crm-11", "alice", good);
    row(
        "+12125557312",
        "\"Zerelda \" Zebedee",
        "crm-12",
        "alice",
        good,
    );
    row("+12125557313", "#N/A", "crm-13", "alice", good);
    row("1.23457E+17", "Zerelda", "crm-14", "alice", good);
    file
}

/// A publisher's lines: good, and wrong in a field each.
fn lines() -> String {
    let customer = json!({ "address": "+12125557321", "name": "Zerelda", "attributes": { "plan": "PLATINUMZ", "street": "Hovstraat" } });
    let mut lines = vec![json!({ "campaign": "spring", "customer": customer }).to_string()];
    for (field, value) in [
        ("address", json!("Zebedee")),
        ("address", json!(["+12125557322"])),
        ("name", json!({ "Zebedee": 1 })),
        ("attributes", json!("PLATINUMZ")),
        ("extra", json!("+12125557323")),
    ] {
        let mut wrong = customer.clone();
        wrong[field] = value;
        lines.push(json!({ "campaign": "spring", "customer": wrong }).to_string());
    }
    lines.push(format!(
        "{{\"campaign\":\"spring\",\"customer\":\"Zebedee{HOSTILE}"
    ));
    lines.join("\n")
}

/// All that was written, and under which command.
struct Search<'a> {
    level: &'static str,
    secrets: [&'a str; 2],
    found: Vec<String>,
    commands: BTreeSet<String>,
}

impl Search<'_> {
    /// Looks through what a command wrote.
    fn look(&mut self, command: &[&str], ran: &Ran) {
        let name = command_name(command);
        self.look_at(&name, "stderr", &ran.err);
        // A dry run shows texts as they would be sent.
        let is_asked_for = ASKED_FOR.contains(&name.as_str()) || command.contains(&"--dry-run");
        if !is_asked_for {
            self.look_at(&name, "stdout", &ran.out);
        }
        self.commands.insert(name);
    }

    fn look_at(&mut self, command: &str, stream: &str, text: &str) {
        for line in text.lines() {
            let digits: String = line.chars().filter(char::is_ascii_digit).collect();
            let is_log = stream == "stderr";
            let ids: &[&str] = if is_log { &[ID] } else { &[] };
            let private = PRIVATE
                .iter()
                .chain(&self.secrets)
                .chain(ids)
                .find(|one| line.contains(**one));
            let acts = line.chars().find(|c| acts_on_a_terminal(*c));
            let why = match (private, acts) {
                (Some(private), _) => (*private).to_owned(),
                (_, Some(c)) => format!("U+{:04X}", u32::from(c)),
                _ if digits.contains(DIGITS) => "a number".to_owned(),
                _ => continue,
            };
            let level = self.level;
            self.found.push(format!(
                "{command} at {level}, {stream}, {why}: {}",
                line.escape_debug()
            ));
        }
    }
}

fn acts_on_a_terminal(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// The words of a command: those before the first that is no word of a command.
fn command_name(command: &[&str]) -> String {
    let words = command
        .iter()
        .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase()));
    let two = ["campaign", "dead", "unknown", "ledger"].contains(&command[0]);
    words
        .take(1 + usize::from(two))
        .copied()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Every command that `--help` lists, with its subcommands.
fn all_commands(place: &Place) -> BTreeSet<String> {
    let listed = |path: &[&str]| {
        let mut command = path.to_vec();
        command.push("--help");
        let help = place.run(&command).ends_with(0).out;
        let listed = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
        let rows = listed.lines().take_while(|line| !line.trim().is_empty());
        let names = rows.filter_map(|row| row.strip_prefix("  ")?.split(' ').next());
        let names = names.filter(|name| !name.is_empty() && *name != "help");
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut all = BTreeSet::new();
    for name in listed(&[]) {
        let below = listed(&[&name]);
        if below.is_empty() {
            all.insert(name.clone());
        }
        all.extend(below.iter().map(|sub| format!("{name} {sub}")));
    }
    all
}

/// A free TCP port.
fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener
        .local_addr()
        .expect("its address")
        .port()
        .to_string()
}

/// The files that commands are run on: a configuration without long waits, campaigns, contacts, and a simulator's faults,
/// with which one message becomes unknown and one dead.
fn write_files(place: &Place) {
    let config = fast_config();
    let work = "[work]\nsettle_time = \"100ms\"\nretry = [\"50ms\"]\n";
    let (_, limits) = config.split_once("[limits]").expect("limits");
    place.write("flexcast.toml", format!("{work}[limits]{limits}"));
    place.write("spring.toml", CAMPAIGN);
    let (before, rest) = CAMPAIGN.split_once("body = ").expect("a text");
    let (_, after) = rest.split_once('\n').expect("more lines");
    place.write("try.toml", format!("{before}body = \"A try\"\n{after}"));
    place.write("contacts.csv", contacts());
    place.write("lines.jsonl", lines());
    let rule = |operation: &str, kind: &str, customer: &str| json!({ "operation": operation, "kind": kind, "code": 50_407, "customers": [customer] });
    let rules = [
        rule("create_conversation_message", "server_error", UNKNOWN),
        rule("list_conversation_messages", "server_error", UNKNOWN),
        rule("create_conversation_participant", "error", DEAD),
    ];
    place.write("faults.json", json!({ "rules": rules }).to_string());
}

/// Runs every command at this log level, and returns the lines that hold private text.
fn searched(level: &'static str, prepare: impl FnOnce(&mut Place)) -> Vec<String> {
    // For its credentials, which are the same for every simulator.
    let twilio = FakeTwilio::start();
    let mut place = Place::facing(&twilio);
    prepare(&mut place);
    place.set("RUST_LOG", level);
    write_files(&place);
    let port = free_port();
    let mut simulator = vec![
        "simulator",
        "--port",
        &port,
        "--no-limits",
        "--agent",
        "alice",
    ];
    simulator.extend(["--faults", "faults.json", "--record", "record.jsonl"]);
    let mut simulated = place.start(&simulator);
    let address = format!("127.0.0.1:{port}");
    place.set("FLEXCAST_TWILIO_URL", &format!("http://{address}"));
    eventually("the simulator to listen", || {
        TcpStream::connect(&address).ok()
    });
    let mut search = Search {
        level,
        secrets: [&twilio.auth_token, "guest:guest"],
        found: Vec::new(),
        commands: BTreeSet::new(),
    };
    let mut run = |command: &[&str]| {
        let ran = place.run(command);
        search.look(command, &ran);
    };
    COMMANDS.iter().for_each(|command| run(command));
    let first = |list: &str| {
        let listed = place.run(&[list, "list", "spring", "--json"]).ends_with(0);
        let id = listed.json()[0]["id"].as_str().map(str::to_owned);
        id.unwrap_or_else(|| panic!("one is {list}"))
    };
    let (unknown, dead) = (first("unknown"), first("dead"));
    run(&["dead", "show", "spring", &dead]);
    run(&["dead", "show", "spring", &dead, "--json"]);
    run(&["unknown", "settle", "spring", &unknown, "--sent"]);
    run(&["campaign", "finish", "spring"]);
    simulated.terminate();
    let mut ran = simulated.ended();
    // Its credentials, which it is to tell.
    ran.out.clear();
    search.look(&simulator, &ran);
    let all = all_commands(&place);
    let left_out: Vec<_> = all.difference(&search.commands).collect();
    assert!(left_out.is_empty(), "never run: {left_out:?}");
    search.found
}

/// What is run, in this order, before an unknown message is settled.
const COMMANDS: &[&[&str]] = &[
    &["schema", "message"],
    &["completions", "bash"],
    &["man"],
    &[
        "init",
        "--sender",
        "+12025550100",
        "--channel",
        "sms",
        "--contacts",
        "contacts.csv",
        "-o",
        "other.toml",
    ],
    &[
        "try",
        "try.toml",
        "--to",
        "+12125557331",
        "--name",
        "--set",
        "plan=goldplan",
        "--yes",
    ],
    &["try", "try.toml", "--to", "not-a-number", "--yes"],
    &[
        "import",
        "spring.toml",
        "contacts.csv",
        "--dry-run",
        "--json",
    ],
    &["send", "spring.toml", "contacts.csv", "--dry-run"],
    &[
        "import",
        "spring.toml",
        "contacts.csv",
        "--map",
        "phone=nosuch",
    ],
    &[
        "import",
        "spring.toml",
        "contacts.csv",
        "--rejects",
        "rejects.csv",
    ],
    &["import", "spring", "lines.jsonl", "--json"],
    &["campaign", "apply", "spring.toml"],
    &["campaign", "pace", "spring", "--campaign", "50/s"],
    &["campaign", "pause", "spring", "--reason", "tests"],
    &["campaign", "resume", "spring"],
    &["campaign", "pause", "--agent", "nosuch"],
    &["campaign", "resume", "--agent", "nosuch"],
    &["audit"],
    &["why", "spring", "nosuch"],
    &["audit", "--campaign", "spring", "--since", "1h", "--json"],
    &["status", "spring"],
    &["work", "--until-idle", "--http", "127.0.0.1:0"],
    &["status", "spring", "--json"],
    &["status"],
    &["campaign", "list"],
    &["campaign", "list", "--json"],
    &["campaign", "show", "spring"],
    &["campaign", "show", "nosuch"],
    &["campaign", "export", "spring"],
    &["campaign", "export", "spring", "--failed", "--as-input"],
    &["campaign", "export", "spring", "--skipped"],
    &["dead", "list"],
    &["dead", "list", "spring", "--json"],
    &["dead", "list", "spring"],
    &["dead", "list", "--groups"],
    &["dead", "show", "spring", "nosuch"],
    &["dead", "show", "spring", "+12125557399"],
    &["unknown", "list"],
    &["unknown", "list", "--json"],
    &["ledger", "backup", "copy.db"],
    &[
        "send",
        "spring.toml",
        "contacts.csv",
        "--yes",
        "--rejects",
        "rejects-2.csv",
    ],
    &["campaign", "cancel", "spring", "--yes", "--reason", "tests"],
];

fn is_silent(found: &[String]) {
    assert!(
        found.is_empty(),
        "{} lines:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn no_command_prints_private_text_at_any_level() {
    let levels = ["error", "warn", "info", "debug", "trace"];
    let found = std::thread::scope(|scope| {
        let searches = levels.map(|level| scope.spawn(move || searched(level, |_| {})));
        searches.map(|search| search.join().expect("it ends"))
    });
    is_silent(&found.concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_prints_private_text_over_rabbitmq_and_postgresql() {
    let (vhost, database) = (Vhost::new().await, Database::new().await);
    let found = searched("trace", |place| {
        place.set("AMQP_URL", &vhost.url);
        place.set("DATABASE_URL", &database.url);
    });
    is_silent(&found);
}
