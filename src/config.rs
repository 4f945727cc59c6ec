//! What the program is told: flags over environment over `flexcast.toml`.
//!
//! In: a file and the environment. Out: one checked [`Config`]. Always: unknown keys are refused,
//! errors name the key or variable, and nothing printed shows a secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::campaign::Flex;
use crate::pacing::{Quota, Senders};

/// The default state directory, in the current folder.
const DEFAULT_STATE: &str = ".flexcast";

/// The file read when nobody names another.
pub const DEFAULT_FILE: &str = "flexcast.toml";

/// Why the configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{0}")]
    Invalid(String),
}

/// `flexcast.toml`, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// Defaults for every campaign's `[flex]`.
    pub flex: Flex,
    /// Quotas by operation, over the published ones; `"none"` takes a limit away.
    pub limits: BTreeMap<String, LimitText>,
    /// Quotas by sender, in SMS segments, over the published rates; `"none"` takes a limit away.
    pub senders: BTreeMap<String, LimitText>,
    /// The files of TLS to Twilio and to the HTTP proxies on the way there.
    pub twilio: crate::tls::Files,
    pub work: Work,
}

impl File {
    /// The rates of senders in force.
    #[must_use]
    pub fn senders(&self) -> Senders {
        let mut senders = Senders::default();
        for (sender, limit) in &self.senders {
            senders.replace(sender, limit.0);
        }
        senders
    }
}

/// A quota, or none.
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

/// How the consumer works.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Work {
    /// Messages in flight at once, over all campaigns.
    pub in_flight: u16,
    /// Requests to Twilio at once: Twilio limits them by account and does not publish the number.
    pub concurrent_requests: u16,
    /// How long one call may take.
    #[serde(with = "duration_text")]
    pub call_timeout: Duration,
    /// How long a message is a consumer's, from each renewal: where several consumers share a ledger,
    /// the messages of one that died wait for so long. At least twice the call's time.
    #[serde(with = "duration_text")]
    pub lease: Duration,
    /// How long an effect may take to show in Twilio's lists; absence counts after it.
    /// Assumed: nobody publishes the figure.
    #[serde(with = "duration_text")]
    pub settle_time: Duration,
    /// The wait before attempts 2, 3 and so on; its length is the number of retries.
    #[serde(with = "durations_text")]
    pub retry: Vec<Duration>,
    /// From this age on a message is not retried.
    #[serde(with = "duration_text")]
    pub retry_age_max: Duration,
    /// How long a customer who is busy is left alone before the next look.
    #[serde(with = "duration_text")]
    pub busy_wait: Duration,
    /// For how long what was read of agents holds: whether they are there, and how many tasks they have.
    /// Each age costs one list of Workers and, for each agent with messages, one look at their channels.
    #[serde(with = "duration_text")]
    pub agents_for: Duration,
    /// When a message that is held for its agent is looked at again at the latest.
    #[serde(with = "duration_text")]
    pub agent_wait: Duration,
    /// How often the queue is compared with the ledger. What is missing in four looks in a row was lost.
    #[serde(with = "duration_text")]
    pub queue_look: Duration,
    /// How long what is in flight may take to end once a stop was asked for.
    #[serde(with = "duration_text")]
    pub drain: Duration,
    /// How much of a lane is kept back for jitter on the way, in percent.
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

/// Everything a command may need, put together.
#[derive(Clone, Debug)]
pub struct Config {
    pub file: File,
    /// The directory of the ledger and the embedded queue, absolute.
    pub state: PathBuf,
    pub twilio: TwilioAccess,
    /// `AMQP_URL`: without one the queue is embedded. Holds a password.
    pub amqp_url: Option<Secret>,
    /// `AMQP_MANAGEMENT_URL`: without one the broker's policies are not checked. Holds a password.
    pub amqp_management_url: Option<Secret>,
    /// `DATABASE_URL`: without one the ledger is a file in `state`. Holds a password.
    pub database_url: Option<Secret>,
}

/// How Twilio is reached, as the environment says.
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

/// A text that is never printed.
pub type Secret = secrecy::SecretString;

impl Config {
    /// Puts the configuration together. `file` and `state` are the flags' values.
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

/// Reads `named`, which must exist, or [`DEFAULT_FILE`], which may not.
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
            let text = format!("limits.{operation}: no such operation; see docs/limits.md");
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
            "work.in_flight and work.concurrent_requests: at least 1".to_owned(),
        ));
    }
    if file.work.lease < 2 * file.work.call_timeout {
        return Err(invalid(
            "work.lease: at least twice work.call_timeout, for a call starts only when its lease \
             outlives it"
                .to_owned(),
        ));
    }
    if file.work.agents_for < SECOND || file.work.agent_wait < SECOND {
        return Err(invalid(
            "work.agents_for and work.agent_wait: at least \"1s\"".to_owned(),
        ));
    }
    if file.work.margin_percent > 50 {
        return Err(invalid("work.margin_percent: at most 50".to_owned()));
    }
    Ok(file)
}

/// A secret `X` from the environment, or from the file that `X_FILE` names.
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

/// Refuses the address of another kind of database: only the scheme is shown.
fn postgres_url(url: Secret) -> Result<Secret, ConfigError> {
    let text = url.expose_secret();
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Ok(url);
    }
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let found = match scheme {
        "" => "it is no URL".to_owned(),
        scheme => format!("it begins with {scheme}://"),
    };
    Err(ConfigError::Invalid(format!(
        "DATABASE_URL: {found}; the ledger is on PostgreSQL (postgres://...), or in --state \
         when DATABASE_URL is unset"
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
