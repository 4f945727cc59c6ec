//! Breakers open, are probed and close.

use super::*;

const POST: Operation = Operation::CreateConversation;
const GET: Operation = Operation::FetchConversation;
const NEEDS: [Product; 1] = [Product::Conversations];

fn fails(outages: &Outages, operation: Operation, heard: Heard, times: u32) {
    for _ in 0..times {
        outages.heard(operation, heard, None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_reached_is_probed_by_calls_that_change_nothing() {
    let outages = Arc::new(Outages::default());
    fails(&outages, POST, Heard::Nothing, FAILURES_MIN - 1);
    outages.heard(GET, Heard::Answer, None);
    fails(&outages, POST, Heard::Nothing, FAILURES_MIN - 1);
    assert!(outages.enter(POST).is_ok(), "an answer begins the count");
    outages.heard(POST, Heard::Nothing, None);
    assert_eq!(outages.enter(POST).err(), Some(AWAY));
    assert_eq!(outages.enter(GET).err(), Some(AWAY), "not yet");
    assert!(outages.enter(Operation::CreateSession).is_ok());

    let before = Instant::now();
    assert_eq!(outages.next_probe().await, Product::Conversations);
    assert_eq!(before.elapsed(), FIRST_WAIT);
    assert!(outages.enter(POST).is_err());
    let probe = outages.enter(GET).expect("it is due");
    assert!(probe.is_some() && outages.enter(GET).is_err(), "one alone");
    outages.heard(GET, Heard::Nothing, None);
    drop(probe);
    let before = Instant::now();
    outages.next_probe().await;
    assert_eq!(before.elapsed(), 2 * FIRST_WAIT);

    let (waits, _) = tokio::join!(outages.passable(&NEEDS), async {
        let probe = outages.enter(GET);
        outages.heard(GET, Heard::Answer, None);
        probe
    });
    let () = waits;
    assert!(outages.enter(POST).is_ok() && outages.away(Timestamp::UNIX_EPOCH).is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_message_that_meets_5xx_closes_nothing_and_several_do() {
    let outages = Arc::new(Outages::default());
    for _ in 0..20 {
        outages.heard(POST, Heard::ServerError, Some(1));
        outages.heard(GET, Heard::Answer, Some(1));
    }
    assert!(outages.enter(POST).is_ok());
    for caller in [2, 3] {
        outages.heard(POST, Heard::ServerError, Some(caller));
        outages.heard(GET, Heard::Answer, Some(caller));
    }
    assert!(outages.enter(POST).is_err() && outages.enter(GET).is_ok());
    let away = outages.away(Timestamp::UNIX_EPOCH);
    let [part] = &away[..] else {
        panic!("{away:?}");
    };
    assert_eq!(part.operation.as_deref(), Some("create_conversation"));
    // A message is the probe, one at a time.
    outages.passable(&NEEDS).await;
    let probe = outages.enter(POST).expect("it is due");
    assert!(probe.is_some());
    outages.impassable(&NEEDS).await;
    outages.heard(POST, Heard::Answer, Some(4));
    drop(probe);
    assert!(!outages.has_away(&NEEDS));
}

/// Failures of one message: a call that belongs to no message shows whether Twilio is away.
#[tokio::test(start_paused = true)]
async fn what_one_message_alone_meets_is_probed_before_it_closes_anything() {
    let outages = Arc::new(Outages::default());
    for heard in [Heard::Nothing, Heard::ServerError] {
        for _ in 0..FAILURES_MIN {
            outages.heard(POST, heard, Some(1));
        }
        assert!(outages.enter(POST).is_ok(), "{heard:?}");
        assert_eq!(outages.next_probe().await, Product::Conversations);
        outages.heard(GET, Heard::Answer, None);
        assert_eq!(outages.due(), None, "{heard:?}");
    }
    for _ in 0..FAILURES_MIN {
        outages.heard(POST, Heard::Nothing, Some(1));
    }
    outages.heard(GET, Heard::Nothing, None);
    assert!(outages.enter(POST).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_did_not_leave_gives_its_right_back() {
    let outages = Arc::new(Outages::default());
    fails(&outages, GET, Heard::ServerError, FAILURES_MIN);
    outages.next_probe().await;
    drop(outages.enter(POST).expect("it is due"));
    let again = outages.enter(POST).expect("the right is there again");
    assert!(again.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_nothing_needs_any_more_is_forgotten() {
    let outages = Arc::new(Outages::default());
    for caller in 0..5 {
        outages.heard(POST, Heard::ServerError, Some(caller));
        outages.heard(GET, Heard::Answer, Some(caller));
    }
    assert_eq!(outages.away(Timestamp::UNIX_EPOCH).len(), 1);
    tokio::time::advance(FIRST_WAIT + FORGOTTEN_AFTER).await;
    assert_eq!(outages.away(Timestamp::UNIX_EPOCH), []);
}

#[test]
fn a_page_of_what_stands_before_twilio_is_no_answer() {
    assert_eq!(Heard::of(Some(502), None), Heard::Nothing);
    assert_eq!(Heard::of(None, None), Heard::Nothing);
    assert_eq!(Heard::of(Some(503), Some(20503)), Heard::ServerError);
    assert_eq!(Heard::of(Some(500), None), Heard::ServerError);
    assert_eq!(Heard::of(Some(404), Some(20404)), Heard::Answer);
}
