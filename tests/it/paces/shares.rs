//! Two campaigns on one sender: each has its share by weight, also of what is put off.

use super::*;
use crate::saga::stage::SENDER;

/// Customers from number 5,000 on are autumn's.
pub(super) fn is_autumns(text: &Effect) -> bool {
    text.customer.as_deref() >= Some("+12025555200")
}

#[tokio::test(start_paused = true)]
async fn a_second_campaign_on_the_same_sender_has_its_share_by_weight_at_once() {
    for (weight, share) in [(1, 55..=65), (3, 85..=95), (5, 95..=105)] {
        let mut stage = stage("").await;
        stage.accept(1_000).await;
        let (worker, stop) = (stage.worker(IN_FLIGHT).await, Stopper::new());
        let acting = async {
            tokio::time::sleep(MINUTE).await;
            let more = format!("sender = '{SENDER}'\npace = {{ weight = {weight} }}");
            stage.apply("autumn", &more).await;
            let messages = messages(&stage, 5_000..5_500, "alice");
            stage.accept_all(messages).await;
            let joined = stage.clock.now();
            tokio::time::sleep(3 * MINUTE).await;
            stop.stop();
            joined
        };
        let (end, joined) = tokio::join!(worker.run(&[], Until::Stopped, &stop), acting);
        end.expect("it works");
        let texts = texts(&stage);
        let gap = longest_gap(&texts, stage.clock.now());
        assert!(gap < 2 * PERIOD, "{gap:?} without a text");
        let autumn = counted(&texts, joined + MINUTE / 2, 2 * MINUTE, is_autumns);
        assert!(share.contains(&autumn), "weight {weight}: {autumn} of 120");
    }
}
