//! Patience with Twilio for the calls of a command, which no message's retries stand behind.
//!
//! In: a call, or several that may be made again together. Out: what it came to in the end. Always: a call that may have
//! taken effect is made again only where its repeat finds the first one's effect, or changes nothing.

use std::time::Duration;

use backon::Retryable;

use crate::twilio::{CallError, Operation};

/// How long is waited after each failure but the last: half a minute in all, as long as a load balancer or a
/// deployment at Twilio's side takes to go on elsewhere.
const WAITS_S: [u64; 4] = [1, 3, 8, 18];

/// The longest wait that a reply may ask for.
const ASKED_MAX: Duration = Duration::from_secs(60);

/// How a patient client bears with Twilio.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long an effect may take to show in Twilio's lists.
    pub settle_time: Duration,
}

/// Calls until it succeeds, or fails in a way that another try does not mend, or has failed five times. `retriable` is
/// the call that failed, where it may be made again.
///
/// # Errors
///
/// The last error.
pub async fn patiently<T, E, F: Future<Output = Result<T, E>>>(
    call: impl FnMut() -> F,
    retriable: impl Fn(&E) -> Option<&CallError>,
) -> Result<T, E> {
    let asked = |error: &E| retriable(error).and_then(CallError::retry_after);
    call.retry(WAITS_S.map(Duration::from_secs).into_iter())
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
                wait.as_secs()
            );
        })
        .await
}

/// Whether this call may be made again after this error.
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
    async fn five_failures_are_enough() {
        let calls = Cell::new(0);
        let failing = || {
            calls.set(calls.get() + 1);
            std::future::ready(Err::<(), _>(in_doubt()))
        };
        assert!(patiently(failing, |error| Some(error)).await.is_err());
        assert_eq!(calls.get(), 5);
        let failing = || {
            calls.set(calls.get() + 1);
            std::future::ready(Err::<(), _>(in_doubt()))
        };
        assert!(patiently(failing, |_| None).await.is_err());
        assert_eq!(calls.get(), 6, "what must not be repeated is not");
    }
}
