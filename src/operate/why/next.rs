//! What the state of a message means now, what holds it, and what comes next.

use crate::ledger::{
    CampaignRecord, CampaignState, Ending, MessageKey, MessageRecord, PauseScope, ScopedPause,
    Standing,
};
use crate::message::{DeadReason, WaitReason};
use crate::operate::campaigns::{calendar_notice, paused_notice};
use crate::operate::scoped_pause_notice;

/// What may hold a message besides its own state.
pub(super) struct Holders {
    /// As of now.
    pub(super) campaign: CampaignRecord,
    pub(super) pauses: Vec<ScopedPause>,
    pub(super) has_consumer: bool,
}

impl Holders {
    /// Why no consumer takes messages of the campaign, if none does.
    fn hold(&self) -> Option<String> {
        if let Some(notice) = paused_notice(&self.campaign) {
            return Some(notice);
        }
        let all = self
            .pauses
            .iter()
            .find(|pause| pause.scope == PauseScope::All);
        if let Some(pause) = all {
            return Some(scoped_pause_notice(pause));
        }
        if self.campaign.state == CampaignState::Scheduled {
            return calendar_notice(&self.campaign, self.campaign.changed_at);
        }
        let none = "No consumer is at work. Start one with: flexcast work".to_owned();
        (!self.has_consumer).then_some(none)
    }

    /// The pauses of senders and agents, one sentence each.
    fn scoped(&self) -> String {
        let scoped = self
            .pauses
            .iter()
            .filter(|pause| pause.scope != PauseScope::All);
        let notices: Vec<_> = scoped.map(scoped_pause_notice).collect();
        notices.join(" ")
    }
}

/// What the state of the message means.
pub(super) fn now(record: &MessageRecord, holders: &Holders) -> String {
    match &record.standing {
        Standing::Queued { .. } => match holders.hold() {
            Some(held) => format!("It is queued. {held}"),
            None => "It is queued: a consumer takes it as soon as the campaign's limits allow."
                .to_owned(),
        },
        Standing::Waits { reason, .. } => {
            let state = reason.state();
            let failure = match (reason, &record.last_failure) {
                (WaitReason::Retry, Some(failure)) => format!(" The last attempt: {failure}."),
                _ => String::new(),
            };
            let scoped = match reason {
                WaitReason::Paused => format!(" {}", holders.scoped()),
                _ => String::new(),
            };
            format!(
                "It is {state} ({reason}). {}{failure}{scoped}",
                reason.meaning()
            )
        }
        Standing::InFlight { holder, .. } => {
            format!("It is in flight: the consumer {holder} carries it out.")
        }
        Standing::Over { ending, .. } => match ending {
            Ending::Done { .. } => "It is done: Twilio has it.".to_owned(),
            Ending::Skipped { reason, .. } => {
                format!("It is skipped ({reason}). {}", reason.meaning())
            }
            Ending::Dead { reason, .. } => format!("It is dead ({reason}). {}", reason.meaning()),
            Ending::Unknown { reason, .. } => {
                format!("Its outcome is unknown ({reason}). {}", reason.meaning())
            }
        },
        Standing::Nowhere => {
            "The ledger has no state of it: the books do not balance. Report this as a fault."
                .to_owned()
        }
    }
}

/// What comes next and when, or what an operator can do.
pub(super) fn next(key: &MessageKey, record: &MessageRecord, holders: &Holders) -> String {
    let MessageKey { campaign, id } = key;
    match &record.standing {
        Standing::Queued { published: true } => "A consumer begins it.".to_owned(),
        Standing::Queued { published: false } => {
            "A consumer publishes it to the queue, within a minute, and begins it.".to_owned()
        }
        Standing::Waits { reason, due } => {
            let due = due.strftime("%Y-%m-%d %H:%M:%S UTC");
            let sooner = match reason {
                WaitReason::Pace => " at about that time",
                WaitReason::AgentUnavailable | WaitReason::Paused => ", or sooner when that ends",
                WaitReason::NotBefore | WaitReason::Retry | WaitReason::CustomerBusy => "",
            };
            let held = holders
                .hold()
                .map_or(String::new(), |held| format!(" {held}"));
            format!("It is taken again at {due}{sooner}.{held}")
        }
        Standing::InFlight { until, .. } => {
            let until = until.strftime("%Y-%m-%d %H:%M:%S UTC");
            format!(
                "It ends, or waits for a later time. If its consumer dies, another one takes it after {until}."
            )
        }
        Standing::Over { ending, .. } => match ending {
            Ending::Done { .. } | Ending::Skipped { .. } => "Nothing: it is over.".to_owned(),
            Ending::Dead {
                reason: DeadReason::Stuck,
                ..
            } => "A consumer tries the undo again, ever more rarely.".to_owned(),
            Ending::Dead { .. } => {
                format!(
                    "Nothing: it is over. To write all dead messages as CSV: flexcast campaign export {campaign} --failed"
                )
            }
            Ending::Unknown { .. } => format!(
                "Nothing, until an operator has looked at Twilio and settles it: flexcast unknown settle {campaign} {} \
                 --sent, or --not-sent",
                shell_words::quote(id.as_str())
            ),
        },
        Standing::Nowhere => "Nothing is known.".to_owned(),
    }
}
