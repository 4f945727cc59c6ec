//! Whether the account is full, by the number of its calls under way that Twilio's replies tell (header
//! `Twilio-Concurrent-Requests`): known before Twilio refuses a call.
//!
//! In: the number in each reply, and whether Twilio refused that call as one too many. Out: whether the account is
//! full. Always: the account is full one call below the lowest number that was refused in the last ten minutes. While
//! nothing was refused, it is full above this configuration's concurrency: other programs use the account too, and its
//! limit is unpublished (error 20429).

use crate::pacing::Nanos;

/// How long a refusal counts: Twilio may raise the account's limit later.
const REFUSAL_COUNTS: Nanos = 600_000_000_000;

/// What Twilio's replies tell of the calls of the whole account.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AccountCalls {
    /// The lowest number of calls under way at which one was refused, and when.
    refused: Option<(u32, Nanos)>,
}

impl AccountCalls {
    /// Takes note of a reply that tells `under_way` calls of the account. `allowed`: how many calls all consumers
    /// together may have under way. Returns whether the account is full: one more call would be too many.
    pub(in crate::pacing) fn note(
        &mut self,
        under_way: u32,
        is_too_many: bool,
        allowed: u32,
        now: Nanos,
    ) -> bool {
        let is_old = |at: Nanos| now.saturating_sub(at) >= REFUSAL_COUNTS;
        self.refused = self.refused.filter(|(_, at)| !is_old(*at));
        if is_too_many {
            let fewest = self
                .refused
                .map_or(under_way, |(fewest, _)| fewest.min(under_way));
            self.refused = Some((fewest, now));
            return false;
        }
        match &mut self.refused {
            None => under_way > allowed,
            // At least as many as were refused, and Twilio accepted this call: the limit is higher.
            Some((fewest, _)) if under_way >= *fewest => {
                *fewest = under_way.saturating_add(1);
                true
            }
            Some((fewest, _)) => under_way.saturating_add(1) >= *fewest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_full_below_what_was_refused_lately_or_else_above_the_setting() {
        let mut calls = AccountCalls::default();
        let second = 1_000_000_000;
        assert!(!calls.note(40, false, 40, second));
        assert!(calls.note(41, false, 40, second));
        // Refused at 30: other programs have calls under way too.
        assert!(!calls.note(30, true, 40, 2 * second));
        assert!(!calls.note(28, false, 40, 3 * second));
        assert!(calls.note(29, false, 40, 3 * second));
        // Twilio accepts thirty after all.
        assert!(calls.note(30, false, 40, 4 * second));
        assert!(!calls.note(29, false, 40, 4 * second));
        // A refusal counts for ten minutes.
        assert!(!calls.note(30, false, 40, 602 * second));
    }
}
