//! The configuration: flags override the environment, the environment overrides `flexcast.toml`.
//!
//! In: a file and the environment. Out: one checked [`Config`]. Always: unknown keys are refused, errors name the key
//! or the variable, and secrets are never printed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::campaign::Flex;
use crate::pacing::{Quota, Senders};

/// The default state folder, in the current folder.
pub const DEFAULT_STATE: &str = ".flexcast";

/// The configuration file that is read without `--config`.
pub const DEFAULT_FILE: &str = "flexcast.toml";

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{0}")]
    Invalid(String),
}

/// The contents of `flexcast.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// Defaults for every campaign's `[flex]`.
    pub flex: Flex,
    /// Quotas by operation, in place of the published ones; `"none"` removes the limit.
    pub limits: BTreeMap<String, LimitText>,
    /// Quotas by sender, in SMS segments, in place of the published rates; `"none"` removes the limit.
    pub senders: BTreeMap<String, LimitText>,
    /// The TLS files for connections to Twilio and to HTTP proxies.
    pub twilio: crate::tls::Files,
    pub work: Work,
}

impl File {
    /// The rates of the senders: the published ones, with those of this file.
    #[must_use]
    pub fn senders(&self) -> Senders {
        let mut senders = Senders::default();
        for (sender, limit) in &self.senders {
            senders.replace(sender, limit.0);
        }
        senders
    }
}

/// A quota as text. `None` is no limit, written `none`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct LimitText(pub Option<Quota>);

impl TryFrom<String> for LimitText {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let quota = text.parse::<Quota>().map_err(|error| error.to_string())?;
        Ok(Self(Some(quota)))
    }
}

/// The settings of a consumer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Work {
    /// The maximum number of messages in flight, over all campaigns.
    pub in_flight: u16,
    /// The maximum number of concurrent requests to Twilio. Twilio limits them by account and does not publish the
    /// number.
    pub concurrent_requests: u16,
    /// The timeout of one call.
    #[serde(with = "duration_text")]
    pub call_timeout: Duration,
    /// The length of a lease on a message, from each renewal. Where several consumers share a ledger, the messages of
    /// a dead consumer wait until its leases expire. At least twice `call_timeout`.
    #[serde(with = "duration_text")]
    pub lease: Duration,
    /// The time after which Twilio's lists show an effect; only then does its absence prove that it does not exist.
    /// Assumed: Twilio publishes no figure.
    #[serde(with = "duration_text")]
    pub settle_time: Duration,
    /// The waits before attempts 2, 3 and so on. The length of the list is the number of retries.
    #[serde(with = "durations_text")]
    pub retry: Vec<Duration>,
    /// A message of this age or older is not retried.
    #[serde(with = "duration_text")]
    pub retry_age_max: Duration,
    /// The wait before a message to a busy customer is tried again.
    #[serde(with = "duration_text")]
    pub busy_wait: Duration,
    /// How long a reading of the agents is used: their presence and their numbers of tasks. Each reading costs one
    /// list of Workers, and one list of Worker channels for each agent with messages.
    #[serde(with = "duration_text")]
    pub agents_for: Duration,
    /// The longest time until a message that waits for its agent is tried again.
    #[serde(with = "duration_text")]
    pub agent_wait: Duration,
    /// The interval between comparisons of the queue with the ledger. Messages that are missing in four comparisons
    /// in a row were lost.
    #[serde(with = "duration_text")]
    pub queue_look: Duration,
    /// The maximum time after a stop for messages in flight to end.
    #[serde(with = "duration_text")]
    pub drain: Duration,
    /// The share of a lane that is kept in reserve for network jitter, in percent.
    pub margin_percent: u8,
}

impl Default for Work {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            in_flight: 64,
            concurrent_requests: 64,
            call_timeout: crate::twilio::DEFAULT_TIMEOUT,
            lease: crate::engine::DEFAULT_LEASE,
            settle_time: Duration::from_secs(5),
            retry: [2, 10, 30, 120, 600, 1_800]
                .map(Duration::from_secs)
                .to_vec(),
            retry_age_max: 24 * 60 * minute,
            busy_wait: 30 * minute,
            agents_for: crate::engine::AgentRules::default().read_for,
            agent_wait: crate::engine::AgentRules::default().wait,
            queue_look: crate::worker::QUEUE_LOOK,
            // Kubernetes ends a pod 30 s after SIGTERM.
            drain: Duration::from_secs(25),
            margin_percent: 2,
        }
    }
}

/// The whole configuration of a command.
#[derive(Clone, Debug)]
pub struct Config {
    pub file: File,
    /// The folder of the ledger and the embedded queue, as an absolute path.
    pub state: PathBuf,
    pub twilio: TwilioAccess,
    /// `AMQP_URL`, with a password. Without it, the queue is embedded.
    pub amqp_url: Option<Secret>,
    /// `AMQP_MANAGEMENT_URL`, with a password. Without it, the broker's policies are not checked.
    pub amqp_management_url: Option<Secret>,
    /// `DATABASE_URL`, with a password. Without it, the ledger is a file in `state`.
    pub database_url: Option<Secret>,
}

/// The settings of the environment for access to Twilio.
#[derive(Clone, Debug, Default)]
pub struct TwilioAccess {
    pub account_sid: Option<String>,
    pub auth_token: Option<Secret>,
    pub api_key: Option<String>,
    pub api_secret: Option<Secret>,
    pub edge: Option<String>,
    pub region: Option<String>,
    /// `FLEXCAST_TWILIO_URL`
    pub url: Option<String>,
}

/// A text that `Debug` does not print.
pub type Secret = secrecy::SecretString;

impl Config {
    /// Loads the configuration. `file` and `state` are the values of the flags.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the file and line, or the variable.
    pub fn load(
        file: Option<&Path>,
        state: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let secret = |name: &str| read_secret(name, environment);
        let plain = |name: &str| environment(name).filter(|value| !value.is_empty());
        let state = state
            .map(Path::to_path_buf)
            .or_else(|| plain("FLEXCAST_STATE").map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from(DEFAULT_STATE));
        Ok(Self {
            file: read_file(file)?,
            state: std::path::absolute(&state).unwrap_or(state),
            twilio: TwilioAccess {
                account_sid: plain("TWILIO_ACCOUNT_SID"),
                auth_token: secret("TWILIO_AUTH_TOKEN")?,
                api_key: plain("TWILIO_API_KEY"),
                api_secret: secret("TWILIO_API_SECRET")?,
                edge: plain("TWILIO_EDGE"),
                region: plain("TWILIO_REGION"),
                url: plain("FLEXCAST_TWILIO_URL"),
            },
            amqp_url: secret("AMQP_URL")?,
            amqp_management_url: secret("AMQP_MANAGEMENT_URL")?,
            database_url: secret("DATABASE_URL")?.map(postgres_url).transpose()?,
        })
    }
}

/// Reads `named`, which must exist, or [`DEFAULT_FILE`], if it exists.
fn read_file(named: Option<&Path>) -> Result<File, ConfigError> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(File::default());
        }
        Err(error) => {
            return Err(ConfigError::Invalid(format!("{}: {error}", path.display())));
        }
    };
    parse_file(&path.display().to_string(), &text)
}

const SECOND: Duration = Duration::from_secs(1);

fn parse_file(name: &str, text: &str) -> Result<File, ConfigError> {
    let invalid = |detail: String| ConfigError::Invalid(format!("{name}: {}", detail.trim_end()));
    let file: File = toml::from_str(text).map_err(|error| invalid(error.to_string()))?;
    for operation in file.limits.keys() {
        let mut known = crate::twilio::Operation::ALL.iter();
        if !known.any(|known| known.as_str() == operation) {
            let text =
                format!("limits.{operation}: there is no such operation; see docs/limits.md");
            return Err(invalid(text));
        }
    }
    for sender in file.senders.keys() {
        if let Err(why) = crate::message::check_sender_name(sender) {
            return Err(invalid(format!("senders.{sender:?}: {why}")));
        }
    }
    if file.work.in_flight == 0 || file.work.concurrent_requests == 0 {
        return Err(invalid(
            "work.in_flight and work.concurrent_requests: must be at least 1".to_owned(),
        ));
    }
    if file.work.lease < 2 * file.work.call_timeout {
        return Err(invalid(
            "work.lease: must be at least twice work.call_timeout, because a call starts only if its lease \
            outlives it"
                .to_owned(),
        ));
    }
    if file.work.agents_for < SECOND || file.work.agent_wait < SECOND {
        return Err(invalid(
            "work.agents_for and work.agent_wait: must be at least \"1s\"".to_owned(),
        ));
    }
    if file.work.margin_percent > 50 {
        return Err(invalid(
            "work.margin_percent: must be at most 50".to_owned(),
        ));
    }
    Ok(file)
}

/// Reads the secret `X` from the environment, or from the file that `X_FILE` names.
fn read_secret(
    name: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Secret>, ConfigError> {
    if let Some(value) = environment(name).filter(|value| !value.is_empty()) {
        return Ok(Some(Secret::from(value)));
    }
    let Some(path) = environment(&format!("{name}_FILE")).filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&path)
        .map_err(|error| ConfigError::Invalid(format!("{name}_FILE: {path}: {error}")))?;
    Ok(Some(Secret::from(text.trim_end().to_owned())))
}

/// Refuses the URL of another kind of database. The error shows only the scheme, because the rest may have a
/// password.
fn postgres_url(url: Secret) -> Result<Secret, ConfigError> {
    let text = url.expose_secret();
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Ok(url);
    }
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let found = match scheme {
        "" => "it is not a URL".to_owned(),
        scheme => format!("it begins with {scheme}://"),
    };
    Err(ConfigError::Invalid(format!(
        "DATABASE_URL: {found}; set a PostgreSQL URL (postgres://...), or unset DATABASE_URL to keep the ledger in \
        the folder --state"
    )))
}

mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        crate::campaign::parse_duration(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

mod durations_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Duration>, D::Error> {
        let texts = Vec::<String>::deserialize(d)?;
        let parsed = texts
            .iter()
            .map(|text| crate::campaign::parse_duration(text));
        parsed
            .collect::<Result<_, _>>()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_nobody_knows_are_refused_with_their_name() {
        let table = [
            ("[work]\nin_flght = 3", "in_flght"),
            ("[work]\nin_flight = 0", "in_flight"),
            (
                "[limits]\ncreate_flex_chanel = \"1/s\"",
                "create_flex_chanel",
            ),
            ("[limits]\ncreate_flex_channel = \"quick\"", "quick"),
            ("[senders]\n\"+12025550100\" = \"quick\"", "quick"),
            ("[senders]\n\"12025550100\" = \"30/s\"", "\"12025550100\""),
            ("[work]\nretry = [\"soon\"]", "soon"),
            ("[work]\nlease = \"30s\"", "work.lease"),
            ("[work]\nagents_for = \"0s\"", "work.agents_for"),
        ];
        for (text, named) in table {
            let error = parse_file("flexcast.toml", text)
                .expect_err("wrong")
                .to_string();
            assert!(error.contains(named), "{error} should name {named}");
        }
        let file = parse_file("f", "[limits]\ncreate_flex_channel = \"none\"").expect("a file");
        assert!(file.limits["create_flex_channel"].0.is_none());
        let file = parse_file("f", "[senders]\n\"+12025550100\" = \"30/s\"").expect("a file");
        assert!(file.senders["+12025550100"].0.is_some());
    }

    #[test]
    fn a_secret_may_stand_in_a_file_and_is_never_printed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, "s3cret\n").expect("written");
        let path = path.display().to_string();
        let environment = move |name: &str| match name {
            "TWILIO_AUTH_TOKEN_FILE" => Some(path.clone()),
            "AMQP_URL" => Some("amqp://u:hidden@h".to_owned()),
            _ => None,
        };
        let config = Config::load(None, None, &environment).expect("a configuration");
        let token = config.twilio.auth_token.as_ref().expect("a token");
        assert_eq!(token.expose_secret(), "s3cret");
        let printed = format!("{config:?}");
        assert!(
            !printed.contains("s3cret") && !printed.contains("hidden"),
            "{printed}"
        );
    }

    #[test]
    fn a_ledger_elsewhere_is_on_postgresql_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("url");
        std::fs::write(&path, "postgresql://u:hidden@h/db\n").expect("written");
        let path = path.display().to_string();
        let from_file = move |name: &str| (name == "DATABASE_URL_FILE").then(|| path.clone());
        let config = Config::load(None, None, &from_file).expect("a configuration");
        let url = config.database_url.as_ref().expect("a URL");
        assert_eq!(url.expose_secret(), "postgresql://u:hidden@h/db");
        assert!(!format!("{config:?}").contains("hidden"));
        for wrong in ["mysql://u:hidden@h/db", "u:hidden@h/db"] {
            let environment = |name: &str| (name == "DATABASE_URL").then(|| wrong.to_owned());
            let refused = Config::load(None, None, &environment).expect_err("no such ledger");
            let said = refused.to_string();
            assert!(said.contains("postgres://"), "{said}");
            assert!(!said.contains("hidden"), "{said}");
        }
    }
}
