//! Items about time: how much is sent, how long that takes, and whether the agents can take it.

use crate::campaign::{Campaign, InitiatedBy, WhenUnavailable};
use crate::message::{Api, Strategy};
use crate::operate::forecast::{local_time, words};
use crate::operate::wording::{counted, grouped};

use super::{CheckCode, CheckItem, Checked};

impl Checked<'_> {
    pub(super) fn of_time(&self) -> Vec<CheckItem> {
        let mut items = vec![self.of_to_send()];
        if self.to_send() > 0 {
            items.extend(self.capacity());
            items.extend(self.start());
            let forecast = self.forecast.in_words(self.begins_at, self.zone.clone());
            items.push(CheckItem::ok(CheckCode::Duration, forecast));
            items.extend(self.end());
        }
        items
    }

    /// When the campaign starts, if that is later.
    fn start(&self) -> Option<CheckItem> {
        let start = self.campaign.start_at.filter(|start| *start > self.now)?;
        let start = local_time(self.now, start, self.zone.clone());
        let text = format!("The campaign starts {start}. Until then, no message begins.");
        Some(CheckItem::ok(CheckCode::Start, text))
    }

    /// Whether all messages begin before the campaign's end, if it has one.
    fn end(&self) -> Option<CheckItem> {
        let code = CheckCode::End;
        let end_at = self.campaign.end_at?;
        let end = local_time(self.now, end_at, self.zone.clone());
        if end_at <= self.now {
            let text = "The campaign's end_at is past: no message would begin. Give the file a later end_at.";
            return Some(CheckItem::stop(code, text));
        }
        let late = self.late.unwrap_or_default();
        let item = match late {
            0 => CheckItem::ok(
                code,
                format!("All messages begin before the campaign's end, {end}."),
            ),
            late => {
                let late = counted(late, "message");
                let text = format!(
                    "About {late} will not begin before the campaign's end, {end}, and will be skipped as expired."
                );
                CheckItem::warn(code, text)
            }
        };
        Some(item.counts([("late", late)]))
    }

    fn of_to_send(&self) -> CheckItem {
        let (new, open) = (self.preview.acceptable, self.so_far.open.messages);
        let code = CheckCode::ToSend;
        let all = counted(new + open, "message");
        let item = match (new, open) {
            (0, 0) => CheckItem::warn(code, "Nothing is left to send."),
            (new, 0) => CheckItem::ok(code, format!("To send: {}.", counted(new, "message"))),
            (0, _) => CheckItem::ok(code, format!("To send: {all}, all from earlier imports.")),
            (new, open) => {
                let (new, open) = (grouped(new), grouped(open));
                let text = format!("To send: {all}, {new} new and {open} from earlier imports.");
                CheckItem::ok(code, text)
            }
        };
        item.counts([("new", new), ("open", open)])
    }

    /// Whether the duration counts the agents' capacity.
    fn capacity(&self) -> Option<CheckItem> {
        let code = CheckCode::Capacity;
        let waits = waits_for_agents(self.campaign) && !self.by_agent.is_empty();
        let Some(handle_time) = self.assumptions.handle_time else {
            let text = "The duration does not count the agents' capacity. To count it, say how long an agent works on \
                        a task: --handle-time 6m.";
            return waits.then(|| CheckItem::warn(code, text));
        };
        if !waits {
            let text = "The duration does not count the agents' capacity: in this campaign, no message waits until an agent is free.";
            return Some(CheckItem::ok(code, text));
        }
        if let Some(why) = &self.agents.capacity_because {
            let text = format!("The duration does not count the agents' capacity: {why}.");
            return Some(CheckItem::warn(code, text));
        }
        let places = &self.agents.tasks_at_once;
        let text = format!(
            "{} {} at once, and each task takes {}.",
            match places.len() {
                1 => "1 agent takes".to_owned(),
                agents => format!("{} agents take", grouped(agents as u64)),
            },
            counted(places.values().copied().map(u64::from).sum(), "task"),
            words(handle_time)
        );
        let places = places.iter();
        let places = places.map(|(agent, places)| (agent, u64::from(*places)));
        Some(CheckItem::ok(code, text).counts(places))
    }
}

/// Whether messages of the campaign wait until their agents can take a task.
pub(in crate::operate::importing) fn waits_for_agents(campaign: &Campaign) -> bool {
    let names_agent =
        campaign.api == Api::Proxy || campaign.conversations.initiated_by != InitiatedBy::Api;
    let rule = campaign.agents.when_unavailable;
    campaign.strategy == Strategy::TaskNow
        && names_agent
        && matches!(rule, WhenUnavailable::Hold | WhenUnavailable::Next)
}
