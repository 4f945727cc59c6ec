//! The Flex API without Interactions: the account's configuration, Flex Flows and Flex Channels.
//!
//! A Flex Channel is a chat channel, a chat user and, depending on its flow, a task. A request for a customer's
//! existing channel returns that channel (Twilio Professional Services' README on outbound SMS). A setting selects
//! target or identity as the customer's key.

pub(super) mod flows;
pub(super) mod interactions;
pub(super) mod setup;

use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) use self::flows::FlexFlow;
use super::chat::Chat;
use super::http::call::{Call, Route};
use super::http::reply::{ErrorReply, Reply, ReplyResult, stamp};
use super::settings::ChannelKey;
use super::taskrouter::tasks::NewTask;
use super::world::World;
use super::world::content;
use super::world::effects::{EffectKind, Parties};

#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    Route { operation: "fetch_configuration", method: "GET", path: "/v1/Configuration", answer: configuration },
    Route { operation: "list_flex_flows", method: "GET", path: "/v1/FlexFlows", answer: flows::list },
    Route { operation: "create_flex_flow", method: "POST", path: "/v1/FlexFlows", answer: flows::create },
    Route { operation: "fetch_flex_flow", method: "GET", path: "/v1/FlexFlows/{Sid}", answer: flows::fetch },
    Route { operation: "update_flex_flow", method: "POST", path: "/v1/FlexFlows/{Sid}", answer: flows::update },
    Route { operation: "delete_flex_flow", method: "DELETE", path: "/v1/FlexFlows/{Sid}", answer: flows::delete },
    Route { operation: "list_flex_channels", method: "GET", path: "/v1/Channels", answer: list },
    Route { operation: "create_flex_channel", method: "POST", path: "/v1/Channels", answer: create },
    Route { operation: "fetch_flex_channel", method: "GET", path: "/v1/Channels/{Sid}", answer: fetch },
    Route { operation: "delete_flex_channel", method: "DELETE", path: "/v1/Channels/{Sid}", answer: delete },
];

#[derive(Clone, Debug)]
pub(super) struct FlexChannel {
    pub(super) sid: String,
    pub(super) flow: String,
    pub(super) identity: String,
    pub(super) target: Option<String>,
    pub(super) user: String,
    pub(super) task: Option<String>,
    /// `TaskAttributes`, for a task at once or on reply.
    pub(super) task_attributes: Value,
    /// The flow, and the customer's key in it.
    key: (String, String),
    created: Timestamp,
    updated: Timestamp,
}

impl FlexChannel {
    pub(super) fn customer(&self) -> &str {
        self.target.as_deref().unwrap_or(&self.identity)
    }

    fn json(&self, account: &str, base: &str) -> Value {
        json!({
            "account_sid": account,
            "flex_flow_sid": self.flow,
            "sid": self.sid,
            "user_sid": self.user,
            "task_sid": self.task,
            "url": format!("{base}/v1/Channels/{}", self.sid),
            "date_created": stamp(self.created),
            "date_updated": stamp(self.updated),
        })
    }
}

fn configuration(call: &mut Call<'_>) -> ReplyResult {
    let world = &*call.world;
    let account = &world.account;
    let channels: Vec<Value> = world
        .task_channels
        .iter()
        .map(|channel| {
            json!({"name": channel.unique_name, "availability": true,
                "capacity": world.settings.agent_capacity})
        })
        .collect();
    Reply::ok(json!({
        "account_sid": account.sid,
        "date_created": stamp(account.born),
        "date_updated": stamp(account.born),
        "attributes": {},
        "status": "ok",
        "taskrouter_workspace_sid": account.workspace,
        "taskrouter_target_workflow_sid": account.workflow,
        "taskrouter_target_taskqueue_sid": account.queue,
        "taskrouter_taskqueues": [{"sid": account.queue, "targettable": true}],
        "taskrouter_skills": [],
        "taskrouter_worker_channels": {"agent": channels},
        "taskrouter_offline_activity_sid": world.activities[0].sid,
        "messaging_service_instance_sid": account.messaging_service,
        "chat_service_instance_sid": account.chat_service,
        "flex_service_instance_sid": account.flex_service,
        "flex_instance_sid": account.flex_instance,
        "ui_version": "2.x",
        "url": format!("{}/v1/Configuration", call.base),
    }))
}

fn list(call: &mut Call<'_>) -> ReplyResult {
    call.legacy()?;
    let world = &*call.world;
    let channels = world
        .flex_channels
        .values()
        .filter(|channel| world.is_listed(channel.created, call.now));
    let page = call.page("/v1/Channels", "flex_chat_channels", 1000);
    page.of(channels, |channel| {
        channel.json(&world.account.sid, call.base)
    })
}

fn fetch(call: &mut Call<'_>) -> ReplyResult {
    call.legacy()?;
    Reply::ok(found(call)?.json(&call.world.account.sid, call.base))
}

fn found<'b>(call: &'b Call<'_>) -> Result<&'b FlexChannel, ErrorReply> {
    let sid = call.param(0);
    call.world
        .flex_channels
        .get(sid)
        .ok_or_else(|| ErrorReply::new(404, 45204, format!("Flex Channel {sid} was not found")))
}

fn delete(call: &mut Call<'_>) -> ReplyResult {
    call.legacy()?;
    let channel = found(call)?.clone();
    call.world.retire_channel(&channel.sid);
    call.world.flex_channels.remove(&channel.sid);
    call.world.remove_chat(&channel.sid);
    let effects = &mut call.world.effects;
    effects.state(EffectKind::Channel, &channel.sid, "deleted");
    Reply::empty(204)
}

fn create(call: &mut Call<'_>) -> ReplyResult {
    call.legacy()?;
    let form = call.form;
    form.required("FlexFlowSid")?;
    let identity = form.required("Identity")?;
    let user_name = form.required("ChatUserFriendlyName")?;
    let chat_name = form.required("ChatFriendlyName")?;
    for name in ["ChatUserFriendlyName", "ChatFriendlyName"] {
        content::friendly_name(form, name, 64)?;
    }
    form.text("Identity", 256)?;
    content::check_task_attributes(form.get("TaskAttributes").unwrap_or_default())?;
    let flow_sid = form.sid("FlexFlowSid", "FO")?.unwrap_or_default();
    let unique_name = form.text("ChatUniqueName", 64)?;
    let task_sid = form.sid("TaskSid", "WT")?;
    let task_attributes = form.object("TaskAttributes", 20001)?;
    form.object("PreEngagementData", 20001)?;
    let long_lived = form.boolean("LongLived")?;
    let flow = call.world.flows.get(flow_sid).cloned();
    let flow = flow.ok_or_else(|| {
        ErrorReply::new(404, 45205, format!("Flex Flow {flow_sid} was not found"))
    })?;
    let target = form.get("Target");
    let key = match call.world.settings.assumptions.channel_key {
        ChannelKey::Target => target.unwrap_or(identity),
        ChannelKey::Identity => identity,
    };
    let key = (flow.sid.clone(), key.to_owned());
    let namesake = unique_name.and_then(|name| call.world.chat_names.get(name));
    let namesake = namesake.and_then(|sid| call.world.chats.get(sid));
    if namesake.is_some_and(|chat| chat.fact("status") != Some("INACTIVE")) {
        return Err(ErrorReply::new(
            call.world.settings.assumptions.conflict_status,
            45208,
            "An active Channel with this unique name exists: a new Channel was not created",
        ));
    }
    if let Some(sid) = call.world.active_channels.get(&key).cloned() {
        return existing(call, &sid, task_attributes);
    }
    let sid = call.world.sids.sid("CH");
    let user = call.world.user(identity);
    let channel = FlexChannel {
        sid: sid.clone(),
        flow: flow.sid.clone(),
        identity: identity.to_owned(),
        target: target.map(str::to_owned),
        user,
        task: task_sid.map(str::to_owned),
        task_attributes: task_attributes.unwrap_or_else(|| json!({})),
        key,
        created: call.now,
        updated: call.now,
    };
    let attributes = json!({
        "from": channel.customer(),
        "channel_type": flow.channel_type,
        "status": "ACTIVE",
        "long_lived": long_lived.unwrap_or(flow.long_lived),
        "twilioNumber": flow.contact_identity,
        "serviceNumber": flow.contact_identity,
        "friendlyName": user_name,
    });
    let mut chat = Chat::new(&sid, chat_name, unique_name, attributes, call.now);
    chat.join(call.world.sids.sid("MB"), identity, call.now);
    open(call, channel, chat, &flow)
}

/// Adds a new channel to the world, with its task if the flow creates it at once.
fn open(call: &mut Call<'_>, channel: FlexChannel, chat: Chat, flow: &FlexFlow) -> ReplyResult {
    let sid = channel.sid.clone();
    let parties = Parties {
        customer: Some(channel.customer().to_owned()),
        sender: flow.contact_identity.clone(),
        agent: None,
    };
    let world = &mut *call.world;
    world
        .effects
        .made(EffectKind::Channel, &sid, "ACTIVE", parties, call.now);
    world
        .active_channels
        .insert(channel.key.clone(), sid.clone());
    world.add_chat(chat);
    let has_task = channel.task.is_some();
    world.flex_channels.insert(&sid, channel);
    if flow.makes_task_at_once() && !has_task {
        world.make_channel_task(&sid, call.now);
    }
    let made = world.flex_channels.get(&sid);
    let made = made.map(|channel| channel.json(&world.account.sid, call.base));
    Reply::created(made.unwrap_or_default())
}

/// Replies with the customer's active channel. The status is 201, as in the OpenAPI; no source has another.
fn existing(call: &mut Call<'_>, sid: &str, attributes: Option<Value>) -> ReplyResult {
    if call.world.settings.assumptions.repeated_channel_makes_task
        && let Some(channel) = call.world.flex_channels.get_mut(sid)
    {
        channel.task_attributes = attributes.unwrap_or_else(|| json!({}));
        call.world.make_channel_task(sid, call.now);
    }
    let channel = call.world.flex_channels.get(sid);
    let json = channel.map(|channel| channel.json(&call.world.account.sid, call.base));
    Reply::created(json.unwrap_or_default())
}

impl World {
    /// The chat user of an identity, which is created at its first use.
    pub(super) fn user(&mut self, identity: &str) -> String {
        if let Some(sid) = self.users.get(identity) {
            return sid.clone();
        }
        let sid = self.sids.sid("US");
        self.users.insert(identity.to_owned(), sid.clone());
        sid
    }

    /// Creates the task of a Flex Channel, as defined by its flow, and links both.
    pub(super) fn make_channel_task(&mut self, sid: &str, now: Timestamp) {
        let Some(channel) = self.flex_channels.get(sid).cloned() else {
            return;
        };
        let Some(flow) = self.flows.get(&channel.flow).cloned() else {
            return;
        };
        let mut attributes = json!({
            "channelSid": sid,
            "channelType": flow.channel_type,
            "customerAddress": channel.customer(),
        });
        if let (Some(all), Some(own)) = (
            attributes.as_object_mut(),
            channel.task_attributes.as_object(),
        ) {
            all.extend(own.clone());
        }
        let task = self.make_task(
            NewTask {
                attributes,
                channel: flow.integration.channel.clone(),
                workflow: flow.integration.workflow_sid.clone(),
                timeout: flow.integration.timeout,
                priority: flow.integration.priority,
                customer: Some(channel.customer().to_owned()),
                sender: flow.contact_identity.clone(),
                chat: Some(sid.to_owned()),
                ..NewTask::default()
            },
            now,
        );
        let agent = self.tasks.get(&task).and_then(|task| task.agent.clone());
        let parties = Parties {
            agent,
            ..Parties::default()
        };
        self.effects.parties(EffectKind::Channel, sid, parties);
        self.add_attribute(sid, "task_sid", &task);
        if let Some(channel) = self.flex_channels.get_mut(sid) {
            channel.task = Some(task);
            channel.updated = now;
        }
    }

    /// Frees the channel's customer for a new channel. The unique name still finds the channel, until another channel
    /// takes it (45208 is only about active channels).
    pub(super) fn retire_channel(&mut self, sid: &str) {
        let key = self.flex_channels.get(sid).map(|channel| &channel.key);
        // A newer channel may already be the customer's channel.
        if let Some(key) = key
            && self
                .active_channels
                .get(key)
                .is_some_and(|active| active == sid)
        {
            self.active_channels.remove(&key.clone());
        }
        self.effects.state(EffectKind::Channel, sid, "INACTIVE");
    }
}
