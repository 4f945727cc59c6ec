//! One call of an endpoint: the function that answers, and its arguments.

use jiff::Timestamp;

use super::form::Parameters;
use super::page::Page;
use super::reply::{ErrorReply, ReplyResult};
use crate::simulator::world::World;

/// A route: an operation with its method, path and function.
pub(in crate::simulator) struct Route {
    pub(in crate::simulator) operation: &'static str,
    pub(in crate::simulator) method: &'static str,
    /// Segments in braces are parameters.
    pub(in crate::simulator) path: &'static str,
    pub(in crate::simulator) answer: fn(&mut Call<'_>) -> ReplyResult,
}

/// The arguments of a route's function. The request's parameters outlive the borrow of the world.
pub(in crate::simulator) struct Call<'a> {
    pub(in crate::simulator) world: &'a mut World,
    pub(in crate::simulator) now: Timestamp,
    pub(in crate::simulator) path: &'a [String],
    pub(in crate::simulator) query: &'a Parameters,
    pub(in crate::simulator) form: &'a Parameters,
    /// The base of the URLs in the reply: `http://host:port/product`.
    pub(in crate::simulator) base: &'a str,
    /// The code with which the setup of the interaction must fail.
    pub(in crate::simulator) setup_failure: Option<u32>,
}

impl<'a> Call<'a> {
    /// The parameter `at` of the path, counted from 0.
    pub(in crate::simulator) fn param(&self, at: usize) -> &'a str {
        self.path.get(at).map_or("", String::as_str)
    }

    pub(in crate::simulator) fn page(
        &self,
        path: &str,
        key: &'static str,
        size_max: usize,
    ) -> Page<'a> {
        Page {
            url: format!("{}{path}", self.base),
            query: self.query,
            key,
            size_max,
        }
    }

    /// Refuses requests to the legacy APIs, which may have ended on 2026-06-01, if the setting says so.
    pub(in crate::simulator) fn legacy(&self) -> Result<(), ErrorReply> {
        if self.world.settings.assumptions.legacy_apis_answer {
            return Ok(());
        }
        Err(ErrorReply::new(
            410,
            20410,
            "This API is no longer available",
        ))
    }
}
