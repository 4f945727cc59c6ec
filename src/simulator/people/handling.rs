//! How agents handle their tasks by themselves, if the settings have a handle time.
//!
//! In: tasks that are reserved. Out: each is accepted, wrapped up and completed, as if its agent did so in Flex. Always:
//! an agent begins with a task when its customer can be written to: before that, a task that ends would take the
//! customer's session away while it is set up. A task that a request or a test changes meanwhile is left as it is.

use std::time::Duration;

use jiff::Timestamp;

use crate::simulator::taskrouter::tasks::Task;
use crate::simulator::world::{Due, World};

/// The share of the handle time that passes before the agent accepts the task, and at its end, in wrapping.
const TENTH: u32 = 10;

/// What an agent does next with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::simulator) enum NextAct {
    Accept,
    WrapUp,
    Complete,
}

impl World {
    /// Lets the agent of a task that is reserved now begin with it, if the agents handle their tasks. Without a
    /// customer in its chat channel or conversation, the agent waits.
    pub(in crate::simulator) fn begin_handling(&mut self, sid: &str, now: Timestamp) {
        let Some(time) = self.settings.handle_time else {
            return;
        };
        let Some(task) = self.tasks.get(sid).filter(|task| task.status == "reserved") else {
            return;
        };
        let container = task.chat.as_ref().or(task.conversation.as_ref()).cloned();
        match container.filter(|_| !self.reaches_customer(task)) {
            Some(container) => {
                let waiting = self.awaiting_customer.entry(container).or_default();
                waiting.push(sid.to_owned());
            }
            None => self.handle(sid, time, now),
        }
    }

    /// Lets the agents begin who wait for the customer of this chat channel or conversation, if the customer can be
    /// written to now.
    pub(in crate::simulator) fn customer_may_be_there(&mut self, container: &str, now: Timestamp) {
        let waiting = self.awaiting_customer.remove(container);
        for task in waiting.unwrap_or_default() {
            self.begin_handling(&task, now);
        }
    }

    /// Carries out what an agent does next with a task.
    pub(in crate::simulator) fn act(&mut self, sid: &str, next: NextAct, at: Timestamp) {
        let status = self.tasks.get(sid).map_or("", |task| task.status);
        match (next, status) {
            (NextAct::Accept, "reserved") => drop(self.accept(sid, at)),
            (NextAct::WrapUp, "assigned") => self.set_reservation(sid, "wrapping", at),
            (NextAct::Complete, "assigned" | "wrapping") => self.end_task(sid, "completed", at),
            _ => {}
        }
    }

    fn handle(&mut self, sid: &str, time: Duration, now: Timestamp) {
        let part = time / TENTH;
        let acts = [
            (NextAct::Accept, part),
            (NextAct::WrapUp, time - part),
            (NextAct::Complete, time),
        ];
        for (act, after) in acts {
            if let Ok(at) = now.checked_add(after) {
                self.at(at, Due::Handling(sid.to_owned(), act));
            }
        }
    }

    /// Whether an agent who accepts the task can write to its customer. A task without a chat channel and without a
    /// conversation is not about a text.
    fn reaches_customer(&self, task: &Task) -> bool {
        if let Some(chat) = &task.chat {
            let chat = self.chats.get(chat);
            return chat.is_some_and(|chat| chat.fact("proxySession").is_some());
        }
        let mut conversation = task.conversation.iter();
        conversation.all(|sid| self.customer_of(sid).is_some())
    }
}
