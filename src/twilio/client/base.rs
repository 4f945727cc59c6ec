//! The base address of Twilio: its own hosts, or one address with a path prefix for each product.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use crate::twilio::Product;

/// The base address of all calls.
///
/// A ledger is bound to the text of `Display`: the same text means the same Twilio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(BaseKind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum BaseKind {
    /// `https://{product}{suffix}`, the suffix being `[.edge][.region].twilio.com`.
    Hosts { suffix: String },
    /// `{root}/{product}`; the root has no slash at its end.
    Folders { root: String, loopback: bool },
}

/// A text cannot be a base address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrl {
    #[error("{0} {1:?} is not a label of a host name: only a-z, 0-9 and '-' are allowed")]
    Label(&'static str, String),
    #[error("{0:?} must be an http:// or https:// address without user, query and fragment")]
    Address(String),
}

impl BaseUrl {
    /// Twilio's own hosts in an edge and a region. As in Twilio's tools, an edge without a region means region `us1`.
    ///
    /// # Errors
    ///
    /// [`InvalidBaseUrl::Label`] when one of them cannot be a label of a host name.
    pub fn twilio(edge: Option<&str>, region: Option<&str>) -> Result<Self, InvalidBaseUrl> {
        let edge = label("edge", edge)?;
        let region = label("region", region)?.or(edge.and(Some("us1")));
        let mut suffix = String::new();
        for part in [edge, region].into_iter().flatten() {
            suffix.push('.');
            suffix.push_str(part);
        }
        suffix.push_str(".twilio.com");
        Ok(Self(BaseKind::Hosts { suffix }))
    }

    /// Another server, such as the simulator, where the product is the first segment of the path.
    ///
    /// # Errors
    ///
    /// [`InvalidBaseUrl::Address`] when it is not an HTTP address.
    pub fn at(address: &str) -> Result<Self, InvalidBaseUrl> {
        let refused = || InvalidBaseUrl::Address(without_password(address));
        let url = Url::parse(address.trim()).map_err(|_| refused())?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain {
            return Err(refused());
        }
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
            Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
            None => return Err(refused()),
        };
        let root = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self(BaseKind::Folders { root, loopback }))
    }

    /// The URL of `path` (which begins with `/`) in `product`.
    #[must_use]
    pub fn url(&self, product: Product, path: &str) -> String {
        format!("{}{path}", self.root(product))
    }

    /// Whether the address is this machine: calls then go through no HTTP proxy.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        matches!(self.0, BaseKind::Folders { loopback: true, .. })
    }

    /// Whether every call is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        match &self.0 {
            BaseKind::Hosts { .. } => true,
            BaseKind::Folders { root, .. } => root.starts_with("https://"),
        }
    }

    /// The URL of a list's next page, if it is in the same product at the same base address.
    ///
    /// Twilio's plain host of the product is accepted with every edge and region: Twilio's libraries, too, insert
    /// edge and region into such a URL before they follow it.
    pub(super) fn follow(&self, product: Product, next_page_url: &str) -> Option<String> {
        let next = Url::parse(next_page_url).ok()?;
        if !next.username().is_empty() || next.password().is_some() {
            return None;
        }
        let plain_host = format!("https://{product}.twilio.com");
        let mut roots = vec![self.root(product)];
        if matches!(self.0, BaseKind::Hosts { .. }) {
            roots.push(plain_host);
        }
        let rest = roots.iter().find_map(|root| {
            let rest = next.as_str().strip_prefix(root.as_str())?;
            rest.starts_with('/').then_some(rest)
        })?;
        Some(self.url(product, rest))
    }

    fn root(&self, product: Product) -> String {
        match &self.0 {
            BaseKind::Hosts { suffix } => format!("https://{product}{suffix}"),
            BaseKind::Folders { root, .. } => format!("{root}/{product}"),
        }
    }
}

/// An empty value means none, as in the environment variables of Twilio's tools.
fn label<'a>(what: &'static str, text: Option<&'a str>) -> Result<Option<&'a str>, InvalidBaseUrl> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.chars().all(plain) {
        Ok(Some(text))
    } else {
        Err(InvalidBaseUrl::Label(what, text.to_owned()))
    }
}

/// The address for an error text, without the part before `@`, which may have a password.
fn without_password(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((_, rest)) => format!("...@{rest}"),
        None => address.to_owned(),
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            BaseKind::Hosts { suffix } => write!(f, "https://{{product}}{suffix}"),
            BaseKind::Folders { root, .. } => f.write_str(root),
        }
    }
}

/// Fills the braces of a path with percent-encoded parameters.
pub(super) fn filled(template: &str, params: &[&str]) -> Result<String, &'static str> {
    let mut params = params.iter();
    let mut path = String::with_capacity(template.len());
    for segment in template.split('/').skip(1) {
        path.push('/');
        if !segment.starts_with('{') {
            path.push_str(segment);
            continue;
        }
        let param = params.next().ok_or("too few path parameters")?;
        // Such a parameter would name another resource: the list, or its parent.
        if matches!(*param, "" | "." | "..") {
            return Err("a path parameter is empty or dots");
        }
        // Form encoding writes a space, and only a space, as `+`; a path needs `%20`.
        let encoded: String = form_urlencoded::byte_serialize(param.as_bytes()).collect();
        path.push_str(&encoded.replace('+', "%20"));
    }
    match params.next() {
        None => Ok(path),
        Some(_) => Err("too many path parameters"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::Operation;

    #[test]
    fn edge_and_region_stand_in_the_host_as_in_twilios_tools() {
        let table = [
            (None, None, "https://proxy.twilio.com/v1"),
            (
                Some("sydney"),
                None,
                "https://proxy.sydney.us1.twilio.com/v1",
            ),
            (None, Some("ie1"), "https://proxy.ie1.twilio.com/v1"),
            (
                Some("dublin"),
                Some("ie1"),
                "https://proxy.dublin.ie1.twilio.com/v1",
            ),
            (Some(""), Some(" "), "https://proxy.twilio.com/v1"),
        ];
        for (edge, region, url) in table {
            let base = BaseUrl::twilio(edge, region).expect("labels");
            assert_eq!(base.url(Product::Proxy, "/v1"), url);
        }
        assert!(BaseUrl::twilio(Some("evil.example/"), None).is_err());
    }

    #[test]
    fn another_server_has_a_folder_for_each_product() {
        let base = BaseUrl::at("http://127.0.0.1:4010/").expect("an address");
        assert_eq!(
            base.url(Product::Flex, "/v1/Channels"),
            "http://127.0.0.1:4010/flex-api/v1/Channels"
        );
        assert!(base.is_loopback() && !base.is_https());
        assert_eq!(base.to_string(), "http://127.0.0.1:4010");
        for wrong in ["4010", "ftp://x", "http://u:secret@x/", "http://x/?a=b"] {
            let error = BaseUrl::at(wrong).expect_err(wrong);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_next_page_is_followed_only_at_home() {
        let here = BaseUrl::at("http://127.0.0.1:4010").expect("an address");
        let page =
            |rest: &str| here.follow(Product::Proxy, &format!("http://127.0.0.1:4010{rest}"));
        assert_eq!(
            page("/proxy/v1/Services?Page=1").as_deref(),
            Some("http://127.0.0.1:4010/proxy/v1/Services?Page=1")
        );
        assert_eq!(page("/proxyX/v1/Services"), None);
        assert_eq!(page("/proxy/../chat/v2"), None);
        assert_eq!(page("@evil.example/proxy/v1"), None);
        let edge = BaseUrl::twilio(Some("sydney"), None).expect("labels");
        assert_eq!(
            edge.follow(
                Product::Proxy,
                "https://proxy.twilio.com/v1/Services?Page=1"
            )
            .as_deref(),
            Some("https://proxy.sydney.us1.twilio.com/v1/Services?Page=1")
        );
        for foreign in [
            "https://proxy.twilio.com.evil.example/v1",
            "http://proxy.twilio.com/v1",
            "https://chat.twilio.com/v2",
            "/v1/Services?Page=1",
        ] {
            assert_eq!(edge.follow(Product::Proxy, foreign), None, "{foreign}");
        }
    }

    #[test]
    fn path_parameters_cannot_leave_their_segment() {
        let template = Operation::FetchSession.endpoint().path;
        assert_eq!(
            filled(template, &["KS1", "a/b?c#d é+"]).expect("filled"),
            "/v1/Services/KS1/Sessions/a%2Fb%3Fc%23d%20%C3%A9%2B"
        );
        for wrong in [&["KS1"][..], &["KS1", ""], &["KS1", ".."], &["a", "b", "c"]] {
            assert!(filled(template, wrong).is_err(), "{wrong:?}");
        }
    }
}
