//! The strategies: their steps, in order.

mod conversations_task_now;
mod conversations_task_on_reply;
mod proxy_task_now;
mod proxy_task_on_reply;

use crate::message::{Api, Strategy};

use super::step::Step;

/// The steps of a strategy on an API, in order.
#[must_use]
pub(super) fn steps(api: Api, strategy: Strategy) -> &'static [&'static dyn Step] {
    match (api, strategy) {
        (Api::Proxy, Strategy::TaskNow) => proxy_task_now::STEPS,
        (Api::Proxy, Strategy::TaskOnReply) => proxy_task_on_reply::STEPS,
        (Api::Conversations, Strategy::TaskNow) => conversations_task_now::STEPS,
        (Api::Conversations, Strategy::TaskOnReply) => conversations_task_on_reply::STEPS,
    }
}
