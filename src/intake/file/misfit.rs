//! Sentences about faults in a row's quotes and line ends.
//!
//! In: the row's lines and its fault. Out: the sentence, with the lost lines if the row may contain several rows.

use super::quotes::{RowFault, RowPlace};

impl RowPlace {
    /// The sentence about the fault, for the person who corrects the file.
    pub(in crate::intake) fn detail(&self, wrong: RowFault) -> String {
        let (line, last) = (self.line, self.last_line);
        let is_several = last > line;
        match wrong {
            RowFault::NeverClosed => {
                "a quote opens in this row and never closes: the rows below count as part of it, and none of them was \
                 imported"
                .to_owned()
            }
            RowFault::TextAfterQuote if is_several => format!(
                "the row has lines {line} to {last}, and text follows a closing quote in it: a quote is missing in one \
                 of these lines, and none of them was imported"
            ),
            RowFault::TextAfterQuote => "text follows a closing quote: a quote inside a quoted cell is written twice (\"\")"
                .to_owned(),
            RowFault::QuoteInside if is_several => format!(
                "the row has lines {line} to {last}, and a quote is inside a cell that does not begin with one: \
                 none of these lines was imported"
            ),
            RowFault::QuoteInside => "a quote is inside a cell that does not begin with one: put the cell in \
                                   quotes, and write the quote inside it twice (\"\")"
                .to_owned(),
            RowFault::LoneReturn => "the line end before or after this row differs from that of the file's first line (a \
                                  carriage return alone, or a line feed): the row may be a part of another one"
                .to_owned(),
        }
    }
}
