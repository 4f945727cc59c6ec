//! Interactions: asynchronous, for an agent or for any.

use std::time::Duration;

use flexcast::simulator::{BusyInteraction, EffectKind, Settings};
use serde_json::{Value, json};

use super::{CUSTOMER, SENDER, Twilio, settings, text};

const INTERACTIONS: &str = "flex-api/v1/Interactions";

impl Twilio {
    fn routing(&self, more: &Value) -> Value {
        let mut properties = json!({
            "workspace_sid": self.sid("workspace_sid"),
            "workflow_sid": self.sid("workflow_sid"),
            "task_channel_unique_name": "sms",
            "attributes": {"flexcast": "fc-1", "customerName": "Clark"},
        });
        for (name, value) in more.as_object().expect("an object") {
            properties[name] = value.clone();
        }
        json!({"properties": properties})
    }

    async fn interact(&self, channel: &Value, routing: &Value) -> (u16, Value) {
        let (channel, routing) = (channel.to_string(), routing.to_string());
        let form = [("Channel", channel.as_str()), ("Routing", &routing)];
        self.post(INTERACTIONS, &form).await
    }

    async fn for_alice(&self) -> Value {
        let worker = self.simulator.add_agent("alice");
        let routing = json!({"queue_sid": self.sid("queue_sid"), "worker_sid": worker});
        let channel = json!({"type": "sms", "initiated_by": "agent",
            "participants": [{"address": CUSTOMER, "proxy_address": SENDER}]});
        let (status, made) = self.interact(&channel, &self.routing(&routing)).await;
        assert_eq!(status, 200, "{made}");
        made
    }

    async fn channel_of(&self, interaction: &Value) -> Value {
        let path = format!("{INTERACTIONS}/{}/Channels", text(interaction, "sid"));
        self.get(&path).await.1["channels"][0].clone()
    }

    async fn tasks(&self) -> Value {
        let workspace = self.sid("workspace_sid");
        let marked = "EvaluateTaskAttributes=flexcast%3D%3D%22fc-1%22";
        let path = format!("taskrouter/v1/Workspaces/{workspace}/Tasks?{marked}");
        self.get(&path).await.1["tasks"].clone()
    }
}

#[tokio::test(start_paused = true)]
async fn an_agents_interaction_has_its_conversation_and_task_when_the_set_up_is_done() {
    let twilio = Twilio::in_process(settings()).await;
    let made = twilio.for_alice().await;
    assert_eq!(twilio.channel_of(&made).await["status"], "setup");
    assert_eq!(twilio.tasks().await, json!([]));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(twilio.channel_of(&made).await["status"], "active");
    let tasks = twilio.tasks().await;
    assert_eq!(tasks[0]["sid"], made["routing"]["properties"]["sid"]);
    assert_eq!(tasks[0]["assignment_status"], "reserved");
    let attributes: Value = serde_json::from_str(&text(&tasks[0], "attributes")).expect("JSON");
    assert_eq!(attributes["customerName"], "Clark");
    let conversation = text(&attributes, "conversationSid");
    let path = format!("conversations/v1/Conversations/{conversation}/Participants");
    let (_, participants) = twilio.get(&path).await;
    let binding = &participants["participants"][0]["messaging_binding"];
    assert_eq!(binding["address"], CUSTOMER);
    assert_eq!(binding["proxy_address"], SENDER);
    assert_eq!(twilio.messages(), []);
    let effect = &twilio.effects(EffectKind::Interaction)[0];
    assert_eq!(
        (effect.state.as_str(), effect.agent.as_deref()),
        ("active", Some("alice"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_set_up_fails_for_a_busy_customer_or_by_a_fault_and_leaves_nothing() {
    let twilio = Twilio::in_process(Settings {
        busy_interaction: BusyInteraction::Fails,
        ..settings()
    })
    .await;
    let busy = twilio.conversation("theirs", &[]).await;
    twilio.join(&busy, CUSTOMER, SENDER).await;
    let first = twilio.for_alice().await;
    let faults = json!({"rules": [{"operation": "create_interaction", "kind": "setup_failure"}]});
    let put = twilio
        .send("PUT", "_simulator/faults", faults.to_string())
        .await;
    assert_eq!(put.expect("a reply").0, 204);
    let second = twilio.for_alice().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (made, code) in [(first, 50416), (second, 19025)] {
        let channel = twilio.channel_of(&made).await;
        assert_eq!(
            (&channel["status"], &channel["error_code"]),
            (&json!("failed"), &json!(code))
        );
    }
    assert_eq!(twilio.tasks().await, json!([]));
    assert_eq!(twilio.effects(EffectKind::Conversation).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_busy_customer_is_left_out_of_the_agents_conversation() {
    let twilio = Twilio::in_process(settings()).await;
    let busy = twilio.conversation("theirs", &[]).await;
    twilio.join(&busy, CUSTOMER, SENDER).await;
    let made = twilio.for_alice().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(twilio.channel_of(&made).await["status"], "active");
    let task = &twilio.tasks().await[0];
    assert_eq!(task["assignment_status"], "reserved");
    let attributes: Value = serde_json::from_str(&text(task, "attributes")).expect("JSON");
    assert_eq!(attributes["customerAddress"], CUSTOMER);
    let conversation = text(&attributes, "conversationSid");
    let path = format!("conversations/v1/Conversations/{conversation}/Participants");
    assert_eq!(twilio.get(&path).await.1["participants"], json!([]));
    // What the customer writes goes to the conversation that they are in.
    let reached = twilio.simulator.reply(CUSTOMER, SENDER, "hi");
    assert_eq!(reached.expect("arrives").sid, busy);
}

#[tokio::test]
async fn the_apis_interaction_takes_a_named_conversation_once_and_can_be_undone() {
    let twilio = Twilio::on_a_port(Settings {
        interaction_setup: Duration::ZERO,
        ..settings()
    })
    .await;
    let conversation = twilio.conversation("fc-1", &[]).await;
    twilio.join(&conversation, CUSTOMER, SENDER).await;
    let channel = json!({"type": "sms", "initiated_by": "api",
        "properties": {"media_channel_sid": conversation}});
    let routing = twilio.routing(&json!({}));
    let (_, made) = twilio.interact(&channel, &routing).await;
    let (status, again) = twilio.interact(&channel, &routing).await;
    assert_eq!((status, again["code"].as_u64()), (409, Some(45353)));
    let tasks = twilio.tasks().await;
    assert_eq!(tasks.as_array().map(Vec::len), Some(1));
    assert_eq!(tasks[0]["assignment_status"], "pending");
    assert_eq!(
        twilio.effects(EffectKind::Task)[0].customer.as_deref(),
        Some(CUSTOMER)
    );

    let channel = twilio.channel_of(&made).await;
    assert_eq!(channel["status"], "active");
    let path = format!(
        "{INTERACTIONS}/{}/Channels/{}",
        text(&made, "sid"),
        text(&channel, "sid")
    );
    twilio.made(&path, &[("Status", "closed")]).await;
    assert_eq!(twilio.tasks().await[0]["assignment_status"], "canceled");
    assert_eq!(twilio.effects(EffectKind::Conversation)[0].state, "closed");
}

#[tokio::test(start_paused = true)]
async fn a_task_is_gone_five_minutes_after_its_end_and_not_before() {
    for kept in [Some(Duration::from_secs(300)), None] {
        let twilio = Twilio::in_process(Settings {
            ended_tasks_kept: kept,
            ..settings()
        })
        .await;
        let made = twilio.for_alice().await;
        let task = text(&made["routing"]["properties"], "sid");
        let workspace = twilio.sid("workspace_sid");
        let path = format!("taskrouter/v1/Workspaces/{workspace}/Tasks/{task}");
        // An open task stays: only its end starts the five minutes.
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(twilio.get(&path).await.1["assignment_status"], "reserved");
        twilio
            .made(&path, &[("AssignmentStatus", "canceled")])
            .await;
        tokio::time::sleep(Duration::from_secs(299)).await;
        assert_eq!(twilio.tasks().await[0]["assignment_status"], "canceled");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (status, body) = twilio.get(&path).await;
        let (_, all) = twilio
            .get(&format!("taskrouter/v1/Workspaces/{workspace}/Tasks"))
            .await;
        if kept.is_some() {
            assert_eq!((status, body["code"].as_u64()), (404, Some(20404)));
            assert_eq!(
                (twilio.tasks().await, &all["tasks"]),
                (json!([]), &json!([]))
            );
            let refused = twilio.refused(&path, &[("Reason", "late")]).await;
            assert_eq!(refused, (404, 20404));
        } else {
            assert_eq!(
                (status, all["tasks"].as_array().map(Vec::len)),
                (200, Some(1))
            );
        }
    }
}

#[tokio::test]
async fn what_an_interaction_lacks_is_named() {
    let twilio = Twilio::on_a_port(settings()).await;
    let people = json!([{"address": CUSTOMER, "proxy_address": SENDER}]);
    let agent = json!({"type": "sms", "initiated_by": "agent", "participants": people});
    let table = [
        (
            json!({"type": "sms", "initiated_by": "agent"}),
            json!({}),
            "participants",
        ),
        (agent.clone(), json!({}), "queue_sid"),
        (agent, json!({"workspace_sid": "WS1"}), "workspace_sid"),
        (
            json!({"type": "pigeon", "initiated_by": "api"}),
            json!({}),
            "type",
        ),
        (
            json!({"type": "sms", "initiated_by": "customer"}),
            json!({}),
            "media_channel_sid",
        ),
    ];
    for (channel, routing, named) in table {
        let (status, refused) = twilio.interact(&channel, &twilio.routing(&routing)).await;
        assert_eq!((status, refused["code"].as_u64()), (400, Some(20001)));
        assert!(text(&refused, "message").contains(named), "{refused}");
    }
}

#[tokio::test]
async fn an_agent_takes_as_many_tasks_as_there_is_capacity_for() {
    let twilio = Twilio::on_a_port(Settings {
        agent_capacity: 1,
        interaction_setup: Duration::ZERO,
        ..settings()
    })
    .await;
    let alice = twilio.simulator.add_agent("alice");
    let attributes = json!({"targetWorker": "client:alice"}).to_string();
    let tasks = format!(
        "taskrouter/v1/Workspaces/{}/Tasks",
        twilio.sid("workspace_sid")
    );
    let form = [("Attributes", attributes.as_str()), ("TaskChannel", "sms")];
    let first = text(&twilio.made(&tasks, &form).await, "sid");
    let second = text(&twilio.made(&tasks, &form).await, "sid");
    let state = async |task: &str| {
        let (_, task) = twilio.get(&format!("{tasks}/{task}")).await;
        text(&task, "assignment_status")
    };
    assert_eq!(state(&first).await, "reserved");
    assert_eq!(state(&second).await, "pending");
    let workspace = twilio.sid("workspace_sid");
    let path = format!("taskrouter/v1/Workspaces/{workspace}/Workers/{alice}/Channels");
    let (_, channels) = twilio.get(&path).await;
    let all = channels["channels"].as_array().expect("a list").iter();
    let sms = all
        .clone()
        .find(|one| one["task_channel_unique_name"] == "sms");
    assert_eq!(sms.expect("sms")["assigned_tasks"], 1);
    let cancel = [("AssignmentStatus", "canceled")];
    twilio.made(&format!("{tasks}/{first}"), &cancel).await;
    assert_eq!(state(&second).await, "reserved");
    let (_, list) = twilio.get(&format!("{tasks}/{second}/Reservations")).await;
    let path = format!(
        "{tasks}/{second}/Reservations/{}",
        text(&list["reservations"][0], "sid")
    );
    twilio
        .made(&path, &[("ReservationStatus", "accepted")])
        .await;
    assert_eq!(state(&second).await, "assigned");
    let refused = twilio.refused(&format!("{tasks}/{second}"), &cancel).await;
    assert_eq!(refused, (400, 20001));
}

#[tokio::test]
async fn unknown_agents_are_hired_when_the_settings_say_so() {
    for (hire_unknown_agents, found) in [(true, 1), (false, 0)] {
        let twilio = Twilio::on_a_port(Settings {
            hire_unknown_agents,
            ..settings()
        })
        .await;
        let workspace = twilio.sid("workspace_sid");
        for query in [
            "FriendlyName=bob",
            "TargetWorkersExpression=contact_uri%3D%3D%27client%3Acarol%27",
        ] {
            let path = format!("taskrouter/v1/Workspaces/{workspace}/Workers?{query}");
            let (_, list) = twilio.get(&path).await;
            assert_eq!(
                list["workers"].as_array().map(Vec::len),
                Some(found),
                "{query}"
            );
        }
    }
}
