//! Where an operator finds a message's resources at Twilio.

use serde::Serialize;

use crate::message::Effects;

/// A resource that a message has at Twilio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AtTwilio {
    pub resource: &'static str,
    pub sid: String,
    /// Where the console shows it.
    pub place: &'static str,
}

/// The resources of these effects, in the order in which steps make them.
pub(super) fn of(effects: &Effects) -> Vec<AtTwilio> {
    const CHAT: &str = "Programmable Chat, the Flex chat service, Channels";
    const CONVERSATIONS: &str = "Conversations, the Flex service, Conversations";
    const PROXY: &str = "Proxy, the Flex Proxy service, Sessions";
    const TASKROUTER: &str = "TaskRouter, the Flex workspace, Tasks";
    const INTERACTIONS: &str = "no page: GET /v1/Interactions/{sid} of the Flex API";
    let all = [
        ("chat channel", &effects.channel_sid, CHAT),
        ("task", &effects.task_sid, TASKROUTER),
        ("Proxy session", &effects.session_sid, PROXY),
        (
            "agent's Proxy participant",
            &effects.agent_participant_sid,
            PROXY,
        ),
        (
            "customer's Proxy participant",
            &effects.customer_participant_sid,
            PROXY,
        ),
        ("Interaction", &effects.interaction_sid, INTERACTIONS),
        (
            "Interaction's channel",
            &effects.interaction_channel_sid,
            INTERACTIONS,
        ),
        ("Conversation", &effects.conversation_sid, CONVERSATIONS),
        ("webhook for the reply", &effects.webhook_sid, CONVERSATIONS),
        (
            "customer's participant",
            &effects.participant_sid,
            CONVERSATIONS,
        ),
        (
            "message",
            &effects.message_sid,
            "Monitor, Logs, Messaging; or its Conversation",
        ),
    ];
    let set = all.into_iter().filter_map(|(resource, sid, place)| {
        Some(AtTwilio {
            resource,
            sid: sid.clone()?,
            place,
        })
    });
    set.collect()
}
