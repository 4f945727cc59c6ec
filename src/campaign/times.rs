//! Durations and times as a campaign file has them.

use std::time::Duration;

/// Parses a duration with units, such as `72h`, `90m` or `1h 30m`.
///
/// # Errors
///
/// A sentence that shows the accepted form.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let signed = text.parse::<jiff::SignedDuration>();
    let duration = signed
        .ok()
        .and_then(|signed| Duration::try_from(signed).ok());
    duration.ok_or_else(|| {
        format!("{text:?} is not a duration; write one such as \"72h\", \"90m\" or \"1h 30m\"")
    })
}

/// Durations as text with units ("72h", "1h 30m").
pub(super) mod duration_text {
    use std::time::Duration;

    use jiff::SignedDuration;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        let signed = SignedDuration::try_from(*value).unwrap_or(SignedDuration::MAX);
        s.collect_str(&format_args!("{signed:#}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        super::parse_duration(&String::deserialize(d)?).map_err(de::Error::custom)
    }
}

/// A moment: a TOML date-time with an offset, or a text (RFC 3339, also with a time zone's name in brackets, RFC 9557).
/// It is written as text in UTC.
pub(super) mod moment_text {
    use jiff::{Timestamp, Zoned};
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Toml(toml::value::Datetime),
        Text(String),
    }

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Timestamp>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(at) => s.collect_str(at),
            None => s.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = match Option::<Written>::deserialize(d)? {
            None => return Ok(None),
            Some(Written::Toml(time)) => time.to_string(),
            Some(Written::Text(text)) => text,
        };
        match parse(&text) {
            Some(at) => Ok(Some(at)),
            None => Err(de::Error::custom(format_args!(
                "{text:?} is not a moment; write a date, a time and an offset from UTC, such as \
                 2026-12-01T09:00:00-05:00"
            ))),
        }
    }

    fn parse(text: &str) -> Option<Timestamp> {
        let zoned = || text.parse::<Zoned>().ok().map(|zoned| zoned.timestamp());
        text.parse().ok().or_else(zoned)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use crate::campaign::Campaign;

    fn start(value: &str) -> Result<Option<Timestamp>, String> {
        let text = format!("id='c'\nstrategy='task_now'\nchannel='sms'\nstart_at={value}");
        let campaign: Result<Campaign, _> = toml::from_str(&text);
        campaign
            .map(|one| one.start_at)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_moment_has_an_offset_or_a_time_zone() {
        let nine_in_new_york = "2026-12-01T14:00:00Z".parse().expect("a time");
        for value in [
            "2026-12-01T09:00:00-05:00",
            "2026-12-01 09:00:00-05:00",
            "\"2026-12-01T09:00:00-05:00\"",
            "\"2026-12-01T09:00[America/New_York]\"",
            "2026-12-01T14:00:00Z",
        ] {
            assert_eq!(start(value), Ok(Some(nine_in_new_york)), "{value}");
        }
        for value in ["2026-12-01T09:00:00", "2026-12-01", "\"tomorrow\"", "9"] {
            let error = start(value).expect_err(value);
            assert!(error.contains("start_at"), "{error}");
        }
        let error = start("2026-12-01T09:00:00").expect_err("no offset");
        assert!(error.contains("2026-12-01T09:00:00-05:00"), "{error}");
    }

    #[test]
    fn a_moment_is_kept_as_json() {
        let text = "id='c'\nstrategy='task_now'\nchannel='sms'\nend_at=2026-12-05T18:00:00-05:00";
        let campaign: Campaign = toml::from_str(text).expect("a campaign");
        let json = serde_json::to_value(&campaign).expect("JSON");
        assert_eq!(json["end_at"], "2026-12-05T23:00:00Z");
        assert_eq!(json.get("start_at"), None);
        let again: Campaign = serde_json::from_value(json).expect("a campaign");
        assert_eq!(again, campaign);
    }
}
