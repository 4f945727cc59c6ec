//! Conversations: names, pairs, timers, messages and the played Studio flow.

use std::time::Duration;

use flexcast::simulator::{EffectKind, Settings};
use serde_json::{Value, json};

use super::{CUSTOMER, SENDER, Twilio, settings, text, to_customer};

const CONVERSATIONS: &str = "conversations/v1/Conversations";

impl Twilio {
    pub(super) async fn conversation(&self, name: &str, more: &[(&str, &str)]) -> String {
        let mut form = vec![("UniqueName", name)];
        form.extend_from_slice(more);
        text(&self.made(CONVERSATIONS, &form).await, "sid")
    }

    pub(super) async fn join(&self, conversation: &str, customer: &str, sender: &str) -> Value {
        let path = format!("{CONVERSATIONS}/{conversation}/Participants");
        let form = [
            ("MessagingBinding.Address", customer),
            ("MessagingBinding.ProxyAddress", sender),
        ];
        self.made(&path, &form).await
    }
}

#[tokio::test]
async fn a_message_reaches_the_customer_and_the_reply_makes_one_task_for_the_pinned_agent() {
    let twilio = Twilio::on_a_port(settings()).await;
    let attributes = json!({"targetWorker": "client:alice", "flexcast": "fc-1"}).to_string();
    let sid = twilio
        .conversation("fc-1", &[("Attributes", &attributes)])
        .await;
    let path = format!("{CONVERSATIONS}/fc-1");
    let hook = [
        ("Target", "studio"),
        (
            "Configuration.FlowSid",
            "FW00000000000000000000000000000000",
        ),
    ];
    twilio.made(&format!("{path}/Webhooks"), &hook).await;
    twilio.join(&sid, CUSTOMER, SENDER).await;
    let message = [("Body", "Hello"), ("Attributes", r#"{"flexcast":"fc-1"}"#)];
    let said = twilio.made(&format!("{path}/Messages"), &message).await;
    assert_eq!(
        (&said["author"], &said["index"]),
        (&json!("system"), &json!(0))
    );
    assert_eq!(twilio.messages(), [to_customer("Hello")]);
    assert_eq!(twilio.effects(EffectKind::Task), []);

    for body in ["YES", "are you there?"] {
        twilio
            .simulator
            .reply(CUSTOMER, SENDER, body)
            .expect("arrives");
    }
    let tasks = twilio.effects(EffectKind::Task);
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].agent.as_deref(), Some("alice"));
    assert_eq!(tasks[0].customer.as_deref(), Some(CUSTOMER));
    let workspace = twilio.sid("workspace_sid");
    let expression = "flexcast%20%3D%3D%20%27fc-1%27";
    let path =
        format!("taskrouter/v1/Workspaces/{workspace}/Tasks?EvaluateTaskAttributes={expression}");
    let (_, found) = twilio.get(&path).await;
    let attributes = text(&found["tasks"][0], "attributes");
    let attributes: Value = serde_json::from_str(&attributes).expect("JSON");
    assert_eq!(attributes["conversationSid"], sid.as_str());
    let (_, list) = twilio
        .get(&format!("{CONVERSATIONS}/{sid}/Messages?Order=desc"))
        .await;
    assert_eq!(list["messages"][0]["author"], CUSTOMER);
}

#[tokio::test]
async fn a_name_and_a_pair_belong_to_one_conversation() {
    let twilio = Twilio::on_a_port(settings()).await;
    let first = twilio.conversation("a", &[]).await;
    let second = twilio.conversation("b", &[]).await;
    let taken = twilio.refused(CONVERSATIONS, &[("UniqueName", "a")]).await;
    assert_eq!(taken, (409, 50353));
    twilio.join(&first, CUSTOMER, SENDER).await;
    let path = format!("{CONVERSATIONS}/{second}/Participants");
    let table = [
        (CUSTOMER, SENDER, (409, 50416)),
        ("12025550173", SENDER, (400, 50407)),
        (CUSTOMER, "", (400, 50408)),
        (CUSTOMER, "whatsapp:+12025550100", (400, 50408)),
        (SENDER, SENDER, (400, 50409)),
    ];
    for (address, proxy, expected) in table {
        let form = [
            ("MessagingBinding.Address", address),
            ("MessagingBinding.ProxyAddress", proxy),
        ];
        assert_eq!(
            twilio.refused(&path, &form).await,
            expected,
            "{address} {proxy}"
        );
    }
    let query = "conversations/v1/ParticipantConversations?Address=%2B12025550173";
    let (_, found) = twilio.get(query).await;
    assert_eq!(found["conversations"][0]["conversation_unique_name"], "a");
    // Closed, the conversation frees the pair and keeps its name.
    let closed = [("State", "closed")];
    twilio
        .made(&format!("{CONVERSATIONS}/{first}"), &closed)
        .await;
    twilio.join(&second, CUSTOMER, SENDER).await;
    let taken = twilio.refused(CONVERSATIONS, &[("UniqueName", "a")]).await;
    assert_eq!(taken, (409, 50353));
    let late = format!("{CONVERSATIONS}/{first}/Messages");
    assert_eq!(twilio.refused(&late, &[("Body", "x")]).await, (409, 50377));
}

#[tokio::test(start_paused = true)]
async fn timers_close_a_conversation_that_nobody_uses() {
    let twilio = Twilio::in_process(settings()).await;
    let timers = [("Timers.Closed", "PT72H"), ("Timers.Inactive", "PT1H")];
    let sid = twilio.conversation("a", &timers).await;
    twilio.join(&sid, CUSTOMER, SENDER).await;
    let path = format!("{CONVERSATIONS}/{sid}");
    let hour = Duration::from_secs(3_600);
    tokio::time::sleep(hour).await;
    assert_eq!(twilio.get(&path).await.1["state"], "inactive");
    twilio
        .simulator
        .reply(CUSTOMER, SENDER, "hi")
        .expect("arrives");
    let (_, active) = twilio.get(&path).await;
    assert_eq!(active["state"], "active");
    assert_eq!(active["timers"]["date_closed"], "2026-11-25T13:00:00Z");
    tokio::time::sleep(71 * hour).await;
    assert_eq!(twilio.get(&path).await.1["state"], "inactive");
    tokio::time::sleep(hour).await;
    assert_eq!(twilio.get(&path).await.1["state"], "closed");
    assert!(twilio.simulator.reply(CUSTOMER, SENDER, "hi").is_err());
    let least = [("Timers.Closed", "PT9M")];
    assert_eq!(twilio.refused(CONVERSATIONS, &least).await, (400, 20001));
}

#[tokio::test(start_paused = true)]
async fn the_accounts_default_timers_close_what_has_none_of_its_own() {
    let twilio = Twilio::in_process(Settings {
        default_closed_timer: Some(Duration::from_secs(3_600)),
        ..settings()
    })
    .await;
    let configuration = "conversations/v1/Configuration";
    let (_, shown) = twilio.get(configuration).await;
    assert_eq!(shown["default_closed_timer"], "PT1H");
    assert_eq!(shown["default_inactive_timer"], Value::Null);
    let before = twilio.conversation("before", &[]).await;
    let inactive = [("DefaultInactiveTimer", "PT1M")];
    let (status, set) = twilio.post(configuration, &inactive).await;
    assert_eq!(
        (status, &set["default_inactive_timer"]),
        (200, &json!("PT1M"))
    );
    let own = twilio
        .conversation("own", &[("Timers.Closed", "PT3H")])
        .await;
    let never = [("Timers.Closed", "PT0S"), ("Timers.Inactive", "PT0S")];
    let never = twilio.conversation("never", &never).await;
    let state = async |sid: &str| {
        let (_, row) = twilio.get(&format!("{CONVERSATIONS}/{sid}")).await;
        text(&row, "state")
    };
    let minutes = |n: u64| Duration::from_secs(60 * n);
    tokio::time::sleep(minutes(59)).await;
    assert_eq!(
        (state(&before).await, state(&own).await),
        ("active".into(), "inactive".into())
    );
    // A new participant is activity: the timers begin anew.
    twilio.join(&before, CUSTOMER, SENDER).await;
    twilio.join(&own, "+12025550174", SENDER).await;
    assert_eq!(state(&own).await, "active");
    tokio::time::sleep(minutes(59)).await;
    assert_eq!(
        (state(&before).await, state(&own).await),
        ("active".into(), "inactive".into())
    );
    let path = format!("{CONVERSATIONS}/{before}/Messages");
    twilio.made(&path, &[("Body", "x")]).await;
    tokio::time::sleep(minutes(60)).await;
    assert_eq!(state(&before).await, "closed");
    // What was said can be read, and nothing can be added or changed.
    let (_, said) = twilio.get(&path).await;
    assert_eq!(said["messages"].as_array().map(Vec::len), Some(1));
    let pair = [
        ("MessagingBinding.Address", "+12025550175"),
        ("MessagingBinding.ProxyAddress", SENDER),
    ];
    let participants = format!("{CONVERSATIONS}/{before}/Participants");
    for (path, form) in [
        (&path, &[("Body", "y")][..]),
        (&participants, &pair[..]),
        (
            &format!("{CONVERSATIONS}/{before}"),
            &[("State", "active")][..],
        ),
    ] {
        assert_eq!(twilio.refused(path, form).await, (409, 50377), "{path}");
    }
    tokio::time::sleep(minutes(62)).await;
    assert_eq!(
        (state(&own).await, state(&never).await),
        ("closed".into(), "active".into())
    );
}

#[tokio::test]
async fn templates_and_other_channels_reach_their_customers() {
    let twilio = Twilio::on_a_port(settings()).await;
    let table = [
        ("whatsapp:+12025550173", "whatsapp:+12025550100", "whatsapp"),
        ("messenger:77", "messenger:1", "messenger"),
    ];
    for (customer, sender, kind) in table {
        let sid = twilio.conversation(customer, &[]).await;
        let joined = twilio.join(&sid, customer, sender).await;
        assert_eq!(joined["messaging_binding"]["type"], kind);
        let template = [
            ("ContentSid", "HX00000000000000000000000000000000"),
            ("ContentVariables", r#"{"1": "Clark"}"#),
        ];
        twilio
            .made(&format!("{CONVERSATIONS}/{sid}/Messages"), &template)
            .await;
    }
    let sid = twilio.conversation("custom", &[]).await;
    let path = format!("{CONVERSATIONS}/{sid}");
    let visitor = [("Identity", "visitor-7")];
    twilio.made(&format!("{path}/Participants"), &visitor).await;
    let again = format!("{path}/Participants");
    assert_eq!(twilio.refused(&again, &visitor).await, (409, 50433));
    twilio
        .made(&format!("{path}/Messages"), &[("Body", "Hello")])
        .await;
    let reached: Vec<_> = twilio.messages().into_iter().map(|m| (m.0, m.1)).collect();
    let expected = [
        ("whatsapp:+12025550173", "whatsapp:+12025550100"),
        ("messenger:77", "messenger:1"),
        ("visitor-7", ""),
    ];
    assert_eq!(reached, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let arrived = twilio.simulator.reply("+12025550173", SENDER, "hi");
    assert!(
        arrived.is_ok(),
        "a WhatsApp customer is found without the prefix"
    );
    let text_needed = twilio.refused(&format!("{path}/Messages"), &[]).await;
    assert_eq!(text_needed, (400, 20001));
}

#[tokio::test]
async fn one_call_makes_a_conversation_with_its_participants_or_nothing() {
    let twilio = Twilio::on_a_port(settings()).await;
    let one = json!({"messaging_binding": {"address": CUSTOMER, "proxy_address": SENDER}});
    let one = one.to_string();
    let path = "conversations/v1/ConversationWithParticipants";
    twilio
        .made(path, &[("UniqueName", "a"), ("Participant", &one)])
        .await;
    let second = [("UniqueName", "b"), ("Participant", one.as_str())];
    assert_eq!(twilio.refused(path, &second).await, (409, 50416));
    assert_eq!(twilio.effects(EffectKind::Conversation).len(), 1);
    let service = twilio.sid("chat_service_sid");
    let scoped = format!("conversations/v1/Services/{service}/Conversations/a");
    assert_eq!(twilio.get(&scoped).await.0, 200);
}
