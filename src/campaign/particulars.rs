//! What a template sees of a customer and an agent.
//!
//! In: a customer, an agent's name, and what stands in for what is missing. Out: values for the
//! template. Always: what is empty is missing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr, Serde};

use super::OnMissing;
use crate::message::Customer;

/// What a template can say of the customer.
pub(super) const CUSTOMER: &[&str] = &["name", "address", "time_zone", "attributes"];
/// What it can say of the agent.
pub(super) const AGENT: &[&str] = &["identity", "worker"];

/// What is missing or empty is left out, so that the template sees it as undefined.
pub(super) fn of_customer(customer: &Customer, on_missing: &OnMissing) -> Value {
    let mut known = BTreeMap::from([("address".to_owned(), customer.address.as_str().into())]);
    let texts = [("name", &customer.name), ("time_zone", &customer.time_zone)];
    for (key, text) in texts {
        if let Some(text) = text.as_deref().filter(|text| !text.trim().is_empty()) {
            known.insert(key.to_owned(), Value::from(text));
        }
    }
    let attributes = customer.attributes.iter();
    let attributes: BTreeMap<String, Value> = attributes
        .filter(|(_, value)| !is_empty(value))
        .map(|(key, value)| (key.clone(), Value::from(Serde(value))))
        .collect();
    known.insert("attributes".to_owned(), filled(attributes, on_missing));
    filled(known, on_missing)
}

pub(super) fn of_agent(agent: Option<&str>, on_missing: &OnMissing) -> Value {
    let known: BTreeMap<String, Value> = match agent {
        Some(agent) if !agent.trim().is_empty() => AGENT
            .iter()
            .map(|key| ((*key).to_owned(), agent.into()))
            .collect(),
        _ => BTreeMap::new(),
    };
    filled(known, on_missing)
}

fn filled(known: BTreeMap<String, Value>, on_missing: &OnMissing) -> Value {
    match on_missing {
        OnMissing::Reject => Value::from(known),
        OnMissing::Text(text) => Value::from_object(Particulars {
            known,
            missing: Value::from_object(Missing(text.clone())),
        }),
    }
}

/// Particulars of which every one that is asked for is there: the campaign's text, if need be.
#[derive(Debug)]
struct Particulars {
    known: BTreeMap<String, Value>,
    missing: Value,
}

impl Object for Particulars {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let known = self.known.get(key.as_str()?);
        Some(known.unwrap_or(&self.missing).clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.known.keys().map(Value::from).collect())
    }
}

/// A particular that is missing: prints as the campaign's text, and is false in an `if`.
#[derive(Debug)]
struct Missing(String);

impl Object for Missing {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        false
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn is_missing(value: &Value) -> bool {
    value.is_undefined() || value.downcast_object_ref::<Missing>().is_some()
}

/// Jinja's `default`, for which a particular that is missing is undefined too.
pub(super) fn or_default(value: Value, other: Option<Value>, lax: Option<bool>) -> Value {
    if is_missing(&value) || (lax.unwrap_or_default() && !value.is_true()) {
        other.unwrap_or_else(|| Value::from(""))
    } else {
        value
    }
}

fn is_empty(value: &serde_json::Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}
