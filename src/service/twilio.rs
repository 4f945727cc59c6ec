//! The Twilio client, as the environment says how to reach it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::{Service, ServiceError, host};
use crate::clock::Clock;
use crate::config::{Config, ConfigError, TwilioAccess};
use crate::engine::PacedGate;
use crate::marks::ProcessMarks;
use crate::metrics::Metrics;
use crate::pacing::{Limits, Margin, Pacer, PacingSettings};
use crate::twilio::{
    Answer, BaseUrl, CallObserver, ClientSettings, Credentials, Operation, Patience, Transport,
    Twilio, http_transport,
};

/// A patient Twilio client for a look at the account, without a ledger and without counting its calls.
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
    /// The Twilio client, over HTTP. Its calls keep the limits as long as no message's turn makes them.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the variable or the key that is missing or wrong.
    pub fn twilio(&self) -> Result<Twilio, ServiceError> {
        let settings = client_settings(&self.config)?;
        let transport = http(&settings)?;
        self.twilio_over(settings, transport)
    }

    /// The Twilio client, over a transport that stands in for the network.
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

    /// The same client for the calls of a command, which no message's retries stand behind.
    #[must_use]
    pub fn patient(&self, twilio: &Twilio) -> Twilio {
        patient(twilio, &self.config)
    }

    /// Ties the ledger to the account and base address of this client.
    ///
    /// # Errors
    ///
    /// [`crate::ledger::LedgerError::BoundElsewhere`] when it is tied to others.
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

/// The gate of calls outside a message's turn. They are few, and not granted by the store: a command makes them without
/// consuming, and a consumer before it begins and after it has ended.
fn outside(config: &Config, clock: Clock, metrics: Metrics) -> Result<PacedGate, ConfigError> {
    let pacer = Pacer::new(pacing(config, false)?, clock);
    Ok(PacedGate::new(pacer, metrics))
}

/// The limits as the configuration says; `shared`: other consumers use them too.
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

/// Credentials and base address, as the environment says.
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
        let text = "TWILIO_ACCOUNT_SID is not set; set it with TWILIO_AUTH_TOKEN, or with \
                    TWILIO_API_KEY and TWILIO_API_SECRET (or try --simulate)";
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
            "{variable} begins with http://: the account's credentials and every customer's number go over the network \
             unencrypted; use https:// unless it is a simulator on a network of your own"
        );
    }
    Ok(base)
}

/// Flex is in one region.
fn refuse_other_regions(region: Option<&str>) -> Result<(), ConfigError> {
    match region.map(str::trim) {
        None | Some("" | "us1") => Ok(()),
        Some(region) => Err(ConfigError::Invalid(format!(
            "TWILIO_REGION is {region}, and Flex works in us1 alone: the Conversations of other regions have no SMS and \
             no WhatsApp, and Studio has no Send to Flex there; unset TWILIO_REGION (TWILIO_EDGE may stay)"
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
