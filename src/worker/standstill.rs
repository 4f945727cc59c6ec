//! Why nothing moves any more: the error with which a run ends that was to end by itself.
//!
//! In: the state of this consumer, the ledger and the queue. Out: the reason in words, and the messages that are open.
//! Always: it names each cause that this process knows; without one, what the open messages wait for.

use crate::ledger::{ConsumerRow, OpenMessages};
use crate::message::CampaignId;

use super::patience::STANDS_STILL_MAX;
use super::{WorkError, WorkerState};

/// The error with which a run ends that stood still, with the reason.
pub(super) async fn stands_still(shared: &WorkerState) -> WorkError {
    let minutes = STANDS_STILL_MAX.as_secs() / 60;
    let reasons = match shared.parts.ledger.loss() {
        Some(loss) => vec![format!("the ledger is lost: {}", loss.why)],
        None => reasons(shared).await,
    };
    let open = match open(shared).await {
        open if open.is_empty() => String::new(),
        open => format!(". Still open: {}", open.join("; ")),
    };
    WorkError::StandsStill(format!(
        "nothing has moved for {minutes} minutes, so this run ends: {}{open}. Repeat the command to continue; \
         flexcast status shows more",
        reasons.join("; ")
    ))
}

/// The open messages of each campaign that has any. Empty if the ledger does not answer.
async fn open(shared: &WorkerState) -> Vec<String> {
    let Ok(books) = shared.parts.ledger.books_of_each().await else {
        return Vec::new();
    };
    let each = books
        .iter()
        .map(|(id, books)| (id, OpenMessages::from(books)));
    each.filter(|(_, open)| open.total() > 0)
        .map(|(id, open)| open_of(id, &open))
        .collect()
}

fn open_of(id: &CampaignId, open: &OpenMessages) -> String {
    let terms = [
        (open.queued, "queued"),
        (open.scheduled, "scheduled"),
        (open.retrying, "retrying"),
        (open.held, "held"),
        (open.in_flight, "in flight"),
    ];
    let terms = terms.iter().filter(|(count, _)| *count > 0);
    let terms: Vec<_> = terms
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    format!("campaign {id} has {}", terms.join(", "))
}

async fn reasons(shared: &WorkerState) -> Vec<String> {
    let parts = &shared.parts;
    let mut reasons = shared.hindrances.sentences();
    for obstacle in parts.queue.obstacles() {
        reasons.push(format!("queue {}: {}", obstacle.queue, obstacle.why));
    }
    let (books, consumers) = tokio::join!(
        parts.ledger.books(None),
        parts.ledger.consumers(parts.clock.now())
    );
    let Ok(books) = books else {
        reasons.push("the ledger does not answer".to_owned());
        return reasons;
    };
    let others: Vec<_> = consumers
        .map(|(_, consumers)| consumers)
        .unwrap_or_default()
        .into_iter()
        .filter(|one| one.holder != parts.holder)
        .collect();
    let elsewhere = books.in_flight.saturating_sub(shared.slots.occupied());
    if elsewhere > 0 && !others.is_empty() {
        reasons.push(format!(
            "{elsewhere} messages are in flight at other consumers ({})",
            names(&others)
        ));
    }
    if reasons.is_empty() {
        reasons.push(match OpenMessages::from(&books) {
            open if open.in_flight > 0 => {
                format!("{} messages in flight do not end", open.in_flight)
            }
            open if open.queued > 0 => {
                format!("the queue delivers none of {} queued messages", open.queued)
            }
            _ => "no reason is known".to_owned(),
        });
    }
    reasons
}

fn names(consumers: &[ConsumerRow]) -> String {
    let names: Vec<_> = consumers.iter().map(ToString::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::hindrances::{Hindered, Hindrances};

    #[test]
    fn open_messages_are_named_by_what_they_wait_for() {
        let id = CampaignId::parse("spring").expect("an id");
        let open = OpenMessages {
            queued: 5,
            held: 2,
            in_flight: 1,
            ..OpenMessages::default()
        };
        assert_eq!(
            open_of(&id, &open),
            "campaign spring has 5 queued, 2 held, 1 in flight"
        );
    }

    #[test]
    fn an_error_is_named_until_the_same_thing_succeeds() {
        let hindrances = Hindrances::default();
        let spring = Hindered::Campaign(CampaignId::parse("spring").expect("an id"));
        hindrances.failed(Hindered::Marks, &"Twilio refuses");
        hindrances.failed(spring.clone(), &"no such queue");
        hindrances.failed(spring.clone(), &"no right");
        let sentences = hindrances.sentences();
        assert_eq!(sentences.len(), 2, "{sentences:?}");
        assert!(sentences[0].ends_with("Twilio refuses"), "{sentences:?}");
        assert_eq!(sentences[1], "campaign spring cannot be consumed: no right");
        hindrances.succeeded(&Hindered::Marks);
        hindrances.succeeded(&spring);
        assert_eq!(hindrances.sentences(), Vec::<String>::new());
    }
}
