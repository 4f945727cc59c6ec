//! Prints on standard error how a file of contacts is read, and the result of its import.

use std::collections::BTreeMap;

use crate::campaign::Campaign;
use crate::intake::{Before, ImportSummary, Input, Warning, column_notes};
use crate::ledger::RejectedRow;
use crate::message::{CampaignId, RejectReason};
use crate::operate::{counted, grouped};

use super::listing::paragraph;
use super::{output, terminal};

/// Prints how a file is read.
pub(super) fn opened(campaign: &Campaign, input: &Input) {
    let path = input.path().display();
    let read = format!("{path}: {}; {}", input.shape(), input.mapping());
    for line in paragraph("", &read).lines() {
        tell!("{line}");
    }
    // An error of a template is reported by the import itself.
    let of_texts = column_notes(campaign, input).unwrap_or_default();
    for note in input.notes().into_iter().chain(of_texts) {
        tell!("  note: {note}");
    }
}

/// Prints the result of an import into a campaign.
pub(super) fn summary(file: &str, campaign: &CampaignId, summary: &ImportSummary) {
    match summary.before {
        Some(Before::Whole { ended_at }) => {
            tell!(
                "{file}: this file was already imported on {}: {}; nothing changed",
                output::time(ended_at),
                counted(summary.rows, "row")
            );
            if summary.rejected > 0 {
                tell!(
                    "  {} of them were rejected. To list them: flexcast campaign export {campaign} --failed",
                    grouped(summary.rejected)
                );
                tell!(
                    "  To read the file once more, such as after a change of the campaign file, add --again to \
                     flexcast import."
                );
            }
            return;
        }
        Some(Before::Part { rows }) => {
            tell!(
                "{file}: continues an import that stopped after row {}",
                grouped(rows)
            );
        }
        None => {}
    }
    tell!(
        "{file}: {}, {} accepted, {} rejected, {} duplicate",
        counted(summary.rows, "row"),
        grouped(summary.accepted),
        grouped(summary.rejected),
        grouped(summary.duplicate)
    );
    let mut said = Said::default();
    for row in &summary.first_rejected {
        rejected(row, &mut said);
    }
    rest(
        "rejected row",
        summary.rejected,
        summary.first_rejected.len(),
    );
    warnings(summary);
    match &summary.rejects {
        Some(Ok(path)) => {
            tell!("  The rejected rows are in {}.", path.display());
            tell!("  Correct them there, and import that file.");
        }
        Some(Err(error)) => alert!(
            "  warning: the rejected rows could not be written: {error}; name another file with --rejects"
        ),
        None => {}
    }
    if summary.footers > 0 {
        let lines = counted(summary.footers, "line");
        tell!("  left out below the table: {lines}");
    }
}

/// The reasons that were printed in full, each with the line of its row.
type Said<'a> = BTreeMap<(RejectReason, &'a str), u64>;

/// Prints why a row was rejected. On a terminal, a reason that was printed already is not repeated: in a pipe, each line
/// is whole, so that `grep` finds it.
fn rejected<'a>(row: &'a RejectedRow, said: &mut Said<'a>) {
    // The value of the cell stands before the reason.
    let (value, why) = row.detail.split_once(": ").unwrap_or(("", &row.detail));
    let first = *said.entry((row.reason, why)).or_insert(row.line);
    let detail = match first < row.line && !value.is_empty() && terminal::width().is_some() {
        true => format!("{value}: as in line {first}"),
        false => row.detail.clone(),
    };
    let column = row.column.as_deref();
    let column = column.map(|column| format!(", column {column:?}"));
    let column = column.unwrap_or_default();
    tell!("  line {}{column}: {}: {}", row.line, row.reason, detail);
}

/// Prints the first warnings about rows: each kind once, with its lines.
fn warnings(summary: &ImportSummary) {
    let mut lines = BTreeMap::<Warning, Vec<String>>::new();
    for (line, warning) in &summary.first_warnings {
        lines.entry(*warning).or_default().push(line.to_string());
    }
    for (warning, lines) in &lines {
        let what = if lines.len() == 1 { "line" } else { "lines" };
        tell!(
            "  {what} {}: {warning}: {}",
            lines.join(", "),
            warning.meaning()
        );
    }
    rest("warning", summary.warnings, summary.first_warnings.len());
}

/// Prints how many things are not shown.
fn rest(what: &str, all: u64, shown: usize) {
    let more = all.saturating_sub(shown as u64);
    if more > 0 {
        let end = if more == 1 { "" } else { "s" };
        tell!("  and {} more {what}{end}", grouped(more));
    }
}
