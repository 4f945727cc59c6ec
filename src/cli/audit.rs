//! `flexcast audit`: who changed what, when and why.

use std::io;

use clap::Args;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::Value;

use crate::clock::Clock;
use crate::ledger::{AuditRow, MessageCounts};
use crate::message::CampaignId;
use crate::operate::{AuditList, grouped};

use super::listing::{LimitArgs, paragraph, with_command};
use super::{ExitCode, GlobalArgs, Problem, output};

/// Show who changed what, when and why: all operations, oldest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flexcast audit --campaign spring-renewals
  flexcast audit --since 2h")]
pub(super) struct AuditArgs {
    /// Only operations on this campaign, and those that concern all campaigns
    #[arg(long, value_name = "CAMPAIGN")]
    campaign: Option<CampaignId>,
    /// Only operations since this time (2026-11-30T09:00:00Z), since this day (2026-11-30), or within this span (2h)
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    since: Option<Timestamp>,
    #[command(flatten)]
    limit: LimitArgs,
    /// Print JSON: a list of operations
    #[arg(long)]
    json: bool,
}

/// Reads a time, a day in the local time zone, or a span before now.
fn parse_since(text: &str) -> Result<Timestamp, String> {
    since(text, Clock::system().now(), &TimeZone::system()).ok_or_else(|| {
        "give a time such as 2026-11-30T09:00:00Z, a day such as 2026-11-30, or a span such as 2h".to_owned()
    })
}

fn since(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    if let Ok(day) = text.parse::<Date>() {
        return Some(day.to_zoned(zone.clone()).ok()?.timestamp());
    }
    let span = text.parse::<Span>().ok()?.abs();
    let then = now.to_zoned(zone.clone()).checked_sub(span).ok()?;
    Some(then.timestamp())
}

impl AuditArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = global.reading().await?;
        let limit = self.limit.rows(self.json);
        let read = service.read_models();
        let list = read.audit(self.campaign.as_ref(), self.since, limit);
        let list = list.await?;
        match self.json {
            true => output::json(&list.rows)?,
            false => show(&list)?,
        }
        Ok(ExitCode::Success)
    }
}

fn show(list: &AuditList) -> io::Result<()> {
    if list.left_out > 0 {
        let (left_out, total) = (list.left_out, list.total);
        let text = format!(
            "{left_out} earlier operations are left out. To list all: flexcast audit --limit {total}"
        );
        say!("{}\n", with_command(&text))?;
    }
    for row in &list.rows {
        show_row(row)?;
    }
    match list.total {
        0 => say!("No operation changed anything."),
        _ => Ok(()),
    }
}

fn show_row(row: &AuditRow) -> io::Result<()> {
    let of = match (&row.campaign, &row.message) {
        (Some(campaign), Some(id)) => format!(" {campaign}/{}", id.in_log()),
        (Some(campaign), None) => format!(" {campaign}"),
        _ => String::new(),
    };
    let title = format!(
        "{}  {}{of}, {}",
        output::time(row.at),
        row.operation,
        row.by
    );
    say!("{}", paragraph("", &title))?;
    let reason = row.reason.iter().map(|reason| format!("reason: {reason}"));
    let counts = match (row.before, row.after) {
        (Some(before), Some(after)) => changes(before, after),
        _ => None,
    };
    for line in reason.chain(arguments(&row.arguments)).chain(counts) {
        say!("{}", paragraph("  ", &line))?;
    }
    Ok(())
}

/// The arguments of an operation, one text for each. The changes of a campaign file have one text for each key.
fn arguments(arguments: &Value) -> Vec<String> {
    let Value::Object(fields) = arguments else {
        return Vec::new();
    };
    let mut texts = Vec::new();
    for (name, value) in fields {
        match value {
            Value::Array(changes) if name == "changes" => {
                texts.extend(changes.iter().map(|change| {
                    let key = change["key"].as_str().unwrap_or_default();
                    format!(
                        "{key}: {} -> {}",
                        plain(&change["before"]),
                        plain(&change["after"])
                    )
                }));
            }
            Value::Object(parts) => texts.extend(
                parts
                    .iter()
                    .map(|(part, value)| format!("{name} {part}: {}", plain(value))),
            ),
            value => texts.push(format!("{name}: {}", plain(value))),
        }
    }
    texts
}

/// A value without quotes. Null: none.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// What an operation changed in the state of its campaign and the numbers of messages.
fn changes(before: MessageCounts, after: MessageCounts) -> Option<String> {
    let mut changes = Vec::new();
    if before.state != after.state {
        let word = |counts: MessageCounts| {
            counts
                .state
                .map_or("new".to_owned(), |state| state.to_string())
        };
        changes.push(format!("{} -> {}", word(before), word(after)));
    }
    let terms = [
        ("open", before.open, after.open),
        ("done", before.done, after.done),
        ("skipped", before.skipped, after.skipped),
        ("dead", before.dead, after.dead),
        ("unknown", before.unknown, after.unknown),
    ];
    for (word, before, after) in terms {
        if before != after {
            changes.push(format!("{word} {} -> {}", grouped(before), grouped(after)));
        }
    }
    (!changes.is_empty()).then(|| changes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_a_day_or_a_span_says_since_when() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let now = at("2026-11-30T21:30:00Z");
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let table = [
            ("2026-11-30T09:00:00Z", Some("2026-11-30T09:00:00Z")),
            ("2026-11-30T09:00:00+01:00", Some("2026-11-30T08:00:00Z")),
            ("2026-11-30", Some("2026-11-29T23:00:00Z")),
            ("2h", Some("2026-11-30T19:30:00Z")),
            ("90m", Some("2026-11-30T20:00:00Z")),
            ("1 day", Some("2026-11-29T21:30:00Z")),
            ("yesterday", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(since(text, now, &zone), expected.map(at), "{text}");
        }
    }

    #[test]
    fn what_changed_is_named_and_nothing_else() {
        let before = MessageCounts {
            open: 1_200,
            unknown: 1,
            ..MessageCounts::default()
        };
        assert_eq!(changes(before, before), None);
        let after = MessageCounts {
            open: 0,
            skipped: 1_200,
            ..before
        };
        let text = changes(before, after);
        assert_eq!(text.as_deref(), Some("open 1,200 -> 0, skipped 0 -> 1,200"));
    }
}
