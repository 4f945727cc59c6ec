//! The Twilio client, as the environment says how to reach it.

use super::ServiceError;
use crate::config::{Config, ConfigError, TwilioAccess};
use crate::metrics::Metrics;
use crate::twilio::{
    Answer, BaseUrl, CallObserver, ClientSettings, Credentials, Operation, Twilio, http_transport,
};

/// A Twilio client for a look at the account, without a ledger and without counting its calls.
///
/// # Errors
///
/// As [`Service::twilio`].
pub fn looking_twilio(config: &Config) -> Result<Twilio, ServiceError> {
    let settings = client_settings(config)?;
    let transport = http_transport(&settings)
        .map_err(|error| ConfigError::Invalid(format!("Twilio: {error}")))?;
    Ok(Twilio::new(settings, transport))
}

pub(super) fn client_settings(config: &Config) -> Result<ClientSettings, ServiceError> {
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
    base.map_err(|error| ConfigError::Invalid(format!("{variable}: {error}")))
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
pub(super) struct CallMetrics(pub(super) Metrics);

impl CallObserver for CallMetrics {
    fn called(&self, operation: Operation, answer: Answer, took: std::time::Duration) {
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
