//! A part of Twilio is away for longer than all retries take: nothing is lost by it, no attempt is spent on it, and all
//! is done afterwards.
//!
//! `AWAY_MESSAGES` is how many messages are open, and `AWAY_MINUTES` how long that lasts: `AWAY_MESSAGES=5000
//! AWAY_MINUTES=180`.

use std::time::Duration;

use flexcast::ledger::{Ending, Standing};
use flexcast::message::DeadReason;
use serde_json::json;

use super::stage::{PAIRS, Pair, Stage, TASK_NOW};
use super::trap::TwilioAway;
use crate::support::number_from;

/// How long Twilio is away.
fn span() -> Duration {
    let minutes = u64::try_from(number_from("AWAY_MINUTES", 10)).expect("a number");
    Duration::from_secs(60 * minutes)
}

/// How many messages are open when Twilio goes.
fn messages() -> u32 {
    u32::try_from(number_from("AWAY_MESSAGES", 200)).expect("a number")
}

impl Stage {
    /// From now on this product, or all of Twilio, is away for so long.
    fn away_for(&self, product: Option<&'static str>, how: TwilioAway, span: Duration) {
        let back_at = self.clock.instant() + span;
        let clock = self.clock;
        self.trap.outage(Box::new(move |asked| {
            let is_it = product.is_none_or(|one| one == asked);
            (is_it && clock.instant() < back_at).then_some(how)
        }));
    }

    /// Works to the end; how many calls met the outage.
    async fn works_through(&self, count: u32, context: &str) -> u64 {
        let began = self.clock.instant();
        self.run().await;
        assert!(self.clock.instant() >= began + span(), "{context}");
        let books = self.books().await;
        let (dead, unknown) = (books.dead_total(), books.unknown);
        assert_eq!(
            (dead, unknown, books.open()),
            (0, 0, 0),
            "{context}: {books:?}"
        );
        assert_eq!(books.done, u64::from(count), "{context}: {books:?}");
        self.trap.calls().1
    }
}

async fn without(pair: Pair, count: u32, product: Option<&'static str>, how: TwilioAway) {
    let context = format!("{}, {product:?} {how:?}", pair.name);
    let stage = Stage::new(pair).await;
    stage.accept(count).await;
    stage.away_for(product, how, span());
    let met = stage.works_through(count, &context).await;
    stage.assert_done(count as usize, &context).await;
    println!("{context}: {met} calls met the outage");
    // Until it is noticed each message in flight may try; then one call a product in half a minute.
    let probes = 5 * span().as_secs() / 30;
    assert!(met <= probes + 300, "{context}: {met} calls");
}

/// Each way in which all of Twilio can be away.
#[tokio::test(start_paused = true)]
async fn after_a_while_without_twilio_every_message_is_done() {
    for how in [
        TwilioAway::Refused,
        TwilioAway::Reset,
        TwilioAway::ServerErrors,
        TwilioAway::ProxyPage,
    ] {
        // No agent's capacity ends it.
        let pair = PAIRS.into_iter().find(|pair| !pair.agent);
        without(pair.expect("one of them"), messages(), None, how).await;
    }
}

/// Each product that a pair's steps call, while the others work.
#[tokio::test(start_paused = true)]
async fn after_a_while_without_one_product_every_message_is_done() {
    for pair in PAIRS {
        let product = if pair.name.starts_with("proxy") {
            "proxy"
        } else {
            "conversations"
        };
        without(pair, 20, Some(product), TwilioAway::ServerErrors).await;
    }
}

/// The agents cannot be looked for: one operation is away that is no step. No message comes round and round meanwhile,
/// and none is dead afterwards.
#[tokio::test(start_paused = true)]
async fn while_agents_cannot_be_looked_for_messages_wait_on_the_queue() {
    let stage = Stage::new(TASK_NOW).await;
    stage.accept(5).await;
    stage.faults(&json!([
        {"operation": "list_workers", "kind": "server_error", "rate": 1.0},
    ]));
    stage.run_for(span()).await;
    let most = stage.trap.most_deliveries();
    println!("a message was delivered {most} times");
    assert!(
        u64::from(most) <= 10 + span().as_secs() / 5,
        "{most} deliveries"
    );
    stage.faults(&json!([]));
    stage.run().await;
    stage.assert_done(5, "agents are found again").await;
}

/// A message that Twilio answers with 5xx whenever it is tried is that message's matter: it ends by its attempts, and
/// the others go on.
#[tokio::test(start_paused = true)]
async fn a_message_that_always_meets_server_errors_is_dead_and_holds_up_no_other() {
    for pair in PAIRS {
        let stage = Stage::new(pair).await;
        stage.accept(5).await;
        stage.faults(&json!([
            {"operation": "changing", "kind": "server_error", "rate": 1.0,
             "customers": [super::stage::customer(2)]},
        ]));
        stage.run().await;
        let books = stage.books().await;
        assert_eq!(
            (books.done, books.open()),
            (4, 0),
            "{}: {books:?}",
            pair.name
        );
        let Standing::Over { ending, .. } = stage.record(2).await.standing else {
            panic!("{}: it is open", pair.name);
        };
        let Ending::Dead { reason, .. } = ending else {
            panic!("{}: {ending:?}", pair.name);
        };
        assert_eq!(reason, DeadReason::Exhausted, "{}", pair.name);
    }
}
