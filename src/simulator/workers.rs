//! The people: workers, what they do now, and how much they take.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::expression::Expression;
use super::reply::{Answer, Refusal, Reply, stamp};
use super::router::Call;
use super::sids::{Sids, is_sid};
use super::tasks::Reservation;
use super::world::World;

#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) sid: String,
    pub(super) friendly_name: String,
    attributes: String,
    pub(super) facts: Value,
    /// Its place in the account's activities.
    activity: usize,
    channels: Vec<WorkerChannel>,
    /// Tasks that wait for a free place, by task channel.
    waiting: BTreeMap<String, VecDeque<String>>,
    created: Timestamp,
    updated: Timestamp,
}

#[derive(Clone, Debug)]
struct WorkerChannel {
    sid: String,
    name: &'static str,
    task_channel: String,
    capacity: u32,
    load: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Activity {
    pub(super) sid: String,
    pub(super) name: &'static str,
    pub(super) available: bool,
}

#[derive(Clone, Debug)]
pub(super) struct TaskChannel {
    pub(super) sid: String,
    pub(super) unique_name: &'static str,
}

impl Activity {
    /// Flex's usual activities.
    pub(super) fn usual(sids: &mut Sids) -> Vec<Self> {
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

impl TaskChannel {
    /// Flex's usual task channels, and those of the channels a campaign can have.
    pub(super) fn usual(sids: &mut Sids) -> Vec<Self> {
        let all = [
            "default",
            "voice",
            "chat",
            "sms",
            "video",
            "email",
            "whatsapp",
            "messenger",
            "facebook",
            "web",
            "custom",
        ];
        all.map(|unique_name| Self {
            sid: sids.sid("TC"),
            unique_name,
        })
        .to_vec()
    }
}

/// Where a hired worker stands.
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

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let query = call.query;
    let name = query.get("FriendlyName");
    let wanted = match query.get("TargetWorkersExpression") {
        None => None,
        Some(text) => Some(Expression::parse(text).ok_or_else(|| {
            Refusal::invalid("TargetWorkersExpression is not an expression this simulator knows")
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
    page.of(shown, |one| one.json(world, call.base))
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let name = call.form.required("FriendlyName")?;
    let facts = call.form.object("Attributes", 20001)?;
    if call.world.worker_names.contains_key(name) {
        let message = "A Worker with this FriendlyName exists";
        return Err(Refusal::new(409, 20409, message));
    }
    let sid = call.world.hire(name, call.now);
    if let (Some(facts), Some(text)) = (facts, call.form.get("Attributes")) {
        call.world.describe(&sid, facts, text);
    }
    set_activity(call, &sid)?;
    reply(call, &sid, 201)
}

pub(super) fn fetch(call: &mut Call<'_>) -> Answer {
    reply(call, call.param(1), 200)
}

fn reply(call: &Call<'_>, sid: &str, status: u16) -> Answer {
    let worker = call.world.workers.get(sid);
    worker
        .map(|worker| Reply::new(status, worker.json(call.world, call.base)))
        .ok_or_else(|| Refusal::not_found(&format!("/Workers/{sid}")))
}

pub(super) fn update(call: &mut Call<'_>) -> Answer {
    let sid = call.param(1);
    reply(call, sid, 200)?;
    let facts = call.form.object("Attributes", 20001)?;
    if let (Some(facts), Some(text)) = (facts, call.form.get("Attributes")) {
        call.world.describe(sid, facts, text);
    }
    set_activity(call, sid)?;
    reply(call, sid, 200)
}

fn set_activity(call: &mut Call<'_>, sid: &str) -> Result<(), Refusal> {
    let Some(wanted) = call.form.sid("ActivitySid", "WA")? else {
        return Ok(());
    };
    let place = call
        .world
        .activities
        .iter()
        .position(|one| one.sid == wanted);
    let place = place.ok_or_else(|| Refusal::invalid("ActivitySid is no Activity"))?;
    if let Some(worker) = call.world.workers.get_mut(sid) {
        worker.activity = place;
        worker.updated = call.now;
    }
    Ok(())
}

pub(super) fn channels(call: &mut Call<'_>) -> Answer {
    let sid = call.param(1);
    let world = &*call.world;
    let Some(worker) = world.workers.get(sid) else {
        return Err(Refusal::not_found(&format!("/Workers/{sid}")));
    };
    let workspace = &world.account.workspace;
    let path = format!("/v1/Workspaces/{workspace}/Workers/{sid}/Channels");
    let url = format!("{}{path}", call.base);
    let page = call.page(&path, "channels", 1000);
    page.of(worker.channels.iter(), |one| {
        let free = one.capacity.saturating_sub(one.load);
        json!({
            "account_sid": world.account.sid,
            "assigned_tasks": one.load,
            "available": free > 0,
            "available_capacity_percentage": 100 * free / one.capacity.max(1),
            "configured_capacity": one.capacity,
            "date_created": stamp(worker.created),
            "date_updated": stamp(worker.created),
            "sid": one.sid,
            "task_channel_sid": one.task_channel,
            "task_channel_unique_name": one.name,
            "worker_sid": worker.sid,
            "workspace_sid": workspace,
            "url": format!("{url}/{}", one.sid),
        })
    })
}

impl World {
    /// Finds the worker of this friendly name, or hires one whose `contact_uri` is `client:` and the
    /// name.
    pub(super) fn hire(&mut self, friendly_name: &str, now: Timestamp) -> String {
        if let Some(sid) = self.worker_names.get(friendly_name) {
            return sid.clone();
        }
        let sid = self.sids.sid("WK");
        let uri = format!("client:{friendly_name}");
        let facts = json!({"contact_uri": uri, "full_name": friendly_name, "roles": ["agent"]});
        let mut channels = Vec::new();
        for one in &self.task_channels {
            channels.push(WorkerChannel {
                sid: self.sids.sid("WC"),
                name: one.unique_name,
                task_channel: one.sid.clone(),
                capacity: self.settings.agent_capacity,
                load: 0,
            });
        }
        let worker = Worker {
            sid: sid.clone(),
            friendly_name: friendly_name.to_owned(),
            attributes: facts.to_string(),
            facts,
            activity: AVAILABLE,
            channels,
            waiting: BTreeMap::new(),
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

    /// The worker of a SID, contact URI or friendly name.
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

    /// The friendly name of the worker behind a chat identity.
    pub(super) fn agent_of_identity(&self, identity: &str) -> Option<String> {
        let sid = self.worker_names.get(&format!("client:{identity}"))?;
        Some(self.workers.get(sid)?.friendly_name.clone())
    }

    pub(super) fn task_channel(&self, name: &str) -> Option<&TaskChannel> {
        let mut all = self.task_channels.iter();
        all.find(|one| one.unique_name == name || one.sid == name)
    }

    /// Reserves a task for its worker, or lets it wait for a free place.
    pub(super) fn offer(&mut self, task: &str, now: Timestamp) {
        let Some(row) = self.tasks.get(task).filter(|row| row.status == "pending") else {
            return;
        };
        let channel = row.channel.clone();
        let Some(worker) = row
            .worker
            .as_ref()
            .and_then(|sid| self.workers.get_mut(sid))
        else {
            // Nobody's task: the queue's workers are not played, it stays pending.
            return;
        };
        let Some(place) = worker.channels.iter_mut().find(|one| one.name == channel) else {
            return;
        };
        if place.load >= place.capacity {
            let line = worker.waiting.entry(channel).or_default();
            line.push_back(task.to_owned());
            return;
        }
        place.load += 1;
        let reservation = Reservation {
            sid: self.sids.sid("WR"),
            worker: worker.sid.clone(),
            worker_name: worker.friendly_name.clone(),
            status: "pending",
            created: now,
            updated: now,
        };
        if let Some(row) = self.tasks.get_mut(task) {
            row.reservations.push(reservation);
        }
        self.set_task_status(task, "reserved", now);
    }

    /// A task has ended: its place goes to the next one in line.
    pub(super) fn release(&mut self, task: &str, now: Timestamp) {
        let Some(row) = self.tasks.get(task) else {
            return;
        };
        let (channel, had_place) = (row.channel.clone(), !row.reservations.is_empty());
        let Some(worker) = row
            .worker
            .as_ref()
            .and_then(|sid| self.workers.get_mut(sid))
        else {
            return;
        };
        let line = worker.waiting.entry(channel.clone()).or_default();
        line.retain(|waiting| waiting != task);
        if !had_place {
            return;
        }
        let next = line.pop_front();
        let place = worker.channels.iter_mut().find(|one| one.name == channel);
        if let Some(place) = place {
            place.load = place.load.saturating_sub(1);
        }
        if let Some(next) = next {
            self.offer(&next, now);
        }
    }
}
