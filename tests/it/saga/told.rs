//! The stories that `why` tells of a campaign with trouble in it, held against the simulator's log.
//!
//! One message is in flight at a time, so that few requests of others are between two ends of its turns.

use std::sync::Arc;
use std::time::Duration;

use flexcast::operate::{ReadModels, Story, StoryEvent, WhyAnswer};
use flexcast::shutdown::Stopper;
use flexcast::simulator::{Effect, EffectKind, RequestRecord, Settings};
use flexcast::worker::Until;
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::stage::{
    PROXY_TASK_NOW, PROXY_TASK_ON_REPLY, Pair, Stage, TASK_NOW, TASK_ON_REPLY, customer, settings,
};

const MESSAGES: u32 = 40;

/// 13 of each of four campaigns: 52 stories.
const CHOSEN: usize = 13;

async fn story(stage: &Stage, n: u32) -> Story {
    let read = ReadModels {
        ledger: Arc::clone(&stage.ledger),
        clock: stage.clock,
    };
    let named = format!("crm-{n}");
    match read.why(&stage.campaign.id, &named).await {
        Ok(WhyAnswer::Message(story)) => *story,
        other => panic!("{named}: {other:?}"),
    }
}

/// Carries out a campaign with trouble, one message at a time.
async fn troubled(pair: Pair, seed: u64) -> Stage {
    let settings = Settings {
        latency: Duration::from_millis(20),
        ..settings()
    };
    let stage = Stage::with(pair, settings, "").await;
    let mut random = StdRng::seed_from_u64(seed);
    let rate = |random: &mut StdRng| f64::from(random.random_range(2..=8)) / 100.0;
    stage.faults(&json!([
        {"operation": "*", "kind": "lost_reply", "rate": rate(&mut random)},
        {"operation": "*", "kind": "server_error", "status": 503, "rate": rate(&mut random), "when": "before"},
        {"operation": "*", "kind": "server_error", "status": 500, "rate": rate(&mut random), "when": "after"},
        {"operation": "*", "kind": "reset", "rate": rate(&mut random)},
        // So often in a row that a turn ends without success.
        {"operation": "changing", "kind": "server_error", "status": 502, "rate": 0.4, "when": "before"},
        {"operation": "changing", "kind": "error", "status": 400, "code": 21211, "customers": {"rate": 0.1}},
    ]));
    stage.accept(MESSAGES).await;
    let worker = stage.worker(1).await;
    let end = worker.run(&[], Until::Idle, &Stopper::new()).await;
    end.expect("it works");
    stage
}

/// The times at which a turn of the message ended: it had to wait, or was over.
fn turn_ends(story: &Story) -> impl Iterator<Item = &StoryEvent> {
    story.events.iter().filter(|event| {
        let ends = ["It is ", "Done: ", "Skipped ", "Dead ", "Unknown "];
        ends.iter().any(|words| event.text.starts_with(words))
    })
}

/// The text between two pieces of a text.
fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    Some(rest.split_once(to)?.0)
}

/// What the story says that was made is at Twilio, and it was there when the story says so. What is at Twilio, the story
/// says.
fn holds_effects(story: &Story, n: u32, effects: &[Effect]) {
    let context = || format!("{story:#?}\n{effects:#?}");
    let of_customer = |effect: &&Effect| effect.customer.as_deref() == Some(&customer(n));
    let texts: Vec<_> = story
        .events
        .iter()
        .map(|event| (&event.text, event.at))
        .collect();
    for effect in effects {
        let named = texts.iter().find(|(text, _)| text.contains(&effect.sid));
        let is_customers = of_customer(&effect);
        if let Some((text, at)) = named {
            // A conversation has no customer before its participant.
            assert!(
                is_customers || effect.customer.is_none(),
                "{text}: {}",
                context()
            );
            assert!(effect.time <= *at, "{text}: {}", context());
        } else if is_customers && effect.kind == EffectKind::Message {
            panic!("it does not name {}: {}", effect.sid, context());
        }
    }
    for (text, _) in texts {
        let Some(sids) = text
            .strip_prefix("Step ")
            .and_then(|_| between(text, " (", ")."))
        else {
            continue;
        };
        for sid in sids
            .split(", ")
            .filter(|sid| sid.starts_with("IM") || sid.starts_with("WT"))
        {
            let is_there = effects.iter().any(|effect| effect.sid == sid);
            assert!(is_there, "{text}: {}", context());
        }
    }
    let messages = effects.iter().filter(of_customer);
    let messages = messages.filter(|effect| effect.kind == EffectKind::Message);
    assert!(messages.count() <= 1, "{}", context());
}

/// Each turn ends as the simulator's log says: with a failure that the story tells after a request to that operation that
/// was answered with that status; a step is done after a request that succeeded. `requests`: those of one message at a
/// time, in order.
fn holds_turns(story: &Story, requests: &[RequestRecord]) {
    let mut from = Timestamp::MIN;
    for end in turn_ends(story) {
        let turn = requests.iter();
        let turn = turn.filter(|one| from < one.time && one.time <= end.at);
        let turn: Vec<_> = turn.collect();
        let context = || format!("{end:?}: {turn:#?}\n{story:#?}");
        if let Some(status) = between(&end.text, "(HTTP ", ",") {
            let is_told = |one: &&RequestRecord| {
                let is_status = one.status.is_some_and(|given| given.to_string() == status);
                is_status && end.text.contains(one.operation)
            };
            assert!(turn.iter().any(is_told), "{}", context());
        }
        let steps = story.events.iter();
        for step in steps.filter(|event| from < event.at && event.at <= end.at) {
            if !step.text.starts_with("Step ") || !step.text.contains(": done") {
                continue;
            }
            let is_made = turn.iter().any(|one| {
                let is_success = one.status.is_some_and(|status| status < 300);
                is_success && one.time <= step.at
            });
            assert!(is_made, "{step:?}: {}", context());
        }
        from = end.at;
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_stories_of_campaigns_with_trouble_are_true_to_the_simulators_log() {
    let pairs = [PROXY_TASK_NOW, PROXY_TASK_ON_REPLY, TASK_NOW, TASK_ON_REPLY];
    let (mut held, mut waited, mut dead) = (0, 0, 0);
    for (pair, seed) in pairs.into_iter().zip(1..) {
        let stage = troubled(pair, seed).await;
        let mut stories = Vec::new();
        for n in 0..MESSAGES {
            stories.push(story(&stage, n).await);
        }
        let (requests, effects) = (stage.simulator.requests(), stage.simulator.effects());
        let mut random = StdRng::seed_from_u64(seed);
        for n in (0..MESSAGES).sample(&mut random, CHOSEN) {
            let story = &stories[n as usize];
            assert!(
                story.events.is_sorted_by_key(|event| event.at),
                "{story:#?}"
            );
            holds_effects(story, n, &effects);
            holds_turns(story, &requests);
            held += 1;
            waited += usize::from(turn_ends(story).count() > 1);
            dead += usize::from(
                story
                    .events
                    .iter()
                    .any(|event| event.text.starts_with("Dead ")),
            );
        }
    }
    assert!(
        held >= 50 && waited >= 5 && dead >= 3,
        "{held} {waited} {dead}"
    );
}
