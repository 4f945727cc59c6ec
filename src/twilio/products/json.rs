//! JSON within JSON: Twilio's `attributes` and `data` are JSON texts.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

/// Reads attributes that must be an object, because they are extended and written back, and other contents would be
/// lost. Null, a missing field and an empty text are an empty object.
pub(super) fn strict<'de, D: Deserializer<'de>>(from: D) -> Result<Map<String, Value>, D::Error> {
    object(Option::<Value>::deserialize(from)?)
        .ok_or_else(|| de::Error::custom("attributes that are not a JSON object"))
}

/// Reads attributes that are only read: other values than an object are an empty object.
pub(super) fn lenient<'de, D: Deserializer<'de>>(from: D) -> Result<Map<String, Value>, D::Error> {
    Ok(object(Option::<Value>::deserialize(from)?).unwrap_or_default())
}

/// The same, but null means that the attributes are not shown: `None`.
pub(in crate::twilio) fn shown<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Map<String, Value>>, D::Error> {
    let value = Option::<Value>::deserialize(from)?;
    Ok(value.map(|value| object(Some(value)).unwrap_or_default()))
}

/// Reads a time that is only read: a value that is not a time is `None`.
pub(in crate::twilio) fn time<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Reads an object; null, like a missing field, is the default of its type.
pub(super) fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Twilio writes objects as text; a plain object is accepted too.
fn object(value: Option<Value>) -> Option<Map<String, Value>> {
    match value {
        None => Some(Map::new()),
        Some(Value::Object(object)) => Some(object),
        Some(Value::String(text)) if text.is_empty() => Some(Map::new()),
        Some(Value::String(text)) => serde_json::from_str(&text).ok(),
        Some(_) => None,
    }
}
