//! Makes and registers metrics.

use prometheus::Registry;
use prometheus::core::Collector;

/// Registers a metric.
///
/// Names and labels are constants of this module, each used once, so that the first test detects a mistake.
pub(super) fn make<M: Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<M>,
) -> M {
    let metric = metric.expect("this module's names and labels are well-formed");
    let registered = registry.register(Box::new(metric.clone()));
    registered.expect("this module's names are each given once");
    metric
}
