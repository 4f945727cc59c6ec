//! Twilio's error codes, as data: each with its class, what stands in the way, and the reason.
//!
//! The reasons are from Twilio's error dictionary, in our own words. Always: a code stands here once.

use crate::message::{DeadReason, FailureClass, PauseCause, SkipReason};

/// What stands in a call's way at Twilio: to be looked at before anything is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The name is in use: look up by name, and adopt what is ours.
    NameTaken,
    /// What was to be added is there, or enough is: list, and adopt what is ours.
    AlreadyThere,
    /// The customer's address and our number are together elsewhere, or here from a call of ours
    /// whose reply was lost: look, and else the customer is busy.
    CustomerBusy,
    /// The container is closed, or what was to be added was deleted from it: a new generation.
    Gone,
}

/// What a code means.
pub(super) struct Code {
    pub(super) code: u32,
    pub(super) class: FailureClass,
    pub(super) conflict: Option<Conflict>,
    /// Why no message of the campaign passes, where that is what the code says.
    pub(super) pauses: Option<PauseCause>,
}

pub(super) const TRANSIENT: FailureClass = FailureClass::Transient;
pub(super) const THROTTLED: FailureClass = FailureClass::Throttled;
pub(super) const HALT: FailureClass = FailureClass::Halt;
const ADDRESS: FailureClass = FailureClass::Permanent(DeadReason::InvalidAddress);
const CONTENT: FailureClass = FailureClass::Permanent(DeadReason::InvalidContent);
pub(super) const CONFIG: FailureClass = FailureClass::Permanent(DeadReason::Misconfigured);
pub(super) const REJECTED: FailureClass = FailureClass::Permanent(DeadReason::Rejected);
const OPTED_OUT: FailureClass = FailureClass::Skip(SkipReason::OptedOut);
const BUSY: FailureClass = FailureClass::Skip(SkipReason::CustomerBusy);

const fn is(code: u32, class: FailureClass) -> Code {
    Code {
        code,
        class,
        conflict: None,
        pauses: None,
    }
}

/// A code that meets every message of the campaign: it is paused, and no message ends for it.
const fn pauses(code: u32, cause: PauseCause) -> Code {
    Code {
        code,
        class: HALT,
        conflict: None,
        pauses: Some(cause),
    }
}

/// A conflict that nobody resolved may pass: a name or place becomes free.
const fn meets(code: u32, conflict: Conflict) -> Code {
    let class = match conflict {
        Conflict::CustomerBusy => BUSY,
        Conflict::NameTaken | Conflict::AlreadyThere | Conflict::Gone => TRANSIENT,
    };
    Code {
        code,
        class,
        conflict: Some(conflict),
        pauses: None,
    }
}

/// Codes and their meaning, by product.
#[rustfmt::skip]
static CODES: &[Code] = &[
    // The account and the platform.
    pauses(20003, PauseCause::CredentialsRefused), // not authenticated, account suspended, or a key of another region
    pauses(20005, PauseCause::AccountSuspended), // account not active
    pauses(30002, PauseCause::AccountSuspended), // account suspended
    is(20001, REJECTED),  // a parameter is wrong
    is(20404, REJECTED),  // not found: where one looks it is an answer, elsewhere a wrong SID
    is(20409, TRANSIENT), // in a state in which it cannot be changed just now
    pauses(20410, PauseCause::Misconfigured), // this API is discontinued
    is(20422, THROTTLED), // never processed, safe to repeat
    is(20429, THROTTLED), // too many requests or too many at once
    is(20500, TRANSIENT), // server error
    is(20503, TRANSIENT), // service unavailable

    // Flex.
    is(45001, TRANSIENT), // server error
    is(45005, TRANSIENT), // downstream error
    meets(45007, Conflict::NameTaken), // conflicts with what there is
    is(45010, THROTTLED), // rate limit
    meets(45202, Conflict::NameTaken), // the resource exists
    is(45203, REJECTED),  // chat user not found
    is(45204, REJECTED),  // Flex channel not found
    pauses(45205, PauseCause::Misconfigured), // Flex Flow not found
    meets(45206, Conflict::AlreadyThere), // the chat user is a member; repeated requests do nothing
    is(45207, REJECTED),  // the chat user is in too many channels
    meets(45208, Conflict::NameTaken), // an active channel has this unique name
    is(45210, CONFIG),    // Flex Flow not created: attributes missing
    is(45211, CONFIG),    // the identity is reserved
    is(45212, CONFIG),    // Flex Flow not created: attributes collide
    is(45352, TRANSIENT), // Interactions: downstream error
    meets(45353, Conflict::AlreadyThere), // the Conversation has its Interaction channel already
    is(45356, TRANSIENT), // Interactions: internal error
    is(45361, TRANSIENT), // Interactions: downstream error
    is(45370, TRANSIENT), // Interactions: internal error
    is(45780, THROTTLED), // Interactions: rate limit

    // Chat and Conversations.
    is(50003, CONTENT),   // a friendly name is too long
    is(50063, THROTTLED), // rate limit
    is(50074, THROTTLED), // too many changes of one channel
    meets(50201, Conflict::NameTaken), // a User has this identity
    meets(50214, Conflict::AlreadyThere), // the chat user is a member
    is(50300, REJECTED),  // channel not found
    is(50303, CONTENT),   // the attributes are too long
    is(50304, REJECTED),  // the attributes are not JSON
    meets(50307, Conflict::NameTaken), // a channel has this unique name
    is(50349, TRANSIENT), // the channel is being changed by somebody else
    meets(50353, Conflict::NameTaken), // a Conversation has this unique name
    is(50377, TRANSIENT), // the Conversation is closed: where ours is closed, all is begun anew
    is(50407, ADDRESS),   // the customer's address is not valid
    is(50408, CONFIG),    // our address is not valid
    is(50409, ADDRESS),   // the customer's address is our own
    meets(50416, Conflict::CustomerBusy), // both addresses are in an active Conversation
    meets(50433, Conflict::AlreadyThere), // the participant is there
    meets(50438, Conflict::CustomerBusy), // a group of these participants exists
    is(50449, TRANSIENT), // the Conversation is being changed by somebody else
    is(50504, CONTENT),   // the text is too long
    is(50527, CONTENT),   // the variables are not an object
    is(50528, CONTENT),   // variables without a content template
    is(50540, CONTENT),   // a variable's key is too long
    is(50541, CONTENT),   // a variable's value is too long

    // Proxy.
    meets(80103, Conflict::AlreadyThere), // the participant is in the session
    is(80201, CONFIG),    // no number of ours that can call
    is(80202, CONFIG),    // no number of ours that can write
    is(80203, CONFIG),    // no number of ours in the country
    pauses(80205, PauseCause::Misconfigured), // the service has no numbers
    meets(80206, Conflict::CustomerBusy), // all numbers that match are in use by this customer
    is(80207, CONFIG),    // all numbers are reserved
    meets(80208, Conflict::CustomerBusy), // all numbers are in use by this customer
    pauses(80306, PauseCause::Misconfigured), // the chat service is not found
    is(80308, REJECTED),  // no session of this name: where one looks it is an answer
    is(80401, REJECTED),  // a SID is not valid
    meets(80402, Conflict::CustomerBusy), // the pair of addresses is in another session
    is(80403, REJECTED),  // a SID is not valid
    is(80404, ADDRESS),   // no valid number, or one that nobody can reach
    is(80405, REJECTED),  // a SID is not valid
    is(80406, REJECTED),  // a SID is not valid
    is(80407, REJECTED),  // a SID is not valid
    is(80408, REJECTED),  // a SID is not valid
    is(80409, REJECTED),  // a SID is not valid
    is(80501, TRANSIENT), // downstream error
    is(80502, TRANSIENT), // downstream error
    is(80504, TRANSIENT), // downstream error
    is(80505, CONFIG),    // the pool of numbers is set up wrongly
    pauses(80506, PauseCause::Misconfigured), // Proxy is closed to new customers
    meets(80603, Conflict::NameTaken), // a session has this unique name
    meets(80604, Conflict::CustomerBusy), // the pair of addresses is in another open session
    pauses(80605, PauseCause::SenderRefused), // our number is not in the service
    pauses(80606, PauseCause::SenderRefused), // the number is not ours
    meets(80607, Conflict::Gone), // the session is closed
    is(80608, REJECTED),  // no such change of a session's status
    meets(80609, Conflict::AlreadyThere), // the session has its two participants
    is(80610, REJECTED),  // the SIDs do not belong together
    meets(80612, Conflict::Gone), // was in the session and was deleted: cannot come back
    is(80613, REJECTED),  // the service behind refused
    is(80614, REJECTED),  // a message came in and nobody is there to take it
    is(80616, CONFIG),    // an address of this kind cannot be in a session of this mode
    pauses(80617, PauseCause::Misconfigured), // Flex is set up wrongly
    pauses(80618, PauseCause::Misconfigured), // the chat integration is set up wrongly
    is(80619, CONFIG),    // the chat channel lacks attributes
    is(80620, CONFIG),    // the chat integration is set up wrongly
    is(80622, CONFIG),    // the pool of numbers is full
    is(80623, TRANSIENT), // another participant of this address is being created
    is(80624, CONFIG),    // the pool of numbers is nearly full
    is(80801, REJECTED),  // opening it again would conflict
    is(80802, TRANSIENT), // another participant of this address is being created
    is(80901, OPTED_OUT), // a stop word

    // Messages.
    is(14107, THROTTLED), // too many messages between two numbers within 30 s
    is(21211, ADDRESS),   // no valid number
    is(21217, ADDRESS),   // no valid number
    is(21408, CONFIG),    // the account may not write to this country
    is(21602, CONTENT),   // no text
    pauses(21603, PauseCause::SenderRefused), // no sender
    pauses(21608, PauseCause::TrialAccount), // a trial account writes to verified numbers only
    is(21606, CONFIG),    // the sender is not ours or cannot write
    is(21610, OPTED_OUT), // the customer told Twilio to stop
    is(21611, THROTTLED), // the sender's queue is full: nothing was queued
    is(21612, ADDRESS),   // cannot be reached from this sender
    is(21614, ADDRESS),   // no mobile number
    is(21617, CONTENT),   // longer than 1600 characters
    is(21650, CONTENT), is(21651, CONTENT), is(21652, CONTENT), is(21653, CONTENT),
    is(21654, CONTENT), is(21655, CONTENT), is(21656, CONTENT), is(21657, CONTENT),
    is(21658, CONTENT), is(21659, CONTENT), // templates and their variables
    pauses(21703, PauseCause::SenderRefused), // the messaging service has no sender
    is(30001, THROTTLED), // the sender's queue ran over: nothing was queued
    is(30003, TRANSIENT), // cannot be reached now
    is(30004, REJECTED),  // blocked
    is(30005, ADDRESS),   // nobody there
    is(30006, ADDRESS),   // a landline, or a carrier that takes no messages
    is(30007, REJECTED),  // filtered
    is(30008, TRANSIENT), // failed, and nobody knows why
    is(30017, TRANSIENT), // the carrier's network is full
    is(30022, THROTTLED), // the registered campaign's rate (10DLC)
    is(30023, TRANSIENT), // the registered brand's daily cap
    is(30027, TRANSIENT), // the carrier's daily cap
    is(30032, CONFIG),    // the toll-free sender is not verified
    is(30034, CONFIG),    // the sender is not registered (10DLC)
    is(30036, TRANSIENT), // waited in Twilio's queue for longer than its validity period; was not sent
    is(30046, TRANSIENT), // RCS: the same (30036 until 2026-08-10)
    is(30047, TRANSIENT), // the Compliance Toolkit could not put it off to a permitted hour; was not sent
    is(30410, TRANSIENT), // the provider behind did not answer in time
    is(30450, REJECTED),  // taken for fraud
    is(30610, THROTTLED), // local rules let nobody be written to at this hour (8 a.m. to 9 p.m. in the US)
    is(30640, REJECTED),  // the Compliance Toolkit refused it: this customer is not to be written to

    // WhatsApp.
    is(63003, ADDRESS),   // no valid receiver
    pauses(63007, PauseCause::SenderRefused), // no such sender
    pauses(63015, PauseCause::WhatsappSandbox), // the customer has not joined the sandbox
    is(63013, CONTENT),   // against the channel's policy: an empty variable, spaces or lines in a row, a kind of media
    is(63016, CONTENT),   // outside the 24-hour window only templates go
    is(63017, THROTTLED), // the account's rate over all senders
    is(63018, TRANSIENT), // the sender's rate, or its limit of a day: Twilio's texts disagree
    pauses(63020, PauseCause::SenderRefused), // the business account has not accepted
    is(63024, ADDRESS),   // no valid receiver
    is(63028, CONTENT),   // another number of variables than the template has
    is(63032, REJECTED),  // Meta does not let this customer be written to now
    is(63033, REJECTED),  // the receiver is blocked
    is(63038, TRANSIENT), // the account's daily limit
    is(63049, REJECTED),  // Meta does not deliver one more marketing text to this customer
    pauses(63051, PauseCause::SenderRefused), // the business account is locked
    pauses(63062, PauseCause::SenderRefused), // the business account has not accepted the terms for marketing texts
    is(63119, THROTTLED), // Meta's rate
];

/// What is known of a code.
pub(super) fn known(code: u32) -> Option<&'static Code> {
    CODES.iter().find(|known| known.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_in_the_table_once() {
        for (at, code) in CODES.iter().enumerate() {
            let again = CODES[at + 1..].iter().any(|other| other.code == code.code);
            assert!(!again, "{} is there twice", code.code);
        }
    }
}
