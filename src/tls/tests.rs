//! Settings that cannot be used are refused with the name of the file; names are shown without escapes.

use rcgen::{KeyPair, generate_simple_self_signed};

use super::*;

const KEYS: Keys = Keys {
    place: "AMQP_URL",
    address: "AMQP_URL",
    ca: "cacertfile",
    certificate: "certfile",
    key: "keyfile",
};

#[test]
fn a_client_certificate_needs_a_key_that_is_its_own_and_can_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, text: &str| std::fs::write(path(name), text).expect("written");
    let made = generate_simple_self_signed(["me.test".to_owned()]).expect("a certificate");
    write("me.pem", &made.cert.pem());
    write("me.key", &made.signing_key.serialize_pem());
    let other = KeyPair::generate().expect("a key");
    write("other.key", &other.serialize_pem());
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0\n-----END ENCRYPTED PRIVATE KEY-----\n";
    write("locked.key", locked);
    write("broken.key", "-----BEGIN PRIVATE KEY-----\nc2Vj!cmV0\n");
    let with = |certificate: Option<&str>, key: Option<&str>| {
        let files = Files {
            ca: None,
            certificate: certificate.map(path),
            key: key.map(path),
        };
        client_config(&files, KEYS, Check::AuthorityAndName)
    };
    with(Some("me.pem"), Some("me.key")).expect("a certificate and its key");
    let table = [
        (Some("me.pem"), None, "certfile and not keyfile"),
        (None, Some("me.key"), "keyfile and not certfile"),
        (Some("me.pem"), Some("other.key"), "is not the one of"),
        (Some("me.pem"), Some("locked.key"), "is encrypted"),
        (Some("me.pem"), Some("broken.key"), "is not a PEM file"),
        (Some("me.pem"), Some("me.pem"), "holds no private key"),
        (Some("me.pem"), Some("none.key"), "none.key"),
        (Some("me.key"), Some("me.key"), "holds no certificate"),
        (Some("none.pem"), Some("me.key"), "cannot be read"),
    ];
    for (certificate, key, expected) in table {
        let told = with(certificate, key).expect_err(expected).to_string();
        assert!(told.contains(expected), "{told} should say {expected}");
        assert!(told.contains("AMQP_URL"), "{told}");
        assert!(!told.contains("c2Vj"), "{told}");
    }
}

#[test]
fn the_error_of_tls_is_found_below_others_and_says_what_to_do() {
    let required = Error::AlertReceived(AlertDescription::CertificateRequired);
    let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, required));
    let told = super::told(&wrapped, KEYS).expect("a sentence");
    assert!(told.contains("certfile and keyfile in AMQP_URL"), "{told}");
    let other = io::Error::other("the peer is gone");
    assert_eq!(super::told(&other, KEYS), None);
}
