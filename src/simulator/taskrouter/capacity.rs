//! The capacity of workers: their channels, and the worker to which a task is offered.
//!
//! Always: a task for a worker is reserved if the worker's activity allows tasks and its channel has free capacity;
//! otherwise it waits, in order.

use jiff::Timestamp;
use serde_json::json;

use super::TaskChannel;
use super::tasks::Reservation;
use crate::simulator::http::call::Call;
use crate::simulator::http::reply::{ErrorReply, ReplyResult, stamp};
use crate::simulator::world::World;

/// A worker's capacity in one task channel.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct WorkerChannel {
    pub(in crate::simulator) sid: String,
    pub(in crate::simulator) name: &'static str,
    task_channel: String,
    /// The number of tasks at a time.
    pub(in crate::simulator) capacity: u32,
    /// The number of reserved and assigned tasks.
    load: u32,
}

impl WorkerChannel {
    pub(in crate::simulator) fn new(sid: String, of: &TaskChannel, capacity: u32) -> Self {
        Self {
            sid,
            name: of.unique_name,
            task_channel: of.sid.clone(),
            capacity,
            load: 0,
        }
    }

    /// Whether this SID or unique name is its task channel's.
    pub(in crate::simulator) fn is(&self, task_channel: &str) -> bool {
        self.name == task_channel || self.task_channel == task_channel
    }

    fn free(&self) -> u32 {
        self.capacity.saturating_sub(self.load)
    }
}

pub(in crate::simulator) fn channels(call: &mut Call<'_>) -> ReplyResult {
    let sid = call.param(1);
    let world = &*call.world;
    let Some(worker) = world.workers.get(sid) else {
        return Err(ErrorReply::not_found(&format!("/Workers/{sid}")));
    };
    let workspace = &world.account.workspace;
    let path = format!("/v1/Workspaces/{workspace}/Workers/{sid}/Channels");
    let url = format!("{}{path}", call.base);
    let page = call.page(&path, "channels", 1000);
    page.of(worker.channels.iter(), |one| {
        json!({
            "account_sid": world.account.sid,
            "assigned_tasks": one.load,
            "available": true,
            "available_capacity_percentage": 100 * one.free() / one.capacity.max(1),
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
    /// Reserves a task for its worker, or lets it wait for free capacity.
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
            // A task without a worker stays pending: the queue's workers are not simulated.
            return;
        };
        let takes_tasks = self.activities[worker.activity].available;
        let Some(place) = worker.channels.iter_mut().find(|one| one.name == channel) else {
            return;
        };
        if !takes_tasks || place.free() == 0 {
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
        self.begin_handling(task, now);
    }

    /// Frees the capacity of a task that has ended, for the next waiting task.
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
        let place = worker.channels.iter_mut().find(|one| one.name == channel);
        if let Some(place) = place {
            place.load = place.load.saturating_sub(1);
        }
        let sid = worker.sid.clone();
        self.offer_waiting(&sid, now);
    }

    /// Offers waiting tasks to a worker who may have capacity now.
    pub(in crate::simulator) fn offer_waiting(&mut self, sid: &str, now: Timestamp) {
        let Some(worker) = self.workers.get_mut(sid) else {
            return;
        };
        if !self.activities[worker.activity].available {
            return;
        }
        let mut next = Vec::new();
        for place in &worker.channels {
            if let Some(line) = worker.waiting.get_mut(place.name) {
                let free = place.free().try_into().unwrap_or(usize::MAX);
                next.extend(line.drain(..free.min(line.len())));
            }
        }
        for task in next {
            self.offer(&task, now);
        }
    }

    /// Sets a worker's activity to the account's activity number `activity`.
    pub(in crate::simulator) fn set_activity(
        &mut self,
        sid: &str,
        activity: usize,
        now: Timestamp,
    ) {
        if let Some(worker) = self.workers.get_mut(sid) {
            worker.activity = activity;
            worker.updated = now;
        }
        self.offer_waiting(sid, now);
    }
}
