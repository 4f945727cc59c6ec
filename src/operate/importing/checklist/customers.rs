//! Items about customers: which rows become messages, and which do not.

use std::collections::BTreeMap;

use crate::campaign::WhenOpen;
use crate::intake::{TextFault, Warning};
use crate::ledger::{CampaignState, RejectedRow};
use crate::operate::importing::so_far::RECENT;
use crate::operate::wording::{counted, grouped, listed};

use super::{CheckCode, CheckItem, CheckState, Checked};

/// The number of rejected rows that the item shows.
const REJECTED_SHOWN: usize = 3;

impl Checked<'_> {
    pub(super) fn of_customers(&self) -> Vec<CheckItem> {
        let items = [
            self.ledger(),
            self.campaign(),
            Some(self.rows()),
            self.rejected(),
            self.duplicates(),
            self.in_campaign(),
            self.shared_ids(),
            self.row_warnings(),
            self.recent_elsewhere(),
        ];
        items.into_iter().flatten().collect()
    }

    fn ledger(&self) -> Option<CheckItem> {
        let why = self.so_far.unreadable.as_ref()?;
        let text = format!("The ledger cannot be read, so every customer counts as new: {why}.");
        Some(CheckItem::warn(CheckCode::Ledger, text))
    }

    fn campaign(&self) -> Option<CheckItem> {
        let so_far = self.so_far;
        let code = CheckCode::Campaign;
        if so_far.unreadable.is_some() {
            return None;
        }
        let (open, over) = (so_far.open.messages, so_far.over);
        let counts = [("open", open), ("over", over)];
        let messages = format!("{} open, {} ended", grouped(open), grouped(over));
        let mut item = match so_far.state {
            None => CheckItem::ok(code, "The campaign is new: this ledger does not have it."),
            Some(CampaignState::Running) if open + over == 0 => {
                CheckItem::ok(code, "The campaign is running. It has no messages.")
            }
            Some(CampaignState::Running | CampaignState::Scheduled) => {
                CheckItem::ok(code, format!("The campaign is running: {messages}."))
            }
            Some(CampaignState::Finished) => {
                let text = format!(
                    "The campaign is finished: {messages}. New messages make it run again."
                );
                CheckItem::ok(code, text)
            }
            Some(CampaignState::Paused) => {
                let text = format!("The campaign is paused: {messages}. Paused, it sends nothing.");
                CheckItem::warn(code, text)
            }
            Some(CampaignState::Cancelled) => CheckItem::stop(
                code,
                "The campaign was cancelled and accepts no messages: give the file another id.",
            ),
        };
        if !so_far.notices.is_empty() && item.state == CheckState::Ok {
            item.state = CheckState::Warn;
        }
        let counts = counts.into_iter().filter(|_| so_far.state.is_some());
        Some(item.counts(counts).details(so_far.notices.iter().cloned()))
    }

    fn rows(&self) -> CheckItem {
        let preview = self.preview;
        let parts = [
            ("new", preview.acceptable),
            ("in the campaign already", preview.in_campaign),
            ("duplicate", preview.duplicate),
            ("rejected", preview.rejected_total()),
        ];
        let parts: Vec<_> = parts.into_iter().filter(|(_, rows)| *rows > 0).collect();
        let rows = counted(preview.rows, "row");
        let mut text = match parts.as_slice() {
            [] => format!("{rows}."),
            [(what, _)] if preview.rows == 1 => format!("{rows}: {what}."),
            [(what, _)] => format!("{rows}, all {what}."),
            parts => {
                let parts = parts.iter();
                let parts = parts.map(|(what, rows)| format!("{} {what}", grouped(*rows)));
                format!("{rows}: {}.", parts.collect::<Vec<_>>().join(", "))
            }
        };
        match preview.footers {
            0 => {}
            1 => text.push_str(" 1 line below the table is not a row."),
            lines => text.push_str(&format!(
                " {} lines below the table are not rows.",
                grouped(lines)
            )),
        }
        let item = match preview.has_usable_rows() {
            true => CheckItem::ok(CheckCode::Rows, text),
            false => CheckItem::stop(CheckCode::Rows, format!("{text} No row can be used.")),
        };
        item.counts([
            ("rows", preview.rows),
            ("new", preview.acceptable),
            ("in_campaign", preview.in_campaign),
            ("duplicate", preview.duplicate),
            ("rejected", preview.rejected_total()),
            ("footers", preview.footers),
        ])
    }

    fn rejected(&self) -> Option<CheckItem> {
        let preview = self.preview;
        let all = preview.rejected_total();
        if all == 0 {
            return None;
        }
        let by_reason = &preview.rejected;
        let reasons: Vec<_> = by_reason
            .iter()
            .map(|(reason, rows)| format!("{reason} {}", grouped(*rows)))
            .collect();
        let are = if all == 1 { "is" } else { "are" };
        let text = format!(
            "{} {are} rejected: {}.",
            counted(all, "row"),
            reasons.join(", ")
        );
        let faults = most(&preview.text_faults);
        let in_faults: u64 = faults.iter().map(|(_, fault)| fault.rows).sum();
        let faults = faults.into_iter().map(|(what, fault)| match fault.rows {
            1 => format!("line {}: {what}", fault.first_line),
            rows => format!(
                "{} from line {} on: {what}",
                counted(rows, "row"),
                fault.first_line
            ),
        });
        let others = preview.first_rejected.iter();
        let others = others.filter(|row| !preview.text_faults.contains_key(&row.detail));
        let shown: Vec<_> = others.take(REJECTED_SHOWN).map(rejected_row).collect();
        let more = all.saturating_sub(in_faults + shown.len() as u64);
        let more = (more > 0).then(|| format!("and {}", counted(more, "more row")));
        let item = match self.rules.check(preview) {
            Ok(()) => CheckItem::warn(CheckCode::Rejected, text),
            Err(_) => {
                let text = format!("{text} That is more than --strict or --max-rejects allows.");
                CheckItem::stop(CheckCode::Rejected, text)
            }
        };
        let item = item.details(faults).details(shown).details(more);
        Some(item.counts(by_reason.iter().map(|(reason, rows)| (reason, *rows))))
    }

    fn duplicates(&self) -> Option<CheckItem> {
        let all = self.preview.duplicate;
        if all == 0 {
            return None;
        }
        let lines = self.preview.first_duplicates.iter();
        let lines = lines.map(|row| format!("line {} repeats line {}", row.line, row.of_line));
        let text = format!(
            "{} the number or id of an earlier row: {}.",
            have(all, "repeats", "repeat"),
            listed(lines, all)
        );
        Some(CheckItem::warn(CheckCode::Duplicates, text).counts([("rows", all)]))
    }

    fn in_campaign(&self) -> Option<CheckItem> {
        let all = self.preview.in_campaign;
        if all == 0 {
            return None;
        }
        let lines = self.preview.first_in_campaign.iter();
        let what = if all == 1 { "line" } else { "lines" };
        let text = format!(
            "{} in the campaign already, and no second message is sent: {what} {}.",
            have(all, "is", "are"),
            listed(lines.map(u64::to_string), all)
        );
        Some(CheckItem::ok(CheckCode::InCampaign, text).counts([("rows", all)]))
    }

    fn shared_ids(&self) -> Option<CheckItem> {
        let shared = self.shared_ids?;
        let item = CheckItem::stop(CheckCode::SharedIds, format!("Ids: {shared}."));
        Some(item.counts([("rows", shared.rows)]))
    }

    fn row_warnings(&self) -> Option<CheckItem> {
        let warnings = &self.preview.warnings;
        let all: u64 = warnings.values().sum();
        if all == 0 {
            return None;
        }
        let meaning = |word: &str| {
            let mut known = Warning::ALL.iter();
            let known = known.find(|warning| warning.as_str() == word);
            known.map_or("", |warning| warning.meaning())
        };
        let details = warnings
            .iter()
            .map(|(word, rows)| format!("{word} {}: {}", grouped(*rows), meaning(word)));
        let text = format!("{} about rows:", counted(all, "warning"));
        let item = CheckItem::warn(CheckCode::RowWarnings, text).details(details);
        Some(item.counts(warnings.iter().map(|(word, rows)| (word, *rows))))
    }

    fn recent_elsewhere(&self) -> Option<CheckItem> {
        let by_campaign = &self.preview.recent_elsewhere;
        let all: u64 = by_campaign.values().sum();
        if all == 0 {
            return None;
        }
        let named = by_campaign
            .iter()
            .map(|(campaign, customers)| format!("{campaign} {}", grouped(*customers)));
        let text = format!(
            "{} a message of another campaign in the last {} days: {}. {}",
            match all {
                1 => "1 customer had".to_owned(),
                all => format!("{} customers had", grouped(all)),
            },
            RECENT.as_secs() / (24 * 3_600),
            listed(named, by_campaign.len() as u64),
            match self.campaign.when_open {
                WhenOpen::Skip => {
                    "Customers whose conversation is still open are skipped (customer_busy); when_open = \"defer\" waits \
                     until it is closed."
                }
                WhenOpen::Defer => {
                    "Customers whose conversation is still open are held until it is closed (when_open)."
                }
            }
        );
        let item = CheckItem::warn(CheckCode::RecentElsewhere, text);
        Some(item.counts(by_campaign.iter().map(|(campaign, all)| (campaign, *all))))
    }
}

/// `1 row is`, `12 rows are`.
fn have(rows: u64, one: &str, several: &str) -> String {
    let verb = if rows == 1 { one } else { several };
    format!("{} {verb}", counted(rows, "row"))
}

/// The faults with the most rows first.
fn most(faults: &BTreeMap<String, TextFault>) -> Vec<(&str, TextFault)> {
    let faults = faults.iter();
    let mut faults: Vec<_> = faults
        .map(|(what, fault)| (what.as_str(), *fault))
        .collect();
    faults.sort_by_key(|(_, fault)| std::cmp::Reverse(fault.rows));
    faults
}

fn rejected_row(row: &RejectedRow) -> String {
    let column = row.column.as_deref();
    let column = column.map(|column| format!(", column {column:?}"));
    let column = column.unwrap_or_default();
    format!("line {}{column}: {}: {}", row.line, row.reason, row.detail)
}
