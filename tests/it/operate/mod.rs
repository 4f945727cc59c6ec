//! The operators' door without a process: operations and read models on a ledger and a queue in memory.

mod checklist;
mod dead;
mod export;
mod importing;
mod looking;
mod steering;
mod why;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flexcast::campaign::Campaign;
use flexcast::clock::Clock;
use flexcast::intake::{ContactsOptions, Input};
use flexcast::ledger::{
    Acceptance, Actor, Ending, Ledger, MessageKey, Settlement, Standing, Stray, Taken,
};
use flexcast::message::{
    CampaignId, Channel, DeadReason, Failure, FailureClass, Message, MessageId, UnknownReason,
};
use flexcast::operate::{ImportRequest, Operations, ReadModels, Replacing};
use flexcast::queue::Queue;
use flexcast::queue::embedded::EmbeddedQueue;

/// A campaign file, as far as these tests need one.
const SPRING: &str = "id = 'spring'\nchannel = 'sms'\nstrategy = 'task_on_reply'\nsender = '+12025550100'\n\
                      body = 'Hello {{ customer.name }}'\n[flex]\nstudio_flow_sid = 'FW1'\n";

/// An operator's desk: a ledger, a queue, and who sits there.
struct Desk {
    ledger: Arc<Ledger>,
    queue: Arc<dyn Queue>,
    clock: Clock,
}

impl Desk {
    /// A desk whose ledger has the campaign `spring`, with a pace.
    async fn with_spring() -> Self {
        let clock = Clock::system();
        let desk = Self {
            ledger: Arc::new(Ledger::in_memory().expect("a ledger")),
            queue: Arc::new(EmbeddedQueue::in_memory(clock).expect("a queue")),
            clock,
        };
        let applying = desk.operations();
        let applied = applying
            .apply(spring_file(), &Replacing::default(), &|_| {})
            .await
            .expect("it is applied");
        assert_eq!(applied.record.id, spring());
        desk
    }

    fn read(&self) -> ReadModels {
        ReadModels {
            ledger: Arc::clone(&self.ledger),
            clock: self.clock,
        }
    }

    fn operations(&self) -> Operations {
        Operations {
            ledger: Arc::clone(&self.ledger),
            clock: self.clock,
            by: ada(),
        }
    }

    /// Accepts messages 1 to `n`.
    async fn accept(&self, n: u32) {
        for n in 1..=n {
            let accepted = self
                .operations()
                .accept_message(message(n), &*self.queue)
                .await;
            assert_eq!(accepted.expect("it is there"), Acceptance::Accepted);
        }
    }

    /// Imports a file of contacts.
    async fn import(&self, path: &Path) {
        let record = self.read().campaign(&spring()).await;
        let record = record.expect("it is applied");
        let input = Input::open(path, &ContactsOptions::new(Channel::Sms));
        let request = ImportRequest {
            record: &record,
            campaign: &spring_file(),
            input: input.expect("a file of contacts"),
            rejects: None,
            again: false,
        };
        let operations = self.operations();
        let importing = operations.import(request, &*self.queue, &|_| {}).await;
        importing.expect("it is imported");
    }

    /// Ends message `n` as a consumer does.
    async fn end(&self, n: u32, ending: Ending) {
        let (now, lease_for) = (self.clock.now(), Duration::from_secs(60));
        let message = message(n);
        let taken = self.ledger.take(&message, "consumer", now, lease_for);
        let Ok(Taken::Leased(taken)) = taken.await else {
            panic!("message {n} should have been leased");
        };
        let settlement = Settlement::Ended {
            ending,
            effects: Box::default(),
        };
        let settling = self.ledger.settle(&taken.lease, &[], &settlement, now);
        settling.await.expect("the lease is good");
    }

    /// Refuses a delivery of the campaign's queue as a consumer does.
    async fn refuse(&self, reason: DeadReason) {
        let stray = Stray {
            campaign: spring(),
            reason,
            detail: "missing field `customer`".to_owned(),
            body: "{}".to_owned(),
        };
        let recording = self.ledger.record_stray(&stray, self.clock.now()).await;
        recording.expect("it is recorded");
    }

    async fn standing(&self, n: u32) -> Standing {
        let record = self.read().message(&key(n)).await;
        record.expect("it is known").standing
    }
}

fn spring() -> CampaignId {
    campaign_id("spring")
}

fn campaign_id(id: &str) -> CampaignId {
    CampaignId::parse(id).expect("an id")
}

fn spring_file() -> Campaign {
    toml::from_str(SPRING).expect("a campaign file")
}

fn ada() -> Actor {
    Actor::Operator {
        user: "ada".to_owned(),
        host: "desk".to_owned(),
    }
}

fn message(n: u32) -> Message {
    let json = serde_json::json!({
        "version": 1, "campaign": "spring", "id": format!("crm-{n}"), "sender": "+12025550100",
        "customer": {"address": format!("+1202{:07}", 5_550_000 + n), "name": "Clark",
                     "attributes": {"plan": "gold"}},
        "body": "Hello Clark",
    });
    serde_json::from_value(json).expect("a message")
}

fn key(n: u32) -> MessageKey {
    MessageKey {
        campaign: spring(),
        id: MessageId::parse(&format!("crm-{n}")).expect("an id"),
    }
}

fn dead() -> Ending {
    let class = FailureClass::Permanent(DeadReason::Rejected);
    Ending::Dead {
        reason: DeadReason::Rejected,
        failure: Box::new(Failure::new(class, "Twilio refused")),
    }
}

fn unknown() -> Ending {
    Ending::Unknown {
        reason: UnknownReason::NotFound,
        evidence: "two look-ups".to_owned(),
    }
}

fn done() -> Ending {
    Ending::Done {
        already_sent: false,
    }
}
