//! How many calls of the account are under way at Twilio, as its replies tell (header `Twilio-Concurrent-Requests`), and
//! whether that is as many as may be: before one is refused.
//!
//! In: the number in each reply, and whether the call was refused for it. Out: whether the account is full. Always: full
//! is what was refused of late; while nothing was refused, what is above our own setting: then others use the account
//! too, and its limit is not known (error 20429).

use crate::pacing::Nanos;

/// How long a refusal counts: Twilio may have raised the account's limit since.
const REFUSAL_COUNTS: Nanos = 600_000_000_000;

/// What replies told of the whole account.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AccountCalls {
    /// The fewest calls under way of which one was refused, and when.
    refused: Option<(u32, Nanos)>,
}

impl AccountCalls {
    /// Takes note of a reply that came while the account had this many calls under way. `ours`: how many all
    /// consumers together may have. Whether one more would be too many.
    pub(in crate::pacing) fn note(
        &mut self,
        under_way: u32,
        is_too_many: bool,
        ours: u32,
        now: Nanos,
    ) -> bool {
        let is_old = |at: Nanos| now.saturating_sub(at) >= REFUSAL_COUNTS;
        self.refused = self.refused.filter(|(_, at)| !is_old(*at));
        if is_too_many {
            let fewest = self
                .refused
                .map_or(under_way, |(most, _)| most.min(under_way));
            self.refused = Some((fewest, now));
            return false;
        }
        match &mut self.refused {
            None => under_way > ours,
            // As many as were refused, and this one was carried out: the limit is higher.
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
    fn full_is_what_was_refused_of_late_and_else_what_is_above_our_own() {
        let mut told = AccountCalls::default();
        let second = 1_000_000_000;
        assert!(!told.note(40, false, 40, second));
        assert!(told.note(41, false, 40, second));
        // LaneRefusal at 30, with strangers' calls among them.
        assert!(!told.note(30, true, 40, 2 * second));
        assert!(!told.note(28, false, 40, 3 * second));
        assert!(told.note(29, false, 40, 3 * second));
        // Thirty were taken after all.
        assert!(told.note(30, false, 40, 4 * second));
        assert!(!told.note(29, false, 40, 4 * second));
        // A refusal counts for ten minutes.
        assert!(!told.note(30, false, 40, 602 * second));
    }
}
