//! What a client is made of: an account, an address, a time-out and certificates.

use std::time::Duration;

use crate::tls::Files;
use crate::twilio::{BaseUrl, Credentials};

/// How long a call may take by default. Twilio's own libraries wait 30 s; a lease must outlive a call.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

/// What a client is made of.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    pub credentials: Credentials,
    pub base: BaseUrl,
    /// From the gate's leave to the last byte of the reply; a call without one by then is in doubt.
    pub timeout: Duration,
    pub user_agent: String,
    /// The files of TLS: an authority of the company's own, a client certificate.
    pub tls: Files,
}

impl ClientSettings {
    /// Settings with [`DEFAULT_TIMEOUT`] and this program's name.
    #[must_use]
    pub fn new(credentials: Credentials, base: BaseUrl) -> Self {
        Self {
            credentials,
            base,
            timeout: DEFAULT_TIMEOUT,
            user_agent: concat!("flexcast/", env!("CARGO_PKG_VERSION")).to_owned(),
            tls: Files::default(),
        }
    }
}
