//! The router: finds the function for a method and a path, with one table for each product.
//!
//! In: an HTTP request's head. Out: the route, its path parameters and the base of its URLs. Always: every
//! [`Operation`](crate::twilio::Operation) of the client is in the tables, under its own name, method and path.

use jiff::Timestamp;

use super::form::Parameters;
use super::reply::{Page, ReplyResult};
use crate::simulator::chat;
use crate::simulator::chat::users;
use crate::simulator::conversations;
use crate::simulator::flex;
use crate::simulator::flex::interactions;
use crate::simulator::proxy;
use crate::simulator::taskrouter;
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
}

/// The products, by their names in a host or a path, with their endpoints.
const PRODUCTS: [(&str, &[&[Route]]); 5] = [
    ("flex-api", &[flex::ROUTES, interactions::ROUTES]),
    ("proxy", &[proxy::ROUTES]),
    ("chat", &[chat::ROUTES]),
    ("conversations", &[conversations::ROUTES, users::ROUTES]),
    ("taskrouter", &[taskrouter::ROUTES]),
];

/// The route of a request, with its parameters.
pub(in crate::simulator) struct RouteMatch {
    pub(in crate::simulator) product: &'static str,
    pub(super) route: &'static Route,
    pub(in crate::simulator) path: Vec<String>,
    pub(in crate::simulator) base: String,
}

/// A request without a route: its path under the product.
pub(in crate::simulator) struct Nowhere(pub(in crate::simulator) String);

/// Finds the route of a request. `host` is the request's authority; `public_url` replaces `http://host` in URLs.
pub(in crate::simulator) fn find(
    method: &str,
    uri: &http::Uri,
    host: &str,
    public_url: Option<&str>,
) -> Result<RouteMatch, Nowhere> {
    let nowhere = || Nowhere(uri.path().to_owned());
    let segments: Vec<String> = uri
        .path()
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(decoded)
        .collect();
    let scheme = uri.scheme_str().unwrap_or("http");
    let root = public_url.map_or_else(
        || format!("{scheme}://{host}"),
        |url| url.trim_end_matches('/').to_owned(),
    );
    // Twilio's own hosts have the product in the name: proxy.twilio.com.
    let by_host = PRODUCTS.iter().find(|(product, _)| {
        host.strip_prefix(product)
            .is_some_and(|rest| rest.starts_with('.'))
    });
    let (product, routes, base, rest) = if let Some((product, routes)) = by_host {
        (*product, *routes, root, &segments[..])
    } else {
        let at = segments
            .iter()
            .position(|segment| PRODUCTS.iter().any(|(product, _)| product == segment))
            .ok_or_else(nowhere)?;
        let (product, routes) = PRODUCTS
            .iter()
            .find(|(product, _)| *product == segments[at])
            .ok_or_else(nowhere)?;
        let base = format!("{root}/{}", segments[..=at].join("/"));
        (*product, *routes, base, &segments[at + 1..])
    };
    let rest = without_service(product, rest);
    let found = routes.iter().copied().flatten().find_map(|route| {
        let path = (route.method == method).then(|| matched(route.path, &rest))??;
        Some((route, path))
    });
    let (route, path) = found.ok_or_else(|| Nowhere(format!("/{}", rest.join("/"))))?;
    Ok(RouteMatch {
        product,
        route,
        path,
        base,
    })
}

/// Removes the service from a path: Conversations has each path a second time under its service,
/// `/v1/Services/{IS}/Conversations`.
fn without_service(product: &str, segments: &[String]) -> Vec<String> {
    match segments {
        [version, services, _service, rest @ ..]
            if product == "conversations" && services == "Services" && !rest.is_empty() =>
        {
            let mut path = vec![version.clone()];
            path.extend_from_slice(rest);
            path
        }
        segments => segments.to_vec(),
    }
}

fn matched(template: &str, segments: &[String]) -> Option<Vec<String>> {
    let mut params = Vec::new();
    let mut parts = template.split('/').skip(1);
    for segment in segments {
        let part = parts.next()?;
        if part.starts_with('{') {
            params.push(segment.clone());
        } else if part != segment {
            return None;
        }
    }
    parts.next().is_none().then_some(params)
}

/// Decodes percent-encoding. A plus stays a plus, because this is a path.
fn decoded(segment: &str) -> String {
    let escaped = segment.replace('+', "%2B");
    form_urlencoded::parse(format!("={escaped}").as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// Whether an operation has this name. Faults use it.
pub(in crate::simulator) fn is_operation(name: &str) -> bool {
    PRODUCTS
        .iter()
        .flat_map(|(_, routes)| routes.iter().copied().flatten())
        .any(|route| route.operation == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::Operation;

    #[test]
    fn every_operation_of_the_client_is_answered_under_its_name() {
        for operation in Operation::ALL {
            let endpoint = operation.endpoint();
            let uri = format!("http://h:1/{}{}", endpoint.product, endpoint.path)
                .replace('{', "")
                .replace('}', "");
            let uri = uri.parse().expect("a URI");
            let found = find(endpoint.method.as_str(), &uri, "h:1", None);
            let Ok(target) = found else {
                panic!("{operation} has no route");
            };
            assert_eq!(target.route.operation, operation.as_str());
            // A path under its service has the same route as the path without it.
            let path = endpoint.path.replace("/Services/{ChatServiceSid}", "");
            assert_eq!(target.route.path, path);
        }
    }

    #[test]
    fn no_two_endpoints_share_a_name() {
        let mut names: Vec<_> = PRODUCTS
            .iter()
            .flat_map(|(_, routes)| routes.iter().copied().flatten())
            .map(|route| route.operation)
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_product_is_found_in_the_path_or_in_the_host() {
        let table = [
            ("http://h:1/proxy/v1/Services", "h:1", "http://h:1/proxy"),
            (
                "http://h:1/a/proxy/v1/Services",
                "h:1",
                "http://h:1/a/proxy",
            ),
            (
                "https://proxy.twilio.com/v1/Services",
                "proxy.twilio.com",
                "https://proxy.twilio.com",
            ),
        ];
        for (uri, host, base) in table {
            let found = find("GET", &uri.parse().expect("a URI"), host, None);
            let target = found.ok().expect(uri);
            assert_eq!(target.base, base);
            assert_eq!(target.route.operation, "list_proxy_services");
        }
    }

    #[test]
    fn path_parameters_are_decoded() {
        let uri = "http://h/proxy/v1/Services/KS1/Sessions/a%20b+c";
        let found = find("GET", &uri.parse().expect("a URI"), "h", None);
        assert_eq!(found.ok().expect("found").path, ["KS1", "a b+c"]);
    }
}
