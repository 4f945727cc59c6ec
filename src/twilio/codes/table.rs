//! Twilio's error codes, as data: a row has everything that flexcast knows about a code.
//!
//! To add a code, add a row. The meanings are from Twilio's error dictionary
//! (`https://www.twilio.com/docs/api/errors/CODE`) unless the row names another source, in our own words. A row has
//! an HTTP status if Twilio's texts name one. Always: in ascending order, each code once.

use super::row::{
    ADDRESS, CONFIG, CONTENT, Conflict, ErrorCode, Limit, OPTED_OUT, REJECTED, THROTTLED,
    TRANSIENT, TryAgain, is, limits, meets, pauses,
};
use crate::message::PauseCause;

/// The action of an operator for an exceeded rate.
const RATE: &str = "Nothing. If it lasts, lower the pace, or the limit in `[limits]`.";
/// Sources other than a code's page.
const SKILL: &str = "Twilio's skills for assistants (twilio/ai)";
const OTHERS: &str = "other senders' public code; its page was not read";

/// Every code that flexcast knows.
#[rustfmt::skip]
pub const CODES: &[ErrorCode] = &[
    is(14107, THROTTLED, "Too many messages went between two numbers within 30 seconds."),
    is(19025, REJECTED, "The request has an input that is not valid, such as a length, an email address or a number."),

    // The platform.
    is(20001, REJECTED, "A parameter is wrong or unknown.").labelled(),
    pauses(20003, PauseCause::CredentialsRefused, "The credentials are wrong or of another region, or the account is suspended.").labelled()
        .act("Check the account SID and the token or key, and whether the account is suspended."),
    is(20004, REJECTED, "The resource does not take this method."),
    pauses(20005, PauseCause::AccountSuspended, "The account is not active.").act("Have Twilio activate the account."),
    meets(20404, Conflict::Missing, "There is no such resource: it was deleted, or a SID is wrong.").with_status(404).labelled(),
    meets(20409, Conflict::WrongState, "The resource is in a state in which it cannot be changed just now.").labelled(),
    pauses(20410, PauseCause::Misconfigured, "Twilio has discontinued this API.").act("Use `api = \"conversations\"`."),
    is(20422, THROTTLED, "Twilio did not process the request, and it is safe to repeat.").with_status(422),
    limits(20429, Limit::CallsAtOnce, "The account has too many requests under way at once; from Proxy, also its rate.").with_status(429).labelled()
        .act("Nothing. If it lasts, lower `work.concurrent_requests`, or ask Twilio for more."),
    is(20500, TRANSIENT, "Twilio failed; a call that changes something may have been carried out.").with_status(500).labelled(),
    is(20503, TRANSIENT, "The service is not available.").with_status(503).labelled(),

    // Messages.
    is(21211, ADDRESS, "The customer's number is not valid.").labelled(),
    is(21217, ADDRESS, "The customer's number does not look valid."),
    is(21408, CONFIG, "The account may not write to this country.").labelled().act("Allow the country in Twilio's messaging geographic permissions."),
    is(21602, CONTENT, "The message has no text."),
    pauses(21603, PauseCause::SenderRefused, "The message has no sender.").act("Name a sender in the campaign."),
    is(21606, CONFIG, "The sender is not the account's, or cannot write to this destination.").labelled().act("Use a sender of the account that can write there."),
    pauses(21608, PauseCause::TrialAccount, "A trial account writes to verified numbers only.").act("Upgrade the account."),
    is(21610, OPTED_OUT, "The customer told Twilio to stop: the sender may not write to them.").with_status(400).labelled(),
    limits(21611, Limit::SenderQueue, "The sender's queue is full: it holds what the sender sends in ten hours. Nothing was queued.").labelled()
        .act("Nothing. If it fills again and again, lower the sender's rate in `[senders]`."),
    is(21612, ADDRESS, "The customer cannot be reached from this sender.").labelled(),
    is(21614, ADDRESS, "The customer's number is no mobile number.").labelled(),
    is(21617, CONTENT, "The text is longer than 1,600 characters."),
    is(21650, CONFIG, "The sender's number needs an identity document that Twilio has verified."),
    is(21651, CONFIG, "A document of the sender's number does not satisfy the regulations."),
    is(21652, CONTENT, "The subject is longer than 40 characters."),
    is(21653, REJECTED, "The message has more receivers than the channel allows."),
    is(21654, CONTENT, "The message has content variables and no content template."),
    is(21655, CONTENT, "The content template's SID is not valid."),
    is(21656, CONTENT, "A content variable is not valid: it is empty, has a line break or a tab, or too many spaces in a row."),
    is(21657, CONFIG, "The destination does not take this sender ID."),
    is(21658, CONTENT, "A parameter of the content is too long."),
    is(21659, CONFIG, "The sender is not a number of Twilio's, or a short code of another country.").act("Use a sender of the account that can write there."),
    pauses(21703, PauseCause::SenderRefused, "The Messaging Service has no sender that can send this message.").act("Add a sender to the Messaging Service."),

    // Delivery.
    limits(30001, Limit::SenderQueue, "The queue of a Messaging Service's sender ran over: what 21611 says, told later. Nothing was queued.")
        .act("Nothing. If it fills again and again, lower the sender's rate in `[senders]`."),
    pauses(30002, PauseCause::AccountSuspended, "The account is suspended.").act("Have Twilio activate the account."),
    is(30003, TRANSIENT, "The customer's phone cannot be reached now."),
    is(30004, REJECTED, "The customer's phone or carrier blocks the message."),
    is(30005, ADDRESS, "The number does not exist."),
    is(30006, ADDRESS, "The number is a landline, or its carrier takes no messages."),
    is(30007, REJECTED, "Twilio or a carrier filtered the message.").labelled().act("Check the text against the carriers' rules."),
    is(30008, TRANSIENT, "The delivery failed, and the reason is unknown."),
    is(30017, TRANSIENT, "The carrier's network is congested."),
    is(30022, THROTTLED, "The registered campaign's rate is exceeded (10DLC).").act("Give the sender in `[senders]` the rate that its registration has."),
    is(30023, TRANSIENT, "The registered brand has sent all that a US carrier takes of it in a day; the cap lifts at midnight Pacific time.").again(TryAgain::MidnightPacific),
    is(30027, TRANSIENT, "The registered brand has sent all that T-Mobile takes of it in a day; the cap lifts at midnight Pacific time.").again(TryAgain::MidnightPacific),
    is(30032, CONFIG, "The toll-free sender is not verified.").act("Have the number verified."),
    is(30034, CONFIG, "The sender is not registered for texts to the US (10DLC).").labelled().act("Register the sender."),
    is(30036, TRANSIENT, "The message waited in Twilio's queue for longer than its validity period and was not sent."),
    is(30046, TRANSIENT, "An RCS message waited in Twilio's queue for longer than its validity period and was not sent (30036 until 2026-08-10).").from("Twilio's changelog"),
    is(30047, TRANSIENT, "The Compliance Toolkit could not put the message off to a permitted hour, and it was not sent."),
    is(30410, TRANSIENT, "The provider behind Twilio did not answer in time; Twilio does not repeat it."),
    is(30450, REJECTED, "Twilio takes messages to this number for fraud (SMS pumping)."),
    is(30610, THROTTLED, "Local rules forbid messages at this hour. In the US they allow them from 8 a.m. to 9 p.m. in the customer's time zone.").again(TryAgain::Hourly)
        .act("Run the campaign by day."),
    is(30640, REJECTED, "The Compliance Toolkit refused the message: this customer is not to be written to.").from(SKILL),

    // Flex.
    is(45001, TRANSIENT, "Flex failed."),
    is(45005, TRANSIENT, "Flex, or a service behind it, is not available."),
    meets(45007, Conflict::NameTaken, "The request conflicts with what there is."),
    limits(45010, Limit::Endpoint, "The rate of this call of Flex is exceeded.").with_status(429).labelled().act(RATE),
    meets(45202, Conflict::NameTaken, "The resource exists already."),
    is(45203, REJECTED, "The chat user is not found."),
    meets(45204, Conflict::Missing, "The Flex Channel is not found."),
    pauses(45205, PauseCause::Misconfigured, "The Flex Flow is not found.").act("Make the flow, or name another one in `[flex]`."),
    meets(45206, Conflict::AlreadyThere, "The chat user is a member already; Twilio says that repeated requests do nothing."),
    is(45207, REJECTED, "The chat user is in too many channels.").act("Have the channels that are over closed."),
    meets(45208, Conflict::NameTaken, "An active channel has this unique name.").labelled(),
    is(45210, CONFIG, "The Flex Flow was not made: attributes are missing, or collide with those of another flow."),
    is(45211, CONFIG, "The identity is reserved by Flex.").labelled(),
    is(45212, CONFIG, "The Flex Flow was not made: attributes are missing or not valid, or collide with those of another flow."),
    is(45352, TRANSIENT, "A service behind Interactions failed: no Conversation was made.").labelled(),
    meets(45353, Conflict::AlreadyThere, "The Conversation has its Interaction channel already."),
    is(45356, TRANSIENT, "A service behind Interactions failed: the Conversation could not be read."),
    is(45361, TRANSIENT, "A service behind Interactions failed: no participant was added."),
    is(45370, TRANSIENT, "Interactions failed: no channel was made."),
    limits(45780, Limit::Endpoint, "The rate of this call of Interactions is exceeded.").with_status(429).labelled().act(RATE),

    // Chat and Conversations.
    is(50003, CONTENT, "A friendly name is too long."),
    limits(50063, Limit::Endpoint, "The rate of this call of Chat is exceeded.").with_status(429).labelled().act(RATE),
    limits(50074, Limit::Endpoint, "The rate of changes, of one channel or of the chat service, is exceeded.").with_status(429).labelled().act(RATE),
    meets(50200, Conflict::Missing, "The User is not found."),
    meets(50201, Conflict::NameTaken, "A User has this identity already."),
    is(50214, REJECTED, "The User is in too many Conversations.").act("Have the Conversations that are over closed."),
    meets(50300, Conflict::Missing, "The channel is not found."),
    is(50303, CONTENT, "The attributes are too long."),
    is(50304, REJECTED, "The attributes are not JSON."),
    meets(50307, Conflict::NameTaken, "A channel has this unique name."),
    is(50349, TRANSIENT, "Another request changes the channel at the same time.").labelled(),
    meets(50350, Conflict::Missing, "The Conversation is not found."),
    meets(50353, Conflict::NameTaken, "A Conversation has this unique name.").labelled(),
    meets(50377, Conflict::Closed, "The Conversation is closed for good."),
    meets(50404, Conflict::AlreadyThere, "The chat user is a member already."),
    is(50407, ADDRESS, "The customer's address is not valid.").labelled(),
    is(50408, CONFIG, "The sender's address is not valid.").act("Correct the campaign's sender."),
    is(50409, ADDRESS, "The customer's address is the sender's own."),
    meets(50416, Conflict::CustomerBusy, "The customer and the sender are together in an active Conversation.").labelled(),
    meets(50433, Conflict::AlreadyThere, "The participant is in the Conversation already."),
    meets(50438, Conflict::CustomerBusy, "A group Conversation of these participants exists.").labelled(),
    is(50449, TRANSIENT, "Another request changes the Conversation at the same time."),
    is(50504, CONTENT, "The text is too long."),
    is(50527, CONTENT, "The content variables are not a JSON object."),
    is(50528, CONTENT, "The message has content variables and no content template."),
    is(50540, CONTENT, "The key of a content variable is longer than 16 characters."),
    is(50541, CONTENT, "The value of a content variable is too long."),

    // WhatsApp.
    is(63003, ADDRESS, "The customer's address is not on the channel."),
    pauses(63007, PauseCause::SenderRefused, "The account has no such sender on this channel.").act("Name a sender of the account."),
    is(63013, CONTENT, "The message is against the channel's policy: an empty variable, spaces or lines in a row, a kind of media."),
    pauses(63015, PauseCause::WhatsappSandbox, "The sender is WhatsApp's sandbox, which the customer has not joined.").act("Use a sender of your own."),
    is(63016, CONTENT, "Outside the 24 hours after a customer's message, WhatsApp takes templates only.").labelled().act("Use a content template (`content_sid`)."),
    is(63017, THROTTLED, "The account sends more than 2,000 messages a second over all senders."),
    is(63018, TRANSIENT, "The sender's rate, or its limit of a day, is exceeded: Twilio's texts disagree.").again(TryAgain::HourlyWhenRepeated),
    pauses(63020, PauseCause::SenderRefused, "The WhatsApp business account has not accepted Twilio, or has an error of its own.").act("Correct the account in Meta's business manager."),
    is(63024, ADDRESS, "The customer cannot receive messages on the channel."),
    is(63028, CONTENT, "The message has another number of variables than the template."),
    is(63032, REJECTED, "Meta does not let this customer be written to now.").act("Nothing: another try within the day is pointless."),
    is(63033, REJECTED, "The customer has blocked the sender, or is blocked."),
    is(63038, TRANSIENT, "The account has sent all that it may in 24 hours.").again(TryAgain::Hourly),
    is(63049, REJECTED, "Meta does not deliver one more marketing message to this customer.").act("Nothing: another try within the day is pointless.").from(OTHERS),
    pauses(63051, PauseCause::SenderRefused, "WhatsApp has locked the business account.").act("Have Meta unlock the account."),
    pauses(63062, PauseCause::SenderRefused, "The business account has not accepted Meta's terms for marketing messages.").act("Accept the terms in Meta's business manager."),
    is(63119, THROTTLED, "Meta's rate is exceeded.").from(OTHERS),

    // Proxy.
    meets(80103, Conflict::AlreadyThere, "The participant is in the session already.").labelled(),
    is(80104, REJECTED, "The number is in the Proxy service already.").with_status(400),
    is(80201, CONFIG, "The Proxy service has no number that can call."),
    is(80202, CONFIG, "The Proxy service has no number that can write."),
    is(80203, CONFIG, "The Proxy service has no number in the customer's country."),
    pauses(80205, PauseCause::Misconfigured, "The Proxy service has no numbers.").act("Add numbers to the service."),
    meets(80206, Conflict::CustomerBusy, "This customer uses all numbers that match, or there is none near enough.").labelled(),
    is(80207, CONFIG, "All numbers that match are reserved."),
    meets(80208, Conflict::CustomerBusy, "This customer uses all numbers of the service.").labelled(),
    pauses(80306, PauseCause::Misconfigured, "The chat service of the Proxy service is not found."),
    meets(80308, Conflict::Missing, "No session has this unique name."),
    is(80401, REJECTED, "The account's SID is not valid."),
    meets(80402, Conflict::CustomerBusy, "The customer and the number are together in another session.").labelled(),
    is(80403, REJECTED, "The interaction's SID is not valid."),
    is(80404, ADDRESS, "The customer's number is not valid, or cannot be reached.").labelled(),
    is(80405, REJECTED, "The participant's SID is not valid."),
    is(80406, REJECTED, "The phone number is not valid."),
    is(80407, REJECTED, "The phone number's SID is not valid."),
    is(80408, REJECTED, "The service's SID is not valid."),
    is(80409, REJECTED, "The session's SID is not valid."),
    is(80501, TRANSIENT, "Proxy's storage failed."),
    is(80502, TRANSIENT, "A service behind Proxy failed."),
    is(80504, TRANSIENT, "Proxy failed."),
    is(80505, CONFIG, "The Proxy service is not set up for Flex as it should be."),
    pauses(80506, PauseCause::Misconfigured, "Proxy is closed to new customers.").labelled().act("Use `api = \"conversations\"`."),
    meets(80603, Conflict::NameTaken, "A session has this unique name.").labelled(),
    meets(80604, Conflict::CustomerBusy, "The customer and the number are together in another open session.").labelled(),
    pauses(80605, PauseCause::SenderRefused, "The number is not in the Proxy service.").act("Add the number to the service, or name another one."),
    pauses(80606, PauseCause::SenderRefused, "The number is not the account's.").act("Name a number of the account."),
    meets(80607, Conflict::Gone, "The session is closed and cannot be changed.").labelled(),
    is(80608, REJECTED, "A session's status cannot change in this way."),
    meets(80609, Conflict::AlreadyThere, "The session has its two participants already."),
    is(80610, REJECTED, "The SIDs do not belong together."),
    meets(80612, Conflict::Gone, "The participant was in the session and was deleted: it cannot come back."),
    is(80613, REJECTED, "A service behind Proxy refused the request."),
    is(80614, REJECTED, "A message came in, and the session has no second participant."),
    is(80616, CONFIG, "A session of this mode takes no address of this kind."),
    pauses(80617, PauseCause::Misconfigured, "Flex is not set up for Proxy as it should be."),
    pauses(80618, PauseCause::Misconfigured, "The integration with Chat is not set up as it should be."),
    is(80619, CONFIG, "The chat channel lacks attributes that Proxy needs."),
    is(80620, CONFIG, "The number that the chat integration names is not found."),
    is(80622, CONFIG, "The pool of numbers is full."),
    is(80623, TRANSIENT, "Another request creates a participant of this address at the same time.").with_status(409).labelled(),
    is(80624, CONFIG, "The pool of numbers is nearly full."),
    is(80801, REJECTED, "The session cannot be opened again: its participants are in another one."),
    is(80802, TRANSIENT, "Another request creates a participant of this address at the same time.").with_status(409),
    is(80901, OPTED_OUT, "The message is a stop word: Proxy passes nothing on, and the customer is not written to any more."),
];

/// Finds a code in the table.
#[must_use]
pub fn known(code: u32) -> Option<&'static ErrorCode> {
    let at = CODES.binary_search_by_key(&code, |row| row.code).ok()?;
    CODES.get(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_in_the_table_once_and_in_order() {
        for pair in CODES.windows(2) {
            assert!(pair[0].code < pair[1].code, "{}", pair[1].code);
        }
    }

    /// A call that a limit refused was not processed.
    #[test]
    fn a_code_of_a_limit_costs_no_attempt() {
        for row in CODES.iter().filter(|row| row.limit.is_some()) {
            assert_eq!(row.class, THROTTLED, "{}", row.code);
        }
    }

    #[test]
    fn every_row_says_what_it_means_in_whole_sentences() {
        for row in CODES {
            for text in [row.meaning, row.action()] {
                assert!(text.ends_with('.'), "{}: {text}", row.code);
                assert!(text.starts_with(char::is_uppercase), "{}: {text}", row.code);
            }
        }
    }
}
