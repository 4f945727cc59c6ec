//! Programmable Chat v2: the channels behind Flex Channels, with their messages.
//!
//! Always: `Attributes` replaces the whole object, as at Twilio; a message in a channel with the attribute
//! `proxySession` is relayed to the customer.

pub(super) mod messages;
pub(super) mod users;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::messages as said;
use super::http::call::{Call, Route};
use super::http::reply::{ErrorReply, Reply, ReplyResult, stamp};
use super::world::World;
use super::world::content;

#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    Route { operation: "list_chat_channels", method: "GET", path: "/v2/Services/{ServiceSid}/Channels", answer: list },
    Route { operation: "create_chat_channel", method: "POST", path: "/v2/Services/{ServiceSid}/Channels", answer: create },
    Route { operation: "fetch_chat_channel", method: "GET", path: "/v2/Services/{ServiceSid}/Channels/{Sid}", answer: fetch },
    Route { operation: "update_chat_channel", method: "POST", path: "/v2/Services/{ServiceSid}/Channels/{Sid}", answer: update },
    Route { operation: "delete_chat_channel", method: "DELETE", path: "/v2/Services/{ServiceSid}/Channels/{Sid}", answer: delete },
    Route { operation: "create_chat_message", method: "POST", path: "/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Messages", answer: said::post },
    Route { operation: "list_chat_messages", method: "GET", path: "/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Messages", answer: said::messages },
    Route { operation: "fetch_chat_message", method: "GET", path: "/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Messages/{Sid}", answer: said::message },
    Route { operation: "create_chat_member", method: "POST", path: "/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Members", answer: said::join },
    Route { operation: "list_chat_members", method: "GET", path: "/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Members", answer: said::members },
];

#[derive(Clone, Debug)]
pub(super) struct Chat {
    pub(super) sid: String,
    pub(super) friendly_name: Option<String>,
    pub(super) unique_name: Option<String>,
    /// The attributes as the given text, and parsed in `facts`.
    pub(super) attributes: String,
    pub(super) facts: Value,
    pub(super) kind: &'static str,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) members: Vec<Member>,
    pub(super) messages: Vec<ChatMessage>,
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) sid: String,
    pub(super) identity: String,
    pub(super) created: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct ChatMessage {
    pub(super) sid: String,
    pub(super) from: String,
    pub(super) body: String,
    pub(super) attributes: String,
    pub(super) created: Timestamp,
}

impl Chat {
    pub(super) fn new(
        sid: &str,
        friendly_name: &str,
        unique_name: Option<&str>,
        facts: Value,
        now: Timestamp,
    ) -> Self {
        Self {
            sid: sid.to_owned(),
            friendly_name: Some(friendly_name.to_owned()),
            unique_name: unique_name.map(str::to_owned),
            attributes: facts.to_string(),
            facts,
            kind: "private",
            created: now,
            updated: now,
            members: Vec::new(),
            messages: Vec::new(),
        }
    }

    pub(super) fn fact(&self, name: &str) -> Option<&str> {
        self.facts.get(name).and_then(Value::as_str)
    }

    pub(super) fn join(&mut self, sid: String, identity: &str, now: Timestamp) {
        if !self.members.iter().any(|one| one.identity == identity) {
            self.members.push(Member {
                sid,
                identity: identity.to_owned(),
                created: now,
            });
        }
    }

    pub(super) fn url(&self, service: &str, base: &str) -> String {
        format!("{base}/v2/Services/{service}/Channels/{}", self.sid)
    }

    fn json(&self, world: &World, base: &str) -> Value {
        let url = self.url(&world.account.chat_service, base);
        json!({
            "sid": self.sid,
            "account_sid": world.account.sid,
            "service_sid": world.account.chat_service,
            "friendly_name": self.friendly_name,
            "unique_name": self.unique_name,
            "attributes": self.attributes,
            "type": self.kind,
            "date_created": stamp(self.created),
            "date_updated": stamp(self.updated),
            "created_by": "system",
            "members_count": self.members.len(),
            "messages_count": self.messages.len(),
            "url": url,
            "links": {
                "members": format!("{url}/Members"),
                "messages": format!("{url}/Messages"),
                "invites": format!("{url}/Invites"),
                "webhooks": format!("{url}/Webhooks"),
                "last_message": self.messages.last().map(|m| format!("{url}/Messages/{}", m.sid)),
            },
        })
    }
}

/// Finds the channel that the path names by SID or unique name.
pub(super) fn found(call: &Call<'_>) -> Result<String, ErrorReply> {
    call.legacy()?;
    let (service, name) = (call.param(0), call.param(1));
    let world = &*call.world;
    let known = world.chat_names.get(name).map_or(name, String::as_str);
    let by_name = known != name;
    world
        .chats
        .get(known)
        .filter(|_| service == world.account.chat_service)
        .filter(|chat| !by_name || world.is_listed(chat.created, call.now))
        .map(|chat| chat.sid.clone())
        .ok_or_else(|| {
            let path = format!("/Services/{service}/Channels/{name}");
            ErrorReply::new(404, 50300, format!("Channel not found: {path}"))
        })
}

fn list(call: &mut Call<'_>) -> ReplyResult {
    call.legacy()?;
    let world = &*call.world;
    let service = call.param(0);
    let kinds: Vec<&str> = call.query.all("Type").collect();
    let chats = world.chats.values().filter(|chat| {
        // Without a filter, Twilio lists only public channels; Flex's channels are private.
        let kind = if kinds.is_empty() {
            chat.kind == "public"
        } else {
            kinds.contains(&chat.kind)
        };
        kind && world.is_listed(chat.created, call.now)
    });
    let page = call.page(&format!("/v2/Services/{service}/Channels"), "channels", 100);
    page.of(chats, |chat| chat.json(world, call.base))
}

fn create(call: &mut Call<'_>) -> ReplyResult {
    call.legacy()?;
    let form = call.form;
    let kind = form.one_of("Type", &["public", "private"])?;
    let facts = content::attributes(form, 16 * 1024)?.unwrap_or_else(|| json!({}));
    let unique_name = form.text("UniqueName", 64)?;
    unused(call, unique_name)?;
    let sid = call.world.sids.sid("CH");
    let name = content::friendly_name(form, "FriendlyName", 64)?.unwrap_or_default();
    let mut chat = Chat::new(&sid, name, unique_name, facts, call.now);
    chat.kind = kind.unwrap_or("public");
    let reply = Reply::created(chat.json(call.world, call.base));
    call.world.add_chat(chat);
    reply
}

fn unused(call: &Call<'_>, name: Option<&str>) -> Result<(), ErrorReply> {
    if name.is_some_and(|name| call.world.chat_names.contains_key(name)) {
        return Err(ErrorReply::new(
            call.world.settings.assumptions.conflict_status,
            50307,
            "Channel with provided unique name already exists",
        ));
    }
    Ok(())
}

fn fetch(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    reply(call, &sid)
}

fn reply(call: &Call<'_>, sid: &str) -> ReplyResult {
    let chat = call.world.chats.get(sid);
    Reply::ok(
        chat.map(|chat| chat.json(call.world, call.base))
            .unwrap_or_default(),
    )
}

fn update(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let form = call.form;
    let facts = content::attributes(form, 16 * 1024)?;
    let friendly_name = content::friendly_name(form, "FriendlyName", 256)?;
    let unique_name = form.text("UniqueName", 256)?;
    let is_own =
        unique_name.is_some_and(|name| call.world.chat_names.get(name).is_some_and(|s| *s == sid));
    if !is_own {
        unused(call, unique_name)?;
    }
    let Some(chat) = call.world.chats.get_mut(&sid) else {
        return Err(ErrorReply::not_found(&sid));
    };
    chat.updated = call.now;
    if let Some(name) = friendly_name {
        chat.friendly_name = Some(name.to_owned());
    }
    let mut retired = false;
    if let (Some(facts), Some(text)) = (facts, form.get("Attributes")) {
        chat.facts = facts;
        text.clone_into(&mut chat.attributes);
        retired = chat.fact("status") == Some("INACTIVE");
    }
    if let Some(name) = unique_name {
        let old = chat.unique_name.replace(name.to_owned());
        if let Some(old) = old {
            call.world.chat_names.remove(&old);
        }
        call.world.chat_names.insert(name.to_owned(), sid.clone());
    }
    if retired {
        call.world.retire_channel(&sid);
    }
    call.world.customer_may_be_there(&sid, call.now);
    reply(call, &sid)
}

fn delete(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    call.world.retire_channel(&sid);
    call.world.remove_chat(&sid);
    Reply::empty(204)
}

impl World {
    pub(super) fn add_chat(&mut self, chat: Chat) {
        if let Some(name) = &chat.unique_name {
            self.chat_names.insert(name.clone(), chat.sid.clone());
        }
        self.chats.insert(&chat.sid.clone(), chat);
    }

    pub(super) fn remove_chat(&mut self, sid: &str) {
        self.free_chat_name(sid);
        self.chats.remove(sid);
    }

    /// Frees the channel's unique name for another channel.
    pub(super) fn free_chat_name(&mut self, sid: &str) {
        remove_value(&mut self.chat_names, sid, self.chats.get(sid));
    }

    /// Adds a key to a channel's attributes, as Flex does.
    pub(super) fn add_attribute(&mut self, sid: &str, key: &str, value: &str) {
        if let Some(chat) = self.chats.get_mut(sid)
            && let Some(facts) = chat.facts.as_object_mut()
        {
            facts.insert(key.to_owned(), value.into());
            chat.attributes = chat.facts.to_string();
        }
    }
}

fn remove_value(names: &mut BTreeMap<String, String>, sid: &str, chat: Option<&Chat>) {
    if let Some(name) = chat.and_then(|chat| chat.unique_name.as_ref())
        && names.get(name).is_some_and(|found| found == sid)
    {
        names.remove(name);
    }
}
