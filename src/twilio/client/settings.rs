//! The settings of a client: account, address, timeout and certificates.

use std::time::Duration;

use crate::tls::Files;
use crate::twilio::{BaseUrl, Credentials};

/// The default timeout of a call. Twilio's libraries wait 30 s; a lease must be longer than a call.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

/// The settings of a client.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    pub credentials: Credentials,
    pub base: BaseUrl,
    /// The timeout from passing the gate to the last byte of the reply. A call without a reply by then is in doubt.
    pub timeout: Duration,
    pub user_agent: String,
    /// The TLS files: the company's own authority, a client certificate.
    pub tls: Files,
}

impl ClientSettings {
    /// Creates settings with [`DEFAULT_TIMEOUT`] and flexcast's user agent.
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
