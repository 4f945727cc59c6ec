//! Users of the chat service. An identity belongs to one User, until that User is deleted.
//!
//! Assumed: a second User of one identity is 409 with error 50201 (public reports; Twilio's page on the User resource
//! names no code), and a path can name a User by identity or by SID (Twilio's OpenAPI).

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::simulator::http::call::{Call, Route};
use crate::simulator::http::reply::{ErrorReply, Reply, ReplyResult, stamp};
use crate::simulator::world::World;
use crate::simulator::world::content;

#[rustfmt::skip]
pub(in crate::simulator) const ROUTES: &[Route] = &[
    Route { operation: "create_user", method: "POST", path: "/v1/Users", answer: create },
    Route { operation: "fetch_user", method: "GET", path: "/v1/Users/{Sid}", answer: fetch },
    Route { operation: "update_user", method: "POST", path: "/v1/Users/{Sid}", answer: update },
];

/// The maximum size of a User's attributes, in bytes (assumed: as for a Conversation).
const ATTRIBUTES_MAX: usize = 16 * 1024;

#[derive(Clone, Debug)]
pub(in crate::simulator) struct User {
    sid: String,
    identity: String,
    friendly_name: Option<String>,
    attributes: String,
    created: Timestamp,
    updated: Timestamp,
}

impl User {
    fn json(&self, world: &World, base: &str) -> Value {
        let service = &world.account.chat_service;
        let url = format!("{base}/v1/Services/{service}/Users/{}", self.sid);
        json!({
            "sid": self.sid,
            "account_sid": world.account.sid,
            "chat_service_sid": service,
            "role_sid": world.account.role,
            "identity": self.identity,
            "friendly_name": self.friendly_name,
            "attributes": self.attributes,
            "is_online": null,
            "is_notifiable": null,
            "date_created": stamp(self.created),
            "date_updated": stamp(self.updated),
            "url": url,
            "links": {"user_conversations": format!("{url}/Conversations")},
        })
    }
}

fn create(call: &mut Call<'_>) -> ReplyResult {
    let identity = call.form.required("Identity")?;
    if call
        .world
        .service_users
        .values()
        .any(|one| one.identity == identity)
    {
        return Err(ErrorReply::new(409, 50201, "User already exists"));
    }
    content::attributes(call.form, ATTRIBUTES_MAX)?;
    let friendly_name = content::friendly_name(call.form, "FriendlyName", 256)?;
    let user = User {
        sid: call.world.sids.sid("US"),
        identity: identity.to_owned(),
        friendly_name: friendly_name.map(str::to_owned),
        attributes: call.form.get("Attributes").unwrap_or("{}").to_owned(),
        created: call.now,
        updated: call.now,
    };
    let json = user.json(call.world, call.base);
    call.world.service_users.insert(&user.sid.clone(), user);
    Ok(Reply::new(201, json))
}

fn fetch(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    reply(call, &sid)
}

fn update(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    content::attributes(call.form, ATTRIBUTES_MAX)?;
    let friendly_name = content::friendly_name(call.form, "FriendlyName", 256)?.map(str::to_owned);
    let attributes = call.form.get("Attributes").map(str::to_owned);
    if let Some(user) = call.world.service_users.get_mut(&sid) {
        user.friendly_name = friendly_name.or(user.friendly_name.take());
        user.attributes = attributes.unwrap_or_else(|| std::mem::take(&mut user.attributes));
        user.updated = call.now;
    }
    reply(call, &sid)
}

/// Finds the User that the path names by SID or identity.
fn found(call: &Call<'_>) -> Result<String, ErrorReply> {
    let name = call.param(0);
    let mut users = call.world.service_users.values();
    users
        .find(|one| one.sid == name || one.identity == name)
        .map(|one| one.sid.clone())
        .ok_or_else(|| ErrorReply::new(404, 50200, "User not found"))
}

fn reply(call: &Call<'_>, sid: &str) -> ReplyResult {
    let user = call.world.service_users.get(sid);
    let json = user.map(|user| user.json(call.world, call.base));
    Reply::ok(json.unwrap_or_default())
}
