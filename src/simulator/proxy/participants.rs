//! The two participants of a Proxy session, and the number that each of them sees.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Session, found};
use crate::simulator::http::call::Call;
use crate::simulator::http::form::Parameters;
use crate::simulator::http::reply::{ErrorReply, Reply, ReplyResult, stamp, stamp_or_null};
use crate::simulator::settings::ProxyPool;
use crate::simulator::world::World;
use crate::simulator::world::effects::{EffectKind, Parties};
use crate::simulator::world::sids::is_sid;

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Participant {
    pub(in crate::simulator) sid: String,
    pub(in crate::simulator) identifier: String,
    pub(super) proxy_identifier: Option<String>,
    number: Option<String>,
    friendly_name: Option<String>,
    pub(in crate::simulator) created: Timestamp,
    pub(in crate::simulator) deleted: Option<Timestamp>,
}

/// The request to add a participant.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct ProxyParticipantRequest {
    identifier: String,
    proxy_identifier: Option<String>,
    number: Option<String>,
    friendly_name: Option<String>,
}

impl ProxyParticipantRequest {
    /// Reads the form of the participants' endpoint.
    fn from_form(form: &Parameters) -> Result<Self, ErrorReply> {
        let text = |name| form.get(name).map(str::to_owned);
        form.text("Identifier", 191)?;
        form.text("FriendlyName", 255)?;
        form.sid("ProxyIdentifierSid", "PN")?;
        Ok(Self {
            identifier: form.required("Identifier")?.to_owned(),
            proxy_identifier: text("ProxyIdentifier"),
            number: text("ProxyIdentifierSid"),
            friendly_name: text("FriendlyName"),
        })
    }

    /// Reads the `Participants` of a new session: several fields with one object each, as SDKs send them, or one
    /// field with a list, as in a sample of Twilio Professional Services.
    pub(in crate::simulator) fn inline(form: &Parameters) -> Result<Vec<Self>, ErrorReply> {
        let wrong = || ErrorReply::invalid("Participants is not JSON of participants");
        let mut found = Vec::new();
        for text in form.all("Participants") {
            let value: Value = serde_json::from_str(text).map_err(|_| wrong())?;
            let list = match value {
                Value::Array(list) => list,
                one => vec![one],
            };
            for one in list {
                let text = |name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
                found.push(Self {
                    identifier: text("Identifier").ok_or_else(wrong)?,
                    proxy_identifier: text("ProxyIdentifier"),
                    number: text("ProxyIdentifierSid"),
                    friendly_name: text("FriendlyName"),
                });
            }
        }
        Ok(found)
    }
}

impl Participant {
    /// Whether this is the agent's participant, a chat channel.
    pub(super) fn is_channel(&self) -> bool {
        is_sid(&self.identifier, "CH")
    }

    pub(in crate::simulator) fn pair(&self) -> Option<(String, String)> {
        let proxy = self.proxy_identifier.clone()?;
        Some((self.identifier.clone(), proxy))
    }

    fn json(&self, session: &Session, account: &str, base: &str) -> Value {
        let url = format!(
            "{base}/v1/Services/{}/Sessions/{}/Participants/{}",
            session.service, session.sid, self.sid
        );
        json!({
            "sid": self.sid,
            "session_sid": session.sid,
            "service_sid": session.service,
            "account_sid": account,
            "friendly_name": self.friendly_name,
            "identifier": self.identifier,
            "proxy_identifier": self.proxy_identifier,
            "proxy_identifier_sid": self.number,
            "date_deleted": stamp_or_null(self.deleted),
            "date_created": stamp(self.created),
            "date_updated": stamp(self.deleted.unwrap_or(self.created)),
            "url": url,
            "links": {"message_interactions": format!("{url}/MessageInteractions")},
        })
    }
}

pub(in crate::simulator) fn create(call: &mut Call<'_>) -> ReplyResult {
    let session = found(call)?;
    let wanted = ProxyParticipantRequest::from_form(call.form)?;
    let sid = call.world.add_participant(&session, &wanted, call.now)?;
    call.world.show_parties(&session);
    reply(call, &session, &sid, 201)
}

fn reply(call: &Call<'_>, session: &str, sid: &str, status: u16) -> ReplyResult {
    let json = call.world.sessions.get(session).and_then(|session| {
        let one = session.participants.iter().find(|one| one.sid == sid)?;
        Some(one.json(session, &call.world.account.sid, call.base))
    });
    let path = || format!("/v1/Sessions/{session}/Participants/{sid}");
    json.map(|json| Reply::new(status, json))
        .ok_or_else(|| ErrorReply::not_found(&path()))
}

pub(in crate::simulator) fn list(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let world = &*call.world;
    let Some(session) = world.sessions.get(&sid) else {
        return Err(ErrorReply::not_found(&sid));
    };
    let path = format!(
        "/v1/Services/{}/Sessions/{sid}/Participants",
        session.service
    );
    let page = call.page(&path, "participants", 100);
    let shown = session
        .present()
        .filter(|one| world.is_listed(one.created, call.now));
    page.of(shown, |one| {
        one.json(session, &world.account.sid, call.base)
    })
}

pub(in crate::simulator) fn fetch(call: &mut Call<'_>) -> ReplyResult {
    let session = found(call)?;
    reply(call, &session, call.param(2), 200)
}

/// Deletes a participant softly: its identifier can never be added to this session again.
pub(in crate::simulator) fn delete(call: &mut Call<'_>) -> ReplyResult {
    let session = found(call)?;
    let sid = call.param(2);
    reply(call, &session, sid, 200)?;
    let mut pair = None;
    if let Some(session) = call.world.sessions.get_mut(&session)
        && let Some(one) = session.participants.iter_mut().find(|one| one.sid == sid)
    {
        one.deleted = Some(call.now);
        pair = one.pair();
    }
    if let Some(pair) = pair {
        call.world.pairs.remove(&pair);
    }
    Reply::empty(call.world.settings.assumptions.participant_delete_status)
}

/// Whether the identifier is a phone number in E.164, an address with the prefix of its channel, or the SID of a chat
/// channel.
fn is_reachable(identifier: &str) -> bool {
    let number = identifier.strip_prefix("whatsapp:").unwrap_or(identifier);
    match number.strip_prefix('+') {
        Some(digits) => {
            (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        }
        None => {
            is_sid(identifier, "CH")
                || identifier
                    .strip_prefix("messenger:")
                    .is_some_and(|id| !id.is_empty())
        }
    }
}

impl World {
    /// Adds a participant. Twilio's errors are checked in the order 80404, 80607, 80103, 80612, 80609, 80605, 80604.
    pub(super) fn add_participant(
        &mut self,
        session: &str,
        wanted: &ProxyParticipantRequest,
        now: Timestamp,
    ) -> Result<String, ErrorReply> {
        let conflict = self.settings.assumptions.conflict_status;
        let Some(row) = self.sessions.get(session) else {
            return Err(ErrorReply::not_found(session));
        };
        if !is_reachable(&wanted.identifier) {
            let message = "Identifier is not a valid reachable address";
            return Err(ErrorReply::new(400, 80404, message));
        }
        if !row.is_open() {
            return Err(ErrorReply::new(400, 80607, "Session is closed"));
        }
        let same = |one: &&Participant| one.identifier == wanted.identifier;
        if row.present().any(|one| same(&one)) {
            let message = "Participant has already been added to Session";
            return Err(ErrorReply::new(conflict, 80103, message));
        }
        if row.participants.iter().any(|one| same(&one)) {
            let message = "Identifier was removed from this Session and cannot return";
            return Err(ErrorReply::new(conflict, 80612, message));
        }
        if row.present().count() >= 2 {
            let message = "A Session has two Participants at most";
            return Err(ErrorReply::new(conflict, 80609, message));
        }
        let service = row.service.clone();
        let (proxy, number) = self.choose_number(&service, wanted, now)?;
        let sid = self.sids.sid("KP");
        let pair = (wanted.identifier.clone(), proxy.clone());
        self.pairs.insert(pair, session.to_owned());
        if let Some(row) = self.sessions.get_mut(session) {
            row.participants.push(Participant {
                sid: sid.clone(),
                identifier: wanted.identifier.clone(),
                proxy_identifier: Some(proxy),
                number,
                friendly_name: wanted.friendly_name.clone(),
                created: now,
                deleted: None,
            });
        }
        Ok(sid)
    }

    /// Chooses the number that a participant sees, with its SID if the pool has it.
    fn choose_number(
        &mut self,
        service: &str,
        wanted: &ProxyParticipantRequest,
        now: Timestamp,
    ) -> Result<(String, Option<String>), ErrorReply> {
        let numbers = self.proxy_services.get(service);
        let numbers = numbers.map_or(&[][..], |service| &service.numbers[..]);
        let is_free = |number: &str| {
            !self
                .pairs
                .contains_key(&(wanted.identifier.clone(), number.to_owned()))
        };
        let asked = wanted.proxy_identifier.as_deref().or_else(|| {
            let sid = wanted.number.as_ref()?;
            let found = numbers.iter().find(|one| one.sid == *sid)?;
            Some(found.number.as_str())
        });
        let Some(asked) = asked else {
            if wanted.number.is_some() {
                let message = "ProxyIdentifierSid is not in the Service's pool";
                return Err(ErrorReply::new(400, 80605, message));
            }
            let is_number = wanted.identifier.starts_with(['+', 'C']);
            let free = numbers.iter().find(|one| is_free(&one.number));
            return match free {
                Some(free) if is_number => Ok((free.number.clone(), Some(free.sid.clone()))),
                // The pool has only phone numbers, which do not send messages of other channels.
                _ if !is_number => Err(no_number(80202)),
                _ if numbers.is_empty() => Err(no_number(80205)),
                _ => Err(no_number(80208)),
            };
        };
        if !is_free(asked) {
            let conflict = self.settings.assumptions.conflict_status;
            let message = "The Identifier and ProxyIdentifier are active in another Session";
            return Err(ErrorReply::new(conflict, 80604, message));
        }
        let known = numbers.iter().find(|one| one.number == asked);
        match (known, &self.settings.proxy_pool) {
            (Some(known), _) => Ok((asked.to_owned(), Some(known.sid.clone()))),
            (None, ProxyPool::Fixed(_)) => {
                let message = "ProxyIdentifier is not in the Service's pool";
                Err(ErrorReply::new(400, 80605, message))
            }
            // Messenger and WhatsApp senders have no phone number SID.
            (None, ProxyPool::Open(_)) if !asked.starts_with('+') => Ok((asked.to_owned(), None)),
            (None, ProxyPool::Open(_)) => {
                let (asked, sid) = (asked.to_owned(), self.sids.sid("PN"));
                if let Some(service) = self.proxy_services.get_mut(service) {
                    service.add(sid.clone(), &asked, now);
                }
                Ok((asked, Some(sid)))
            }
        }
    }

    /// Updates the parties of the session's effect.
    pub(super) fn show_parties(&mut self, sid: &str) {
        let Some(session) = self.sessions.get(sid) else {
            return;
        };
        let customer = session.customer();
        let task = session
            .channel()
            .and_then(|channel| self.flex_channels.get(&channel.identifier)?.task.clone());
        let parties = Parties {
            customer: customer.map(|one| one.identifier.clone()),
            sender: customer.and_then(|one| one.proxy_identifier.clone()),
            agent: task.and_then(|task| self.tasks.get(&task)?.agent.clone()),
        };
        self.effects.parties(EffectKind::Session, sid, parties);
    }
}

fn no_number(code: u32) -> ErrorReply {
    ErrorReply::new(
        400,
        code,
        "No proxy number is available for this Participant",
    )
}
