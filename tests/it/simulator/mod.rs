//! The simulator from outside: through HTTP on a port, and in process on a paused clock.

mod conflicts;
mod conversations;
mod endpoints;
mod faults;
mod handling;
mod interactions;
mod proxy;
mod wire;

use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use flexcast::clock::Clock;
use flexcast::shutdown::Stopper;
use flexcast::simulator::{
    DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN, Effect, EffectKind, RequestLimits, Settings, Simulator,
};
use flexcast::twilio::InProcess as _;
use serde_json::Value;
use tokio::net::TcpListener;

const CUSTOMER: &str = "+12025550173";
const SENDER: &str = "+12025550100";

/// A simulator, and a way to it.
struct Twilio {
    simulator: Simulator,
    /// None: in process.
    tcp: Option<(reqwest::Client, SocketAddr)>,
    account: Value,
    stop: Stopper,
}

impl Drop for Twilio {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

fn settings() -> Settings {
    Settings {
        agents: vec!["alice".to_owned()],
        limits: RequestLimits::unlimited(),
        record: std::env::var_os("FLEXCAST_TEST_RECORD").map(Into::into),
        ..Settings::default()
    }
}

impl Twilio {
    /// On a port of this machine.
    async fn on_a_port(settings: Settings) -> Self {
        let simulator = Simulator::new(settings, Clock::system());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = Stopper::new();
        let (serving, signal) = (simulator.clone(), stop.clone());
        tokio::spawn(async move { serving.serve(listener, signal).await });
        // The provider of the process may be there already, from another test.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let tcp = Some((reqwest::Client::new(), address));
        Self::new(simulator, tcp, stop).await
    }

    /// In this process, on the test's clock.
    async fn in_process(settings: Settings) -> Self {
        let start = "2026-11-22T12:00:00Z".parse().expect("a time");
        let simulator = Simulator::new(settings, Clock::starting_at(start));
        Self::new(simulator, None, Stopper::new()).await
    }

    async fn new(
        simulator: Simulator,
        tcp: Option<(reqwest::Client, SocketAddr)>,
        stop: Stopper,
    ) -> Self {
        let mut twilio = Self {
            simulator,
            tcp,
            account: Value::Null,
            stop,
        };
        twilio.account = twilio.get("_simulator/account").await.1;
        twilio
    }

    /// A SID of the account's fixed parts.
    fn sid(&self, name: &str) -> &str {
        self.account[name].as_str().expect(name)
    }

    async fn send(&self, method: &str, path: &str, body: String) -> Option<(u16, Value)> {
        let credentials = format!("{DEFAULT_ACCOUNT_SID}:{DEFAULT_AUTH_TOKEN}");
        let basic = format!("Basic {}", BASE64_STANDARD.encode(credentials));
        let (status, body) = if let Some((client, address)) = &self.tcp {
            let url = if path.starts_with("http") {
                path.to_owned()
            } else {
                format!("http://{address}/{path}")
            };
            let method = method.parse().expect("a method");
            let request = client.request(method, url).header("authorization", basic);
            let response = request.body(body).send().await.ok()?;
            let status = response.status().as_u16();
            (status, response.bytes().await.ok()?)
        } else {
            let request = http::Request::builder()
                .method(method)
                .uri(format!("http://simulator/{path}"))
                .header("authorization", basic)
                .body(Bytes::from(body))
                .expect("a request");
            let response = self.simulator.call(request).await.ok()?;
            (response.status().as_u16(), response.into_body())
        };
        Some((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let sent = self.send("GET", path, String::new()).await;
        sent.expect("a reply")
    }

    async fn delete(&self, path: &str) -> u16 {
        let sent = self.send("DELETE", path, String::new()).await;
        sent.expect("a reply").0
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        self.try_post(path, form).await.expect("a reply")
    }

    /// None when the connection ended without a reply.
    async fn try_post(&self, path: &str, form: &[(&str, &str)]) -> Option<(u16, Value)> {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        self.send("POST", path, body.finish()).await
    }

    /// Posts what must succeed, and returns the reply's body.
    async fn made(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let (status, body) = self.post(path, form).await;
        assert!((200..300).contains(&status), "{path}: {status} {body}");
        body
    }

    /// Posts what must be refused, and returns status and code.
    async fn refused(&self, path: &str, form: &[(&str, &str)]) -> (u16, u64) {
        let (status, body) = self.post(path, form).await;
        assert_eq!(body["status"], status, "{path}: {body}");
        (status, body["code"].as_u64().expect("a code"))
    }

    fn effects(&self, kind: EffectKind) -> Vec<Effect> {
        let mut effects = self.simulator.effects();
        effects.retain(|effect| effect.kind == kind);
        effects
    }

    /// What reached the customers: customer, sender and text of each message.
    fn messages(&self) -> Vec<(String, String, String)> {
        let messages = self.effects(EffectKind::Message).into_iter();
        let party = |text: Option<String>| text.unwrap_or_default();
        messages
            .map(|m| (party(m.customer), party(m.sender), party(m.body)))
            .collect()
    }
}

/// A string in a reply.
fn text(body: &Value, name: &str) -> String {
    body[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {body}"))
        .to_owned()
}

fn to_customer(body: &str) -> (String, String, String) {
    (CUSTOMER.to_owned(), SENDER.to_owned(), body.to_owned())
}
