//! The lines of an export: one for each message and each rejected row.

use serde::Serialize;

use crate::intake::escaped;
use crate::ledger::{Ending, PageRow, RejectedRow, Standing};
use crate::message::{Effects, OpenState};

/// A line of the export. It has the whole address of the customer: the operator exports their own data.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct ExportLine {
    /// `message`, or `row` for a rejected row of a file.
    kind: &'static str,
    id: String,
    address: String,
    name: String,
    agent: String,
    /// The sender: a number or an identity.
    sender: String,
    /// The state of the message, or `rejected`.
    state: &'static str,
    reason: String,
    detail: String,
    attempts: Option<u32>,
    accepted_at: String,
    ended_at: String,
    /// The time before which a scheduled, retrying or held message is not taken.
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

/// The lines as CSV. `with_header`: with the names of the columns first, if there is a line.
pub(super) fn written(lines: &[ExportLine], with_header: bool) -> Result<Vec<u8>, csv::Error> {
    let mut csv = csv::WriterBuilder::new()
        .has_headers(with_header)
        .from_writer(Vec::new());
    for line in lines {
        csv.serialize(line.safe())?;
    }
    super::written(csv)
}

impl ExportLine {
    /// The same line, in which no cell is a formula for a spreadsheet program.
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

/// The line of a message.
pub(super) fn of_message(row: PageRow) -> ExportLine {
    let message = row.message;
    let mut line = ExportLine {
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
        ..ExportLine::default()
    };
    match row.standing {
        Standing::Queued { .. } => line.state = OpenState::Queued.as_str(),
        Standing::Waits { reason, due } => {
            line.state = reason.state().as_str();
            line.reason = reason.to_string();
            line.due_at = due.to_string();
        }
        Standing::InFlight { .. } => line.state = OpenState::InFlight.as_str(),
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

fn add_sids(line: &mut ExportLine, effects: Effects) {
    line.channel_sid = effects.channel_sid.unwrap_or_default();
    line.task_sid = effects.task_sid.unwrap_or_default();
    line.session_sid = effects.session_sid.unwrap_or_default();
    line.conversation_sid = effects.conversation_sid.unwrap_or_default();
    line.interaction_sid = effects.interaction_sid.unwrap_or_default();
    line.message_sid = effects.message_sid.unwrap_or_default();
}

/// The line of a rejected row.
pub(super) fn of_rejected(file: String, row: RejectedRow) -> ExportLine {
    ExportLine {
        kind: "row",
        state: "rejected",
        reason: row.reason.to_string(),
        detail: row.detail,
        file,
        line: Some(row.line),
        ..ExportLine::default()
    }
}
