//! Exchanges and queues: their names, arguments and declaration.
//!
//! ```text
//! flexcast (direct, key = campaign) --> flexcast.work.<campaign>, or without one flexcast.orphan
//! flexcast.retry.<level> (fanout) --> queue of the same name, TTL --> flexcast, key kept
//! flexcast.dead (fanout) --> queue of the same name
//! flexcast.rejected (topic, key = campaign) --> queues of publishers: refusals
//! flexcast.probe: a queue that holds one message, the last probe for a majority of the nodes
//! flexcast.ledger: an exchange without messages; its argument is the ledger's id
//! ```
//!
//! Always: every queue is a quorum queue, and RabbitMQ 3.10 and all later versions know every argument: a
//! declaration after an upgrade must not differ.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use super::broker::connection::Link;
use crate::message::CampaignId;
use crate::queue::{QueueError, Result};

pub(super) const EXCHANGE: &str = "flexcast";
pub(super) const ORPHAN: &str = "flexcast.orphan";
pub(super) const DEAD: &str = "flexcast.dead";
/// The queue of probes: it holds only the last one.
pub(super) const PROBE: &str = "flexcast.probe";
pub(super) const REJECTED: &str = "flexcast.rejected";
/// The header of a dead letter and of a refusal that says why.
pub(super) const REASON: &str = "flexcast-reason";
pub(super) const WORK_PREFIX: &str = "flexcast.work.";
const LEDGER: &str = "flexcast.ledger";
const LEDGER_PREFIX: &str = "flexcast.ledger:";

/// The number of redeliveries before the broker drops a message: unlimited, in practice. The broker also counts
/// kills and lost connections, which are not the message's fault; the ledger counts the real attempts. The argument
/// is set because RabbitMQ 4 defaults to 20; its -1 for "no limit" is newer than 3.10. With a limit, requeued
/// messages go to the head of the queue, without one to the tail.
const DELIVERY_LIMIT: i32 = i32::MAX;

/// The argument for the initial number of members of a quorum queue.
const MEMBERS: &str = "x-quorum-initial-group-size";

/// The retry delays with their queues. Each delay has its own queue: in a queue of mixed delays, a long one blocks
/// the short ones behind it.
const LEVELS: [(Duration, &str); 4] = [
    (Duration::from_secs(1), "flexcast.retry.1s"),
    (Duration::from_secs(5), "flexcast.retry.5s"),
    (Duration::from_secs(15), "flexcast.retry.15s"),
    (Duration::from_secs(60), "flexcast.retry.60s"),
];

/// The queue of a campaign.
pub(super) fn work_queue(campaign: &CampaignId) -> String {
    format!("{WORK_PREFIX}{campaign}")
}

/// The campaign in a queue's name; `None` for other queues.
pub(super) fn campaign_of(queue: &str) -> Option<CampaignId> {
    CampaignId::parse(queue.strip_prefix(WORK_PREFIX)?).ok()
}

/// The exchange of the shortest delay of at least `delay`, or else of the longest one.
pub(super) fn retry_exchange(delay: Duration) -> &'static str {
    let longest = LEVELS[LEVELS.len() - 1];
    let level = LEVELS.iter().find(|level| level.0 >= delay);
    level.unwrap_or(&longest).1
}

/// The names of the retry queues.
pub(super) fn retry_queues() -> impl Iterator<Item = &'static str> {
    LEVELS.iter().map(|(_, name)| *name)
}

/// The delay of a retry queue; `None` for other queues.
pub(super) fn retry_delay(queue: &str) -> Option<Duration> {
    let level = LEVELS.iter().find(|(_, name)| *name == queue);
    level.map(|(delay, _)| *delay)
}

/// Declares the exchanges and queues that all campaigns share, on its own channel.
pub(super) async fn declare_shared(link: &Link) -> Result<()> {
    let mut made = Making::begin(link).await?;
    made.fanout(ORPHAN, quorum()).await?;
    // The alternate exchange receives messages of deleted campaigns. Otherwise some thirty of them in a retry queue
    // would block all retries.
    let arguments = table([("alternate-exchange", text(ORPHAN))]);
    made.exchange(EXCHANGE, ExchangeKind::Direct, arguments)
        .await?;
    made.fanout(DEAD, quorum()).await?;
    // No queue: publishers may bind their own.
    let kind = ExchangeKind::Topic;
    made.exchange(REJECTED, kind, FieldTable::default()).await?;
    // The queue holds one message; the next one replaces it.
    let mut probe = quorum();
    probe.insert("x-max-length".into(), AMQPValue::LongInt(1));
    made.queue(PROBE, probe).await?;
    for (delay, name) in LEVELS {
        let mut arguments = quorum();
        let ttl = AMQPValue::LongInt(i32::try_from(delay.as_millis()).unwrap_or(i32::MAX));
        arguments.insert("x-message-ttl".into(), ttl);
        // No dead-letter routing key: the message keeps its own, the campaign's id.
        arguments.insert("x-dead-letter-exchange".into(), text(EXCHANGE));
        // The default, at most once, would lose messages in transit when the broker dies. At least once requires
        // reject-publish.
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        made.fanout(name, arguments).await?;
    }
    Ok(())
}

/// Declares a campaign's queue, on its own channel.
pub(super) async fn declare_campaign(link: &Link, campaign: &CampaignId) -> Result<()> {
    let name = work_queue(campaign);
    let mut made = Making::begin(link).await?;
    made.queue(&name, quorum()).await?;
    made.bind(&name, EXCHANGE, campaign.as_str()).await
}

/// Binds the virtual host to a ledger: an exchange whose alternate exchange contains the ledger's id.
///
/// The broker compares that argument at every declaration, in one transaction: of two ledgers at the same time, one
/// is refused. A queue with the id as its only message cannot guarantee that: the length limit of a quorum queue is
/// soft, and a message that is being read does not count.
pub(super) async fn declare_ledger(link: &Link, ours: &str) -> Result<()> {
    let arguments = table([("alternate-exchange", text(&ledger_mark(ours)))]);
    let made = Making::begin(link).await?;
    let declared = made.exchange(LEDGER, ExchangeKind::Fanout, arguments).await;
    declared.map_err(|error| match error {
        QueueError::Refused(why) if why.starts_with("PRECONDITION_FAILED") => {
            QueueError::BoundElsewhere {
                ours: ours.to_owned(),
                theirs: ledger_in(&why).unwrap_or("unknown").to_owned(),
            }
        }
        other => other,
    })
}

fn ledger_mark(ledger_id: &str) -> String {
    format!("{LEDGER_PREFIX}{ledger_id}")
}

/// The ledger's id in the broker's refusal: "... received 'flexcast.ledger:b' but current is 'flexcast.ledger:a'".
fn ledger_in(refusal: &str) -> Option<&str> {
    let (_, current) = refusal.rsplit_once(LEDGER_PREFIX)?;
    current.split('\'').next()
}

/// The broker's counts for a queue. For a queue without a leader it reports 0 and 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    /// Messages that are ready for delivery.
    pub(super) ready: u64,
    pub(super) consumers: u64,
}

/// The current counts of a queue.
pub(super) async fn count(link: &Link, channel: &Channel, name: &str) -> Result<Count> {
    let options = QueueDeclareOptions::durable().passive();
    let declaring = channel.queue_declare(name.into(), options, FieldTable::default());
    let queue = link.ask(declaring).await?;
    Ok(Count {
        ready: u64::from(queue.message_count()),
        consumers: u64::from(queue.consumer_count()),
    })
}

/// The current number of ready messages on a queue.
pub(super) async fn ready(link: &Link, channel: &Channel, name: &str) -> Result<u64> {
    count(link, channel, name).await.map(|count| count.ready)
}

/// Tests whether the broker answers and flexcast's exchange exists.
pub(super) async fn look(link: &Link, channel: &Channel) -> Result<()> {
    look_at(link, channel, EXCHANGE, ExchangeKind::Direct).await
}

/// Tests whether the virtual host is bound to a ledger.
pub(super) async fn look_at_ledger(link: &Link, channel: &Channel) -> Result<()> {
    look_at(link, channel, LEDGER, ExchangeKind::Fanout).await
}

async fn look_at(link: &Link, channel: &Channel, name: &str, kind: ExchangeKind) -> Result<()> {
    let options = ExchangeDeclareOptions {
        passive: true,
        ..Default::default()
    };
    link.ask(channel.exchange_declare(name.into(), kind, options, FieldTable::default()))
        .await
}

/// Declares exchanges and queues on one channel.
struct Making<'a> {
    link: &'a Link,
    channel: Channel,
}

impl<'a> Making<'a> {
    async fn begin(link: &'a Link) -> Result<Self> {
        let channel = link.channel().await?;
        Ok(Self { link, channel })
    }

    /// Declares a fanout exchange and its only queue, of the same name. Every message reaches the queue and keeps
    /// its routing key, the campaign's id.
    async fn fanout(&mut self, name: &str, arguments: FieldTable) -> Result<()> {
        let kind = ExchangeKind::Fanout;
        self.exchange(name, kind, FieldTable::default()).await?;
        self.queue(name, arguments).await?;
        self.bind(name, name, "").await
    }

    async fn exchange(&self, name: &str, kind: ExchangeKind, arguments: FieldTable) -> Result<()> {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..Default::default()
        };
        let channel = &self.channel;
        self.link
            .ask(channel.exchange_declare(name.into(), kind, options, arguments))
            .await
    }

    /// Declares a queue with the number of members that `AMQP_URL` asks for. An existing queue keeps its number: it
    /// is an argument, and the broker refuses other arguments.
    async fn queue(&mut self, name: &str, arguments: FieldTable) -> Result<()> {
        let wanted = self.link.quorum_members();
        let declared = self.declare(name, with_members(&arguments, wanted)).await;
        let Err(QueueError::Refused(why)) = &declared else {
            return declared;
        };
        let Some(made_for) = members_in(why) else {
            return declared;
        };
        // The broker has closed the channel with its refusal.
        self.channel = self.link.channel().await?;
        let arguments = with_members(&arguments, made_for);
        self.declare(name, arguments).await?;
        self.link.note_members(name, made_for);
        Ok(())
    }

    async fn declare(&self, name: &str, arguments: FieldTable) -> Result<()> {
        let options = QueueDeclareOptions::durable();
        let declaring = self.channel.queue_declare(name.into(), options, arguments);
        self.link.ask(declaring).await.map(drop)
    }

    async fn bind(&self, queue: &str, from: &str, key: &str) -> Result<()> {
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        let channel = &self.channel;
        self.link
            .ask(channel.queue_bind(queue.into(), from.into(), key.into(), options, arguments))
            .await
    }
}

/// The arguments for a queue with this number of members; `None`: RabbitMQ's default.
fn with_members(arguments: &FieldTable, members: Option<u16>) -> FieldTable {
    let mut arguments = arguments.clone();
    if let Some(members) = members {
        arguments.insert(MEMBERS.into(), AMQPValue::LongInt(i32::from(members)));
    }
    arguments
}

/// The number of members that a queue was declared with, from the broker's refusal: "... received '5' but current
/// is '3'", "... but current is none", or "... but current is the value '3' of type 'signedint'".
fn members_in(refusal: &str) -> Option<Option<u16>> {
    if !refusal.contains(&format!("inequivalent arg '{MEMBERS}'")) {
        return None;
    }
    let (_, current) = refusal.split_once("current is ")?;
    if current.starts_with("none") {
        return Some(None);
    }
    // The first text in quotation marks.
    current.split('\'').nth(1)?.parse().ok().map(Some)
}

fn quorum() -> FieldTable {
    table([
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", AMQPValue::LongInt(DELIVERY_LIMIT)),
    ])
}

fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_rounded_up_to_the_next_level() {
        let table = [
            (0, "flexcast.retry.1s"),
            (1_000, "flexcast.retry.1s"),
            (1_001, "flexcast.retry.5s"),
            (15_000, "flexcast.retry.15s"),
            (16_000, "flexcast.retry.60s"),
            (600_000, "flexcast.retry.60s"),
        ];
        for (ms, name) in table {
            assert_eq!(retry_exchange(Duration::from_millis(ms)), name, "{ms} ms");
        }
    }

    #[test]
    fn the_other_ledger_is_read_from_the_brokers_refusal() {
        let why = "PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange \
                   'flexcast.ledger' in vhost '/': received 'flexcast.ledger:ours' but current is \
                   'flexcast.ledger:theirs'";
        assert_eq!(ledger_in(why), Some("theirs"));
        assert_eq!(ledger_in("PRECONDITION_FAILED"), None);
    }

    #[test]
    fn the_number_of_members_is_read_from_the_brokers_refusal() {
        let told = |rest: &str| {
            format!(
                "PRECONDITION_FAILED - inequivalent arg 'x-quorum-initial-group-size' for queue 'q' in vhost '/': {rest}"
            )
        };
        let none = told("received the value '5' of type 'signedint' but current is none");
        assert_eq!(members_in(&none), Some(None));
        let three = told("received none but current is the value '3' of type 'signedint'");
        assert_eq!(members_in(&three), Some(Some(3)));
        let other = told("received '5' but current is '3'");
        assert_eq!(members_in(&other), Some(Some(3)));
        assert_eq!(members_in("PRECONDITION_FAILED"), None);
    }

    #[test]
    fn the_longest_campaign_id_fits_a_queue_name() {
        let id = CampaignId::parse(&"x".repeat(120)).expect("an id");
        assert!(work_queue(&id).len() <= 255);
    }
}
