//! Agents who handle their tasks by themselves: when they accept, wrap up and complete.

use std::time::Duration;

use flexcast::simulator::{AgentChange, Settings};
use serde_json::Value;

use super::{Twilio, settings, text};

async fn twilio(handle_time: Option<Duration>) -> Twilio {
    let settings = Settings {
        agent_capacity: 1,
        handle_time,
        ..settings()
    };
    Twilio::in_process(settings).await
}

impl Twilio {
    async fn task_row(&self, sid: &str) -> Value {
        let workspace = self.sid("workspace_sid");
        let path = format!("taskrouter/v1/Workspaces/{workspace}/Tasks/{sid}");
        self.get(&path).await.1
    }

    async fn task_is(&self, sid: &str) -> String {
        text(&self.task_row(sid).await, "assignment_status")
    }

    /// The statuses of a task's reservations.
    async fn reservations(&self, sid: &str) -> Vec<String> {
        let workspace = self.sid("workspace_sid");
        let path = format!("taskrouter/v1/Workspaces/{workspace}/Tasks/{sid}/Reservations");
        let (_, body) = self.get(&path).await;
        let all = body["reservations"].as_array().expect("a list");
        all.iter()
            .map(|one| text(one, "reservation_status"))
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_is_accepted_wrapped_up_and_completed_in_the_handle_time() {
    let twilio = twilio(Some(Duration::from_secs(10))).await;
    let [first, second] = [(); 2].map(|()| twilio.simulator.give_task("alice", "sms"));
    // Alice takes one at a time: the second is offered when the first is completed.
    let table = [
        (0, "reserved", "pending"),
        (999, "reserved", "pending"),
        (1_000, "assigned", "pending"),
        (8_999, "assigned", "pending"),
        (9_000, "wrapping", "pending"),
        (9_999, "wrapping", "pending"),
        (10_000, "completed", "reserved"),
        (11_000, "completed", "assigned"),
        (19_000, "completed", "wrapping"),
        (20_000, "completed", "completed"),
    ];
    let mut passed = 0;
    for (at, of_first, of_second) in table {
        tokio::time::sleep(Duration::from_millis(at - passed)).await;
        passed = at;
        let found = (twilio.task_is(&first).await, twilio.task_is(&second).await);
        assert_eq!(
            (found.0.as_str(), found.1.as_str()),
            (of_first, of_second),
            "after {at} ms"
        );
    }
    assert_eq!(twilio.reservations(&first).await, ["completed"]);
}

#[tokio::test(start_paused = true)]
async fn without_time_all_is_done_before_the_next_request_and_without_a_handle_time_nothing_is() {
    let at_once = twilio(Some(Duration::ZERO)).await;
    let task = at_once.simulator.give_task("alice", "sms");
    assert_eq!(at_once.task_is(&task).await, "completed");
    let never = twilio(None).await;
    let task = never.simulator.give_task("alice", "sms");
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(never.task_is(&task).await, "reserved");
}

#[tokio::test(start_paused = true)]
async fn what_a_test_does_with_a_task_comes_first_and_who_is_offline_is_offered_none() {
    let twilio = twilio(Some(Duration::from_secs(10))).await;
    let task = twilio.simulator.give_task("alice", "sms");
    twilio
        .simulator
        .complete_task(&task)
        .expect("it is hers and open");
    let offline = AgentChange::activity("Offline");
    let changed = twilio.simulator.change_agent("alice", &offline);
    changed.expect("there is one");
    let next = twilio.simulator.give_task("alice", "sms");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(twilio.task_is(&task).await, "completed");
    assert_eq!(twilio.task_is(&next).await, "pending");
    let available = AgentChange::activity("Available");
    let changed = twilio.simulator.change_agent("alice", &available);
    changed.expect("there is one");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(twilio.task_is(&next).await, "completed");
}
