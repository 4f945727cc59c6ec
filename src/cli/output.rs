//! How commands print: JSON for programs, tables for people.

use std::collections::BTreeMap;
use std::fmt::Display;

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Table};
use serde::Serialize;

use crate::intake::ImportSummary;
use crate::ledger::{Books, Report};

use super::{ExitCode, Problem};

/// Prints one JSON document on standard output.
///
/// # Errors
///
/// When standard output takes nothing more.
pub(super) fn json(value: &impl Serialize) -> Result<(), Problem> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Problem::new(ExitCode::Failed, error.to_string()))?;
    println!("{text}");
    Ok(())
}

/// A table without lines, its first row the header.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(header.to_vec());
    table
}

/// Prints the books of one campaign.
pub(super) fn report(report: &Report<'_>) {
    let books = report.books;
    println!("Campaign {}", report.campaign);
    let mut table = Table::new();
    table.load_preset(NOTHING);
    let mut line = |what: &str, count: u64, by: String| {
        let count = Cell::new(count).set_alignment(CellAlignment::Right);
        table.add_row(vec![Cell::new(what), count, Cell::new(by)]);
    };
    if books.rows > 0 {
        line("rows", books.rows, String::new());
        line(
            "  rejected",
            books.rejected_total(),
            reasons(&books.rejected),
        );
        line("  duplicate", books.duplicate, String::new());
        line("  suppressed", books.suppressed, String::new());
    }
    line("accepted", books.accepted, String::new());
    line("  waiting", books.waiting, String::new());
    line(
        "  deferred",
        books.deferred_total(),
        reasons(&books.deferred),
    );
    line("  in flight", books.in_flight, String::new());
    line("  done", books.done, String::new());
    line("  skipped", books.skipped_total(), reasons(&books.skipped));
    line("  dead", books.dead_total(), reasons(&books.dead));
    line("  unknown", books.unknown, String::new());
    println!("{table}");
    if books.imbalance() != 0 {
        println!(
            "The books do not balance: {} messages are nowhere.",
            books.imbalance()
        );
    }
}

/// Says on standard error what an import did.
pub(super) fn import(file: &str, summary: &ImportSummary) {
    eprintln!(
        "{file}: {} rows, {} accepted, {} rejected, {} duplicate",
        summary.rows, summary.accepted, summary.rejected, summary.duplicate
    );
    for row in &summary.first_rejected {
        let column = row
            .column
            .as_deref()
            .map(|column| format!(", column {column:?}"));
        let column = column.unwrap_or_default();
        eprintln!(
            "  line {}{column}: {}: {}",
            row.line, row.reason, row.detail
        );
    }
    rest(
        "rejected rows",
        summary.rejected,
        summary.first_rejected.len(),
    );
    for (line, warning) in &summary.first_warnings {
        eprintln!("  line {line}: warning: {warning}");
    }
    rest("warnings", summary.warnings, summary.first_warnings.len());
}

/// How a run over these books ends.
pub(super) fn exit_code(books: &Books) -> ExitCode {
    if books.dead_total() + books.unknown > 0 {
        ExitCode::Failed
    } else if books.open() > 0 {
        ExitCode::TryAgain
    } else {
        ExitCode::Success
    }
}

fn rest(what: &str, all: u64, shown: usize) {
    let more = all.saturating_sub(shown as u64);
    if more > 0 {
        eprintln!("  and {more} more {what}");
    }
}

fn reasons<R: Display>(counts: &BTreeMap<R, u64>) -> String {
    let parts = counts
        .iter()
        .map(|(reason, count)| format!("{reason} {count}"));
    parts.collect::<Vec<_>>().join(", ")
}
