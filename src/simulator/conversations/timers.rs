//! The timers of a conversation: it becomes inactive, and then closed, when it is not used.
//!
//! In: its own timers, or the account's default timers. Always: a message and a new participant restart them
//! (Twilio's Android SDK names these two as the events that make a conversation active again).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Conversation;
use super::participants::Participant;
use crate::simulator::http::call::Call;
use crate::simulator::http::form::Parameters;
use crate::simulator::http::reply::{ErrorReply, Reply, ReplyResult};
use crate::simulator::settings::Settings;
use crate::simulator::world::effects::{EffectKind, Parties};
use crate::simulator::world::{Due, World};

/// The shortest timers (Twilio's OpenAPI).
const INACTIVE_MIN: Duration = Duration::from_secs(60);
const CLOSED_MIN: Duration = Duration::from_secs(600);

/// The timers of conversations that are created without their own timers.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulator) struct DefaultTimers {
    inactive: Option<SignedDuration>,
    closed: Option<SignedDuration>,
}

impl DefaultTimers {
    pub(in crate::simulator) fn of(settings: &Settings) -> Self {
        let timer = |after: Option<Duration>| after.and_then(|after| after.try_into().ok());
        Self {
            inactive: timer(settings.default_inactive_timer),
            closed: timer(settings.default_closed_timer),
        }
    }
}

/// The inactive and closed timers in a form. `PT0S` means no timer (Twilio's support article "Default Inactive Timer
/// in Twilio Conversations Classic").
pub(in crate::simulator) fn given(
    form: &Parameters,
    [inactive, closed]: [&str; 2],
) -> Result<[Option<SignedDuration>; 2], ErrorReply> {
    Ok([
        form.duration(inactive, INACTIVE_MIN)?,
        form.duration(closed, CLOSED_MIN)?,
    ])
}

/// `GET /v1/Configuration`.
pub(in crate::simulator) fn configuration(call: &mut Call<'_>) -> ReplyResult {
    let account = &call.world.account;
    let timers = call.world.default_timers;
    let shown =
        |timer: Option<SignedDuration>| timer.map_or(Value::Null, |timer| json!(timer.to_string()));
    let base = call.base;
    Reply::ok(json!({
        "account_sid": account.sid,
        "default_chat_service_sid": account.chat_service,
        "default_messaging_service_sid": account.messaging_service,
        "default_inactive_timer": shown(timers.inactive),
        "default_closed_timer": shown(timers.closed),
        "url": format!("{base}/v1/Configuration"),
        "links": {
            "service": format!("{base}/v1/Services/{}/Configuration", account.chat_service),
            "webhooks": format!("{base}/v1/Configuration/Webhooks"),
        },
    }))
}

/// `POST /v1/Configuration`: sets the default timers of later conversations.
pub(super) fn configure(call: &mut Call<'_>) -> ReplyResult {
    let [inactive, closed] = given(call.form, ["DefaultInactiveTimer", "DefaultClosedTimer"])?;
    let timers = &mut call.world.default_timers;
    timers.inactive = inactive.or(timers.inactive);
    timers.closed = closed.or(timers.closed);
    configuration(call)
}

impl World {
    pub(in crate::simulator) fn add_conversation(&mut self, mut row: Conversation, now: Timestamp) {
        let sid = row.sid.clone();
        row.inactive_after = row.inactive_after.or(self.default_timers.inactive);
        row.closed_after = row.closed_after.or(self.default_timers.closed);
        if let Some(name) = &row.unique_name {
            self.conversation_names.insert(name.clone(), sid.clone());
        }
        let kind = EffectKind::Conversation;
        self.effects
            .made(kind, &sid, row.state, Parties::default(), now);
        self.conversations.insert(&sid, row);
        self.await_timers(&sid);
    }

    /// Restarts the timers of a conversation that was used.
    pub(super) fn touch_conversation(&mut self, sid: &str, now: Timestamp) {
        if let Some(row) = self.conversations.get_mut(sid) {
            row.active = now;
            if row.state == "inactive" {
                row.state = "active";
            }
            let state = row.state;
            self.effects.state(EffectKind::Conversation, sid, state);
        }
        self.await_timers(sid);
    }

    pub(super) fn await_timers(&mut self, sid: &str) {
        let row = self.conversations.get(sid);
        let dues = row.map(|row| [row.inactive_at(), row.closed_at()]);
        for at in dues.into_iter().flatten().flatten() {
            self.at(at, Due::Conversation(sid.to_owned()));
        }
    }

    pub(in crate::simulator) fn run_timers(&mut self, sid: &str, at: Timestamp) {
        let Some(row) = self.conversations.get_mut(sid) else {
            return;
        };
        if row.closed_at().is_some_and(|due| due <= at) {
            self.close_conversation(sid, at);
        } else if row.inactive_at().is_some_and(|due| due <= at) {
            row.state = "inactive";
            row.updated = at;
            self.effects
                .state(EffectKind::Conversation, sid, "inactive");
        }
    }

    /// Closes a conversation, which frees its pairs of addresses.
    pub(in crate::simulator) fn close_conversation(&mut self, sid: &str, now: Timestamp) {
        let Some(row) = self.conversations.get_mut(sid) else {
            return;
        };
        row.state = "closed";
        row.updated = now;
        let pairs: Vec<_> = row
            .participants
            .iter()
            .filter_map(Participant::pair)
            .collect();
        for pair in pairs {
            if self.bindings.get(&pair).is_some_and(|owner| owner == sid) {
                self.bindings.remove(&pair);
            }
        }
        self.effects.state(EffectKind::Conversation, sid, "closed");
    }
}
