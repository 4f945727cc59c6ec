//! The client certificate: the certificate for a server that asks for one.
//!
//! In: the files of a certificate and its key. Out: both, checked to belong together. Always: an error names the file
//! and never has its contents.

use rustls::client::WantsClientCert;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, Error, InconsistentKeys};

use super::{Files, Keys, TlsError};

/// The beginnings of an encrypted key (RFC 7468 section 11, RFC 1421).
const ENCRYPTED: [&str; 2] = ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"];

/// A certificate with its intermediates, and its key.
pub(super) struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Reads the certificate and the key. `None` without both settings.
///
/// # Errors
///
/// [`TlsError`] when only one of the two is set, or a file cannot be used.
pub(super) fn read(files: &Files, keys: Keys) -> Result<Option<ClientCertificate>, TlsError> {
    let (certificate, key) = match (&files.certificate, &files.key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (named, _) => {
            let (named, missing) = match named {
                Some(_) => (keys.certificate, keys.key),
                None => (keys.key, keys.certificate),
            };
            return Err(TlsError(format!(
                "{} sets {named} and not {missing}: a client certificate needs both",
                keys.place
            )));
        }
    };
    let chain = chain(certificate, keys)?;
    let key = private_key(key, keys)?;
    Ok(Some(ClientCertificate { chain, key }))
}

/// Finishes a configuration with the client certificate.
///
/// # Errors
///
/// [`TlsError`] when the key belongs to another certificate.
pub(super) fn shown(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    identity: ClientCertificate,
    files: &Files,
    keys: Keys,
) -> Result<ClientConfig, TlsError> {
    let made = builder.with_client_auth_cert(identity.chain, identity.key);
    made.map_err(|error| {
        let [certificate, key] =
            [&files.certificate, &files.key].map(|file| file.as_deref().unwrap_or_default());
        let place = keys.place;
        TlsError(match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
                "{place}: the key in {key} ({}) is not the one of the certificate in {certificate} ({})",
                keys.key, keys.certificate
            ),
            error => format!("{place}: the client certificate in {certificate} with the key in {key} cannot be used: {error}"),
        })
    })
}

fn chain(file: &str, keys: Keys) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |why: String| {
        TlsError(format!(
            "the client certificate {file} ({} in {}) {why}",
            keys.certificate, keys.place
        ))
    };
    let bytes =
        std::fs::read(file).map_err(|error| unusable(format!("cannot be read: {error}")))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = read.map_err(|error| unusable(format!("is not a PEM file: {error}")))?;
    if chain.is_empty() {
        let text = "holds no certificate: it begins with -----BEGIN CERTIFICATE-----";
        return Err(unusable(text.to_owned()));
    }
    Ok(chain)
}

fn private_key(file: &str, keys: Keys) -> Result<PrivateKeyDer<'static>, TlsError> {
    let unusable = |why: String| {
        TlsError(format!(
            "the key of the client certificate {file} ({} in {}) {why}",
            keys.key, keys.place
        ))
    };
    let bytes =
        std::fs::read(file).map_err(|error| unusable(format!("cannot be read: {error}")))?;
    let is_encrypted = || {
        let text = String::from_utf8_lossy(&bytes);
        ENCRYPTED.iter().any(|mark| text.contains(mark))
    };
    if is_encrypted() {
        let text = "is encrypted: use a key without a passphrase that only this program's user can read; openssl \
        pkey -in OLD -out NEW removes the passphrase";
        return Err(unusable(text.to_owned()));
    }
    // The parser's text could have a part of the key, so that only the kind of error is reported.
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        unusable(match error {
            PemError::NoItemsFound => {
                "holds no private key: it begins with -----BEGIN PRIVATE KEY-----".to_owned()
            }
            _ => "is not a PEM file".to_owned(),
        })
    })
}
