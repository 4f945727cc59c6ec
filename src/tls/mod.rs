//! One TLS for all connections: to the broker, the database, Twilio and HTTP proxies.
//!
//! In: the files that a service names, and the environment. Out: one kind of rustls configuration. Always: a
//! certificate that is not accepted is told in a sentence that names the server, the cause and what to do; what a
//! server sends is shown without control characters and bounded; no key's content is in an error.

mod identity;
mod roots;
mod sentences;
mod verifier;

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{AlertDescription, ClientConfig, Error};
use serde::Deserialize;

use self::sentences::NotAccepted;
use self::verifier::Verifier;

/// The files of one service, as its settings name them. They are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// The authorities that are trusted, and no others. Without a file, or with the word `system`, those of the
    /// system's trust store and of `SSL_CERT_FILE` are.
    #[serde(rename = "ca_file")]
    pub ca: Option<String>,
    /// The certificate that this program shows to the server, with its intermediates.
    #[serde(rename = "cert_file")]
    pub certificate: Option<String>,
    /// Its key, without a passphrase.
    #[serde(rename = "key_file")]
    pub key: Option<String>,
}

impl Files {
    /// Whether none is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What the files of a service are called in its settings, for errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Where they are set, such as `AMQP_URL`.
    pub place: &'static str,
    /// What names the host.
    pub address: &'static str,
    pub ca: &'static str,
    pub certificate: &'static str,
    pub key: &'static str,
}

/// What is asked of a server's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// Nothing: the connection is encrypted, and the server may be any server.
    Nothing,
    /// That a trusted authority has signed it.
    Authority,
    /// That, and that it is for this host.
    #[default]
    AuthorityAndName,
}

/// TLS cannot be set up: a sentence that names the file and the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

/// The client's side of TLS with one service.
///
/// # Errors
///
/// [`TlsError`] when a named file cannot be used. A system without a trust store is no error: Mozilla's
/// authorities stand in.
pub fn client_config(files: &Files, keys: Keys, check: Check) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let trusted = match check {
        Check::Nothing => None,
        Check::Authority | Check::AuthorityAndName => Some(roots::trusted(files, keys)?),
    };
    let identity = identity::read(files, keys)?;
    let verifier = Verifier::new(check, trusted, keys, Arc::clone(&provider))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(format!("TLS cannot be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => identity::shown(builder, identity, files, keys),
    }
}

/// What an error of a connection says of certificates, in a sentence: why the server's is not accepted, or that the
/// server refuses this client's, or its lack of one. `None` for every other error.
#[must_use]
pub fn told(error: &(dyn StdError + 'static), keys: Keys) -> Option<String> {
    match rustls_error(error)? {
        Error::Other(other) => {
            let not_accepted = other.0.downcast_ref::<NotAccepted>()?;
            Some(not_accepted.to_string())
        }
        Error::AlertReceived(alert) => refused_by_server(*alert, keys),
        _ => None,
    }
}

/// What to do about an alert of the server's that is about this client's certificate.
fn refused_by_server(alert: AlertDescription, keys: Keys) -> Option<String> {
    let Keys {
        place,
        certificate,
        key,
        ..
    } = keys;
    match alert {
        AlertDescription::CertificateRequired => Some(format!(
            "the server asks for a client certificate: name its file and its key's with {certificate} and {key} in {place}"
        )),
        AlertDescription::HandshakeFailure => Some(format!(
            "the server breaks TLS off (HandshakeFailure): where it asks for a client certificate, name its file and its \
             key's with {certificate} and {key} in {place}; else it has no version or cipher of TLS that is safe"
        )),
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => Some(format!(
            "the server does not accept the client certificate that {certificate} in {place} names, or wants one \
             ({alert:?}): it has to be from an authority that the server trusts, and valid today"
        )),
        _ => None,
    }
}

/// As [`told`], for a connection with TLS that was cut as it began. The alert of a server that refuses this client is lost
/// where the client has sent something meanwhile: the client sees a reset.
#[must_use]
pub fn told_at_start(error: &(dyn StdError + 'static), keys: Keys) -> Option<String> {
    told(error, keys).or_else(|| {
        let text = error.to_string();
        let is_cut = io_error(error).is_some_and(|error| CUT.contains(&error.kind()));
        is_cut.then(|| {
            format!(
                "the server cuts the connection as it begins ({text}): where it asks for a client certificate, name one \
                 that it accepts with {} and {} in {}",
                keys.certificate, keys.key, keys.place
            )
        })
    })
}

/// How a connection ends that the other end has cut.
const CUT: [io::ErrorKind; 4] = [
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::UnexpectedEof,
];

/// The error of a socket among an error's causes.
fn io_error<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The error of TLS among an error's causes.
fn rustls_error<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        // The standard library hides what an I/O error carries behind that one's own causes.
        let carried = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match carried {
            Some(carried) => Some(carried),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests;
