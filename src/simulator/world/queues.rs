//! The queues of senders: a queue fills with segments, and drains at its sender's rate.
//!
//! In: a sender, a text, a time. Out: whether the queue had room. Always: a sender without a rate has no queue; a
//! text is not added to a full queue.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

/// The length of a queue: the segments that its sender sends in ten hours (Twilio's error 30001).
const QUEUE: Duration = Duration::from_secs(10 * 3_600);

/// The rates and the length of senders' queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderQueues {
    /// Segments per second by sender, in Twilio's form; at least 1.
    pub rates: BTreeMap<String, u32>,
    /// The length of a queue, as the time that it takes to send it.
    pub queue: Duration,
}

impl Default for SenderQueues {
    fn default() -> Self {
        Self {
            rates: BTreeMap::new(),
            queue: QUEUE,
        }
    }
}

/// The time at which each sender's queue is empty.
#[derive(Debug, Default)]
pub(in crate::simulator) struct Queues {
    empty_at: BTreeMap<String, Timestamp>,
}

impl Queues {
    /// Whether a sender's queue has room for another text at `now`.
    pub(in crate::simulator) fn has_room(
        &self,
        sending: &SenderQueues,
        sender: &str,
        now: Timestamp,
    ) -> bool {
        let empty_at = self.empty_at.get(sender).copied().unwrap_or(now);
        let left = Duration::try_from(empty_at.duration_since(now)).unwrap_or_default();
        !sending.rates.contains_key(sender) || left <= sending.queue
    }

    /// Puts a text into its sender's queue.
    pub(in crate::simulator) fn fill(
        &mut self,
        sending: &SenderQueues,
        sender: &str,
        text: &str,
        now: Timestamp,
    ) {
        let Some(rate) = sending.rates.get(sender) else {
            return;
        };
        let took = Duration::from_secs(1) * segments(text) / (*rate).max(1);
        let empty_at = self.empty_at.entry(sender.to_owned()).or_insert(now);
        let from = (*empty_at).max(now);
        *empty_at = from.checked_add(took).unwrap_or(from);
    }
}

/// The approximate number of segments: for ASCII, 160 characters in a single segment and 153 in each of several;
/// otherwise 70 and 67.
fn segments(text: &str) -> u32 {
    let (alone, each) = if text.is_ascii() {
        (160, 153)
    } else {
        (70, 67)
    };
    let units = text.encode_utf16().count();
    if units <= alone {
        return 1;
    }
    u32::try_from(units.div_ceil(each)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_full_when_it_holds_more_than_its_time_and_drains() {
        let sending = SenderQueues {
            rates: BTreeMap::from([("+12025550100".to_owned(), 2)]),
            queue: Duration::from_secs(3),
        };
        let mut queues = Queues::default();
        let at = |secs: i64| Timestamp::from_second(secs).expect("a time");
        let mut taken = 0;
        while queues.has_room(&sending, "+12025550100", at(0)) {
            queues.fill(&sending, "+12025550100", &"a".repeat(161), at(0));
            taken += 1;
        }
        // Two segments take a second: with the fourth there are more than three seconds in it.
        assert_eq!(taken, 4);
        assert!(queues.has_room(&sending, "+12025550101", at(0)));
        assert!(queues.has_room(&sending, "+12025550100", at(1)));
    }
}
