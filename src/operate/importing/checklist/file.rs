//! Items about the file: how it is read, and what its columns are used for.

use crate::intake::ColumnUse;
use crate::operate::wording::{counted, listed};

use super::{CheckCode, CheckItem, Checked};

impl Checked<'_> {
    pub(super) fn of_file(&self) -> Vec<CheckItem> {
        let preview = self.preview;
        let read = format!("{}: {}; {}.", preview.file, preview.shape, preview.mapping);
        let mut items = vec![CheckItem::ok(CheckCode::File, read)];
        items.extend(columns(&preview.columns));
        let notes = preview.notes.iter();
        items.extend(notes.map(|note| CheckItem::warn(CheckCode::Note, format!("Note: {note}."))));
        items
    }
}

/// The use of columns that stay in flexcast. Of these, the item shows the first.
const NOT_SENT: &str = "not sent";

/// The columns by their use.
fn columns(columns: &[ColumnUse]) -> Option<CheckItem> {
    if columns.is_empty() {
        return None;
    }
    let is = |in_text: bool, in_task: bool| {
        let of_use = columns.iter();
        let of_use = of_use.filter(move |one| one.in_text == in_text && one.in_task == in_task);
        of_use.collect::<Vec<_>>()
    };
    let groups = [
        ("in the text and in the task at Twilio", is(true, true)),
        ("in the text", is(true, false)),
        ("in the task at Twilio", is(false, true)),
        (NOT_SENT, is(false, false)),
    ];
    let groups = groups
        .into_iter()
        .filter(|(_, columns)| !columns.is_empty());
    let details = groups.map(|(goes, columns)| {
        let all = columns.len() as u64;
        let columns = columns.into_iter().map(named);
        match goes == NOT_SENT {
            true => format!("{goes}: {}", listed(columns, all)),
            false => format!("{goes}: {}", columns.collect::<Vec<_>>().join(", ")),
        }
    });
    let text = counted(columns.len() as u64, "column");
    Some(CheckItem::ok(CheckCode::Columns, format!("{text}:")).details(details))
}

/// A column, with its name in templates.
fn named(column: &ColumnUse) -> String {
    const CHARS_MAX: usize = 60;
    let brief = |text: &str| -> String {
        match text.char_indices().nth(CHARS_MAX) {
            Some((at, _)) => format!("{}...", &text[..at]),
            None => text.to_owned(),
        }
    };
    let header = brief(&column.header);
    match &column.template {
        Some(name) => format!("{header:?} ({})", brief(name)),
        None => format!("{header:?}"),
    }
}
