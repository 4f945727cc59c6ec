//! The 16 combinations of channel, strategy and API: each is carried out, each customer once.

use serde_json::json;

use super::{PAIRS, campaign_on, what_counts};
use crate::support::flexcast::{Place, each_once};

fn reach(channel: &str, sender: &str, column: &str, written: [&str; 3], effective: [&str; 3]) {
    let place = Place::impatient();
    let rows = written.map(|address| format!("{address},Ann\n")).concat();
    place.write("contacts.csv", format!("{column},name\n{rows}"));
    for (strategy, api) in PAIRS {
        place.write("spring.toml", campaign_on(channel, sender, strategy, api));
        let ran = place.run(&[
            "send",
            "spring.toml",
            "contacts.csv",
            "--simulate",
            "--json",
            "--effects",
            "e.json",
        ]);
        let report = ran.ends_with(0).json();
        assert_eq!(
            report["done"],
            json!(3),
            "{channel} {strategy} {api}: {report}"
        );
        let effects = place.read_json("e.json");
        let effects = effects.as_array().expect("a list");
        each_once(effects, what_counts(strategy), &effective);
        let has = |kind: &str| effects.iter().any(|effect| effect["kind"] == kind);
        assert_eq!(
            has("session"),
            api == "proxy" && channel != "custom",
            "{strategy} {api}"
        );
        assert_eq!(
            has("conversation"),
            api == "conversations",
            "{strategy} {api}"
        );
    }
}

#[test]
fn sms_reaches_numbers() {
    let numbers = ["+12025550173", "+12025550174", "+12025550175"];
    reach(
        "sms",
        "+12025550100",
        "phone",
        ["(202) 555-0173", "+12025550174", "2025550175"],
        numbers,
    );
}

#[test]
fn whatsapp_reaches_numbers() {
    let numbers = ["+12025550173", "+12025550174", "+12025550175"];
    let on_whatsapp = [
        "whatsapp:+12025550173",
        "whatsapp:+12025550174",
        "whatsapp:+12025550175",
    ];
    reach("whatsapp", "+12025550100", "phone", numbers, on_whatsapp);
}

#[test]
fn facebook_reaches_people_who_wrote_to_a_page() {
    let people = ["messenger:1001", "messenger:1002", "messenger:1003"];
    reach("facebook", "messenger:77", "address", people, people);
}

#[test]
fn a_custom_channel_reaches_identities() {
    let people = ["visitor-1", "visitor 2", "ann@example.com"];
    reach("custom", "kiosk", "address", people, people);
}

#[test]
fn what_a_channel_cannot_carry_is_refused_before_anybody_is_written_to() {
    let place = Place::impatient();
    place.write("contacts.csv", "phone\n+12025550173\n");
    let on_sms = |api: &str| campaign_on("sms", "+12025550100", "task_on_reply", api);
    let from = |line: &str| on_sms("conversations").replace("sender = \"+12025550100\"", line);
    let table = [
        // A template needs a channel that can carry it.
        (
            on_sms("proxy").replace("body = ", "content_sid = 'HX1' #"),
            "content_sid",
        ),
        // The reply needs somebody who takes it.
        (
            on_sms("conversations").replace("studio_flow_sid", "# "),
            "flex.studio_flow_sid",
        ),
        (on_sms("conversations").replace("body = ", "# "), "body"),
        (
            campaign_on("facebook", "+12025550100", "task_now", "proxy"),
            "messenger:",
        ),
        (campaign_on("sms", "kiosk", "task_now", "proxy"), "sender"),
        (
            from("senders = ['+12025550101']\nsender = '+12025550100'"),
            "sender and senders",
        ),
        (from("senders = []"), "sender: give"),
        (from("senders = ['+12025550100', 'kiosk']"), "senders[1]"),
        (
            from("senders = ['12345', '+12025550100', '12345']"),
            "senders[2]: it is listed twice",
        ),
    ];
    for (campaign, named) in table {
        place.write("spring.toml", &campaign);
        let ran = place.run(&[
            "send",
            "spring.toml",
            "contacts.csv",
            "--simulate",
            "--json",
        ]);
        let ran = ran.ends_with(78);
        assert!(ran.err.contains(named), "{} should name {named}", ran.err);
        assert_eq!(ran.out, "");
    }
}
