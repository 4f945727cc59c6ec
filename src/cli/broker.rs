//! What `send` and `import` say of the broker: on standard error, for their log is quiet.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::queue::{Queue, Said};

/// How often the consumer's own inspections are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Inspects the broker once, before anything is put on its queues, and says what was found.
pub(super) async fn warn(queue: &dyn Queue) -> Said {
    let mut said = Said::default();
    queue.inspect().await;
    tell_news(queue, &mut said);
    said
}

/// Says what the consumer of this process finds later, for as long as it is polled.
pub(super) async fn follow(queue: Arc<dyn Queue>, mut said: Said, clock: Clock) {
    loop {
        clock.sleep(LOOK_EVERY).await;
        tell_news(&*queue, &mut said);
    }
}

fn tell_news(queue: &dyn Queue, said: &mut Said) {
    let Some(inspection) = queue.inspection() else {
        return;
    };
    for line in said.news(&inspection) {
        tell!("Broker: {line}");
    }
}
