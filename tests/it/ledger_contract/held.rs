//! Messages that wait for an agent.

use flexcast::ledger::{HeldFor, Ledger, Settlement, Standing};
use flexcast::message::WaitReason;

use super::fixture::{accept_queued, apply_spring, at, key, lease, message, settle, spring};

fn held(agent: &str, due: i64) -> Settlement {
    Settlement::Held {
        agent: agent.to_owned(),
        due: at(due),
    }
}

async fn held_for(ledger: &Ledger) -> Vec<(String, u64)> {
    let mut held = ledger.held().await.expect("it answers");
    held.sort_by(|a, b| a.agent.cmp(&b.agent));
    let pair = |one: HeldFor| {
        assert_eq!(one.campaign, spring());
        (one.agent, one.messages)
    };
    held.into_iter().map(pair).collect()
}

async fn hold(ledger: &Ledger, n: u32, agent: &str, due: i64) {
    let lease = lease(ledger, &message(n), at(1)).await;
    settle(ledger, &lease, &held(agent, due), at(1)).await;
}

pub(super) async fn what_is_held_for_an_agent_is_recalled_for_that_agent(ledger: &Ledger) {
    apply_spring(ledger).await;
    let messages: Vec<_> = (1..=5).map(message).collect();
    accept_queued(ledger, &messages).await;
    assert_eq!(held_for(ledger).await, []);
    for (n, agent, due) in [
        (1, "alice", 900),
        (2, "alice", 800),
        (3, "alice", 700),
        (4, "bob", 900),
    ] {
        hold(ledger, n, agent, due).await;
    }
    let expected = [("alice".to_owned(), 3), ("bob".to_owned(), 1)];
    assert_eq!(held_for(ledger).await, expected);
    let found = ledger.find(&key(1)).await.expect("it answers");
    let (reason, due) = (WaitReason::AgentUnavailable, at(900));
    let standing = found.expect("it is there").standing;
    assert_eq!(standing, Standing::Waits { reason, due });
    let books = ledger.books(None).await.expect("it answers");
    assert_eq!(books.held[&WaitReason::AgentUnavailable], 4);

    let campaign = spring();
    let recall = async |agent: &str, limit| {
        let recalling = ledger.recall(&campaign, agent, at(10), limit);
        recalling.await.expect("it answers")
    };
    assert_eq!(recall("carol", 9).await, 0);
    // The longest held first: they were to come back first.
    assert_eq!(recall("alice", 2).await, 2);
    let listed = ledger.unqueued(at(10), 9).await.expect("it answers");
    let mut listed: Vec<_> = listed.into_iter().map(|(_, message)| message).collect();
    listed.sort_by_key(flexcast::message::Message::id);
    assert_eq!(listed, [message(2), message(3)]);
    let expected = [("alice".to_owned(), 1), ("bob".to_owned(), 1)];
    assert_eq!(held_for(ledger).await, expected);
    // Taken again, they are held for nobody; and so is one that is over.
    let two = lease(ledger, &message(2), at(11)).await;
    settle(ledger, &two, &Settlement::Released { queued: true }, at(11)).await;
    assert_eq!(recall("alice", 9).await, 1);
    assert_eq!(recall("alice", 9).await, 0);
    let books = ledger.books(None).await.expect("it answers");
    assert_eq!((books.queued, books.waits()), (4, 1));
}

pub(super) async fn what_is_held_comes_back_by_itself_when_it_is_due(ledger: &Ledger) {
    apply_spring(ledger).await;
    accept_queued(ledger, &[message(1)]).await;
    hold(ledger, 1, "alice", 60).await;
    assert_eq!(ledger.next_due().await.expect("it answers"), Some(at(60)));
    assert_eq!(ledger.wake(at(59), 9).await.expect("it answers"), 0);
    assert_eq!(ledger.wake(at(60), 9).await.expect("it answers"), 1);
    assert_eq!(held_for(ledger).await, []);
    assert_eq!(
        ledger.unqueued(at(60), 9).await.expect("it answers").len(),
        1
    );
}
