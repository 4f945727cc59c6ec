//! Prints a preview: what an import would do.

use crate::intake::{ColumnUse, Preview, SegmentCount};
use crate::operate::{AgentsAtTwilio, Forecast, ImportPreview, words};

use super::{Problem, output};

/// Prints a preview on standard error.
pub(super) fn show(shown: &ImportPreview) {
    let preview = &shown.preview;
    show_file(preview);
    tell!(
        "{}: {} rows, {} to accept, {} rejected, {} duplicate{}",
        preview.campaign,
        preview.rows,
        preview.acceptable,
        preview.rejected_total(),
        preview.duplicate,
        match preview.footers {
            0 => String::new(),
            footers => format!("; {footers} lines below the table"),
        }
    );
    for (reason, count) in &preview.rejected {
        tell!("  {reason}: {count}");
    }
    for row in &preview.first_rejected {
        output::rejected(row);
    }
    for (warning, count) in &preview.warnings {
        tell!("  warning {warning}: {count}");
    }
    for sample in &preview.first_messages {
        let agent = sample.agent.as_deref().unwrap_or("no agent");
        let body = sample.body.as_deref().unwrap_or("(flexcast sends no text)");
        tell!(
            "line {} to {} for {agent}: {body}",
            sample.line,
            sample.address
        );
    }
    tell!(
        "{} agents, {} messages without one",
        preview.agents.len(),
        preview.without_agent
    );
    show_agents(&shown.agents_at_twilio);
    if let Some(segments) = &preview.segments {
        show_segments(segments);
    }
    show_forecast(&shown.forecast, preview.senders.len());
}

/// Prints which of the file's agents exist in the account.
fn show_agents(agents: &AgentsAtTwilio) {
    let list = |what: &str, names: &[String]| {
        if !names.is_empty() {
            tell!("  {what} at Twilio: {}", names.join(", "));
        }
    };
    if !agents.found.is_empty() {
        tell!("  found at Twilio: {}", agents.found.len());
    }
    list("unknown", &agents.unknown);
    list("ambiguous", &agents.ambiguous);
    if let Some(because) = &agents.because {
        tell!("  {} agents not looked up: {because}", agents.not_looked_up);
    }
}

/// Prints the limits of the campaign's speed. `senders` is the number of senders of the messages.
fn show_forecast(forecast: &Forecast, senders: usize) {
    if let Some(bound) = &forecast.campaign {
        tell!(
            "At the campaign's pace of {}, it takes at least {}.",
            bound.quota,
            words(bound.takes)
        );
    }
    if let Some(bound) = &forecast.agent {
        let (agent, quota) = (&bound.of, bound.quota);
        tell!(
            "At {quota} for agent {agent}, it takes at least {}.",
            words(bound.takes)
        );
    }
    if let Some(bound) = &forecast.sender {
        let (sender, quota) = (bound.of.as_str(), bound.quota);
        let of = match senders {
            1 => String::new(),
            several => format!(", the longest of {several} senders"),
        };
        tell!(
            "At {quota} from sender {sender}, it takes at least {}{of}.",
            words(bound.takes)
        );
    }
}

/// Prints how the file is read, and its columns.
fn show_file(preview: &Preview) {
    tell!("{}: {}", preview.file, preview.shape);
    tell!("  {}", preview.mapping);
    for note in &preview.notes {
        tell!("  note: {note}");
    }
    for column in &preview.columns {
        show_column(column);
    }
}

/// Prints the name of a column in templates, and whether its values are sent to Twilio.
fn show_column(column: &ColumnUse) {
    let header = output::brief(&column.header);
    let goes = match (column.in_text, column.in_task) {
        (true, true) => "in the text, and in the task at Twilio",
        (true, false) => "in the text",
        (false, true) => "in the task at Twilio",
        (false, false) => "not sent",
    };
    match &column.template {
        Some(name) => tell!(
            "  column {header:?}: {{{{ {} }}}}, {goes}",
            output::brief(name)
        ),
        None => tell!("  column {header:?}: {goes}"),
    }
}

fn show_segments(segments: &SegmentCount) {
    let each: Vec<_> = segments
        .messages
        .iter()
        .map(|(count, messages)| format!("{messages} of {count}"))
        .collect();
    tell!(
        "{} SMS segments: messages {}",
        segments.total,
        each.join(", ")
    );
    if segments.ucs2 > 0 {
        let because: Vec<_> = segments
            .ucs2_because
            .iter()
            .map(|(c, count)| format!("{c:?} (U+{:04X}) {count}", *c as u32))
            .collect();
        tell!(
            "  {} are UCS-2, 70 characters to a segment instead of 160, because of {}",
            segments.ucs2,
            because.join(", ")
        );
    }
}

/// Prints a dry run: as JSON or for people.
pub(super) fn report(shown: &ImportPreview, json: bool) -> Result<(), Problem> {
    if json {
        output::json(shown)
    } else {
        show(shown);
        tell!("Nothing was imported: this was a dry run.");
        Ok(())
    }
}
