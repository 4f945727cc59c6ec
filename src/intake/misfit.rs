//! What is wrong with a row's quotes and line ends, in a sentence.
//!
//! In: the row's place. Out: the sentence, with the lines that are lost where several rows may be in it.

use super::quotes::{Place, Wrong};

impl Place {
    /// What is wrong with it, for the person who mends the file.
    pub(super) fn detail(&self, wrong: Wrong) -> String {
        let (line, last) = (self.line, self.last_line);
        let is_several = last > line;
        match wrong {
            Wrong::NeverClosed => {
                "a quote opens in this row and never closes: the rows below went into it".to_owned()
            }
            Wrong::TextAfterQuote if is_several => format!(
                "text follows a closing quote, and the row takes lines {line} to {last}: a quote is missing in \
                 one of them, and none of them was taken"
            ),
            Wrong::TextAfterQuote => "text follows a closing quote: write a quote inside a quoted cell twice \
                                      (\"\")"
                .to_owned(),
            Wrong::QuoteInside if is_several => format!(
                "a quote stands inside a cell that does not begin with one, and the row takes lines {line} to \
                 {last}: none of them was taken"
            ),
            Wrong::QuoteInside => "a quote stands inside a cell that does not begin with one: put the cell in \
                                   quotes, and write the quote inside it twice (\"\")"
                .to_owned(),
            Wrong::LoneReturn => "the line end beside this row is not like the file's others (a carriage return \
                                  alone, or a line feed where the others are returns): the row may be one half \
                                  of another"
                .to_owned(),
        }
    }
}
