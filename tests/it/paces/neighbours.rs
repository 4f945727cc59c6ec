//! What else ends a wait for lanes: pauses, cancellations, restarts, messages that expire, other senders.

use flexcast::ledger::{Actor, StateChange};
use flexcast::message::{Address, SkipReason};

use super::*;
use crate::saga::stage::SENDER;

const OTHER: &str = "+12025550101";

async fn change_state(stage: &Stage, id: &str, change: StateChange) {
    let id = CampaignId::parse(id).expect("an id");
    let changing = stage.ledger.change_state(&id, &change, stage.clock.now());
    changing.await.expect("it answers");
}

fn operator() -> Actor {
    Actor::Operator {
        user: "ada".to_owned(),
        host: "desk".to_owned(),
    }
}

/// The texts from this moment on.
fn texts_from(stage: &Stage, from: Timestamp) -> Vec<Effect> {
    let mut texts = texts(stage);
    texts.retain(|text| text.time >= from);
    texts
}

/// From this moment on the sender sends, and never idles for two of its periods; `first`: how long it may take
/// to begin.
fn assert_busy(stage: &Stage, from: Timestamp, first: Duration, context: &str) {
    let texts = texts_from(stage, from);
    let began = texts.first().map(|text| text.time.duration_since(from));
    let began = Duration::try_from(began.expect("there are texts")).expect("later");
    assert!(began < first, "{context}: the first after {began:?}");
    let gap = longest_gap(&texts, stage.clock.now());
    assert!(gap < 2 * PERIOD, "{context}: {gap:?} without a text");
}

#[tokio::test(start_paused = true)]
async fn a_paused_campaign_goes_on_where_it_was_and_its_time_is_the_others() {
    let mut stage = stage("").await;
    stage.accept(600).await;
    stage.apply("autumn", &format!("sender = '{SENDER}'")).await;
    stage
        .accept_all(messages(&stage, 5_000..5_600, "alice"))
        .await;
    let (paused, resumed) = working(&stage, async {
        tokio::time::sleep(MINUTE).await;
        let (by, reason) = (operator(), None);
        change_state(&stage, "autumn", StateChange::Pause { by, reason }).await;
        let paused = stage.clock.now();
        tokio::time::sleep(MINUTE).await;
        change_state(&stage, "autumn", StateChange::Resume { by: operator() }).await;
        let resumed = stage.clock.now();
        tokio::time::sleep(2 * MINUTE).await;
        (paused, resumed)
    })
    .await;
    let texts = texts(&stage);
    let gap = longest_gap(&texts, stage.clock.now());
    assert!(gap < 2 * PERIOD, "{gap:?} without a text");
    assert_eq!(
        counted(
            &texts,
            paused + 2 * PERIOD,
            MINUTE - 2 * PERIOD,
            shares::is_autumns
        ),
        0
    );
    let autumn = counted(&texts, resumed + MINUTE / 2, MINUTE, shares::is_autumns);
    assert!((27..=33).contains(&autumn), "{autumn} of 60");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_campaign_leaves_its_sender_to_the_others() {
    let mut stage = stage("").await;
    stage.accept(600).await;
    stage
        .apply(
            "autumn",
            &format!("sender = '{SENDER}'\npace = {{ weight = 9 }}"),
        )
        .await;
    stage
        .accept_all(messages(&stage, 5_000..5_600, "alice"))
        .await;
    working(&stage, async {
        tokio::time::sleep(MINUTE).await;
        let (by, reason) = (operator(), None);
        change_state(&stage, "autumn", StateChange::Cancel { by, reason }).await;
        let autumn = CampaignId::parse("autumn").expect("an id");
        // As `campaign cancel` does.
        while stage
            .ledger
            .skip_unbegun(&autumn, SkipReason::Cancelled, stage.clock.now(), 500)
            .await
            .expect("it answers")
            > 0
        {}
        let ending = stage.ledger.end_waits(&autumn, true, stage.clock.now());
        ending.await.expect("it answers");
        tokio::time::sleep(2 * MINUTE).await;
        assert!(
            !stage
                .ledger
                .has_open(&autumn, false)
                .await
                .expect("it answers")
        );
    })
    .await;
    let gap = longest_gap(&texts(&stage), stage.clock.now());
    assert!(gap < 2 * PERIOD, "{gap:?} without a text");
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_or_a_death_the_sender_goes_on_at_once() {
    let stage = stage("pace = { campaign = '5/s' }").await;
    stage.accept(600).await;
    working(&stage, tokio::time::sleep(MINUTE)).await;
    for context in ["it ended", "it died"] {
        let restarted = stage.clock.now();
        let worker = stage.worker(IN_FLIGHT).await;
        let stop = Stopper::new();
        let running = worker.run(&[], Until::Stopped, &stop);
        // It dies without a drain.
        let died = tokio::time::timeout(MINUTE, running).await;
        assert!(died.is_err(), "{context}: it was to work on");
        drop(worker);
        assert_busy(&stage, restarted, 3 * PERIOD, context);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_expires_while_it_is_put_off_takes_nobodys_time() {
    let stage = stage("").await;
    let mut all = messages(&stage, 0..400, "alice");
    let end = stage.clock.now() + MINUTE;
    for message in all.iter_mut().skip(50).take(200) {
        message.expires_at = Some(end);
    }
    stage.accept_all(all).await;
    working(&stage, tokio::time::sleep(4 * MINUTE)).await;
    let texts = texts(&stage);
    // Each call skips as many as the sender lets go in five seconds, and there are two calls a second.
    let gap = longest_gap(&texts[..200], texts[199].time);
    assert!(gap < 12 * PERIOD, "{gap:?} without a text");
    assert!(stage.books().await.skipped_total() > 100);
}

#[tokio::test(start_paused = true)]
async fn messages_of_another_sender_wait_for_its_lanes_and_no_longer_for_the_old_ones() {
    let mut stage = stage("").await;
    stage.accept(400).await;
    working(&stage, tokio::time::sleep(MINUTE)).await;
    stage
        .apply("spring", &format!("senders = ['{SENDER}', '{OTHER}']"))
        .await;
    let address = |text: &str| Address::parse(text).expect("an address");
    let (old, new) = (address(SENDER), address(OTHER));
    let id = stage.campaign.id.clone();
    let moving = stage
        .ledger
        .move_sender(&id, &old, &new, stage.clock.now(), 200);
    assert_eq!(moving.await.expect("it answers"), 200);
    let moved = stage.clock.now();
    working(&stage, tokio::time::sleep(2 * MINUTE)).await;
    let texts = texts_from(&stage, moved);
    for sender in [SENDER, OTHER] {
        let is_theirs = |text: &Effect| text.sender.as_deref() == Some(sender);
        let sent = counted(&texts, moved, MINUTE, is_theirs);
        assert!(sent >= 57, "{sender}: {sent} of 60");
    }
}
