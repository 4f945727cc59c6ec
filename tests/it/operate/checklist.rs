//! The check-list of a preview: each item in each of its states, with its words.

use std::time::Duration;

use flexcast::campaign::Campaign;
use flexcast::intake::Input;
use flexcast::message::CampaignId;
use flexcast::operate::{
    AgentLookup, AgentQuery, AgentsAtTwilio, CheckCode, CheckItem, CheckState, ImportPreview,
    PreviewLedger, RejectsMax, preview,
};

use super::importing::{Account, contacts, request};
use super::{Desk, dead, spring, spring_file};

/// An account without credentials.
struct Nowhere;

#[async_trait::async_trait]
impl AgentLookup for Nowhere {
    async fn look_up(&self, _campaign: &Campaign, query: AgentQuery<'_>) -> AgentsAtTwilio {
        AgentsAtTwilio {
            not_looked_up: query.names.len() as u64,
            because: Some("TWILIO_ACCOUNT_SID is not set".to_owned()),
            ..AgentsAtTwilio::default()
        }
    }
}

/// An account that has all agents, each of whom takes 5 tasks at once.
struct All;

#[async_trait::async_trait]
impl AgentLookup for All {
    async fn look_up(&self, _campaign: &Campaign, query: AgentQuery<'_>) -> AgentsAtTwilio {
        let names = || query.names.iter().map(|&name| name.to_owned());
        let tasks = names().map(|name| (name, 5));
        AgentsAtTwilio {
            found: names().collect(),
            tasks_at_once: tasks.filter(|_| query.with_capacity).collect(),
            ..AgentsAtTwilio::default()
        }
    }
}

/// An account in which two Workers have each name.
struct Twins;

#[async_trait::async_trait]
impl AgentLookup for Twins {
    async fn look_up(&self, _campaign: &Campaign, query: AgentQuery<'_>) -> AgentsAtTwilio {
        AgentsAtTwilio {
            ambiguous: query.names.iter().map(|&name| name.to_owned()).collect(),
            ..AgentsAtTwilio::default()
        }
    }
}

/// An account without agents.
struct Nobody;

#[async_trait::async_trait]
impl AgentLookup for Nobody {
    async fn look_up(&self, _campaign: &Campaign, query: AgentQuery<'_>) -> AgentsAtTwilio {
        AgentsAtTwilio {
            unknown: query.names.iter().map(|&name| name.to_owned()).collect(),
            ..AgentsAtTwilio::default()
        }
    }
}

/// A campaign file in place of the usual one: `spring`, with these lines.
fn campaign(channel: &str, lines: &str) -> Campaign {
    let text = format!(
        "id='spring'\nchannel='{channel}'\nsender='+12025550100'\n{lines}\n[flex]\nstudio_flow_sid='FW1'\n"
    );
    toml::from_str(&text).expect("a campaign file")
}

async fn shown(campaign: &Campaign, input: &Input, lookup: &dyn AgentLookup) -> ImportPreview {
    let request = request(campaign, input, RejectsMax::Any);
    preview(request, lookup).await.expect("a preview")
}

fn items(shown: &ImportPreview, code: CheckCode) -> Vec<&CheckItem> {
    let checks = shown.checks.iter();
    checks.filter(|item| item.code == code).collect()
}

/// The only item of this code.
#[track_caller]
fn item(shown: &ImportPreview, code: CheckCode) -> &CheckItem {
    let items = items(shown, code);
    let [item] = items[..] else {
        panic!("{code}: {:#?}", shown.checks);
    };
    item
}

/// The state and the text of the only item of this code.
#[track_caller]
fn said(shown: &ImportPreview, code: CheckCode) -> (CheckState, &str) {
    let item = item(shown, code);
    (item.state, &item.text)
}

/// Two customers of two agents, one row without an agent.
const ROWS: &str = "+12025550101,Clark,alice\n+12025550102,Lois,bob\n+12025550103,Jimmy,alice\n";

#[tokio::test]
async fn a_good_file_is_ok_throughout() {
    let campaign = spring_file();
    let (_file, input) = contacts(ROWS);
    let shown = shown(&campaign, &input, &All).await;
    assert_eq!(shown.verdict, CheckState::Ok, "{:#?}", shown.checks);
    assert_eq!(shown.summary(), "Result: ok.");
    let codes: Vec<_> = shown.checks.iter().map(|item| item.code).collect();
    use CheckCode::*;
    let expected = [
        File, Columns, Campaign, Rows, Agents, Texts, Segments, ToSend, Duration,
    ];
    assert_eq!(codes, expected);
    let table = [
        (
            Campaign,
            "The campaign is new: this ledger does not have it.",
        ),
        (Rows, "3 rows, all new."),
        (Agents, "Agents: 2 named, all in Flex. Every row has one."),
        (Segments, "3 SMS segments (3 messages of 1 segment)."),
        (ToSend, "To send: 3 messages."),
        (
            Duration,
            "About 2 s, ends 23:23; +12025550100 sends 1 segment a second.",
        ),
    ];
    for (code, text) in table {
        assert_eq!(said(&shown, code), (CheckState::Ok, text));
    }
    let texts = &item(&shown, Texts).details;
    assert_eq!(texts[1], "line 3 to +1******0102 for bob: Hello Lois");
    let columns = &item(&shown, Columns).details;
    assert_eq!(
        columns[..],
        [
            "in the text and in the task at Twilio: \"name\" (customer.name)".to_owned(),
            "in the task at Twilio: \"phone\" (customer.address)".to_owned(),
            "not sent: \"agent\" (agent.identity)".to_owned(),
        ]
    );
}

#[tokio::test]
async fn rows_that_are_not_sent_are_counted_with_their_lines() {
    let campaign = spring_file();
    let (_file, input) = contacts(
        "+12025550101,Clark,alice\n12,Lois,alice\n+12025550101,Clark,alice\n+12025550103,,alice\n+12025550104,,alice\n",
    );
    let shown = shown(&campaign, &input, &All).await;
    let rows = "5 rows: 1 new, 1 duplicate, 3 rejected.";
    assert_eq!(said(&shown, CheckCode::Rows), (CheckState::Ok, rows));
    let duplicates = "1 row repeats the number or id of an earlier row: line 4 repeats line 2.";
    let expected = (CheckState::Warn, duplicates);
    assert_eq!(said(&shown, CheckCode::Duplicates), expected);
    let rejected = item(&shown, CheckCode::Rejected);
    assert_eq!(
        rejected.text,
        "3 rows are rejected: address_invalid 1, template_failed 2."
    );
    assert_eq!(rejected.state, CheckState::Warn);
    // The field that is empty is named, with its rows.
    let fault = "2 rows from line 5 on: body: {{ customer.name }} is empty: fill it, or add a default to the template (line 1 of the template)";
    assert_eq!(rejected.details[0], fault);
    assert!(rejected.details[1].starts_with("line 3, column \"phone\": address_invalid: "));
    assert_eq!(rejected.counts["template_failed"], 2);
    assert_eq!(shown.summary(), "Result: ok, with 2 warnings.");
}

#[tokio::test]
async fn a_file_without_a_usable_row_stops() {
    let campaign = spring_file();
    let (_file, input) = contacts("12,Lois,alice\n13,Clark,alice\n");
    let shown = shown(&campaign, &input, &All).await;
    let rows = "2 rows, all rejected. No row can be used.";
    assert_eq!(said(&shown, CheckCode::Rows), (CheckState::Stop, rows));
    let nothing = (CheckState::Warn, "Nothing is left to send.");
    assert_eq!(said(&shown, CheckCode::ToSend), nothing);
    assert_eq!(items(&shown, CheckCode::Duration), Vec::<&CheckItem>::new());
    assert_eq!(shown.summary(), "Result: 1 stop, 2 warnings.");
}

#[tokio::test]
async fn what_the_campaign_has_already_is_not_sent_again() {
    let desk = Desk::with_spring().await;
    desk.accept(3).await;
    desk.end(1, dead()).await;
    let campaign = spring_file();
    // Customers 1 and 3 of the ledger, an id of it under another number, and a new one.
    let (_file, input) =
        contacts("+12025550001,Clark,alice\n+12025550003,Clark,alice\n+12025550104,Lois,alice\n");
    let mut request = request(&campaign, &input, RejectsMax::Any);
    request.recorded = PreviewLedger::Open(desk.read());
    let shown = preview(request, &All).await.expect("a preview");
    let table = [
        (
            CheckCode::Campaign,
            "The campaign is running: 2 open, 1 ended.",
        ),
        (CheckCode::Rows, "3 rows: 1 new, 2 in the campaign already."),
        (
            CheckCode::InCampaign,
            "2 rows are in the campaign already, and no second message is sent: lines 2, 3.",
        ),
        (
            CheckCode::ToSend,
            "To send: 3 messages, 1 new and 2 from earlier imports.",
        ),
    ];
    for (code, text) in table {
        assert_eq!(said(&shown, code), (CheckState::Ok, text));
    }
    assert_eq!(shown.to_send(), 3);
    // The texts of the messages that are open count: a segment each.
    let takes = shown.forecast.binding().map(|bound| bound.takes);
    assert_eq!(takes, Some(Duration::from_secs(2)));
}

#[tokio::test]
async fn the_state_of_the_campaign_is_said() {
    let desk = Desk::with_spring().await;
    let (_file, input) = contacts(ROWS);
    let campaign = spring_file();
    let look = async || {
        let mut request = request(&campaign, &input, RejectsMax::Any);
        request.recorded = PreviewLedger::Open(desk.read());
        let shown = preview(request, &All).await.expect("a preview");
        item(&shown, CheckCode::Campaign).clone()
    };
    assert_eq!(
        look().await.text,
        "The campaign is running. It has no messages."
    );
    let operations = desk.operations();
    let pausing = operations
        .pause(&spring(), Some("lunch".to_owned()), &|_| {})
        .await;
    pausing.expect("it runs");
    let paused = look().await;
    assert_eq!(paused.state, CheckState::Warn);
    assert!(paused.details[0].contains("ada@desk"), "{paused:?}");
    let cancelling = operations.cancel(&spring(), None, &|_| {}).await;
    cancelling.expect("it is paused");
    let cancelled = look().await;
    assert_eq!(cancelled.state, CheckState::Stop);
    assert!(cancelled.text.contains("another id"), "{cancelled:?}");
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_is_a_warning() {
    let (_file, input) = contacts(ROWS);
    let campaign = spring_file();
    let mut request = request(&campaign, &input, RejectsMax::Any);
    request.recorded = PreviewLedger::Unreadable("it is in use".to_owned());
    let shown = preview(request, &All).await.expect("a preview");
    let (state, text) = said(&shown, CheckCode::Ledger);
    assert_eq!(state, CheckState::Warn);
    assert!(text.ends_with("counts as new: it is in use."), "{text}");
    assert_eq!(items(&shown, CheckCode::Campaign), Vec::<&CheckItem>::new());
}

#[tokio::test]
async fn customers_of_another_campaign_of_the_last_days_are_counted() {
    let desk = Desk::with_spring().await;
    desk.accept(3).await;
    let mut autumn = spring_file();
    autumn.id = CampaignId::parse("autumn").expect("an id");
    let (_file, input) = contacts("+12025550001,Clark,alice\n+12025550104,Lois,alice\n");
    let look = async |days: i64| {
        let mut request = request(&autumn, &input, RejectsMax::Any);
        request.recorded = PreviewLedger::Open(desk.read());
        let later = Duration::from_secs(24 * 3_600) * u32::try_from(days).expect("days");
        request.now = desk.clock.now() + later;
        preview(request, &All).await.expect("a preview")
    };
    let now = look(0).await;
    let text = "1 customer had a message of another campaign in the last 7 days: spring 1. Customers whose \
                conversation is still open are skipped (customer_busy); when_open = \"defer\" waits until it is closed.";
    let expected = (CheckState::Warn, text);
    assert_eq!(said(&now, CheckCode::RecentElsewhere), expected);
    let in_time = "The campaign is new: this ledger does not have it.";
    assert_eq!(said(&now, CheckCode::Campaign), (CheckState::Ok, in_time));
    let later = look(8).await;
    assert_eq!(items(&later, CheckCode::RecentElsewhere).len(), 0);
}

#[tokio::test]
async fn agents_who_get_no_task_are_named_with_their_messages() {
    let (_file, input) = contacts(ROWS);
    let campaign = spring_file();
    let some = shown(&campaign, &input, &Account).await;
    let text = "1 message is for agents that Flex does not have: bob (1). They cannot be sent, and end as dead (unknown_agent).";
    let expected = (CheckState::Warn, text);
    assert_eq!(said(&some, CheckCode::UnknownAgents), expected);
    let named = "Agents: 2 named, 1 of them in Flex. Every row has one.";
    assert_eq!(said(&some, CheckCode::Agents), (CheckState::Ok, named));
    // All of them: nothing would be sent.
    let none = shown(&campaign, &input, &Nobody).await;
    assert_eq!(
        item(&none, CheckCode::UnknownAgents).state,
        CheckState::Stop
    );
    let twins = shown(&campaign, &input, &Twins).await;
    let (state, text) = said(&twins, CheckCode::AmbiguousAgents);
    assert_eq!(state, CheckState::Warn);
    assert!(
        text.starts_with("3 messages are for names that several Workers have: alice (2), bob (1)."),
        "{text}"
    );
    let nowhere = shown(&campaign, &input, &Nowhere).await;
    let text = "2 agents were not looked up in Flex: TWILIO_ACCOUNT_SID is not set.";
    let expected = (CheckState::Warn, text);
    assert_eq!(said(&nowhere, CheckCode::UncheckedAgents), expected);
}

#[tokio::test]
async fn rows_without_an_agent_say_who_gets_them() {
    let (_file, input) = contacts("+12025550101,Clark,alice\n+12025550102,Lois,\n");
    let mut campaign = spring_file();
    let without = shown(&campaign, &input, &All).await;
    let text = "1 row has no agent. The workflow decides who gets the tasks; agents.default would set one.";
    assert_eq!(said(&without, CheckCode::NoAgent), (CheckState::Warn, text));
    let named = "Agents: 1 named, all in Flex.";
    assert_eq!(said(&without, CheckCode::Agents), (CheckState::Ok, named));
    campaign.agents.default = Some("carol".to_owned());
    let defaulted = shown(&campaign, &input, &All).await;
    let text = "1 row names no agent. It gets carol (agents.default).";
    assert_eq!(said(&defaulted, CheckCode::NoAgent), (CheckState::Ok, text));
    let (_file, nobody) = contacts("+12025550101,Clark,\n");
    campaign.agents.default = None;
    let nobody = shown(&campaign, &nobody, &All).await;
    let text = "No row has an agent. The workflow decides who gets the tasks.";
    assert_eq!(said(&nobody, CheckCode::NoAgent), (CheckState::Ok, text));
    assert_eq!(items(&nobody, CheckCode::Agents).len(), 0);
}

#[tokio::test]
async fn whatsapps_rule_is_named_for_every_strategy() {
    let (_file, input) = contacts(ROWS);
    let body = "body='Hello'";
    let template = "content_sid='HX00000000000000000000000000000001'";
    let table = [
        ("task_on_reply", body, CheckState::Warn, "not a template"),
        ("task_now", body, CheckState::Warn, "not a template"),
        ("task_now", "", CheckState::Warn, "The agents write first"),
        (
            "task_on_reply",
            template,
            CheckState::Ok,
            "The text is a template",
        ),
        ("task_now", template, CheckState::Ok, "own texts"),
    ];
    for (strategy, text, state, phrase) in table {
        let campaign = campaign("whatsapp", &format!("strategy='{strategy}'\n{text}"));
        let shown = shown(&campaign, &input, &All).await;
        let item = item(&shown, CheckCode::WhatsappWindow);
        assert_eq!(item.state, state, "{strategy} {text}");
        assert!(item.text.contains(phrase), "{}", item.text);
        assert!(item.text.contains("24 hours"), "{}", item.text);
        let is_counted = item.text.contains("a look-up for each customer");
        assert_eq!(is_counted, state == CheckState::Warn, "{}", item.text);
    }
    let sms = campaign("sms", "strategy='task_on_reply'\nbody='Hello'");
    let shown = shown(&sms, &input, &All).await;
    assert_eq!(items(&shown, CheckCode::WhatsappWindow).len(), 0);
}

#[tokio::test]
async fn content_variables_are_shown_as_they_are_sent() {
    let (_file, input) = contacts(ROWS);
    let lines = "strategy='task_on_reply'\ncontent_sid='HX00000000000000000000000000000001'\n\
                 [content_variables]\n1='{{ customer.name }}'\n2='plan \"gold\"'";
    let shown = shown(&campaign("sms", lines), &input, &All).await;
    let item = item(&shown, CheckCode::ContentVariables);
    assert_eq!(
        item.details[0],
        r#"line 2 to +1******0101 for alice: 1 = "Clark", 2 = "plan \"gold\"""#
    );
    assert!(item.text.contains("HX0000"), "{}", item.text);
    let (state, text) = said(&shown, CheckCode::Segments);
    assert_eq!(state, CheckState::Warn);
    assert!(
        text.ends_with("each message counts as 1 segment."),
        "{text}"
    );
    assert_eq!(items(&shown, CheckCode::Texts).len(), 0);
}

#[tokio::test]
async fn segments_are_said_in_words_and_priced() {
    let long = "a".repeat(200);
    let rows =
        format!("+12025550101,Clark,alice\n+12025550102,{long},bob\n+12025550103,Zo\u{eb},alice\n");
    let (_file, input) = contacts(&rows);
    let campaign = spring_file();
    let mut request = request(&campaign, &input, RejectsMax::Any);
    request.assumptions.segment_price = "0.0083".parse().ok();
    let shown = preview(request, &All).await.expect("a preview");
    let text = "4 SMS segments (2 messages of 1 segment, 1 message of 2 segments).";
    assert_eq!(said(&shown, CheckCode::Segments), (CheckState::Ok, text));
    let text = "1 message has a character that is not in the SMS alphabet, so its segments hold 70 characters instead \
                of 160: '\u{eb}' (U+00EB) in 1.";
    assert_eq!(said(&shown, CheckCode::Unicode), (CheckState::Warn, text));
    let text = "The new messages cost about 0.03: 4 segments at 0.0083, without carriers' fees.";
    assert_eq!(said(&shown, CheckCode::Cost), (CheckState::Ok, text));
}

#[tokio::test]
async fn the_agents_capacity_counts_with_a_handle_time() {
    let rows: String = (100..120)
        .map(|n| format!("+12025550{n},Clark,alice\n"))
        .collect();
    let (_file, input) = contacts(&rows);
    let task_now = campaign("sms", "strategy='task_now'\nbody='Hello'");
    let with = async |campaign: &Campaign, lookup: &dyn AgentLookup| {
        let mut request = request(campaign, &input, RejectsMax::Any);
        request.assumptions.handle_time = Some(Duration::from_secs(360));
        preview(request, lookup).await.expect("a preview")
    };
    let without = shown(&task_now, &input, &All).await;
    let (state, text) = said(&without, CheckCode::Capacity);
    assert_eq!(state, CheckState::Warn);
    assert!(text.contains("--handle-time 6m"), "{text}");
    let counted = with(&task_now, &All).await;
    let text = "1 agent takes 5 tasks at once, and each task takes 6 min.";
    assert_eq!(said(&counted, CheckCode::Capacity), (CheckState::Ok, text));
    // 19 rows (0100 is the sender) in four rounds.
    let (_, text) = said(&counted, CheckCode::Duration);
    assert_eq!(
        text,
        "About 18 min, ends 23:41; alice takes 5 tasks at once, 6 min each."
    );
    let on_reply = campaign("sms", "strategy='task_on_reply'\nbody='Hello'");
    let not_needed = with(&on_reply, &All).await;
    let (state, text) = said(&not_needed, CheckCode::Capacity);
    assert_eq!(state, CheckState::Ok);
    assert!(text.contains("no message waits"), "{text}");
    let queue = campaign(
        "sms",
        "strategy='task_now'\nbody='Hello'\nagents={when_unavailable='queue'}",
    );
    let not_needed = shown(&queue, &input, &All).await;
    assert_eq!(items(&not_needed, CheckCode::Capacity).len(), 0);
}
