//! Every sentence that an import says of a row: why it was rejected, and what was changed about one that was taken.
//!
//! The program reads rows that provoke them; what it prints stands in tests/fixtures/sentences.txt, in the order of
//! reasons. `GOLDEN=write` replaces that file. The test fails if a reason or a warning has no sentence.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use flexcast::intake::Warning;
use flexcast::message::RejectReason;
use rusqlite::Connection;
use serde_json::json;

use crate::support::flexcast::{FakeTwilio, Place};
use crate::support::program::repository;

const GOLDEN: &str = "tests/fixtures/sentences.txt";

/// How many rejected rows, and how many warnings, an import prints.
const PRINTED_MAX: usize = 10;

/// A file of a campaign.
struct Case {
    /// What stands in the campaign beside its id.
    campaign: String,
    /// `rows.csv` or `rows.jsonl`.
    file: &'static str,
    content: Vec<u8>,
}

fn sms(more: &str) -> String {
    format!(
        "strategy = \"task_on_reply\"\napi = \"conversations\"\nchannel = \"sms\"\nsender = \"+12025550100\"\n{more}\n\
         [flex]\nstudio_flow_sid = \"FW00000000000000000000000000000001\"\n"
    )
}

/// A campaign that makes a task at once.
fn task_now(more: &str) -> String {
    format!(
        "strategy = \"task_now\"\napi = \"conversations\"\nchannel = \"sms\"\nsender = \"+12025550100\"\n\
         default_region = \"US\"\n{more}\n"
    )
}

/// The agent of each task is named.
const BY_AGENT: &str = "[conversations]\ninitiated_by = \"agent\"";

fn of_body(body: &str) -> String {
    sms(&format!("default_region = \"US\"\nbody = '''{body}'''"))
}

fn csv(campaign: String, content: impl Into<Vec<u8>>) -> Case {
    Case {
        campaign,
        file: "rows.csv",
        content: content.into(),
    }
}

/// Rows under a header, each with a number of its own in front.
fn numbered(header: &str, rows: &[&str]) -> String {
    let mut content = format!("phone,{header}\n");
    for (at, row) in rows.iter().enumerate() {
        writeln!(content, "+120255501{at:02},{row}").expect("a text");
    }
    content.replace("+12025550100", "+12025550150")
}

fn of_quotes() -> Vec<Case> {
    let hello = || of_body("Hello");
    vec![
        csv(
            hello(),
            "phone,name,plan\n+12025550101,a,b,c\n+12025550102\n+12025550103,\"Clark\"x,b\n+12025550104,The \"Rock\",b\n\
             +12025550105,\"a\n+12025550106,\"b\",c\n+12025550107,a\n+12025550108,Cl\rark,b\n+12025550109,\"never,b\n",
        ),
        csv(
            hello(),
            "phone,name\n+12025550101,\"Clark\n+12025550102,Dana\"\n+12025550103,a \"b\n\"\n",
        ),
    ]
}

fn of_numbers() -> Vec<Case> {
    let custom = "strategy = \"task_on_reply\"\napi = \"conversations\"\nchannel = \"custom\"\nsender = \"shop\"\nbody = \"Hello\"\n\
                  [flex]\nstudio_flow_sid = \"FW00000000000000000000000000000001\"\n";
    vec![
        csv(
            of_body("Hello"),
            "name,phone\na,\nb,12\nc,none\nd,20255501730\ne,202-555-0173 / 202-555-0174\nf,1.20256E+10\n\
             g,+12025550100\nh,+999123456\nx,2025550101\ny,2025550102\nz,2025550103\n",
        ),
        csv(
            sms("body = \"Hello\""),
            "phone,name\n2025550173,a\n+12025550101,b\n",
        ),
        csv(
            sms("default_region = \"DE\"\nbody = \"Hello\""),
            "phone\n4915123246326\n15123246327\n15123246328\n15123246329\n",
        ),
        csv(
            custom.to_owned(),
            format!("identity,name\na\u{7}b,a\n{},b\n", "x".repeat(200)),
        ),
    ]
}

fn of_fields() -> Vec<Case> {
    let long = "x".repeat(257);
    let id = "x".repeat(121);
    let rows = [
        "a,1.23457E+17,,,",
        &format!("b,{id},,,"),
        "c,3,tomorrow,,",
        "d,4,,2026-11-23,",
        &format!("{long},5,,,"),
    ];
    let fields = numbered("name,id,not_before,expires_at,plan", &rows);
    vec![
        csv(of_body("Hello"), fields),
        csv(of_body("Hello"), "phone,country\n2025550101,Atlantis\n"),
        csv(task_now(BY_AGENT), numbered("name", &["a"])),
        csv(
            task_now("[agents]\ndefault = \"alice\"\n[task]\nshow = [\"plan\"]"),
            numbered("plan", &[&"x".repeat(4_000)]),
        ),
        csv(
            of_body("Hello") + "[task]\nshow = [\"plan\"]\n",
            numbered("plan", &[&"x".repeat(16_000)]),
        ),
    ]
}

fn of_texts() -> Vec<Case> {
    let plan = "{{ customer.attributes.plan }}";
    let variable = sms(
        "default_region = \"US\"\ncontent_sid = \"HX00000000000000000000000000000001\"\n\
         content_variables = { 1 = \"{{ customer.attributes.plan | default('') }}\" }",
    );
    let long = "x".repeat(1_601);
    let recommended = "x".repeat(251);
    let proxy = "strategy = \"task_on_reply\"\napi = \"proxy\"\nchannel = \"custom\"\nsender = \"shop\"\n\
                 body = \"{{ customer.attributes.plan }}\"\n[flex]\nflex_flow_sid = \"FO00000000000000000000000000000001\"\n\
                 studio_flow_sid = \"FW00000000000000000000000000000001\"\n";
    vec![
        csv(
            of_body(&format!("Hello {plan}")),
            numbered("plan", &["", "{{ x", &long]),
        ),
        csv(
            of_body("{% if customer.attributes.plan %}Hello{% endif %}"),
            numbered("plan", &[""]),
        ),
        csv(
            of_body("{% for i in range(customer.attributes.plan | int) %}x{% endfor %}"),
            numbered("plan", &["90000"]),
        ),
        csv(
            of_body("{{ customer.attributes.plan | date }}"),
            numbered("plan", &["soon", "01/02/2026"]),
        ),
        csv(
            variable,
            numbered(
                "plan",
                &["", "\"a\nb\"", "a\tb", "a     b", &long, &recommended],
            ),
        ),
        csv(
            proxy.to_owned(),
            format!("identity,plan\nann,{}\n", "x".repeat(33_000)),
        ),
        csv(
            task_now(
                "[agents]\ndefault = \"alice\"\n[task.attributes]\nplan = \"{{ customer.attributes.plan }}\"",
            ),
            numbered("plan", &[""]),
        ),
    ]
}

fn of_lines() -> Vec<Case> {
    let message = |more: serde_json::Value| {
        let mut message = json!({"campaign": "CAMPAIGN", "customer": {"address": "+12025550101"}});
        for (key, value) in more.as_object().expect("an object") {
            message[key] = value.clone();
        }
        message.to_string()
    };
    let unreadable = [
        "{\"campaign\":".to_owned(),
        message(json!({"campaign": "autumn"})),
        message(json!({"colour": "red"})),
        message(json!({"version": 99})),
        message(json!({"body": "x".repeat(140_000)})),
    ];
    let lines = [
        message(json!({"sender": "+12025550199"})),
        message(json!({"id": "1.23457E+17"})),
        message(json!({"customer": {"address": "2025550101"}})),
        message(json!({"customer": {"address": "+1202555"}})),
        message(json!({"body": "Hello {{ customer.name }}"})),
    ];
    let case = |campaign, lines: &[String]| Case {
        campaign,
        file: "rows.jsonl",
        content: lines.join("\n").into_bytes(),
    };
    vec![
        case(of_body("Hello"), &unreadable),
        case(of_body("Hello"), &lines),
        case(task_now(BY_AGENT), &[message(json!({}))]),
        case(
            of_body("Hello"),
            &[message(json!({"customer": {"address": "+12025550100"}}))],
        ),
    ]
}

fn of_warnings() -> Vec<Case> {
    vec![
        csv(
            of_body("Hello"),
            "phone,name,time_zone,plan\n202-555-0101 x12,a,,\n001-202-555-0102,b,,\n2025550103,c,Mars,\n2025550104,#N/A,,\n\
             2025550105,d\n",
        ),
        csv(sms("body = \"Hello\""), "phone\n12025550101\n12025550102\n"),
    ]
}

/// Whether the line begins with a row's line number, or with several.
fn is_about_rows(line: &str) -> bool {
    line.starts_with("  line ") || line.starts_with("  lines ")
}

/// The sentences that importing a case prints: a reason's or a warning's word, and its lines.
fn printed(place: &Place, campaign: &str, case: &Case, said: &mut BTreeMap<String, Vec<String>>) {
    let toml = format!("id = \"{campaign}\"\n{}", case.campaign);
    place.write("campaign.toml", toml);
    let content =
        String::from_utf8(case.content.clone()).map(|text| text.replace("CAMPAIGN", campaign));
    place.write(case.file, content.expect("UTF-8"));
    let ran = place.run(&["import", "campaign.toml", case.file]);
    let mut counts = [0; 2];
    for line in ran.err.lines().filter(|line| is_about_rows(line)) {
        let parts = line.trim().split_once(": ").and_then(|(place, rest)| {
            let (word, sentence) = rest.split_once(": ")?;
            Some((place, word, sentence))
        });
        let (at, word, sentence) = parts.unwrap_or_else(|| panic!("{line}"));
        // The line's number is the case's, and the column's header is in its words.
        let column = at
            .split_once(", ")
            .filter(|_| at.starts_with("line "))
            .map_or(String::new(), |(_, column)| format!("{column}: "));
        counts[usize::from(Warning::ALL.iter().any(|warning| warning.as_str() == word))] += 1;
        let all = said.entry(word.to_owned()).or_default();
        let sentence = format!("{column}{sentence}");
        if !all.contains(&sentence) {
            all.push(sentence);
        }
    }
    // A case that prints nothing, or more than is printed, shows less than it should.
    let is_printed = counts != [0; 2] && counts.iter().all(|count| *count < PRINTED_MAX);
    assert!(is_printed, "{counts:?} of {}: {}", case.campaign, ran.err);
}

/// A database that works and refuses one row.
fn refuse(place: &Place) {
    let ledger = Connection::open(place.path(".flexcast/ledger.db")).expect("the ledger");
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON messages WHEN NEW.id = 'refused' \
                   BEGIN SELECT RAISE(ABORT, 'no such luck'); END";
    ledger.execute_batch(trigger).expect("a trigger");
}

#[test]
fn every_reason_and_every_warning_has_its_sentences() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    let mut said = BTreeMap::new();
    let cases = [
        of_quotes(),
        of_numbers(),
        of_fields(),
        of_texts(),
        of_lines(),
        of_warnings(),
    ];
    for (number, case) in cases.iter().flatten().enumerate() {
        printed(&place, &format!("case-{number}"), case, &mut said);
    }
    refuse(&place);
    let refused = csv(
        of_body("Hello"),
        "phone,id\n+12025550101,refused\n+12025550102,taken\n",
    );
    printed(&place, "case-refused", &refused, &mut said);

    let words = RejectReason::ALL.iter().map(|reason| reason.as_str());
    let words = words.chain(Warning::ALL.iter().map(|warning| warning.as_str()));
    let mut text = String::new();
    for word in words {
        let sentences = said.remove(word);
        let sentences = sentences.unwrap_or_else(|| panic!("no row here is {word}: provoke it"));
        writeln!(text, "{word}").expect("a text");
        for sentence in sentences {
            writeln!(text, "  {sentence}").expect("a text");
        }
    }
    assert!(said.is_empty(), "{said:?}");
    let path = repository(GOLDEN);
    if std::env::var("GOLDEN").is_ok_and(|how| how == "write") {
        std::fs::write(&path, &text).expect("the golden file is written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = differing(&golden, &text);
    assert!(
        differing.is_empty(),
        "{GOLDEN} (GOLDEN=write replaces the file):\n{differing}"
    );
}

/// The lines that only one of two texts has.
pub(super) fn differing(golden: &str, text: &str) -> String {
    let only = |sign: &str, one: &str, other: &str| {
        let lines = one
            .lines()
            .filter(|line| !other.lines().any(|known| known == *line));
        lines
            .map(|line| format!("{sign} {line}\n"))
            .collect::<String>()
    };
    match golden == text {
        true => String::new(),
        false => format!(
            "{}{}(or in another order)",
            only("-", golden, text),
            only("+", text, golden)
        ),
    }
}
