//! The errors of the AMQP client, in the terms of a queue's contract.

use lapin::ErrorKind;

use crate::queue::QueueError;
use crate::queue::rabbitmq::obstacles::remedy::with_remedy;

/// Whether the error means that a frame could not be read. The message is on some queue and is redelivered.
fn is_unreadable(error: &lapin::Error) -> bool {
    match error.kind() {
        ErrorKind::ParsingError(_) => true,
        // An error of the filter (`wire`).
        ErrorKind::IOError(error) => error.kind() == std::io::ErrorKind::InvalidData,
        // 501 frame error, 502 syntax error, 505 unexpected frame: raised by lapin about the broker.
        ErrorKind::ProtocolError(amqp) => [501, 502, 505].contains(&amqp.get_id()),
        _ => false,
    }
}

/// Maps lapin's error: refusals that will repeat, and errors that a retry may cure.
pub(in crate::queue::rabbitmq) fn explain(error: &lapin::Error) -> QueueError {
    match error.kind() {
        _ if is_unreadable(error) => QueueError::Unreadable(error.to_string()),
        // 403 access refused, 404 not found, 405 locked, 406 other arguments, 530 not allowed
        // (AMQP 0-9-1, reply codes): the same request gets the same answer.
        ErrorKind::ProtocolError(amqp) if [403, 404, 405, 406, 530].contains(&amqp.get_id()) => {
            QueueError::Refused(with_remedy(amqp.get_message().as_str()))
        }
        _ => QueueError::Unreachable(error.to_string()),
    }
}

/// Whether the broker reports that a queue or exchange does not exist.
pub(in crate::queue::rabbitmq) fn is_not_found(error: &QueueError) -> bool {
    matches!(error, QueueError::Refused(why) if why.starts_with("NOT_FOUND"))
}
