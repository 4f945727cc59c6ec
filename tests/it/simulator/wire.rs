//! The wire: credentials, pages, errors, the simulator's own endpoints, and one seed, one world.

use flexcast::simulator::EffectKind;
use serde_json::json;

use super::{CUSTOMER, SENDER, Twilio, settings, text};

#[tokio::test]
async fn wrong_credentials_are_401_with_20003() {
    let twilio = Twilio::on_a_port(settings()).await;
    let (client, address) = twilio.tcp.as_ref().expect("on a port");
    let url = format!("http://{address}/flex-api/v1/Configuration");
    let none = client.get(&url).send().await.expect("a reply");
    assert_eq!(none.status(), 401);
    let wrong = client.get(&url).basic_auth("AC1", Some("x"));
    let reply = wrong.send().await.expect("a reply");
    let body = reply.bytes().await.expect("a body");
    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["code"], 20003);
    let statuses: Vec<_> = twilio
        .simulator
        .requests()
        .iter()
        .map(|r| r.status)
        .collect();
    assert_eq!(statuses, [Some(401), Some(401)]);
}

#[tokio::test]
async fn the_configuration_names_what_a_campaign_needs() {
    let twilio = Twilio::on_a_port(settings()).await;
    let (_, configuration) = twilio.get("flex-api/v1/Configuration").await;
    let workspace = text(&configuration, "taskrouter_workspace_sid");
    let (_, services) = twilio.get("proxy/v1/Services").await;
    let chat = &configuration["chat_service_instance_sid"];
    assert_eq!(&services["services"][0]["chat_instance_sid"], chat);
    for (list, key, wanted) in [
        ("Workflows", "workflows", "taskrouter_target_workflow_sid"),
        (
            "TaskQueues",
            "task_queues",
            "taskrouter_target_taskqueue_sid",
        ),
    ] {
        let path = format!("taskrouter/v1/Workspaces/{workspace}/{list}");
        let (_, found) = twilio.get(&path).await;
        assert_eq!(found[key][0]["sid"], configuration[wanted]);
    }
    let path = format!("taskrouter/v1/Workspaces/{workspace}/TaskChannels");
    let (_, found) = twilio.get(&path).await;
    let names: Vec<_> = found["channels"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| text(c, "unique_name"))
        .collect();
    for name in ["default", "chat", "sms", "whatsapp", "messenger", "custom"] {
        assert!(names.iter().any(|found| found == name), "{name}");
    }
    let (_, workers) = twilio
        .get(&format!(
            "taskrouter/v1/Workspaces/{workspace}/Workers?FriendlyName=alice"
        ))
        .await;
    let attributes = text(&workers["workers"][0], "attributes");
    assert!(attributes.contains(r#""contact_uri":"client:alice""#));
}

#[tokio::test]
async fn a_list_leads_from_page_to_page_under_the_same_address() {
    let twilio = Twilio::on_a_port(settings()).await;
    for n in 0..5 {
        twilio.conversation(&format!("c{n}"), &[]).await;
    }
    let mut names = Vec::new();
    let mut path = "conversations/v1/Conversations?PageSize=2".to_owned();
    loop {
        let (_, page) = twilio.get(&path).await;
        let list = page["conversations"].as_array().expect("a list");
        names.extend(list.iter().map(|one| text(one, "unique_name")));
        let Some(next) = page["meta"]["next_page_url"].as_str() else {
            break;
        };
        path = next.to_owned();
    }
    assert_eq!(names, ["c0", "c1", "c2", "c3", "c4"]);
}

#[tokio::test]
async fn what_does_not_exist_is_404() {
    let twilio = Twilio::on_a_port(settings()).await;
    for path in [
        "flex-api/v1/Nonsense",
        "conversations/v1/Conversations/none",
        "elsewhere/v1/x",
    ] {
        let (status, body) = twilio.get(path).await;
        assert_eq!(
            (status, body["code"].as_u64()),
            (404, Some(20404)),
            "{path}"
        );
    }
    let operations: Vec<_> = twilio
        .simulator
        .requests()
        .iter()
        .map(|r| r.operation)
        .collect();
    assert_eq!(operations, ["unknown", "fetch_conversation", "unknown"]);
}

#[tokio::test]
async fn effects_requests_and_replies_are_endpoints_of_its_own() {
    let twilio = Twilio::on_a_port(settings()).await;
    let sid = twilio.conversation("a", &[]).await;
    twilio.join(&sid, CUSTOMER, SENDER).await;
    let reply = json!({"customer": CUSTOMER, "sender": SENDER, "body": "hi"}).to_string();
    let sent = twilio.send("POST", "_simulator/replies", reply).await;
    let (status, reached) = sent.expect("a reply");
    assert_eq!((status, &reached["sid"]), (201, &json!(sid)));
    let (_, effects) = twilio.get("_simulator/effects").await;
    let effect = &effects[0];
    assert_eq!(effect["kind"], "conversation");
    assert_eq!(effect["customer"], CUSTOMER);
    assert_eq!(effect["sender"], SENDER);
    assert_eq!(effect["state"], "active");
    let (_, requests) = twilio.get("_simulator/requests").await;
    assert_eq!(requests[0]["operation"], "create_conversation");
    assert_eq!(requests[0]["status"], 201);
    assert_eq!(requests.as_array().map(Vec::len), Some(2));
    let nobody = json!({"customer": "+12025550199", "sender": SENDER, "body": "hi"}).to_string();
    let sent = twilio.send("POST", "_simulator/replies", nobody).await;
    assert_eq!(sent.expect("a reply").0, 404);
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_one_world_byte_for_byte() {
    let mut worlds = Vec::new();
    for seed in [5, 5, 6] {
        let mut settings = settings();
        settings.seed = seed;
        let twilio = Twilio::in_process(settings).await;
        for n in 0..3 {
            let sid = twilio.conversation(&format!("c{n}"), &[]).await;
            twilio.join(&sid, &format!("+1202555017{n}"), SENDER).await;
            let path = format!("conversations/v1/Conversations/{sid}/Messages");
            twilio.made(&path, &[("Body", "Hello")]).await;
        }
        assert_eq!(twilio.effects(EffectKind::Message).len(), 3);
        worlds.push(json!([twilio.simulator.effects(), twilio.simulator.requests()]).to_string());
    }
    assert_eq!(worlds[0], worlds[1]);
    assert_ne!(worlds[0], worlds[2]);
}
