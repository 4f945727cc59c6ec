//! The actions of an agent in Flex: accept a reservation, complete a task, and write to the customer.

use jiff::Timestamp;

use crate::simulator::conversations::messages::NewMessage;
use crate::simulator::conversations::participants::ConversationParticipantRequest;
use crate::simulator::http::reply::ErrorReply;
use crate::simulator::taskrouter::tasks::Task;
use crate::simulator::world::World;

impl World {
    /// The agent accepts the task and enters its chat channel or conversation.
    pub(in crate::simulator) fn accept(
        &mut self,
        sid: &str,
        now: Timestamp,
    ) -> Result<(), ErrorReply> {
        let Some(task) = self.tasks.get(sid) else {
            return Err(ErrorReply::not_found(&format!("/Tasks/{sid}")));
        };
        if task.status != "reserved" {
            let message = format!("The task has no reservation: it is {}", task.status);
            return Err(ErrorReply::new(409, 20409, message));
        }
        let (chat, conversation) = (task.chat.clone(), task.conversation.clone());
        let identity = self.identity_of(sid);
        self.set_reservation(sid, "accepted", now);
        self.set_task_status(sid, "assigned", now);
        let Some(identity) = identity else {
            return Ok(());
        };
        if let Some(chat) = chat {
            let member = self.sids.sid("MB");
            if let Some(chat) = self.chats.get_mut(&chat) {
                chat.join(member, &identity, now);
            }
        }
        if let Some(conversation) = conversation {
            let agent = ConversationParticipantRequest {
                identity: Some(identity),
                ..ConversationParticipantRequest::default()
            };
            // 50433: the agent is already in the conversation, from an earlier task.
            drop(self.join_conversation(&conversation, agent, now));
        }
        Ok(())
    }

    /// The agent completes the task, whether it was accepted or not.
    pub(in crate::simulator) fn complete(
        &mut self,
        sid: &str,
        now: Timestamp,
    ) -> Result<(), ErrorReply> {
        let task = self.tasks.get(sid);
        if task.is_none_or(Task::is_over) {
            return Err(ErrorReply::not_found(&format!("/Tasks/{sid}")));
        }
        self.end_task(sid, "completed", now);
        Ok(())
    }

    pub(in crate::simulator) fn set_reservation(
        &mut self,
        task: &str,
        status: &'static str,
        now: Timestamp,
    ) {
        let last = self
            .tasks
            .get_mut(task)
            .and_then(|task| task.reservations.last_mut());
        if let Some(last) = last {
            last.status = status;
            last.updated = now;
        }
        if status == "rejected" {
            self.set_task_status(task, "pending", now);
        } else if status == "wrapping" {
            self.set_task_status(task, "wrapping", now);
        }
    }

    /// The agent of an accepted task writes in its chat channel or conversation.
    pub(in crate::simulator) fn agent_writes(
        &mut self,
        sid: &str,
        body: &str,
        now: Timestamp,
    ) -> Result<(), ErrorReply> {
        let Some(task) = self.tasks.get(sid) else {
            return Err(ErrorReply::not_found(&format!("/Tasks/{sid}")));
        };
        let (chat, conversation) = (task.chat.clone(), task.conversation.clone());
        let identity = self.identity_of(sid).filter(|_| task.status == "assigned");
        let Some(identity) = identity else {
            let message = "No agent has accepted the task";
            return Err(ErrorReply::new(409, 20409, message));
        };
        if let Some(chat) = chat {
            let at = self.write(&chat, &identity, body, "{}", now);
            self.relay(&chat, at, now);
        }
        if let Some(conversation) = conversation {
            self.say(&conversation, NewMessage::text(&identity, body), now);
        }
        Ok(())
    }

    /// The chat identity of a task's worker: the contact URI without `client:`.
    fn identity_of(&self, task: &str) -> Option<String> {
        let worker = self.workers.get(self.tasks.get(task)?.worker.as_ref()?)?;
        let uri = worker.facts["contact_uri"].as_str()?;
        Some(uri.strip_prefix("client:").unwrap_or(uri).to_owned())
    }
}
