//! Lists: one page of rows, and the URLs of the pages around it.

use serde_json::{Value, json};

use super::form::Parameters;
use super::reply::{Reply, ReplyResult};

/// One page of a list, as requested by a client.
pub(in crate::simulator) struct Page<'a> {
    /// The URL of the list, without a query.
    pub(in crate::simulator) url: String,
    pub(in crate::simulator) query: &'a Parameters,
    /// The name of the list in the reply, which is also `meta.key`.
    pub(in crate::simulator) key: &'static str,
    /// The maximum size of a page; a larger requested size is reduced to it (the OpenAPI's `maximum`).
    pub(super) size_max: usize,
}

impl Page<'_> {
    /// Renders the rows of this page.
    pub(in crate::simulator) fn of<T>(
        self,
        rows: impl Iterator<Item = T>,
        render: impl Fn(T) -> Value,
    ) -> ReplyResult {
        let size = match self.query.integer("PageSize", 1, i64::MAX)? {
            Some(size) => usize::try_from(size)
                .unwrap_or(usize::MAX)
                .min(self.size_max),
            None => self.size_max.min(50),
        };
        let token = self
            .query
            .get("PageToken")
            .and_then(|token| token.strip_prefix("PT"))
            .and_then(|page| page.parse().ok());
        let number = match token {
            Some(number) => number,
            None => {
                usize::try_from(self.query.integer("Page", 0, 1_000_000)?.unwrap_or(0)).unwrap_or(0)
            }
        };
        let mut rows = rows.skip(number.saturating_mul(size));
        let page: Vec<Value> = rows.by_ref().take(size).map(render).collect();
        let more = rows.next().is_some();
        let mut body = json!({});
        body[self.key] = Value::Array(page);
        body["meta"] = json!({
            "page": number,
            "page_size": size,
            "first_page_url": self.page_url(size, 0),
            "previous_page_url": (number > 0).then(|| self.page_url(size, number - 1)),
            "url": self.page_url(size, number),
            "next_page_url": more.then(|| self.page_url(size, number + 1)),
            "key": self.key,
        });
        Reply::ok(body)
    }

    fn page_url(&self, size: usize, page: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.query.pairs() {
            if !matches!(name, "PageSize" | "Page" | "PageToken") {
                query.append_pair(name, value);
            }
        }
        query.append_pair("PageSize", &size.to_string());
        query.append_pair("Page", &page.to_string());
        if page > 0 {
            query.append_pair("PageToken", &format!("PT{page}"));
        }
        format!("{}?{}", self.url, query.finish())
    }
}
