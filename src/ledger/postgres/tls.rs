//! TLS to the database: `sslmode` and `sslrootcert`, as PostgreSQL's own tools read them
//! (<https://www.postgresql.org/docs/current/libpq-ssl.html>).
//!
//! In: a URL. Out: the URL that the driver understands, and whose certificate is good enough.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::ledger::Result;

use super::connection::invalid;

/// What is asked of the server's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Check {
    /// Nothing: the connection is encrypted, whoever is at the other end (`prefer`, `require`).
    #[default]
    Nothing,
    /// That a root we know vouches for it (`verify-ca`; `require` with a root).
    Root,
    /// That, and that it is for this host (`verify-full`).
    RootAndName,
}

/// How certificates are checked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tls {
    check: Check,
    /// A file of PEM certificates; the well-known roots when none is named.
    roots: Option<String>,
}

/// Takes what the driver does not know out of the URL.
pub(super) fn split(url: &str) -> Result<(String, Tls)> {
    // A password may hold a question mark.
    let host = url.rfind('@').unwrap_or(0);
    let Some(at) = url[host..].find('?').map(|at| host + at) else {
        return Ok((url.to_owned(), Tls::default()));
    };
    let (base, mut mode, mut roots) = (&url[..at], None, None);
    let mut kept = Vec::new();
    for option in url[at + 1..].split('&') {
        match option.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value),
            Some(("sslrootcert", _)) => {
                let decoded = form_urlencoded::parse(option.as_bytes()).next();
                roots = decoded.map(|(_, path)| path.into_owned());
            }
            _ => kept.push(option),
        }
    }
    let (driver_mode, check) = match (mode.unwrap_or("prefer"), &roots) {
        ("disable", _) => ("disable", Check::Nothing),
        ("allow" | "prefer", _) => ("prefer", Check::Nothing),
        ("require", None) => ("require", Check::Nothing),
        ("require", Some(_)) | ("verify-ca", _) => ("require", Check::Root),
        ("verify-full", _) => ("require", Check::RootAndName),
        _ => {
            return Err(invalid(
                "sslmode is none of disable, prefer, require, verify-ca and verify-full",
            ));
        }
    };
    let driver_mode = format!("sslmode={driver_mode}");
    kept.push(&driver_mode);
    // What libpq calls the roots that the system, or here Mozilla, trusts.
    let roots = roots.filter(|roots| roots != "system");
    Ok((format!("{base}?{}", kept.join("&")), Tls { check, roots }))
}

impl Tls {
    /// The TLS client's side of it.
    pub(super) fn client(&self) -> Result<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let roots = match self.check {
            Check::Nothing => None,
            Check::Root | Check::RootAndName => {
                let roots = Arc::new(self.roots()?);
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                        .build()
                        .map_err(|error| invalid(&format!("sslrootcert: {error}")))?;
                Some(verifier)
            }
        };
        let verifier = Verifier {
            check: self.check,
            roots,
            provider: Arc::clone(&provider),
        };
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(&format!("TLS: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth())
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut store = RootCertStore::empty();
        let Some(path) = &self.roots else {
            let known = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned();
            store.add_parsable_certificates(known);
            return Ok(store);
        };
        let unusable =
            |error: &dyn std::fmt::Display| invalid(&format!("sslrootcert {path}: {error}"));
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| unusable(&error))?;
            store.add(certificate).map_err(|error| unusable(&error))?;
        }
        if store.is_empty() {
            return Err(unusable(&"it holds no certificate"));
        }
        Ok(store)
    }
}

/// Checks a certificate as far as it was asked for.
#[derive(Debug)]
struct Verifier {
    check: Check,
    /// None when nothing is asked.
    roots: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        let Some(roots) = &self.roots else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified =
            roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The name is looked at last: everything else was right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == Check::Root => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_libpq_are_understood() {
        let table = [
            ("", "", Check::Nothing),
            ("?sslmode=disable", "?sslmode=disable", Check::Nothing),
            ("?sslmode=require", "?sslmode=require", Check::Nothing),
            ("?sslmode=verify-ca", "?sslmode=require", Check::Root),
            (
                "?connect_timeout=3&sslmode=verify-full",
                "?connect_timeout=3&sslmode=require",
                Check::RootAndName,
            ),
            (
                "?sslrootcert=%2Fca.pem&sslmode=require",
                "?sslmode=require",
                Check::Root,
            ),
        ];
        for (options, driver, check) in table {
            let url = |options: &str| format!("postgres://u:p?w@h/db{options}");
            let (kept, tls) = split(&url(options)).expect("it is known");
            assert_eq!((kept, tls.check), (url(driver), check), "{options}");
        }
        let (_, tls) =
            split("postgres://h/db?sslrootcert=%2Fca.pem&sslmode=verify-ca").expect("it is known");
        assert_eq!(tls.roots.as_deref(), Some("/ca.pem"));
        let missing = tls.client().expect_err("there is no such file").to_string();
        assert!(missing.contains("/ca.pem"), "{missing}");
        let error = split("postgres://h/db?sslmode=verify_full").expect_err("no such mode");
        assert!(error.to_string().contains("verify-full"), "{error}");
    }
}
