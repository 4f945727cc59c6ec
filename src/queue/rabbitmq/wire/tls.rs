//! TLS to the broker.

use std::io;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How a broker's certificate is checked: against the roots that Mozilla trusts, and for the host's name.
///
/// # Errors
///
/// When the versions of TLS that are built in do not fit the cryptography that is.
pub(super) fn client_config() -> Result<ClientConfig, rustls::Error> {
    let known = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(known);
    Ok(
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth(),
    )
}

/// Begins TLS with this host.
///
/// # Errors
///
/// When the host is no name that a certificate can be for, or its certificate is not good.
pub(super) async fn begin(
    config: Arc<ClientConfig>,
    host: &str,
    tcp: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    // An address of IPv6 stands in brackets in a URL.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    TlsConnector::from(config).connect(name, tcp).await
}
