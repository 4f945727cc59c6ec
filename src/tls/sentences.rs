//! The errors of a server's certificate, as sentences for the operator.

use jiff::Timestamp;
use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::EndEntityCert;

use super::Keys;
use super::roots::Trusted;

/// The maximum length of a text from a server, in characters, and the maximum number of its names.
const WORDS_MAX: usize = 100;
const NAMES_MAX: usize = 5;

/// The object identifiers 2.5.4.3 and 2.5.4.10 (common name and organization), in DER.
const COMMON_NAME: [u8; 5] = [6, 3, 0x55, 4, 3];
const ORGANIZATION: [u8; 5] = [6, 3, 0x55, 4, 10];

/// The sentence for a certificate that is not accepted.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotAccepted(pub(super) String);

/// The texts for the sentences about one service.
#[derive(Debug)]
pub(super) struct Sentences {
    pub(super) trusted: Trusted,
    pub(super) keys: Keys,
}

impl Sentences {
    /// Describes why `server`'s certificate is not accepted, with the remedy. `last` is the last certificate of the
    /// chain that the server sent.
    pub(super) fn told(
        &self,
        why: &CertificateError,
        server: &ServerName<'_>,
        last: &CertificateDer<'_>,
    ) -> String {
        let server = server.to_str();
        let address = self.keys.address;
        match why {
            CertificateError::UnknownIssuer => self.unknown(&server, last),
            CertificateError::ExpiredContext { time, not_after } => format!(
                "the certificate of {server} has expired, on {} (it is {} by this machine's clock): have it renewed on \
                 the server",
                date(*not_after),
                date(*time)
            ),
            CertificateError::NotValidYetContext { time, not_before } => format!(
                "the certificate of {server} is not valid before {} (it is {} by this machine's clock): set the clock, \
                 or have the certificate replaced on the server",
                date(*not_before),
                date(*time)
            ),
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names = presented.iter().take(NAMES_MAX).map(|name| bare(name));
                let names = match names.collect::<Vec<_>>() {
                    names if names.is_empty() => "no name at all".to_owned(),
                    names => names.join(", "),
                };
                format!(
                    "the certificate of {server} is not for this name, but for {names}: write a name of the \
                     certificate as the host in {address}, or have one made for {server}"
                )
            }
            why => {
                // These errors may contain text from the server.
                let why = shown(&why.to_string());
                format!("the certificate of {server} is not accepted: {why}")
            }
        }
    }

    fn unknown(&self, server: &str, last: &CertificateDer<'_>) -> String {
        let Trusted { from, is_named, .. } = &self.trusted;
        let Keys { place, ca, .. } = self.keys;
        let authority = match issuer(last) {
            Some(name) => format!("the authority \"{name}\""),
            None => "an authority without a name".to_owned(),
        };
        let remedy = match is_named {
            true => "add its certificate to that file (PEM)".to_owned(),
            false => format!(
                "name the file with its certificate (PEM) with {ca} in {place}, or with SSL_CERT_FILE"
            ),
        };
        format!(
            "the certificate of {server} is signed by {authority}, which is not in {from}: {remedy}, or have the \
             server send its intermediate certificates"
        )
    }
}

/// The name of the authority that signed a certificate.
fn issuer(certificate: &CertificateDer<'_>) -> Option<String> {
    let parsed = EndEntityCert::try_from(certificate).ok()?;
    let issuer = parsed.issuer();
    value_of(issuer, COMMON_NAME).or_else(|| value_of(issuer, ORGANIZATION))
}

/// The first value of this kind in a distinguished name. Values of 128 bytes and more, whose length takes more than
/// one byte, are skipped.
fn value_of(name: &[u8], kind: [u8; 5]) -> Option<String> {
    let at = name.windows(kind.len()).position(|window| window == kind)?;
    // A tag, a length, the text.
    let [_, length, rest @ ..] = &name[at + kind.len()..] else {
        return None;
    };
    let text = rest.get(..usize::from(*length))?;
    Some(shown(&String::from_utf8_lossy(text))).filter(|text| !text.is_empty())
}

/// A name of the library without its kind: `DnsName("mq")` becomes `mq`.
fn bare(name: &str) -> String {
    let inner = name.split_once('(').map_or(name, |(_, rest)| rest);
    shown(inner.trim_end_matches(')').trim_matches('"'))
}

/// A text from a server without control characters and quotation marks, cut to its maximum length.
fn shown(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control() && *c != '"');
    plain.take(WORDS_MAX).collect()
}

/// The day and the minute, in UTC.
fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let at = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.map_or_else(
        || "a date outside the calendar".to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}
