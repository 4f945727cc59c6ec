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

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str, rows: usize) -> Value {
        let query = Parameters::parse(query.as_bytes());
        let page = Page {
            url: "http://127.0.0.1:1/proxy/v1/Services".to_owned(),
            query: &query,
            key: "services",
            size_max: 100,
        };
        let reply = page.of(0..rows, |row| json!(row)).expect("a page");
        reply.body.expect("a body")
    }

    #[test]
    fn a_list_is_read_to_its_end_by_following_the_next_page() {
        let mut query = "PageSize=2&State=open".to_owned();
        let mut seen = Vec::new();
        loop {
            let body = page(&query, 5);
            seen.extend(body["services"].as_array().expect("a list").clone());
            let Some(next) = body["meta"]["next_page_url"].as_str() else {
                break;
            };
            assert!(next.starts_with("http://127.0.0.1:1/proxy/v1/Services?State=open&"));
            query = next.split_once('?').expect("a query").1.to_owned();
        }
        assert_eq!(seen, [0, 1, 2, 3, 4].map(Value::from));
    }

    #[test]
    fn a_page_holds_fifty_unless_asked_and_never_more_than_the_most() {
        assert_eq!(page("", 500)["meta"]["page_size"], 50);
        assert_eq!(page("PageSize=5000", 500)["meta"]["page_size"], 100);
    }
}
