//! The transport of a request to Twilio: over HTTP, or by a call of the simulator's router.
//!
//! In: one request. Out: its whole reply, or whether the request was sent. Always: the request is sent at most once;
//! no layer repeats it by itself.

use std::error::Error as _;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::gate::LastLook;
use super::settings::ClientSettings;
use crate::tls::{self, Check, Keys, TlsError};
use crate::twilio::hiding::hide_numbers;

/// The maximum size of a reply. The longest replies are pages of 1,000 Workers, of about a kilobyte each, plus their
/// attributes, whose maximum length Twilio does not publish.
const BODY_BYTES_MAX: usize = 16 << 20;

/// The timeout for opening a connection. After it, no request was sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Shorter than the servers' own timeout, so that a request is seldom sent on a connection that the server is
/// closing: such a request would be in doubt.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// More idle connections than a busy consumer needs at once.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// The connection ended without a reply: the request may have been carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection was closed before the reply")]
pub struct Dropped;

/// A server in this process that answers like Twilio: the simulator.
#[async_trait]
pub trait InProcess: Send + Sync {
    /// Carries out one request. Its URI is absolute, as with [`Transport::Http`].
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Dropped>;

    /// Waits until a request to this address can leave, like opening a connection over a network.
    async fn connected(&self, _to: &http::Uri) -> Result<(), Dropped> {
        Ok(())
    }
}

/// A transport to Twilio.
#[derive(Clone)]
pub enum Transport {
    /// Over the network.
    Http(reqwest::Client),
    /// Within this process, without a socket, so that a paused clock can drive both ends.
    InProcess(Arc<dyn InProcess>),
}

/// The HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The names of the TLS settings, for errors.
const KEYS: Keys = Keys {
    place: "[twilio] of flexcast.toml",
    address: "FLEXCAST_TWILIO_URL",
    ca: "ca_file",
    certificate: "cert_file",
    key: "key_file",
};

/// Why there is no complete reply.
#[derive(Debug)]
pub(in crate::twilio) enum NoReply {
    /// The request was not sent.
    NotSent(String),
    /// The request was not sent, or not completely: the last check refused it.
    KeptBack,
    /// The request was sent, or may have been. The status is known if the reply had begun.
    Lost {
        status: Option<u16>,
        timed_out: bool,
        detail: String,
    },
}

/// Creates the HTTP transport: HTTP/1.1 with persistent connections, and proxies from the environment (`HTTPS_PROXY`,
/// `NO_PROXY`) unless the address is this machine.
///
/// With HTTP/1.1, a lost connection puts one request in doubt; with HTTP/2, it would be all requests that share it.
///
/// # Errors
///
/// [`TransportError`] when the TLS files or the system's proxy settings cannot be used.
pub fn http_transport(settings: &ClientSettings) -> Result<Transport, TransportError> {
    let tls = tls::client_config(&settings.tls, KEYS, Check::AuthorityAndName)?;
    let client = builder(settings).tls_backend_preconfigured(tls).build();
    client.map(Transport::Http).map_err(TransportError::Client)
}

fn builder(settings: &ClientSettings) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .http1_only()
        // reqwest would repeat some requests by itself, including POSTs.
        .retry(reqwest::retry::never())
        // No redirects: credentials and forms are sent only to the given address.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout))
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .https_only(settings.base.is_https());
    if settings.base.is_loopback() {
        builder.no_proxy()
    } else {
        builder
    }
}

impl Transport {
    /// Sends the request and reads the whole reply.
    pub(super) async fn exchange(
        &self,
        request: http::Request<Bytes>,
        last_look: Option<LastLook>,
    ) -> Result<http::Response<Bytes>, NoReply> {
        match self {
            Self::Http(client) => over_http(client, request, last_look).await,
            Self::InProcess(server) => {
                let lost = |dropped: Dropped| NoReply::Lost {
                    status: None,
                    timed_out: false,
                    detail: dropped.to_string(),
                };
                let connected = server.connected(request.uri()).await;
                connected.map_err(|_| NoReply::NotSent("no connection".to_owned()))?;
                if last_look.is_some_and(|may_leave| !may_leave()) {
                    return Err(NoReply::KeptBack);
                }
                let reply = server.call(request).await.map_err(lost)?;
                let status = reply.status().as_u16();
                if reply.body().len() > BODY_BYTES_MAX {
                    return Err(too_long(status));
                }
                Ok(reply)
            }
        }
    }
}

async fn over_http(
    client: &reqwest::Client,
    request: http::Request<Bytes>,
    last_look: Option<LastLook>,
) -> Result<http::Response<Bytes>, NoReply> {
    let was_kept = Arc::new(AtomicBool::new(false));
    // A request without a body cannot be held back after it has been passed to the library.
    let is_over = |may_leave: &LastLook| request.body().is_empty() && !may_leave();
    if last_look.as_ref().is_some_and(is_over) {
        return Err(NoReply::KeptBack);
    }
    let request = request.map(|body| match last_look {
        Some(may_leave) if !body.is_empty() => reqwest::Body::wrap(LookedAt {
            body: Some(body),
            may_leave,
            was_kept: Arc::clone(&was_kept),
        }),
        _ => body.into(),
    });
    let request =
        reqwest::Request::try_from(request).map_err(|error| NoReply::NotSent(told(error)))?;
    let mut reply = client.execute(request).await.map_err(|error| {
        if was_kept.load(Ordering::SeqCst) {
            NoReply::KeptBack
        } else if error.is_connect() || error.is_builder() {
            NoReply::NotSent(told(error))
        } else {
            lost(None, error)
        }
    })?;
    let status = reply.status();
    let mut body = BytesMut::new();
    loop {
        match reply.chunk().await {
            Ok(None) => break,
            Ok(Some(chunk)) if body.len() + chunk.len() > BODY_BYTES_MAX => {
                return Err(too_long(status.as_u16()));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => return Err(lost(Some(status.as_u16()), error)),
        }
    }
    let mut whole = http::Response::new(body.freeze());
    *whole.status_mut() = status;
    *whole.headers_mut() = std::mem::take(reply.headers_mut());
    Ok(whole)
}

/// The body of a request, which is sent only if the last check allows it. By then the connection is open. A request
/// without its body has no effect: Twilio waits for as many bytes as its `Content-Length` says.
struct LookedAt {
    body: Option<Bytes>,
    may_leave: LastLook,
    was_kept: Arc<AtomicBool>,
}

/// The last check refused the call.
#[derive(Debug, thiserror::Error)]
#[error("the request was held back")]
struct KeptBack;

impl http_body::Body for LookedAt {
    type Data = Bytes;
    type Error = KeptBack;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, KeptBack>>> {
        if self.body.is_some() && !(self.may_leave)() {
            self.was_kept.store(true, Ordering::SeqCst);
            return Poll::Ready(Some(Err(KeptBack)));
        }
        Poll::Ready(self.body.take().map(|body| Ok(Frame::data(body))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.as_ref().map_or(0, |body| body.len() as u64))
    }
}

fn lost(status: Option<u16>, error: reqwest::Error) -> NoReply {
    NoReply::Lost {
        status,
        timed_out: error.is_timeout(),
        detail: told(error),
    }
}

fn too_long(status: u16) -> NoReply {
    NoReply::Lost {
        status: Some(status),
        timed_out: false,
        detail: "the reply is longer than 16 MiB".to_owned(),
    }
}

/// The texts of the error and its causes, without the URL: a query can have a customer's number.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    if let Some(told) = tls::told(&error, KEYS) {
        return hide_numbers(&told);
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    hide_numbers(&text)
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http(_) => "Transport::Http",
            Self::InProcess(_) => "Transport::InProcess",
        })
    }
}
