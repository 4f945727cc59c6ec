//! The tables of published limits know every call we make and every kind of sender, and nothing else.

use flexcast::message::SenderKind;
use flexcast::pacing::limits::PUBLISHED;
use flexcast::pacing::senders;
use flexcast::twilio::Operation;

#[test]
fn every_operation_has_its_line_in_the_limits_and_every_line_its_operation() {
    let mut limited: Vec<&str> = PUBLISHED.iter().map(|row| row.operation).collect();
    let mut called: Vec<&str> = Operation::ALL.iter().map(|call| call.as_str()).collect();
    limited.sort_unstable();
    called.sort_unstable();
    assert_eq!(limited, called);
}

#[test]
fn every_kind_of_sender_has_its_rate_and_every_rate_its_kind() {
    let rates: Vec<&str> = senders::PUBLISHED.iter().map(|row| row.rate).collect();
    let mut kinds: Vec<&str> = SenderKind::ALL.iter().map(|kind| kind.as_str()).collect();
    kinds.sort_by_key(|kind| rates.iter().position(|rate| rate == kind));
    assert_eq!(rates, kinds);
}
