//! The world that the old program has left at Twilio, made again in a new simulator.
//!
//! The old program's simulator recorded each request that had an effect, in the order of the effects. The same requests
//! make the same resources, with the same names and markers. The SIDs may differ: they depend on the moments at which
//! agents and set-ups act. Then the fixture's ledger gets the new ones.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};

use crate::support::flexcast::FakeTwilio;
use crate::support::program::until;

/// The names of the agents in `scripts/upgrade_fixture.py`. The last one is offline.
const AGENTS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// The new SID of each old one.
pub(super) type Sids = BTreeMap<String, String>;

/// A simulator with the agents of the old one.
pub(super) fn start() -> FakeTwilio {
    let agents = AGENTS.iter().flat_map(|name| ["--agent", name]);
    let arguments: Vec<_> = ["--no-limits"].into_iter().chain(agents).collect();
    let twilio = FakeTwilio::start_with(&arguments);
    twilio.change_agent("dave", &json!({"activity": "Offline"}));
    twilio
}

/// Sends the recorded requests to a new simulator, and compares the effects.
pub(super) async fn replay(twilio: &FakeTwilio, record: &str, effects: &Value) -> Sids {
    let replaying = Replaying::new(twilio);
    let mut sids = Sids::new();
    for line in record.lines() {
        let recorded: Value = serde_json::from_str(line).expect("JSON");
        replaying.repeat(&recorded, &mut sids).await;
    }
    let wanted = outlines(effects.as_array().expect("a list"));
    until("the effects of the old program", async || {
        outlines(&twilio.effects()) == wanted
    })
    .await;
    sids
}

/// The effects at Twilio and their customers, without SIDs and times.
fn outlines(effects: &[Value]) -> Vec<String> {
    let fields = ["kind", "customer", "agent", "body", "state"];
    let outline = |effect: &Value| fields.map(|field| effect[field].to_string()).join(" ");
    let mut all: Vec<_> = effects.iter().map(outline).collect();
    all.sort_unstable();
    all
}

struct Replaying {
    client: Client,
    url: String,
    login: String,
}

impl Replaying {
    fn new(twilio: &FakeTwilio) -> Self {
        // The client wants a provider, for plain HTTP too; an error means that there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let login = format!("{}:{}", twilio.account_sid, twilio.auth_token);
        Self {
            client: Client::builder().no_proxy().build().expect("a client"),
            url: twilio.url.clone(),
            login: format!("Basic {}", BASE64_STANDARD.encode(login)),
        }
    }

    /// Repeats one request, and learns the SIDs of its reply. What agents and set-ups do takes its time: a request that
    /// changes nothing is repeated until its reply is like the recorded one.
    async fn repeat(&self, recorded: &Value, sids: &mut Sids) {
        let is_look = recorded["method"] == "GET";
        let what = recorded.to_string();
        until(&what, async || {
            let (status, reply) = self.send(recorded, sids).await;
            let is_alike = recorded["status"] == status && alike(&recorded["response"], &reply);
            assert!(is_alike || is_look, "{what}\nis answered: {status} {reply}");
            if is_alike {
                learn(&recorded["response"], &reply, sids);
            }
            is_alike
        })
        .await;
    }

    async fn send(&self, recorded: &Value, sids: &Sids) -> (u16, Value) {
        let text = |name: &str| recorded[name].as_str().expect("a text");
        let path = translated(text("path"), sids);
        let mut url: Url = format!("{}/{}{path}", self.url, text("product"))
            .parse()
            .expect("a URL");
        let query = form(&recorded["query"], sids);
        url.set_query(
            Some(&query)
                .filter(|query| !query.is_empty())
                .map(String::as_str),
        );
        let method: Method = text("method").parse().expect("a method");
        let kind = "application/x-www-form-urlencoded";
        let request = self
            .client
            .request(method, url)
            .header("content-type", kind);
        let request = request.header("authorization", &self.login);
        let reply = request
            .body(form(&recorded["request_form"], sids))
            .send()
            .await;
        let reply = reply.expect("a reply");
        let status = reply.status().as_u16();
        let body = reply.bytes().await.expect("a body");
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

fn form(pairs: &Value, sids: &Sids) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for pair in pairs.as_array().expect("pairs") {
        let [name, value] = [0, 1].map(|at| pair[at].as_str().expect("a text"));
        form.append_pair(name, &translated(value, sids));
    }
    form.finish()
}

/// Whether a reply has as many elements as the recorded one, a SID wherever that has one, and no set-up that was over.
fn alike(recorded: &Value, reply: &Value) -> bool {
    match (recorded, reply) {
        (Value::Object(one), Value::Object(other)) => one.iter().all(|(name, value)| {
            let found = other.get(name).unwrap_or(&Value::Null);
            alike(value, found)
        }),
        (Value::Array(one), Value::Array(other)) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.all(|(one, other)| alike(one, other))
        }
        (Value::String(one), _) if is_sid(one) => reply.as_str().is_some_and(is_sid),
        (one, other) => other != "setup" || one == other,
    }
}

/// Learns the SIDs that stand in the same place of two replies.
fn learn(recorded: &Value, reply: &Value, sids: &mut Sids) {
    match (recorded, reply) {
        (Value::Object(one), Value::Object(other)) => {
            for (name, value) in one {
                learn(value, &other[name], sids);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            for (one, other) in one.iter().zip(other) {
                learn(one, other, sids);
            }
        }
        (Value::String(one), Value::String(other)) if is_sid(one) && is_sid(other) => {
            let known = sids.insert(one.clone(), other.clone());
            assert!(
                known.is_none_or(|known| known == *other),
                "{one} is {other}"
            );
        }
        // Attributes are JSON in a text.
        (Value::String(one), Value::String(other)) => {
            let read = |text: &str| {
                serde_json::from_str::<Value>(text)
                    .ok()
                    .filter(Value::is_object)
            };
            if let (Some(one), Some(other)) = (read(one), read(other)) {
                learn(&one, &other, sids);
            }
        }
        _ => {}
    }
}

fn is_sid(text: &str) -> bool {
    let (kind, digits) = text.split_at_checked(2).unwrap_or_default();
    kind.bytes().all(|byte| byte.is_ascii_uppercase())
        && digits.len() == 32
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A text with the new SIDs in place of the old ones, all at once: a new SID may be an old one too.
pub(super) fn translated(text: &str, sids: &Sids) -> String {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let new = rest.get(..34).and_then(|sid| sids.get(sid));
        let length = if new.is_some() { 34 } else { next.len_utf8() };
        made.push_str(new.map_or(&rest[..length], String::as_str));
        rest = &rest[length..];
    }
    made
}
