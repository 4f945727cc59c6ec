//! Builds the Twilio client from the configuration.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::{Service, ServiceError, host};
use crate::clock::Clock;
use crate::config::{Config, ConfigError, TwilioAccess};
use crate::engine::PacedGate;
use crate::marks::ProcessMarks;
use crate::metrics::Metrics;
use crate::operate::Rates;
use crate::pacing::{Limits, Margin, Pacer, PacingSettings};
use crate::twilio::{
    Answer, BaseUrl, CallObserver, ClientSettings, Credentials, Operation, Patience, Transport,
    Twilio, http_transport,
};

/// Creates a patient Twilio client that reads the account. It needs no ledger and counts no calls.
///
/// # Errors
///
/// As [`Service::twilio`].
pub fn looking_twilio(config: &Config) -> Result<Twilio, ServiceError> {
    let settings = client_settings(config)?;
    let transport = http(&settings)?;
    let gate = outside(config, Clock::system(), Metrics::new())?;
    let twilio = Twilio::new(settings, transport).gated(Arc::new(gate));
    Ok(patient(&twilio, config))
}

impl Service {
    /// Creates the Twilio client over HTTP. Calls outside a message's turn pass a gate of their own, which keeps the
    /// limits.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the variable or the key that is missing or wrong.
    pub fn twilio(&self) -> Result<Twilio, ServiceError> {
        let settings = client_settings(&self.config)?;
        let transport = http(&settings)?;
        self.twilio_over(settings, transport)
    }

    /// Creates the Twilio client over another transport, such as the simulator.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the limit that is wrong.
    pub fn twilio_over(
        &self,
        settings: ClientSettings,
        transport: Transport,
    ) -> Result<Twilio, ServiceError> {
        let observer = CallMetrics(self.metrics.clone());
        let gate = outside(&self.config, self.clock, self.metrics.clone())?;
        Ok(Twilio::new(settings, transport)
            .gated(Arc::new(gate))
            .with_outages(Arc::clone(&self.outages))
            .observed(Arc::new(observer)))
    }

    /// The same client with retries of its own, for the calls of a command: no retry of a message repeats them.
    #[must_use]
    pub fn patient(&self, twilio: &Twilio) -> Twilio {
        patient(twilio, &self.config)
    }

    /// Binds the ledger to the account and base address of this client.
    ///
    /// # Errors
    ///
    /// [`crate::ledger::LedgerError::BoundElsewhere`] when it is bound to others.
    pub async fn bind(&self, twilio: &Twilio) -> Result<(), ServiceError> {
        let base = twilio.base().to_string();
        Ok(self.ledger.bind(twilio.account_sid(), &base).await?)
    }

    /// This process's marks at the account of this client.
    #[must_use]
    pub fn marks(&self, twilio: &Twilio, take_over: bool) -> Arc<ProcessMarks> {
        let ledger = Arc::clone(&self.ledger);
        let location = format!("{}:{}", host(), Self::place(&self.config));
        let marks = ProcessMarks::new(twilio.clone(), ledger, self.clock, location, take_over);
        Arc::new(marks)
    }
}

fn patient(twilio: &Twilio, config: &Config) -> Twilio {
    let settle_time = config.file.work.settle_time;
    twilio.patient(Patience { settle_time })
}

fn http(settings: &ClientSettings) -> Result<Transport, ConfigError> {
    http_transport(settings).map_err(|error| ConfigError::Invalid(format!("Twilio: {error}")))
}

/// The gate of calls outside a message's turn. Such calls are few: a command makes them without consuming, and a
/// consumer makes them before its first message and after its last. The shared store does not grant them.
fn outside(config: &Config, clock: Clock, metrics: Metrics) -> Result<PacedGate, ConfigError> {
    let pacer = Pacer::new(pacing(config, false)?, clock);
    Ok(PacedGate::new(pacer, metrics))
}

/// The rates that consumers with this configuration keep.
///
/// # Errors
///
/// [`ConfigError`] names the setting that is wrong.
pub fn rates(config: &Config) -> Result<Rates, ConfigError> {
    let settings = pacing(config, false)?;
    Ok(Rates {
        senders: settings.senders,
        margin: settings.margin,
    })
}

/// The limits of the configuration. `shared`: other consumers use the same limits.
pub(super) fn pacing(config: &Config, shared: bool) -> Result<PacingSettings, ConfigError> {
    let work = &config.file.work;
    let mut limits = Limits::default();
    for (operation, limit) in &config.file.limits {
        limits
            .replace(operation, limit.0)
            .map_err(|error| ConfigError::Invalid(format!("limits.{operation}: {error}")))?;
    }
    let margin = Margin::percent(f64::from(work.margin_percent))
        .map_err(|error| ConfigError::Invalid(format!("work.margin_percent: {error}")))?;
    Ok(PacingSettings {
        limits,
        senders: config.file.senders(),
        margin,
        concurrency: NonZeroU32::new(work.concurrent_requests.into()).unwrap_or(NonZeroU32::MIN),
        shared,
        ..PacingSettings::default()
    })
}

/// The credentials and the base address from the environment.
///
/// # Errors
///
/// [`ConfigError`] names the variable that is missing or wrong.
pub fn client_settings(config: &Config) -> Result<ClientSettings, ServiceError> {
    let access = &config.twilio;
    let mut settings = ClientSettings::new(credentials(access)?, base(access)?);
    settings.timeout = config.file.work.call_timeout;
    settings.tls = config.file.twilio.clone();
    Ok(settings)
}

fn credentials(access: &TwilioAccess) -> Result<Credentials, ConfigError> {
    let sid = access.account_sid.as_deref().ok_or_else(|| {
        let text = "TWILIO_ACCOUNT_SID is not set: set it, and TWILIO_AUTH_TOKEN or both TWILIO_API_KEY and \
        TWILIO_API_SECRET";
        ConfigError::Invalid(text.to_owned())
    })?;
    Credentials::new(
        sid,
        access.auth_token.clone(),
        access.api_key.as_deref(),
        access.api_secret.clone(),
    )
    .map_err(|error| ConfigError::Invalid(error.to_string()))
}

fn base(access: &TwilioAccess) -> Result<BaseUrl, ConfigError> {
    let (variable, base) = match &access.url {
        Some(url) => ("FLEXCAST_TWILIO_URL", BaseUrl::at(url)),
        None => {
            refuse_other_regions(access.region.as_deref())?;
            let base = BaseUrl::twilio(access.edge.as_deref(), access.region.as_deref());
            ("TWILIO_EDGE, TWILIO_REGION", base)
        }
    };
    let base = base.map_err(|error| ConfigError::Invalid(format!("{variable}: {error}")))?;
    if !base.is_https() && !base.is_loopback() {
        tracing::warn!(
            "{variable} begins with http://: the account's credentials and all customers' numbers are sent over \
            the network unencrypted; use https://, except for a simulator on your own network"
        );
    }
    Ok(base)
}

/// Flex is available in one region only.
fn refuse_other_regions(region: Option<&str>) -> Result<(), ConfigError> {
    match region.map(str::trim) {
        None | Some("" | "us1") => Ok(()),
        Some(region) => Err(ConfigError::Invalid(format!(
            "TWILIO_REGION is {region}, but Flex works in us1 alone: in other regions, Conversations has no SMS \
            and no WhatsApp, and Studio has no Send to Flex; unset TWILIO_REGION (TWILIO_EDGE can stay)"
        ))),
    }
}

/// Counts calls for Prometheus.
#[derive(Debug)]
struct CallMetrics(Metrics);

impl CallObserver for CallMetrics {
    fn called(&self, operation: Operation, answer: Answer, took: Duration) {
        self.0.twilio_request(operation, answer, took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_region_than_flexs_is_refused_with_the_reason() {
        for region in [None, Some(""), Some("us1"), Some(" us1 ")] {
            assert!(refuse_other_regions(region).is_ok(), "{region:?}");
        }
        let refused = refuse_other_regions(Some("ie1")).expect_err("no SMS there");
        let text = refused.to_string();
        assert!(text.contains("TWILIO_REGION is ie1"), "{text}");
        assert!(text.contains("us1 alone"), "{text}");
    }
}
