//! Columns and texts: every column can be said, what a text names must be there, and what leaves is named.

use serde_json::{Value, json};

use super::campaign;
use crate::support::flexcast::{FakeTwilio, Place};

const DRY_RUN: [&str; 5] = [
    "import",
    "spring.toml",
    "contacts.csv",
    "--dry-run",
    "--json",
];

fn place(body: &str, contacts: &str) -> Place {
    let place = Place::new();
    place.write("spring.toml", with_body(body));
    place.write("contacts.csv", contacts);
    place
}

fn with_body(body: &str) -> String {
    let usual = "Hello {{ customer.name | default(\"there\") }}";
    campaign("task_now", "conversations").replace(usual, body)
}

fn bodies(seen: &Value) -> Vec<&str> {
    let messages = seen["first_messages"].as_array().expect("messages");
    let texts = messages.iter().map(|message| message["body"].as_str());
    texts.map(|text| text.expect("a text")).collect()
}

/// Headers as people write them (first reported to Shopify/liquid#803), and the names that templates say.
#[test]
fn every_column_can_be_said_in_a_text_and_its_name_is_shown() {
    let table = [
        ("Pr\u{e9}nom", "pr\u{e9}nom"),
        ("Pre\u{301}nom", "pr\u{e9}nom"),
        ("Stra\u{df}e", "stra\u{df}e"),
        ("\u{4f1a}\u{793e}", "\u{4f1a}\u{793e}"),
        // It is the customer's name, and known by its own header, too.
        ("\u{540d}\u{524d}", "\u{540d}\u{524d}"),
        ("Plan (2026)", "plan_2026"),
        ("Renewal date?", "renewal_date"),
        ("Customer's plan", "customers_plan"),
        ("Deal & Stage", "deal_stage"),
        ("2nd plan", "2nd_plan"),
        ("%", "column_2"),
        ("id", "id"),
        ("not_before", "not_before"),
    ];
    for (header, name) in table {
        let value = if name == "not_before" {
            "2026-12-01T09:00:00Z"
        } else {
            "gold"
        };
        let body = format!("Plan {{{{ customer.attributes.{name} }}}}");
        let place = place(&body, &format!("phone,{header}\n+12025550173,{value}\n"));
        let seen = place.run(&DRY_RUN).ends_with(0).json();
        assert_eq!(bodies(&seen), [format!("Plan {value}")], "{header}");
        let column = &seen["columns"][1];
        let template = format!("customer.attributes.{name}");
        let expected =
            json!({"header": header, "template": template, "in_text": true, "in_task": false});
        assert_eq!(*column, expected, "{header}");
    }
    // By the header itself, too.
    let body = r#"Plan {{ customer.attributes["Plan (2026)"] }}"#;
    let place = place(body, "phone,Plan (2026)\n+12025550173,gold\n");
    assert_eq!(
        bodies(&place.run(&DRY_RUN).ends_with(0).json()),
        ["Plan gold"]
    );
}

#[test]
fn a_text_that_names_no_column_is_one_error_before_anything_is_taken() {
    let twilio = FakeTwilio::start();
    let contacts =
        "phone,Plan,Renewal date?,name\n+12025550173,gold,2026-12-01,Ann\n+12025550174,blue,,Bob\n";
    let mut place = place("Your {{ customer.attributes.plna }}", contacts);
    place.face(&twilio);
    for flags in [&["--dry-run"][..], &[], &["--yes"]] {
        let arguments = [&["import", "spring.toml", "contacts.csv"], flags].concat();
        let said = place.run(&arguments).ends_with(78).err;
        for phrase in [
            "body: it names customer.attributes.plna, which is not a column of contacts.csv",
            "customer.attributes.plan (\"Plan\")",
            "customer.attributes.renewal_date (\"Renewal date?\")",
            "customer.name (\"name\")",
        ] {
            assert!(said.contains(phrase), "{phrase}: {said}");
        }
        assert_eq!(said.matches("plna").count(), 1, "{said}");
    }
    assert_eq!(place.status("spring")["accepted"], 0);
    let texts = [
        "{{ customer.attributes[\"plna\"] }}",
        "{% if customer.attributes.plan %}{{ customer.attributes.plna | upper }}{% endif %}",
    ];
    for text in texts {
        place.write("spring.toml", with_body(text));
        let said = place.run(&DRY_RUN).ends_with(78).err;
        assert!(
            said.contains("names customer.attributes.plna"),
            "{text}: {said}"
        );
    }
    // Its default stands in, and a note says so.
    place.write(
        "spring.toml",
        with_body("Hello {{ customer.attributes.plna | default(\"x\") }}"),
    );
    let seen = place.run(&DRY_RUN).ends_with(0).json();
    assert!(seen["notes"].to_string().contains("plna"), "{seen}");
    assert_eq!(bodies(&seen), ["Hello x", "Hello x"]);
}

/// First reported to mitsuhiko/minijinja#871.
#[test]
fn a_particular_that_a_row_lacks_is_named() {
    let body = "Hello {{ customer.name }}, your plan {{ customer.attributes.plan }}";
    let place = place(
        body,
        "phone,name,plan\n+12025550173,,gold\n+12025550174,Dana,\n",
    );
    let seen = place.run(&DRY_RUN).json();
    let details: Vec<_> = (0..2)
        .map(|at| seen["first_rejected"][at]["detail"].to_string())
        .collect();
    assert!(
        details[0].contains("{{ customer.name }} is empty"),
        "{details:?}"
    );
    assert!(
        details[1].contains("{{ customer.attributes.plan }} is empty"),
        "{details:?}"
    );
}

#[test]
fn a_date_is_written_as_the_campaign_wants_it() {
    let contacts =
        "phone,until\n+12025550173,2026-12-01\n+12025550174,31.12.2026\n+12025550175,01/02/2026\n";
    let place = place(
        "Until {{ customer.attributes.until | date(\"%-d %B\") }}",
        contacts,
    );
    let seen = place.run(&DRY_RUN).ends_with(0).json();
    assert_eq!(bodies(&seen), ["Until 1 December", "Until 31 December"]);
    let detail = seen["first_rejected"][0]["detail"].to_string();
    assert!(detail.contains("month first"), "{detail}");
    place.write(
        "spring.toml",
        with_body("{{ customer.attributes.until | date(\"%Q\") }}"),
    );
    let said = place.run(&DRY_RUN).ends_with(78).err;
    assert!(said.contains("%Q"), "{said}");
}

#[test]
fn a_text_that_does_not_come_to_an_end_is_refused_at_the_preview() {
    let text = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
    let place = place(text, "phone\n+12025550173\n");
    let said = place.run(&DRY_RUN).ends_with(78).err;
    assert!(said.contains("does not come to an end"), "{said}");
}

#[test]
fn owners_are_offered_for_the_agents_and_taken_by_nobody_else() {
    let place = place("Hello", "phone,Contact Owner\n+12025550173,bob\n");
    let seen = place.run(&DRY_RUN).ends_with(0).json();
    assert!(seen["notes"].to_string().contains("--map agent="), "{seen}");
    assert_eq!(seen["agents"], json!({"alice": 1}));
    let mapped = [&DRY_RUN[..], &["--map", "agent=Contact Owner"]].concat();
    let seen = place.run(&mapped).ends_with(0).json();
    assert_eq!(seen["agents"], json!({"bob": 1}));
}

#[test]
fn on_a_terminal_missing_columns_are_asked_for() {
    let twilio = FakeTwilio::start();
    let mut place = place(
        "Hello {{ customer.name }}",
        "Contact No.,Contact Owner,Who\n+12025550173,bob,Ann\n",
    );
    place.face(&twilio);
    let import = ["import", "spring.toml", "contacts.csv"];
    let said = place.run(&import).ends_with(65).err;
    assert!(
        said.contains("no column holds the customers' phone numbers"),
        "{said}"
    );
    let answers = "1\r\u{1f}\r\u{1f}Who\r\u{1f}y";
    let ran = place.run_on_a_terminal(&import, answers).ends_with(0);
    for phrase in [
        "Which column holds the customers' phone numbers?",
        "agent",
        "Contact Owner",
    ] {
        assert!(ran.out.contains(phrase), "{phrase}: {}", ran.out);
    }
    let exported = place
        .run(&["campaign", "export", "spring"])
        .ends_with(0)
        .out;
    assert!(exported.contains("+12025550173,Ann,bob"), "{exported}");
}

/// twilio.com/docs/taskrouter/limits: what a task carries is for agents and workflows, and stays at Twilio.
#[test]
fn only_columns_that_are_named_leave_with_the_task() {
    let show = "[task]\nshow = [\"Plan\", \"balance\"]\nattributes = { reason = \"renewal of {{ customer.attributes.plan }}\" }\n";
    for (strategy, api) in super::PAIRS {
        let requests = tempfile::NamedTempFile::new().expect("a file");
        let record = requests.path().to_str().expect("a path").to_owned();
        let place = Place::new();
        place.write("spring.toml", format!("{}{show}", campaign(strategy, api)));
        place.write(
            "contacts.csv",
            "phone,name,Plan,Balance,Secret\n+12025550173,Ann,gold,12,hush-hush\n",
        );
        place
            .run(&[
                "send",
                "spring.toml",
                "contacts.csv",
                "--simulate",
                "--record",
                &record,
            ])
            .ends_with(0);
        let sent = std::fs::read_to_string(requests.path()).expect("requests");
        assert!(!sent.contains("hush"), "{strategy} {api}: {sent}");
        assert!(
            sent.contains("gold") && sent.contains("balance"),
            "{strategy} {api}: {sent}"
        );
        if strategy == "task_now" {
            assert!(
                sent.contains("renewal of gold") || sent.contains("renewal+of+gold"),
                "{api}: {sent}"
            );
        }
    }
}

#[test]
fn what_leaves_is_shown_column_by_column_and_what_does_not_fit_is_said_at_import() {
    let place = Place::new();
    let show = "[task]\nshow = [\"plan\", \"notes\", \"gone\"]\n";
    place.write(
        "spring.toml",
        format!("{}{show}", campaign("task_now", "conversations")),
    );
    let long = "n".repeat(4_100);
    let contacts = format!(
        "phone,name,plan,notes,secret\n+12025550173,Ann,gold,short,x\n+12025550174,Bob,gold,{long},x\n"
    );
    place.write("contacts.csv", contacts);
    let seen = place.run(&DRY_RUN).ends_with(0).json();
    let in_task = |at: usize| seen["columns"][at]["in_task"].clone();
    assert_eq!(
        (0..5).map(in_task).collect::<Vec<_>>(),
        [true, true, true, true, false]
    );
    assert_eq!(seen["rejected"], json!({"attributes_oversized": 1}));
    assert!(
        seen["first_rejected"][0]["detail"]
            .to_string()
            .contains("task.show"),
        "{seen}"
    );
    assert!(
        seen["notes"].to_string().contains("task.show names gone"),
        "{seen}"
    );
    let said = place.run(&DRY_RUN[..4]).ends_with(0).out;
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for phrase in [
        "\"plan\" (customer.attributes.plan), \"notes\" (customer.attributes.notes)",
        "not sent: \"secret\" (customer.attributes.secret)",
    ] {
        assert!(said.contains(phrase), "{phrase}: {said}");
    }
}

#[test]
fn ids_that_several_people_have_are_asked_about() {
    let twilio = FakeTwilio::start();
    let contacts = "phone,name,Company Id\n+12025550173,Ann,C-1\n+12025550174,Bob,C-1\n+12025550175,Cy,C-2\n+12025550176,Dana,C-1\n";
    let mut place = place("Hello", contacts);
    place.face(&twilio);
    let import = [
        "import",
        "spring.toml",
        "contacts.csv",
        "--map",
        "id=Company Id",
    ];
    for command in [&import[..], &[&import[..], &["--yes"]].concat()] {
        let said = place.run(command).ends_with(65).err;
        for phrase in [
            "\"Company Id\"",
            "2 rows",
            "C-1",
            "line 2 and in line 3",
            "--map id=",
            "--repeated-ids",
        ] {
            assert!(said.contains(phrase), "{phrase}: {said}");
        }
    }
    assert_eq!(place.status("spring")["accepted"], 0);
    let no = place.run_on_a_terminal(&import, "n").ends_with(75);
    assert!(
        no.out.contains("Import the file without those customers?"),
        "{}",
        no.out
    );
    assert_eq!(place.status("spring")["accepted"], 0);
    let meant = [&import[..], &["--repeated-ids", "--json"]].concat();
    let counts = place.run(&meant).ends_with(0).json();
    assert_eq!(
        (&counts["accepted"], &counts["duplicate"]),
        (&json!(2), &json!(2))
    );
    // One person with two numbers is one person, and the same number twice is a duplicate.
    let contacts = "phone,name,id\n+12025550173,Ann,1\n+12025550174,Ann,1\n(202) 555-0173,Bob,1\n";
    place.write("contacts.csv", contacts);
    place.run(&import[..3]).ends_with(0);
}

#[test]
fn one_customer_in_a_file_and_in_lines_is_one_customer() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    place.write("spring.toml", campaign("task_on_reply", "conversations"));
    place.write(
        "contacts.csv",
        "phone,name\n+52 55 1234 5678,Ana\n+54 9 11 2345-6789,Eva\n+44 20 7946 0958,Zoe\n",
    );
    place
        .run(&["import", "spring.toml", "contacts.csv"])
        .ends_with(0);
    let spellings = [
        "+5215512345678",
        "+54 11 15 2345-6789",
        "+44 (0)20 7946 0958",
    ];
    let lines = spellings
        .map(|address| json!({"campaign": "spring", "customer": {"address": address}}).to_string());
    place.write("lines.jsonl", lines.join("\n"));
    let counts = place
        .run(&["import", "spring", "lines.jsonl", "--json"])
        .ends_with(0)
        .json();
    assert_eq!(
        (&counts["accepted"], &counts["duplicate"]),
        (&json!(0), &json!(3)),
        "{counts}"
    );
}

#[test]
fn init_writes_all_columns_that_agents_could_be_shown() {
    let twilio = FakeTwilio::start();
    let place = Place::facing(&twilio);
    place.write(
        "contacts.csv",
        "phone,name,Plan (2026),Balance,From\n+12025550173,Ann,gold,1,x\n",
    );
    place
        .run(&[
            "init",
            "--sender",
            "+12025550100",
            "--channel",
            "sms",
            "--contacts",
            "contacts.csv",
            "--output",
            "new.toml",
        ])
        .ends_with(0);
    let text = std::fs::read_to_string(place.path("new.toml")).expect("a campaign file");
    assert!(
        text.contains("\n# show = [\"plan_2026\", \"balance\"]\n"),
        "{text}"
    );
    place.write(
        "shown.toml",
        text.replace("# show", "show").replace(", ...'", "'"),
    );
    place
        .run(&["import", "shown.toml", "contacts.csv", "--dry-run"])
        .ends_with(0);
}
