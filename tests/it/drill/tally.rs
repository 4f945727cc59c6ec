//! What the seeds contained: a drill in which nothing happens proves nothing.

use std::collections::BTreeMap;
use std::fmt;

use flexcast::ledger::{Ending, Standing};
use flexcast::message::{Event, SkipReason};

use super::plan::{Blow, Plan};
use crate::saga::stage::Stage;
use crate::saga::trap::{Kind, Place, Side};

/// Everything that has to happen in the suite's seeds.
const MUST_HAPPEN: [&str; 38] = [
    "pace changed",
    "weight changed",
    "agent went",
    "agent came",
    "second campaign on the sender",
    "slow ledger",
    "killed before a call",
    "killed in a call, after its effect",
    "killed before an acknowledgement",
    "killed after an acknowledgement",
    "killed before a write",
    "killed after a write",
    "stopped past its leases",
    "overtaken",
    "paused while a consumer stood still",
    "paused while a consumer was cut off",
    "stopped by an operator",
    "paused by the program",
    "cancelled",
    "ledger failed",
    "ledger lost a reply",
    "queue failed",
    "call refused by a store that works",
    "call refused by a store without its schema",
    "message refused by its content",
    "batch lost by the queue",
    "queue purged",
    "ledger restored",
    "Twilio away",
    "already sent",
    "paused for an emptied queue",
    "copy refused",
    "delivery not settled",
    "queue lost a reply",
    "customer busy",
    "dead",
    "adopted",
    "begun anew",
];

/// How often each thing happened.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    fn add(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (what, times) in other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    /// What never happened and should have.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let mut all = MUST_HAPPEN.to_vec();
        all.retain(|what| !self.0.contains_key(what));
        all
    }

    pub(super) fn stops(&mut self, times: u64, by_the_program: u64) {
        for (what, times) in [
            ("stopped by an operator", times),
            ("paused by the program", by_the_program),
        ] {
            if times > 0 {
                *self.0.entry(what).or_default() += times;
            }
        }
    }

    /// So many calls met an outage.
    pub(super) fn met_away(&mut self, calls: u64) {
        if calls > 0 {
            self.add("Twilio away");
        }
    }

    /// What changed beside the consumers.
    pub(super) fn changes(&mut self, plan: &Plan) {
        for (_, change) in &plan.changes {
            self.add(change.name());
        }
        if plan.neighbour {
            self.add("second campaign on the sender");
        }
        if !plan.slow.is_zero() {
            self.add("slow ledger");
        }
    }

    pub(super) fn emptied(&mut self, times: u64) {
        if times > 0 {
            *self.0.entry("paused for an emptied queue").or_default() += times;
        }
    }

    pub(super) fn strike(&mut self, blow: Blow, is_struck: bool) {
        match blow {
            _ if !is_struck => {}
            Blow::Killed(..) => self.add("killed"),
            Blow::Purged(_) => self.add("queue purged"),
            Blow::Restored(..) => self.add("ledger restored"),
            Blow::Stopped(_) => self.add("stopped past its leases"),
            Blow::Overtaken(..) => self.add("overtaken"),
            Blow::PausedWhileStopped(..) => self.add("paused while a consumer stood still"),
            Blow::PausedWhileCut(_) => self.add("paused while a consumer was cut off"),
        }
    }

    /// Counts what befell the consumer, and what its messages came to.
    pub(super) async fn count(&mut self, stage: &Stage, count: u32) {
        for mishap in stage.trap.log() {
            let what = (mishap.kind, mishap.place, mishap.side);
            match mishap.what.as_str() {
                "dead_letter" | "retry_later" if mishap.kind == Kind::Failed => {
                    self.add("copy refused");
                }
                "ack" if mishap.kind == Kind::Failed => self.add("delivery not settled"),
                _ => {}
            }
            self.add(match what {
                (Kind::Lost, ..) => "batch lost by the queue",
                (Kind::Refused, ..) => match mishap.what.rsplit(' ').next() {
                    _ if mishap.what.starts_with("poison") => "message refused by its content",
                    Some("42P01") => "call refused by a store without its schema",
                    _ => "call refused by a store that works",
                },
                (Kind::Stopped, Place::Rights, _) => "renewal without an answer",
                (Kind::Failed, Place::Rights, _) => "renewal failed",
                (Kind::Stopped, Place::Twilio, Side::Before) => "killed before a call",
                (Kind::Stopped, Place::Twilio, Side::After) => "killed in a call, after its effect",
                (Kind::Stopped, Place::Queue, Side::Before) => "killed before an acknowledgement",
                (Kind::Stopped, Place::Queue, Side::After) => "killed after an acknowledgement",
                (Kind::Stopped, Place::Ledger | Place::Journal, Side::Before) => {
                    "killed before a write"
                }
                (Kind::Stopped, Place::Ledger | Place::Journal, Side::After) => {
                    "killed after a write"
                }
                (Kind::Failed, Place::Ledger | Place::Journal, Side::Before) => "ledger failed",
                (Kind::Failed, Place::Ledger | Place::Journal, Side::After) => {
                    "ledger lost a reply"
                }
                (Kind::Failed, _, Side::Before) => "queue failed",
                (Kind::Failed, _, Side::After) => "queue lost a reply",
            });
        }
        for n in 0..count {
            let record = stage.record(n).await;
            self.add("messages");
            match &record.standing {
                Standing::Over { ending, .. } => self.add(match ending {
                    Ending::Done { already_sent: true } => "already sent",
                    Ending::Done { .. } => "done",
                    Ending::Skipped {
                        reason: SkipReason::CustomerBusy,
                        ..
                    } => "customer busy",
                    Ending::Skipped {
                        reason: SkipReason::Cancelled,
                        ..
                    } => "cancelled",
                    Ending::Skipped { .. } => "skipped",
                    Ending::Dead { .. } => "dead",
                    Ending::Unknown { .. } => "unknown",
                }),
                _ => self.add("open"),
            }
            for (_, event) in &record.journal {
                match event {
                    Event::Happened { adopted: true, .. } => self.add("adopted"),
                    Event::Refused { .. } => self.add("repeated"),
                    Event::Begun { generation } if *generation > 0 => self.add("begun anew"),
                    Event::Undone { .. } => self.add("undone"),
                    _ => {}
                }
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, times) in &self.0 {
            writeln!(f, "{times:>8}  {what}")?;
        }
        Ok(())
    }
}
