//! Requests to the management API.
//!
//! In: a path and a query. Out: the parsed JSON reply, or the error in one sentence. Always: one GET, sent once,
//! only to the host of `AMQP_MANAGEMENT_URL`; the error names that host and no secret.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use bytes::BytesMut;
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::{Host, Url};

use crate::queue::rabbitmq::broker::address::Login;
use crate::queue::rabbitmq::broker::address::{KEYS, query_files};
use crate::queue::{QueueError, Result};
use crate::tls::{self, Check, Files, Keys};

/// The time limit for a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The time limit for one request and its complete reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(4);

/// The longest reply that is read, in bytes. A page of 500 queues has about 300 KB.
const BODY_BYTES_MAX: usize = 8 << 20;

/// The longest error text of the API that an error quotes, in characters.
const REASON_MAX: usize = 100;

/// The management API of one broker.
pub(super) struct ManagementApi {
    client: reqwest::Client,
    /// Without credentials.
    base: Url,
    login: Login,
}

/// The body of an error reply.
#[derive(Deserialize)]
struct ErrorBody {
    reason: String,
}

impl ManagementApi {
    /// Parses `AMQP_MANAGEMENT_URL`. `login` is used for a URL without credentials, `files` for a URL whose query
    /// names no TLS file.
    ///
    /// # Errors
    ///
    /// [`QueueError::Refused`], without the URL's text, which may contain a password. Also for an unusable file.
    pub(super) fn new(url: &str, login: Login, files: &Files) -> Result<Self> {
        let refused = |what: &str| {
            QueueError::Refused(format!(
                "AMQP_MANAGEMENT_URL {what}: write it as http://user:password@host:15672"
            ))
        };
        let parsed = Url::parse(url.trim()).ok();
        let is_http = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let mut base = parsed
            .filter(is_http)
            .ok_or_else(|| refused("is not the address of a management API"))?;
        let login = if base.username().is_empty() {
            login
        } else {
            let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            Login {
                user: plain(base.username()),
                password: plain(base.password().unwrap_or_default()).into(),
            }
        };
        let own = query_files(&base);
        let (files, place) = match own.is_empty() {
            true => (files.clone(), KEYS.place),
            false => (own, "AMQP_MANAGEMENT_URL"),
        };
        let keys = Keys {
            place,
            address: "AMQP_MANAGEMENT_URL",
            ..KEYS
        };
        let tls = tls::client_config(&files, keys, Check::AuthorityAndName)
            .map_err(|error| QueueError::Refused(error.to_string()))?;
        // None of these fails for a URL with a host.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        base.set_query(None);
        base.set_fragment(None);
        let client = client(&base, tls)
            .map_err(|error| refused(&format!("cannot be used ({})", told(error))))?;
        Ok(Self {
            client,
            base,
            login,
        })
    }

    /// The base URL without credentials and without a slash at its end.
    pub(super) fn base(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    /// Requests `path` below `/api`.
    ///
    /// # Errors
    ///
    /// The reason in one sentence, with the host and without a secret.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> std::result::Result<T, String> {
        let place = self.base();
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // Each segment is encoded: the virtual host / becomes %2F.
            segments.pop_if_empty().push("api").extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let password = self.login.password.expose_secret();
        let request = self
            .client
            .get(url)
            .basic_auth(&self.login.user, Some(password));
        let unreachable = |error| format!("{place} does not answer: {}", told(error));
        let mut reply = request.send().await.map_err(unreachable)?;
        let status = reply.status().as_u16();
        let mut body = BytesMut::new();
        while let Some(chunk) = reply.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(format!("{place} answers with more than 8 MiB"));
            }
            body.extend_from_slice(&chunk);
        }
        match status {
            200 => serde_json::from_slice(&body).map_err(|_| no_management(&place, status)),
            401 | 403 => Err(refused(&place, status, &body)),
            _ => Err(no_management(&place, status)),
        }
    }
}

/// The error for a refused request. It quotes the API's reason if that is short and plain.
fn refused(place: &str, status: u16, body: &[u8]) -> String {
    let reason = serde_json::from_slice::<ErrorBody>(body).map(|refusal| refusal.reason);
    let is_plain = |reason: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || " ,.'_-".contains(c);
        reason.len() <= REASON_MAX && reason.chars().all(plain)
    };
    match reason.ok().filter(is_plain) {
        Some(reason) => format!(
            "{place} refuses the user of AMQP_MANAGEMENT_URL, or of AMQP_URL where that has none \
             ({status}: {reason}): it needs the tag \"monitoring\", set with rabbitmqctl \
             set_user_tags, and rights in the virtual host"
        ),
        None => no_management(place, status),
    }
}

fn no_management(place: &str, status: u16) -> String {
    format!(
        "the server at {place} ({status}) is not RabbitMQ's management API: check \
         AMQP_MANAGEMENT_URL, and whether the plugin rabbitmq_management is enabled"
    )
}

/// An HTTP client with the rules of the Twilio client: no automatic retries, no redirects with credentials, proxies
/// of the environment except for a loopback address.
fn client(base: &Url, tls: ClientConfig) -> std::result::Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .http1_only()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REPLY_TIMEOUT)
        // One inspection a minute: no connection stays open between two of them.
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(Duration::from_secs(5))
        .https_only(base.scheme() == "https")
        .tls_backend_preconfigured(tls);
    let builder = match is_loopback(base) {
        true => builder.no_proxy(),
        false => builder,
    };
    builder.build()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

/// The error with its causes, without the URL.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let keys = Keys {
        place: "AMQP_MANAGEMENT_URL",
        address: "AMQP_MANAGEMENT_URL",
        ..KEYS
    };
    if let Some(told) = tls::told(&error, keys) {
        return told;
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(url: &str) -> Result<ManagementApi> {
        let login = Login {
            user: "amqp".to_owned(),
            password: "hidden".to_owned().into(),
        };
        ManagementApi::new(url, login, &Files::default())
    }

    #[test]
    fn credentials_are_decoded_and_those_of_amqp_stand_in() {
        let table = [
            ("http://mq:15672", "http://mq:15672", "amqp", "hidden"),
            (
                "http://me:s3cret@mq:15672/",
                "http://mq:15672",
                "me",
                "s3cret",
            ),
            (
                "https://m%40e:p%2Fq%25@mq/rabbit/",
                "https://mq/rabbit",
                "m@e",
                "p/q%",
            ),
            (" http://me@mq:1\n", "http://mq:1", "me", ""),
        ];
        for (url, base, user, password) in table {
            let api = api(url).expect("a management URL");
            assert_eq!(api.base(), base, "{url}");
            assert_eq!(api.login.user, user, "{url}");
            assert_eq!(api.login.password.expose_secret(), password, "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_told() {
        for url in [
            "",
            "s3cret",
            "me:s3cret@mq",
            "amqp://me:s3cret@mq",
            "http://",
            "file:///s3cret",
        ] {
            let Err(error) = api(url) else {
                panic!("{url} was taken");
            };
            let told = error.to_string();
            assert!(told.contains("AMQP_MANAGEMENT_URL"), "{told}");
            assert!(!told.contains("s3cret"), "{told}");
        }
    }

    #[test]
    fn a_refusal_repeats_only_plain_words() {
        let plain = br#"{"error":"not_authorised","reason":"Not monitor user"}"#;
        assert!(refused("http://mq", 401, plain).contains("401: Not monitor user"));
        for other in [&b"<html>"[..], br#"{"reason":"<script>"}"#] {
            let told = refused("http://mq", 401, other);
            assert!(told.contains("not RabbitMQ's management API"), "{told}");
        }
    }
}
