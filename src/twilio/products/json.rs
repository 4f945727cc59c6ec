//! JSON within JSON: what Twilio keeps as text in `attributes` and `data`.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

/// Reads attributes that must be an object: they will be extended and written back, and what was
/// not understood would be lost. Null, a missing field and an empty text are an empty object.
pub(super) fn strict<'de, D: Deserializer<'de>>(from: D) -> Result<Map<String, Value>, D::Error> {
    object(Option::<Value>::deserialize(from)?)
        .ok_or_else(|| de::Error::custom("attributes that are not a JSON object"))
}

/// Reads attributes that are only looked at: what is not an object is an empty one.
pub(super) fn lenient<'de, D: Deserializer<'de>>(from: D) -> Result<Map<String, Value>, D::Error> {
    Ok(object(Option::<Value>::deserialize(from)?).unwrap_or_default())
}

/// The same where null means that they are not shown.
pub(in crate::twilio) fn shown<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Map<String, Value>>, D::Error> {
    let value = Option::<Value>::deserialize(from)?;
    Ok(value.map(|value| object(Some(value)).unwrap_or_default()))
}

/// Reads a time that is only looked at: what is not one is none.
pub(in crate::twilio) fn time<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Reads an object that may be null, like a missing one, as its type's default.
pub(super) fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Twilio writes objects as text; a service that writes them plainly is understood too.
fn object(value: Option<Value>) -> Option<Map<String, Value>> {
    match value {
        None => Some(Map::new()),
        Some(Value::Object(object)) => Some(object),
        Some(Value::String(text)) if text.is_empty() => Some(Map::new()),
        Some(Value::String(text)) => serde_json::from_str(&text).ok(),
        Some(_) => None,
    }
}
