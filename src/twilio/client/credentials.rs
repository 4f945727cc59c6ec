//! Who calls: the account, and the secret that proves it. Printed without either secret or key.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::twilio::sid;

/// The account and how we prove to be allowed in: an API key, or the account's auth token.
#[derive(Clone)]
pub struct Credentials {
    account_sid: String,
    user: String,
    password: SecretString,
}

/// Why there are no usable credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredentials {
    #[error("TWILIO_ACCOUNT_SID is not an account's SID: AC and 32 hex digits")]
    AccountSid,
    #[error("TWILIO_API_KEY is not an API key's SID: SK and 32 hex digits")]
    ApiKey,
    #[error("TWILIO_API_KEY is set and TWILIO_API_SECRET is not")]
    ApiSecretMissing,
    #[error("neither TWILIO_AUTH_TOKEN nor TWILIO_API_KEY with TWILIO_API_SECRET is set")]
    Missing,
}

impl Credentials {
    /// Takes what is set: the API key wins over the auth token; the account's SID still says whose
    /// account it is.
    ///
    /// # Errors
    ///
    /// [`InvalidCredentials`], which names the variable and never its value.
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

    /// Credentials with the account's auth token.
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

    /// The `Authorization` header (RFC 7617), marked so that nothing prints it.
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
