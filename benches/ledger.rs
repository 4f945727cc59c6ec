//! What the ledger takes: acceptances, turns from take to settle, and the books of a long campaign.
//!
//! Prints what it measured; durable figures depend on the disk. The number of messages is the first
//! argument, 100000 without one. With `DATABASE_URL`, which names an empty database, PostgreSQL is
//! measured too.

use std::sync::Arc;
use std::time::Duration;

use flexcast::clock::Clock;
use flexcast::ledger::{CampaignRecord, Ending, LeasedMessage, Ledger, Publication, Settlement};
use flexcast::message::{CampaignId, Event, Message};

const BATCH: usize = 500;
const IN_FLIGHT: usize = 64;
const TURNS: usize = 20_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let count = std::env::args().find_map(|argument| argument.parse().ok());
    let count: usize = count.unwrap_or(100_000);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = folder.path().join("ledger.db");
    measure("file", Arc::new(Ledger::open(&path)?), count).await?;
    measure("memory", Arc::new(Ledger::in_memory()?), count).await?;
    if let Ok(url) = std::env::var("DATABASE_URL") {
        let ledger = Ledger::connect(&url).await?;
        measure("postgresql", Arc::new(ledger), count).await?;
    }
    Ok(())
}

async fn measure(store: &str, ledger: Arc<Ledger>, count: usize) -> anyhow::Result<()> {
    let clock = Clock::system();
    let campaign = CampaignId::parse("bench")?;
    let record = CampaignRecord::running(campaign.clone(), serde_json::Value::Null, clock.now());
    ledger.save_campaign(&record, false, None).await?;
    let messages: Vec<_> = (0..count).map(message).collect::<Result<_, _>>()?;

    let begun = clock.instant();
    for batch in messages.chunks(BATCH) {
        let now = clock.now();
        ledger.accept(&campaign, batch, None, now, now).await?;
    }
    rate(store, "accept, batches of 500", count, begun.elapsed());

    let begun = clock.instant();
    for batch in messages.chunks(BATCH) {
        let published: Vec<_> = batch.iter().map(Publication::first).collect();
        ledger.mark_queued(&published).await?;
    }
    rate(store, "mark_queued, batches of 500", count, begun.elapsed());

    let turns = TURNS.min(count);
    let begun = clock.instant();
    let mut tasks = tokio::task::JoinSet::new();
    for part in messages[..turns].chunks(turns.div_ceil(IN_FLIGHT)) {
        let (ledger, part) = (Arc::clone(&ledger), part.to_vec());
        tasks.spawn(async move { turns_of(&ledger, clock, &part).await });
    }
    for turned in tasks.join_all().await {
        turned?;
    }
    rate(
        store,
        "take, record, settle, 64 at once",
        turns,
        begun.elapsed(),
    );

    // Once to warm up: the first look opens a connection of its own.
    ledger.has_open(&campaign, true).await?;
    let begun = clock.instant();
    anyhow::ensure!(
        ledger.has_open(&campaign, false).await? == (turns < count),
        "what was not taken waits"
    );
    took(store, "is anything open", count, begun.elapsed());

    let begun = clock.instant();
    let books = ledger.books_of_each().await?;
    let books = &books[&campaign];
    anyhow::ensure!(books.balance() && books.done == turns as u64, "{books:?}");
    took(store, "books", count, begun.elapsed());

    let begun = clock.instant();
    let on_queue = ledger.on_queue(clock.now()).await?;
    let waiting = on_queue.get(&campaign).map_or(0, |one| one.ready);
    anyhow::ensure!(waiting == (count - turns) as u64, "{on_queue:?}");
    took(store, "what the queue should hold", count, begun.elapsed());
    Ok(())
}

/// The writes of a message that is done: its lease, one durable intent, its outcome.
async fn turns_of(ledger: &Ledger, clock: Clock, messages: &[Message]) -> anyhow::Result<()> {
    let begun = [Event::Begun { generation: 0 }];
    for message in messages {
        let lease_for = Duration::from_secs(60);
        let taken = ledger
            .take(message, "bench", clock.now(), lease_for)
            .await?;
        let Some(LeasedMessage { lease, .. }) = taken.leased() else {
            anyhow::bail!("another consumer has the message's lease");
        };
        ledger.record(&lease, &begun, clock.now()).await?;
        let settlement = Settlement::Ended {
            ending: Ending::Done {
                already_sent: false,
            },
            effects: Box::default(),
        };
        ledger.settle(&lease, &[], &settlement, clock.now()).await?;
    }
    Ok(())
}

fn message(n: usize) -> anyhow::Result<Message> {
    let json = serde_json::json!({
        "campaign": "bench",
        "id": format!("crm-{:08}", n.wrapping_mul(7_654_321) % 100_000_000),
        "customer": {"address": format!("+1202{n:08}"), "name": "Clark", "attributes": {"plan": "gold"}},
        "agent": {"worker": "alice"},
        "body": "Hello Clark, your plan renews soon. Reply YES to talk to us.",
    });
    Message::from_json(json.to_string().as_bytes()).map_err(anyhow::Error::msg)
}

fn rate(store: &str, what: &str, count: usize, took: Duration) {
    let per_second = count as f64 / took.as_secs_f64();
    println!("{store}: {what}: {per_second:.0} messages/s");
}

fn took(store: &str, what: &str, count: usize, took: Duration) {
    println!("{store}: {what}, {count} messages: {took:.2?}");
}
