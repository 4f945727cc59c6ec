//! The values of a customer and an agent for templates.
//!
//! In: a customer, an agent's name, and the rule for missing values. Out: values for the template. Always: an empty
//! value counts as missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr, Serde};
use minijinja::{Error, ErrorKind, Value};

use super::dates;

use crate::campaign::OnMissing;
use crate::message::{Customer, attribute_name};

/// The fields of `customer` in a template.
pub(super) const CUSTOMER: &[&str] = &["name", "address", "time_zone", "attributes"];
/// The fields of `agent` in a template.
pub(super) const AGENT: &[&str] = &["identity", "worker"];

/// Missing and empty values are left out: the template sees them as undefined.
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

/// A customer's attributes, found by attribute name or by the column header of that name.
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

/// A sample customer with attributes of these names. It records which other attributes a template uses.
pub(super) fn made_up_customer(names: &BTreeSet<String>, asked: &MissingNames) -> Value {
    let texts = CUSTOMER[..3].iter().map(|key| (*key, Value::from("x")));
    let probe = AttributeProbe {
        names: names.clone(),
        asked: Arc::clone(asked),
    };
    let known = texts.chain([("attributes", Value::from_object(probe))]);
    Value::from(known.collect::<BTreeMap<_, _>>())
}

/// The names of attributes that a template used and that were missing.
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

/// The filter `date`: formats a customer's date with a strftime format. `from` is the format of the value, for
/// ambiguous values.
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
        // An invalid format is an error for every customer, also without a date.
        dates::rewritten("2026-12-01", &format, None).map_err(wrong)?;
        return Ok(value.clone());
    }
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let rewritten = dates::rewritten(&text, &format, from.as_deref());
    rewritten.map(Value::from).map_err(wrong)
}

/// The prefix of errors of the filter `date`.
pub(super) const DATE: &str = "date: ";

/// Values in which every missing field has the campaign's substitute text.
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

/// A missing value: prints the campaign's substitute text, and is false in an `if`.
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

/// Jinja's `default`; it also treats a missing value as undefined.
pub(super) fn or_default(value: Value, other: Option<Value>, lax: Option<bool>) -> Value {
    if is_missing(&value) || (lax.unwrap_or_default() && !value.is_true()) {
        other.unwrap_or_else(|| Value::from(""))
    } else {
        value
    }
}

/// Whether an attribute is empty: null, or only white space.
pub(in crate::campaign) fn is_empty(value: &serde_json::Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}
