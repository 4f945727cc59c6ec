//! What is particular to the queue in a SQLite file, and to the one in memory.

use std::sync::Arc;
use std::time::Duration;

use flexcast::clock::Clock;
use flexcast::queue::embedded::EmbeddedQueue;
use flexcast::queue::{Queue, QueueError, Settled};

use super::queue_contract::{campaign, consume, next, publish, text};

fn file(dir: &tempfile::TempDir) -> Arc<dyn Queue> {
    let path = dir.path().join("queue.db");
    Arc::new(EmbeddedQueue::open(&path, Clock::system()).expect("a queue file"))
}

#[tokio::test(start_paused = true)]
async fn on_a_paused_clock_a_retry_of_a_minute_takes_no_time() {
    let clock = Clock::system();
    let queue = EmbeddedQueue::in_memory(clock).expect("SQLite in memory");
    let queue: Arc<dyn Queue> = Arc::new(queue);
    queue.open(&campaign()).await.expect("opened");
    publish(&queue, &["a"]).await;
    let mut consumer = consume(&queue, 1).await;
    let begun = clock.instant();
    let delayed = next(&mut consumer).await;
    let settled = delayed.retry_later(Duration::from_secs(50)).await;
    assert_eq!(settled.expect("settled"), Settled::Yes);
    assert_eq!(text(&*next(&mut consumer).await), "a");
    assert_eq!(begun.elapsed(), Duration::from_secs(50));
}

#[tokio::test]
async fn a_delivery_of_an_earlier_consumer_is_stale_and_the_consumer_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let queue = file(&dir);
    queue.open(&campaign()).await.expect("opened");
    publish(&queue, &["a"]).await;
    let mut earlier = consume(&queue, 1).await;
    let held = next(&mut earlier).await;
    let mut later = consume(&file(&dir), 1).await;
    let again = next(&mut later).await;
    assert!(again.redelivered());
    assert_eq!(held.ack().await.expect("told"), Settled::Stale);
    assert_eq!(again.ack().await.expect("told"), Settled::Yes);
    assert!(earlier.next().await.is_none());
}

#[tokio::test]
async fn what_comes_back_does_not_wait_behind_the_whole_campaign() {
    let dir = tempfile::tempdir().expect("a directory");
    let queue = file(&dir);
    queue.open(&campaign()).await.expect("opened");
    publish(&queue, &["a", "b", "c"]).await;
    let mut consumer = consume(&queue, 1).await;
    let delayed = next(&mut consumer).await;
    let settled = delayed.retry_later(Duration::from_millis(1)).await;
    settled.expect("settled");
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(text(&*next(&mut consumer).await), "a");
}

#[tokio::test]
async fn many_acks_at_once_all_reach_the_file() {
    const MESSAGES: u64 = 300;
    let dir = tempfile::tempdir().expect("a directory");
    let queue = file(&dir);
    queue.open(&campaign()).await.expect("opened");
    let ids: Vec<String> = (0..MESSAGES).map(|number| format!("m-{number}")).collect();
    publish(&queue, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut consumer = consume(&queue, 300).await;
    let mut acks = Vec::new();
    for _ in &ids {
        acks.push(next(&mut consumer).await.ack());
    }
    let depth = queue.depth(&campaign()).await.expect("a depth");
    assert_eq!(depth.unsettled, MESSAGES);
    for settled in futures::future::join_all(acks).await {
        assert_eq!(settled.expect("settled"), Settled::Yes);
    }
    let depth = queue.depth(&campaign()).await.expect("a depth");
    assert_eq!((depth.ready, depth.unsettled), (0, 0));
}

#[tokio::test]
async fn processes_that_open_a_new_file_at_once_all_get_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("queue.db");
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            tokio::task::spawn_blocking(move || EmbeddedQueue::open(&path, Clock::system()))
        })
        .collect();
    for opened in opening {
        opened.await.expect("no panic").map(drop).expect("opened");
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("missing").join("queue.db");
    let Err(QueueError::Unreachable(why)) = EmbeddedQueue::open(&path, Clock::system()) else {
        panic!("opened");
    };
    assert!(why.contains("missing/queue.db"), "{why}");
}
