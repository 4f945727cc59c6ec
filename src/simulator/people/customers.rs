//! The customers: which one a request is about, and the texts that they send.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::simulator::faults::bare;
use crate::simulator::http::form::Parameters;
use crate::simulator::world::World;
use crate::simulator::world::sids::is_sid;

/// The place where a customer's text arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// The SID of the Proxy session, chat channel or conversation.
    pub sid: String,
    /// The newest task there, if there is one.
    pub task: Option<String>,
}

/// Why a customer's text was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreached {
    #[error("no open session or conversation has this customer and sender")]
    NoConversation,
    #[error(
        "the text is a stop word: the customer has opted out, and Proxy does not pass it on (80901)"
    )]
    OptedOut,
}

/// The words that Proxy does not pass on (Twilio's page "Opt-out keywords" of Proxy).
const STOP_WORDS: [&str; 9] = [
    "STOP",
    "UNSUBSCRIBE",
    "END",
    "CANCEL",
    "QUIT",
    "STOPALL",
    "ARRETT",
    "ARRET",
    "ARRETE",
];

/// The address of the customer that a request names, directly or through a resource.
pub(in crate::simulator) fn concerned(
    world: &World,
    path: &[String],
    form: &Parameters,
) -> Option<String> {
    let named = [
        "Target",
        "MessagingBinding.Address",
        "Identifier",
        "Identity",
    ];
    let direct = named.iter().find_map(|name| form.get(name));
    if let Some(address) = direct.filter(|address| !is_sid(address, "CH")) {
        return Some(address.to_owned());
    }
    if let Some(sid) = direct {
        return owner(world, sid);
    }
    if let Some(channel) = json(form, "Channel") {
        let one = channel.pointer("/participants/0");
        let address = one.and_then(|one| one.get("address").or_else(|| one.get("identity")));
        let media = channel.pointer("/properties/media_channel_sid");
        return match (address, media) {
            (Some(address), _) => address.as_str().map(str::to_owned),
            (_, Some(media)) => owner(world, media.as_str()?),
            _ => None,
        };
    }
    for text in form.all("Participants") {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let one = value.pointer("/0").unwrap_or(&value);
        if let Some(identifier) = one["Identifier"].as_str() {
            let address = Some(identifier.to_owned());
            return address
                .filter(|one| !is_sid(one, "CH"))
                .or_else(|| owner(world, identifier));
        }
    }
    path.iter().rev().find_map(|sid| owner(world, sid))
}

fn json(form: &Parameters, name: &str) -> Option<Value> {
    serde_json::from_str(form.get(name)?).ok()
}

/// The customer of a session, channel, conversation or task, by SID or unique name.
fn owner(world: &World, name: &str) -> Option<String> {
    if let Some(session) = world.sessions.get(name) {
        let person = session.customer().map(|one| one.identifier.clone());
        return person.or_else(|| owner(world, &session.channel()?.identifier));
    }
    let sid = world.chat_names.get(name).map_or(name, String::as_str);
    if let Some(channel) = world.flex_channels.get(sid) {
        return Some(channel.customer().to_owned());
    }
    if let Some(task) = world.tasks.get(name) {
        return task.customer.clone();
    }
    let known = world.conversation_names.get(name);
    let one = world.customer_of(known.map_or(name, String::as_str))?;
    one.address.clone().or_else(|| one.identity.clone())
}

impl World {
    /// Delivers a customer's text.
    pub(in crate::simulator) fn inbound(
        &mut self,
        customer: &str,
        sender: &str,
        body: &str,
        now: Timestamp,
    ) -> Result<Reached, Unreached> {
        let stops = STOP_WORDS.contains(&body.trim().to_uppercase().as_str());
        let pairs = pairs(customer, sender);
        if stops {
            self.opted_out.extend(pairs.iter().cloned());
        }
        let session = pairs.iter().find_map(|pair| self.pairs.get(pair)).cloned();
        if let Some(session) = session {
            if stops {
                self.debug(80901, &session, "a stop word is not passed on", now);
                return Err(Unreached::OptedOut);
            }
            self.inbound_to_session(&session, body, now);
            let chat = self.sessions.get(&session).and_then(|s| s.channel());
            let chat = chat.map(|one| one.identifier.clone());
            let channel = chat.and_then(|chat| self.flex_channels.get(&chat));
            let task = channel.and_then(|channel| channel.task.clone());
            return Ok(Reached { sid: session, task });
        }
        let known = pairs.iter().find_map(|pair| self.bindings.get(pair));
        let conversation = known
            .cloned()
            .or_else(|| self.conversation_of_identity(customer));
        if let Some(sid) = conversation {
            let author = self.author(&sid, customer);
            self.inbound_to_conversation(&sid, &author, body, now);
            return Ok(Reached {
                task: self.last_task_in(&sid),
                sid,
            });
        }
        let chat = self.chat_of_identity(customer);
        let sid = chat.ok_or(Unreached::NoConversation)?;
        let identity = self.flex_channels.get(&sid).map(|c| c.identity.clone());
        self.write(&sid, &identity.unwrap_or_default(), body, "{}", now);
        self.task_on_reply(&sid, now);
        let channel = self.flex_channels.get(&sid);
        Ok(Reached {
            task: channel.and_then(|channel| channel.task.clone()),
            sid,
        })
    }

    /// The customer's address in the conversation, with the prefix of its channel.
    fn author(&self, sid: &str, customer: &str) -> String {
        let one = self.customer_of(sid);
        let known = one.and_then(|one| one.address.clone().or_else(|| one.identity.clone()));
        known.unwrap_or_else(|| customer.to_owned())
    }

    fn last_task_in(&self, conversation: &str) -> Option<String> {
        let mut tasks = self.tasks.values().rev();
        let found = tasks.find(|task| task.conversation.as_deref() == Some(conversation))?;
        Some(found.sid.clone())
    }

    /// The open conversation of a chat identity.
    fn conversation_of_identity(&self, identity: &str) -> Option<String> {
        let sids = self.memberships.get(identity)?;
        let open = sids.iter().rev().find(|sid| {
            self.conversations.get(sid).is_some_and(|row| {
                let is_in = |one: &crate::simulator::conversations::participants::Participant| {
                    one.identity.as_deref() == Some(identity)
                };
                row.is_open() && row.participants.iter().any(is_in)
            })
        });
        open.cloned()
    }

    /// The active Flex Channel of a customer who is a chat user.
    fn chat_of_identity(&self, customer: &str) -> Option<String> {
        let mut active = self.active_channels.values();
        let found = active.find(|sid| {
            self.flex_channels
                .get(sid)
                .is_some_and(|one| one.identity == customer || one.customer() == customer)
        });
        found.cloned()
    }
}

/// The pair as given, and with WhatsApp's prefix.
fn pairs(customer: &str, sender: &str) -> [(String, String); 2] {
    let (customer, sender) = (bare(customer), bare(sender));
    [
        (customer.to_owned(), sender.to_owned()),
        (format!("whatsapp:{customer}"), format!("whatsapp:{sender}")),
    ]
}
