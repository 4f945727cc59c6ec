//! The participants of conversations: customers' addresses with one of ours, and chat identities.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::simulator::conversations::{Conversation, found, found_open};
use crate::simulator::http::call::Call;
use crate::simulator::http::form::Parameters;
use crate::simulator::http::reply::{ErrorReply, Reply, ReplyResult, stamp};
use crate::simulator::world::World;
use crate::simulator::world::content;
use crate::simulator::world::effects::{EffectKind, Parties};

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Participant {
    pub(in crate::simulator) sid: String,
    pub(in crate::simulator) identity: Option<String>,
    pub(in crate::simulator) address: Option<String>,
    pub(in crate::simulator) proxy_address: Option<String>,
    attributes: String,
    created: Timestamp,
}

/// A participant to add.
#[derive(Clone, Debug, Default)]
pub(in crate::simulator) struct ConversationParticipantRequest {
    pub(in crate::simulator) identity: Option<String>,
    pub(in crate::simulator) address: Option<String>,
    pub(in crate::simulator) proxy_address: Option<String>,
    pub(in crate::simulator) attributes: Option<String>,
}

impl ConversationParticipantRequest {
    fn from_form(form: &Parameters) -> Result<Self, ErrorReply> {
        content::attributes(form, 4 * 1024)?;
        form.text("Identity", 256)?;
        let text = |name| form.get(name).map(str::to_owned);
        Ok(Self {
            identity: text("Identity"),
            address: text("MessagingBinding.Address"),
            proxy_address: text("MessagingBinding.ProxyAddress"),
            attributes: text("Attributes"),
        })
    }

    /// The addresses of the customer and the sender.
    pub(in crate::simulator) fn parties(&self) -> (Option<String>, Option<String>) {
        let customer = self.address.clone().or_else(|| self.identity.clone());
        (customer, self.proxy_address.clone())
    }

    /// Reads one `Participant` of `ConversationWithParticipants`.
    pub(super) fn from_json(text: &str) -> Result<Self, ErrorReply> {
        let value: Value = serde_json::from_str(text)
            .map_err(|_| ErrorReply::invalid("Participant is not valid JSON"))?;
        let text = |at: &str| {
            let found = value.pointer(at).and_then(Value::as_str);
            found.map(str::to_owned)
        };
        Ok(Self {
            identity: text("/identity"),
            address: text("/messaging_binding/address"),
            proxy_address: text("/messaging_binding/proxy_address"),
            attributes: text("/attributes"),
        })
    }
}

impl Participant {
    pub(in crate::simulator) fn pair(&self) -> Option<(String, String)> {
        Some((self.address.clone()?, self.proxy_address.clone()?))
    }

    /// The channel of its address.
    fn kind(&self) -> &'static str {
        self.address.as_deref().map_or("chat", kind)
    }

    fn binding(&self) -> Value {
        self.address.as_ref().map_or(Value::Null, |address| {
            json!({"type": self.kind(), "address": address, "proxy_address": self.proxy_address})
        })
    }

    fn json(&self, conversation: &Conversation, world: &World, base: &str) -> Value {
        json!({
            "account_sid": world.account.sid,
            "conversation_sid": conversation.sid,
            "sid": self.sid,
            "identity": self.identity,
            "attributes": self.attributes,
            "messaging_binding": self.binding(),
            "role_sid": world.account.role,
            "date_created": stamp(self.created),
            "date_updated": stamp(self.created),
            "url": format!("{}/Participants/{}", conversation.url(base), self.sid),
            "last_read_message_index": null,
            "last_read_timestamp": null,
        })
    }
}

fn kind(address: &str) -> &'static str {
    match address.split_once(':') {
        Some(("whatsapp", _)) => "whatsapp",
        Some(("messenger", _)) => "messenger",
        _ => "sms",
    }
}

/// Whether the text is `+` and 7 to 15 digits, with or without `whatsapp:`, or `messenger:` and an id.
fn is_address(text: &str) -> bool {
    let number = text.strip_prefix("whatsapp:").unwrap_or(text);
    match number.strip_prefix('+') {
        Some(digits) => {
            (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        }
        None => text
            .strip_prefix("messenger:")
            .is_some_and(|id| !id.is_empty()),
    }
}

pub(in crate::simulator) fn create(call: &mut Call<'_>) -> ReplyResult {
    let sid = found_open(call)?;
    let wanted = ConversationParticipantRequest::from_form(call.form)?;
    call.world.check_participant(Some(&sid), &wanted)?;
    let one = call.world.join_conversation(&sid, wanted, call.now)?;
    reply(call, &sid, &one, 201)
}

fn reply(call: &Call<'_>, conversation: &str, wanted: &str, status: u16) -> ReplyResult {
    let json = call.world.conversations.get(conversation).and_then(|row| {
        let one = row
            .participants
            .iter()
            .find(|one| one.sid == wanted || one.identity.as_deref() == Some(wanted))?;
        Some(one.json(row, call.world, call.base))
    });
    json.map(|json| Reply::new(status, json))
        .ok_or_else(|| ErrorReply::not_found(&format!("/Participants/{wanted}")))
}

pub(in crate::simulator) fn list(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let world = &*call.world;
    let Some(row) = world.conversations.get(&sid) else {
        return Err(ErrorReply::not_found(&sid));
    };
    let shown = row
        .participants
        .iter()
        .filter(|one| world.is_listed(one.created, call.now));
    let path = format!("/v1/Conversations/{sid}/Participants");
    let page = call.page(&path, "participants", 100);
    page.of(shown, |one| one.json(row, world, call.base))
}

pub(in crate::simulator) fn fetch(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    reply(call, &sid, call.param(1), 200)
}

pub(in crate::simulator) fn delete(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let wanted = call.param(1);
    reply(call, &sid, wanted, 200)?;
    let mut gone = Vec::new();
    if let Some(row) = call.world.conversations.get_mut(&sid) {
        row.participants.retain(|one| {
            let goes = one.sid == wanted || one.identity.as_deref() == Some(wanted);
            if goes {
                gone.extend(one.pair());
            }
            !goes
        });
    }
    for pair in gone {
        call.world.bindings.remove(&pair);
    }
    Reply::empty(204)
}

/// Lists the conversations of an address or an identity, including closed ones.
pub(in crate::simulator) fn conversations(call: &mut Call<'_>) -> ReplyResult {
    let (address, identity) = (call.query.get("Address"), call.query.get("Identity"));
    let (Some(key), None) = (address.or(identity), address.and(identity)) else {
        let message = "Exactly one of Address and Identity is required";
        return Err(ErrorReply::invalid(message));
    };
    let world = &*call.world;
    let is_meant = |one: &&Participant| {
        one.address.as_deref() == Some(key) || one.identity.as_deref() == Some(key)
    };
    let sids = world.memberships.get(key).into_iter().flatten();
    let shown = sids.filter_map(|sid| {
        let row = world.conversations.get(sid)?;
        let one = row.participants.iter().find(is_meant)?;
        world.is_listed(one.created, call.now).then_some((row, one))
    });
    let page = call.page("/v1/ParticipantConversations", "conversations", 50);
    page.of(shown, |(row, one)| membership(row, one, world, call.base))
}

fn membership(row: &Conversation, one: &Participant, world: &World, base: &str) -> Value {
    let (unique_name, friendly_name, attributes) = row.names();
    let (created, updated) = row.dates();
    let url = row.url(base);
    json!({
        "account_sid": world.account.sid,
        "chat_service_sid": world.account.chat_service,
        "participant_sid": one.sid,
        "participant_user_sid": null,
        "participant_identity": one.identity,
        "participant_messaging_binding": one.binding(),
        "conversation_sid": row.sid,
        "conversation_unique_name": unique_name,
        "conversation_friendly_name": friendly_name,
        "conversation_attributes": attributes,
        "conversation_date_created": created,
        "conversation_date_updated": updated,
        "conversation_created_by": "system",
        "conversation_state": row.state,
        "conversation_timers": row.timers(),
        "links": {"conversation": url, "participant": format!("{url}/Participants/{}", one.sid)},
    })
}

impl World {
    /// Checks a participant as Twilio does: 50407, 50408, 50409, and 50416 for a pair that is in use.
    pub(in crate::simulator) fn check_participant(
        &self,
        conversation: Option<&str>,
        wanted: &ConversationParticipantRequest,
    ) -> Result<(), ErrorReply> {
        let (address, proxy) = (wanted.address.as_deref(), wanted.proxy_address.as_deref());
        let row = conversation.and_then(|sid| self.conversations.get(sid));
        let is_in = |identity: &str| {
            row.is_some_and(|row| {
                let mut all = row.participants.iter();
                all.any(|one| one.identity.as_deref() == Some(identity))
            })
        };
        if wanted.identity.as_deref().is_some_and(is_in) {
            return Err(ErrorReply::new(409, 50433, "Participant already exists"));
        }
        let Some(address) = address else {
            return if wanted.identity.is_some() || proxy.is_some() {
                Ok(())
            } else {
                let message = "Either Identity or MessagingBinding.Address is required";
                Err(ErrorReply::invalid(message))
            };
        };
        if !is_address(address) {
            let message = "MessagingBinding.Address is not a valid address";
            return Err(ErrorReply::new(400, 50407, message));
        }
        let Some(proxy) = proxy.filter(|proxy| is_proxy(proxy, kind(address))) else {
            let message = "MessagingBinding.ProxyAddress is not a valid address of this channel";
            return Err(ErrorReply::new(400, 50408, message));
        };
        if proxy == address {
            let message = "MessagingBinding.Address and ProxyAddress are the same";
            return Err(ErrorReply::new(400, 50409, message));
        }
        if let Some(owner) = self.bindings.get(&(address.to_owned(), proxy.to_owned())) {
            let message = format!(
                "A binding for this participant and proxy address already exists in Conversation {owner}"
            );
            return Err(ErrorReply::new(409, 50416, message));
        }
        Ok(())
    }

    /// Adds a participant that [`World::check_participant`] has accepted, and returns its SID.
    pub(in crate::simulator) fn join_conversation(
        &mut self,
        sid: &str,
        wanted: ConversationParticipantRequest,
        now: Timestamp,
    ) -> Result<String, ErrorReply> {
        self.check_participant(Some(sid), &wanted)?;
        let one = Participant {
            sid: self.sids.sid("MB"),
            identity: wanted.identity,
            address: wanted.address,
            proxy_address: wanted.proxy_address,
            attributes: wanted.attributes.unwrap_or_else(|| "{}".to_owned()),
            created: now,
        };
        let is_agent = one
            .identity
            .as_deref()
            .is_some_and(|identity| self.agent_of_identity(identity).is_some());
        if let Some(pair) = one.pair() {
            self.bindings.insert(pair, sid.to_owned());
        }
        for key in one.address.iter().chain(&one.identity) {
            let known = self.memberships.entry(key.clone()).or_default();
            known.push(sid.to_owned());
        }
        if !is_agent {
            let parties = Parties {
                customer: one.address.clone().or_else(|| one.identity.clone()),
                sender: one.proxy_address.clone(),
                agent: None,
            };
            self.effects.parties(EffectKind::Conversation, sid, parties);
        }
        let joined = one.sid.clone();
        let Some(row) = self.conversations.get_mut(sid) else {
            return Err(ErrorReply::not_found(sid));
        };
        row.participants.push(one);
        self.touch_conversation(sid, now);
        self.customer_may_be_there(sid, now);
        Ok(joined)
    }

    /// The participant of a conversation who is not an agent.
    pub(in crate::simulator) fn customer_of(&self, sid: &str) -> Option<&Participant> {
        let row = self.conversations.get(sid)?;
        row.participants.iter().find(|one| {
            one.address.is_some()
                || one
                    .identity
                    .as_deref()
                    .is_some_and(|identity| self.agent_of_identity(identity).is_none())
        })
    }
}

/// Whether the text can be a sender on the channel. On SMS, a sender can be alphanumeric or a short code.
fn is_proxy(proxy: &str, channel: &str) -> bool {
    kind(proxy) == channel && (channel == "sms" || is_address(proxy))
}
