//! TaskRouter tasks: made by Flex, found by their attributes, offered to their agent.
//!
//! Always: a task for an agent is reserved for that agent while the agent has capacity, and waits as
//! pending otherwise; a task that ends frees its place and calls the Janitor.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::effects::{EffectKind, Parties};
use super::expression::Expression;
use super::reply::{Answer, Refusal, Reply, stamp};
use super::router::Call;
use super::world::{Due, World};

/// TaskRouter's default: a day.
const TIMEOUT_SECS: i64 = 86_400;

/// A task that is to be made.
#[derive(Clone, Debug, Default)]
pub(super) struct NewTask {
    /// Its SID, if that was given out already.
    pub(super) sid: Option<String>,
    pub(super) attributes: Value,
    /// A task channel's SID or unique name.
    pub(super) channel: Option<String>,
    pub(super) workflow: Option<String>,
    pub(super) timeout: Option<i64>,
    pub(super) priority: Option<i64>,
    pub(super) routing_target: Option<String>,
    pub(super) customer: Option<String>,
    pub(super) sender: Option<String>,
    pub(super) chat: Option<String>,
    pub(super) conversation: Option<String>,
}

/// `Routing.properties` of an interaction.
#[derive(Clone, Debug, Default)]
pub(super) struct Routing {
    pub(super) workflow: Option<String>,
    pub(super) worker: Option<String>,
    pub(super) channel: Option<String>,
    pub(super) attributes: Map<String, Value>,
    pub(super) timeout: Option<i64>,
    pub(super) priority: Option<i64>,
}

#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) sid: String,
    attributes: String,
    pub(super) facts: Value,
    /// `pending`, `reserved`, `assigned`, `wrapping`, `completed`, `canceled`.
    pub(super) status: &'static str,
    reason: Option<String>,
    pub(super) channel: String,
    workflow: String,
    timeout: i64,
    priority: i64,
    routing_target: Option<String>,
    pub(super) customer: Option<String>,
    /// The worker it is for.
    pub(super) worker: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) reservations: Vec<Reservation>,
    pub(super) chat: Option<String>,
    pub(super) conversation: Option<String>,
    created: Timestamp,
    updated: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct Reservation {
    pub(super) sid: String,
    pub(super) worker: String,
    pub(super) worker_name: String,
    pub(super) status: &'static str,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

impl Task {
    pub(super) fn is_over(&self) -> bool {
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
            "task_queue_friendly_name": super::taskrouter::QUEUE_NAME,
            "task_channel_sid": world.task_channel(&self.channel).map(|one| &one.sid),
            "task_channel_unique_name": self.channel,
            "timeout": self.timeout,
            "workflow_sid": self.workflow,
            "workflow_friendly_name": super::taskrouter::WORKFLOW_NAME,
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
    pub(super) fn routing_json(&self, world: &World) -> Value {
        json!({
            "sid": self.sid,
            "workspace_sid": world.account.workspace,
            "workflow_sid": self.workflow,
            "workflow_name": super::taskrouter::WORKFLOW_NAME,
            "queue_sid": world.account.queue,
            "queue_name": super::taskrouter::QUEUE_NAME,
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

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let query = call.query;
    let statuses: Vec<&str> = query
        .all("AssignmentStatus")
        .flat_map(|text| text.split(','))
        .collect();
    let wanted = match query.get("EvaluateTaskAttributes") {
        None => None,
        Some(text) => Some(Expression::parse(text).ok_or_else(|| {
            Refusal::invalid("EvaluateTaskAttributes is not an expression this simulator knows")
        })?),
    };
    let same = |name: &str, value: &str| query.get(name).is_none_or(|given| given == value);
    let world = &*call.world;
    let shown = world.tasks.values().filter(|task| {
        (statuses.is_empty() || statuses.contains(&task.status))
            && same("WorkflowSid", &task.workflow)
            && same("TaskQueueSid", &world.account.queue)
            && same("TaskQueueName", super::taskrouter::QUEUE_NAME)
            && same("WorkflowName", super::taskrouter::WORKFLOW_NAME)
            && same("Priority", &task.priority.to_string())
            && same(
                "RoutingTarget",
                task.routing_target.as_deref().unwrap_or(""),
            )
            && wanted.as_ref().is_none_or(|one| one.holds(&task.facts))
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

pub(super) fn create(call: &mut Call<'_>) -> Answer {
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

fn reply(call: &Call<'_>, sid: &str, status: u16) -> Answer {
    let task = call.world.tasks.get(sid);
    task.map(|task| Reply::new(status, task.json(call.world, call.base, call.now)))
        .ok_or_else(|| Refusal::not_found(&format!("/Tasks/{sid}")))
}

pub(super) fn fetch(call: &mut Call<'_>) -> Answer {
    reply(call, call.param(1), 200)
}

pub(super) fn update(call: &mut Call<'_>) -> Answer {
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
    reply(call, sid, 200)
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let sid = call.param(1);
    reply(call, sid, 200)?;
    call.world.end_task(sid, "canceled", call.now);
    call.world.tasks.remove(sid);
    call.world.effects.state(EffectKind::Task, sid, "deleted");
    Reply::empty(204)
}

impl World {
    /// Reads an interaction's `Routing`. An agent's needs a queue and a worker.
    pub(super) fn routing(
        &mut self,
        given: Option<&Value>,
        needs_agent: bool,
    ) -> Result<Routing, Refusal> {
        let none = json!({});
        let properties = given
            .and_then(|given| given.get("properties"))
            .unwrap_or(&none);
        let text = |name: &str| properties.get(name).and_then(Value::as_str);
        let ours = |name: &str, ours: &str| match text(name) {
            Some(given) if given != ours => Err(Refusal::invalid(format!(
                "Routing: {name} is not of this account"
            ))),
            given => Ok(given.map(str::to_owned)),
        };
        if ours("workspace_sid", &self.account.workspace)?.is_none() {
            return Err(Refusal::invalid("Routing: workspace_sid is required"));
        }
        let workflow = ours("workflow_sid", &self.account.workflow)?;
        let queue = ours("queue_sid", &self.account.queue)?;
        let worker = text("worker_sid").map(str::to_owned);
        if needs_agent && (queue.is_none() || worker.is_none()) {
            let message = "Routing: queue_sid and worker_sid are required for an agent";
            return Err(Refusal::invalid(message));
        }
        if worker
            .as_ref()
            .is_some_and(|sid| self.workers.get(sid).is_none())
        {
            return Err(Refusal::invalid("Routing: worker_sid is no Worker"));
        }
        let channel = text("task_channel_unique_name").or_else(|| text("task_channel_sid"));
        if channel.is_some_and(|name| self.task_channel(name).is_none()) {
            return Err(Refusal::invalid("Routing: there is no such task channel"));
        }
        // An object as on Twilio's page, or its text as in a task.
        let attributes = match properties.get("attributes") {
            Some(Value::String(text)) => serde_json::from_str(text)
                .map_err(|_| Refusal::invalid("Routing: attributes is not a JSON object"))?,
            Some(Value::Object(attributes)) => attributes.clone(),
            _ => Map::new(),
        };
        Ok(Routing {
            workflow,
            worker,
            channel: channel.map(str::to_owned),
            attributes,
            timeout: properties.get("timeout").and_then(Value::as_i64),
            priority: properties.get("priority").and_then(Value::as_i64),
        })
    }

    /// `routing.properties` of a task that is not there yet.
    pub(super) fn planned(&self, sid: &str, routing: &Routing) -> Value {
        json!({
            "sid": sid,
            "workspace_sid": self.account.workspace,
            "workflow_sid": routing.workflow.as_ref().unwrap_or(&self.account.workflow),
            "queue_sid": self.account.queue,
            "routing_target": routing.worker,
            "assignment_status": "pending",
            "attributes": Value::Object(routing.attributes.clone()).to_string(),
            "timeout": routing.timeout.unwrap_or(TIMEOUT_SECS),
            "priority": routing.priority.unwrap_or(0),
        })
    }

    /// Makes a task, and offers it to the agent it is for.
    pub(super) fn make_task(&mut self, new: NewTask, now: Timestamp) -> String {
        let sid = new.sid.unwrap_or_else(|| self.sids.sid("WT"));
        let worker = match &new.routing_target {
            Some(target) => self.worker_named(target, now),
            None => self.targeted(&new.attributes, now),
        };
        let agent = worker
            .as_ref()
            .and_then(|sid| self.workers.get(sid))
            .map(|worker| worker.friendly_name.clone());
        let channel = new
            .channel
            .as_deref()
            .and_then(|name| self.task_channel(name));
        let task = Task {
            sid: sid.clone(),
            attributes: new.attributes.to_string(),
            facts: new.attributes,
            status: "pending",
            reason: None,
            channel: channel.map_or("default", |one| one.unique_name).to_owned(),
            workflow: new
                .workflow
                .unwrap_or_else(|| self.account.workflow.clone()),
            timeout: new.timeout.unwrap_or(TIMEOUT_SECS),
            priority: new.priority.unwrap_or(0),
            routing_target: new.routing_target,
            customer: new.customer.clone(),
            worker,
            agent: agent.clone(),
            reservations: Vec::new(),
            chat: new.chat,
            conversation: new.conversation,
            created: now,
            updated: now,
        };
        let ends = now.checked_add(SignedDuration::from_secs(task.timeout));
        let parties = Parties {
            customer: new.customer,
            sender: new.sender,
            agent,
        };
        let kind = EffectKind::Task;
        self.effects.made(kind, &sid, "pending", parties, now);
        self.tasks.insert(&sid, task);
        if let Ok(ends) = ends {
            self.at(ends, Due::Task(sid.clone()));
        }
        self.offer(&sid, now);
        sid
    }

    /// The worker that the played workflow's filter picks.
    fn targeted(&mut self, attributes: &Value, now: Timestamp) -> Option<String> {
        let names = self.settings.target_attributes.clone();
        let target = names
            .iter()
            .find_map(|name| attributes.get(name)?.as_str())?;
        self.worker_named(target, now)
    }

    pub(super) fn set_task_status(&mut self, sid: &str, status: &'static str, now: Timestamp) {
        if let Some(task) = self.tasks.get_mut(sid) {
            task.status = status;
            task.updated = now;
            self.effects.state(EffectKind::Task, sid, status);
        }
    }

    /// The moves TaskRouter allows: only what nobody has taken can be cancelled, and only what
    /// somebody has taken completed.
    fn move_task(
        &mut self,
        sid: &str,
        wanted: &'static str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let status = self.tasks.get(sid).map_or("", |task| task.status);
        match (status, wanted) {
            (status, wanted) if status == wanted => Ok(()),
            ("pending" | "reserved", "canceled") | ("assigned" | "wrapping", "completed") => {
                self.end_task(sid, wanted, now);
                Ok(())
            }
            ("assigned", "wrapping") => {
                self.set_task_status(sid, wanted, now);
                Ok(())
            }
            _ => Err(Refusal::invalid(format!(
                "Cannot update task from {status} to {wanted}"
            ))),
        }
    }

    /// Ends a task that an interaction no longer needs.
    pub(super) fn wind_up_task(&mut self, sid: &str, now: Timestamp) {
        let Some(task) = self.tasks.get(sid).filter(|task| !task.is_over()) else {
            return;
        };
        let taken = matches!(task.status, "assigned" | "wrapping");
        let status = if taken { "completed" } else { "canceled" };
        self.end_task(sid, status, now);
    }

    pub(super) fn end_task(&mut self, sid: &str, status: &'static str, now: Timestamp) {
        let Some(task) = self.tasks.get_mut(sid).filter(|task| !task.is_over()) else {
            return;
        };
        for one in &mut task.reservations {
            if matches!(one.status, "pending" | "accepted" | "wrapping") {
                one.status = status;
                one.updated = now;
            }
        }
        let chat = task.chat.clone();
        self.set_task_status(sid, status, now);
        self.release(sid, now);
        if let Some(chat) = chat {
            self.janitor(&chat);
        }
    }

    /// A task nobody took in its time is cancelled.
    pub(super) fn time_out_task(&mut self, sid: &str, at: Timestamp) {
        let waits = |task: &&mut Task| matches!(task.status, "pending" | "reserved");
        if let Some(task) = self.tasks.get_mut(sid).filter(waits) {
            task.reason = Some("Task TTL Exceeded".to_owned());
            self.end_task(sid, "canceled", at);
        }
    }

    /// The Messaging Channel Janitor: the task is gone, so the Proxy session goes, if the flow wants
    /// it. The channel is retired as well, so that the customer can have a new one.
    fn janitor(&mut self, chat: &str) {
        let flow = self.flex_channels.get(chat).map(|channel| &channel.flow);
        let wants = flow
            .and_then(|flow| self.flows.get(flow))
            .is_some_and(|flow| flow.janitor);
        if !wants {
            return;
        }
        let session = self
            .chats
            .get(chat)
            .and_then(|chat| chat.fact("proxySession"))
            .map(str::to_owned);
        if let Some(session) = session {
            self.remove_session(&session);
        }
        self.add_attribute(chat, "status", "INACTIVE");
        self.retire_channel(chat);
    }
}
