//! The trusted authorities.
//!
//! In: the CA file of a service's settings, `SSL_CERT_FILE` and `SSL_CERT_DIR`, the system's trust store. Out: a
//! store of roots. Always: with a CA file in the settings, only its authorities are trusted; the variables add to the
//! system's store.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Files, Keys, TlsError};

/// The variables for additional authorities: a file, and a folder of files whose names are hashes.
const FILE: &str = "SSL_CERT_FILE";
const FOLDER: &str = "SSL_CERT_DIR";

/// The word for the system's store in place of a file, as in libpq.
const SYSTEM: &str = "system";

/// The files of the system's store on Debian and Alpine, Fedora and RHEL, SUSE, BSD and macOS. They are read if the
/// variables are set, because the library then skips the system's store.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The trusted authorities of one service.
#[derive(Clone, Debug)]
pub(super) struct Trusted {
    pub(super) store: Arc<RootCertStore>,
    /// Their source, for errors.
    pub(super) from: String,
    /// Whether they are from a CA file of the settings.
    pub(super) is_named: bool,
}

/// Reads the trusted authorities.
///
/// # Errors
///
/// [`TlsError`] with the file that cannot be read or has no certificate, and with its setting.
pub(super) fn trusted(files: &Files, keys: Keys) -> Result<Trusted, TlsError> {
    match files.ca.as_deref().filter(|ca| *ca != SYSTEM) {
        Some(file) => named(file, keys),
        None => of_system(&|name| std::env::var(name).ok()),
    }
}

fn named(file: &str, keys: Keys) -> Result<Trusted, TlsError> {
    let by = format!("{} in {}", keys.ca, keys.place);
    let mut store = RootCertStore::empty();
    add_file(&mut store, file, &by)?;
    Ok(Trusted {
        store: Arc::new(store),
        from: format!("{file} ({by})"),
        is_named: true,
    })
}

fn of_system(environment: &dyn Fn(&str) -> Option<String>) -> Result<Trusted, TlsError> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    let (file, folder) = (set(FILE), set(FOLDER));
    let mut store = RootCertStore::empty();
    let mut from = "the system's trust store".to_owned();
    let found = if file.is_none() && folder.is_none() {
        rustls_native_certs::load_native_certs()
    } else {
        let bundle = BUNDLES.iter().map(Path::new).find(|path| path.exists());
        rustls_native_certs::load_certs_from_paths(bundle, folder.as_deref().map(Path::new))
    };
    if let Some(folder) = &folder {
        from = format!("{from}, nor {folder} ({FOLDER})");
    }
    // A certificate of the system's store that cannot be read is skipped.
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        // A machine without a store, such as a slim container.
        let mozillas = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned();
        store.add_parsable_certificates(mozillas);
        from = "Mozilla's list of authorities (this system has no trust store)".to_owned();
    }
    if let Some(file) = &file {
        add_file(&mut store, file, FILE)?;
        from = format!("{from}, nor {file} ({FILE})");
    }
    Ok(Trusted {
        store: Arc::new(store),
        from,
        is_named: false,
    })
}

/// Adds the certificates of a file: all of them, or none with an error. `by` is the setting of the file.
fn add_file(store: &mut RootCertStore, file: &str, by: &str) -> Result<(), TlsError> {
    let unusable = |why: String| {
        TlsError(format!(
            "the file of trusted authorities {file} ({by}) {why}"
        ))
    };
    let bytes =
        std::fs::read(file).map_err(|error| unusable(format!("cannot be read: {error}")))?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate =
            certificate.map_err(|error| unusable(format!("is not a PEM file: {error}")))?;
        count += 1;
        store.add(certificate).map_err(|error| {
            unusable(format!(
                "holds a certificate, number {count}, that cannot be used: {error}"
            ))
        })?;
    }
    if count == 0 {
        let text = "holds no certificate: it begins with -----BEGIN CERTIFICATE-----";
        return Err(unusable(text.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_add_to_the_system_and_a_file_that_is_none_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let ca = rcgen::generate_simple_self_signed(["ca.test".to_owned()]).expect("a certificate");
        std::fs::write(path("ca.pem"), ca.cert.pem()).expect("written");
        std::fs::write(path("empty.pem"), "").expect("written");
        let with = |file: String| of_system(&move |name| (name == FILE).then(|| file.clone()));
        let plain = of_system(&|_| None).expect("the system's");
        let more = with(path("ca.pem")).expect("the system's and one more");
        // The system's store has hundreds of authorities; without it, Mozilla's list is used.
        assert!(plain.store.len() > 50 && more.store.len() > 50);
        assert!(more.from.ends_with("ca.pem (SSL_CERT_FILE)"), "{more:?}");
        for (file, why) in [("none.pem", "cannot be read"), ("empty.pem", "holds no")] {
            let told = with(path(file)).expect_err("no such file").to_string();
            assert!(told.contains(file) && told.contains(FILE), "{told}");
            assert!(told.contains(why), "{told}");
        }
    }
}
