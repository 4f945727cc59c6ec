//! Proxy: its routes, its service and the service's numbers.

pub(super) mod sessions;
pub(super) mod participants;
pub(super) mod messages;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::messages::ProxyInteraction;
use self::participants::Participant;
use super::http::call::{Call, Route};
use super::http::reply::{ErrorReply, Reply, ReplyResult, stamp, stamp_or_null};
use super::settings::ProxyPool;
use super::world::World;

#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    Route { operation: "list_proxy_services", method: "GET", path: "/v1/Services", answer: services },
    Route { operation: "fetch_proxy_service", method: "GET", path: "/v1/Services/{Sid}", answer: service },
    Route { operation: "list_proxy_numbers", method: "GET", path: "/v1/Services/{ServiceSid}/PhoneNumbers", answer: numbers },
    Route { operation: "create_proxy_number", method: "POST", path: "/v1/Services/{ServiceSid}/PhoneNumbers", answer: add_number },
    Route { operation: "list_sessions", method: "GET", path: "/v1/Services/{ServiceSid}/Sessions", answer: sessions::list },
    Route { operation: "create_session", method: "POST", path: "/v1/Services/{ServiceSid}/Sessions", answer: sessions::create },
    Route { operation: "fetch_session", method: "GET", path: "/v1/Services/{ServiceSid}/Sessions/{Sid}", answer: sessions::fetch },
    Route { operation: "update_session", method: "POST", path: "/v1/Services/{ServiceSid}/Sessions/{Sid}", answer: sessions::update },
    Route { operation: "delete_session", method: "DELETE", path: "/v1/Services/{ServiceSid}/Sessions/{Sid}", answer: sessions::delete },
    Route { operation: "create_proxy_participant", method: "POST", path: "/v1/Services/{ServiceSid}/Sessions/{SessionSid}/Participants", answer: participants::create },
    Route { operation: "list_proxy_participants", method: "GET", path: "/v1/Services/{ServiceSid}/Sessions/{SessionSid}/Participants", answer: participants::list },
    Route { operation: "fetch_proxy_participant", method: "GET", path: "/v1/Services/{ServiceSid}/Sessions/{SessionSid}/Participants/{Sid}", answer: participants::fetch },
    Route { operation: "delete_proxy_participant", method: "DELETE", path: "/v1/Services/{ServiceSid}/Sessions/{SessionSid}/Participants/{Sid}", answer: participants::delete },
    Route { operation: "create_message_interaction", method: "POST", path: "/v1/Services/{ServiceSid}/Sessions/{SessionSid}/Participants/{ParticipantSid}/MessageInteractions", answer: messages::create },
    Route { operation: "list_message_interactions", method: "GET", path: "/v1/Services/{ServiceSid}/Sessions/{SessionSid}/Participants/{ParticipantSid}/MessageInteractions", answer: messages::list_of_participant },
    Route { operation: "fetch_message_interaction", method: "GET", path: "/v1/Services/{ServiceSid}/Sessions/{SessionSid}/Participants/{ParticipantSid}/MessageInteractions/{Sid}", answer: messages::fetch_of_participant },
    Route { operation: "list_proxy_interactions", method: "GET", path: "/v1/Services/{ServiceSid}/Sessions/{SessionSid}/Interactions", answer: messages::list },
];

#[derive(Clone, Debug)]
pub(super) struct ProxyService {
    pub(super) sid: String,
    pub(super) unique_name: String,
    pub(super) chat_service: String,
    pub(super) default_ttl: i64,
    pub(super) numbers: Vec<ProxyNumber>,
    pub(super) created: Timestamp,
}

/// A number in the pool of a service.
#[derive(Clone, Debug)]
pub(super) struct ProxyNumber {
    pub(super) sid: String,
    pub(super) number: String,
    created: Timestamp,
}

/// Creates the account's one Proxy service, which is linked to Flex's chat service.
pub(super) fn found_service(world: &mut World, now: Timestamp) {
    let sid = world.sids.sid("KS");
    let (ProxyPool::Open(numbers) | ProxyPool::Fixed(numbers)) = world.settings.proxy_pool.clone();
    let numbers = numbers.into_iter().map(|number| ProxyNumber {
        sid: world.sids.sid("PN"),
        number,
        created: now,
    });
    let service = ProxyService {
        numbers: numbers.collect(),
        unique_name: "Flex Proxy Service".to_owned(),
        chat_service: world.account.chat_service.clone(),
        default_ttl: 0,
        created: now,
        sid: sid.clone(),
    };
    world.proxy_services.insert(&sid, service);
}

impl ProxyService {
    fn json(&self, account: &str, base: &str) -> Value {
        let url = format!("{base}/v1/Services/{}", self.sid);
        json!({
            "sid": self.sid,
            "unique_name": self.unique_name,
            "account_sid": account,
            "chat_instance_sid": self.chat_service,
            "callback_url": null,
            "default_ttl": self.default_ttl,
            "number_selection_behavior": "prefer-sticky",
            "geo_match_level": "country",
            "intercept_callback_url": null,
            "out_of_session_callback_url": null,
            "date_created": stamp(self.created),
            "date_updated": stamp(self.created),
            "url": url,
            "links": {"sessions": format!("{url}/Sessions"), "phone_numbers": format!("{url}/PhoneNumbers")},
        })
    }

    pub(super) fn add(&mut self, sid: String, number: &str, now: Timestamp) {
        self.numbers.push(ProxyNumber {
            sid,
            number: number.to_owned(),
            created: now,
        });
    }
}

fn services(call: &mut Call<'_>) -> ReplyResult {
    let world = &*call.world;
    let page = call.page("/v1/Services", "services", 100);
    page.of(world.proxy_services.values(), |service| {
        service.json(&world.account.sid, call.base)
    })
}

fn service(call: &mut Call<'_>) -> ReplyResult {
    Reply::ok(found_in(call)?.json(&call.world.account.sid, call.base))
}

/// Finds the service that the path names.
pub(super) fn found_in<'b>(call: &'b Call<'_>) -> Result<&'b ProxyService, ErrorReply> {
    let sid = call.param(0);
    let service = call.world.proxy_services.get(sid);
    service.ok_or_else(|| ErrorReply::not_found(&format!("/v1/Services/{sid}")))
}

fn number_json(service: &str, number: &ProxyNumber, world: &World, base: &str) -> Value {
    let used = world.pairs.keys().filter(|(_, n)| *n == number.number);
    json!({
        "sid": number.sid,
        "account_sid": world.account.sid,
        "service_sid": service,
        "date_created": stamp(number.created),
        "date_updated": stamp(number.created),
        "phone_number": number.number,
        "friendly_name": number.number,
        "iso_country": null,
        "capabilities": {"sms": true, "mms": true, "voice": true, "fax": false},
        "url": format!("{base}/v1/Services/{service}/PhoneNumbers/{}", number.sid),
        "is_reserved": false,
        "in_use": used.count(),
    })
}

fn numbers(call: &mut Call<'_>) -> ReplyResult {
    let service = found_in(call)?;
    let path = format!("/v1/Services/{}/PhoneNumbers", service.sid);
    let page = call.page(&path, "phone_numbers", 100);
    page.of(service.numbers.iter(), |number| {
        number_json(&service.sid, number, call.world, call.base)
    })
}

fn add_number(call: &mut Call<'_>) -> ReplyResult {
    let service = found_in(call)?;
    let text = call.form.required("PhoneNumber")?;
    if service.numbers.iter().any(|one| one.number == text) {
        let message = "PhoneNumber has already been added to Service";
        return Err(ErrorReply::new(400, 80104, message));
    }
    let sid = call.world.sids.sid("PN");
    let service = call.world.proxy_services.get_mut(call.param(0));
    let Some(service) = service else {
        return Err(ErrorReply::not_found(call.param(0)));
    };
    service.add(sid, text, call.now);
    let number = service.numbers.last().cloned();
    let json = number.map(|one| number_json(call.param(0), &one, call.world, call.base));
    Reply::created(json.unwrap_or_default())
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) sid: String,
    pub(super) service: String,
    pub(super) unique_name: Option<String>,
    /// `open`, `in-progress`, `closed`, `failed`.
    pub(super) status: &'static str,
    mode: &'static str,
    /// The time to live in seconds, from the creation or the last interaction; 0 means for ever.
    ttl: i64,
    date_expiry: Option<Timestamp>,
    last_interaction: Option<Timestamp>,
    ended: Option<Timestamp>,
    closed_reason: Option<&'static str>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) participants: Vec<Participant>,
    pub(super) interactions: Vec<ProxyInteraction>,
}

impl Session {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.status, "open" | "in-progress")
    }

    /// The participants that have not been removed.
    pub(super) fn present(&self) -> impl Iterator<Item = &Participant> {
        self.participants.iter().filter(|one| one.deleted.is_none())
    }

    /// The customer: the participant that is not a chat channel.
    pub(super) fn customer(&self) -> Option<&Participant> {
        self.present().find(|one| !one.is_channel())
    }

    /// The participant that is a chat channel.
    pub(super) fn channel(&self) -> Option<&Participant> {
        self.present().find(|one| one.is_channel())
    }

    fn expiry(&self) -> Option<Timestamp> {
        if self.date_expiry.is_some() {
            return self.date_expiry;
        }
        let from = self.last_interaction.unwrap_or(self.created);
        (self.ttl > 0)
            .then(|| from.checked_add(SignedDuration::from_secs(self.ttl)).ok())
            .flatten()
    }

    fn json(&self, account: &str, base: &str) -> Value {
        let url = format!("{base}/v1/Services/{}/Sessions/{}", self.service, self.sid);
        json!({
            "sid": self.sid,
            "service_sid": self.service,
            "account_sid": account,
            "unique_name": self.unique_name,
            "status": self.status,
            "mode": self.mode,
            "ttl": self.ttl,
            "date_started": stamp_or_null(self.participants.iter().map(|one| one.created).nth(1)),
            "date_ended": stamp_or_null(self.ended),
            "date_last_interaction": stamp_or_null(self.last_interaction),
            "date_expiry": stamp_or_null(self.expiry()),
            "closed_reason": self.closed_reason,
            "date_created": stamp(self.created),
            "date_updated": stamp(self.updated),
            "url": url,
            "links": {"interactions": format!("{url}/Interactions"), "participants": format!("{url}/Participants")},
        })
    }
}

/// Finds the session that the path's second parameter names.
pub(super) fn found(call: &Call<'_>) -> Result<String, ErrorReply> {
    let service = found_in(call)?;
    let name = call.param(1);
    let world = &*call.world;
    let by_name = world
        .session_names
        .get(&(service.sid.clone(), name.to_owned()))
        .filter(|_| world.settings.assumptions.session_by_unique_name);
    let session = world.sessions.get(by_name.map_or(name, String::as_str));
    session
        .filter(|session| session.service == service.sid)
        .filter(|session| by_name.is_none() || world.is_listed(session.created, call.now))
        .map(|session| session.sid.clone())
        .ok_or_else(|| {
            let path = format!("/v1/Services/{}/Sessions/{name}", service.sid);
            if name.starts_with("KC") {
                ErrorReply::not_found(&path)
            } else {
                let message = format!("Session with the given unique name not found: {path}");
                ErrorReply::new(404, 80308, message)
            }
        })
}
