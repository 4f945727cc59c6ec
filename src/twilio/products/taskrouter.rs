//! TaskRouter: agents, queues and tasks.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::json;

use crate::twilio::{CallError, Form, Operation, Twilio, is_missing, sid};

/// A workspace.
#[derive(Clone, Debug, Deserialize)]
pub struct Workspace {
    #[serde(deserialize_with = "sid::workspace::required")]
    pub sid: String,
    #[serde(default)]
    pub friendly_name: Option<String>,
}

/// A workflow: the rules that assign tasks to queues.
#[derive(Clone, Debug, Deserialize)]
pub struct Workflow {
    #[serde(deserialize_with = "sid::workflow::required")]
    pub sid: String,
    #[serde(default)]
    pub friendly_name: Option<String>,
}

/// A queue of tasks.
#[derive(Clone, Debug, Deserialize)]
pub struct TaskQueue {
    #[serde(deserialize_with = "sid::task_queue::required")]
    pub sid: String,
    #[serde(default)]
    pub friendly_name: Option<String>,
}

/// A kind of task.
#[derive(Clone, Debug, Deserialize)]
pub struct TaskChannel {
    #[serde(deserialize_with = "sid::task_channel::required")]
    pub sid: String,
    #[serde(default)]
    pub friendly_name: Option<String>,
    #[serde(default)]
    pub unique_name: Option<String>,
}

/// A Worker: an agent in TaskRouter.
#[derive(Clone, Debug, Deserialize)]
pub struct Worker {
    #[serde(deserialize_with = "sid::worker::required")]
    pub sid: String,
    #[serde(default, deserialize_with = "json::or_default")]
    pub friendly_name: String,
    /// `None` if they are not shown: lists may leave them out (Twilio's OpenAPI, TaskRouter).
    #[serde(default, deserialize_with = "json::shown")]
    pub attributes: Option<Map<String, Value>>,
    /// Whether the Worker gets tasks in their current activity.
    #[serde(default, deserialize_with = "json::or_default")]
    pub available: bool,
    #[serde(default)]
    pub activity_name: Option<String>,
}

impl Worker {
    /// The agent's identity in Flex: the attribute `contact_uri` without `client:`, or the friendly name without that
    /// attribute.
    #[must_use]
    pub fn identity(&self) -> &str {
        let attributes = self.attributes.as_ref();
        attributes
            .and_then(|attributes| attributes.get("contact_uri"))
            .and_then(Value::as_str)
            .map(|uri| uri.strip_prefix("client:").unwrap_or(uri))
            .filter(|identity| !identity.is_empty())
            .unwrap_or(&self.friendly_name)
    }
}

/// A Worker's capacity in one task channel.
#[derive(Clone, Debug, Deserialize)]
pub struct WorkerChannel {
    #[serde(deserialize_with = "sid::worker_channel::required")]
    pub sid: String,
    #[serde(default)]
    pub task_channel_sid: Option<String>,
    #[serde(default)]
    pub task_channel_unique_name: Option<String>,
    /// Whether the Worker gets tasks of this channel at all.
    #[serde(default)]
    pub available: Option<bool>,
    /// The maximum number of tasks at a time.
    #[serde(default, deserialize_with = "json::or_default")]
    pub configured_capacity: u32,
    #[serde(default, deserialize_with = "json::or_default")]
    pub assigned_tasks: u32,
    /// The free share of the capacity, from 0 to 100.
    #[serde(default)]
    pub available_capacity_percentage: Option<u32>,
}

impl WorkerChannel {
    /// Whether it belongs to the task channel of this SID or unique name.
    #[must_use]
    pub fn is_of(&self, task_channel: &str) -> bool {
        let names = [&self.task_channel_sid, &self.task_channel_unique_name];
        let mut names = names.into_iter().flatten();
        names.any(|name| name == task_channel)
    }

    /// The number of further tasks that it takes: by its assigned tasks or by its percentage, whichever is smaller.
    /// Twilio does not document which of the two includes a task that is only offered.
    #[must_use]
    pub fn free(&self) -> u32 {
        if self.available == Some(false) {
            return 0;
        }
        let capacity = self.configured_capacity;
        let unassigned = capacity.saturating_sub(self.assigned_tasks);
        let percent = self.available_capacity_percentage.unwrap_or(100).min(100);
        // Rounded to the nearest integer: 2 of 3 are 66 % or 67 %.
        let left = (u64::from(capacity) * u64::from(percent) + 50) / 100;
        unassigned.min(u32::try_from(left).unwrap_or(u32::MAX))
    }
}

/// The filter of a list of Workers.
#[derive(Clone, Copy, Debug)]
pub enum WorkersWhere<'a> {
    All,
    FriendlyName(&'a str),
    /// An expression over their attributes. Texts in it must be [`quoted`].
    Expression(&'a str),
}

/// A task.
#[derive(Clone, Debug, Deserialize)]
pub struct Task {
    #[serde(deserialize_with = "sid::task::required")]
    pub sid: String,
    #[serde(default, deserialize_with = "json::lenient")]
    pub attributes: Map<String, Value>,
    /// `pending`, `reserved`, `assigned`, `canceled`, `completed` or `wrapping`.
    #[serde(default)]
    pub assignment_status: Option<String>,
    /// Why it was cancelled or completed.
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default, deserialize_with = "json::time")]
    pub date_created: Option<Timestamp>,
}

/// The text as a literal in an expression. `None` for a text with both kinds of quotes or with a backslash, because
/// Twilio documents no escapes in expressions.
#[must_use]
pub fn quoted(text: &str) -> Option<String> {
    let quote = match (text.contains('"'), text.contains('\'')) {
        (true, true) => return None,
        (true, false) => '\'',
        (false, _) => '"',
    };
    let plain = !text.contains(|c: char| c == '\\' || c.is_control());
    plain.then(|| format!("{quote}{text}{quote}"))
}

impl Twilio {
    /// Lists all workspaces.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_workspaces(&self) -> Result<Vec<Workspace>, CallError> {
        let operation = Operation::ListWorkspaces;
        self.list(operation, &[], Form::new(), "workspaces").await
    }

    /// Lists a workspace's workflows.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_workflows(&self, workspace_sid: &str) -> Result<Vec<Workflow>, CallError> {
        let operation = Operation::ListWorkflows;
        self.list(operation, &[workspace_sid], Form::new(), "workflows")
            .await
    }

    /// Lists a workspace's task queues.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_task_queues(&self, workspace_sid: &str) -> Result<Vec<TaskQueue>, CallError> {
        let operation = Operation::ListTaskQueues;
        self.list(operation, &[workspace_sid], Form::new(), "task_queues")
            .await
    }

    /// Lists a workspace's task channels.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_task_channels(
        &self,
        workspace_sid: &str,
    ) -> Result<Vec<TaskChannel>, CallError> {
        let operation = Operation::ListTaskChannels;
        self.list(operation, &[workspace_sid], Form::new(), "channels")
            .await
    }

    /// Lists a workspace's Workers.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_workers(
        &self,
        workspace_sid: &str,
        which: WorkersWhere<'_>,
    ) -> Result<Vec<Worker>, CallError> {
        let form = match which {
            WorkersWhere::All => Form::new(),
            WorkersWhere::FriendlyName(name) => Form::new().with("FriendlyName", name),
            WorkersWhere::Expression(text) => Form::new().with("TargetWorkersExpression", text),
        };
        let operation = Operation::ListWorkers;
        self.list(operation, &[workspace_sid], form, "workers")
            .await
    }

    /// Fetches the Worker with this SID, if they exist.
    ///
    /// # Errors
    ///
    /// [`CallError`], except for "not found".
    pub async fn fetch_worker(
        &self,
        workspace_sid: &str,
        sid: &str,
    ) -> Result<Option<Worker>, CallError> {
        self.fetch(Operation::FetchWorker, &[workspace_sid, sid])
            .await
    }

    /// Lists a Worker's channels, with capacity and assigned tasks. `None` if the Worker does not exist.
    ///
    /// # Errors
    ///
    /// [`CallError`], except for "not found".
    pub async fn list_worker_channels(
        &self,
        workspace_sid: &str,
        worker_sid: &str,
    ) -> Result<Option<Vec<WorkerChannel>>, CallError> {
        let operation = Operation::ListWorkerChannels;
        let path = [workspace_sid, worker_sid];
        match self.list(operation, &path, Form::new(), "channels").await {
            Ok(channels) => Ok(Some(channels)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists the tasks whose attributes match the expression. Texts in it must be [`quoted`].
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn list_tasks(
        &self,
        workspace_sid: &str,
        expression: &str,
    ) -> Result<Vec<Task>, CallError> {
        let form = Form::new().with("EvaluateTaskAttributes", expression);
        let operation = Operation::ListTasks;
        self.list(operation, &[workspace_sid], form, "tasks").await
    }

    /// Fetches the task with this SID, if it exists: TaskRouter deletes completed and cancelled tasks after some
    /// time.
    ///
    /// # Errors
    ///
    /// [`CallError`], except for "not found".
    pub async fn fetch_task(
        &self,
        workspace_sid: &str,
        sid: &str,
    ) -> Result<Option<Task>, CallError> {
        self.fetch(Operation::FetchTask, &[workspace_sid, sid])
            .await
    }

    /// Cancels a task. A missing task is a success. Twilio refuses to cancel an accepted task.
    ///
    /// # Errors
    ///
    /// [`CallError`], except for "not found".
    pub async fn cancel_task(
        &self,
        workspace_sid: &str,
        sid: &str,
        reason: &str,
    ) -> Result<(), CallError> {
        let form = Form::new()
            .with("AssignmentStatus", "canceled")
            .with("Reason", reason);
        self.end(Operation::UpdateTask, &[workspace_sid, sid], form)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_identity_is_their_contact_uri_or_their_name() {
        let worker = |attributes: &str| -> Worker {
            let sid = "WK00000000000000000000000000000001";
            let attributes = Value::from(attributes);
            serde_json::from_str(&format!(
                r#"{{"sid":"{sid}","friendly_name":"Alice A","attributes":{attributes}}}"#
            ))
            .expect("a worker")
        };
        assert_eq!(
            worker(r#"{"contact_uri":"client:alice"}"#).identity(),
            "alice"
        );
        assert_eq!(worker(r#"{"contact_uri":"bob"}"#).identity(), "bob");
        assert_eq!(worker("{}").identity(), "Alice A");
        assert!(!worker("not JSON").available);
    }

    #[test]
    fn what_a_channel_takes_more_is_the_fewer_of_what_it_says() {
        let table = [
            (
                r#"{"configured_capacity":3,"assigned_tasks":1,"available_capacity_percentage":66}"#,
                2,
            ),
            (
                r#"{"configured_capacity":3,"assigned_tasks":1,"available_capacity_percentage":33}"#,
                1,
            ),
            (
                r#"{"configured_capacity":3,"assigned_tasks":3,"available_capacity_percentage":100}"#,
                0,
            ),
            (r#"{"configured_capacity":1,"assigned_tasks":4}"#, 0),
            (r#"{"configured_capacity":9,"available":false}"#, 0),
            (r#"{"configured_capacity":2,"assigned_tasks":null}"#, 2),
        ];
        for (rest, free) in table {
            let sid =
                r#"{"sid":"WC00000000000000000000000000000001","task_channel_unique_name":"sms","#;
            let text = rest.replacen('{', sid, 1);
            let channel: WorkerChannel = serde_json::from_str(&text).expect("a channel");
            assert_eq!(channel.free(), free, "{rest}");
            assert!(channel.is_of("sms") && !channel.is_of("chat"));
        }
    }

    #[test]
    fn a_text_cannot_leave_its_literal() {
        assert_eq!(quoted("client:alice").as_deref(), Some("\"client:alice\""));
        assert_eq!(quoted("O'Brien").as_deref(), Some("\"O'Brien\""));
        assert_eq!(quoted(r#"a" OR 1==1"#).as_deref(), Some(r#"'a" OR 1==1'"#));
        assert_eq!(quoted(r#"a"'"#), None);
        assert_eq!(quoted(r"a\"), None);
    }
}
