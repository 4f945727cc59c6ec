//! The credentials of the account. `Debug` prints neither the secret nor the key.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::twilio::sid;

/// The credentials of an account: its SID, with an API key or its auth token.
#[derive(Clone)]
pub struct Credentials {
    account_sid: String,
    user: String,
    password: SecretString,
}

/// The credentials cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredentials {
    #[error("TWILIO_ACCOUNT_SID is not the SID of an account: AC and 32 hex digits")]
    AccountSid,
    #[error("TWILIO_API_KEY is not the SID of an API key: SK and 32 hex digits")]
    ApiKey,
    #[error("TWILIO_API_KEY is set, but TWILIO_API_SECRET is not")]
    ApiSecretMissing,
    #[error("neither TWILIO_AUTH_TOKEN nor TWILIO_API_KEY with TWILIO_API_SECRET is set")]
    Missing,
}

impl Credentials {
    /// Creates credentials from the values that are set. An API key takes precedence over the auth token; the
    /// account's SID is always needed.
    ///
    /// # Errors
    ///
    /// [`InvalidCredentials`], which names the environment variable and never its value.
    pub fn new(
        account_sid: &str,
        auth_token: Option<SecretString>,
        api_key: Option<&str>,
        api_secret: Option<SecretString>,
    ) -> Result<Self, InvalidCredentials> {
        if !sid::is("AC", account_sid) {
            return Err(InvalidCredentials::AccountSid);
        }
        let (user, password) = match (api_key, auth_token) {
            (Some(key), _) if !sid::is("SK", key) => return Err(InvalidCredentials::ApiKey),
            (Some(key), _) => (key, api_secret.ok_or(InvalidCredentials::ApiSecretMissing)?),
            (None, Some(token)) => (account_sid, token),
            (None, None) => return Err(InvalidCredentials::Missing),
        };
        Ok(Self {
            account_sid: account_sid.to_owned(),
            user: user.to_owned(),
            password,
        })
    }

    /// Creates credentials with the account's auth token.
    ///
    /// # Errors
    ///
    /// [`InvalidCredentials::AccountSid`] when the SID is not an account's.
    pub fn auth_token(account_sid: &str, token: SecretString) -> Result<Self, InvalidCredentials> {
        Self::new(account_sid, Some(token), None, None)
    }

    /// The account's SID, `AC...`.
    #[must_use]
    pub fn account_sid(&self) -> &str {
        &self.account_sid
    }

    /// The `Authorization` header (RFC 7617), marked as sensitive so that it is not printed.
    pub(in crate::twilio) fn header(&self) -> http::HeaderValue {
        use base64::Engine as _;
        let pair = format!("{}:{}", self.user, self.password.expose_secret());
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
        let mut value = http::HeaderValue::try_from(format!("Basic {encoded}"))
            .expect("base64 is made of what a header may hold");
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("account_sid", &self.account_sid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "AC00000000000000000000000000000001";
    const KEY: &str = "SK00000000000000000000000000000002";

    #[test]
    fn the_api_key_wins_over_the_auth_token() {
        let both = Credentials::new(
            ACCOUNT,
            Some("token".into()),
            Some(KEY),
            Some("secret".into()),
        )
        .expect("credentials");
        assert_eq!((both.account_sid(), both.user.as_str()), (ACCOUNT, KEY));
        let token = Credentials::auth_token(ACCOUNT, "token".into()).expect("credentials");
        assert_eq!(token.user, ACCOUNT);
    }

    #[test]
    fn what_is_missing_is_named() {
        let table = [
            ("AC1", None, None, "TWILIO_ACCOUNT_SID"),
            (ACCOUNT, None, None, "TWILIO_AUTH_TOKEN"),
            (ACCOUNT, Some(KEY), None, "TWILIO_API_SECRET"),
            (ACCOUNT, Some("key"), Some("s"), "TWILIO_API_KEY"),
        ];
        for (account, key, secret, named) in table {
            let error = Credentials::new(account, None, key, secret.map(Into::into))
                .expect_err("not usable");
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let credentials =
            Credentials::new(ACCOUNT, None, Some(KEY), Some("hush".into())).expect("credentials");
        let printed = format!("{credentials:?} {:?}", credentials.header());
        assert!(
            !printed.contains("hush") && !printed.contains(KEY),
            "{printed}"
        );
        assert!(!printed.contains("Basic"), "{printed}");
    }
}
