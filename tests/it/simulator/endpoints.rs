//! The endpoints that no saga needs, and that people and SDKs look around with.

use std::time::Duration;

use flexcast::simulator::{EffectKind, Settings};
use serde_json::{Value, json};

use super::{CUSTOMER, SENDER, Twilio, settings, text};

impl Twilio {
    /// The named list, which must not be empty.
    async fn list(&self, path: &str, key: &str) -> Vec<Value> {
        let (status, body) = self.get(path).await;
        assert_eq!((status, &body["meta"]["key"]), (200, &json!(key)), "{path}");
        let list = body[key].as_array().expect("a list").clone();
        assert!(!list.is_empty(), "{path}");
        list
    }

    async fn fetched(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

#[tokio::test]
async fn flex_and_chat_can_be_looked_around_in() {
    let twilio = Twilio::on_a_port(settings()).await;
    let flow = twilio.flow("sms", &[]).await;
    let (channel, _) = twilio.connected(&flow, "fc-1").await;
    let path = format!("flex-api/v1/FlexFlows/{flow}");
    assert_eq!(twilio.fetched(&path).await["enabled"], false);
    let changed = twilio.made(&path, &[("JanitorEnabled", "true")]).await;
    assert_eq!(changed["janitor_enabled"], true);
    let listed = twilio
        .list("flex-api/v1/Channels", "flex_chat_channels")
        .await;
    assert_eq!(listed[0]["sid"], channel.as_str());

    let members = format!("{}/Members", twilio.chat(&channel));
    twilio.made(&members, &[("Identity", "alice")]).await;
    assert_eq!(twilio.list(&members, "members").await.len(), 2);
    let messages = format!("{}/Messages", twilio.chat(&channel));
    let said = twilio.made(&messages, &[("Body", "Hello")]).await;
    let message = format!("{messages}/{}", text(&said, "sid"));
    assert_eq!(twilio.fetched(&message).await, said);
    let chats = twilio.chat("");
    let chats = chats.trim_end_matches('/');
    let form = [("UniqueName", "mine"), ("Type", "public")];
    twilio.made(chats, &form).await;
    assert_eq!(twilio.refused(chats, &form).await, (409, 50307));
    // Without a filter public channels alone are listed.
    assert_eq!(twilio.list(chats, "channels").await.len(), 1);
    let private = twilio
        .list(&format!("{chats}?Type=private"), "channels")
        .await;
    assert_eq!(private[0]["sid"], channel.as_str());
    assert_eq!(twilio.delete(&twilio.chat("mine")).await, 204);
    assert_eq!(twilio.get(&twilio.chat("mine")).await.0, 404);

    let gone = format!("flex-api/v1/Channels/{channel}");
    assert_eq!(twilio.delete(&gone).await, 204);
    assert_eq!(twilio.get(&gone).await.1["code"], 45204);
    assert_eq!(twilio.effects(EffectKind::Channel)[0].state, "deleted");
    assert_eq!(twilio.delete(&path).await, 204);
    assert_eq!(twilio.get(&path).await.0, 404);
}

#[tokio::test]
async fn proxy_can_be_looked_around_in() {
    let twilio = Twilio::on_a_port(settings()).await;
    let flow = twilio.flow("sms", &[]).await;
    let (_, session) = twilio.connected(&flow, "fc-1").await;
    let sessions = twilio.sessions();
    assert_eq!(
        twilio.list(&sessions, "sessions").await[0]["sid"],
        session.as_str()
    );
    let service = sessions.trim_end_matches("/Sessions");
    let found = twilio.fetched(service).await;
    assert_eq!(found["sid"], twilio.sid("proxy_service_sid"));
    let numbers = format!("{service}/PhoneNumbers");
    let used: Vec<_> = twilio.list(&numbers, "phone_numbers").await;
    let sender = used.iter().find(|one| one["phone_number"] == SENDER);
    assert_eq!(sender.expect("added on its first use")["in_use"], 2);
    let another = [("PhoneNumber", "+12025550195")];
    twilio.made(&numbers, &another).await;
    assert_eq!(twilio.refused(&numbers, &another).await, (400, 80104));

    let participants = format!("{sessions}/{session}/Participants");
    let first = twilio.list(&participants, "participants").await[0].clone();
    let path = format!("{participants}/{}", text(&first, "sid"));
    assert_eq!(twilio.fetched(&path).await, first);
    let messages = format!("{path}/MessageInteractions");
    let sent = twilio.made(&messages, &[("Body", "Hello")]).await;
    let message = format!("{messages}/{}", text(&sent, "sid"));
    assert_eq!(twilio.fetched(&message).await, sent);
    assert_eq!(twilio.refused(&messages, &[]).await, (400, 20001));
}

#[tokio::test]
async fn conversations_can_be_looked_around_in() {
    let twilio = Twilio::on_a_port(settings()).await;
    let sid = twilio.conversation("a", &[]).await;
    let path = format!("conversations/v1/Conversations/{sid}");
    let joined = twilio.join(&sid, CUSTOMER, SENDER).await;
    let participant = format!("{path}/Participants/{}", text(&joined, "sid"));
    assert_eq!(twilio.fetched(&participant).await, joined);
    let said = twilio
        .made(&format!("{path}/Messages"), &[("Body", "Hello")])
        .await;
    let message = format!("{path}/Messages/{}", text(&said, "sid"));
    assert_eq!(twilio.fetched(&message).await, said);
    let hook = [
        ("Target", "webhook"),
        ("Configuration.Url", "http://127.0.0.1:1/"),
        ("Configuration.Filters", "onMessageAdded"),
    ];
    let hook = twilio.made(&format!("{path}/Webhooks"), &hook).await;
    let hook = format!("{path}/Webhooks/{}", text(&hook, "sid"));
    assert_eq!(twilio.delete(&hook).await, 204);
    assert_eq!(twilio.delete(&hook).await, 404);
    assert_eq!(twilio.delete(&participant).await, 204);
    let other = twilio.conversation("b", &[]).await;
    twilio.join(&other, CUSTOMER, SENDER).await;
    assert_eq!(twilio.delete(&path).await, 204);
    assert_eq!(twilio.get(&path).await.0, 404);
    twilio.conversation("a", &[]).await;
    let configuration = twilio.fetched("conversations/v1/Configuration").await;
    let service = twilio.sid("chat_service_sid");
    assert_eq!(configuration["default_chat_service_sid"], service);
}

#[tokio::test]
async fn an_invite_brings_another_task_into_the_conversation() {
    let twilio = Twilio::on_a_port(Settings {
        interaction_setup: Duration::ZERO,
        ..settings()
    })
    .await;
    let channel = json!({"type": "sms", "initiated_by": "api",
        "participants": [{"address": CUSTOMER, "proxy_address": SENDER}]});
    let routing = json!({"properties": {"workspace_sid": twilio.sid("workspace_sid")}});
    let (channel, routing) = (channel.to_string(), routing.to_string());
    let form = [("Channel", channel.as_str()), ("Routing", &routing)];
    let interactions = "flex-api/v1/Interactions";
    let made = twilio.made(interactions, &form).await;
    let path = format!("{interactions}/{}", text(&made, "sid"));
    assert_eq!(twilio.fetched(&path).await["sid"], made["sid"]);
    let channel = format!("{path}/Channels/{}", text(&made["channel"], "sid"));
    assert_eq!(twilio.fetched(&channel).await["status"], "active");
    let invites = format!("{channel}/Invites");
    let invite = twilio.made(&invites, &[("Routing", &routing)]).await;
    assert_eq!(
        twilio.list(&invites, "invites").await[0]["sid"],
        invite["sid"]
    );
    assert_eq!(twilio.effects(EffectKind::Task).len(), 2);
}

#[tokio::test]
async fn taskrouter_can_be_looked_around_in() {
    let twilio = Twilio::on_a_port(settings()).await;
    let workspace = format!("taskrouter/v1/Workspaces/{}", twilio.sid("workspace_sid"));
    twilio.fetched(&workspace).await;
    let workflow = format!("{workspace}/Workflows/{}", twilio.sid("workflow_sid"));
    assert!(text(&twilio.fetched(&workflow).await, "configuration").contains("targetWorker"));
    let queue = format!("{workspace}/TaskQueues/{}", twilio.sid("queue_sid"));
    assert_eq!(twilio.fetched(&queue).await["target_workers"], "1==1");
    let activities = twilio
        .list(&format!("{workspace}/Activities"), "activities")
        .await;
    let offline = activities
        .iter()
        .find(|one| one["friendly_name"] == "Offline");
    let offline = text(offline.expect("Offline"), "sid");

    let attributes = json!({"contact_uri": "client:bob_at_home"}).to_string();
    let form = [("FriendlyName", "bob"), ("Attributes", attributes.as_str())];
    let workers = format!("{workspace}/Workers");
    let bob = text(&twilio.made(&workers, &form).await, "sid");
    assert_eq!(twilio.refused(&workers, &form).await, (409, 20409));
    let path = format!("{workers}/{bob}");
    twilio.made(&path, &[("ActivitySid", &offline)]).await;
    assert_eq!(twilio.fetched(&path).await["available"], false);
    let target = json!({"targetWorker": "client:bob_at_home"}).to_string();
    let tasks = format!("{workspace}/Tasks");
    twilio.made(&tasks, &[("Attributes", &target)]).await;
    assert_eq!(
        twilio.effects(EffectKind::Task)[0].agent.as_deref(),
        Some("bob")
    );
}
