//! Conversations, with their timers and webhooks.
//!
//! Always: a unique name belongs to one conversation, closed or not, until that conversation is deleted; an (address,
//! proxy address) pair is in at most one conversation that is not closed.

pub(super) mod participants;
pub(super) mod messages;
pub(super) mod timers;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::messages::ConversationMessage;
use self::participants::Participant;
use super::http::call::{Call, Route};
use super::http::form::Parameters;
use super::http::reply::{ErrorReply, Reply, ReplyResult, stamp, stamp_or_null};
use super::world::World;
use super::world::content;
use super::world::effects::EffectKind;

#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    Route { operation: "fetch_conversations_configuration", method: "GET", path: "/v1/Configuration", answer: timers::configuration },
    Route { operation: "update_conversations_configuration", method: "POST", path: "/v1/Configuration", answer: timers::configure },
    Route { operation: "list_conversations", method: "GET", path: "/v1/Conversations", answer: list },
    Route { operation: "create_conversation", method: "POST", path: "/v1/Conversations", answer: create },
    Route { operation: "create_conversation_with_participants", method: "POST", path: "/v1/ConversationWithParticipants", answer: create_with_participants },
    Route { operation: "fetch_conversation", method: "GET", path: "/v1/Conversations/{Sid}", answer: fetch },
    Route { operation: "update_conversation", method: "POST", path: "/v1/Conversations/{Sid}", answer: update },
    Route { operation: "delete_conversation", method: "DELETE", path: "/v1/Conversations/{Sid}", answer: delete },
    Route { operation: "create_conversation_participant", method: "POST", path: "/v1/Conversations/{ConversationSid}/Participants", answer: participants::create },
    Route { operation: "list_conversation_participants", method: "GET", path: "/v1/Conversations/{ConversationSid}/Participants", answer: participants::list },
    Route { operation: "fetch_conversation_participant", method: "GET", path: "/v1/Conversations/{ConversationSid}/Participants/{Sid}", answer: participants::fetch },
    Route { operation: "delete_conversation_participant", method: "DELETE", path: "/v1/Conversations/{ConversationSid}/Participants/{Sid}", answer: participants::delete },
    Route { operation: "list_participant_conversations", method: "GET", path: "/v1/ParticipantConversations", answer: participants::conversations },
    Route { operation: "create_conversation_webhook", method: "POST", path: "/v1/Conversations/{ConversationSid}/Webhooks", answer: messages::create_webhook },
    Route { operation: "list_conversation_webhooks", method: "GET", path: "/v1/Conversations/{ConversationSid}/Webhooks", answer: messages::webhooks },
    Route { operation: "delete_conversation_webhook", method: "DELETE", path: "/v1/Conversations/{ConversationSid}/Webhooks/{Sid}", answer: messages::delete_webhook },
    Route { operation: "create_conversation_message", method: "POST", path: "/v1/Conversations/{ConversationSid}/Messages", answer: messages::create },
    Route { operation: "list_conversation_messages", method: "GET", path: "/v1/Conversations/{ConversationSid}/Messages", answer: messages::list },
    Route { operation: "fetch_conversation_message", method: "GET", path: "/v1/Conversations/{ConversationSid}/Messages/{Sid}", answer: messages::fetch },
];

/// The OpenAPI's `conversation_enum_state`.
const STATES: [&str; 4] = ["initializing", "inactive", "active", "closed"];

#[derive(Clone, Debug)]
pub(super) struct Conversation {
    pub(super) sid: String,
    pub(super) friendly_name: Option<String>,
    pub(super) unique_name: Option<String>,
    pub(super) attributes: String,
    pub(super) facts: Value,
    pub(super) messaging_service: Option<String>,
    pub(super) state: &'static str,
    pub(super) inactive_after: Option<SignedDuration>,
    pub(super) closed_after: Option<SignedDuration>,
    /// The time that the timers count from: the creation, or the last message, new participant or change of state.
    pub(super) active: Timestamp,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) participants: Vec<Participant>,
    pub(super) messages: Vec<ConversationMessage>,
    pub(super) webhooks: Vec<messages::Webhook>,
    /// The SID of its interaction.
    pub(super) interaction: Option<String>,
}

/// The timer; `None` for zero, which means no timer.
fn timer(after: Option<SignedDuration>) -> Option<SignedDuration> {
    after.filter(|after| !after.is_zero())
}

impl Conversation {
    pub(super) fn new(sid: &str, now: Timestamp) -> Self {
        Self {
            sid: sid.to_owned(),
            friendly_name: None,
            unique_name: None,
            attributes: "{}".to_owned(),
            facts: json!({}),
            messaging_service: None,
            state: "active",
            inactive_after: None,
            closed_after: None,
            active: now,
            created: now,
            updated: now,
            participants: Vec::new(),
            messages: Vec::new(),
            webhooks: Vec::new(),
            interaction: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state != "closed"
    }

    pub(super) fn inactive_at(&self) -> Option<Timestamp> {
        let after = timer(self.inactive_after).filter(|_| self.state == "active")?;
        self.active.checked_add(after).ok()
    }

    pub(super) fn closed_at(&self) -> Option<Timestamp> {
        let after = timer(self.closed_after).filter(|_| self.is_open())?;
        self.active.checked_add(after).ok()
    }

    pub(super) fn url(&self, base: &str) -> String {
        format!("{base}/v1/Conversations/{}", self.sid)
    }

    /// The timers as JSON: the field `timers`, or `conversation_timers` in a participant's list.
    pub(super) fn timers(&self) -> Value {
        let mut timers = json!({});
        if let Some(at) = self.inactive_at() {
            timers["date_inactive"] = stamp(at).into();
        }
        if let Some(at) = self.closed_at() {
            timers["date_closed"] = stamp(at).into();
        }
        timers
    }

    pub(super) fn names(&self) -> (Option<&str>, Option<&str>, &str) {
        let unique_name = self.unique_name.as_deref();
        (unique_name, self.friendly_name.as_deref(), &self.attributes)
    }

    pub(super) fn dates(&self) -> (Value, Value) {
        (
            stamp_or_null(Some(self.created)),
            stamp_or_null(Some(self.updated)),
        )
    }

    fn json(&self, world: &World, base: &str) -> Value {
        let url = self.url(base);
        json!({
            "sid": self.sid,
            "account_sid": world.account.sid,
            "chat_service_sid": world.account.chat_service,
            "messaging_service_sid": self.messaging_service.as_ref()
                .unwrap_or(&world.account.messaging_service),
            "friendly_name": self.friendly_name,
            "unique_name": self.unique_name,
            "attributes": self.attributes,
            "state": self.state,
            "date_created": stamp(self.created),
            "date_updated": stamp(self.updated),
            "timers": self.timers(),
            "bindings": {},
            "url": url,
            "links": {
                "participants": format!("{url}/Participants"),
                "messages": format!("{url}/Messages"),
                "webhooks": format!("{url}/Webhooks"),
            },
        })
    }

    /// Applies the parameters of the form.
    fn change(&mut self, form: &Parameters, now: Timestamp) -> Result<(), ErrorReply> {
        let facts = content::attributes(form, 16 * 1024)?;
        let [inactive, closed] = timers::given(form, ["Timers.Inactive", "Timers.Closed"])?;
        let state = form.one_of("State", &STATES)?;
        let friendly_name = content::friendly_name(form, "FriendlyName", 256)?;
        let service = form.sid("MessagingServiceSid", "MG")?;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        self.friendly_name = owned(friendly_name).or(self.friendly_name.take());
        self.messaging_service = owned(service).or(self.messaging_service.take());
        if let (Some(facts), Some(text)) = (facts, form.get("Attributes")) {
            self.facts = facts;
            text.clone_into(&mut self.attributes);
        }
        self.inactive_after = inactive.or(self.inactive_after);
        self.closed_after = closed.or(self.closed_after);
        if let Some(state) = state {
            self.state = state;
            self.active = now;
        }
        self.updated = now;
        Ok(())
    }
}

fn list(call: &mut Call<'_>) -> ReplyResult {
    let state = call.query.one_of("State", &STATES)?;
    let world = &*call.world;
    let shown = world.conversations.values().filter(|one| {
        state.is_none_or(|state| one.state == state) && world.is_listed(one.created, call.now)
    });
    let page = call.page("/v1/Conversations", "conversations", 100);
    page.of(shown, |one| one.json(world, call.base))
}

fn create(call: &mut Call<'_>) -> ReplyResult {
    let sid = made(call)?;
    reply(call, &sid, 201)
}

/// Creates a conversation from the form, and records its effect.
fn made(call: &mut Call<'_>) -> Result<String, ErrorReply> {
    let form = call.form;
    let name = form.text("UniqueName", 256)?;
    if name.is_some_and(|name| call.world.conversation_names.contains_key(name)) {
        let message = "Conversation with provided unique name already exists";
        return Err(ErrorReply::new(409, 50353, message));
    }
    let sid = call.world.sids.sid("CH");
    let mut row = Conversation::new(&sid, call.now);
    row.change(form, call.now)?;
    row.unique_name = name.map(str::to_owned);
    call.world.add_conversation(row, call.now);
    Ok(sid)
}

/// Creates a conversation with up to ten participants in one call: all or nothing (assumed).
fn create_with_participants(call: &mut Call<'_>) -> ReplyResult {
    let mut wanted = Vec::new();
    for text in call.form.all("Participant") {
        wanted.push(participants::ConversationParticipantRequest::from_json(
            text,
        )?);
    }
    if wanted.len() > 10 {
        return Err(ErrorReply::invalid("Participant: at most 10"));
    }
    for one in &wanted {
        call.world.check_participant(None, one)?;
    }
    let sid = made(call)?;
    for one in wanted {
        call.world.join_conversation(&sid, one, call.now)?;
    }
    reply(call, &sid, 201)
}

/// Finds the conversation that the path's first parameter names by SID or unique name.
pub(super) fn found(call: &Call<'_>) -> Result<String, ErrorReply> {
    let name = call.param(0);
    let world = &*call.world;
    let by_name = world.conversation_names.get(name);
    let one = world
        .conversations
        .get(by_name.map_or(name, String::as_str));
    one.filter(|one| by_name.is_none() || world.is_listed(one.created, call.now))
        .map(|one| one.sid.clone())
        .ok_or_else(|| ErrorReply::not_found(&format!("/Conversations/{name}")))
}

/// The error of a change to a closed conversation: "can't update conversation as it's in final closed state"
/// (Twilio's page of 50377, which does not name the status).
pub(super) fn closed() -> ErrorReply {
    ErrorReply::new(409, 50377, "The Conversation is closed")
}

/// Finds the conversation, and refuses a closed one.
pub(super) fn found_open(call: &Call<'_>) -> Result<String, ErrorReply> {
    let sid = found(call)?;
    let is_open = call
        .world
        .conversations
        .get(&sid)
        .is_some_and(Conversation::is_open);
    if is_open { Ok(sid) } else { Err(closed()) }
}

fn reply(call: &Call<'_>, sid: &str, status: u16) -> ReplyResult {
    let one = call.world.conversations.get(sid);
    let json = one.map(|one| one.json(call.world, call.base));
    Ok(Reply::new(status, json.unwrap_or_default()))
}

fn fetch(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    reply(call, &sid, 200)
}

fn update(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let form = call.form;
    let name = form.text("UniqueName", 256)?;
    let owner = name.and_then(|name| call.world.conversation_names.get(name));
    if owner.is_some_and(|owner| *owner != sid) {
        let message = "Conversation with provided unique name already exists";
        return Err(ErrorReply::new(409, 50353, message));
    }
    let Some(row) = call.world.conversations.get(&sid) else {
        return Err(ErrorReply::not_found(&sid));
    };
    if !row.is_open() {
        return Err(closed());
    }
    let mut changed = row.clone();
    changed.change(form, call.now)?;
    if let Some(name) = name {
        if let Some(old) = changed.unique_name.replace(name.to_owned()) {
            call.world.conversation_names.remove(&old);
        }
        let names = &mut call.world.conversation_names;
        names.insert(name.to_owned(), sid.clone());
    }
    let is_closed = changed.state == "closed";
    let state = changed.state;
    if let Some(row) = call.world.conversations.get_mut(&sid) {
        *row = changed;
    }
    let effects = &mut call.world.effects;
    effects.state(EffectKind::Conversation, &sid, state);
    if is_closed {
        call.world.close_conversation(&sid, call.now);
    }
    call.world.await_timers(&sid);
    reply(call, &sid, 200)
}

fn delete(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    call.world.close_conversation(&sid, call.now);
    if let Some(row) = call.world.conversations.remove(&sid)
        && let Some(name) = row.unique_name
    {
        call.world.conversation_names.remove(&name);
    }
    let effects = &mut call.world.effects;
    effects.state(EffectKind::Conversation, &sid, "deleted");
    Reply::empty(204)
}
