//! Proxy sessions, which connect a customer with a chat channel.
//!
//! Always: a session has two participants at most; an (identifier, proxy identifier) pair is in one
//! open session at most; a session past its time to live is closed, which frees its pairs.

use jiff::Timestamp;

use super::participants::{Participant, ProxyParticipantRequest};
use super::{Session, found, found_in};
use crate::simulator::http::call::Call;
use crate::simulator::http::reply::{ErrorReply, Reply, ReplyResult};
use crate::simulator::world::effects::{EffectKind, Parties};
use crate::simulator::world::{Due, World};

pub(in crate::simulator) fn list(call: &mut Call<'_>) -> ReplyResult {
    let service = found_in(call)?;
    let world = &*call.world;
    let path = format!("/v1/Services/{}/Sessions", service.sid);
    let sessions = world.sessions.values().filter(|session| {
        session.service == service.sid && world.is_listed(session.created, call.now)
    });
    let page = call.page(&path, "sessions", 100);
    page.of(sessions, |session| {
        session.json(&world.account.sid, call.base)
    })
}

pub(in crate::simulator) fn create(call: &mut Call<'_>) -> ReplyResult {
    let service = found_in(call)?;
    let (service, default_ttl) = (service.sid.clone(), service.default_ttl);
    let form = call.form;
    let unique_name = form.text("UniqueName", 191)?;
    let modes = ["message-only", "voice-only", "voice-and-message"];
    let mode = form.one_of("Mode", &modes)?;
    let statuses = ["open", "in-progress", "closed", "failed", "unknown"];
    let status = form.one_of("Status", &statuses)?;
    let ttl = form.integer("Ttl", 0, i64::MAX)?;
    let date_expiry = form.time("DateExpiry")?;
    let inline = ProxyParticipantRequest::inline(form)?;
    let assumed = call.world.settings.assumptions.clone();
    let key = unique_name.map(|name| (service.clone(), name.to_owned()));
    if key
        .as_ref()
        .is_some_and(|key| call.world.session_names.contains_key(key))
    {
        let message = "Session UniqueName must be unique";
        return Err(ErrorReply::new(assumed.conflict_status, 80603, message));
    }
    let sid = call.world.sids.sid("KC");
    let session = Session {
        sid: sid.clone(),
        service,
        unique_name: unique_name.map(str::to_owned),
        status: status.unwrap_or("open"),
        mode: mode.unwrap_or("voice-and-message"),
        ttl: ttl.unwrap_or(default_ttl),
        date_expiry,
        last_interaction: None,
        ended: None,
        closed_reason: None,
        created: call.now,
        updated: call.now,
        participants: Vec::new(),
        interactions: Vec::new(),
    };
    call.world.sessions.insert(&sid, session);
    let mut added = Ok(());
    for one in &inline {
        added = added.and_then(|()| call.world.add_participant(&sid, one, call.now).map(drop));
    }
    if let (Err(refusal), true) = (&added, assumed.atomic_session_create) {
        call.world.free_pairs(&sid);
        call.world.sessions.remove(&sid);
        return Err(refusal.clone());
    }
    if let Some(key) = key {
        call.world.session_names.insert(key, sid.clone());
    }
    call.world.session_made(&sid, call.now);
    added?;
    reply(call, &sid, 201)
}

fn reply(call: &Call<'_>, sid: &str, status: u16) -> ReplyResult {
    let session = call.world.sessions.get(sid);
    let json = session.map(|session| session.json(&call.world.account.sid, call.base));
    Ok(Reply::new(status, json.unwrap_or_default()))
}

pub(in crate::simulator) fn fetch(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    reply(call, &sid, 200)
}

pub(in crate::simulator) fn update(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    let form = call.form;
    let statuses = ["open", "in-progress", "closed", "failed", "unknown"];
    let wanted = form.one_of("Status", &statuses)?;
    let ttl = form.integer("Ttl", 0, i64::MAX)?;
    let date_expiry = form.time("DateExpiry")?;
    if let Some(wanted) = wanted {
        call.world.move_session(&sid, wanted, call.now)?;
    }
    if let Some(session) = call.world.sessions.get_mut(&sid) {
        session.ttl = ttl.unwrap_or(session.ttl);
        session.date_expiry = date_expiry.or(session.date_expiry);
        session.updated = call.now;
    }
    call.world.await_expiry(&sid);
    reply(call, &sid, 200)
}

pub(in crate::simulator) fn delete(call: &mut Call<'_>) -> ReplyResult {
    let sid = found(call)?;
    call.world.remove_session(&sid);
    Reply::empty(204)
}

impl World {
    fn session_made(&mut self, sid: &str, now: Timestamp) {
        let (effects, Some(session)) = (&mut self.effects, self.sessions.get(sid)) else {
            return;
        };
        let status = session.status;
        effects.made(EffectKind::Session, sid, status, Parties::default(), now);
        self.show_parties(sid);
        self.await_expiry(sid);
    }

    fn await_expiry(&mut self, sid: &str) {
        if let Some(at) = self.sessions.get(sid).and_then(Session::expiry) {
            self.at(at, Due::Session(sid.to_owned()));
        }
    }

    /// Closes a session whose time to live has passed without use.
    pub(in crate::simulator) fn expire_session(&mut self, sid: &str, at: Timestamp) {
        let Some(session) = self.sessions.get(sid).filter(|session| session.is_open()) else {
            return;
        };
        match session.expiry() {
            Some(expiry) if expiry <= at => self.close_session(sid, "session-expired", at),
            Some(later) => self.at(later, Due::Session(sid.to_owned())),
            None => {}
        }
    }

    fn close_session(&mut self, sid: &str, reason: &'static str, now: Timestamp) {
        if let Some(session) = self.sessions.get_mut(sid) {
            session.status = "closed";
            session.closed_reason = Some(reason);
            session.ended = Some(now);
            session.updated = now;
        }
        self.free_pairs(sid);
        if !self.settings.assumptions.closed_sessions_keep_names {
            self.session_names.retain(|_, found| found != sid);
        }
        self.effects.state(EffectKind::Session, sid, "closed");
    }

    /// Checks a change of status: Twilio allows only some (the text of 80608); 80801 if re-opening would use a pair
    /// twice.
    fn move_session(
        &mut self,
        sid: &str,
        wanted: &'static str,
        now: Timestamp,
    ) -> Result<(), ErrorReply> {
        let Some(session) = self.sessions.get(sid) else {
            return Err(ErrorReply::not_found(sid));
        };
        let pairs: Vec<_> = session.present().filter_map(Participant::pair).collect();
        match (session.status, wanted) {
            (now, wanted) if now == wanted => Ok(()),
            ("open" | "in-progress", "closed") => {
                self.close_session(sid, "api", now);
                Ok(())
            }
            ("closed", "in-progress") => {
                if pairs.iter().any(|pair| self.pairs.contains_key(pair)) {
                    let message = "A participant is active in another session";
                    return Err(ErrorReply::new(400, 80801, message));
                }
                for pair in pairs {
                    self.pairs.insert(pair, sid.to_owned());
                }
                if let Some(session) = self.sessions.get_mut(sid) {
                    session.status = "in-progress";
                    session.closed_reason = None;
                    session.ended = None;
                    session.last_interaction = Some(now);
                }
                self.effects.state(EffectKind::Session, sid, "in-progress");
                Ok(())
            }
            _ => Err(ErrorReply::new(400, 80608, "Illegal Session status change")),
        }
    }

    pub(super) fn free_pairs(&mut self, sid: &str) {
        let Some(session) = self.sessions.get(sid) else {
            return;
        };
        for pair in session.participants.iter().filter_map(Participant::pair) {
            if self.pairs.get(&pair).is_some_and(|owner| owner == sid) {
                self.pairs.remove(&pair);
            }
        }
    }

    /// Removes a session with its pairs and its name.
    pub(in crate::simulator) fn remove_session(&mut self, sid: &str) {
        self.free_pairs(sid);
        let Some(session) = self.sessions.remove(sid) else {
            return;
        };
        if let Some(name) = session.unique_name {
            self.session_names.remove(&(session.service, name));
        }
        self.effects.state(EffectKind::Session, sid, "deleted");
    }
}
