//! The asynchronous part of an interaction: its setup, its task and its end.
//!
//! Always: a failed setup creates neither a conversation nor a task; a setup for a busy customer creates a
//! conversation without the customer, unless the settings say that it fails.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::interactions::Interaction;
use crate::simulator::conversations::Conversation;
use crate::simulator::conversations::participants::ConversationParticipantRequest;
use crate::simulator::settings::BusyInteraction;
use crate::simulator::taskrouter::tasks::{NewTask, Routing};
use crate::simulator::world::effects::{EffectKind, Parties};
use crate::simulator::world::{Due, World};

/// Twilio's code for a pair of addresses that is in an active conversation.
const PAIR_IN_USE: u32 = 50416;

impl World {
    pub(super) fn begin_interaction(&mut self, row: Interaction, now: Timestamp) {
        let sid = row.sid.clone();
        let customer = row.participants.first();
        let mut parties = Parties {
            customer: customer.and_then(|one| one.address.clone().or(one.identity.clone())),
            sender: customer.and_then(|one| one.proxy_address.clone()),
            agent: None,
        };
        if row.joins {
            let one = self.customer_of(&row.conversation);
            parties.customer = one.and_then(|one| one.address.clone().or(one.identity.clone()));
            parties.sender = one.and_then(|one| one.proxy_address.clone());
            if let Some(conversation) = self.conversations.get_mut(&row.conversation) {
                conversation.interaction = Some(sid.clone());
            }
        }
        let kind = EffectKind::Interaction;
        self.effects.made(kind, &sid, "setup", parties, now);
        let at_once = row.initiated_by != "agent" && row.error.is_none();
        self.interactions.insert(&sid, row);
        if at_once {
            self.build_interaction(&sid, now);
        }
        let setup = self.settings.interaction_setup;
        let ready = now.checked_add(setup).unwrap_or(now);
        self.at(ready, Due::Interaction(sid));
    }

    /// Ends the setup: the channel becomes active or failed.
    pub(in crate::simulator) fn finish_setup(&mut self, sid: &str, at: Timestamp) {
        let row = self.interactions.get(sid).cloned();
        let Some(row) = row.filter(|row| row.status == "setup") else {
            return;
        };
        if row.error.is_none() && !row.built {
            self.build_interaction(sid, at);
        }
        if let Some(row) = self.interactions.get_mut(sid) {
            row.status = if row.error.is_some() {
                "failed"
            } else {
                "active"
            };
            let status = row.status;
            self.effects.state(EffectKind::Interaction, sid, status);
        }
    }

    /// Creates the conversation, if it must be new, and the task; or records why it cannot.
    fn build_interaction(&mut self, sid: &str, now: Timestamp) {
        let Some(row) = self.interactions.get(sid).cloned() else {
            return;
        };
        if !row.joins {
            let refused = row.participants.iter().find_map(|one| {
                let refusal = self.check_participant(None, one).err()?;
                (!self.is_left_out(refusal.code)).then_some(refusal)
            });
            if let Some(refusal) = refused {
                if let Some(row) = self.interactions.get_mut(sid) {
                    row.error = Some(refusal.code);
                }
                return;
            }
            let mut conversation = Conversation::new(&row.conversation, now);
            conversation.interaction = Some(sid.to_owned());
            self.add_conversation(conversation, now);
            for one in row.participants.clone() {
                // Checked above: a participant who is refused here is busy, and is left out.
                drop(self.join_conversation(&row.conversation, one, now));
            }
        }
        self.make_interaction_task(&row, &row.routing, &row.task, now);
        if let Some(row) = self.interactions.get_mut(sid) {
            row.built = true;
        }
    }

    /// Whether the setup continues without a participant who is refused with this code.
    fn is_left_out(&self, code: u32) -> bool {
        code == PAIR_IN_USE && self.settings.busy_interaction == BusyInteraction::Empty
    }

    pub(super) fn make_interaction_task(
        &mut self,
        row: &Interaction,
        routing: &Routing,
        task: &str,
        now: Timestamp,
    ) {
        // A busy customer is not in the conversation: the request still names the task's customer.
        let asked = row
            .participants
            .first()
            .map(ConversationParticipantRequest::parties);
        let one = self.customer_of(&row.conversation);
        let parties = one.map(|one| {
            let customer = one.address.clone().or(one.identity.clone());
            (customer, one.proxy_address.clone())
        });
        let (customer, sender) = parties.or(asked).unwrap_or_default();
        let direction = if row.initiated_by == "agent" {
            "outbound"
        } else {
            "inbound"
        };
        let mut attributes = routing.attributes.clone();
        let own = json!({
            "customerAddress": customer,
            "conversationSid": row.conversation,
            "channelType": row.kind,
            "initiatedBy": row.initiated_by,
            "direction": direction,
            "flexInteractionSid": row.sid,
            "flexInteractionChannelSid": row.channel,
            "conversations": {"initiated_by": row.initiated_by, "conversation_id": row.sid,
                "media": [{"type": "ChatTranscript", "sid": row.conversation}]},
        });
        if let Some(own) = own.as_object() {
            attributes.extend(own.clone());
        }
        self.make_task(
            NewTask {
                sid: Some(task.to_owned()),
                attributes: Value::Object(attributes),
                channel: Some(
                    routing
                        .channel
                        .clone()
                        .unwrap_or_else(|| row.kind.to_owned()),
                ),
                workflow: routing.workflow.clone(),
                timeout: routing.timeout,
                priority: routing.priority,
                routing_target: routing.worker.clone(),
                customer,
                sender,
                conversation: Some(row.conversation.clone()),
                ..NewTask::default()
            },
            now,
        );
        let agent = self.tasks.get(task).and_then(|task| task.agent.clone());
        for (kind, sid) in [
            (EffectKind::Interaction, &row.sid),
            (EffectKind::Conversation, &row.conversation),
        ] {
            let parties = Parties {
                agent: agent.clone(),
                ..Parties::default()
            };
            self.effects.parties(kind, sid, parties);
        }
    }

    /// Ends an interaction. A closed channel closes its conversation; its task is cancelled, or completed if an agent
    /// has it (assumed: Twilio's page names only the routing status). With `inactive`, the conversation stays open.
    pub(super) fn end_interaction(&mut self, sid: &str, status: &'static str, now: Timestamp) {
        let Some(row) = self.interactions.get_mut(sid) else {
            return;
        };
        row.status = status;
        let (conversation, mut tasks) = (row.conversation.clone(), vec![row.task.clone()]);
        tasks.extend(row.invites.iter().map(|(_, task)| task.clone()));
        self.effects.state(EffectKind::Interaction, sid, status);
        if status == "closed" {
            self.close_conversation(&conversation, now);
        }
        for task in tasks {
            self.wind_up_task(&task, now);
        }
    }

    /// Simulates the Studio flow of a conversation's webhook: it sends the conversation to Flex, and passes the
    /// conversation's attributes on to the task.
    pub(in crate::simulator) fn play_studio_flow(&mut self, conversation: &str, now: Timestamp) {
        let Some(row) = self.conversations.get(conversation) else {
            return;
        };
        let attributes = row.facts.as_object().cloned().unwrap_or_else(Map::new);
        let routing = Routing {
            attributes,
            ..Routing::default()
        };
        let one = self.customer_of(conversation);
        let address = one.and_then(|one| one.address.as_deref());
        let kind = match address.and_then(|address| address.split_once(':')) {
            Some(("whatsapp", _)) => "whatsapp",
            Some(("messenger", _)) => "messenger",
            _ if address.is_some() => "sms",
            _ => "chat",
        };
        let row = Interaction {
            sid: self.sids.sid("KD"),
            channel: self.sids.sid("UO"),
            kind,
            status: "setup",
            error: None,
            initiated_by: "customer",
            conversation: conversation.to_owned(),
            joins: true,
            task: self.sids.sid("WT"),
            built: false,
            participants: Vec::new(),
            routing,
            context: None,
            webhook_ttid: None,
            invites: Vec::new(),
        };
        self.begin_interaction(row, now);
    }
}
