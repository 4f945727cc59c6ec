//! TaskRouter tasks and their routes. Their life is in `assignment`.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::expression::Expression;
use crate::simulator::http::call::Call;
use crate::simulator::http::reply::{ErrorReply, Reply, ReplyResult, stamp};
use crate::simulator::world::World;
use crate::simulator::world::effects::EffectKind;

/// TaskRouter's default timeout: a day.
pub(super) const TIMEOUT_SECS: i64 = 86_400;

/// A task to create.
#[derive(Clone, Debug, Default)]
pub(in crate::simulator) struct NewTask {
    /// Its SID, if a reply has already named it.
    pub(in crate::simulator) sid: Option<String>,
    pub(in crate::simulator) attributes: Value,
    /// A task channel's SID or unique name.
    pub(in crate::simulator) channel: Option<String>,
    pub(in crate::simulator) workflow: Option<String>,
    pub(in crate::simulator) timeout: Option<i64>,
    pub(in crate::simulator) priority: Option<i64>,
    pub(in crate::simulator) routing_target: Option<String>,
    pub(in crate::simulator) customer: Option<String>,
    pub(in crate::simulator) sender: Option<String>,
    pub(in crate::simulator) chat: Option<String>,
    pub(in crate::simulator) conversation: Option<String>,
}

/// `Routing.properties` of an interaction.
#[derive(Clone, Debug, Default)]
pub(in crate::simulator) struct Routing {
    pub(in crate::simulator) workflow: Option<String>,
    pub(in crate::simulator) worker: Option<String>,
    pub(in crate::simulator) channel: Option<String>,
    pub(in crate::simulator) attributes: Map<String, Value>,
    pub(in crate::simulator) timeout: Option<i64>,
    pub(in crate::simulator) priority: Option<i64>,
}

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Task {
    pub(in crate::simulator) sid: String,
    pub(in crate::simulator) attributes: String,
    pub(in crate::simulator) facts: Value,
    /// `pending`, `reserved`, `assigned`, `wrapping`, `completed`, `canceled`.
    pub(in crate::simulator) status: &'static str,
    pub(in crate::simulator) reason: Option<String>,
    pub(in crate::simulator) channel: String,
    pub(in crate::simulator) workflow: String,
    pub(in crate::simulator) timeout: i64,
    pub(in crate::simulator) priority: i64,
    pub(in crate::simulator) routing_target: Option<String>,
    pub(in crate::simulator) customer: Option<String>,
    /// The worker that it is for.
    pub(in crate::simulator) worker: Option<String>,
    pub(in crate::simulator) agent: Option<String>,
    pub(in crate::simulator) reservations: Vec<Reservation>,
    pub(in crate::simulator) chat: Option<String>,
    pub(in crate::simulator) conversation: Option<String>,
    pub(in crate::simulator) created: Timestamp,
    pub(in crate::simulator) updated: Timestamp,
}

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Reservation {
    pub(in crate::simulator) sid: String,
    pub(in crate::simulator) worker: String,
    pub(super) worker_name: String,
    pub(in crate::simulator) status: &'static str,
    pub(in crate::simulator) created: Timestamp,
    pub(in crate::simulator) updated: Timestamp,
}

impl Task {
    pub(in crate::simulator) fn is_over(&self) -> bool {
        matches!(self.status, "completed" | "canceled")
    }

    fn json(&self, world: &World, base: &str, now: Timestamp) -> Value {
        let account = &world.account;
        let workspace = format!("{base}/v1/Workspaces/{}", account.workspace);
        let url = format!("{workspace}/Tasks/{}", self.sid);
        json!({
            "account_sid": account.sid,
            "age": now.duration_since(self.created).as_secs(),
            "assignment_status": self.status,
            "attributes": self.attributes,
            "addons": "{}",
            "date_created": stamp(self.created),
            "date_updated": stamp(self.updated),
            "task_queue_entered_date": stamp(self.created),
            "virtual_start_time": stamp(self.created),
            "priority": self.priority,
            "reason": self.reason,
            "sid": self.sid,
            "task_queue_sid": account.queue,
            "task_queue_friendly_name": super::QUEUE_NAME,
            "task_channel_sid": world.task_channel(&self.channel).map(|one| &one.sid),
            "task_channel_unique_name": self.channel,
            "timeout": self.timeout,
            "workflow_sid": self.workflow,
            "workflow_friendly_name": super::WORKFLOW_NAME,
            "workspace_sid": account.workspace,
            "ignore_capacity": false,
            "routing_target": self.routing_target,
            "url": url,
            "links": {
                "task_queue": format!("{workspace}/TaskQueues/{}", account.queue),
                "workflow": format!("{workspace}/Workflows/{}", self.workflow),
                "workspace": workspace,
                "reservations": format!("{url}/Reservations"),
            },
        })
    }

    /// `routing.properties` of its interaction.
    pub(in crate::simulator) fn routing_json(&self, world: &World) -> Value {
        json!({
            "sid": self.sid,
            "workspace_sid": world.account.workspace,
            "workflow_sid": self.workflow,
            "workflow_name": super::WORKFLOW_NAME,
            "queue_sid": world.account.queue,
            "queue_name": super::QUEUE_NAME,
            "task_channel_sid": world.task_channel(&self.channel).map(|one| &one.sid),
            "task_channel_unique_name": self.channel,
            "routing_target": self.routing_target,
            "assignment_status": self.status,
            "attributes": self.attributes,
            "timeout": self.timeout,
            "priority": self.priority,
            "reason": self.reason.clone().unwrap_or_default(),
            "date_created": self.created.as_second(),
            "date_updated": self.updated.as_second(),
            "task_queue_entered_date": self.created.as_second(),
            "account_sid": world.account.sid,
            "addons": "{}",
            "age": 0,
        })
    }
}

pub(in crate::simulator) fn list(call: &mut Call<'_>) -> ReplyResult {
    let query = call.query;
    let statuses: Vec<&str> = query
        .all("AssignmentStatus")
        .flat_map(|text| text.split(','))
        .collect();
    let wanted = match query.get("EvaluateTaskAttributes") {
        None => None,
        Some(text) => Some(Expression::parse(text).ok_or_else(|| {
            ErrorReply::invalid("EvaluateTaskAttributes is not an expression this simulator knows")
        })?),
    };
    let same = |name: &str, value: &str| query.get(name).is_none_or(|given| given == value);
    let marked = wanted.as_ref().and_then(|one| call.world.marked(one));
    let world = &*call.world;
    let candidates: Vec<&Task> = match marked {
        Some(places) => places.iter().filter_map(|at| world.tasks.at(*at)).collect(),
        None => world.tasks.values().collect(),
    };
    let shown = candidates.into_iter().filter(|task| {
        wanted.as_ref().is_none_or(|one| one.holds(&task.facts))
            && (statuses.is_empty() || statuses.contains(&task.status))
            && same("WorkflowSid", &task.workflow)
            && same("TaskQueueSid", &world.account.queue)
            && same("TaskQueueName", super::QUEUE_NAME)
            && same("WorkflowName", super::WORKFLOW_NAME)
            && same("Priority", &task.priority.to_string())
            && same(
                "RoutingTarget",
                task.routing_target.as_deref().unwrap_or(""),
            )
            && world.is_listed(task.created, call.now)
    });
    let path = format!("/v1/Workspaces/{}/Tasks", world.account.workspace);
    let page = call.page(&path, "tasks", 1000);
    let render = |task: &Task| task.json(world, call.base, call.now);
    if query.get("Ordering") == Some("DateCreated:desc") {
        page.of(shown.rev(), render)
    } else {
        page.of(shown, render)
    }
}

impl World {
    /// The indexes of the tasks that may match an expression. `None`: all tasks.
    fn marked(&mut self, wanted: &Expression) -> Option<Vec<u64>> {
        let (name, text) = wanted.marker()?;
        let all = self.tasks.places().map(|(at, task)| (at, &task.facts));
        self.task_marks.find(name, text, all)
    }

    /// Updates the index of attributes. Must be called whenever a task's attributes are set.
    pub(super) fn note_marks(&mut self, sid: &str) {
        if let (Some(place), Some(task)) = (self.tasks.place(sid), self.tasks.get(sid)) {
            self.task_marks.note(place, &task.facts);
        }
    }
}

pub(in crate::simulator) fn create(call: &mut Call<'_>) -> ReplyResult {
    let form = call.form;
    let attributes = form.object("Attributes", 20001)?;
    let customer = attributes.as_ref().and_then(|all| {
        let named = ["customerAddress", "to", "from"];
        named.iter().find_map(|name| all.get(name)?.as_str())
    });
    let new = NewTask {
        customer: customer.map(str::to_owned),
        channel: form.get("TaskChannel").map(str::to_owned),
        workflow: form.sid("WorkflowSid", "WW")?.map(str::to_owned),
        timeout: form.integer("Timeout", 1, i64::MAX)?,
        priority: form.integer("Priority", 0, i64::MAX)?,
        routing_target: form.get("RoutingTarget").map(str::to_owned),
        attributes: attributes.unwrap_or_else(|| json!({})),
        ..NewTask::default()
    };
    let sid = call.world.make_task(new, call.now);
    reply(call, &sid, 201)
}

fn reply(call: &Call<'_>, sid: &str, status: u16) -> ReplyResult {
    let task = call.world.tasks.get(sid);
    task.map(|task| Reply::new(status, task.json(call.world, call.base, call.now)))
        .ok_or_else(|| ErrorReply::not_found(&format!("/Tasks/{sid}")))
}

pub(in crate::simulator) fn fetch(call: &mut Call<'_>) -> ReplyResult {
    reply(call, call.param(1), 200)
}

pub(in crate::simulator) fn update(call: &mut Call<'_>) -> ReplyResult {
    let sid = call.param(1);
    reply(call, sid, 200)?;
    let form = call.form;
    let facts = form.object("Attributes", 20001)?;
    let statuses = [
        "pending",
        "reserved",
        "assigned",
        "canceled",
        "completed",
        "wrapping",
    ];
    let status = form.one_of("AssignmentStatus", &statuses)?;
    let priority = form.integer("Priority", 0, i64::MAX)?;
    if let Some(status) = status {
        call.world.move_task(sid, status, call.now)?;
    }
    if let Some(task) = call.world.tasks.get_mut(sid) {
        if let (Some(facts), Some(text)) = (facts, form.get("Attributes")) {
            task.facts = facts;
            text.clone_into(&mut task.attributes);
        }
        task.reason = form.get("Reason").map(str::to_owned).or(task.reason.take());
        task.priority = priority.unwrap_or(task.priority);
        task.updated = call.now;
    }
    call.world.note_marks(sid);
    reply(call, sid, 200)
}

pub(in crate::simulator) fn delete(call: &mut Call<'_>) -> ReplyResult {
    let sid = call.param(1);
    reply(call, sid, 200)?;
    call.world.end_task(sid, "canceled", call.now);
    call.world.tasks.remove(sid);
    call.world.effects.state(EffectKind::Task, sid, "deleted");
    Reply::empty(204)
}
