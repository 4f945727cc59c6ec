//! What the tests share.

pub(crate) mod amqp;
pub(crate) mod amqp_fuzz;
pub(crate) mod broker;
pub(crate) mod certificates;
pub(crate) mod dice;
pub(crate) mod distance;
pub(crate) mod effects;
pub(crate) mod flexcast;
pub(crate) mod killed_imports;
pub(crate) mod link;
pub(crate) mod pooler;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod prometheus;
pub(crate) mod refusing;
pub(crate) mod scripted;
pub(crate) mod sqlstates;
pub(crate) mod terminal;
pub(crate) mod waiting;

/// A number that a variable of the environment gives, or else this one.
pub(crate) fn number_from(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect(variable))
}
