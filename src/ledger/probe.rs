//! The values that a probe of a store writes and rolls back: the life of a message that does not exist.

use std::time::Duration;

use jiff::Timestamp;

use super::calls::{
    all_campaigns, draw, next_due, raise, record_damaged, record_operation, record_stray, show,
};
use super::columns::ms;
use super::session::StoreSession;
use super::{
    Actor, AuditedOperation, Ending, MessageKey, OperationName, Renewal, Result, Settlement, Stray,
    UNDO_AFTER, UndoSettlement, Wake,
};
use crate::message::{DeadReason, Failure, FailureClass, Message, PauseCause, WaitReason};

/// The holder of the probe's leases.
pub(super) const HOLDER: &str = "probe";

/// The time of all its calls. It is long ago, so that it makes no real message due and no real record old.
pub(super) const AT: Timestamp = Timestamp::UNIX_EPOCH;

/// How long its leases last.
pub(super) const LEASE_FOR: Duration = Duration::from_secs(60);

/// When the undo that [`stuck`] leaves is due.
pub(super) fn undo_due() -> Timestamp {
    super::columns::later(AT, 2 * UNDO_AFTER)
}

/// The probe's message. `name` distinguishes the probes of several processes, so that they do not wait for each other.
pub(super) fn message(name: &str) -> Message {
    let message = serde_json::json!({
        "campaign": format!("flexcast.probe.{name}"),
        "id": "probe",
        "customer": {"address": "+15005550006"},
    });
    serde_json::from_value(message).expect("a message of today's version")
}

/// A settlement: the message waits for another attempt.
pub(super) fn waits() -> Settlement {
    Settlement::Waits {
        reason: WaitReason::Retry,
        due: AT,
        wake: Wake::Ledger,
        failure: None,
        uses_attempt: false,
    }
}

/// A settlement: the message is dead, and its undo is to be retried.
pub(super) fn stuck() -> Settlement {
    let class = FailureClass::Permanent(DeadReason::Stuck);
    Settlement::Ended {
        ending: Ending::Dead {
            reason: DeadReason::Stuck,
            failure: Box::new(Failure::new(class, "probe")),
        },
        effects: Box::default(),
    }
}

/// A settlement of the undo: no effect is left.
pub(super) fn undone() -> UndoSettlement {
    let reason = DeadReason::Stuck;
    let failure = Failure::new(FailureClass::Permanent(reason), "probe");
    UndoSettlement::Over {
        ending: Ending::Dead {
            reason,
            failure: Box::new(failure),
        },
        effects: Box::default(),
    }
}

/// A delivery that is not a valid message.
fn stray(key: &MessageKey) -> Stray {
    Stray {
        campaign: key.campaign.clone(),
        reason: DeadReason::Malformed,
        detail: "probe".to_owned(),
        body: String::new(),
    }
}

/// A pause by the program, which consumers record in the audit.
fn pause(key: &MessageKey) -> AuditedOperation {
    let by = Actor::Program {
        cause: PauseCause::Misconfigured,
    };
    AuditedOperation::on(
        by,
        OperationName::Pause,
        &key.campaign,
        serde_json::json!({}),
    )
}

/// A consumer's renewal of its right.
pub(super) fn renewal(name: &str) -> Renewal {
    Renewal {
        holder: format!("{HOLDER}-{name}"),
        host: String::new(),
        pid: 0,
        confirmed: None,
    }
}

/// The part of the message's life whose statements are written once for both stores.
pub(super) async fn walk(session: &impl StoreSession, key: &MessageKey, name: &str) -> Result<()> {
    next_due(session).await?;
    all_campaigns(session).await?;
    record_stray(session, &stray(key), AT).await?;
    record_operation(session, &pause(key), None, None, AT).await?;
    let holder = format!("{HOLDER}-{name}");
    show(session, &holder, Some("null"), Some(ms(AT))).await?;
    show(session, &holder, None, Some(ms(AT))).await?;
    let token = format!("{HOLDER}-{name}");
    draw(session, &token, AT).await?;
    raise(session, &token).await?;
    record_damaged(session, key, "probe", AT).await
}
