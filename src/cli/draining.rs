//! Runs a worker until it ends or is asked to stop, and says what a stop waits for.

use std::convert::Infallible;
use std::time::Duration;

use crate::message::CampaignId;
use crate::operate::{counted, words};
use crate::service::Service;
use crate::shutdown::Stopper;
use crate::worker::{RunEnd, Until, Worker};

use super::Problem;
use super::voice::Voice;

/// How often a stop that takes long says again what it waits for.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// Runs the worker. After a stop, waits for it at most `work.drain`; `None` when it took longer. Says at once what a stop
/// waits for.
pub(super) async fn drained(
    service: &Service,
    worker: &Worker,
    only: &[CampaignId],
    until: Until,
    stop: &Stopper,
    voice: Voice,
) -> Result<Option<RunEnd>, Problem> {
    let drain = service.config.file.work.drain;
    let watchdog = async {
        stop.stopped().await;
        service.clock.sleep(drain).await;
    };
    tokio::select! {
        biased;
        // First, so that a stop is said even if nothing has to be waited for.
        never = say_stopping(service, worker, stop, voice) => match never {},
        end = worker.run(only, until, stop) => Ok(Some(end?)),
        () = watchdog => {
            voice.warn(&not_drained(worker.in_flight(), drain));
            Ok(None)
        }
    }
}

/// Says what a stop waits for, at once and again while it lasts.
async fn say_stopping(
    service: &Service,
    worker: &Worker,
    stop: &Stopper,
    voice: Voice,
) -> Infallible {
    stop.stopped().await;
    voice.say(&stopping(worker.in_flight()));
    loop {
        service.clock.sleep(SAY_AGAIN).await;
        voice.say(&still_waiting(worker.in_flight()));
    }
}

fn stopping(in_flight: u64) -> String {
    let verb = match in_flight {
        0 => return "Stopping: no message is in flight.".to_owned(),
        1 => "finishes",
        _ => "finish",
    };
    format!(
        "Stopping: {} in flight {verb} first. Press Ctrl-C again to stop at once.",
        counted(in_flight, "message")
    )
}

fn still_waiting(in_flight: u64) -> String {
    format!(
        "Still waiting for {} in flight.",
        counted(in_flight, "message")
    )
}

fn not_drained(in_flight: u64, drain: Duration) -> String {
    format!(
        "Stopped with {} in flight after {} (work.drain): they continue when their leases expire, in the next run or \
         in another consumer.",
        counted(in_flight, "message"),
        words(drain)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_says_what_it_waits_for() {
        let table = [
            (0, "Stopping: no message is in flight."),
            (
                1,
                "Stopping: 1 message in flight finishes first. Press Ctrl-C again to stop at once.",
            ),
            (
                12,
                "Stopping: 12 messages in flight finish first. Press Ctrl-C again to stop at once.",
            ),
        ];
        for (in_flight, expected) in table {
            assert_eq!(stopping(in_flight), expected);
        }
    }
}
