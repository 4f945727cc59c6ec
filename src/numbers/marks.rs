//! Invisible characters that programs insert into copied text.
//!
//! In: a text. Out: the text without them. Always: visible characters stay unchanged.

use std::borrow::Cow;

/// Whether a character is invisible: a direction or joining mark (Unicode's category Cf), a soft hyphen or a
/// non-breaking space.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{a0}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202f}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// The text of a number without any invisible characters.
pub(crate) fn without_marks(text: &str) -> Cow<'_, str> {
    if text.contains(is_invisible) {
        Cow::Owned(text.replace(is_invisible, ""))
    } else {
        Cow::Borrowed(text)
    }
}

/// A cell's text without white space and invisible characters at both ends. Inside the text they may have a
/// meaning: a joiner in an emoji, a mark in a name that is written from right to left.
pub(crate) fn unmarked(text: &str) -> &str {
    // A presentation selector at the end belongs to an emoji.
    let is_around =
        |c: char| c.is_whitespace() || (is_invisible(c) && !('\u{fe00}'..='\u{fe0f}').contains(&c));
    text.trim_matches(is_around)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_taken_away() {
        let marks = "\u{200b}\u{200e}\u{200f}\u{202a}\u{202c}\u{202e}\u{2060}\u{2066}\u{2069}\u{a0}\u{202f}\u{feff}\u{ad}";
        for mark in marks.chars() {
            assert_eq!(without_marks(&format!("{mark}4{mark}9")), "49", "{mark:?}");
            assert_eq!(unmarked(&format!(" {mark}Zo\u{eb}{mark} ")), "Zo\u{eb}");
        }
        let family = "\u{1f468}\u{200d}\u{1f469}\u{fe0f}";
        assert_eq!(unmarked(family), family);
        assert_eq!(unmarked("\u{200b}\u{2060} "), "");
    }
}
