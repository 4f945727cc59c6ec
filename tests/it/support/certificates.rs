//! Certificates of a company's own authority, and TLS in front of a server that has none.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// An authority, and what it has issued, as files in a folder that is gone with it.
pub(crate) struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// When a certificate is valid.
#[derive(Clone, Copy)]
pub(crate) enum Valid {
    Now,
    /// Until the first day of 2020.
    NoMore,
}

impl Authority {
    /// An authority of this name, whose certificate is in `ca.pem`.
    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("written");
        Self { folder, issuer }
    }

    /// A file of the folder.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Issues a certificate for this host or client: `as_name.pem` and `as_name.key`.
    pub(crate) fn issue(&self, as_name: &str, host: &str, valid: Valid) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, as_name);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        if let Valid::NoMore = valid {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let issued = params.signed_by(&key, &self.issuer);
        let pem = issued.expect("a certificate").pem();
        fs::write(self.file(&format!("{as_name}.pem")), pem).expect("written");
        fs::write(self.file(&format!("{as_name}.key")), key.serialize_pem()).expect("written");
    }

    /// Puts the authority and this certificate where a node of RabbitMQ's takes them from.
    pub(crate) fn serve_from(&self, as_name: &str, node: &Path) {
        let tls = node.join("tls");
        fs::create_dir_all(&tls).expect("a folder");
        for (from, to) in [
            ("ca.pem", "ca.pem"),
            ("pem", "server.pem"),
            ("key", "server.key"),
        ] {
            let from = match from {
                "ca.pem" => PathBuf::from(self.file("ca.pem")),
                end => PathBuf::from(self.file(&format!("{as_name}.{end}"))),
            };
            fs::copy(from, tls.join(to)).expect("copied");
        }
    }

    /// TLS with this certificate in front of `server`, at the port that is given back. It serves until the runtime of
    /// the test ends.
    pub(crate) async fn in_front_of(&self, as_name: &str, server: &str, asks: Asks) -> u16 {
        let certificate = CertificateDer::from_pem_file(self.file(&format!("{as_name}.pem")));
        let key = PrivateKeyDer::from_pem_file(self.file(&format!("{as_name}.key")));
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if asks.for_client_certificates {
            let mut roots = RootCertStore::empty();
            let ca = CertificateDer::from_pem_file(self.file("ca.pem"));
            roots.add(ca.expect("its own")).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let config = builder.with_single_cert(
            vec![certificate.expect("a certificate")],
            key.expect("a key"),
        );
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("they fit")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let server = server.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, acceptor.clone(), server.clone(), asks));
            }
        });
        port
    }
}

/// What the TLS in front of a server asks of its clients.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asks {
    pub(crate) for_client_certificates: bool,
    /// PostgreSQL's clients ask for TLS first, in the clear.
    pub(crate) as_postgres: bool,
}

async fn carry(mut client: TcpStream, acceptor: TlsAcceptor, server: String, asks: Asks) {
    if asks.as_postgres {
        let mut request = [0; 8];
        if client.read_exact(&mut request).await.is_err() || client.write_all(b"S").await.is_err() {
            return;
        }
    }
    let mut client = match acceptor.accept(client).into_fallible().await {
        Ok(client) => client,
        Err((_, mut client)) => {
            // What the client has sent is read: closed with it unread, the connection is reset and the alert lost.
            let _ = client.shutdown().await;
            let _ = client.read_to_end(&mut Vec::new()).await;
            return;
        }
    };
    if let Ok(mut server) = TcpStream::connect(server).await {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
