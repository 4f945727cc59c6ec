//! TaskRouter workers and their activities. Their capacity is in `capacity`.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::TaskChannel;
use super::capacity::WorkerChannel;
use super::expression::Expression;
use crate::simulator::http::call::Call;
use crate::simulator::http::reply::{ErrorReply, Reply, ReplyResult, stamp};
use crate::simulator::world::World;
use crate::simulator::world::sids::{Sids, is_sid};

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Worker {
    pub(in crate::simulator) sid: String,
    pub(in crate::simulator) friendly_name: String,
    attributes: String,
    pub(in crate::simulator) facts: Value,
    /// The index of its activity in the account.
    pub(in crate::simulator) activity: usize,
    pub(in crate::simulator) channels: Vec<WorkerChannel>,
    /// Tasks that wait for free capacity, by task channel.
    pub(in crate::simulator) waiting: BTreeMap<String, VecDeque<String>>,
    /// The number of the worker's open tasks, and its highest value so far.
    pub(in crate::simulator) open: usize,
    pub(in crate::simulator) open_most: usize,
    pub(in crate::simulator) created: Timestamp,
    pub(in crate::simulator) updated: Timestamp,
}

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Activity {
    pub(in crate::simulator) sid: String,
    pub(in crate::simulator) name: &'static str,
    pub(in crate::simulator) available: bool,
}

impl Activity {
    /// Flex's usual activities.
    pub(in crate::simulator) fn usual(sids: &mut Sids) -> Vec<Self> {
        let all = [
            ("Offline", false),
            ("Available", true),
            ("Unavailable", false),
            ("Break", false),
        ];
        all.map(|(name, available)| Self {
            sid: sids.sid("WA"),
            name,
            available,
        })
        .to_vec()
    }
}

/// The first activity of a new worker.
const AVAILABLE: usize = 1;

impl Worker {
    fn json(&self, world: &World, base: &str) -> Value {
        let account = &world.account;
        let workspace = format!("{base}/v1/Workspaces/{}", account.workspace);
        let url = format!("{workspace}/Workers/{}", self.sid);
        let activity = &world.activities[self.activity];
        json!({
            "account_sid": account.sid,
            "activity_name": activity.name,
            "activity_sid": activity.sid,
            "attributes": self.attributes,
            "available": activity.available,
            "date_created": stamp(self.created),
            "date_status_changed": stamp(self.updated),
            "date_updated": stamp(self.updated),
            "friendly_name": self.friendly_name,
            "sid": self.sid,
            "workspace_sid": account.workspace,
            "url": url,
            "links": {
                "channels": format!("{url}/Channels"),
                "activity": format!("{workspace}/Activities/{}", activity.sid),
                "workspace": workspace,
                "reservations": format!("{url}/Reservations"),
            },
        })
    }
}

pub(in crate::simulator) fn list(call: &mut Call<'_>) -> ReplyResult {
    let query = call.query;
    let name = query.get("FriendlyName");
    let wanted = match query.get("TargetWorkersExpression") {
        None => None,
        Some(text) => Some(Expression::parse(text).ok_or_else(|| {
            ErrorReply::invalid("TargetWorkersExpression is not an expression this simulator knows")
        })?),
    };
    if call.world.settings.hire_unknown_agents {
        let uri = wanted.as_ref().and_then(|one| one.equality("contact_uri"));
        let unknown = name.or_else(|| uri?.strip_prefix("client:"));
        if let Some(unknown) = unknown {
            call.world.hire(unknown, call.now);
        }
    }
    let world = &*call.world;
    let available = query.get("Available");
    let activity = query.get("ActivityName");
    let activity_sid = query.get("ActivitySid");
    let shown = world.workers.values().filter(|one| {
        let now = &world.activities[one.activity];
        name.is_none_or(|name| one.friendly_name == name)
            && available.is_none_or(|text| matches!(text, "1" | "true") == now.available)
            && activity.is_none_or(|name| now.name == name)
            && activity_sid.is_none_or(|sid| now.sid == sid)
            && wanted
                .as_ref()
                .is_none_or(|wanted| wanted.holds(&one.facts))
    });
    let path = format!("/v1/Workspaces/{}/Workers", world.account.workspace);
    let page = call.page(&path, "workers", 1000);
    let shows_attributes = world.settings.assumptions.worker_lists_show_attributes;
    page.of(shown, |one| {
        let mut row = one.json(world, call.base);
        if !shows_attributes {
            row["attributes"] = Value::Null;
        }
        row
    })
}

pub(in crate::simulator) fn create(call: &mut Call<'_>) -> ReplyResult {
    let name = call.form.required("FriendlyName")?;
    let facts = call.form.object("Attributes", 20001)?;
    if call.world.worker_names.contains_key(name) {
        let message = "A Worker with this FriendlyName exists";
        return Err(ErrorReply::new(409, 20409, message));
    }
    let sid = call.world.hire(name, call.now);
    if let (Some(facts), Some(text)) = (facts, call.form.get("Attributes")) {
        call.world.describe(&sid, facts, text);
    }
    set_activity(call, &sid)?;
    reply(call, &sid, 201)
}

pub(in crate::simulator) fn fetch(call: &mut Call<'_>) -> ReplyResult {
    reply(call, call.param(1), 200)
}

fn reply(call: &Call<'_>, sid: &str, status: u16) -> ReplyResult {
    let worker = call.world.workers.get(sid);
    worker
        .map(|worker| Reply::new(status, worker.json(call.world, call.base)))
        .ok_or_else(|| ErrorReply::not_found(&format!("/Workers/{sid}")))
}

pub(in crate::simulator) fn update(call: &mut Call<'_>) -> ReplyResult {
    let sid = call.param(1);
    reply(call, sid, 200)?;
    let facts = call.form.object("Attributes", 20001)?;
    if let (Some(facts), Some(text)) = (facts, call.form.get("Attributes")) {
        call.world.describe(sid, facts, text);
    }
    set_activity(call, sid)?;
    reply(call, sid, 200)
}

fn set_activity(call: &mut Call<'_>, sid: &str) -> Result<(), ErrorReply> {
    let Some(wanted) = call.form.sid("ActivitySid", "WA")? else {
        return Ok(());
    };
    let place = call
        .world
        .activities
        .iter()
        .position(|one| one.sid == wanted);
    let place = place.ok_or_else(|| ErrorReply::invalid("ActivitySid is no Activity"))?;
    call.world.set_activity(sid, place, call.now);
    Ok(())
}

pub(in crate::simulator) fn delete(call: &mut Call<'_>) -> ReplyResult {
    let sid = call.param(1);
    reply(call, sid, 200)?;
    call.world.dismiss(sid);
    Reply::empty(204)
}

impl World {
    /// Finds the worker with this friendly name, or creates one with the `contact_uri` `client:` and the name.
    pub(in crate::simulator) fn hire(&mut self, friendly_name: &str, now: Timestamp) -> String {
        if let Some(sid) = self.worker_names.get(friendly_name) {
            return sid.clone();
        }
        let sid = self.sids.sid("WK");
        let uri = format!("client:{friendly_name}");
        let facts = json!({"contact_uri": uri, "full_name": friendly_name, "roles": ["agent"]});
        let mut channels = Vec::new();
        for one in &self.task_channels {
            let capacity = self.settings.agent_capacity;
            channels.push(WorkerChannel::new(self.sids.sid("WC"), one, capacity));
        }
        let worker = Worker {
            sid: sid.clone(),
            friendly_name: friendly_name.to_owned(),
            attributes: facts.to_string(),
            facts,
            activity: AVAILABLE,
            channels,
            waiting: BTreeMap::new(),
            open: 0,
            open_most: 0,
            created: now,
            updated: now,
        };
        self.workers.insert(&sid, worker);
        self.worker_names
            .insert(friendly_name.to_owned(), sid.clone());
        self.worker_names.insert(uri, sid.clone());
        sid
    }

    fn describe(&mut self, sid: &str, facts: Value, text: &str) {
        let Some(worker) = self.workers.get_mut(sid) else {
            return;
        };
        let uri = |facts: &Value| facts["contact_uri"].as_str().map(str::to_owned);
        if let Some(old) = uri(&worker.facts) {
            self.worker_names.remove(&old);
        }
        if let Some(new) = uri(&facts) {
            self.worker_names.insert(new, sid.to_owned());
        }
        worker.facts = facts;
        text.clone_into(&mut worker.attributes);
    }

    /// Finds a worker by SID, contact URI or friendly name.
    pub(super) fn worker_named(&mut self, name: &str, now: Timestamp) -> Option<String> {
        if self.workers.get(name).is_some() {
            return Some(name.to_owned());
        }
        if let Some(sid) = self.worker_names.get(name) {
            return Some(sid.clone());
        }
        let hires = self.settings.hire_unknown_agents && !is_sid(name, "WK");
        hires.then(|| self.hire(name.strip_prefix("client:").unwrap_or(name), now))
    }

    /// Deletes a Worker. No name finds them any more, and their open tasks become tasks without a worker.
    pub(in crate::simulator) fn dismiss(&mut self, sid: &str) {
        if self.workers.remove(sid).is_some() {
            self.worker_names.retain(|_, named| named != sid);
        }
    }

    /// The friendly name of the worker with a chat identity.
    pub(in crate::simulator) fn agent_of_identity(&self, identity: &str) -> Option<String> {
        let sid = self.worker_names.get(&format!("client:{identity}"))?;
        Some(self.workers.get(sid)?.friendly_name.clone())
    }

    pub(in crate::simulator) fn task_channel(&self, name: &str) -> Option<&TaskChannel> {
        let mut all = self.task_channels.iter();
        all.find(|one| one.unique_name == name || one.sid == name)
    }
}
