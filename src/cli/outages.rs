//! Prints on standard error when Twilio cannot be reached, and when it is back, for commands whose log is quiet.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::twilio::{AwayNews, Outages};

/// How often the parts that are away are read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Prints each change. Runs until it is dropped.
pub(super) async fn follow(outages: Arc<Outages>, clock: Clock) {
    let mut news = AwayNews::default();
    loop {
        clock.sleep(LOOK_EVERY).await;
        for sentence in news.news(outages.away(clock.now())) {
            tell!("{sentence}");
        }
    }
}
