//! Flex Channels, Programmable Chat and Proxy: both strategies of Twilio's page, and the conflicts.

use std::time::Duration;

use flexcast::simulator::{Assumptions, EffectKind, ProxyPool, Settings};
use serde_json::{Value, json};

use super::{CUSTOMER, SENDER, Twilio, settings, text, to_customer};

/// The calls of Twilio's page, in short.
impl Twilio {
    async fn flow(&self, channel_type: &str, more: &[(&str, &str)]) -> String {
        let mut form = vec![
            ("FriendlyName", "Outbound"),
            ("ChatServiceSid", self.sid("chat_service_sid")),
            ("ChannelType", channel_type),
            ("ContactIdentity", SENDER),
            ("Enabled", "false"),
            ("IntegrationType", "task"),
            ("Integration.WorkspaceSid", self.sid("workspace_sid")),
            ("Integration.WorkflowSid", self.sid("workflow_sid")),
            ("Integration.Channel", "sms"),
        ];
        form.extend_from_slice(more);
        text(&self.made("flex-api/v1/FlexFlows", &form).await, "sid")
    }

    async fn channel(&self, flow: &str, customer: &str, name: &str) -> Value {
        let form = [
            ("FlexFlowSid", flow),
            ("Identity", &format!("sms_{customer}")),
            ("ChatUserFriendlyName", "Clark"),
            ("ChatFriendlyName", "Outbound Chat with Clark"),
            ("Target", customer),
            ("ChatUniqueName", name),
            (
                "TaskAttributes",
                r#"{"targetWorker": "client:alice", "fc": 7}"#,
            ),
        ];
        self.made("flex-api/v1/Channels", &form).await
    }

    fn sessions(&self) -> String {
        format!(
            "proxy/v1/Services/{}/Sessions",
            self.sid("proxy_service_sid")
        )
    }

    async fn session(&self, name: &str, participant: &Value) -> Value {
        let participant = participant.to_string();
        let form = [
            ("UniqueName", name),
            ("Mode", "message-only"),
            ("Ttl", "3600"),
            ("Participants", &participant),
        ];
        self.made(&self.sessions(), &form).await
    }

    async fn participant(&self, session: &str, identifier: &str) -> Value {
        let path = format!("{}/{session}/Participants", self.sessions());
        let form = [
            ("Identifier", identifier),
            ("ProxyIdentifier", SENDER),
            ("FriendlyName", CUSTOMER),
        ];
        self.made(&path, &form).await
    }

    fn chat(&self, channel: &str) -> String {
        format!(
            "chat/v2/Services/{}/Channels/{channel}",
            self.sid("chat_service_sid")
        )
    }

    async fn add_proxy_session(&self, channel: &str, session: &str) {
        let (_, chat) = self.get(&self.chat(channel)).await;
        let mut attributes: Value = serde_json::from_str(&text(&chat, "attributes")).expect("JSON");
        attributes["proxySession"] = session.into();
        let attributes = attributes.to_string();
        self.made(&self.chat(channel), &[("Attributes", &attributes)])
            .await;
    }

    /// A channel with its session, both sides in it, and the attributes: SIDs of both.
    async fn connected(&self, flow: &str, name: &str) -> (String, String) {
        let channel = text(&self.channel(flow, CUSTOMER, name).await, "sid");
        let customer = json!({"Identifier": CUSTOMER, "ProxyIdentifier": SENDER});
        let session = text(&self.session(&channel, &customer).await, "sid");
        self.participant(&session, &channel).await;
        self.add_proxy_session(&channel, &session).await;
        (channel, session)
    }

    async fn task(&self, task: &str) -> Value {
        let workspace = self.sid("workspace_sid");
        let path = format!("taskrouter/v1/Workspaces/{workspace}/Tasks/{task}");
        self.get(&path).await.1
    }
}

#[tokio::test]
async fn the_task_is_there_at_once_and_the_agent_reaches_the_customer_only_through_proxy() {
    let twilio = Twilio::on_a_port(settings()).await;
    let flow = twilio.flow("sms", &[]).await;
    let channel = twilio.channel(&flow, CUSTOMER, "fc-1").await;
    let task = twilio.task(&text(&channel, "task_sid")).await;
    assert_eq!(task["assignment_status"], "reserved");
    let attributes: Value = serde_json::from_str(&text(&task, "attributes")).expect("JSON");
    assert_eq!(attributes["fc"], 7);
    let made = twilio.effects(EffectKind::Task);
    assert_eq!(made[0].agent.as_deref(), Some("alice"));
    let channel = text(&channel, "sid");
    let customer = json!({"Identifier": CUSTOMER, "ProxyIdentifier": SENDER});
    let session = text(&twilio.session(&channel, &customer).await, "sid");
    twilio.participant(&session, &channel).await;

    let agent = format!("_simulator/tasks/{}", text(&task, "sid"));
    let accept = format!("{agent}/accept");
    assert_eq!(twilio.post(&accept, &[]).await.0, 204);
    let write = || async {
        let body = json!({"body": "Hello Clark"}).to_string();
        let path = format!("{agent}/messages");
        let sent = twilio.send("POST", &path, body).await;
        assert_eq!(sent.expect("a reply").0, 204);
    };
    write().await;
    assert_eq!(twilio.messages(), []);
    assert_eq!(twilio.simulator.debugger()[0].code, 80619);
    twilio.add_proxy_session(&channel, &session).await;
    write().await;
    assert_eq!(twilio.messages(), [to_customer("Hello Clark")]);
}

#[tokio::test]
async fn the_reply_makes_the_task_once_when_the_flow_waits_for_it() {
    let twilio = Twilio::on_a_port(settings()).await;
    let flow = twilio
        .flow("sms", &[("Integration.CreationOnMessage", "true")])
        .await;
    let channel = twilio.channel(&flow, CUSTOMER, "fc-1").await;
    assert_eq!(channel["task_sid"], Value::Null);
    let channel = text(&channel, "sid");
    let agent = json!({"Identifier": channel, "ProxyIdentifier": SENDER});
    let session = text(&twilio.session(&channel, &agent).await, "sid");
    twilio.participant(&session, CUSTOMER).await;
    twilio.add_proxy_session(&channel, &session).await;
    let path = format!("{}/{session}/Participants", twilio.sessions());
    let (_, all) = twilio.get(&path).await;
    let agent = text(&all["participants"][0], "sid");
    let path = format!("{path}/{agent}/MessageInteractions");
    twilio.made(&path, &[("Body", "Reply YES")]).await;
    assert_eq!(twilio.messages(), [to_customer("Reply YES")]);
    assert_eq!(twilio.effects(EffectKind::Task), []);

    for body in ["YES", "hello?"] {
        let reached = twilio.simulator.reply(CUSTOMER, SENDER, body);
        assert!(reached.expect("arrives").task.is_some());
    }
    let tasks = twilio.effects(EffectKind::Task);
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].agent.as_deref(), Some("alice"));
    let (_, list) = twilio
        .get(&format!("{}/Messages?Order=desc", twilio.chat(&channel)))
        .await;
    assert_eq!(list["messages"][0]["body"], "hello?");
    assert_eq!(list["messages"][0]["from"], CUSTOMER);
}

#[tokio::test]
async fn each_way_to_write_reaches_the_customer_once_or_not_at_all_as_assumed() {
    let assumptions = Assumptions {
        agent_interaction_reaches_customer: false,
        ..Assumptions::default()
    };
    for assumptions in [Assumptions::default(), assumptions] {
        let reaches = assumptions.agent_interaction_reaches_customer;
        let twilio = Twilio::on_a_port(Settings {
            assumptions,
            ..settings()
        })
        .await;
        let flow = twilio.flow("sms", &[]).await;
        let (channel, session) = twilio.connected(&flow, "fc-1").await;
        let path = format!("{}/{session}/Participants", twilio.sessions());
        let (_, all) = twilio.get(&path).await;
        let post = |at: usize| {
            format!(
                "{path}/{}/MessageInteractions",
                text(&all["participants"][at], "sid")
            )
        };
        twilio.made(&post(0), &[("Body", "customer")]).await;
        twilio.made(&post(1), &[("Body", "agent")]).await;
        let chat = format!("{}/Messages", twilio.chat(&channel));
        twilio.made(&chat, &[("Body", "chat")]).await;
        let bodies: Vec<_> = twilio.messages().into_iter().map(|m| m.2).collect();
        let expected: &[&str] = if reaches {
            &["customer", "agent", "chat"]
        } else {
            &["customer", "chat"]
        };
        assert_eq!(bodies, expected);
        let (_, list) = twilio
            .get(&format!("{}/{session}/Interactions", twilio.sessions()))
            .await;
        assert_eq!(list["interactions"].as_array().map(Vec::len), Some(3));
    }
}

#[tokio::test]
async fn a_channel_is_found_again_by_its_customer_and_refused_by_its_name() {
    let twilio = Twilio::on_a_port(settings()).await;
    let flow = twilio.flow("sms", &[]).await;
    let first = twilio.channel(&flow, CUSTOMER, "fc-1").await;
    let again = twilio.channel(&flow, CUSTOMER, "fc-2").await;
    assert_eq!(first, again);
    assert_eq!(twilio.effects(EffectKind::Task).len(), 1);
    let form = [
        ("FlexFlowSid", flow.as_str()),
        ("Identity", "other"),
        ("ChatUserFriendlyName", "x"),
        ("ChatFriendlyName", "x"),
        ("ChatUniqueName", "fc-1"),
    ];
    let path = "flex-api/v1/Channels";
    assert_eq!(twilio.refused(path, &form).await, (409, 45208));
    let by_name = twilio.get(&twilio.chat("fc-1")).await.1;
    assert_eq!(by_name["sid"], first["sid"]);
    // Retired, the channel leaves its customer and its name to the next one.
    let retired = [("Attributes", r#"{"status": "INACTIVE"}"#)];
    twilio.made(&twilio.chat("fc-1"), &retired).await;
    let next = twilio.channel(&flow, CUSTOMER, "fc-1").await;
    assert_ne!(next["sid"], first["sid"]);
}

#[tokio::test]
async fn sessions_and_participants_conflict_as_twilio_has_it() {
    let twilio = Twilio::on_a_port(settings()).await;
    let flow = twilio.flow("sms", &[]).await;
    let (channel, session) = twilio.connected(&flow, "fc-1").await;
    let sessions = twilio.sessions();
    let participants = format!("{sessions}/{session}/Participants");
    let one = |identifier: &str, proxy: &str| {
        vec![
            ("Identifier".to_owned(), identifier.to_owned()),
            ("ProxyIdentifier".to_owned(), proxy.to_owned()),
        ]
    };
    let refused = async |path: &str, form: Vec<(String, String)>| {
        let form: Vec<_> = form.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        twilio.refused(path, &form).await
    };
    let named = vec![("UniqueName".to_owned(), channel.clone())];
    assert_eq!(refused(&sessions, named).await, (409, 80603));
    assert_eq!(
        refused(&participants, one(CUSTOMER, SENDER)).await,
        (409, 80103)
    );
    assert_eq!(
        refused(&participants, one("+12025550174", SENDER)).await,
        (409, 80609)
    );
    assert_eq!(
        refused(&participants, one("+1", SENDER)).await,
        (400, 80404)
    );
    let inline = json!({"Identifier": CUSTOMER, "ProxyIdentifier": SENDER}).to_string();
    let taken = vec![("Participants".to_owned(), inline)];
    assert_eq!(refused(&sessions, taken).await, (409, 80604));
    let (_, all) = twilio.get(&participants).await;
    let customer = text(&all["participants"][0], "sid");
    assert_eq!(
        twilio.delete(&format!("{participants}/{customer}")).await,
        200
    );
    assert_eq!(
        refused(&participants, one(CUSTOMER, SENDER)).await,
        (409, 80612)
    );
    twilio
        .made(&format!("{sessions}/{session}"), &[("Status", "closed")])
        .await;
    let late = refused(&participants, one("+12025550174", SENDER)).await;
    assert_eq!(late, (400, 80607));
    let (status, missing) = twilio.get(&format!("{sessions}/no-such-name")).await;
    assert_eq!((status, missing["code"].as_u64()), (404, Some(80308)));
    let (_, found) = twilio.get(&format!("{sessions}/{channel}")).await;
    assert_eq!(found["sid"], session.as_str());
    assert_eq!(twilio.effects(EffectKind::Session).len(), 1);
}

#[tokio::test]
async fn proxy_picks_a_number_that_the_customer_does_not_see_yet() {
    let numbers = ["+12025550190", "+12025550191"].map(str::to_owned);
    let twilio = Twilio::on_a_port(Settings {
        proxy_pool: ProxyPool::Fixed(numbers.to_vec()),
        ..settings()
    })
    .await;
    let customer = json!({"Identifier": CUSTOMER});
    for (at, number) in numbers.iter().enumerate() {
        let session = text(&twilio.session(&format!("s{at}"), &customer).await, "sid");
        let path = format!("{}/{session}/Participants", twilio.sessions());
        let (_, all) = twilio.get(&path).await;
        assert_eq!(all["participants"][0]["proxy_identifier"], number.as_str());
    }
    let inline = customer.to_string();
    let form = [("Participants", inline.as_str())];
    assert_eq!(
        twilio.refused(&twilio.sessions(), &form).await,
        (400, 80208)
    );
    let foreign = json!({"Identifier": CUSTOMER, "ProxyIdentifier": SENDER}).to_string();
    let form = [("Participants", foreign.as_str())];
    assert_eq!(
        twilio.refused(&twilio.sessions(), &form).await,
        (400, 80605)
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_with_its_time_to_live_and_frees_the_customer() {
    let twilio = Twilio::in_process(settings()).await;
    let customer = json!({"Identifier": CUSTOMER, "ProxyIdentifier": SENDER});
    let session = text(&twilio.session("a", &customer).await, "sid");
    let path = format!("{}/{session}", twilio.sessions());
    tokio::time::sleep(Duration::from_secs(3_599)).await;
    assert_eq!(twilio.get(&path).await.1["status"], "open");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_, closed) = twilio.get(&path).await;
    assert_eq!(closed["status"], "closed");
    assert_eq!(closed["date_ended"], "2026-11-22T13:00:00Z");
    twilio.session("b", &customer).await;
    let reopen = [("Status", "in-progress")];
    assert_eq!(twilio.refused(&path, &reopen).await, (400, 80801));
}

#[tokio::test]
async fn the_janitor_removes_the_session_of_a_task_that_is_gone() {
    for (janitor, left) in [("true", "deleted"), ("false", "open")] {
        let twilio = Twilio::on_a_port(settings()).await;
        let flow = twilio.flow("sms", &[("JanitorEnabled", janitor)]).await;
        twilio.connected(&flow, "fc-1").await;
        let task = twilio.effects(EffectKind::Task)[0].sid.clone();
        let workspace = twilio.sid("workspace_sid");
        let path = format!("taskrouter/v1/Workspaces/{workspace}/Tasks/{task}");
        assert_eq!(twilio.delete(&path).await, 204);
        assert_eq!(twilio.effects(EffectKind::Session)[0].state, left);
    }
}

#[tokio::test]
async fn a_customer_of_a_custom_channel_is_written_to_in_the_chat() {
    let twilio = Twilio::on_a_port(settings()).await;
    let on_reply = [("Integration.CreationOnMessage", "true")];
    let flow = twilio.flow("custom", &on_reply).await;
    let channel = text(&twilio.channel(&flow, "visitor-7", "fc-1").await, "sid");
    let path = format!("{}/Messages", twilio.chat(&channel));
    twilio.made(&path, &[("Body", "Hello")]).await;
    let expected = (
        "visitor-7".to_owned(),
        SENDER.to_owned(),
        "Hello".to_owned(),
    );
    assert_eq!(twilio.messages(), [expected]);
    twilio
        .simulator
        .reply("visitor-7", "", "Hi")
        .expect("arrives");
    twilio
        .simulator
        .reply("visitor-7", "", "Hi")
        .expect("arrives");
    assert_eq!(twilio.effects(EffectKind::Task).len(), 1);
    assert_eq!(twilio.messages().len(), 1);
}

#[tokio::test]
async fn after_a_stop_word_nothing_reaches_the_customer() {
    let twilio = Twilio::on_a_port(settings()).await;
    let flow = twilio.flow("sms", &[]).await;
    let (channel, _) = twilio.connected(&flow, "fc-1").await;
    assert!(twilio.simulator.reply(CUSTOMER, SENDER, "stop").is_err());
    let path = format!("{}/Messages", twilio.chat(&channel));
    twilio.made(&path, &[("Body", "Hello")]).await;
    assert_eq!(twilio.messages(), []);
    let codes: Vec<_> = twilio.simulator.debugger().iter().map(|e| e.code).collect();
    assert_eq!(codes, [80901, 21610]);
}

#[tokio::test]
async fn a_flow_without_its_integration_is_refused_and_one_is_found_by_name() {
    let twilio = Twilio::on_a_port(settings()).await;
    let service = twilio.sid("chat_service_sid").to_owned();
    let form = [
        ("FriendlyName", "x"),
        ("ChatServiceSid", service.as_str()),
        ("ChannelType", "sms"),
        ("IntegrationType", "task"),
    ];
    let path = "flex-api/v1/FlexFlows";
    assert_eq!(twilio.refused(path, &form).await, (400, 45210));
    assert_eq!(twilio.refused(path, &form[..2]).await, (400, 20001));
    let flow = twilio.flow("sms", &[]).await;
    let (_, found) = twilio
        .get("flex-api/v1/FlexFlows?FriendlyName=Outbound")
        .await;
    assert_eq!(found["flex_flows"][0]["sid"], flow.as_str());
    let (_, none) = twilio.get("flex-api/v1/FlexFlows?FriendlyName=other").await;
    assert_eq!(none["flex_flows"], json!([]));
    let channel = [
        ("FlexFlowSid", "FO00000000000000000000000000000000"),
        ("Identity", "a"),
        ("ChatUserFriendlyName", "a"),
        ("ChatFriendlyName", "a"),
    ];
    let refused = twilio.refused("flex-api/v1/Channels", &channel).await;
    assert_eq!(refused, (404, 45205));
}
