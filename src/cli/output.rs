//! The output of commands: JSON for programs, tables for people.

use std::collections::BTreeMap;
use std::fmt::{Arguments, Display};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::{Cell, CellAlignment};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::clock::Clock;
use crate::ledger::DamagedRow;
use crate::operate::{CampaignReport, Imbalance, ReasonMeaning, counted, grouped, local_time};
use crate::queue::{Inspection, Obstacle, ObstacleKind};
use crate::shown_lanes::ShownLane;
use crate::telemetry::{printable, printable_json, write_lines};
use crate::twilio::AwayPart;

pub(super) use super::listing::{brief, table};
use super::listing::{paragraph, with_command};
pub(super) use super::stdout::{data, stdout};
use super::{ExitCode, Problem, terminal};

/// Writes a line on standard output, for `say!`.
///
/// # Errors
///
/// An error when standard output cannot be written.
pub(super) fn say(line: Arguments<'_>) -> io::Result<()> {
    writeln!(stdout(), "{}", printable(&line.to_string()))
}

/// Whether notes on standard error are left out (`--quiet`).
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Leaves out notes and progress on standard error from now on.
pub(super) fn be_quiet() {
    IS_QUIET.store(true, Ordering::Relaxed);
}

/// Whether notes and progress are left out.
pub(super) fn is_quiet() -> bool {
    IS_QUIET.load(Ordering::Relaxed)
}

/// Writes a note on standard error, for `tell!`, unless the command is quiet.
pub(super) fn tell(line: Arguments<'_>) {
    if !is_quiet() {
        alert(line);
    }
}

/// Writes an error, a warning or what a question is about on standard error, for `alert!`. On a terminal, a long line is
/// wrapped.
pub(super) fn alert(line: Arguments<'_>) {
    let line = line.to_string();
    let line = printable(&line);
    let _ = match terminal::width() {
        Some(width) => write_lines(&format!("{}\n", terminal::fitted(&line, width))),
        None => write_lines(&format!("{line}\n")),
    };
}

/// Prints one JSON document on standard output.
///
/// # Errors
///
/// An error when standard output cannot be written.
pub(super) fn json(value: &impl Serialize) -> Result<(), Problem> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Problem::new(ExitCode::Failed, error.to_string()))?;
    say!("{}", printable_json(&text))?;
    Ok(())
}

/// Prints the limits of the running consumers, if there are any.
///
/// # Errors
///
/// An error when standard output cannot be written.
pub(super) fn lanes(lanes: &[ShownLane], left_out: u64) -> io::Result<()> {
    if lanes.is_empty() {
        return Ok(());
    }
    let header = [
        "limit",
        "rate",
        "last minute",
        "wait",
        "at once",
        "resting",
        "not served",
    ];
    let mut table = table(&header);
    for lane in lanes {
        let places = lane.places.map(|(max, taken)| format!("{taken} of {max}"));
        let seconds = |ms: Option<u64>| ms.map(|ms| format!("{} s", ms.div_ceil(1_000)));
        let (resting, unserved) = (seconds(lane.resting_ms), seconds(lane.unserved_ms));
        let [used, waiting] = [lane.used_last_minute, lane.waiting].map(number);
        table.add_row(vec![
            Cell::new(&lane.lane),
            Cell::new(lane.quota.as_deref().unwrap_or("none")),
            used,
            waiting,
            Cell::new(places.unwrap_or_default()),
            Cell::new(resting.unwrap_or_default()),
            Cell::new(unserved.unwrap_or_default()),
        ]);
    }
    say!("Limits")?;
    say!("{table}")?;
    if left_out > 0 {
        say!(
            "{} are left out. To show more:",
            counted(left_out, "less busy limit")
        )?;
        say!("  flexcast status --limit N")?;
    }
    Ok(())
}

/// A cell of a table with a number.
pub(super) fn number(number: u64) -> Cell {
    Cell::new(grouped(number)).set_alignment(CellAlignment::Right)
}

/// A time for people.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Prints the notices of a campaign.
///
/// # Errors
///
/// An error when standard output cannot be written.
pub(super) fn notices(notices: impl IntoIterator<Item = impl Display>) -> io::Result<()> {
    for notice in notices {
        say!("{}", with_command(&notice.to_string()))?;
    }
    Ok(())
}

/// Prints the obstacles on the queues, with the remedy of each.
///
/// # Errors
///
/// An error when standard output cannot be written.
pub(super) fn obstacles(obstacles: &[Obstacle]) -> io::Result<()> {
    for obstacle in obstacles {
        say!("Obstacle on {}: {}", obstacle.queue, obstacle.why)?;
        if obstacle.kind == ObstacleKind::Broker {
            say!("  to see more: {}", obstacle.look)?;
            say!("  to end it: {}", obstacle.remove)?;
            continue;
        }
        say!(
            "  before you remove it, stop the consumers: messages that they hold are not on the queue"
        )?;
        say!(
            "  to see the first messages of the queue, without removing them: {}",
            obstacle.look
        )?;
        say!(
            "  to remove the first message, if it is the obstacle: {}",
            obstacle.remove
        )?;
    }
    Ok(())
}

/// Prints the parts of Twilio that are away.
///
/// # Errors
///
/// An error when standard output cannot be written.
pub(super) fn away(parts: &[AwayPart]) -> io::Result<()> {
    for part in parts {
        let text = format!(
            "Twilio is away: {part}. No message that needs it is started or loses an attempt; the consumers continue \
             by themselves when it is back."
        );
        say!("{}", paragraph("", &text))?;
    }
    Ok(())
}

/// Prints messages whose records in the ledger contradict each other.
///
/// # Errors
///
/// An error when standard output cannot be written.
pub(super) fn damaged(rows: &[DamagedRow]) -> io::Result<()> {
    for row in rows {
        let DamagedRow {
            campaign,
            id,
            detail,
            at,
        } = row;
        let at = time(*at);
        let text = format!("Damaged: message {id} of {campaign}, found at {at}: {detail}");
        say!("{}", paragraph("", &text))?;
    }
    Ok(())
}

/// Prints the findings of an inspection of the broker, or why there was none.
///
/// # Errors
///
/// An error when standard output cannot be written.
pub(super) fn broker(inspection: &Inspection) -> io::Result<()> {
    for finding in &inspection.findings {
        say!("Broker: danger on {}: {}", finding.place(), finding.why)?;
        say!("  to end it: {}", finding.remedy)?;
    }
    for what in &inspection.not_read {
        say!("Broker: not checked: {what}")?;
    }
    match &inspection.not_checked {
        Some(why) => say!("Broker: policies not checked: {why}"),
        None if inspection.is_whole() && inspection.findings.is_empty() => {
            say!("Broker: policies and alarms checked, nothing found")
        }
        None => Ok(()),
    }
}

/// Prints the books of one campaign.
///
/// # Errors
///
/// An error when standard output cannot be written.
pub(super) fn report(report: &CampaignReport) -> io::Result<()> {
    let books = &report.books;
    let title = format!("Campaign {}, {}", report.campaign, report.state);
    say!("{}", paragraph("", &title))?;
    let mut table = table(&[]);
    let mut line = |what: &str, count: u64, by: String| {
        table.add_row([Cell::new(what), number(count), Cell::new(by)]);
    };
    if books.rows > 0 {
        line("rows", books.rows, String::new());
        line(
            "  rejected",
            books.rejected_total(),
            reasons(&books.rejected),
        );
        line("  duplicate", books.duplicate, duplicate(books.duplicate));
        line("  suppressed", books.suppressed, String::new());
    }
    if books.refused_total() > 0 {
        let refused = format!("publishers' messages: {}", reasons(&books.refused));
        line("refused", books.refused_total(), refused);
    }
    line("accepted", books.accepted, String::new());
    line("  queued", books.queued, String::new());
    line("  scheduled", books.scheduled_total(), scheduled(report));
    line("  retrying", books.retrying, String::new());
    line("  held", books.held_total(), reasons(&books.held));
    line("  in flight", books.in_flight, String::new());
    let sent_before = match books.already_sent {
        0 => String::new(),
        messages => format!(
            "of them {} already sent by another ledger",
            grouped(messages)
        ),
    };
    line("  done", books.done, sent_before);
    line("  skipped", books.skipped_total(), reasons(&books.skipped));
    line("  dead", books.dead_total(), reasons(&books.dead));
    line("  unknown", books.unknown, String::new());
    if let Some(unread) = report.unread.filter(|unread| *unread > 0) {
        line(
            "not read yet",
            unread,
            "published, and no consumer has read them yet".to_owned(),
        );
    }
    say!("{table}")?;
    for meaning in &report.meanings {
        in_words(meaning)?;
    }
    if let Some(Imbalance {
        nowhere,
        twice,
        rows,
    }) = report.imbalance()
    {
        let text = format!(
            "The books do not balance: {nowhere} messages are in no state, {twice} are both open and over, {rows} rows \
             are not accounted for."
        );
        say!("{}", paragraph("", &text))?;
    }
    Ok(())
}

/// Prints what a reason of messages means, and what an operator can do.
fn in_words(of: &ReasonMeaning) -> io::Result<()> {
    let ReasonMeaning {
        state,
        reason,
        messages,
        ..
    } = of;
    let title = format!("{} {state}, {reason}:", grouped(*messages));
    say!("{}", paragraph("", &title))?;
    say!("{}", paragraph("  ", &of.sentences()))
}

/// What a duplicate row is, if there is one.
fn duplicate(rows: u64) -> String {
    match rows {
        0 => String::new(),
        _ => "the campaign already has the number or id".to_owned(),
    }
}

/// Why messages are scheduled, and the first and the last of their due times that are still to come.
fn scheduled(report: &CampaignReport) -> String {
    let now = Clock::system().now();
    let reasons = report.books.scheduled.iter().map(|(reason, count)| {
        let count = grouped(*count);
        let Some(due) = report.due_times.get(reason) else {
            return format!("{reason} {count}");
        };
        let local = |at| local_time(now, at, TimeZone::system());
        match due.next > now {
            true => format!(
                "{reason} {count} (next {}, last {})",
                local(due.next),
                local(due.last)
            ),
            false if due.last > now => {
                format!("{reason} {count} (next now, last {})", local(due.last))
            }
            false => format!("{reason} {count}"),
        }
    });
    reasons.collect::<Vec<_>>().join(", ")
}

fn reasons<R: Display>(counts: &BTreeMap<R, u64>) -> String {
    let parts = counts
        .iter()
        .map(|(reason, count)| format!("{reason} {}", grouped(*count)));
    parts.collect::<Vec<_>>().join(", ")
}
