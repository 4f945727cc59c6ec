//! The check-list as an operator reads it: `send --dry-run` and `import --dry-run` on standard output, at 80 columns.
//!
//! What the program prints stands in tests/fixtures/previews.txt, with the time of the end as `HH:MM`. `GOLDEN=write`
//! replaces that file.

use std::fmt::Write as _;

use serde_json::json;

use super::campaign;
use super::sentences::differing;
use crate::support::flexcast::{FakeTwilio, Place};
use crate::support::program::repository;

const GOLDEN: &str = "tests/fixtures/previews.txt";

/// The width of a terminal.
const COLUMNS: usize = 80;

/// A file with every fault that a check-list counts.
const TROUBLE: &str = "A list of customers\n\
    phone,name,agent,Plan,Notes\n\
    2025550173,Ann,alice,gold,x\n\
    2025550174,Zo\u{eb},bob,silver,\n\
    2025550173,Ann again,alice,gold,\n\
    12,Bob,alice,gold,\n\
    2025550175,Ren\u{e9} \u{201c}Rex\u{201d},nobody,,\n\
    2025550176 x12,Eve,,gold,\n\
    2025550177,Dana,alice,#N/A,\n\
    Exported by the CRM on Monday\n";

/// A sender that sends a segment a second, and agents of the account.
fn facing(twilio: &FakeTwilio) -> Place {
    let place = Place::facing(twilio);
    place.write("flexcast.toml", "");
    place
}

fn spring() -> String {
    campaign("task_on_reply", "conversations").replace("[pace]\ncampaign = \"200/s\"\n", "")
}

/// All that was printed on standard output, by command.
#[derive(Default)]
struct Printed(String);

impl Printed {
    #[track_caller]
    fn run(&mut self, place: &Place, command: &str, code: i32) {
        let words: Vec<_> = command.split(' ').collect();
        let ran = place.run(&words).ends_with(code);
        let said = "Nothing was imported or sent: this was a dry run.";
        assert!(ran.err.contains(said), "{}", ran.err);
        for line in ran.out.lines() {
            assert!(line.chars().count() <= COLUMNS, "{command}: {line:?}");
            assert_eq!(line, line.trim_end(), "{command}");
        }
        writeln!(self.0, "$ flexcast {command}\n{}", timeless(&ran.out)).expect("a text");
    }
}

/// The text with `HH:MM` in place of the end, with or without a day.
fn timeless(text: &str) -> String {
    let Some((before, rest)) = text.split_once("ends ") else {
        return text.to_owned();
    };
    let (end, after) = rest.split_once(';').expect("the limit follows");
    assert!(end.contains(':'), "{end} should be a time");
    format!("{before}ends HH:MM;{after}")
}

/// A campaign with a template of WhatsApp, and one with a free text.
fn whatsapp(printed: &mut Printed, place: &Place) {
    let template = "strategy = \"task_now\"\nchannel = \"whatsapp\"\nsender = \"+12025550100\"\n\
                    content_sid = \"HX00000000000000000000000000000001\"\n\
                    [content_variables]\n1 = \"{{ customer.name }}\"\n[pace]\nagent = \"1/min\"\n";
    place.write(
        "templates.toml",
        format!("id = \"templates\"\ndefault_region = \"US\"\n{template}"),
    );
    printed.run(
        place,
        "send templates.toml good.csv --dry-run --handle-time 6m",
        0,
    );
    let free = template.replace(
        "content_sid = \"HX00000000000000000000000000000001\"\n",
        "body = \"Hi\"\n",
    );
    let (free, _) = free.split_once("[content_variables]").expect("variables");
    place.write(
        "free.toml",
        format!("id = \"free\"\ndefault_region = \"US\"\n{free}"),
    );
    printed.run(place, "send free.toml good.csv --dry-run", 0);
}

#[test]
fn the_check_list_reads_well_at_eighty_columns() {
    let mut printed = Printed::default();
    let twilio = FakeTwilio::start_with(&["--no-limits", "--agent", "alice", "--agent", "bob"]);
    let place = facing(&twilio);
    place.write("spring.toml", spring());
    place.write(
        "good.csv",
        "phone,name,agent\n2025550173,Ann,alice\n2025550174,Lois,bob\n",
    );
    printed.run(&place, "send spring.toml good.csv --dry-run", 0);
    assert!(!place.path(".flexcast").exists(), "a state was made");

    let text = "Hello {{ customer.name }}, your plan {{ customer.attributes.plan }} ends.";
    let more = spring().replace("Hello {{ customer.name | default(\"there\") }}", text);
    let more = more.replace(
        "[agents]\ndefault = \"alice\"\n",
        "[task]\nshow = [\"plan\"]\n",
    );
    place.write(
        "autumn.toml",
        more.replace("id = \"spring\"", "id = \"autumn\""),
    );
    place.write("trouble.csv", TROUBLE);
    printed.run(
        &place,
        "import autumn.toml trouble.csv --dry-run --segment-price 0.0083",
        0,
    );
    printed.run(
        &place,
        "send autumn.toml trouble.csv --dry-run --strict",
        65,
    );

    whatsapp(&mut printed, &place);

    // After an import, the same file and more rows.
    place
        .run(&["import", "spring.toml", "good.csv"])
        .ends_with(0);
    place.write(
        "more.csv",
        "phone,name,agent\n2025550173,Ann,alice\n2025550174,Lois,bob\n2025550175,Clark,alice\n",
    );
    printed.run(&place, "import spring more.csv --dry-run", 0);
    printed.run(&place, "send spring.toml good.csv --dry-run", 0);
    // Another campaign writes to the same customers, from the same sender.
    place.write(
        "autumn.toml",
        spring().replace("id = \"spring\"", "id = \"autumn\""),
    );
    printed.run(&place, "import autumn.toml more.csv --dry-run", 0);
    place
        .run(&["campaign", "cancel", "spring", "--yes"])
        .ends_with(0);
    printed.run(&place, "import spring more.csv --dry-run", 65);

    let path = repository(GOLDEN);
    if std::env::var("GOLDEN").is_ok_and(|how| how == "write") {
        std::fs::write(&path, &printed.0).expect("the golden file is written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = differing(&golden, &printed.0);
    assert!(
        differing.is_empty(),
        "{GOLDEN} (GOLDEN=write replaces the file):\n{differing}"
    );
}

#[test]
fn a_dry_run_of_send_prints_json_and_sends_nothing() {
    let twilio = FakeTwilio::start();
    let place = facing(&twilio);
    place.write("spring.toml", spring());
    place.write("trouble.csv", TROUBLE);
    let dry = ["send", "spring.toml", "trouble.csv", "--dry-run", "--json"];
    let seen = place.run(&dry).ends_with(0).json();
    assert_eq!(seen["verdict"], "warn");
    let checks = seen["checks"].as_array().expect("a list");
    let rows = checks.iter().find(|item| item["code"] == "rows");
    let counts = json!({
        "rows": 7, "new": 5, "in_campaign": 0, "duplicate": 1, "rejected": 1, "footers": 1,
    });
    assert_eq!(rows.expect("an item")["counts"], counts);
    assert_eq!(seen["forecast"]["limits"][0]["kind"], "sender");
    assert_eq!(seen["first_duplicates"], json!([{"line": 5, "of_line": 3}]));
    assert!(!place.path(".flexcast").exists(), "a state was made");
    assert_eq!(twilio.changes(), 0);
    // It is one or the other.
    let both = [&dry[..], &["--simulate"]].concat();
    place.run(&both).ends_with(2);
}

#[test]
fn the_agents_capacity_is_read_from_the_account() {
    let twilio = FakeTwilio::start_with(&["--no-limits", "--agent", "alice", "--agent", "bob"]);
    let place = Place::facing(&twilio);
    place.write("spring.toml", campaign("task_now", "conversations"));
    let rows: String = (1..=99)
        .map(|n| format!("20255501{n:02},Ann,alice\n"))
        .collect();
    let file = format!(
        "phone,name,agent\n{}",
        rows.replace("2025550100,Ann,alice\n", "")
    );
    place.write("contacts.csv", file);
    let dry = ["send", "spring.toml", "contacts.csv", "--dry-run", "--json"];
    let seen = place.run(&[&dry[..], &["--handle-time", "6m"]].concat());
    let seen = seen.ends_with(0).json();
    // The simulator's agents take 50 tasks at once: 99 messages in two rounds.
    assert_eq!(
        seen["agents_at_twilio"]["tasks_at_once"],
        json!({"alice": 50})
    );
    let binding = &seen["forecast"]["limits"][0];
    assert_eq!(binding["kind"], "agent_capacity", "{binding}");
    assert_eq!(binding["seconds"], 365, "{binding}");
    let wrong = place.run(&[&dry[..], &["--handle-time", "soon"]].concat());
    assert!(wrong.ends_with(2).err.contains("such as 5s or 6m"));
}

#[test]
fn a_question_shows_the_check_list_and_a_stop_asks_nothing() {
    let twilio = FakeTwilio::start();
    let place = facing(&twilio);
    place.write("spring.toml", spring());
    place.write("trouble.csv", TROUBLE);
    place.write("bad.csv", "phone,name,agent\n12,Ann,alice\n");
    let send = ["send", "spring.toml", "trouble.csv"];
    let shown = place.run_on_a_terminal(&send, "n").ends_with(75).out;
    for said in [
        "warn  1 row is rejected",
        "To send: 5 messages.",
        "Send to 5 customers",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let stopped = ["send", "spring.toml", "bad.csv"];
    let shown = place.run_on_a_terminal(&stopped, "y").ends_with(65).out;
    assert!(shown.contains("No row can be used."), "{shown}");
    assert!(!shown.contains("[y/N]"), "{shown}");
    assert_eq!(twilio.changes(), 0);
}
