//! TaskRouter: the fixed parts of the workspace, and reservations.

pub(super) mod workers;
pub(super) mod capacity;
pub(super) mod tasks;
pub(super) mod assignment;
pub(super) mod expression;
pub(super) mod marks;

use serde_json::{Value, json};

use self::tasks::{Reservation, Task};
use super::http::call::{Call, Route};
use super::http::reply::{ErrorReply, Reply, ReplyResult, stamp};
use super::world::World;
use super::world::sids::Sids;

pub(super) const WORKFLOW_NAME: &str = "Assign to Anyone";
pub(super) const QUEUE_NAME: &str = "Everyone";

#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    Route { operation: "list_workspaces", method: "GET", path: "/v1/Workspaces", answer: workspaces },
    Route { operation: "fetch_workspace", method: "GET", path: "/v1/Workspaces/{Sid}", answer: workspace },
    Route { operation: "list_workflows", method: "GET", path: "/v1/Workspaces/{WorkspaceSid}/Workflows", answer: workflows },
    Route { operation: "fetch_workflow", method: "GET", path: "/v1/Workspaces/{WorkspaceSid}/Workflows/{Sid}", answer: workflow },
    Route { operation: "list_task_queues", method: "GET", path: "/v1/Workspaces/{WorkspaceSid}/TaskQueues", answer: queues },
    Route { operation: "fetch_task_queue", method: "GET", path: "/v1/Workspaces/{WorkspaceSid}/TaskQueues/{Sid}", answer: queue },
    Route { operation: "list_task_channels", method: "GET", path: "/v1/Workspaces/{WorkspaceSid}/TaskChannels", answer: task_channels },
    Route { operation: "list_activities", method: "GET", path: "/v1/Workspaces/{WorkspaceSid}/Activities", answer: activities },
    Route { operation: "list_workers", method: "GET", path: "/v1/Workspaces/{WorkspaceSid}/Workers", answer: workers::list },
    Route { operation: "create_worker", method: "POST", path: "/v1/Workspaces/{WorkspaceSid}/Workers", answer: workers::create },
    Route { operation: "fetch_worker", method: "GET", path: "/v1/Workspaces/{WorkspaceSid}/Workers/{Sid}", answer: workers::fetch },
    Route { operation: "update_worker", method: "POST", path: "/v1/Workspaces/{WorkspaceSid}/Workers/{Sid}", answer: workers::update },
    Route { operation: "delete_worker", method: "DELETE", path: "/v1/Workspaces/{WorkspaceSid}/Workers/{Sid}", answer: workers::delete },
    Route { operation: "list_worker_channels", method: "GET", path: "/v1/Workspaces/{WorkspaceSid}/Workers/{WorkerSid}/Channels", answer: capacity::channels },
    Route { operation: "list_tasks", method: "GET", path: "/v1/Workspaces/{WorkspaceSid}/Tasks", answer: tasks::list },
    Route { operation: "create_task", method: "POST", path: "/v1/Workspaces/{WorkspaceSid}/Tasks", answer: tasks::create },
    Route { operation: "fetch_task", method: "GET", path: "/v1/Workspaces/{WorkspaceSid}/Tasks/{Sid}", answer: tasks::fetch },
    Route { operation: "update_task", method: "POST", path: "/v1/Workspaces/{WorkspaceSid}/Tasks/{Sid}", answer: tasks::update },
    Route { operation: "delete_task", method: "DELETE", path: "/v1/Workspaces/{WorkspaceSid}/Tasks/{Sid}", answer: tasks::delete },
    Route { operation: "list_task_reservations", method: "GET", path: "/v1/Workspaces/{WorkspaceSid}/Tasks/{TaskSid}/Reservations", answer: reservations },
    Route { operation: "update_task_reservation", method: "POST", path: "/v1/Workspaces/{WorkspaceSid}/Tasks/{TaskSid}/Reservations/{Sid}", answer: update_reservation },
];

fn workspace_json(world: &World, base: &str) -> Value {
    let account = &world.account;
    let url = format!("{base}/v1/Workspaces/{}", account.workspace);
    let offline = &world.activities[0];
    json!({
        "account_sid": account.sid,
        "date_created": stamp(account.born),
        "date_updated": stamp(account.born),
        "default_activity_name": offline.name,
        "default_activity_sid": offline.sid,
        "event_callback_url": null,
        "events_filter": null,
        "friendly_name": "Flex Task Assignment",
        "multi_task_enabled": true,
        "sid": account.workspace,
        "timeout_activity_name": offline.name,
        "timeout_activity_sid": offline.sid,
        "prioritize_queue_order": "FIFO",
        "url": url,
        "links": {
            "activities": format!("{url}/Activities"),
            "tasks": format!("{url}/Tasks"),
            "workers": format!("{url}/Workers"),
            "workflows": format!("{url}/Workflows"),
            "task_queues": format!("{url}/TaskQueues"),
            "task_channels": format!("{url}/TaskChannels"),
        },
    })
}

fn workspaces(call: &mut Call<'_>) -> ReplyResult {
    let name = call.query.get("FriendlyName");
    let world = &*call.world;
    let one = Some(workspace_json(world, call.base))
        .filter(|one| name.is_none_or(|name| one["friendly_name"] == name));
    let page = call.page("/v1/Workspaces", "workspaces", 1000);
    page.of(one.into_iter(), |one| one)
}

fn workspace(call: &mut Call<'_>) -> ReplyResult {
    in_workspace(call)?;
    Reply::ok(workspace_json(call.world, call.base))
}

fn in_workspace(call: &Call<'_>) -> Result<(), ErrorReply> {
    if call.param(0) == call.world.account.workspace {
        return Ok(());
    }
    Err(ErrorReply::not_found(&format!(
        "/v1/Workspaces/{}",
        call.param(0)
    )))
}

fn workflow_json(world: &World, base: &str) -> Value {
    let account = &world.account;
    let url = format!(
        "{base}/v1/Workspaces/{}/Workflows/{}",
        account.workspace, account.workflow
    );
    let targets = world.settings.target_attributes.iter().map(|name| {
        json!({"filter_friendly_name": name, "expression": format!("{name} != null"), "targets": [
            {"queue": account.queue,
             "expression": format!("task.{name} == worker.contact_uri")}]})
    });
    let configuration = json!({"task_routing": {
        "filters": targets.collect::<Vec<_>>(),
        "default_filter": {"queue": account.queue},
    }});
    json!({
        "account_sid": account.sid,
        "assignment_callback_url": null,
        "configuration": configuration.to_string(),
        "date_created": stamp(account.born),
        "date_updated": stamp(account.born),
        "document_content_type": "application/json",
        "fallback_assignment_callback_url": null,
        "friendly_name": WORKFLOW_NAME,
        "sid": account.workflow,
        "task_reservation_timeout": 120,
        "workspace_sid": account.workspace,
        "url": url,
        "links": {"statistics": format!("{url}/Statistics")},
    })
}

fn workflows(call: &mut Call<'_>) -> ReplyResult {
    in_workspace(call)?;
    let name = call.query.get("FriendlyName");
    let world = &*call.world;
    let one =
        Some(workflow_json(world, call.base)).filter(|_| name.is_none_or(|n| n == WORKFLOW_NAME));
    let path = format!("/v1/Workspaces/{}/Workflows", world.account.workspace);
    let page = call.page(&path, "workflows", 1000);
    page.of(one.into_iter(), |one| one)
}

fn workflow(call: &mut Call<'_>) -> ReplyResult {
    in_workspace(call)?;
    if call.param(1) == call.world.account.workflow {
        return Reply::ok(workflow_json(call.world, call.base));
    }
    Err(ErrorReply::not_found(&format!(
        "/Workflows/{}",
        call.param(1)
    )))
}

fn queue_json(world: &World, base: &str) -> Value {
    let account = &world.account;
    let workspace = format!("{base}/v1/Workspaces/{}", account.workspace);
    let url = format!("{workspace}/TaskQueues/{}", account.queue);
    json!({
        "account_sid": account.sid,
        "assignment_activity_sid": null,
        "assignment_activity_name": null,
        "date_created": stamp(account.born),
        "date_updated": stamp(account.born),
        "friendly_name": QUEUE_NAME,
        "max_reserved_workers": 1,
        "reservation_activity_sid": null,
        "reservation_activity_name": null,
        "sid": account.queue,
        "target_workers": "1==1",
        "task_order": "FIFO",
        "workspace_sid": account.workspace,
        "url": url,
        "links": {"workspace": workspace},
    })
}

fn queues(call: &mut Call<'_>) -> ReplyResult {
    in_workspace(call)?;
    let name = call.query.get("FriendlyName");
    let world = &*call.world;
    let one = Some(queue_json(world, call.base)).filter(|_| name.is_none_or(|n| n == QUEUE_NAME));
    let path = format!("/v1/Workspaces/{}/TaskQueues", world.account.workspace);
    let page = call.page(&path, "task_queues", 1000);
    page.of(one.into_iter(), |one| one)
}

fn queue(call: &mut Call<'_>) -> ReplyResult {
    in_workspace(call)?;
    if call.param(1) == call.world.account.queue {
        return Reply::ok(queue_json(call.world, call.base));
    }
    Err(ErrorReply::not_found(&format!(
        "/TaskQueues/{}",
        call.param(1)
    )))
}

fn task_channels(call: &mut Call<'_>) -> ReplyResult {
    in_workspace(call)?;
    let world = &*call.world;
    let account = &world.account;
    let workspace = format!("{}/v1/Workspaces/{}", call.base, account.workspace);
    let path = format!("/v1/Workspaces/{}/TaskChannels", account.workspace);
    let page = call.page(&path, "channels", 1000);
    page.of(world.task_channels.iter(), |one| {
        json!({
            "account_sid": account.sid,
            "date_created": stamp(account.born),
            "date_updated": stamp(account.born),
            "friendly_name": one.unique_name,
            "sid": one.sid,
            "unique_name": one.unique_name,
            "workspace_sid": account.workspace,
            "channel_optimized_routing": false,
            "url": format!("{workspace}/TaskChannels/{}", one.sid),
            "links": {"workspace": workspace},
        })
    })
}

fn activities(call: &mut Call<'_>) -> ReplyResult {
    in_workspace(call)?;
    let name = call.query.get("FriendlyName");
    let world = &*call.world;
    let account = &world.account;
    let workspace = format!("{}/v1/Workspaces/{}", call.base, account.workspace);
    let shown = world
        .activities
        .iter()
        .filter(|one| name.is_none_or(|name| one.name == name));
    let path = format!("/v1/Workspaces/{}/Activities", account.workspace);
    let page = call.page(&path, "activities", 1000);
    page.of(shown, |one| {
        json!({
            "account_sid": account.sid,
            "available": one.available,
            "date_created": stamp(account.born),
            "date_updated": stamp(account.born),
            "friendly_name": one.name,
            "sid": one.sid,
            "workspace_sid": account.workspace,
            "url": format!("{workspace}/Activities/{}", one.sid),
            "links": {"workspace": workspace},
        })
    })
}

fn reservation_json(task: &Task, one: &Reservation, world: &World, base: &str) -> Value {
    let workspace = format!("{base}/v1/Workspaces/{}", world.account.workspace);
    let url = format!("{workspace}/Tasks/{}", task.sid);
    json!({
        "account_sid": world.account.sid,
        "date_created": stamp(one.created),
        "date_updated": stamp(one.updated),
        "reservation_status": one.status,
        "sid": one.sid,
        "task_sid": task.sid,
        "worker_name": one.worker_name,
        "worker_sid": one.worker,
        "workspace_sid": world.account.workspace,
        "url": format!("{url}/Reservations/{}", one.sid),
        "links": {"task": url, "worker": format!("{workspace}/Workers/{}", one.worker),
            "workspace": workspace},
    })
}

fn found<'b>(call: &'b Call<'_>) -> Result<&'b Task, ErrorReply> {
    in_workspace(call)?;
    let sid = call.param(1);
    let task = call.world.tasks.get(sid);
    task.ok_or_else(|| ErrorReply::not_found(&format!("/Tasks/{sid}")))
}

fn reservations(call: &mut Call<'_>) -> ReplyResult {
    let task = found(call)?;
    let status = call.query.get("ReservationStatus");
    let worker = call.query.get("WorkerSid");
    let shown = task.reservations.iter().filter(|one| {
        status.is_none_or(|status| one.status == status)
            && worker.is_none_or(|worker| one.worker == worker)
    });
    let path = format!(
        "/v1/Workspaces/{}/Tasks/{}/Reservations",
        call.world.account.workspace, task.sid
    );
    let page = call.page(&path, "reservations", 1000);
    page.of(shown, |one| {
        reservation_json(task, one, call.world, call.base)
    })
}

fn update_reservation(call: &mut Call<'_>) -> ReplyResult {
    let task = found(call)?.sid.clone();
    let wanted = call.param(2);
    let statuses = ["accepted", "rejected", "wrapping", "completed"];
    let status = call.form.one_of("ReservationStatus", &statuses)?;
    match status {
        Some("accepted") => call.world.accept(&task, call.now)?,
        Some("completed") => call.world.end_task(&task, "completed", call.now),
        Some(status) => call.world.set_reservation(&task, status, call.now),
        None => {}
    }
    let task = found(call)?;
    let one = task.reservations.iter().find(|one| one.sid == wanted);
    one.map(|one| Reply::new(200, reservation_json(task, one, call.world, call.base)))
        .ok_or_else(|| ErrorReply::not_found(&format!("/Reservations/{wanted}")))
}

#[derive(Clone, Debug)]
pub(super) struct TaskChannel {
    pub(super) sid: String,
    pub(super) unique_name: &'static str,
}

impl TaskChannel {
    /// Flex's usual task channels, and those of a campaign's channels.
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
