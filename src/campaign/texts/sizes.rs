//! Twilio's size limits: one table, each number with its source.
//!
//! In: texts. Out: their sizes by Twilio's count. Always: pure; if two sources differ, both are named.

/// The longest text, in characters as [`characters`] counts them.
///
/// Twilio's OpenAPI, Conversations, Message: "can be up to 1,600 characters long"; error 21617 of the Messages
/// that Conversations and Proxy send.
pub(super) const BODY_MAX: usize = 1_600;

/// The longest text that stays in a chat channel, in bytes: twilio.com/docs/conversations/conversations-limits,
/// "Chat: 32KB".
pub(super) const CHAT_BODY_BYTES_MAX: usize = 32 * 1024;

/// The longest name of a customer, in characters.
///
/// A Conversation's `FriendlyName` (Twilio's OpenAPI, "limited to 256 characters"): no resource that flexcast uses
/// allows more; resources with a lower limit get a shortened name.
pub const NAME_MAX: usize = 256;

/// The longest name of a Flex Channel's chat channel and of its user, in characters.
///
/// A chat channel's `FriendlyName` (Twilio's OpenAPI, "up to 64 characters long" at its creation). The limit is
/// assumed to be Flex's too.
pub const CHAT_NAME_MAX: usize = 64;

/// The longest name of a Proxy participant, in characters: Twilio's OpenAPI, "255 characters or fewer".
pub const PARTICIPANT_NAME_MAX: usize = 255;

/// The largest attributes of a task, in bytes: twilio.com/docs/taskrouter/limits.
pub(in crate::campaign) const TASK_ATTRIBUTES_BYTES_MAX: usize = 4 * 1024;

/// The largest attributes of a Conversation or a chat channel, in bytes:
/// twilio.com/docs/conversations/conversations-limits.
pub(super) const CONVERSATION_ATTRIBUTES_BYTES_MAX: usize = 16 * 1024;

/// The space for a task's attributes beside the campaign's own, the customer's name and the addresses, in bytes:
/// keys, the marker, the agent to route to.
pub(super) const TASK_ATTRIBUTES_RESERVED: usize = 512;

/// The most variables of a content template: twilio.com/docs/content/using-variables-with-content-api.
pub(in crate::campaign) const VARIABLES_MAX: usize = 100;

/// The longest key of a variable, in characters: the same page, and error 50540.
pub(super) const VARIABLE_KEY_MAX: usize = 16;

/// The longest value of a variable, in characters: the same page. Error 50541 of Conversations names 256.
pub(super) const VARIABLE_MAX: usize = 1_600;

/// A longer value causes a warning, in characters: the same page recommends less than 250.
pub(super) const VARIABLE_RECOMMENDED_MAX: usize = 250;

/// The most consecutive spaces in a variable: error 21656, "more than four consecutive spaces", and Meta's rule for
/// template parameters.
pub(super) const VARIABLE_SPACES_MAX: usize = 4;

/// The number of characters as Twilio counts them: an emoji counts as several (twilio.com/docs/api/errors/21617),
/// assumed to be UTF-16 units.
pub(in crate::campaign) fn characters(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Cuts a text to at most `max` characters; a cut text ends with an ellipsis.
#[must_use]
pub fn shortened(text: &str, max: usize) -> String {
    if characters(text) <= max {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut length = 1;
    for c in text.chars() {
        length += c.len_utf16();
        if length > max {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_fits_and_shows_that_it_was_cut() {
        let table = [
            ("Outbound", 8, "Outbound"),
            ("Outbound", 7, "Outbou…"),
            ("😀😀😀", 6, "😀😀😀"),
            ("😀😀😀", 5, "😀😀…"),
            ("😀😀😀", 4, "😀…"),
        ];
        for (text, max, expected) in table {
            assert_eq!(shortened(text, max), expected);
        }
    }
}
