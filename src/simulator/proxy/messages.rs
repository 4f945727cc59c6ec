//! Texts that pass through a Proxy session, in both directions, and the interactions that record them.
//!
//! Twilio's page on outbound messages posts the message interaction on the agent's participant, and says that the
//! customer receives it; Proxy's documentation says that the named participant receives it. By default, both reach
//! the customer once; `Assumptions` has a switch for each.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Session, found};
use crate::simulator::http::call::Call;
use crate::simulator::http::reply::{ErrorReply, Reply, ReplyResult, stamp};
use crate::simulator::world::World;
use crate::simulator::world::content;
use crate::simulator::world::effects::{EffectKind, Parties};

#[derive(Clone, Debug)]
pub(in crate::simulator) struct ProxyInteraction {
    sid: String,
    /// For a message interaction, the participant that it was posted to.
    posted_on: Option<String>,
    body: String,
    /// The SIDs of the participant and the resource that it came from; `None` if it came from the API.
    inbound: Option<(String, String)>,
    outbound: Option<(String, String)>,
    created: Timestamp,
}

impl ProxyInteraction {
    fn json(&self, session: &Session, account: &str, base: &str) -> Value {
        let url = format!(
            "{base}/v1/Services/{}/Sessions/{}",
            session.service, session.sid
        );
        let url = match &self.posted_on {
            Some(on) => format!("{url}/Participants/{on}/MessageInteractions/{}", self.sid),
            None => format!("{url}/Interactions/{}", self.sid),
        };
        let mut json = json!({
            "sid": self.sid,
            "session_sid": session.sid,
            "service_sid": session.service,
            "account_sid": account,
            "data": json!({"body": self.body}).to_string(),
            "type": "message",
            "inbound_participant_sid": self.inbound.as_ref().map(|(one, _)| one),
            "inbound_resource_sid": self.inbound.as_ref().map(|(_, sid)| sid),
            "inbound_resource_type": self.inbound.as_ref().map(|_| "Message"),
            "inbound_resource_url": null,
            "outbound_participant_sid": self.outbound.as_ref().map(|(one, _)| one),
            "outbound_resource_sid": self.outbound.as_ref().map(|(_, sid)| sid),
            "outbound_resource_type": self.outbound.as_ref().map(|_| "Message"),
            "outbound_resource_url": null,
            "date_created": stamp(self.created),
            "date_updated": stamp(self.created),
            "url": url,
        });
        // In the OpenAPI neither status can be null, although its examples have null.
        if self.inbound.is_some() {
            json["inbound_resource_status"] = "received".into();
        }
        if self.outbound.is_some() {
            json["outbound_resource_status"] = "sent".into();
        }
        json
    }

    fn message_json(&self, session: &Session, account: &str, base: &str) -> Value {
        let mut json = self.json(session, account, base);
        json["participant_sid"] = json!(self.posted_on);
        json
    }
}

pub(in crate::simulator) fn create(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let on = call.param(2);
    let body = call.form.required("Body")?;
    content::check_body(body)?;
    let world = &mut *call.world;
    let Some(session) = world.sessions.get(&sid) else {
        return Err(ErrorReply::not_found(&sid));
    };
    let Some(one) = session.present().find(|one| one.sid == on).cloned() else {
        return Err(ErrorReply::not_found(&format!("/v1/Participants/{on}")));
    };
    if !session.is_open() {
        return Err(ErrorReply::new(400, 80607, "Session is closed"));
    }
    let customer = session.customer();
    let sender = customer.and_then(|one| one.proxy_identifier.clone());
    world.check_queue(&sender.unwrap_or_default(), call.now)?;
    let assumed = &world.settings.assumptions;
    let reaches = if one.is_channel() {
        assumed.agent_interaction_reaches_customer
    } else {
        assumed.customer_interaction_reaches_customer
    };
    let status = assumed.message_interaction_status;
    let interaction = world.sids.sid("KI");
    if one.is_channel() {
        world.write(&one.identifier, "system", body, "{}", call.now);
    }
    if reaches {
        world.deliver(&sid, &interaction, body, call.now);
    }
    let outbound = Some((one.sid.clone(), world.sids.sid("SM")));
    let row = ProxyInteraction {
        sid: interaction,
        posted_on: Some(one.sid),
        body: body.to_owned(),
        inbound: None,
        outbound,
        created: call.now,
    };
    world.interacted(&sid, row.clone(), call.now);
    let session = world.sessions.get(&sid);
    let json = session.map(|s| row.message_json(s, &world.account.sid, call.base));
    Ok(Reply::new(status, json.unwrap_or_default()))
}

pub(super) fn list_of_participant(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let on = call.param(2);
    let world = &*call.world;
    let Some(session) = world.sessions.get(&sid) else {
        return Err(ErrorReply::not_found(&sid));
    };
    let path = format!(
        "/v1/Services/{}/Sessions/{sid}/Participants/{on}/MessageInteractions",
        session.service
    );
    let shown = session.interactions.iter().filter(|one| {
        one.posted_on.as_deref() == Some(on) && world.is_listed(one.created, call.now)
    });
    let page = call.page(&path, "interactions", 100);
    page.of(shown, |one| {
        one.message_json(session, &world.account.sid, call.base)
    })
}

pub(super) fn fetch_of_participant(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let wanted = call.param(3);
    let json = call.world.sessions.get(&sid).and_then(|session| {
        let one = session.interactions.iter().find(|one| one.sid == wanted)?;
        Some(one.message_json(session, &call.world.account.sid, call.base))
    });
    json.map_or_else(|| Err(ErrorReply::not_found(wanted)), Reply::ok)
}

pub(in crate::simulator) fn list(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let world = &*call.world;
    let Some(session) = world.sessions.get(&sid) else {
        return Err(ErrorReply::not_found(&sid));
    };
    let path = format!(
        "/v1/Services/{}/Sessions/{sid}/Interactions",
        session.service
    );
    let shown = session
        .interactions
        .iter()
        .filter(|one| world.is_listed(one.created, call.now));
    let page = call.page(&path, "interactions", 100);
    page.of(shown, |one| {
        one.json(session, &world.account.sid, call.base)
    })
}

impl World {
    /// Adds an interaction, which restarts the session's time to live.
    fn interacted(&mut self, sid: &str, row: ProxyInteraction, now: Timestamp) {
        if let Some(session) = self.sessions.get_mut(sid) {
            session.interactions.push(row);
            session.status = "in-progress";
            session.last_interaction = Some(now);
            session.updated = now;
        }
        self.effects.state(EffectKind::Session, sid, "in-progress");
    }

    /// Delivers a text to the session's customer, from the number that the customer's participant sees.
    fn deliver(&mut self, session: &str, message: &str, body: &str, now: Timestamp) {
        let Some(row) = self.sessions.get(session) else {
            return;
        };
        let Some(customer) = row.customer() else {
            self.debug(80614, session, "no customer in the session", now);
            return;
        };
        let sender = customer.proxy_identifier.clone().unwrap_or_default();
        let parties = Parties {
            customer: Some(customer.identifier.clone()),
            sender: Some(sender),
            agent: None,
        };
        self.send(message, body, parties, now);
    }

    /// Sends a text to a customer, unless the customer has opted out.
    pub(in crate::simulator) fn send(
        &mut self,
        message: &str,
        body: &str,
        parties: Parties,
        now: Timestamp,
    ) {
        let pair = (
            parties.customer.clone().unwrap_or_default(),
            parties.sender.clone().unwrap_or_default(),
        );
        if self.opted_out.contains(&pair) {
            self.debug(21610, message, "the customer has opted out", now);
            return;
        }
        // A text in a chat channel is relayed later, so that its request cannot be refused.
        if let Err(refusal) = self.check_queue(&pair.1, now) {
            self.debug(refusal.code, message, "the sender's queue is full", now);
            return;
        }
        let sending = &self.settings.sending;
        self.queues.fill(sending, &pair.1, body, now);
        self.effects.message(message, body, parties, now);
    }

    /// Refuses a text whose sender's queue is full.
    pub(in crate::simulator) fn check_queue(
        &self,
        sender: &str,
        now: Timestamp,
    ) -> Result<(), ErrorReply> {
        if self.queues.has_room(&self.settings.sending, sender, now) {
            return Ok(());
        }
        let status = self.settings.assumptions.queue_full_status;
        let text = "This From number has exceeded the maximum number of queued messages";
        Err(ErrorReply::new(status, 21611, text))
    }

    /// Relays a message of a chat channel to the customer: through Proxy if the channel has the attributes that 80619
    /// names, or directly if the customer is in the chat (a custom channel).
    pub(in crate::simulator) fn relay(&mut self, sid: &str, at: usize, now: Timestamp) {
        let Some(chat) = self.chats.get(sid) else {
            return;
        };
        let message = chat.messages[at].clone();
        let agent = self.agent_of_identity(&message.from);
        let is_active = chat.fact("status") == Some("ACTIVE");
        if let Some(channel) = self.flex_channels.get(sid)
            && let Some(flow) = self.flows.get(&channel.flow)
            && matches!(flow.channel_type, "custom" | "web")
        {
            let parties = Parties {
                customer: Some(channel.customer().to_owned()),
                sender: flow.contact_identity.clone(),
                agent,
            };
            if is_active && message.from != channel.identity {
                self.send(&message.sid, &message.body, parties, now);
            }
            return;
        }
        if chat.facts.get("channel_type").is_none() {
            // A chat channel that is not Flex's is not relayed.
            return;
        }
        let complete = ["twilioNumber", "serviceNumber", "proxySession"]
            .iter()
            .all(|name| chat.fact(name).is_some());
        if !complete || !is_active {
            let detail = "the channel lacks twilioNumber, serviceNumber, status or proxySession";
            self.debug(80619, sid, detail, now);
            return;
        }
        let session = chat.fact("proxySession").unwrap_or_default().to_owned();
        self.relay_through(&session, sid, message, agent, now);
    }

    fn relay_through(
        &mut self,
        session: &str,
        chat: &str,
        message: crate::simulator::chat::ChatMessage,
        agent: Option<String>,
        now: Timestamp,
    ) {
        let row = self.sessions.get(session).filter(|row| row.is_open());
        let ends = row.and_then(|row| {
            let from = row.present().find(|one| one.identifier == chat)?;
            Some((from.sid.clone(), row.customer()?.clone()))
        });
        let Some((from, customer)) = ends else {
            let detail = "proxySession is not an open session of this channel and a customer";
            self.debug(80619, chat, detail, now);
            return;
        };
        if let Err(refusal) = content::check_body(&message.body) {
            self.debug(refusal.code, &message.sid, "the text is too long", now);
            return;
        }
        if self.settings.assumptions.chat_message_reaches_customer {
            let parties = Parties {
                customer: Some(customer.identifier.clone()),
                sender: customer.proxy_identifier.clone(),
                agent,
            };
            self.send(&message.sid, &message.body, parties, now);
        }
        let row = ProxyInteraction {
            sid: self.sids.sid("KI"),
            posted_on: None,
            inbound: Some((from, message.sid)),
            outbound: Some((customer.sid, self.sids.sid("SM"))),
            body: message.body,
            created: now,
        };
        self.interacted(session, row, now);
    }

    /// Passes a customer's text from the session to the chat channel.
    pub(in crate::simulator) fn inbound_to_session(
        &mut self,
        session: &str,
        body: &str,
        now: Timestamp,
    ) {
        let Some(row) = self.sessions.get(session) else {
            return;
        };
        let (Some(customer), Some(channel)) = (row.customer().cloned(), row.channel().cloned())
        else {
            self.debug(80614, session, "no channel in the session", now);
            return;
        };
        let chat = channel.identifier.clone();
        let at = self.write(&chat, &customer.identifier, body, "{}", now);
        let message = self
            .chats
            .get(&chat)
            .map(|chat| chat.messages[at].sid.clone());
        let row = ProxyInteraction {
            sid: self.sids.sid("KI"),
            posted_on: None,
            body: body.to_owned(),
            inbound: Some((customer.sid, self.sids.sid("SM"))),
            outbound: message.map(|sid| (channel.sid, sid)),
            created: now,
        };
        self.interacted(session, row, now);
        self.task_on_reply(&chat, now);
    }

    /// Creates the task at the first reply, if the flow waits for it.
    pub(in crate::simulator) fn task_on_reply(&mut self, chat: &str, now: Timestamp) {
        let Some(channel) = self.flex_channels.get(chat) else {
            return;
        };
        let waits = channel.task.is_none()
            && self
                .flows
                .get(&channel.flow)
                .is_some_and(crate::simulator::flex::FlexFlow::makes_task_on_reply);
        if waits {
            self.make_channel_task(chat, now);
        }
    }
}
