//! Twilio's client against a server within the process: each method's call, and the paused clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flexcast::twilio::{
    BaseUrl, CallError, ClientSettings, ConversationsOf, Credentials, Dropped, Form, InProcess,
    NewConversation, NewConversationMessage, NewConversationParticipant, NewFlexChannel,
    NewFlexFlow, NewInteraction, NewProxyParticipant, NewSession, Operation, Transport, Twilio,
    WorkersWhere,
};
use serde_json::{Map, Value, json};

const ACCOUNT: &str = "AC00000000000000000000000000000001";

fn client(server: Arc<dyn InProcess>) -> Twilio {
    let credentials = Credentials::auth_token(ACCOUNT, "token".into()).expect("credentials");
    let base = BaseUrl::at("http://simulator.invalid").expect("an address");
    Twilio::new(
        ClientSettings::new(credentials, base),
        Transport::InProcess(server),
    )
}

/// Takes a request and never answers.
struct Mute;

#[async_trait]
impl InProcess for Mute {
    async fn call(&self, _request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Dropped> {
        std::future::pending().await
    }
}

/// Keeps the requests and answers each with an empty list of everything.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

#[async_trait]
impl InProcess for Recorder {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Dropped> {
        let line = format!(
            "{} {} {}",
            request.method(),
            request.uri(),
            String::from_utf8_lossy(request.body())
        );
        self.0.lock().expect("no panic holds it").push(line);
        let mut reply = json!({"meta": {"next_page_url": null}});
        for key in [
            "flex_flows",
            "channels",
            "services",
            "sessions",
            "participants",
            "interactions",
            "messages",
            "webhooks",
            "conversations",
            "workspaces",
            "workflows",
            "task_queues",
            "workers",
            "tasks",
        ] {
            reply[key] = json!([]);
        }
        Ok(http::Response::new(Bytes::from(reply.to_string())))
    }
}

impl Recorder {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no panic holds it"))
    }
}

/// Compares the requests since the last comparison.
fn assert_requests(recorder: &Recorder, expected: &[&str]) {
    let seen: Vec<String> = recorder
        .take()
        .iter()
        .map(|line| {
            line.replace("http://simulator.invalid", "")
                .trim()
                .to_owned()
        })
        .collect();
    assert_eq!(seen, expected);
}

/// The reply holds lists alone: whoever reads one resource says that it is broken.
fn assert_broken<T: std::fmt::Debug>(result: Result<T, CallError>) {
    assert!(result.expect_err("no resource").is_in_doubt());
}

#[tokio::test(start_paused = true)]
async fn the_time_out_follows_the_paused_clock() {
    let client = client(Arc::new(Mute));
    let begun = tokio::time::Instant::now();
    let error = client.fetch_configuration().await.expect_err("no reply");
    assert!(error.is_in_doubt(), "{error}");
    assert_eq!(begun.elapsed(), client.timeout());
}

#[tokio::test]
async fn flex_is_called_as_twilio_documents_it() {
    let recorder = Arc::new(Recorder::default());
    let client = client(recorder.clone());
    client.fetch_configuration().await.expect("all optional");
    client.list_flex_flows().await.expect("a list");
    let flow = NewFlexFlow {
        friendly_name: "f",
        chat_service_sid: "IS1",
        channel_type: "sms",
        contact_identity: "s",
        workspace_sid: "WS1",
        workflow_sid: "WW1",
        task_channel: "sms",
        creation_on_message: false,
        janitor_enabled: true,
    };
    assert_broken(client.create_flex_flow(&flow).await);
    assert_broken(client.create_flex_channel(&NewFlexChannel::default()).await);
    assert_broken(client.fetch_flex_channel("CH1").await);
    let new = NewInteraction {
        channel: json!({"type": "sms"}),
        routing: json!({}),
    };
    assert_broken(client.create_interaction(&new).await);
    assert_broken(client.fetch_interaction("KD1").await);
    client
        .list_interaction_channels("KD1")
        .await
        .expect("a list");
    let closed = client.close_interaction_channel("KD1", "UO1").await;
    closed.expect("what the reply says is not read");
    assert_requests(
        &recorder,
        &[
            "GET /flex-api/v1/Configuration",
            "GET /flex-api/v1/FlexFlows?PageSize=100",
            "POST /flex-api/v1/FlexFlows FriendlyName=f&ChatServiceSid=IS1&ChannelType=sms\
             &ContactIdentity=s&Enabled=false&IntegrationType=task&Integration.WorkspaceSid=WS1\
             &Integration.WorkflowSid=WW1&Integration.Channel=sms\
             &Integration.CreationOnMessage=false&LongLived=false&JanitorEnabled=true",
            "POST /flex-api/v1/Channels FlexFlowSid=&Identity=&ChatUserFriendlyName=\
             &ChatFriendlyName=",
            "GET /flex-api/v1/Channels/CH1",
            "POST /flex-api/v1/Interactions Channel=%7B%22type%22%3A%22sms%22%7D&Routing=%7B%7D",
            "GET /flex-api/v1/Interactions/KD1",
            "GET /flex-api/v1/Interactions/KD1/Channels?PageSize=100",
            "POST /flex-api/v1/Interactions/KD1/Channels/UO1 Status=closed\
             &Routing=%7B%22status%22%3A%22closed%22%7D",
        ],
    );
}

#[tokio::test]
async fn proxy_and_chat_are_called_as_twilio_documents_them() {
    let recorder = Arc::new(Recorder::default());
    let client = client(recorder.clone());
    client.list_proxy_services().await.expect("a list");
    assert_broken(client.create_session("KS1", &NewSession::default()).await);
    assert_broken(client.fetch_session("KS1", "CH1").await);
    client.list_sessions("KS1").await.expect("a list");
    client.delete_session("KS1", "KC1").await.expect("deleted");
    let participant = NewProxyParticipant {
        identifier: "CH1",
        ..NewProxyParticipant::default()
    };
    let made = client.create_proxy_participant("KS1", "KC1", &participant);
    assert_broken(made.await);
    let listed = client.list_message_interactions("KS1", "KC1", "KP1").await;
    assert!(listed.expect("a list").is_empty());
    let listed = client.list_proxy_interactions("KS1", "KC1").await;
    assert!(listed.expect("a list").is_empty());
    assert_broken(client.fetch_chat_channel("IS1", "fc-1").await);
    let attributes = Map::from_iter([("flexcast".to_owned(), Value::from("fc-1"))]);
    let sent = client.create_chat_message("IS1", "CH1", Some("x"), "b", Some(&attributes));
    assert_broken(sent.await);
    client
        .list_chat_messages("IS1", "CH1", 20)
        .await
        .expect("a list");
    assert_requests(
        &recorder,
        &[
            "GET /proxy/v1/Services?PageSize=100",
            "POST /proxy/v1/Services/KS1/Sessions UniqueName=&Mode=message-only",
            "GET /proxy/v1/Services/KS1/Sessions/CH1",
            "GET /proxy/v1/Services/KS1/Sessions?PageSize=100",
            "DELETE /proxy/v1/Services/KS1/Sessions/KC1",
            "POST /proxy/v1/Services/KS1/Sessions/KC1/Participants Identifier=CH1",
            "GET /proxy/v1/Services/KS1/Sessions/KC1/Participants/KP1/MessageInteractions\
             ?PageSize=100",
            "GET /proxy/v1/Services/KS1/Sessions/KC1/Interactions?PageSize=100",
            "GET /chat/v2/Services/IS1/Channels/fc-1",
            "POST /chat/v2/Services/IS1/Channels/CH1/Messages From=x\
             &Attributes=%7B%22flexcast%22%3A%22fc-1%22%7D&Body=b",
            "GET /chat/v2/Services/IS1/Channels/CH1/Messages?Order=desc&PageSize=20",
        ],
    );
}

#[tokio::test]
async fn conversations_are_called_as_twilio_documents_them() {
    let recorder = Arc::new(Recorder::default());
    let client = client(recorder.clone());
    let new = NewConversation {
        unique_name: "fc-1",
        closed_after: Some(Duration::from_secs(259_200)),
        ..NewConversation::default()
    };
    assert_broken(client.create_conversation(&new).await);
    assert_broken(client.fetch_conversation("fc-1").await);
    client
        .close_conversation("CH1", &serde_json::Map::new())
        .await
        .expect("closed");
    let participant = NewConversationParticipant::Binding {
        address: "c",
        proxy_address: "s",
        attributes: None,
    };
    assert_broken(client.create_participant("CH1", &participant).await);
    client.list_participants("CH1").await.expect("a list");
    assert_broken(client.create_webhook("CH1", "FW1").await);
    client.list_webhooks("CH1").await.expect("a list");
    let variables = Map::from_iter([("1".to_owned(), Value::from("Clark"))]);
    let message = NewConversationMessage {
        author: Some("system"),
        content_sid: Some("HX1"),
        content_variables: Some(&variables),
        ..NewConversationMessage::default()
    };
    assert_broken(client.create_message("CH1", &message).await);
    client.list_messages("CH1", 500).await.expect("a list");
    for of in [
        ConversationsOf::Address("c"),
        ConversationsOf::Identity("i"),
    ] {
        let listed = client.list_participant_conversations(of).await;
        assert!(listed.expect("a list").is_empty());
    }
    assert_requests(
        &recorder,
        &[
            "POST /conversations/v1/Conversations UniqueName=fc-1&Timers.Closed=PT259200S",
            "GET /conversations/v1/Conversations/fc-1",
            "POST /conversations/v1/Conversations/CH1 State=closed&Attributes=%7B%7D",
            "POST /conversations/v1/Conversations/CH1/Participants MessagingBinding.Address=c\
             &MessagingBinding.ProxyAddress=s",
            "GET /conversations/v1/Conversations/CH1/Participants?PageSize=100",
            "POST /conversations/v1/Conversations/CH1/Webhooks Target=studio\
             &Configuration.FlowSid=FW1",
            "GET /conversations/v1/Conversations/CH1/Webhooks?PageSize=5",
            "POST /conversations/v1/Conversations/CH1/Messages Author=system&ContentSid=HX1\
             &ContentVariables=%7B%221%22%3A%22Clark%22%7D",
            "GET /conversations/v1/Conversations/CH1/Messages?Order=desc&PageSize=100",
            "GET /conversations/v1/ParticipantConversations?Address=c&PageSize=50",
            "GET /conversations/v1/ParticipantConversations?Identity=i&PageSize=50",
        ],
    );
}

#[tokio::test]
async fn taskrouter_is_called_as_twilio_documents_it() {
    let recorder = Arc::new(Recorder::default());
    let client = client(recorder.clone());
    client.list_workspaces().await.expect("a list");
    client.list_workflows("WS1").await.expect("a list");
    client.list_task_queues("WS1").await.expect("a list");
    client.list_task_channels("WS1").await.expect("a list");
    for which in [
        WorkersWhere::All,
        WorkersWhere::FriendlyName("a b"),
        WorkersWhere::Expression("a == 1"),
    ] {
        client.list_workers("WS1", which).await.expect("a list");
    }
    assert_broken(client.fetch_worker("WS1", "WK1").await);
    let channels = client.list_worker_channels("WS1", "WK1").await;
    assert!(channels.expect("a list").is_some());
    client
        .list_tasks("WS1", "x == \"fc-1\"")
        .await
        .expect("a list");
    assert_broken(client.fetch_task("WS1", "WT1").await);
    client
        .cancel_task("WS1", "WT1", "undone")
        .await
        .expect("done");
    assert_requests(
        &recorder,
        &[
            "GET /taskrouter/v1/Workspaces?PageSize=100",
            "GET /taskrouter/v1/Workspaces/WS1/Workflows?PageSize=100",
            "GET /taskrouter/v1/Workspaces/WS1/TaskQueues?PageSize=100",
            "GET /taskrouter/v1/Workspaces/WS1/TaskChannels?PageSize=100",
            "GET /taskrouter/v1/Workspaces/WS1/Workers?PageSize=1000",
            "GET /taskrouter/v1/Workspaces/WS1/Workers?FriendlyName=a+b&PageSize=1000",
            "GET /taskrouter/v1/Workspaces/WS1/Workers?TargetWorkersExpression=a+%3D%3D+1\
             &PageSize=1000",
            "GET /taskrouter/v1/Workspaces/WS1/Workers/WK1",
            "GET /taskrouter/v1/Workspaces/WS1/Workers/WK1/Channels?PageSize=100",
            "GET /taskrouter/v1/Workspaces/WS1/Tasks\
             ?EvaluateTaskAttributes=x+%3D%3D+%22fc-1%22&PageSize=100",
            "GET /taskrouter/v1/Workspaces/WS1/Tasks/WT1",
            "POST /taskrouter/v1/Workspaces/WS1/Tasks/WT1 AssignmentStatus=canceled&Reason=undone",
        ],
    );
}

#[tokio::test]
async fn parameters_that_do_not_fit_the_path_are_not_sent() {
    let recorder = Arc::new(Recorder::default());
    let client = client(recorder.clone());
    let operation = Operation::DeleteSession;
    for params in [&["KS1"][..], &["KS1", ""], &["KS1", "KC1", "x"]] {
        let sent = client.call::<Value>(operation, params, Form::new()).await;
        assert!(matches!(sent, Err(CallError::Malformed { .. })), "{sent:?}");
    }
    assert_requests(&recorder, &[]);
}
