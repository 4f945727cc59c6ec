//! Lists, page by page.
//!
//! In: the operation of a list, the key of its items. Out: all items. Always: an incomplete list is an error, never a
//! shorter list, because recovery relies on the absence of an item.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::twilio::{CallError, Form, Operation, Twilio};

/// The requested size of a page, which all products support (Proxy and Conversations send at most 100 records a
/// page).
const PAGE_SIZE: usize = 100;

/// The requested size of a page of Workers: a workspace has up to 15,000 (Twilio's page on the Worker resource).
const WORKERS_PAGE_SIZE: usize = 1_000;

/// The maximum number of pages of a list: 10 000 items, or all Workers. A longer list is too long for one step.
const PAGES_MAX: usize = 100;

/// A page of Twilio's v1 and v2 APIs.
#[derive(Deserialize)]
struct Page {
    meta: Meta,
    #[serde(flatten)]
    rest: HashMap<String, Value>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    next_page_url: Option<String>,
}

impl Twilio {
    /// Reads all items of a list.
    pub(in crate::twilio) async fn list<T: DeserializeOwned>(
        &self,
        operation: Operation,
        params: &[&str],
        form: Form,
        key: &'static str,
    ) -> Result<Vec<T>, CallError> {
        self.list_up_to(operation, params, form, key, usize::MAX)
            .await
    }

    /// Reads the first `limit` items of a list; all items if there are fewer.
    pub(in crate::twilio) async fn list_up_to<T: DeserializeOwned>(
        &self,
        operation: Operation,
        params: &[&str],
        form: Form,
        key: &'static str,
        limit: usize,
    ) -> Result<Vec<T>, CallError> {
        // The maximum in Twilio's OpenAPI.
        let most = match operation {
            Operation::ListParticipantConversations => 50,
            Operation::ListConversationWebhooks => 5,
            Operation::ListWorkers => WORKERS_PAGE_SIZE,
            _ => PAGE_SIZE,
        };
        let form = form.with("PageSize", limit.clamp(1, most));
        let mut request = self.request(operation, params, form)?;
        let mut items = Vec::new();
        for _ in 0..PAGES_MAX {
            let mut page: Page = self.send(request).await?;
            let found = page
                .rest
                .remove(key)
                .ok_or_else(|| broken("no such list"))?;
            let found: Vec<T> = serde_json::from_value(found)
                .map_err(|error| CallError::broken_body(200, &error))?;
            items.extend(found);
            let Some(next) = page.meta.next_page_url.filter(|url| !url.is_empty()) else {
                items.truncate(limit);
                return Ok(items);
            };
            if items.len() >= limit {
                items.truncate(limit);
                return Ok(items);
            }
            request = self.request(operation, params, Form::new())?;
            request.url = self
                .base()
                .follow(operation.endpoint().product, &next)
                .ok_or_else(|| broken("its next page is on another server"))?;
        }
        Err(broken("it has more than 100 pages"))
    }
}

fn broken(why: &str) -> CallError {
    CallError::InDoubt {
        detail: format!("the list cannot be read: {why}"),
        status: Some(200),
        code: None,
        retry_after: None,
    }
}
