//! The simulator's own endpoints, under `/_simulator/`, for tests and people.
//!
//! They need no credentials, have no limits or faults, and are not in the list of requests.

use bytes::Bytes;
use http::{Request, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::exchange::response;
use super::reply::{ErrorReply, Reply, ReplyResult};
use crate::simulator::Simulator;
use crate::simulator::faults::Faults;
use crate::simulator::people::staff::AgentChange;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InboundBody {
    customer: String,
    #[serde(default)]
    sender: String,
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextBody {
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentBody {
    name: String,
}

impl Simulator {
    pub(in crate::simulator) fn own(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        let path = path.trim_start_matches("/_simulator/");
        let segments: Vec<&str> = path.split('/').collect();
        let answer = self.own_answer(request.method().as_str(), &segments, request.body());
        response(&answer.unwrap_or_else(Reply::from))
    }

    fn own_answer(&self, method: &str, path: &[&str], body: &[u8]) -> ReplyResult {
        let now = self.inner.clock.now();
        match (method, path) {
            ("GET", ["effects"]) => Reply::ok(json!(self.effects())),
            ("GET", ["requests"]) => Reply::ok(json!(self.requests())),
            ("GET", ["debugger"]) => Reply::ok(json!(self.debugger())),
            ("GET", ["account"]) => Reply::ok(self.account()),
            ("PUT", ["faults"]) => {
                let faults: Faults = read(body)?;
                self.set_faults(faults)
                    .map_err(|error| ErrorReply::invalid(error.to_string()))?;
                Reply::empty(204)
            }
            ("POST", ["replies"]) => {
                let text: InboundBody = read(body)?;
                let reached = self.reply(&text.customer, &text.sender, &text.body);
                let reached = reached.map_err(|e| ErrorReply::new(404, 20404, e.to_string()))?;
                Reply::created(json!(reached))
            }
            ("POST", ["agents"]) => {
                let agent: AgentBody = read(body)?;
                Reply::created(json!({"sid": self.add_agent(&agent.name)}))
            }
            ("GET", ["agents"]) => Reply::ok(json!(self.agents())),
            ("POST", ["agents", name]) => {
                let change: AgentChange = read(body)?;
                let changed = self.change_agent(name, &change);
                let changed = changed.map_err(|e| ErrorReply::new(404, 20404, e.to_string()))?;
                Reply::ok(json!(changed))
            }
            ("POST", ["tasks", task, "complete"]) => {
                self.settled().world.complete(task, now)?;
                Reply::empty(204)
            }
            ("POST", ["tasks", task, "accept"]) => {
                self.settled().world.accept(task, now)?;
                Reply::empty(204)
            }
            ("POST", ["tasks", task, "messages"]) => {
                let text: TextBody = read(body)?;
                self.settled().world.agent_writes(task, &text.body, now)?;
                Reply::empty(204)
            }
            _ => Err(ErrorReply::not_found(&format!(
                "/_simulator/{}",
                path.join("/")
            ))),
        }
    }

    /// The account's fixed SIDs, for scripts.
    fn account(&self) -> Value {
        let state = self.state();
        let account = &state.world.account;
        let proxy = state.world.proxy_services.values().next();
        json!({
            "account_sid": account.sid,
            "workspace_sid": account.workspace,
            "workflow_sid": account.workflow,
            "queue_sid": account.queue,
            "chat_service_sid": account.chat_service,
            "proxy_service_sid": proxy.map(|service| &service.sid),
        })
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ErrorReply> {
    serde_json::from_slice(body).map_err(|error| ErrorReply::invalid(error.to_string()))
}
