//! What Twilio or Meta would refuse is rejected before an agent gets a task: in rows, in lines, and for `try`.

use serde_json::{Value, json};

use super::campaign;
use crate::support::flexcast::{FakeTwilio, Place};

/// A campaign with a text, and one with a content template. Both make a task at once.
const TEXT: &str = "body = 'Hello {{ customer.name }}: {{ customer.attributes.story }}'\n";
const TEMPLATE: &str = "content_sid = 'HX00000000000000000000000000000001'\n\
    content_variables = { 1 = '{{ customer.attributes.story }}' }\n";

fn place(twilio: &FakeTwilio, content: &str) -> Place {
    let place = Place::facing(twilio);
    let text = campaign("task_now", "conversations");
    let body = text.lines().find(|line| line.starts_with("body"));
    let text = text.replace(&format!("{}\n", body.expect("a body")), content);
    place.write("spring.toml", text);
    place
}

/// The story of a row, what the customer is called, and the reason, column and words of its rejection.
type Row = (
    String,
    String,
    Option<(&'static str, Option<&'static str>, &'static str)>,
);

fn ann(story: String, rejected: Option<&'static str>) -> Row {
    let named = rejected.map(|named| ("content_invalid", None, named));
    (story, "Ann".to_owned(), named)
}

/// "Hello Ann: " is 11 characters. The limit: Twilio's OpenAPI and error 21617.
fn texts() -> Vec<Row> {
    let long_name = Some(("name_invalid", Some("name"), "257 characters"));
    vec![
        ann("a".repeat(1_589), None),
        ann("a".repeat(1_590), Some("1601 characters")),
        ann("two\nlines".to_owned(), None),
        // A Conversation's FriendlyName, in Twilio's OpenAPI.
        ("short".to_owned(), "n".repeat(256), None),
        ("short".to_owned(), "n".repeat(257), long_name),
    ]
}

/// Error 21656, and twilio.com/docs/content/using-variables-with-content-api.
fn variables() -> Vec<Row> {
    vec![
        ann("gold".to_owned(), None),
        ann("v".repeat(1_600), None),
        ann("v".repeat(1_601), Some("1601 characters")),
        ann("two\nlines".to_owned(), Some("line break")),
        ann("a\tb".to_owned(), Some("tab")),
        ann("a    b".to_owned(), None),
        ann("a     b".to_owned(), Some("more than 4 spaces")),
    ]
}

fn number(at: usize) -> String {
    format!("+120255501{}", at + 50)
}

fn csv_of(rows: &[Row]) -> String {
    let lines = rows.iter().enumerate();
    let lines = lines.map(|(at, (story, name, _))| format!("{},{name},\"{story}\"\n", number(at)));
    format!("phone,name,story\n{}", lines.collect::<String>())
}

/// The same as messages; with a template each brings its variable, as a publisher's message may.
fn lines_of(rows: &[Row], is_template: bool) -> String {
    let lines = rows.iter().enumerate().map(|(at, (story, name, _))| {
        let customer = json!({
            "address": number(at), "name": name, "attributes": {"story": story}
        });
        let mut message = json!({"campaign": "spring", "customer": customer});
        if is_template {
            message["content_variables"] = json!({"1": story});
        }
        format!("{message}\n")
    });
    lines.collect()
}

/// Whether these rejections are those of the rows, in their order.
#[track_caller]
fn are_rejected(rows: &[Row], found: &Value, is_table: bool) {
    let found = found.as_array().expect("a list");
    let expected: Vec<_> = rows
        .iter()
        .filter_map(|(_, _, rejected)| *rejected)
        .collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, (reason, column, named)) in found.iter().zip(expected) {
        assert_eq!(found["reason"], reason, "{found}");
        let column = column.filter(|_| is_table);
        assert_eq!(found["column"], json!(column), "{found}");
        assert!(found["line"].as_u64().is_some(), "{found}");
        let detail = found["detail"].as_str().expect("a sentence");
        assert!(detail.contains(named), "{detail} should name {named}");
    }
}

#[test]
fn what_twilio_would_refuse_is_rejected_with_its_row_before_an_agent_gets_a_task() {
    for (content, rows) in [(TEXT, texts()), (TEMPLATE, variables())] {
        let accepted = rows.iter().filter(|(_, _, rejected)| rejected.is_none());
        let accepted = accepted.count();
        for is_table in [true, false] {
            let twilio = FakeTwilio::start();
            let place = place(&twilio, content);
            let (file, text) = match is_table {
                true => ("contacts.csv", csv_of(&rows)),
                false => ("crm.jsonl", lines_of(&rows, content == TEMPLATE)),
            };
            place.write(file, text);
            let dry = ["import", "spring.toml", file, "--dry-run", "--json"];
            let seen = place.run(&dry).ends_with(0).json();
            assert_eq!(seen["acceptable"], json!(accepted), "{seen}");
            are_rejected(&rows, &seen["first_rejected"], is_table);

            let send = ["send", "spring.toml", file, "--yes", "--json"];
            let report = place.run(&send).ends_with(0).json();
            assert_eq!(report["done"], json!(accepted), "{report}");
            let tasks = twilio.effects();
            let tasks = tasks.iter().filter(|effect| effect["kind"] == "task");
            assert_eq!(
                tasks.count(),
                accepted,
                "a task was made for what was rejected"
            );
        }
    }
}

/// twilio.com/docs/content/using-variables-with-content-api recommends less than 250 characters.
#[test]
fn a_long_variable_draws_a_warning() {
    let place = Place::new();
    let text = campaign("task_now", "conversations");
    let body = text.lines().find(|line| line.starts_with("body"));
    let text = text.replace(body.expect("a body"), TEMPLATE);
    place.write("spring.toml", text);
    let rows = [ann("v".repeat(250), None), ann("v".repeat(251), None)];
    place.write("contacts.csv", csv_of(&rows));
    let dry = [
        "import",
        "spring.toml",
        "contacts.csv",
        "--dry-run",
        "--json",
    ];
    let seen = place.run(&dry).ends_with(0).json();
    assert_eq!(seen["warnings"], json!({"variable_long": 1}), "{seen}");
    let sent = place.run(&["send", "spring.toml", "contacts.csv", "--simulate"]);
    assert!(sent.err.contains("line 3: variable_long"), "{}", sent.err);
}

#[test]
fn try_refuses_the_same() {
    let twilio = FakeTwilio::start();
    let place = place(&twilio, TEXT);
    let story = format!("story={}", "a".repeat(1_600));
    let to = ["try", "spring.toml", "--to", "+12025550177", "--name", "Me"];
    let ran = place.run(&[&to[..], &["--set", &story, "--yes"]].concat());
    let ran = ran.ends_with(2);
    assert!(ran.err.contains("21617"), "{}", ran.err);
    assert_eq!(twilio.requests(), Vec::<Value>::new());
}

/// A name that the decoration around it makes too long for a resource is cut there, and rejected nowhere.
#[test]
fn a_long_name_reaches_its_agent_on_every_pair() {
    super::for_each_pair(|strategy, api| {
        let twilio = FakeTwilio::start();
        let place = Place::facing(&twilio);
        place.write("spring.toml", campaign(strategy, api));
        let name = "n".repeat(256);
        place.write("contacts.csv", format!("phone,name\n+12025550173,{name}\n"));
        let send = ["send", "spring.toml", "contacts.csv", "--yes", "--json"];
        let report = place.run(&send).ends_with(0).json();
        assert_eq!(report["done"], json!(1), "{strategy} {api}: {report}");
    });
}
