//! What a template sees of a customer and an agent.
//!
//! In: a customer, an agent's name, and what stands in for what is missing. Out: values for the
//! template. Always: what is empty is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr, Serde};
use minijinja::{Error, ErrorKind, Value};

use super::dates;

use crate::campaign::OnMissing;
use crate::message::{Customer, attribute_name};

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
    let attributes = Attributes {
        known: attributes,
        missing: missing(on_missing),
    };
    known.insert("attributes".to_owned(), Value::from_object(attributes));
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
    match missing(on_missing) {
        None => Value::from(known),
        Some(missing) => Value::from_object(Particulars { known, missing }),
    }
}

fn missing(on_missing: &OnMissing) -> Option<Value> {
    match on_missing {
        OnMissing::Reject => None,
        OnMissing::Text(text) => Some(Value::from_object(Missing(text.clone()))),
    }
}

/// A customer's attributes: found by their names, or by a header of that name.
#[derive(Debug)]
struct Attributes {
    known: BTreeMap<String, Value>,
    missing: Option<Value>,
}

impl Object for Attributes {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        let by_name = || {
            let name = attribute_name(key);
            let mut known = self.known.iter();
            let found = known.find(|(own, _)| attribute_name(own) == name && !name.is_empty());
            found.map(|(_, value)| value)
        };
        let known = self.known.get(key).or_else(by_name);
        known.cloned().or_else(|| self.missing.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.known.keys().map(Value::from).collect())
    }
}

/// A made-up customer with attributes of these names. It notes which other attributes a template asks for.
pub(super) fn made_up_customer(names: &BTreeSet<String>, asked: &MissingNames) -> Value {
    let texts = CUSTOMER[..3].iter().map(|key| (*key, Value::from("x")));
    let probe = AttributeProbe {
        names: names.clone(),
        asked: Arc::clone(asked),
    };
    let known = texts.chain([("attributes", Value::from_object(probe))]);
    Value::from(known.collect::<BTreeMap<_, _>>())
}

/// The names of attributes that a template asked for and did not get.
pub(super) type MissingNames = Arc<Mutex<BTreeSet<String>>>;

#[derive(Debug)]
struct AttributeProbe {
    names: BTreeSet<String>,
    asked: MissingNames,
}

impl Object for AttributeProbe {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        if self.names.contains(&attribute_name(key)) {
            return Some(Value::from("x"));
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(key.to_owned());
        None
    }
}

/// The filter `date`: a date of the customer's as a format of strftime's says. `from` says how it is written where that
/// cannot be told.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the template language hands a filter its options so"
)]
pub(super) fn date(value: &Value, format: Option<String>, options: Kwargs) -> Result<Value, Error> {
    let from: Option<String> = options.get("from")?;
    let named: Option<String> = options.get("format")?;
    options.assert_all_used()?;
    let format = format.or(named).unwrap_or_else(|| dates::USUAL.to_owned());
    let wrong =
        |error: dates::DateError| Error::new(ErrorKind::InvalidOperation, format!("{DATE}{error}"));
    if is_missing(value) {
        // A wrong format is an error for each customer, also for one without a date.
        dates::rewritten("2026-12-01", &format, None).map_err(wrong)?;
        return Ok(value.clone());
    }
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let rewritten = dates::rewritten(&text, &format, from.as_deref());
    rewritten.map(Value::from).map_err(wrong)
}

/// What a reason of the filter `date` begins with.
pub(super) const DATE: &str = "date: ";

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

/// Whether an attribute holds nothing: null, or a text of blanks.
pub(in crate::campaign) fn is_empty(value: &serde_json::Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}
