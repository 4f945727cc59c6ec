//! The life of a task: created by Flex, offered to its agent, ended.
//!
//! Always: a task for an agent is reserved for that agent if the agent has capacity, and otherwise waits as pending;
//! a task that ends frees its capacity, triggers the Janitor and is deleted some time later.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::tasks::{NewTask, Routing, TIMEOUT_SECS, Task};
use crate::simulator::http::reply::ErrorReply;
use crate::simulator::world::content;
use crate::simulator::world::effects::{EffectKind, Parties};
use crate::simulator::world::{Due, World};

impl World {
    /// Reads an interaction's `Routing`. An agent's interaction needs a queue and a worker.
    pub(in crate::simulator) fn routing(
        &mut self,
        given: Option<&Value>,
        needs_agent: bool,
    ) -> Result<Routing, ErrorReply> {
        let none = json!({});
        let properties = given
            .and_then(|given| given.get("properties"))
            .unwrap_or(&none);
        let text = |name: &str| properties.get(name).and_then(Value::as_str);
        let ours = |name: &str, ours: &str| match text(name) {
            Some(given) if given != ours => Err(ErrorReply::invalid(format!(
                "Routing: {name} is not of this account"
            ))),
            given => Ok(given.map(str::to_owned)),
        };
        if ours("workspace_sid", &self.account.workspace)?.is_none() {
            return Err(ErrorReply::invalid("Routing: workspace_sid is required"));
        }
        let workflow = ours("workflow_sid", &self.account.workflow)?;
        let queue = ours("queue_sid", &self.account.queue)?;
        let worker = text("worker_sid").map(str::to_owned);
        if needs_agent && (queue.is_none() || worker.is_none()) {
            let message = "Routing: queue_sid and worker_sid are required for an agent";
            return Err(ErrorReply::invalid(message));
        }
        if worker
            .as_ref()
            .is_some_and(|sid| self.workers.get(sid).is_none())
        {
            return Err(ErrorReply::invalid("Routing: worker_sid is no Worker"));
        }
        let channel = text("task_channel_unique_name").or_else(|| text("task_channel_sid"));
        if channel.is_some_and(|name| self.task_channel(name).is_none()) {
            return Err(ErrorReply::invalid(
                "Routing: there is no such task channel",
            ));
        }
        // An object, as on Twilio's page, or its text, as in a task.
        let attributes = match properties.get("attributes") {
            Some(Value::String(text)) => serde_json::from_str(text)
                .map_err(|_| ErrorReply::invalid("Routing: attributes is not a JSON object"))?,
            Some(Value::Object(attributes)) => attributes.clone(),
            _ => Map::new(),
        };
        content::check_task_attributes(&Value::Object(attributes.clone()).to_string())?;
        Ok(Routing {
            workflow,
            worker,
            channel: channel.map(str::to_owned),
            attributes,
            timeout: properties.get("timeout").and_then(Value::as_i64),
            priority: properties.get("priority").and_then(Value::as_i64),
        })
    }

    /// The `routing.properties` of a task that does not exist yet.
    pub(in crate::simulator) fn planned(&self, sid: &str, routing: &Routing) -> Value {
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

    /// Creates a task, and offers it to its agent.
    pub(in crate::simulator) fn make_task(&mut self, new: NewTask, now: Timestamp) -> String {
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
        self.count_open(task.worker.clone().as_deref(), true);
        self.tasks.insert(&sid, task);
        self.note_marks(&sid);
        if let Ok(ends) = ends {
            self.at(ends, Due::Task(sid.clone()));
        }
        self.offer(&sid, now);
        sid
    }

    /// The worker that the filter of the simulated workflow selects.
    fn targeted(&mut self, attributes: &Value, now: Timestamp) -> Option<String> {
        let names = self.settings.target_attributes.clone();
        let target = names
            .iter()
            .find_map(|name| attributes.get(name)?.as_str())?;
        self.worker_named(target, now)
    }

    pub(in crate::simulator) fn set_task_status(
        &mut self,
        sid: &str,
        status: &'static str,
        now: Timestamp,
    ) {
        if let Some(task) = self.tasks.get_mut(sid) {
            task.status = status;
            task.updated = now;
            self.effects.state(EffectKind::Task, sid, status);
        }
    }

    /// Changes the status of a task, if TaskRouter allows it: only a task that no worker has accepted can be
    /// cancelled, and only an accepted task can be completed.
    pub(super) fn move_task(
        &mut self,
        sid: &str,
        wanted: &'static str,
        now: Timestamp,
    ) -> Result<(), ErrorReply> {
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
            _ => Err(ErrorReply::invalid(format!(
                "Cannot update task from {status} to {wanted}"
            ))),
        }
    }

    /// Ends a task that an interaction no longer needs.
    pub(in crate::simulator) fn wind_up_task(&mut self, sid: &str, now: Timestamp) {
        let Some(task) = self.tasks.get(sid).filter(|task| !task.is_over()) else {
            return;
        };
        let taken = matches!(task.status, "assigned" | "wrapping");
        let status = if taken { "completed" } else { "canceled" };
        self.end_task(sid, status, now);
    }

    pub(in crate::simulator) fn end_task(
        &mut self,
        sid: &str,
        status: &'static str,
        now: Timestamp,
    ) {
        let Some(task) = self.tasks.get_mut(sid).filter(|task| !task.is_over()) else {
            return;
        };
        for one in &mut task.reservations {
            if matches!(one.status, "pending" | "accepted" | "wrapping") {
                one.status = status;
                one.updated = now;
            }
        }
        let (chat, worker) = (task.chat.clone(), task.worker.clone());
        self.set_task_status(sid, status, now);
        self.count_open(worker.as_deref(), false);
        self.release(sid, now);
        if let Some(chat) = chat {
            self.janitor(&chat);
        }
        let kept = self.settings.ended_tasks_kept;
        if let Some(gone) = kept.and_then(|kept| now.checked_add(kept).ok()) {
            self.at(gone, Due::EndedTask(sid.to_owned()));
        }
    }

    /// Deletes a task, some time after its end: no request finds it any more.
    pub(in crate::simulator) fn forget_task(&mut self, sid: &str) {
        self.tasks.remove(sid);
    }

    /// Cancels a task that no worker has accepted within its timeout.
    pub(in crate::simulator) fn time_out_task(&mut self, sid: &str, at: Timestamp) {
        let waits = |task: &&mut Task| matches!(task.status, "pending" | "reserved");
        if let Some(task) = self.tasks.get_mut(sid).filter(waits) {
            task.reason = Some("Task TTL Exceeded".to_owned());
            self.end_task(sid, "canceled", at);
        }
    }

    /// The Messaging Channel Janitor: after the end of a task, deletes the Proxy session, if the flow says so. The
    /// channel is retired too, so that the customer can get a new one.
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
