//! Interactions: they create the tasks of Flex Conversations, asynchronously.
//!
//! A POST is only accepted: the channel has the status `setup`, and becomes active or failed after the setup time.
//! For an agent's interaction, the conversation and the task are created at that time; for an interaction of a
//! customer or the API, the task is created at once. The reply has the task's SID at once, as in the OpenAPI's
//! example, even if the task does not exist yet.

use serde_json::{Value, json};

use crate::simulator::conversations::participants::ConversationParticipantRequest;
use crate::simulator::http::call::{Call, Route};
use crate::simulator::http::reply::{ErrorReply, Reply, ReplyResult};
use crate::simulator::taskrouter::tasks::Routing;
use crate::simulator::world::World;

#[rustfmt::skip]
pub(in crate::simulator) const ROUTES: &[Route] = &[
    Route { operation: "create_interaction", method: "POST", path: "/v1/Interactions", answer: create },
    Route { operation: "fetch_interaction", method: "GET", path: "/v1/Interactions/{Sid}", answer: fetch },
    Route { operation: "list_interaction_channels", method: "GET", path: "/v1/Interactions/{InteractionSid}/Channels", answer: channels },
    Route { operation: "fetch_interaction_channel", method: "GET", path: "/v1/Interactions/{InteractionSid}/Channels/{Sid}", answer: channel },
    Route { operation: "update_interaction_channel", method: "POST", path: "/v1/Interactions/{InteractionSid}/Channels/{Sid}", answer: update },
    Route { operation: "create_interaction_invite", method: "POST", path: "/v1/Interactions/{InteractionSid}/Channels/{ChannelSid}/Invites", answer: invite },
    Route { operation: "list_interaction_invites", method: "GET", path: "/v1/Interactions/{InteractionSid}/Channels/{ChannelSid}/Invites", answer: invites },
];

const TYPES: [&str; 7] = [
    "sms",
    "whatsapp",
    "web",
    "chat",
    "email",
    "messenger",
    "gbm",
];

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Interaction {
    pub(in crate::simulator) sid: String,
    pub(in crate::simulator) channel: String,
    pub(in crate::simulator) kind: &'static str,
    pub(in crate::simulator) status: &'static str,
    pub(in crate::simulator) error: Option<u32>,
    pub(super) initiated_by: &'static str,
    pub(in crate::simulator) conversation: String,
    /// Whether the conversation existed before.
    pub(super) joins: bool,
    pub(in crate::simulator) task: String,
    pub(super) built: bool,
    pub(in crate::simulator) participants: Vec<ConversationParticipantRequest>,
    pub(in crate::simulator) routing: Routing,
    pub(super) context: Option<String>,
    pub(super) webhook_ttid: Option<String>,
    pub(in crate::simulator) invites: Vec<(String, String)>,
}

impl Interaction {
    fn json(&self, world: &World, base: &str) -> Value {
        let url = format!("{base}/v1/Interactions/{}", self.sid);
        let mut planned = world.planned(&self.task, &self.routing);
        if self.built {
            // The task has ended and is deleted: no source describes this reply.
            planned["assignment_status"] = Value::Null;
        }
        let task = world.tasks.get(&self.task);
        let properties = task.map_or(planned, |task| task.routing_json(world));
        json!({
            "sid": self.sid,
            "channel": {"type": self.kind, "sid": self.channel},
            "routing": {"reservation": null, "properties": properties},
            "interaction_context_sid": self.context,
            "webhook_ttid": self.webhook_ttid,
            "url": url,
            "links": {"channels": format!("{url}/Channels")},
        })
    }

    fn channel_json(&self, base: &str) -> Value {
        let url = format!(
            "{base}/v1/Interactions/{}/Channels/{}",
            self.sid, self.channel
        );
        json!({
            "sid": self.channel,
            "interaction_sid": self.sid,
            "type": self.kind,
            "status": self.status,
            "error_code": self.error,
            "error_message": self.error.map(|_| "Channel set-up failed"),
            "url": url,
            "links": {
                "participants": format!("{url}/Participants"),
                "invites": format!("{url}/Invites"),
                "transfers": format!("{url}/Transfers"),
            },
        })
    }
}

fn create(call: &mut Call<'_>) -> ReplyResult {
    call.form.required("Channel")?;
    let wanted = call.form.object("Channel", 20001)?.unwrap_or_default();
    let routing = call.form.object("Routing", 20001)?;
    let context = call.form.sid("InteractionContextSid", "HQ")?;
    let kind = pick(&wanted, "type", &TYPES)?;
    let initiated_by = pick(&wanted, "initiated_by", &["agent", "api", "customer"])?;
    let media = wanted.pointer("/properties/media_channel_sid");
    let media = media.and_then(Value::as_str).map(str::to_owned);
    let participants = participants(&wanted);
    if initiated_by == "agent" && participants.is_empty() {
        return Err(ErrorReply::invalid("Channel: participants are required"));
    }
    if initiated_by == "customer" && media.is_none() {
        let message = "Channel: properties.media_channel_sid is required";
        return Err(ErrorReply::invalid(message));
    }
    let needs_agent = initiated_by == "agent";
    let routing = call.world.routing(routing.as_ref(), needs_agent)?;
    if let Some(media) = &media {
        free_to_map(call.world, media)?;
    }
    let sids = &mut call.world.sids;
    let row = Interaction {
        sid: sids.sid("KD"),
        channel: sids.sid("UO"),
        kind,
        status: "setup",
        error: call.setup_failure,
        initiated_by,
        joins: media.is_some(),
        conversation: media.unwrap_or_else(|| sids.sid("CH")),
        task: sids.sid("WT"),
        built: false,
        participants,
        routing,
        context: context.map(str::to_owned),
        webhook_ttid: call.form.get("WebhookTtid").map(str::to_owned),
        invites: Vec::new(),
    };
    let sid = row.sid.clone();
    call.world.begin_interaction(row, call.now);
    let row = call.world.interactions.get(&sid);
    let json = row.map(|row| row.json(call.world, call.base));
    Reply::ok(json.unwrap_or_default())
}

fn pick(value: &Value, name: &str, known: &[&'static str]) -> Result<&'static str, ErrorReply> {
    let given = value.get(name).and_then(Value::as_str);
    let found = known.iter().find(|one| Some(**one) == given).copied();
    found.ok_or_else(|| {
        ErrorReply::invalid(format!(
            "Channel: {name} must be one of {}",
            known.join(", ")
        ))
    })
}

fn participants(channel: &Value) -> Vec<ConversationParticipantRequest> {
    let list = channel.get("participants").and_then(Value::as_array);
    let text = |one: &Value, name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
    let all = list.into_iter().flatten();
    all.map(|one| ConversationParticipantRequest {
        identity: text(one, "identity"),
        address: text(one, "address"),
        proxy_address: text(one, "proxy_address"),
        attributes: None,
    })
    .collect()
}

/// Checks that the conversation has no interaction yet (45353).
fn free_to_map(world: &World, conversation: &str) -> Result<(), ErrorReply> {
    let Some(row) = world.conversations.get(conversation) else {
        let message = "Channel: properties.media_channel_sid is no Conversation";
        return Err(ErrorReply::new(404, 20404, message));
    };
    if !row.is_open() {
        return Err(crate::simulator::conversations::closed());
    }
    let mapped = row
        .interaction
        .as_ref()
        .and_then(|sid| world.interactions.get(sid));
    if mapped.is_some_and(|one| matches!(one.status, "setup" | "active")) {
        let message =
            "A duplicate create Channel request was dropped: the Conversation has a mapped Channel";
        return Err(ErrorReply::new(409, 45353, message));
    }
    Ok(())
}

fn readable(call: &Call<'_>) -> Result<(), ErrorReply> {
    if call.world.settings.assumptions.interactions_can_be_fetched {
        return Ok(());
    }
    let message = "GET actions are not accessible for this API endpoint";
    Err(ErrorReply::new(405, 20004, message))
}

fn found<'b>(call: &'b Call<'_>) -> Result<&'b Interaction, ErrorReply> {
    let sid = call.param(0);
    let row = call.world.interactions.get(sid);
    row.ok_or_else(|| ErrorReply::not_found(&format!("/v1/Interactions/{sid}")))
}

fn found_channel<'b>(call: &'b Call<'_>) -> Result<&'b Interaction, ErrorReply> {
    let (row, sid) = (found(call)?, call.param(1));
    Some(row)
        .filter(|row| row.channel == sid)
        .ok_or_else(|| ErrorReply::not_found(&format!("/v1/Interactions/Channels/{sid}")))
}

fn fetch(call: &mut Call<'_>) -> ReplyResult {
    readable(call)?;
    Reply::ok(found(call)?.json(call.world, call.base))
}

fn channels(call: &mut Call<'_>) -> ReplyResult {
    readable(call)?;
    let row = found(call)?;
    let path = format!("/v1/Interactions/{}/Channels", row.sid);
    let page = call.page(&path, "channels", 1000);
    page.of(std::iter::once(row), |row| row.channel_json(call.base))
}

fn channel(call: &mut Call<'_>) -> ReplyResult {
    readable(call)?;
    Reply::ok(found_channel(call)?.channel_json(call.base))
}

fn update(call: &mut Call<'_>) -> ReplyResult {
    found_channel(call)?;
    call.form.required("Status")?;
    let status = call.form.one_of("Status", &["closed", "inactive"])?;
    let routing = call.form.object("Routing", 20001)?;
    let closes = routing.is_some_and(|routing| routing["status"] == "closed");
    let status = status.unwrap_or("closed");
    if status == "inactive" && !closes {
        let message = "Routing must be {\"status\":\"closed\"} for Status=inactive";
        return Err(ErrorReply::invalid(message));
    }
    call.world.end_interaction(call.param(0), status, call.now);
    Reply::ok(found_channel(call)?.channel_json(call.base))
}

fn invite(call: &mut Call<'_>) -> ReplyResult {
    let row = found_channel(call)?.clone();
    call.form.required("Routing")?;
    let routing = call.form.object("Routing", 20001)?;
    let routing = call.world.routing(routing.as_ref(), false)?;
    let sid = call.world.sids.sid("KG");
    let task = call.world.sids.sid("WT");
    call.world
        .make_interaction_task(&row, &routing, &task, call.now);
    if let Some(row) = call.world.interactions.get_mut(&row.sid) {
        row.invites.push((sid.clone(), task.clone()));
    }
    Reply::ok(invite_json(call, &row, &sid, &task))
}

fn invite_json(call: &Call<'_>, row: &Interaction, sid: &str, task: &str) -> Value {
    let task = call.world.tasks.get(task);
    json!({
        "sid": sid,
        "interaction_sid": row.sid,
        "channel_sid": row.channel,
        "routing": {"properties": task.map(|task| task.routing_json(call.world))},
        "url": format!("{}/v1/Interactions/{}/Channels/{}/Invites/{sid}",
            call.base, row.sid, row.channel),
    })
}

fn invites(call: &mut Call<'_>) -> ReplyResult {
    readable(call)?;
    let row = found_channel(call)?;
    let path = format!(
        "/v1/Interactions/{}/Channels/{}/Invites",
        row.sid, row.channel
    );
    let page = call.page(&path, "invites", 1000);
    page.of(row.invites.iter(), |(sid, task)| {
        invite_json(call, row, sid, task)
    })
}
