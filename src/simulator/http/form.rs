//! Form parameters, checked as they are read.
//!
//! In: `application/x-www-form-urlencoded` text, a body or a query. Out: values of the requested type, or an error
//! with Twilio's code. Always: unknown parameters are ignored, as at Twilio.

use std::time::Duration;

use jiff::{SignedDuration, Span, Timestamp};
use serde_json::Value;

use super::reply::ErrorReply;
use crate::simulator::world::sids::is_sid;

#[derive(Clone, Debug, Default)]
pub(in crate::simulator) struct Parameters {
    pairs: Vec<(String, String)>,
}

type ParameterResult<T> = Result<Option<T>, ErrorReply>;

impl Parameters {
    pub(in crate::simulator) fn parse(text: &[u8]) -> Self {
        Self {
            pairs: form_urlencoded::parse(text).into_owned().collect(),
        }
    }

    pub(in crate::simulator) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The parameter, even if it is empty.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.pairs()
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    /// The parameter, unless it is missing or empty.
    pub(in crate::simulator) fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    pub(in crate::simulator) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs()
            .filter(move |(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    pub(in crate::simulator) fn required(&self, name: &str) -> Result<&str, ErrorReply> {
        self.get(name).ok_or_else(|| {
            ErrorReply::invalid(format!(
                "Missing required parameter {name} in the post body"
            ))
        })
    }

    pub(in crate::simulator) fn text(&self, name: &str, chars_max: usize) -> ParameterResult<&str> {
        match self.get(name) {
            Some(value) if value.chars().count() > chars_max => Err(ErrorReply::invalid(format!(
                "Parameter {name} is longer than {chars_max} characters"
            ))),
            value => Ok(value),
        }
    }

    pub(in crate::simulator) fn boolean(&self, name: &str) -> ParameterResult<bool> {
        match self.get(name) {
            None => Ok(None),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(ErrorReply::invalid(format!(
                "Parameter {name} must be true or false"
            ))),
        }
    }

    pub(in crate::simulator) fn integer(
        &self,
        name: &str,
        min: i64,
        max: i64,
    ) -> ParameterResult<i64> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(number) if (min..=max).contains(&number) => Ok(Some(number)),
            _ => Err(ErrorReply::invalid(format!(
                "Parameter {name} must be a number of at least {min}"
            ))),
        }
    }

    pub(in crate::simulator) fn one_of(
        &self,
        name: &str,
        values: &[&'static str],
    ) -> ParameterResult<&'static str> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let known = values.iter().find(|known| **known == value);
        known.copied().map(Some).ok_or_else(|| {
            ErrorReply::invalid(format!(
                "Parameter {name} must be one of {}",
                values.join(", ")
            ))
        })
    }

    pub(in crate::simulator) fn sid(&self, name: &str, prefix: &str) -> ParameterResult<&str> {
        match self.get(name) {
            Some(value) if !is_sid(value, prefix) => Err(ErrorReply::invalid(format!(
                "Parameter {name} is not a SID that begins with {prefix}"
            ))),
            value => Ok(value),
        }
    }

    /// A JSON text; `code` is Twilio's code for invalid JSON.
    pub(in crate::simulator) fn json(&self, name: &str, code: u32) -> ParameterResult<Value> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        serde_json::from_str(value)
            .map(Some)
            .map_err(|_| ErrorReply::new(400, code, format!("Parameter {name} is not valid JSON")))
    }

    /// A JSON text that is an object.
    pub(in crate::simulator) fn object(&self, name: &str, code: u32) -> ParameterResult<Value> {
        match self.json(name, code)? {
            Some(value) if !value.is_object() => Err(ErrorReply::new(
                400,
                code,
                format!("Parameter {name} is not a JSON object"),
            )),
            value => Ok(value),
        }
    }

    pub(in crate::simulator) fn time(&self, name: &str) -> ParameterResult<Timestamp> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value
            .parse()
            .map(Some)
            .map_err(|_| ErrorReply::invalid(format!("Parameter {name} is not an ISO 8601 time")))
    }

    /// An ISO 8601 duration such as `PT10M`, at least `min`; or `PT0S`.
    pub(in crate::simulator) fn duration(
        &self,
        name: &str,
        min: Duration,
    ) -> ParameterResult<SignedDuration> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let parsed = value.parse::<Span>().ok().and_then(|span| {
            span.to_duration(jiff::SpanRelativeTo::days_are_24_hours())
                .ok()
        });
        match parsed {
            Some(duration)
                if duration.is_zero()
                    || duration.unsigned_abs() >= min && !duration.is_negative() =>
            {
                Ok(Some(duration))
            }
            _ => Err(ErrorReply::invalid(format!(
                "Parameter {name} is not an ISO 8601 duration of at least {} minutes",
                min.as_secs() / 60
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_the_wrong_type_is_an_invalid_parameter() {
        let form =
            Parameters::parse(b"Enabled=perhaps&Ttl=-1&Mode=chat&TaskSid=WT1&Attributes=%5B1%5D");
        let codes = [
            form.boolean("Enabled").expect_err("refused").code,
            form.integer("Ttl", 0, 10).expect_err("refused").code,
            form.one_of("Mode", &["message-only"])
                .expect_err("refused")
                .code,
            form.sid("TaskSid", "WT").expect_err("refused").code,
            form.object("Attributes", 50304).expect_err("refused").code,
            form.required("Identity").expect_err("refused").code,
        ];
        assert_eq!(codes, [20001, 20001, 20001, 20001, 50304, 20001]);
    }

    #[test]
    fn an_empty_value_is_a_missing_one() {
        let form = Parameters::parse(b"Identity=&Target=%2B1");
        assert!(form.required("Identity").is_err());
        assert_eq!(form.required("Target"), Ok("+1"));
    }

    #[test]
    fn durations_are_iso_8601_and_have_a_least() {
        let form = Parameters::parse(b"A=PT72H&B=PT1M&C=P3D&D=ten&Z=PT0S");
        let least = Duration::from_secs(600);
        let hours = |name| form.duration(name, least).map(|d| d.map(|d| d.as_hours()));
        assert_eq!(hours("A"), Ok(Some(72)));
        assert!(hours("B").is_err());
        assert_eq!(hours("C"), Ok(Some(72)));
        assert!(hours("D").is_err());
        assert_eq!(hours("E"), Ok(None));
        assert_eq!(hours("Z"), Ok(Some(0)));
    }
}
