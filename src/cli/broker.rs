//! Prints what an inspection of the broker found: `send` and `import` print it on standard error, because their log
//! is quiet; `status` prints it in its report.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::queue::{NodeInUse, Queue, Said};

/// How often the consumer's latest inspection is read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Inspects the broker once, before any message is published, and prints the findings.
pub(super) async fn warn(queue: &dyn Queue) -> Said {
    let mut said = Said::default();
    queue.inspect().await;
    tell_news(queue, &mut said);
    said
}

/// Prints the findings of later inspections. Runs until it is dropped.
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

/// Prints the broker nodes that consumers are connected to.
///
/// # Errors
///
/// An error when standard output cannot be written.
pub(super) fn nodes(nodes: &[NodeInUse]) -> io::Result<()> {
    for NodeInUse { node, connections } in nodes {
        say!("Broker: the consumers use {node} ({connections} connections)")?;
    }
    Ok(())
}
