//! How a request's bytes reach Twilio: over HTTP, or by a call of the simulator's router.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

/// The connection ended without a reply: whether the request was carried out, nobody here knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection was closed before the reply")]
pub struct Dropped;

/// Something in this process that answers as Twilio does: the simulator.
#[async_trait]
pub trait InProcess: Send + Sync {
    /// Carries out one request. Its URI is absolute, as [`Transport::Http`] would send it.
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Dropped>;
}

/// The way to Twilio.
#[derive(Clone)]
pub enum Transport {
    /// Over the network.
    Http(reqwest::Client),
    /// Within this process: no socket, so that a paused clock can drive both ends.
    InProcess(Arc<dyn InProcess>),
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http(_) => "Transport::Http",
            Self::InProcess(_) => "Transport::InProcess",
        })
    }
}
