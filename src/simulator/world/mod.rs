//! The fake account: all its resources, and its time.
//!
//! In: requests, one after the other, under one lock. Out: the created resources. Always: events that are due (time
//! to live, timers, setups) happen before the next request is carried out.

pub(super) mod sids;
pub(super) mod table;
pub(super) mod content;
pub(super) mod queues;
pub(super) mod effects;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use self::effects::EffectLog;
use self::queues::Queues;
use self::sids::Sids;
use self::table::Table;
use super::chat::Chat;
use super::chat::users::User;
use super::conversations::Conversation;
use super::conversations::timers::DefaultTimers;
use super::flex::interactions::Interaction;
use super::flex::{FlexChannel, FlexFlow};
use super::people::handling::NextAct;
use super::proxy::ProxyService;
use super::proxy::Session;
use super::settings::Settings;
use super::taskrouter::TaskChannel;
use super::taskrouter::marks::Marks;
use super::taskrouter::tasks::Task;
use super::taskrouter::workers::{Activity, Worker};

/// An event of Twilio's debugger: why a text was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DebuggerEvent {
    pub code: u32,
    pub sid: String,
    pub detail: String,
    pub time: Timestamp,
}

/// An event that can become due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Interaction(String),
    Session(String),
    Conversation(String),
    /// A task's time to live.
    Task(String),
    /// The deletion of an ended task.
    EndedTask(String),
    /// What the agent of a task does next.
    Handling(String, NextAct),
}

/// The SIDs of the account's fixed parts.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) sid: String,
    pub(super) workspace: String,
    pub(super) workflow: String,
    pub(super) queue: String,
    pub(super) chat_service: String,
    pub(super) flex_service: String,
    pub(super) flex_instance: String,
    pub(super) messaging_service: String,
    pub(super) role: String,
    pub(super) born: Timestamp,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) settings: Arc<Settings>,
    pub(super) sids: Sids,
    pub(super) account: Account,
    pub(super) effects: EffectLog,
    pub(super) debugger: Vec<DebuggerEvent>,
    pub(super) flows: Table<FlexFlow>,
    pub(super) flex_channels: Table<FlexChannel>,
    /// The active channel of a flow and a customer.
    pub(super) active_channels: BTreeMap<(String, String), String>,
    pub(super) chats: Table<Chat>,
    pub(super) chat_names: BTreeMap<String, String>,
    pub(super) users: BTreeMap<String, String>,
    /// The Users of the chat service that were created by requests.
    pub(super) service_users: Table<User>,
    pub(super) proxy_services: Table<ProxyService>,
    pub(super) sessions: Table<Session>,
    pub(super) session_names: BTreeMap<(String, String), String>,
    /// The open session of an identifier and a proxy identifier.
    pub(super) pairs: BTreeMap<(String, String), String>,
    pub(super) conversations: Table<Conversation>,
    pub(super) default_timers: DefaultTimers,
    pub(super) conversation_names: BTreeMap<String, String>,
    /// The open conversation of an address and a proxy address.
    pub(super) bindings: BTreeMap<(String, String), String>,
    /// The conversations that an address or identity has ever been in.
    pub(super) memberships: BTreeMap<String, Vec<String>>,
    pub(super) interactions: Table<Interaction>,
    pub(super) tasks: Table<Task>,
    pub(super) task_marks: Marks,
    pub(super) workers: Table<Worker>,
    pub(super) worker_names: BTreeMap<String, String>,
    /// The tasks whose agents wait for the customer, by chat channel or conversation.
    pub(super) awaiting_customer: BTreeMap<String, Vec<String>>,
    pub(super) activities: Vec<Activity>,
    pub(super) task_channels: Vec<TaskChannel>,
    /// Customers who have opted out of a sender.
    pub(super) opted_out: BTreeSet<(String, String)>,
    pub(super) queues: Queues,
    pub(super) listing_delay: Duration,
    due: BTreeSet<(Timestamp, Due)>,
}

impl World {
    pub(super) fn new(settings: &Arc<Settings>, now: Timestamp) -> Self {
        let mut sids = Sids::new(settings.seed);
        let account = Account {
            sid: settings.account_sid.clone(),
            workspace: sids.sid("WS"),
            workflow: sids.sid("WW"),
            queue: sids.sid("WQ"),
            chat_service: sids.sid("IS"),
            flex_service: sids.sid("IS"),
            flex_instance: sids.sid("GO"),
            messaging_service: sids.sid("MG"),
            role: sids.sid("RL"),
            born: now,
        };
        let activities = Activity::usual(&mut sids);
        let task_channels = TaskChannel::usual(&mut sids);
        let mut world = Self {
            settings: Arc::clone(settings),
            sids,
            account,
            effects: EffectLog::default(),
            debugger: Vec::new(),
            flows: Table::default(),
            flex_channels: Table::default(),
            active_channels: BTreeMap::new(),
            chats: Table::default(),
            chat_names: BTreeMap::new(),
            users: BTreeMap::new(),
            service_users: Table::default(),
            proxy_services: Table::default(),
            sessions: Table::default(),
            session_names: BTreeMap::new(),
            pairs: BTreeMap::new(),
            conversations: Table::default(),
            default_timers: DefaultTimers::of(settings),
            conversation_names: BTreeMap::new(),
            bindings: BTreeMap::new(),
            memberships: BTreeMap::new(),
            interactions: Table::default(),
            tasks: Table::default(),
            task_marks: Marks::default(),
            workers: Table::default(),
            worker_names: BTreeMap::new(),
            awaiting_customer: BTreeMap::new(),
            activities,
            task_channels,
            opted_out: BTreeSet::new(),
            queues: Queues::default(),
            listing_delay: settings.listing_delay,
            due: BTreeSet::new(),
        };
        super::proxy::found_service(&mut world, now);
        for agent in &settings.agents {
            world.hire(agent, now);
        }
        world
    }

    /// Schedules the event `what` at the time `at`.
    pub(super) fn at(&mut self, at: Timestamp, what: Due) {
        self.due.insert((at, what));
    }

    /// Runs all events that are due by `now`, in the order of their times.
    pub(super) fn advance(&mut self, now: Timestamp) {
        while let Some((at, what)) = self.due.first().cloned() {
            if at > now {
                return;
            }
            self.due.remove(&(at, what.clone()));
            match what {
                Due::Interaction(sid) => self.finish_setup(&sid, at),
                Due::Session(sid) => self.expire_session(&sid, at),
                Due::Conversation(sid) => self.run_timers(&sid, at),
                Due::Task(sid) => self.time_out_task(&sid, at),
                Due::EndedTask(sid) => self.forget_task(&sid),
                Due::Handling(sid, next) => self.act(&sid, next, at),
            }
        }
    }

    /// Whether a resource that was created at `created` already shows in lists and look-ups.
    pub(super) fn is_listed(&self, created: Timestamp, now: Timestamp) -> bool {
        let delay = self.listing_delay;
        delay.is_zero() || created.checked_add(delay).is_ok_and(|shown| shown <= now)
    }

    pub(super) fn debug(&mut self, code: u32, sid: &str, detail: &str, time: Timestamp) {
        self.debugger.push(DebuggerEvent {
            code,
            sid: sid.to_owned(),
            detail: detail.to_owned(),
            time,
        });
    }
}
