//! `flexcast campaign export`: one line for each message and each rejected row, as CSV.

use std::io::Write;

use serde::Serialize;

use crate::intake::escaped;
use crate::ledger::{CampaignRecord, Ending, PageRow, RejectedRow, Standing};
use crate::message::Effects;
use crate::service::Service;

use super::{ExitCode, Problem};

/// Messages read from the ledger at once.
const PAGE: usize = 1_000;

/// A line of the export. The customer's address stands in it whole: it is the operator's own data,
/// asked for as such.
#[derive(Clone, Debug, Default, Serialize)]
struct Line {
    /// `message`, or `row` for a rejected row of a file.
    kind: &'static str,
    id: String,
    address: String,
    name: String,
    agent: String,
    /// Our number or identity that writes to the customer.
    sender: String,
    /// The place in the books, or `rejected`.
    state: &'static str,
    reason: String,
    detail: String,
    attempts: Option<u32>,
    accepted_at: String,
    ended_at: String,
    /// When a deferred message is due.
    due_at: String,
    file: String,
    line: Option<u64>,
    channel_sid: String,
    task_sid: String,
    session_sid: String,
    conversation_sid: String,
    interaction_sid: String,
    message_sid: String,
}

/// Which messages are exported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Which {
    /// Those that are dead, and no others.
    pub(super) failed: bool,
}

impl Which {
    fn has(self, row: &PageRow) -> bool {
        let is_dead = matches!(
            &row.standing,
            Standing::Over {
                ending: Ending::Dead { .. },
                ..
            }
        );
        !self.failed || is_dead
    }
}

/// Writes a campaign's export to `out`.
///
/// # Errors
///
/// When the ledger cannot be read or `out` takes nothing more.
pub(super) async fn export(
    service: &Service,
    record: &CampaignRecord,
    which: Which,
    out: impl Write,
) -> Result<(), Problem> {
    let mut csv = csv::Writer::from_writer(out);
    let write_row = &mut |row| write(&mut csv, &of_message(row));
    each_message(service, record, which, write_row).await?;
    let ledger = &service.ledger;
    let mut after = 0;
    loop {
        let page = ledger.rejected_rows(&record.id, after, PAGE).await?;
        let Some((last, ..)) = page.last() else { break };
        after = *last;
        for (_, file, row) in page {
            write(&mut csv, &of_rejected(file, row))?;
        }
    }
    csv.flush()?;
    Ok(())
}

/// Hands out a campaign's messages, page by page, in the order in which they were accepted.
///
/// # Errors
///
/// When the ledger cannot be read, and those of `each`.
pub(super) async fn each_message(
    service: &Service,
    record: &CampaignRecord,
    which: Which,
    each: &mut dyn FnMut(PageRow) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut after = 0;
    loop {
        let page = service.ledger.page(&record.id, after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = last.number;
        for row in page.into_iter().filter(|row| which.has(row)) {
            each(row)?;
        }
    }
}

fn write(csv: &mut csv::Writer<impl Write>, line: &Line) -> Result<(), Problem> {
    csv.serialize(line.safe())
        .map_err(|error| Problem::new(ExitCode::Failed, error.to_string()))
}

impl Line {
    /// The same with nothing that a spreadsheet program would execute.
    fn safe(&self) -> Self {
        let safe = |text: &str| escaped(text).into_owned();
        Self {
            id: safe(&self.id),
            address: safe(&self.address),
            name: safe(&self.name),
            agent: safe(&self.agent),
            sender: safe(&self.sender),
            reason: safe(&self.reason),
            detail: safe(&self.detail),
            file: safe(&self.file),
            ..self.clone()
        }
    }
}

fn of_message(row: PageRow) -> Line {
    let message = row.message;
    let mut line = Line {
        kind: "message",
        id: message.id().to_string(),
        address: message.customer.address.as_str().to_owned(),
        name: message.customer.name.unwrap_or_default(),
        agent: message.agent.map(|agent| agent.worker).unwrap_or_default(),
        sender: message
            .sender
            .map(|sender| sender.as_str().to_owned())
            .unwrap_or_default(),
        attempts: Some(row.attempts),
        accepted_at: row.accepted_at.to_string(),
        ..Line::default()
    };
    match row.standing {
        Standing::Waiting { .. } => line.state = "waiting",
        Standing::Deferred { reason, due } => {
            line.state = "deferred";
            line.reason = reason.to_string();
            line.due_at = due.to_string();
        }
        Standing::InFlight { .. } => line.state = "in_flight",
        Standing::Over {
            ending,
            effects,
            at,
        } => {
            (line.state, line.reason, line.detail) = of_ending(ending);
            line.ended_at = at.to_string();
            add_sids(&mut line, *effects);
        }
        Standing::Nowhere => line.state = "nowhere",
    }
    line
}

fn of_ending(ending: Ending) -> (&'static str, String, String) {
    match ending {
        Ending::Done { already_sent } => {
            let reason = if already_sent { "already_sent" } else { "" };
            ("done", reason.to_owned(), String::new())
        }
        Ending::Skipped { reason, detail } => {
            ("skipped", reason.to_string(), detail.unwrap_or_default())
        }
        Ending::Dead { reason, failure } => ("dead", reason.to_string(), failure.to_string()),
        Ending::Unknown { reason, evidence } => ("unknown", reason.to_string(), evidence),
    }
}

fn add_sids(line: &mut Line, effects: Effects) {
    line.channel_sid = effects.channel_sid.unwrap_or_default();
    line.task_sid = effects.task_sid.unwrap_or_default();
    line.session_sid = effects.session_sid.unwrap_or_default();
    line.conversation_sid = effects.conversation_sid.unwrap_or_default();
    line.interaction_sid = effects.interaction_sid.unwrap_or_default();
    line.message_sid = effects.message_sid.unwrap_or_default();
}

fn of_rejected(file: String, row: RejectedRow) -> Line {
    Line {
        kind: "row",
        state: "rejected",
        reason: row.reason.to_string(),
        detail: row.detail,
        file,
        line: Some(row.line),
        ..Line::default()
    }
}
