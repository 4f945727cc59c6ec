//! Verifies a server's certificate, and reports the result as a sentence.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use super::roots::Trusted;
use super::sentences::{NotAccepted, Sentences};
use super::{Check, Keys, TlsError};

/// The verifier of one service's certificates.
#[derive(Debug)]
pub(super) struct Verifier {
    check: Check,
    /// `None` when certificates are not checked.
    authorities: Option<(Arc<WebPkiServerVerifier>, Sentences)>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    pub(super) fn new(
        check: Check,
        trusted: Option<Trusted>,
        keys: Keys,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let made = trusted.map(|trusted| {
            let store = Arc::clone(&trusted.store);
            WebPkiServerVerifier::builder_with_provider(store, Arc::clone(&provider))
                .build()
                .map(|verifier| (verifier, Sentences { trusted, keys }))
                .map_err(|error| TlsError(format!("TLS cannot be set up: {error}")))
        });
        Ok(Self {
            check,
            authorities: made.transpose()?,
            provider,
        })
    }

    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some((authorities, sentences)) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified = authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // The name is checked last: everything else was correct.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == Check::Authority => Ok(ServerCertVerified::assertion()),
            Err(Error::InvalidCertificate(why)) => {
                let last = intermediates.last().unwrap_or(end_entity);
                let text = sentences.told(&why, server_name, last);
                // The library would show a certificate error with its type names.
                Err(Error::Other(OtherError(Arc::new(NotAccepted(text)))))
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}
