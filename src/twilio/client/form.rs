//! The parameters of a call, in order: the body of a form, or the query of a list.

use std::fmt;

use serde::Serialize;

/// Names and values in Twilio's form: PascalCase names, `true` and `false`, JSON as text, an array as a repeated
/// name.
///
/// `Debug` prints only the names, because values are numbers, names and texts of customers.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form(Vec<(&'static str, String)>);

impl Form {
    /// Creates a form without parameters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter; the same name again makes an array.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.0.push((name, value.to_string()));
        self
    }

    /// Adds a parameter, if there is a value.
    #[must_use]
    pub fn maybe(self, name: &'static str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a parameter whose value is JSON text.
    ///
    /// # Panics
    ///
    /// Never for values of this crate: their maps have text keys, as JSON needs.
    #[must_use]
    pub fn json(self, name: &'static str, value: &impl Serialize) -> Self {
        let text = serde_json::to_string(value).expect("maps with text keys");
        self.with(name, text)
    }

    /// Adds a parameter whose value is JSON text, if there is one.
    #[must_use]
    pub fn maybe_json(self, name: &'static str, value: Option<&impl Serialize>) -> Self {
        match value {
            Some(value) => self.json(name, value),
            None => self,
        }
    }

    /// Whether there is no parameter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The form as `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.0)
            .finish()
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded_in_order_and_may_repeat_a_name() {
        let form = Form::new()
            .with("Body", "hé +1")
            .maybe("From", None::<&str>)
            .with("Enabled", false)
            .json("Participants", &serde_json::json!({"Identifier": "+1"}))
            .with("Participants", "{}");
        assert_eq!(
            form.encode(),
            "Body=h%C3%A9+%2B1&Enabled=false\
             &Participants=%7B%22Identifier%22%3A%22%2B1%22%7D&Participants=%7B%7D"
        );
        assert!(!format!("{form:?}").contains("+1"));
    }
}
