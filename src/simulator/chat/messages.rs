//! The messages and members of a chat channel.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::simulator::chat::{Chat, ChatMessage, Member, found};
use crate::simulator::http::call::Call;
use crate::simulator::http::reply::{ErrorReply, Reply, ReplyResult, stamp};
use crate::simulator::world::World;
use crate::simulator::world::content;

impl Chat {
    fn message_json(&self, at: usize, world: &World, base: &str) -> Value {
        let message = &self.messages[at];
        let url = self.url(&world.account.chat_service, base);
        json!({
            "sid": message.sid,
            "account_sid": world.account.sid,
            "service_sid": world.account.chat_service,
            "to": self.sid,
            "channel_sid": self.sid,
            "attributes": message.attributes,
            "date_created": stamp(message.created),
            "date_updated": stamp(message.created),
            "last_updated_by": null,
            "was_edited": false,
            "from": message.from,
            "body": message.body,
            "index": at,
            "type": "text",
            "media": null,
            "url": format!("{url}/Messages/{}", message.sid),
        })
    }
}

pub(in crate::simulator) fn post(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let form = call.form;
    content::attributes(form, 4 * 1024)?;
    let body = form.required("Body")?;
    content::check_chat_body(body)?;
    let from = form.get("From").unwrap_or("system");
    let attributes = form.get("Attributes").unwrap_or("{}");
    let at = call.world.write(&sid, from, body, attributes, call.now);
    call.world.relay(&sid, at, call.now);
    let chat = call.world.chats.get(&sid);
    let json = chat.map(|chat| chat.message_json(at, call.world, call.base));
    Reply::created(json.unwrap_or_default())
}

pub(in crate::simulator) fn messages(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let order = call.query.one_of("Order", &["asc", "desc"])?;
    let world = &*call.world;
    let Some(chat) = world.chats.get(&sid) else {
        return Err(ErrorReply::not_found(&sid));
    };
    let shown =
        (0..chat.messages.len()).filter(|&at| world.is_listed(chat.messages[at].created, call.now));
    let path = format!("/v2/Services/{}/Channels/{sid}/Messages", call.param(0));
    let page = call.page(&path, "messages", 100);
    let render = |at| chat.message_json(at, world, call.base);
    if order == Some("desc") {
        page.of(shown.rev(), render)
    } else {
        page.of(shown, render)
    }
}

pub(in crate::simulator) fn message(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let wanted = call.param(2);
    let chat = call.world.chats.get(&sid);
    let json = chat.and_then(|chat| {
        let at = chat.messages.iter().position(|one| one.sid == wanted)?;
        Some(chat.message_json(at, call.world, call.base))
    });
    json.map_or_else(|| Err(ErrorReply::not_found(wanted)), Reply::ok)
}

pub(in crate::simulator) fn join(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let identity = call.form.required("Identity")?;
    let member = call.world.sids.sid("MB");
    if let Some(chat) = call.world.chats.get_mut(&sid) {
        chat.join(member, identity, call.now);
    }
    let chat = call.world.chats.get(&sid);
    let json = chat.and_then(|chat| {
        let member = chat.members.iter().find(|one| one.identity == identity)?;
        Some(member_json(chat, member, call.world, call.base))
    });
    Reply::created(json.unwrap_or_default())
}

pub(super) fn members(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let world = &*call.world;
    let Some(chat) = world.chats.get(&sid) else {
        return Err(ErrorReply::not_found(&sid));
    };
    let path = format!("/v2/Services/{}/Channels/{sid}/Members", call.param(0));
    let page = call.page(&path, "members", 100);
    page.of(chat.members.iter(), |member| {
        member_json(chat, member, world, call.base)
    })
}

fn member_json(chat: &Chat, member: &Member, world: &World, base: &str) -> Value {
    let url = chat.url(&world.account.chat_service, base);
    json!({
        "sid": member.sid,
        "account_sid": world.account.sid,
        "channel_sid": chat.sid,
        "service_sid": world.account.chat_service,
        "identity": member.identity,
        "date_created": stamp(member.created),
        "date_updated": stamp(member.created),
        "role_sid": world.account.role,
        "last_consumed_message_index": null,
        "last_consumption_timestamp": null,
        "url": format!("{url}/Members/{}", member.sid),
        "attributes": "{}",
    })
}

impl World {
    /// Adds a message to a channel, and returns its index.
    pub(in crate::simulator) fn write(
        &mut self,
        sid: &str,
        from: &str,
        body: &str,
        attributes: &str,
        now: Timestamp,
    ) -> usize {
        let message = ChatMessage {
            sid: self.sids.sid("IM"),
            from: from.to_owned(),
            body: body.to_owned(),
            attributes: attributes.to_owned(),
            created: now,
        };
        let Some(chat) = self.chats.get_mut(sid) else {
            return 0;
        };
        chat.messages.push(message);
        chat.messages.len() - 1
    }
}
