//! Flex Channels, Programmable Chat and Proxy: both strategies of Twilio's page.

use flexcast::simulator::{Assumptions, EffectKind, Settings};
use serde_json::{Value, json};

use super::{CUSTOMER, SENDER, Twilio, settings, text, to_customer};

/// The calls of Twilio's page, in short.
impl Twilio {
    pub(super) async fn flow(&self, channel_type: &str, more: &[(&str, &str)]) -> String {
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

    pub(super) async fn channel(&self, flow: &str, customer: &str, name: &str) -> Value {
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

    pub(super) fn sessions(&self) -> String {
        format!(
            "proxy/v1/Services/{}/Sessions",
            self.sid("proxy_service_sid")
        )
    }

    pub(super) async fn session(&self, name: &str, participant: &Value) -> Value {
        let participant = participant.to_string();
        let form = [
            ("UniqueName", name),
            ("Mode", "message-only"),
            ("Ttl", "3600"),
            ("Participants", &participant),
        ];
        self.made(&self.sessions(), &form).await
    }

    pub(super) async fn participant(&self, session: &str, identifier: &str) -> Value {
        let path = format!("{}/{session}/Participants", self.sessions());
        let form = [
            ("Identifier", identifier),
            ("ProxyIdentifier", SENDER),
            ("FriendlyName", CUSTOMER),
        ];
        self.made(&path, &form).await
    }

    pub(super) fn chat(&self, channel: &str) -> String {
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
    pub(super) async fn connected(&self, flow: &str, name: &str) -> (String, String) {
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
