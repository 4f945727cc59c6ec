//! Twilio's client over real sockets: what it sends, and what it makes of every kind of reply.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flexcast::twilio::{
    Answer, BaseUrl, CallError, CallObserver, ClientSettings, Closed, Credentials, Form, Gate,
    NewFlexChannel, NewProxyParticipant, NewSession, Observed, Operation, Pass, Twilio,
    http_transport,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::support::scripted::{Reply, Server, header, read_request};

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const KEY: &str = "SK00000000000000000000000000000002";
const SECRET: &str = "hush-hush";
const HEX: &str = "0123456789abcdef0123456789ABCDEF";

fn settings(address: &str, timeout: Duration) -> ClientSettings {
    let credentials =
        Credentials::new(ACCOUNT, None, Some(KEY), Some(SECRET.into())).expect("credentials");
    let base = BaseUrl::at(address).expect("an address");
    ClientSettings {
        timeout,
        ..ClientSettings::new(credentials, base)
    }
}

fn client(address: &str, timeout: Duration) -> Twilio {
    let settings = settings(address, timeout);
    let transport = http_transport(&settings).expect("a transport");
    Twilio::new(settings, transport)
}

fn session() -> String {
    format!(r#"{{"sid":"KC{HEX}","status":"open","unique_name":"CH1","ttl":0}}"#)
}

fn client_of(server: &Server) -> Twilio {
    client(&server.address, Duration::from_secs(20))
}

async fn create(client: &Twilio) -> Result<String, CallError> {
    let new = NewSession {
        unique_name: "CH1",
        ..NewSession::default()
    };
    let made = client.create_session("KS1", &new).await;
    made.map(|session| session.sid)
}

fn json(status: u16, body: &str) -> Reply {
    Reply::Whole(
        status,
        "Content-Type: application/json\r\n",
        body.to_owned(),
    )
}

#[tokio::test]
async fn a_call_is_sent_as_twilios_own_library_sends_it() {
    let server = Server::start(vec![json(201, &session())]).await;
    let new = NewSession {
        unique_name: "CH1",
        ttl_secs: Some(3600),
        participants: vec![NewProxyParticipant {
            identifier: "+15550002222",
            ..NewProxyParticipant::default()
        }],
    };
    let made = client_of(&server).create_session("KS 1/2", &new).await;
    assert_eq!(made.expect("a session").sid, format!("KC{HEX}"));
    let request = &server.requests()[0];
    let (head, body) = request.split_once("\r\n\r\n").expect("a request");
    assert!(
        head.starts_with("POST /proxy/v1/Services/KS%201%2F2/Sessions HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(
        header(head, "content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(header(head, "accept"), Some("application/json"));
    assert!(header(head, "user-agent").is_some_and(|agent| agent.starts_with("flexcast/")));
    // The key and its secret, in base64: the account's SID and token would be others.
    let basic = "Basic U0swMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMjpodXNoLWh1c2g=";
    assert_eq!(header(head, "authorization"), Some(basic));
    assert_eq!(
        body,
        "UniqueName=CH1&Ttl=3600&Mode=message-only\
         &Participants=%7B%22Identifier%22%3A%22%2B15550002222%22%7D"
    );
}

#[tokio::test]
async fn a_message_is_encoded_byte_for_byte() {
    let reply = format!(r#"{{"sid":"KI{HEX}","data":"{{\"body\":\"x\"}}"}}"#);
    let server = Server::start(vec![json(200, &reply)]).await;
    let sent = client_of(&server)
        .create_message_interaction("KS1", "KC1", "KP1", "hé +1")
        .await
        .expect("sent");
    assert_eq!(sent.body(), Some("x"));
    assert!(server.requests()[0].ends_with("\r\n\r\nBody=h%C3%A9+%2B1"));
}

#[tokio::test]
async fn whoever_changes_a_channel_by_rest_can_have_its_webhooks_told() {
    let reply = format!(r#"{{"sid":"CH{HEX}","attributes":"{{\"proxySession\":\"KC1\"}}"}}"#);
    let server = Server::start(vec![json(200, &reply)]).await;
    let mut attributes = serde_json::Map::new();
    attributes.insert("proxySession".to_owned(), "KC1".into());
    for webhooks in [true, false] {
        let channel = client_of(&server)
            .update_chat_channel_attributes("IS1", "CH1", &attributes, webhooks)
            .await
            .expect("a channel");
        assert_eq!(channel.attributes, attributes);
    }
    let requests = server.requests();
    assert!(requests[0].ends_with("\r\n\r\nAttributes=%7B%22proxySession%22%3A%22KC1%22%7D"));
    let told = |request: &str| header(request, "x-twilio-webhook-enabled").map(str::to_owned);
    assert_eq!(told(&requests[0]).as_deref(), Some("true"));
    assert_eq!(told(&requests[1]), None);
}

#[tokio::test]
async fn a_lost_or_broken_reply_leaves_the_call_in_doubt() {
    let foreign = session().replace("KC", "CH");
    let long = format!(r#"{{"sid":"{}"}}"#, "x".repeat(16 << 20));
    let table = [
        ("500", json(500, r#"{"code":20500}"#), Some(500)),
        (
            "503 in HTML",
            Reply::Whole(503, "", "<html>".to_owned()),
            Some(503),
        ),
        ("no reply", Reply::Reset, None),
        ("a cut body", Reply::Cut(201, session()), Some(201)),
        (
            "a cut refusal",
            Reply::Cut(400, r#"{"code":80603}"#.to_owned()),
            Some(400),
        ),
        (
            "no JSON",
            Reply::Whole(201, "", "<html>".to_owned()),
            Some(201),
        ),
        ("half of JSON", json(201, r#"{"sid":"#), Some(201)),
        ("another thing's SID", json(201, &foreign), Some(201)),
        ("a body beyond the limit", json(201, &long), Some(201)),
        (
            "a redirect",
            Reply::Whole(307, "Location: /\r\n", String::new()),
            Some(307),
        ),
        (
            "somebody else's 404",
            Reply::Whole(404, "", "<html>".to_owned()),
            Some(404),
        ),
    ];
    for (what, reply, status) in table {
        let server = Server::start(vec![reply]).await;
        let error = create(&client_of(&server)).await.expect_err(what);
        assert!(error.is_in_doubt(), "{what}: {error}");
        assert_eq!(error.status(), status, "{what}: {error}");
        // Nothing on the way tries again by itself.
        assert_eq!(server.requests().len(), 1, "{what}");
    }
}

#[tokio::test]
async fn a_reply_that_does_not_come_in_time_leaves_the_call_in_doubt() {
    let server = Server::start(vec![Reply::Silence]).await;
    let answers = Arc::new(Answers::default());
    let client = client(&server.address, Duration::from_millis(200)).observed(answers.clone());
    let error = create(&client).await.expect_err("no reply");
    assert!(error.is_in_doubt(), "{error}");
    assert_eq!(answers.seen(), [Answer::Timeout]);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_refused_connection_means_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let answers = Arc::new(Answers::default());
    let client = client(&address, Duration::from_secs(20)).observed(answers.clone());
    let error = create(&client).await.expect_err("nobody listens");
    assert!(matches!(error, CallError::NotSent { .. }), "{error}");
    assert_eq!(answers.seen(), [Answer::Connect]);
}

#[tokio::test]
async fn a_connection_without_its_encryption_means_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("https://{}", listener.local_addr().expect("bound"));
    let plain = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream
            .write_all(b"HTTP/1.1 400 X\r\n\r\n")
            .await
            .expect("written");
    });
    let error = create(&client(&address, Duration::from_secs(20))).await;
    let error = error.expect_err("the server does not speak TLS");
    plain.await.expect("no panic");
    assert!(matches!(error, CallError::NotSent { .. }), "{error}");
}

#[tokio::test]
async fn a_request_lost_on_a_kept_connection_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let served = tokio::spawn(async move {
        let mut connections = 0;
        let mut requests = 0;
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            connections += 1;
            read_request(&mut stream).await;
            let body = session();
            let head = format!("HTTP/1.1 201 X\r\nContent-Length: {}\r\n\r\n", body.len());
            let reply = format!("{head}{body}");
            stream.write_all(reply.as_bytes()).await.expect("written");
            // The second request on the kept connection is read, and the connection closed.
            requests += 1 + usize::from(!read_request(&mut stream).await.is_empty());
            if requests == 2 {
                drop(stream);
                // Whoever sends it again comes with a new connection, at once.
                let again = tokio::time::timeout(Duration::from_millis(300), listener.accept());
                return (connections + usize::from(again.await.is_ok()), requests);
            }
        }
    });
    let client = client(&address, Duration::from_secs(20));
    create(&client).await.expect("a session");
    let error = create(&client).await.expect_err("the reply is lost");
    assert!(error.is_in_doubt(), "{error}");
    assert_eq!(served.await.expect("no panic"), (1, 2));
}

#[tokio::test]
async fn too_many_requests_were_not_processed() {
    let body = r#"{"code":20429,"message":"Too many requests","status":429}"#;
    let reply = Reply::Whole(429, "Retry-After: 3\r\n", body.to_owned());
    let server = Server::start(vec![reply]).await;
    let error = create(&client_of(&server)).await.expect_err("429");
    let expected = CallError::NotProcessed {
        status: 429,
        code: Some(20429),
        retry_after: Some(Duration::from_secs(3)),
        message: "Too many requests".to_owned(),
    };
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_refusal_is_read_in_both_forms_and_shows_no_number() {
    let old = r#"{"code":80604,"message":"+12025550173 is in use","more_info":"x","status":400}"#;
    let new = r#"{"type":"x","title":"Taken","status":409,"code":50353,"detail":"by 12025550173"}"#;
    for (status, body, code) in [(400, old, 80604), (409, new, 50353)] {
        let server = Server::start(vec![json(status, body)]).await;
        let error = create(&client_of(&server)).await.expect_err("refused");
        assert_eq!((error.status(), error.code()), (Some(status), Some(code)));
        let printed = format!("{error} {error:?}");
        assert!(!printed.contains("2025550173"), "{printed}");
    }
}

#[tokio::test]
async fn a_look_up_that_finds_nothing_is_an_answer() {
    let missing = r#"{"code":20404,"message":"The requested resource was not found","status":404}"#;
    let server = Server::start(vec![json(404, missing)]).await;
    let client = client_of(&server);
    let found = client.fetch_session("KS1", "CH1").await.expect("an answer");
    assert!(found.is_none());
    client
        .delete_session("KS1", "KC1")
        .await
        .expect("it is gone");
    assert!(server.requests()[1].starts_with("DELETE /proxy/v1/Services/KS1/Sessions/KC1 "));
}

#[tokio::test]
async fn a_list_is_read_page_by_page_each_through_the_gate() {
    let page = |items: &str, next: &str| {
        json(
            200,
            &format!(
                r#"{{"participants":[{items}],"meta":{{"key":"participants","next_page_url":{next}}}}}"#
            ),
        )
    };
    let one = format!(r#"{{"sid":"KP{HEX}","identifier":"CH1"}}"#);
    let two = format!(r#"{{"sid":"KP{HEX}","identifier":"+1"}}"#);
    let path = "/proxy/v1/Services/KS1/Sessions/KC1/Participants";
    let server = Server::start_with(|address| {
        let next = format!(r#""{address}{path}?PageSize=100&Page=1&PageToken=PT1""#);
        vec![page(&one, &next), page(&two, "null")]
    })
    .await;
    let gate = Arc::new(Counting::default());
    let listed = client_of(&server)
        .gated(gate.clone())
        .list_proxy_participants("KS1", "KC1")
        .await
        .expect("a list");
    let found: Vec<_> = listed
        .iter()
        .filter_map(|p| p.identifier.as_deref())
        .collect();
    assert_eq!(found, ["CH1", "+1"]);
    assert_eq!(gate.passed.load(Ordering::SeqCst), 2);
    let requests = server.requests();
    assert!(requests[0].starts_with(&format!("GET {path}?PageSize=100 ")));
    assert!(requests[1].starts_with(&format!("GET {path}?PageSize=100&Page=1&PageToken=PT1 ")));
}

#[tokio::test]
async fn a_next_page_on_another_server_is_not_followed() {
    let elsewhere = Server::start(vec![json(200, "{}")]).await;
    let next = format!("{}/taskrouter/v1/Workspaces?Page=1", elsewhere.address);
    let body = format!(r#"{{"workspaces":[],"meta":{{"next_page_url":"{next}"}}}}"#);
    let server = Server::start(vec![json(200, &body)]).await;
    let error = client_of(&server)
        .list_workspaces()
        .await
        .expect_err("foreign");
    assert!(error.to_string().contains("another server"), "{error}");
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn a_list_without_its_items_is_not_an_empty_list() {
    let server = Server::start(vec![json(200, r#"{"meta":{"next_page_url":null}}"#)]).await;
    let error = client_of(&server)
        .list_workspaces()
        .await
        .expect_err("no list");
    assert!(error.is_in_doubt(), "{error}");
}

#[tokio::test]
async fn a_closed_gate_lets_no_byte_leave() {
    let server = Server::start(vec![json(201, &session())]).await;
    let client = client_of(&server);
    let error = create(&client.gated(Arc::new(Shut))).await;
    assert_eq!(error, Err(CallError::Closed(Closed("paused"))));
    create(&client)
        .await
        .expect("the client itself has no gate");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn the_pass_is_held_until_the_reply_is_in_and_noted() {
    let busy = Reply::Whole(429, "Retry-After: 9\r\n", r#"{"code":20429}"#.to_owned());
    let server = Server::start(vec![busy]).await;
    let gate = Arc::new(Counting::default());
    let client = client_of(&server).gated(gate.clone());
    create(&client).await.expect_err("429");
    let noted = gate.noted.lock().expect("no panic holds it").clone();
    // Status, code, wait in seconds, and how many passes were out when it was noted.
    assert_eq!(noted, [(Some(429), Some(20429), Some(9), 1)]);
    assert_eq!(gate.out.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nothing_printed_shows_credentials_or_customers() {
    let server = Server::start(vec![Reply::Reset]).await;
    let client = client_of(&server);
    let new = NewFlexChannel {
        flex_flow_sid: "FO1",
        identity: "sms_+12025550173",
        ..NewFlexChannel::default()
    };
    let error = client.create_flex_channel(&new).await.expect_err("reset");
    let form = Form::new().with("Address", "+12025550173");
    let lookup = Operation::ListParticipantConversations;
    let other = client
        .call::<serde_json::Value>(lookup, &[], form.clone())
        .await;
    let other = other.expect_err("reset");
    let printed = format!("{error} {error:?} {other} {other:?} {client:?} {form:?}");
    for secret in [SECRET, KEY, "2025550173", "Basic"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

/// A gate that is shut.
#[derive(Debug)]
struct Shut;

#[async_trait]
impl Gate for Shut {
    async fn pass(&self, _operation: Operation) -> Result<Pass, Closed> {
        Err(Closed("paused"))
    }
}

/// What a gate notes: status, code, wait in seconds, passes out.
type Noted = (Option<u16>, Option<u32>, Option<u64>, usize);

/// A gate that counts.
#[derive(Debug, Default)]
struct Counting {
    passed: AtomicUsize,
    out: Arc<AtomicUsize>,
    noted: Mutex<Vec<Noted>>,
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Gate for Counting {
    async fn pass(&self, _operation: Operation) -> Result<Pass, Closed> {
        self.passed.fetch_add(1, Ordering::SeqCst);
        self.out.fetch_add(1, Ordering::SeqCst);
        Ok(Pass::new(Counted(Arc::clone(&self.out)), 0))
    }

    fn observe(&self, _operation: Operation, observed: Observed) {
        let wait = observed.retry_after.map(|wait| wait.as_secs());
        let out = self.out.load(Ordering::SeqCst);
        let noted = (observed.status, observed.code, wait, out);
        self.noted.lock().expect("no panic holds it").push(noted);
    }
}

/// An observer that keeps the answers.
#[derive(Debug, Default)]
struct Answers(Mutex<Vec<Answer>>);

impl Answers {
    fn seen(&self) -> Vec<Answer> {
        self.0.lock().expect("no panic holds it").clone()
    }
}

impl CallObserver for Answers {
    fn called(&self, _operation: Operation, answer: Answer, _took: Duration) {
        self.0.lock().expect("no panic holds it").push(answer);
    }
}
