//! Exchanges and queues: their names, their arguments, and how they are made.
//!
//! ```text
//! flexcast (direct, key = campaign) --> flexcast.work.<campaign>, or without one flexcast.orphan
//! flexcast.retry.<level> (fanout) --> queue of the same name, TTL --> flexcast, key kept
//! flexcast.dead (fanout) --> queue of the same name
//! flexcast.rejected (topic, key = campaign) --> whoever listens: what publishers are told
//! flexcast.ledger: an exchange nobody publishes to; its argument is the ledger's id
//! ```
//!
//! Always: every queue is a quorum queue, and every argument is one that RabbitMQ 3.10 knows and
//! later versions keep: declaring again after an upgrade must not meet other arguments.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use super::connection::Link;
use crate::message::CampaignId;
use crate::queue::{QueueError, Result};

pub(super) const EXCHANGE: &str = "flexcast";
pub(super) const ORPHAN: &str = "flexcast.orphan";
pub(super) const DEAD: &str = "flexcast.dead";
pub(super) const REJECTED: &str = "flexcast.rejected";
pub(super) const WORK_PREFIX: &str = "flexcast.work.";
const LEDGER: &str = "flexcast.ledger";
const LEDGER_PREFIX: &str = "flexcast.ledger:";

/// How often a message may come back before the broker drops it: never, in practice. Kills and lost
/// connections count here although the message did nothing wrong, and the ledger counts real
/// attempts. The argument stands because RabbitMQ 4 takes 20 without it; its -1 for "no limit" is
/// younger than 3.10. With a limit, what is given back goes to the head of the queue, without one to
/// the tail.
const DELIVERY_LIMIT: i32 = i32::MAX;

/// The delays there are, with their queues. One queue each: in a queue of mixed delays a long one
/// holds up the short ones behind it.
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

/// The campaign of a queue's name; `None` for other queues.
pub(super) fn campaign_of(queue: &str) -> Option<CampaignId> {
    CampaignId::parse(queue.strip_prefix(WORK_PREFIX)?).ok()
}

/// The exchange of the shortest delay that is not shorter than `delay`, or of the longest there is.
pub(super) fn retry_exchange(delay: Duration) -> &'static str {
    let longest = LEVELS[LEVELS.len() - 1];
    let level = LEVELS.iter().find(|level| level.0 >= delay);
    level.unwrap_or(&longest).1
}

/// The queues that delay.
pub(super) fn retry_queues() -> impl Iterator<Item = &'static str> {
    LEVELS.iter().map(|(_, name)| *name)
}

/// How long a queue that delays holds a message; `None` for other queues.
pub(super) fn retry_delay(queue: &str) -> Option<Duration> {
    let level = LEVELS.iter().find(|(_, name)| *name == queue);
    level.map(|(delay, _)| *delay)
}

/// Makes what all campaigns share. `link` gives the channel its time limits.
pub(super) async fn declare_shared(link: &Link, channel: &Channel) -> Result<()> {
    fanout(link, channel, ORPHAN, quorum()).await?;
    // A message for a campaign that is gone has nowhere to go. In a retry queue, some thirty of
    // those would stop everybody's retries: the alternate exchange takes them.
    let arguments = table([("alternate-exchange", text(ORPHAN))]);
    exchange(link, channel, EXCHANGE, ExchangeKind::Direct, arguments).await?;
    fanout(link, channel, DEAD, quorum()).await?;
    // No queue: publishers bind their own, and nobody has to.
    let kind = ExchangeKind::Topic;
    exchange(link, channel, REJECTED, kind, FieldTable::default()).await?;
    for (delay, name) in LEVELS {
        let mut arguments = quorum();
        let ttl = AMQPValue::LongInt(i32::try_from(delay.as_millis()).unwrap_or(i32::MAX));
        arguments.insert("x-message-ttl".into(), ttl);
        // No dead-letter routing key: the message keeps its own, which is its campaign.
        arguments.insert("x-dead-letter-exchange".into(), text(EXCHANGE));
        // At most once, the default, would lose what is under way when the broker dies. It needs
        // reject-publish.
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        fanout(link, channel, name, arguments).await?;
    }
    Ok(())
}

/// Makes a campaign's queue.
pub(super) async fn declare_campaign(
    link: &Link,
    channel: &Channel,
    campaign: &CampaignId,
) -> Result<()> {
    let name = work_queue(campaign);
    queue(link, channel, &name, quorum()).await?;
    bind(link, channel, &name, EXCHANGE, campaign.as_str()).await
}

/// Ties the virtual host to a ledger: an exchange whose alternate exchange names it.
///
/// The broker compares that argument whenever the exchange is declared, in one transaction, so of
/// two ledgers that come at once one is refused. A queue that holds the id as its only message
/// cannot promise that: a quorum queue's length limit is soft, and while one looks at the message
/// it does not count.
pub(super) async fn declare_ledger(link: &Link, channel: &Channel, ours: &str) -> Result<()> {
    let arguments = table([("alternate-exchange", text(&ledger_mark(ours)))]);
    let declared = exchange(link, channel, LEDGER, ExchangeKind::Fanout, arguments).await;
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

/// The ledger in the broker's refusal: "... received 'flexcast.ledger:b' but current is
/// 'flexcast.ledger:a'".
fn ledger_in(refusal: &str) -> Option<&str> {
    let (_, current) = refusal.rsplit_once(LEDGER_PREFIX)?;
    current.split('\'').next()
}

/// How many messages wait in a queue, as the broker counts them now.
pub(super) async fn ready(link: &Link, channel: &Channel, name: &str) -> Result<u64> {
    let options = QueueDeclareOptions::durable().passive();
    let declaring = channel.queue_declare(name.into(), options, FieldTable::default());
    let queue = link.ask(declaring).await?;
    Ok(u64::from(queue.message_count()))
}

/// Asks whether the broker answers and our exchange is there.
pub(super) async fn look(link: &Link, channel: &Channel) -> Result<()> {
    look_at(link, channel, EXCHANGE, ExchangeKind::Direct).await
}

/// Asks whether the virtual host is tied to a ledger.
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

/// A fanout exchange and its one queue of the same name: what is published keeps its routing key,
/// the campaign, and lands there whatever it is.
async fn fanout(link: &Link, channel: &Channel, name: &str, arguments: FieldTable) -> Result<()> {
    let kind = ExchangeKind::Fanout;
    exchange(link, channel, name, kind, FieldTable::default()).await?;
    queue(link, channel, name, arguments).await?;
    bind(link, channel, name, name, "").await
}

async fn exchange(
    link: &Link,
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    arguments: FieldTable,
) -> Result<()> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    link.ask(channel.exchange_declare(name.into(), kind, options, arguments))
        .await
}

async fn queue(link: &Link, channel: &Channel, name: &str, arguments: FieldTable) -> Result<()> {
    let options = QueueDeclareOptions::durable();
    link.ask(channel.queue_declare(name.into(), options, arguments))
        .await
        .map(drop)
}

async fn bind(link: &Link, channel: &Channel, queue: &str, from: &str, key: &str) -> Result<()> {
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    link.ask(channel.queue_bind(queue.into(), from.into(), key.into(), options, arguments))
        .await
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
    fn the_longest_campaign_id_fits_a_queue_name() {
        let id = CampaignId::parse(&"x".repeat(120)).expect("an id");
        assert!(work_queue(&id).len() <= 255);
    }
}
