//! Retries for the calls of a command, which are not repeated by a message's retries.
//!
//! In: a call, or several calls that can be repeated together. Out: the last result. Always: a call that may have had
//! an effect is repeated only if the repetition finds that effect, or changes nothing.

use std::time::Duration;

use backon::Retryable;

use crate::twilio::{CallError, Operation};

/// The target of this module's log lines: a filter that names it follows the module wherever it moves.
pub const PATIENCE_LOG: &str = module_path!();

/// The waits after each failure but the last. Most failures concern one connection or one server: the first wait is
/// short. In total they are half a minute, as long as a load balancer or a deployment at Twilio needs to switch to other
/// servers.
const WAITS: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(8),
    Duration::from_secs(18),
];

/// The longest wait that is accepted from a reply's `Retry-After`.
const ASKED_MAX: Duration = Duration::from_secs(60);

/// The settings of a patient client.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The time after which Twilio's lists show an effect.
    pub settle_time: Duration,
}

/// Repeats a call until it succeeds, has failed six times, or fails with an error that a repetition cannot fix.
/// `retriable` returns the failed call, if it may be repeated.
///
/// # Errors
///
/// The last error.
pub async fn patiently<T, E, F: Future<Output = Result<T, E>>>(
    call: impl FnMut() -> F,
    retriable: impl Fn(&E) -> Option<&CallError>,
) -> Result<T, E> {
    let asked = |error: &E| retriable(error).and_then(CallError::retry_after);
    call.retry(WAITS.into_iter())
        .when(|error| retriable(error).is_some())
        .adjust(|error, wait| {
            let asked = asked(error).unwrap_or_default().min(ASKED_MAX);
            wait.map(|wait| wait.max(asked))
        })
        .notify(|error, wait| {
            let error = retriable(error).map(tracing::field::display);
            tracing::warn!(
                error,
                "a call to Twilio failed; the next try is in {} s",
                wait.as_secs_f32()
            );
        })
        .await
}

/// Whether the call may be repeated after this error.
pub(super) fn may_repeat(operation: Operation, error: &CallError) -> bool {
    error.may_pass() && !(error.is_in_doubt() && operation.is_changing())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn in_doubt() -> CallError {
        CallError::InDoubt {
            detail: "no reply".to_owned(),
            status: Some(503),
            code: None,
            retry_after: None,
        }
    }

    #[test]
    fn what_a_repeat_would_double_is_not_repeated() {
        let unsent = CallError::NotSent {
            detail: "refused".to_owned(),
        };
        for (operation, again) in [
            (Operation::ListFlexFlows, true),
            (Operation::FetchConfiguration, true),
            (Operation::CreateFlexFlow, false),
            (Operation::CreateConversationMessage, false),
        ] {
            assert_eq!(may_repeat(operation, &in_doubt()), again, "{operation}");
            assert!(may_repeat(operation, &unsent), "{operation}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn six_failures_are_enough() {
        let calls = Cell::new(0);
        let failing = || {
            calls.set(calls.get() + 1);
            std::future::ready(Err::<(), _>(in_doubt()))
        };
        assert!(patiently(failing, |error| Some(error)).await.is_err());
        assert_eq!(calls.get(), 6);
        let failing = || {
            calls.set(calls.get() + 1);
            std::future::ready(Err::<(), _>(in_doubt()))
        };
        assert!(patiently(failing, |_| None).await.is_err());
        assert_eq!(calls.get(), 7, "what must not be repeated is not");
    }
}
