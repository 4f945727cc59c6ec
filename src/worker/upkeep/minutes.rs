//! Logs once a minute what this consumer did, and what is open.
//!
//! In: this process's tally, the books of its campaigns, the parts of Twilio that are away. Out: a line in the log.
//! Always: while nothing changes, a line comes every ten minutes if messages are open, and one line in all if none is.

use std::convert::Infallible;
use std::time::Duration;

use crate::ledger::{LedgerError, OpenMessages};
use crate::message::CampaignId;
use crate::worker::tally::EndedMessages;
use crate::worker::{WorkerState, is_among};

/// How often what happened is looked at.
const MINUTE: Duration = Duration::from_secs(60);

/// After how many minutes without a change the line is repeated while messages are open.
const REPEATED_AFTER: u32 = 10;

/// Logs the minutes of a consumer of the campaigns in `only`, or of all, for as long as the future is polled.
pub(in crate::worker) async fn keep(shared: &WorkerState, only: &[CampaignId]) -> Infallible {
    let parts = &shared.parts;
    let mut log = MinuteLog::default();
    let (mut ended, mut began) = (shared.tally.so_far(), parts.clock.instant());
    loop {
        parts.clock.sleep(MINUTE).await;
        // A ledger that is lost is in the log already.
        parts.ledger.back().await;
        let Ok(open) = open(shared, only).await else {
            continue;
        };
        let so_far = shared.tally.so_far();
        let now = parts.clock.instant();
        let minute = Minute {
            ended: so_far.since(&ended),
            open,
        };
        let took = now.saturating_duration_since(began);
        (ended, began) = (so_far, now);
        match log.line(minute) {
            Some(MinuteLine::Work) => tell(shared, &minute, took),
            Some(MinuteLine::Idle) => {
                tracing::info!("nothing to do: no message is open");
            }
            None => {}
        }
    }
}

/// The open messages of these campaigns.
async fn open(shared: &WorkerState, only: &[CampaignId]) -> Result<OpenMessages, LedgerError> {
    let each = shared.parts.ledger.books_of_each().await?;
    let ours = each.iter().filter(|(id, _)| is_among(only, id));
    let mut all = OpenMessages::default();
    for (_, books) in ours {
        all += OpenMessages::from(books);
    }
    Ok(all)
}

fn tell(shared: &WorkerState, minute: &Minute, took: Duration) {
    let parts = &shared.parts;
    let Minute { ended, open } = minute;
    let away = parts.twilio.outages().away(parts.clock.now());
    let away: Vec<_> = away.iter().map(ToString::to_string).collect();
    let away = (!away.is_empty()).then(|| away.join("; "));
    tracing::info!(
        done = ended.done,
        skipped = ended.skipped,
        dead = ended.dead,
        unknown = ended.unknown,
        per_minute = per_minute(ended.total(), took),
        queued = open.queued,
        scheduled = open.scheduled,
        retrying = open.retrying,
        held = open.held,
        in_flight = open.in_flight,
        twilio_away = away,
        "messages that ended in the last minute, and messages that are open now"
    );
}

/// A number of messages in a time, as messages in a minute.
fn per_minute(messages: u64, took: Duration) -> u64 {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    messages.saturating_mul(60_000) / millis
}

/// What happened in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Minute {
    /// In this process.
    ended: EndedMessages,
    /// At the end of the minute, in the ledger.
    open: OpenMessages,
}

/// The line of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MinuteLine {
    /// What was done, and what is open.
    Work,
    /// Nothing is open.
    Idle,
}

/// Decides which minutes have a line.
#[derive(Debug, Default)]
struct MinuteLog {
    /// What was open at the end of the last minute.
    open: Option<OpenMessages>,
    /// How many minutes have passed without a change.
    unchanged: u32,
    is_idle_said: bool,
}

impl MinuteLog {
    fn line(&mut self, minute: Minute) -> Option<MinuteLine> {
        let before = self.open.replace(minute.open);
        let has_ended = minute.ended.total() > 0;
        let is_open = minute.open.total() > 0;
        let has_changed = before.unwrap_or_default() != minute.open;
        if has_ended || has_changed {
            (self.unchanged, self.is_idle_said) = (0, false);
            return Some(MinuteLine::Work);
        }
        if !is_open {
            let is_said = std::mem::replace(&mut self.is_idle_said, true);
            return (!is_said).then_some(MinuteLine::Idle);
        }
        self.unchanged = (self.unchanged + 1) % REPEATED_AFTER;
        (self.unchanged == 0).then_some(MinuteLine::Work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(done: u64, queued: u64) -> Minute {
        Minute {
            ended: EndedMessages {
                done,
                ..EndedMessages::default()
            },
            open: OpenMessages {
                queued,
                ..OpenMessages::default()
            },
        }
    }

    #[test]
    fn a_consumer_without_work_says_so_once_and_then_nothing() {
        let mut log = MinuteLog::default();
        let said: Vec<_> = (0..30).filter_map(|_| log.line(minute(0, 0))).collect();
        assert_eq!(said, [MinuteLine::Idle]);
        assert_eq!(log.line(minute(3, 0)), Some(MinuteLine::Work));
        assert_eq!(log.line(minute(0, 0)), Some(MinuteLine::Idle));
        assert_eq!(log.line(minute(0, 0)), None);
        assert_eq!(log.line(minute(0, 5)), Some(MinuteLine::Work));
    }

    #[test]
    fn messages_that_stay_open_are_named_every_ten_minutes() {
        let mut log = MinuteLog::default();
        let lines: Vec<_> = (0..21).map(|_| log.line(minute(0, 7))).collect();
        let at = lines.iter().enumerate().filter(|(_, line)| line.is_some());
        assert_eq!(at.map(|(at, _)| at).collect::<Vec<_>>(), [0, 10, 20]);
        // Each minute in which something ends has its line, even if as much came.
        assert_eq!(log.line(minute(1, 7)), Some(MinuteLine::Work));
        assert_eq!(log.line(minute(1, 7)), Some(MinuteLine::Work));
    }

    #[test]
    fn a_rate_is_per_minute_whatever_time_passed() {
        assert_eq!(per_minute(58, MINUTE), 58);
        assert_eq!(per_minute(58, MINUTE * 2), 29);
        assert_eq!(per_minute(0, Duration::ZERO), 0);
    }
}
