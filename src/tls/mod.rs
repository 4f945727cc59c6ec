//! The TLS configuration of all connections: to the broker, the database, Twilio and HTTP proxies.
//!
//! In: the files of a service's settings, and the environment. Out: a rustls configuration. Always: the error for a
//! certificate that is not accepted is a sentence with the server, the cause and the remedy; texts from a server are
//! shown without control characters and cut to a maximum length; no error has the contents of a key.

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

/// The files in the settings of one service. They are PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// The trusted authorities. Without a file, or with the word `system`, the authorities of the system's trust
    /// store and of `SSL_CERT_FILE` are trusted instead.
    #[serde(rename = "ca_file")]
    pub ca: Option<String>,
    /// The client certificate, with its intermediates.
    #[serde(rename = "cert_file")]
    pub certificate: Option<String>,
    /// The key of the client certificate, without a passphrase.
    #[serde(rename = "key_file")]
    pub key: Option<String>,
}

impl Files {
    /// Whether no file is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The names of a service's settings, for errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The place of the settings, such as `AMQP_URL`.
    pub place: &'static str,
    /// The setting that names the host.
    pub address: &'static str,
    pub ca: &'static str,
    pub certificate: &'static str,
    pub key: &'static str,
}

/// How a server's certificate is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// Not at all: the connection is encrypted, but the server may be any server.
    Nothing,
    /// A trusted authority must have signed it.
    Authority,
    /// A trusted authority must have signed it, and it must be for this host.
    #[default]
    AuthorityAndName,
}

/// TLS cannot be set up. The text is a sentence with the file and the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

/// Creates the TLS configuration of a client of one service.
///
/// # Errors
///
/// [`TlsError`] when a file of the settings cannot be used. A system without a trust store is no error: Mozilla's
/// authorities are trusted instead.
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

/// Describes a connection error that is about certificates, in a sentence. `None` for every other error.
///
/// The sentence says why the server's certificate is not accepted, or that the server refuses the client certificate or
/// asks for one.
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

/// The remedy for an alert of the server about the client certificate.
fn refused_by_server(alert: AlertDescription, keys: Keys) -> Option<String> {
    let Keys {
        place,
        certificate,
        key,
        ..
    } = keys;
    match alert {
        AlertDescription::CertificateRequired => Some(format!(
            "the server asks for a client certificate: set its file and the file of its key with {certificate} and \
            {key} in {place}"
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

/// Like [`told`], but also for a TLS connection that is cut while it starts. If the client has already sent data, the
/// alert of a server that refuses it can be lost: the client then sees only a reset.
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

/// The error kinds of a connection that the other end has cut.
const CUT: [io::ErrorKind; 4] = [
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::UnexpectedEof,
];

/// Finds the socket error among the causes of an error.
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

/// Finds the TLS error among the causes of an error.
fn rustls_error<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        // An `io::Error` with an inner error does not return it as its source, but the source of the inner error.
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
