//! The table of published limits knows every call we make, and nothing else.

use flexcast::pacing::limits::PUBLISHED;
use flexcast::twilio::Operation;

#[test]
fn every_operation_has_its_line_in_the_limits_and_every_line_its_operation() {
    let mut limited: Vec<&str> = PUBLISHED.iter().map(|row| row.operation).collect();
    let mut called: Vec<&str> = Operation::ALL.iter().map(|call| call.as_str()).collect();
    limited.sort_unstable();
    called.sort_unstable();
    assert_eq!(limited, called);
}
