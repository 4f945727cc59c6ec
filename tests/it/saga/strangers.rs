//! A stranger's open channel, session or conversation with the same customer is left as it is.

use std::time::Duration;

use bytes::Bytes;
use flexcast::message::{SkipReason, WaitReason};
use flexcast::simulator::{BusyInteraction, Effect, EffectKind, Settings};
use flexcast::twilio::{
    InProcess as _, NewConversation, NewConversationParticipant, NewFlexChannel,
    NewProxyParticipant, NewSession,
};

use super::stage::{
    PROXY_BY_CHAT, PROXY_TASK_NOW, PROXY_TASK_ON_REPLY, Pair, SENDER, Stage, TASK_NOW,
    TASK_NOW_WITHOUT_AGENT, TASK_ON_REPLY, customer, settings,
};
use super::trap::Side;

use EffectKind::{Channel, Conversation, Session};

/// What a stranger may have, by the strategies it stands in the way of.
const MEETINGS: [(Pair, EffectKind); 9] = [
    (PROXY_TASK_NOW, Channel),
    (PROXY_TASK_NOW, Session),
    (PROXY_TASK_ON_REPLY, Channel),
    (PROXY_TASK_ON_REPLY, Session),
    (PROXY_BY_CHAT, Channel),
    (PROXY_BY_CHAT, Session),
    (TASK_NOW, Conversation),
    (TASK_NOW_WITHOUT_AGENT, Conversation),
    (TASK_ON_REPLY, Conversation),
];

/// What Twilio may do about an agent's Interaction with a busy customer; of no concern to the other strategies.
fn worlds(pair: Pair) -> Vec<Settings> {
    let either = [BusyInteraction::Empty, BusyInteraction::Fails];
    let count = if pair.name == TASK_NOW.name { 2 } else { 1 };
    either[..count]
        .iter()
        .map(|busy_interaction| Settings {
            busy_interaction: *busy_interaction,
            ..settings()
        })
        .collect()
}

/// A stranger gets one of these with customer number `n`: its SID.
pub(crate) async fn stranger_has(stage: &Stage, kind: EffectKind, n: u32) -> String {
    let (twilio, flex, customer) = (&stage.twilio, &stage.campaign.flex, customer(n));
    let name = |what: &str| format!("a-strangers-{what}-{n}");
    match kind {
        Channel => {
            let unique_name = name("chat");
            let new = NewFlexChannel {
                flex_flow_sid: flex.flex_flow_sid.as_deref().expect("a flow"),
                identity: "a stranger's",
                chat_user_friendly_name: "Customer",
                chat_friendly_name: "A stranger's chat",
                target: Some(&customer),
                chat_unique_name: Some(&unique_name),
                ..NewFlexChannel::default()
            };
            twilio.create_flex_channel(&new).await.expect("made").sid
        }
        Session => {
            let new = NewSession {
                unique_name: &name("session"),
                ttl_secs: None,
                participants: vec![NewProxyParticipant {
                    identifier: &customer,
                    proxy_identifier: Some(SENDER),
                    friendly_name: None,
                }],
            };
            let service = flex.proxy_service_sid.as_deref().expect("a service");
            twilio
                .create_session(service, &new)
                .await
                .expect("made")
                .sid
        }
        _ => {
            let new = NewConversation {
                unique_name: &name("conversation"),
                ..NewConversation::default()
            };
            let sid = twilio.create_conversation(&new).await.expect("made").sid;
            let binding = NewConversationParticipant::Binding {
                address: &customer,
                proxy_address: SENDER,
                attributes: None,
            };
            let joining = twilio.create_participant(&sid, &binding);
            joining.await.expect("the customer is in it");
            sid
        }
    }
}

/// The stranger lets go of what it had with customer number `n`.
pub(crate) async fn stranger_goes(stage: &Stage, kind: EffectKind, n: u32, sid: &str) {
    let (twilio, flex) = (&stage.twilio, &stage.campaign.flex);
    match kind {
        Channel => {
            let service = flex.chat_service_sid.as_deref().expect("a service");
            let workspace = flex.workspace_sid.as_deref().expect("a workspace");
            let mut tasks = stage.standing(EffectKind::Task);
            tasks.retain(|task| task.customer.as_deref() == Some(&customer(n)));
            for task in tasks {
                let cancelling = twilio.cancel_task(workspace, &task.sid, "it goes");
                cancelling.await.expect("cancelled");
            }
            let retired = serde_json::Map::from_iter([("status".into(), "INACTIVE".into())]);
            let update = twilio.update_chat_channel_attributes(service, sid, &retired, false);
            update.await.expect("retired");
        }
        Session => {
            let service = flex.proxy_service_sid.as_deref().expect("a service");
            twilio.delete_session(service, sid).await.expect("deleted");
        }
        _ => twilio
            .close_conversation(sid, &serde_json::Map::new())
            .await
            .expect("closed"),
    }
}

/// Everything that stands is the stranger's, and as it was.
fn assert_untouched(stage: &Stage, before: &[Effect], context: &str) {
    let name = stage.pair.name;
    for kind in EffectKinds::ALL {
        let standing = stage.standing(kind);
        let was: Vec<_> = before
            .iter()
            .filter(|one| one.kind == kind)
            .cloned()
            .collect();
        assert_eq!(standing, was, "{name}, {context}");
    }
}

struct EffectKinds;

impl EffectKinds {
    const ALL: [EffectKind; 6] = [
        EffectKind::Message,
        EffectKind::Task,
        Channel,
        Session,
        Conversation,
        EffectKind::Interaction,
    ];
}

#[tokio::test(start_paused = true)]
async fn a_customer_who_is_elsewhere_is_skipped() {
    for (pair, kind) in MEETINGS {
        for settings in worlds(pair) {
            let context = format!("a stranger has a {kind:?}, {:?}", settings.busy_interaction);
            let stage = Stage::with(pair, settings, "").await;
            stranger_has(&stage, kind, 0).await;
            let before = stage.simulator.effects();
            stage.accept(1).await;
            stage.run().await;
            assert_untouched(&stage, &before, &context);
            let books = stage.books().await;
            let busy = books.skipped.get(&SkipReason::CustomerBusy);
            assert_eq!(busy, Some(&1), "{}, {context}: {books:?}", pair.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_customer_who_is_elsewhere_can_be_waited_for() {
    for (pair, kind) in MEETINGS {
        let stage = Stage::with(pair, settings(), "when_open = 'defer'").await;
        let sid = stranger_has(&stage, kind, 0).await;
        let before = stage.simulator.effects();
        stage.accept(1).await;
        let context = format!("a stranger has a {kind:?} for a while");
        for _ in 0..2 {
            stage.run_what_is_due().await;
            assert_untouched(&stage, &before, &context);
            let books = stage.books().await;
            let busy = books.held.get(&WaitReason::CustomerBusy);
            assert_eq!(busy, Some(&1), "{}, {context}: {books:?}", pair.name);
            tokio::time::sleep(Duration::from_secs(90)).await;
        }
        stranger_goes(&stage, kind, 0, &sid).await;
        stage.run().await;
        stage.assert_done(1, &context).await;
    }
}

/// Each try begins a generation, and leaves a closed container at Twilio.
#[tokio::test(start_paused = true)]
async fn each_try_of_a_distrusted_message_with_a_busy_customer_costs_the_same() {
    const THIRD: Duration = Duration::from_secs(15 * 60);
    for (pair, kind) in [
        (PROXY_TASK_NOW, Session),
        (TASK_NOW, Conversation),
        (TASK_ON_REPLY, Conversation),
    ] {
        let stage = Stage::with(pair, settings(), "when_open = 'defer'").await;
        let begun = stage.clock.now();
        stage.ledger.distrust(None, begun).await.expect("noted");
        stranger_has(&stage, kind, 0).await;
        stage.accept(1).await;
        stage.run_for(3 * THIRD).await;
        let mut requests = [0_u32; 3];
        for request in stage.simulator.requests() {
            let at = request.time.duration_since(begun).unsigned_abs();
            let third = (at.as_secs() / THIRD.as_secs()).min(2);
            requests[usize::try_from(third).expect("0 to 2")] += 1;
        }
        let [first, _, last] = requests;
        assert!(first > 40, "{}: {requests:?}", pair.name);
        assert!(last <= first + first / 4, "{}: {requests:?}", pair.name);
    }
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_call_a_saga_that_meets_a_stranger_is_still_undone() {
    for (pair, kind) in MEETINGS {
        for side in [Side::Before, Side::After] {
            for settings in worlds(pair) {
                killed_at_each_call(pair, kind, side, &settings).await;
            }
        }
    }
}

async fn killed_at_each_call(pair: Pair, kind: EffectKind, side: Side, settings: &Settings) {
    for nth in 1.. {
        let stage = Stage::with(pair, settings.clone(), "").await;
        stranger_has(&stage, kind, 0).await;
        let before = stage.simulator.effects();
        stage.accept(1).await;
        if !stage.killed_at(nth, side).await {
            return;
        }
        stage.run().await;
        let busy = settings.busy_interaction;
        let context = format!("a stranger has a {kind:?}, {busy:?}, killed {side:?} call {nth}");
        assert_untouched(&stage, &before, &context);
        let books = stage.books().await;
        let busy = books.skipped.get(&SkipReason::CustomerBusy);
        assert_eq!(busy, Some(&1), "{}, {context}: {books:?}", pair.name);
    }
}

/// The agent of a task accepts it.
async fn agent_accepts(stage: &Stage, task: &str) {
    let request = http::Request::post(format!("http://simulator/_simulator/tasks/{task}/accept"))
        .body(Bytes::new())
        .expect("a request");
    let reply = stage.simulator.call(request).await.expect("a reply");
    assert!(reply.status().is_success(), "{reply:?}");
}

#[tokio::test(start_paused = true)]
async fn a_conversation_without_its_customer_stays_once_an_agent_has_accepted() {
    for more in ["when_open = 'skip'", "when_open = 'defer'"] {
        let stage = Stage::with(TASK_NOW, settings(), more).await;
        stranger_has(&stage, Conversation, 0).await;
        stage.accept(1).await;
        let accepted = async {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if let Some(task) = stage.standing(EffectKind::Task).first() {
                    break agent_accepts(&stage, &task.sid).await;
                }
            }
        };
        tokio::join!(stage.run(), accepted);
        let books = stage.books().await;
        let busy = books.skipped.get(&SkipReason::CustomerBusy);
        assert_eq!(busy, Some(&1), "{more}: {books:?}");
        let tasks = stage.standing(EffectKind::Task);
        assert_eq!(tasks.len(), 1, "{more}: {tasks:?}");
        assert_eq!(tasks[0].state, "assigned", "{more}");
    }
}
