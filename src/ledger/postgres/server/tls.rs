//! TLS to the database: `sslmode`, `sslrootcert`, `sslcert` and `sslkey`, as PostgreSQL's own tools read them
//! (<https://www.postgresql.org/docs/current/libpq-ssl.html>).
//!
//! In: a URL. Out: the URL that the driver understands, and how certificates are checked.

use rustls::ClientConfig;

use crate::ledger::{LedgerError, Result};
use crate::tls::{self, Check, Files, Keys};

use super::limits::invalid;

/// The names of TLS settings in `DATABASE_URL`, for errors.
const KEYS: Keys = Keys {
    place: "DATABASE_URL",
    address: "DATABASE_URL",
    ca: "sslrootcert",
    certificate: "sslcert",
    key: "sslkey",
};

/// The value with which libpq selects the system's certificate authorities.
const SYSTEM: &str = "system";

/// How the server's certificate is checked, and which files are used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tls {
    check: Check,
    files: Files,
}

/// Removes the options that the driver does not know from the URL.
pub(super) fn split(url: &str) -> Result<(String, Tls)> {
    // A password may contain a question mark.
    let host = url.rfind('@').unwrap_or(0);
    let (base, options) = match url[host..].find('?').map(|at| host + at) {
        Some(at) => (&url[..at], &url[at + 1..]),
        None => (url, ""),
    };
    let (mut mode, mut files) = (None, Files::default());
    let mut kept = Vec::new();
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let decoded = form_urlencoded::parse(option.as_bytes()).next();
        let value = decoded.map(|(_, value)| value.into_owned());
        let value = value.filter(|value| !value.is_empty());
        match option.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value),
            Some(("sslrootcert", _)) => files.ca = value,
            Some(("sslcert", _)) => files.certificate = value,
            Some(("sslkey", _)) => files.key = value,
            _ => kept.push(option),
        }
    }
    let is_system = files.ca.as_deref() == Some(SYSTEM);
    let default = if is_system { "verify-full" } else { "prefer" };
    let (driver_mode, check) = match (mode.unwrap_or(default), &files.ca) {
        ("verify-full", _) => ("require", Check::AuthorityAndName),
        // As in libpq: anybody can get a certificate from an authority that the system trusts, so the name must be
        // checked.
        _ if is_system => {
            return Err(invalid(
                "sslrootcert is system, and so sslmode has to be verify-full",
            ));
        }
        ("disable", _) => ("disable", Check::Nothing),
        ("allow" | "prefer", _) => ("prefer", Check::Nothing),
        ("require", None) => ("require", Check::Nothing),
        ("require", Some(_)) | ("verify-ca", _) => ("require", Check::Authority),
        _ => {
            return Err(invalid(
                "sslmode is none of disable, prefer, require, verify-ca and verify-full",
            ));
        }
    };
    let tls = Tls { check, files };
    if options.is_empty() {
        return Ok((url.to_owned(), tls));
    }
    let driver_mode = format!("sslmode={driver_mode}");
    kept.push(&driver_mode);
    Ok((format!("{base}?{}", kept.join("&")), tls))
}

/// The part of a connection's error that concerns certificates, if any.
pub(super) fn told(error: &tokio_postgres::Error) -> Option<String> {
    tls::told(error, KEYS)
}

impl Tls {
    /// The configuration of the TLS client.
    pub(super) fn client(&self) -> Result<ClientConfig> {
        tls::client_config(&self.files, KEYS, self.check)
            .map_err(|error| LedgerError::Misconfigured(error.to_string()))
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
            ("?sslmode=verify-ca", "?sslmode=require", Check::Authority),
            (
                "?connect_timeout=3&sslmode=verify-full",
                "?connect_timeout=3&sslmode=require",
                Check::AuthorityAndName,
            ),
            (
                "?sslrootcert=system",
                "?sslmode=require",
                Check::AuthorityAndName,
            ),
            (
                "?sslcert=%2Fme.pem&sslkey=/me.key",
                "?sslmode=prefer",
                Check::Nothing,
            ),
            (
                "?sslrootcert=%2Fca.pem&sslmode=require",
                "?sslmode=require",
                Check::Authority,
            ),
        ];
        for (options, driver, check) in table {
            let url = |options: &str| format!("postgres://u:p?w@h/db{options}");
            let (kept, tls) = split(&url(options)).expect("it is known");
            assert_eq!((kept, tls.check), (url(driver), check), "{options}");
        }
        let (_, tls) =
            split("postgres://h/db?sslrootcert=%2Fca.pem&sslmode=verify-ca").expect("it is known");
        assert_eq!(tls.files.ca.as_deref(), Some("/ca.pem"));
        let missing = tls.client().expect_err("there is no such file").to_string();
        assert!(missing.contains("/ca.pem"), "{missing}");
        let error = split("postgres://h/db?sslmode=verify_full").expect_err("no such mode");
        assert!(error.to_string().contains("verify-full"), "{error}");
        let error = split("postgres://h/db?sslrootcert=system&sslmode=require");
        let error = error.expect_err("it is too weak").to_string();
        assert!(error.contains("verify-full"), "{error}");
        let (_, tls) = split("postgres://h/db?sslcert=/me.pem").expect("it is known");
        let told = tls.client().expect_err("without a key").to_string();
        assert!(told.contains("sslcert and not sslkey"), "{told}");
    }
}
