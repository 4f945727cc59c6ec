//! A conversation's time: it goes inactive and closes when nobody uses it.

use jiff::Timestamp;

use super::conversations::Conversation;
use super::effects::{EffectKind, Parties};
use super::participants::Participant;
use super::world::{Due, World};

impl World {
    pub(super) fn add_conversation(&mut self, row: Conversation, now: Timestamp) {
        let sid = row.sid.clone();
        if let Some(name) = &row.unique_name {
            self.conversation_names.insert(name.clone(), sid.clone());
        }
        let kind = EffectKind::Conversation;
        self.effects
            .made(kind, &sid, row.state, Parties::default(), now);
        self.conversations.insert(&sid, row);
        self.await_timers(&sid);
    }

    /// The conversation was used: its timers begin anew.
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

    pub(super) fn run_timers(&mut self, sid: &str, at: Timestamp) {
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
    pub(super) fn close_conversation(&mut self, sid: &str, now: Timestamp) {
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
