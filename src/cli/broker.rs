//! What commands say of the broker: `send` and `import` on standard error, for their log is quiet, `status` in its
//! report.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::queue::{NodeInUse, Queue, Said};

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

/// Names the broker's nodes that consumers are connected to.
///
/// # Errors
///
/// When standard output takes nothing more.
pub(super) fn nodes(nodes: &[NodeInUse]) -> io::Result<()> {
    for NodeInUse { node, connections } in nodes {
        say!("Broker: the consumers use {node} ({connections} connections)")?;
    }
    Ok(())
}
