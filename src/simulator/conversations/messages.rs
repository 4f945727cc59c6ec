//! The messages of a conversation, and the webhooks that react to them.
//!
//! A message from our side reaches every participant who is neither its author nor an agent: an address gets it from
//! its proxy address, an identity gets it in the chat.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::simulator::conversations::{Conversation, found, found_open};
use crate::simulator::http::call::Call;
use crate::simulator::http::reply::{ErrorReply, Reply, ReplyResult, stamp};
use crate::simulator::world::World;
use crate::simulator::world::content;
use crate::simulator::world::effects::Parties;

#[derive(Clone, Debug)]
pub(in crate::simulator) struct ConversationMessage {
    sid: String,
    author: String,
    body: Option<String>,
    attributes: String,
    content: Option<String>,
    created: Timestamp,
}

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Webhook {
    sid: String,
    pub(in crate::simulator) target: &'static str,
    configuration: Value,
    created: Timestamp,
}

/// A message to post.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct NewMessage {
    pub(in crate::simulator) author: String,
    pub(in crate::simulator) body: Option<String>,
    pub(in crate::simulator) attributes: String,
    pub(in crate::simulator) content: Option<String>,
    /// The text that the customer sees, if it is not the body.
    pub(in crate::simulator) shown: Option<String>,
}

impl NewMessage {
    pub(in crate::simulator) fn text(author: &str, body: &str) -> Self {
        Self {
            author: author.to_owned(),
            body: Some(body.to_owned()),
            attributes: "{}".to_owned(),
            content: None,
            shown: None,
        }
    }
}

fn message_json(row: &Conversation, at: usize, world: &World, base: &str) -> Value {
    let message = &row.messages[at];
    let url = format!("{}/Messages/{}", row.url(base), message.sid);
    let author = row.participants.iter().find(|one| {
        one.identity.as_ref() == Some(&message.author)
            || one.address.as_ref() == Some(&message.author)
    });
    let reached = row
        .participants
        .iter()
        .filter(|one| one.address.is_some() && one.address.as_ref() != Some(&message.author));
    let total = reached.count();
    json!({
        "account_sid": world.account.sid,
        "conversation_sid": row.sid,
        "sid": message.sid,
        "index": at,
        "author": message.author,
        "body": message.body,
        "media": null,
        "attributes": message.attributes,
        "participant_sid": author.map(|one| &one.sid),
        "date_created": stamp(message.created),
        "date_updated": stamp(message.created),
        "delivery": (total > 0).then(|| json!({"total": total, "sent": "all",
            "delivered": "none", "read": "none", "failed": "none", "undelivered": "none"})),
        "content_sid": message.content,
        "url": url,
        "links": {"delivery_receipts": format!("{url}/Receipts"),
            "channel_metadata": format!("{url}/ChannelMetadata")},
    })
}

pub(in crate::simulator) fn create(call: &mut Call<'_>) -> ReplyResult {
    let sid = found_open(call)?;
    let form = call.form;
    content::attributes(form, 4 * 1024)?;
    let body = form.get("Body");
    content::check_body(body.unwrap_or_default())?;
    let content = form.sid("ContentSid", "HX")?;
    let variables = content::variables(form, content.is_some())?;
    if body.is_none() && content.is_none() && form.get("MediaSid").is_none() {
        return Err(ErrorReply::invalid(
            "One of Body, MediaSid and ContentSid is required",
        ));
    }
    let shown = content.map(|content| {
        let variables = variables.map_or_else(String::new, |values| values.to_string());
        format!("{content} {variables}").trim_end().to_owned()
    });
    let message = NewMessage {
        author: form.get("Author").unwrap_or("system").to_owned(),
        body: body.map(str::to_owned),
        attributes: form.get("Attributes").unwrap_or("{}").to_owned(),
        content: content.map(str::to_owned),
        shown,
    };
    let row = call.world.conversations.get(&sid);
    let senders = row.map_or(Vec::new(), Conversation::senders);
    for sender in senders {
        call.world.check_queue(&sender, call.now)?;
    }
    let at = call.world.say(&sid, message, call.now);
    let row = call.world.conversations.get(&sid);
    let json = row.map(|row| message_json(row, at, call.world, call.base));
    Reply::created(json.unwrap_or_default())
}

pub(in crate::simulator) fn list(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let order = call.query.one_of("Order", &["asc", "desc"])?;
    let world = &*call.world;
    let Some(row) = world.conversations.get(&sid) else {
        return Err(ErrorReply::not_found(&sid));
    };
    let shown =
        (0..row.messages.len()).filter(|&at| world.is_listed(row.messages[at].created, call.now));
    let path = format!("/v1/Conversations/{sid}/Messages");
    let page = call.page(&path, "messages", 100);
    let render = |at| message_json(row, at, world, call.base);
    if order == Some("desc") {
        page.of(shown.rev(), render)
    } else {
        page.of(shown, render)
    }
}

pub(in crate::simulator) fn fetch(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let wanted = call.param(1);
    let json = call.world.conversations.get(&sid).and_then(|row| {
        let at = row.messages.iter().position(|one| one.sid == wanted)?;
        Some(message_json(row, at, call.world, call.base))
    });
    json.map_or_else(|| Err(ErrorReply::not_found(wanted)), Reply::ok)
}

fn webhook_json(row: &Conversation, hook: &Webhook, world: &World, base: &str) -> Value {
    json!({
        "sid": hook.sid,
        "account_sid": world.account.sid,
        "conversation_sid": row.sid,
        "target": hook.target,
        "url": format!("{}/Webhooks/{}", row.url(base), hook.sid),
        "configuration": hook.configuration,
        "date_created": stamp(hook.created),
        "date_updated": stamp(hook.created),
    })
}

pub(super) fn create_webhook(call: &mut Call<'_>) -> ReplyResult {
    let sid = found_open(call)?;
    let form = call.form;
    form.required("Target")?;
    let target = form.one_of("Target", &["webhook", "trigger", "studio"])?;
    let target = target.unwrap_or_default();
    let method = form.one_of("Configuration.Method", &["get", "post", "GET", "POST"])?;
    let flow = form.sid("Configuration.FlowSid", "FW")?;
    let replay = form.integer("Configuration.ReplayAfter", 0, i64::MAX)?;
    let filters: Vec<&str> = form.all("Configuration.Filters").collect();
    let triggers: Vec<&str> = form.all("Configuration.Triggers").collect();
    let needed = if target == "studio" {
        "Configuration.FlowSid"
    } else {
        "Configuration.Url"
    };
    form.required(needed)?;
    let mut configuration = json!({});
    if target == "studio" {
        configuration["flow_sid"] = json!(flow);
    } else {
        configuration["url"] = json!(form.get("Configuration.Url"));
        configuration["method"] = json!(method.unwrap_or("post").to_lowercase());
        configuration["filters"] = json!(filters);
        configuration["triggers"] = json!(triggers);
    }
    if let Some(replay) = replay {
        configuration["replay_after"] = json!(replay);
    }
    let hook = Webhook {
        sid: call.world.sids.sid("WH"),
        target,
        configuration,
        created: call.now,
    };
    let Some(row) = call.world.conversations.get_mut(&sid) else {
        return Err(ErrorReply::not_found(&sid));
    };
    row.webhooks.push(hook.clone());
    let row = call.world.conversations.get(&sid);
    let json = row.map(|row| webhook_json(row, &hook, call.world, call.base));
    Reply::created(json.unwrap_or_default())
}

pub(in crate::simulator) fn webhooks(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let world = &*call.world;
    let Some(row) = world.conversations.get(&sid) else {
        return Err(ErrorReply::not_found(&sid));
    };
    let shown = row
        .webhooks
        .iter()
        .filter(|hook| world.is_listed(hook.created, call.now));
    let path = format!("/v1/Conversations/{sid}/Webhooks");
    let page = call.page(&path, "webhooks", 5);
    page.of(shown, |hook| webhook_json(row, hook, world, call.base))
}

pub(super) fn delete_webhook(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let wanted = call.param(1);
    let row = call.world.conversations.get_mut(&sid);
    let at = row.and_then(|row| {
        let at = row.webhooks.iter().position(|hook| hook.sid == wanted)?;
        Some(row.webhooks.remove(at))
    });
    match at {
        Some(_) => Reply::empty(204),
        None => Err(ErrorReply::not_found(&format!("/Webhooks/{wanted}"))),
    }
}

impl Conversation {
    /// The addresses that messages are sent from.
    fn senders(&self) -> Vec<String> {
        let participants = self.participants.iter();
        participants
            .filter_map(|one| one.proxy_address.clone())
            .collect()
    }
}

impl World {
    /// Adds a message to a conversation, sends it to its receivers, and returns its index.
    pub(in crate::simulator) fn say(
        &mut self,
        sid: &str,
        message: NewMessage,
        now: Timestamp,
    ) -> usize {
        let im = self.sids.sid("IM");
        let agent = self.agent_of_identity(&message.author);
        let Some(row) = self.conversations.get_mut(sid) else {
            return 0;
        };
        let at = row.messages.len();
        row.messages.push(ConversationMessage {
            sid: im.clone(),
            author: message.author.clone(),
            body: message.body.clone(),
            attributes: message.attributes,
            content: message.content,
            created: now,
        });
        let others: Vec<_> = row
            .participants
            .iter()
            .filter(|one| {
                let author = Some(&message.author);
                one.address.as_ref() != author && one.identity.as_ref() != author
            })
            .cloned()
            .collect();
        let body = message.shown.or(message.body).unwrap_or_default();
        for one in others {
            let is_agent = one
                .identity
                .as_deref()
                .is_some_and(|identity| self.agent_of_identity(identity).is_some());
            let customer = one.address.or(one.identity).filter(|_| !is_agent);
            if customer.is_some() {
                let parties = Parties {
                    customer,
                    sender: one.proxy_address,
                    agent: agent.clone(),
                };
                self.send(&im, &body, parties, now);
            }
        }
        self.touch_conversation(sid, now);
        at
    }

    /// Receives a customer's text. A waiting Studio flow creates the task, once.
    pub(in crate::simulator) fn inbound_to_conversation(
        &mut self,
        sid: &str,
        author: &str,
        body: &str,
        now: Timestamp,
    ) {
        self.say(sid, NewMessage::text(author, body), now);
        let waits = self.conversations.get(sid).is_some_and(|row| {
            row.interaction.is_none() && row.webhooks.iter().any(|hook| hook.target == "studio")
        });
        if waits {
            self.play_studio_flow(sid, now);
        }
    }
}
