//! Flex Flows: how a channel's messages become tasks.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::simulator::http::call::Call;
use crate::simulator::http::reply::{ErrorReply, Reply, ReplyResult, stamp};

/// The OpenAPI's `flex_flow_enum_channel_type`.
const CHANNEL_TYPES: [&str; 6] = ["web", "sms", "facebook", "whatsapp", "line", "custom"];

#[derive(Clone, Debug)]
pub(in crate::simulator) struct FlexFlow {
    pub(in crate::simulator) sid: String,
    pub(in crate::simulator) friendly_name: String,
    pub(in crate::simulator) chat_service: String,
    pub(in crate::simulator) channel_type: &'static str,
    pub(in crate::simulator) contact_identity: Option<String>,
    pub(super) enabled: bool,
    pub(super) integration_type: Option<&'static str>,
    pub(super) integration: Integration,
    pub(super) long_lived: bool,
    pub(in crate::simulator) janitor: bool,
    pub(in crate::simulator) created: Timestamp,
    pub(in crate::simulator) updated: Timestamp,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Integration {
    pub(in crate::simulator) flow_sid: Option<String>,
    pub(in crate::simulator) url: Option<String>,
    pub(in crate::simulator) workspace_sid: Option<String>,
    pub(in crate::simulator) workflow_sid: Option<String>,
    pub(in crate::simulator) channel: Option<String>,
    pub(in crate::simulator) timeout: Option<i64>,
    pub(in crate::simulator) priority: Option<i64>,
    pub(super) creation_on_message: Option<bool>,
    pub(super) retry_count: Option<i64>,
}

impl FlexFlow {
    /// Whether the task of a channel of this flow is created at once.
    pub(super) fn makes_task_at_once(&self) -> bool {
        self.integration_type == Some("task") && self.integration.creation_on_message != Some(true)
    }

    /// Whether the customer's first reply creates the task: by Twilio itself, or by a Studio flow, which is
    /// simulated.
    pub(in crate::simulator) fn makes_task_on_reply(&self) -> bool {
        match self.integration_type {
            Some("task") => self.integration.creation_on_message == Some(true),
            other => other == Some("studio"),
        }
    }

    fn json(&self, account: &str, base: &str) -> Value {
        let part = &self.integration;
        let mut integration = json!({
            "flow_sid": part.flow_sid,
            "url": part.url,
            "workspace_sid": part.workspace_sid,
            "workflow_sid": part.workflow_sid,
            "channel": part.channel,
            "timeout": part.timeout,
            "priority": part.priority,
            "creation_on_message": part.creation_on_message,
            "retry_count": part.retry_count,
        });
        if let Some(map) = integration.as_object_mut() {
            map.retain(|_, value| !value.is_null());
        }
        let mut json = json!({
            "sid": self.sid,
            "account_sid": account,
            "date_created": stamp(self.created),
            "date_updated": stamp(self.updated),
            "friendly_name": self.friendly_name,
            "chat_service_sid": self.chat_service,
            "channel_type": self.channel_type,
            "contact_identity": self.contact_identity,
            "enabled": self.enabled,
            "integration": integration,
            "long_lived": self.long_lived,
            "janitor_enabled": self.janitor,
            "url": format!("{base}/v1/FlexFlows/{}", self.sid),
        });
        // In the OpenAPI the type is one of three texts, and never null.
        if let Some(integration_type) = self.integration_type {
            json["integration_type"] = integration_type.into();
        }
        json
    }
}

pub(in crate::simulator) fn list(call: &mut Call<'_>) -> ReplyResult {
    let name = call.query.get("FriendlyName");
    let page = call.page("/v1/FlexFlows", "flex_flows", 1000);
    let world = &*call.world;
    let flows = world.flows.values().filter(|flow| {
        name.is_none_or(|name| flow.friendly_name == name)
            && world.is_listed(flow.created, call.now)
    });
    page.of(flows, |flow| flow.json(&world.account.sid, call.base))
}

pub(in crate::simulator) fn create(call: &mut Call<'_>) -> ReplyResult {
    let form = call.form;
    form.required("FriendlyName")?;
    form.required("ChatServiceSid")?;
    form.required("ChannelType")?;
    let blank = FlexFlow {
        sid: call.world.sids.sid("FO"),
        friendly_name: String::new(),
        chat_service: String::new(),
        channel_type: "sms",
        contact_identity: None,
        enabled: true,
        integration_type: None,
        integration: Integration::default(),
        long_lived: false,
        janitor: false,
        created: call.now,
        updated: call.now,
    };
    let flow = changed(call, blank)?;
    let reply = Reply::created(flow.json(&call.world.account.sid, call.base));
    call.world.flows.insert(&flow.sid.clone(), flow);
    reply
}

pub(in crate::simulator) fn fetch(call: &mut Call<'_>) -> ReplyResult {
    Reply::ok(found(call)?.json(&call.world.account.sid, call.base))
}

pub(in crate::simulator) fn update(call: &mut Call<'_>) -> ReplyResult {
    let flow = found(call)?.clone();
    let mut flow = changed(call, flow)?;
    flow.updated = call.now;
    let reply = Reply::ok(flow.json(&call.world.account.sid, call.base));
    if let Some(row) = call.world.flows.get_mut(call.param(0)) {
        *row = flow;
    }
    reply
}

pub(in crate::simulator) fn delete(call: &mut Call<'_>) -> ReplyResult {
    found(call)?;
    call.world.flows.remove(call.param(0));
    Reply::empty(204)
}

fn found<'b>(call: &'b Call<'_>) -> Result<&'b FlexFlow, ErrorReply> {
    let sid = call.param(0);
    call.world
        .flows
        .get(sid)
        .ok_or_else(|| ErrorReply::not_found(&format!("/v1/FlexFlows/{sid}")))
}

/// The flow with the parameters of the form.
fn changed(call: &Call<'_>, mut flow: FlexFlow) -> Result<FlexFlow, ErrorReply> {
    let form = call.form;
    let set = |name: &str, old: Option<String>| form.get(name).map(str::to_owned).or(old);
    if let Some(name) = form.get("FriendlyName") {
        name.clone_into(&mut flow.friendly_name);
    }
    if let Some(service) = form.sid("ChatServiceSid", "IS")? {
        if service != call.world.account.chat_service {
            return Err(ErrorReply::invalid("ChatServiceSid is not of this account"));
        }
        service.clone_into(&mut flow.chat_service);
    }
    if let Some(kind) = form.one_of("ChannelType", &CHANNEL_TYPES)? {
        flow.channel_type = kind;
    }
    flow.contact_identity = set("ContactIdentity", flow.contact_identity);
    flow.enabled = form.boolean("Enabled")?.unwrap_or(flow.enabled);
    let types = ["studio", "external", "task"];
    flow.integration_type = form
        .one_of("IntegrationType", &types)?
        .or(flow.integration_type);
    let part = &mut flow.integration;
    let owned = |value: Option<&str>, old: Option<String>| value.map(str::to_owned).or(old);
    part.flow_sid = owned(form.sid("Integration.FlowSid", "FW")?, part.flow_sid.take());
    part.url = set("Integration.Url", part.url.take());
    let workspace = form.sid("Integration.WorkspaceSid", "WS")?;
    part.workspace_sid = owned(workspace, part.workspace_sid.take());
    let workflow = form.sid("Integration.WorkflowSid", "WW")?;
    part.workflow_sid = owned(workflow, part.workflow_sid.take());
    part.channel = set("Integration.Channel", part.channel.take());
    let timeout = form.integer("Integration.Timeout", 1, i64::MAX)?;
    part.timeout = timeout.or(part.timeout);
    let priority = form.integer("Integration.Priority", 0, i64::MAX)?;
    part.priority = priority.or(part.priority);
    let on_message = form.boolean("Integration.CreationOnMessage")?;
    part.creation_on_message = on_message.or(part.creation_on_message);
    let retries = form.integer("Integration.RetryCount", 0, 3)?;
    part.retry_count = retries.or(part.retry_count);
    flow.long_lived = form.boolean("LongLived")?.unwrap_or(flow.long_lived);
    flow.janitor = form.boolean("JanitorEnabled")?.unwrap_or(flow.janitor);
    check(call, &flow)?;
    Ok(flow)
}

/// Checks a flow: 45210 if the integration type lacks an attribute, 45212 for a second enabled flow of the same
/// channel type and contact identity. The texts of the codes say so; the exact rules are assumed.
fn check(call: &Call<'_>, flow: &FlexFlow) -> Result<(), ErrorReply> {
    let account = &call.world.account;
    let part = &flow.integration;
    let missing = match flow.integration_type {
        Some("studio") => part.flow_sid.is_none(),
        Some("external") => part.url.is_none(),
        Some("task") => part.workspace_sid.is_none() || part.workflow_sid.is_none(),
        _ => false,
    };
    if missing {
        return Err(ErrorReply::new(
            400,
            45210,
            "Flex Flow creation failed: the integration's attributes are missing",
        ));
    }
    let strange = |given: &Option<String>, ours: &str| given.as_deref().is_some_and(|s| s != ours);
    if strange(&part.workspace_sid, &account.workspace)
        || strange(&part.workflow_sid, &account.workflow)
    {
        return Err(ErrorReply::invalid(
            "The Integration's workspace or workflow is not of this account",
        ));
    }
    let collides = call.world.flows.values().any(|other| {
        other.sid != flow.sid
            && other.enabled
            && flow.enabled
            && flow.contact_identity.is_some()
            && other.contact_identity == flow.contact_identity
            && other.channel_type == flow.channel_type
    });
    if collides {
        return Err(ErrorReply::new(
            409,
            45212,
            "Flex Flow creation failed: its channel type and contact identity collide",
        ));
    }
    Ok(())
}
