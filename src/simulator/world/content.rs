//! Checks of texts, names and variables, with Twilio's error codes.
//!
//! In: the parameters of a form. Out: the value, or Twilio's error. Always: every number and code has a source;
//! docs/simulator.md lists the assumed ones.

use serde_json::{Map, Value};

use crate::simulator::http::form::Parameters;
use crate::simulator::http::reply::ErrorReply;

/// Twilio's OpenAPI, Conversations, Message: "can be up to 1,600 characters long"; error 21617.
const BODY_MAX: usize = 1_600;

/// twilio.com/docs/conversations/conversations-limits: "Chat: 32KB".
const CHAT_BODY_BYTES_MAX: usize = 32 * 1024;

/// twilio.com/docs/content/using-variables-with-content-api.
const VARIABLES_MAX: usize = 100;
const VARIABLE_KEY_MAX: usize = 16;
const VARIABLE_MAX: usize = 1_600;

/// Error 21656: "more than four consecutive spaces".
const FIVE_SPACES: &str = "     ";

/// The maximum size of a task's attributes, in bytes: twilio.com/docs/taskrouter/limits.
const TASK_ATTRIBUTES_BYTES_MAX: usize = 4 * 1024;

/// The number of characters, counted as on the page of 21617: an emoji counts as several.
pub(in crate::simulator) fn characters(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Refuses a text that is too long to be sent as a message.
pub(in crate::simulator) fn check_body(body: &str) -> Result<(), ErrorReply> {
    if characters(body) <= BODY_MAX {
        return Ok(());
    }
    let text = "The concatenated message body exceeds the 1600 character limit";
    Err(ErrorReply::new(400, 21617, text))
}

/// Refuses a text that is too long for a chat channel.
pub(in crate::simulator) fn check_chat_body(body: &str) -> Result<(), ErrorReply> {
    if body.len() <= CHAT_BODY_BYTES_MAX {
        return Ok(());
    }
    Err(ErrorReply::new(
        400,
        50504,
        "Message body parameter is too long",
    ))
}

/// A friendly name.
pub(in crate::simulator) fn friendly_name<'a>(
    form: &'a Parameters,
    name: &str,
    chars_max: usize,
) -> Result<Option<&'a str>, ErrorReply> {
    match form.get(name) {
        Some(value) if characters(value) > chars_max => {
            let text = format!("{name} is longer than {chars_max} characters");
            Err(ErrorReply::new(400, 50003, text))
        }
        value => Ok(value),
    }
}

/// `Attributes`, a JSON object of at most `bytes_max` bytes.
pub(in crate::simulator) fn attributes(
    form: &Parameters,
    bytes_max: usize,
) -> Result<Option<Value>, ErrorReply> {
    let name = "Attributes";
    if form.get(name).is_some_and(|text| text.len() > bytes_max) {
        let text = format!("{name} has more than {bytes_max} bytes");
        return Err(ErrorReply::new(400, 50303, text));
    }
    form.object(name, 50304)
}

/// Refuses attributes that are too large for a task.
pub(in crate::simulator) fn check_task_attributes(json: &str) -> Result<(), ErrorReply> {
    if json.len() <= TASK_ATTRIBUTES_BYTES_MAX {
        return Ok(());
    }
    let text = format!("Attributes of a task have at most {TASK_ATTRIBUTES_BYTES_MAX} bytes");
    Err(ErrorReply::invalid(text))
}

/// `ContentVariables` of a content template.
pub(in crate::simulator) fn variables(
    form: &Parameters,
    has_content: bool,
) -> Result<Option<Value>, ErrorReply> {
    let variables = form.object("ContentVariables", 50527)?;
    let Some(Value::Object(values)) = &variables else {
        return Ok(variables);
    };
    if !has_content {
        let text = "Content variables are present but there is no content sid";
        return Err(ErrorReply::new(400, 50528, text));
    }
    check_variables(values)?;
    Ok(variables)
}

fn check_variables(values: &Map<String, Value>) -> Result<(), ErrorReply> {
    let invalid = || ErrorReply::new(400, 21656, "The ContentVariables Parameter is invalid");
    if values.len() > VARIABLES_MAX {
        return Err(invalid());
    }
    for (key, value) in values {
        if characters(key) > VARIABLE_KEY_MAX {
            return Err(ErrorReply::new(
                400,
                50540,
                "Content variable key is too long",
            ));
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        if characters(&text) > VARIABLE_MAX {
            let why = "Content variable value is too long";
            return Err(ErrorReply::new(400, 50541, why));
        }
        if text.trim().is_empty() || text.contains(['\n', '\r', '\t']) || text.contains(FIVE_SPACES)
        {
            return Err(invalid());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Parameters {
        let mut text = form_urlencoded::Serializer::new(String::new());
        Parameters::parse(text.extend_pairs(pairs).finish().as_bytes())
    }

    fn code<T>(read: Result<T, ErrorReply>) -> Option<u32> {
        read.err().map(|refusal| refusal.code)
    }

    #[test]
    fn texts_names_and_attributes_have_their_limits() {
        let texts = [("a", 1_600), ("ж", 1_600), ("😀", 800)];
        for (text, most) in texts {
            assert_eq!(code(check_body(&text.repeat(most))), None, "{text}");
            let long = text.repeat(most + 1);
            assert_eq!(code(check_body(&long)), Some(21617), "{text}");
        }
        assert_eq!(code(check_chat_body(&"a".repeat(32_768))), None);
        assert_eq!(code(check_chat_body(&"a".repeat(32_769))), Some(50504));
        for (count, expected) in [(64, None), (65, Some(50003))] {
            let form = form(&[("FriendlyName", &"n".repeat(count))]);
            assert_eq!(code(friendly_name(&form, "FriendlyName", 64)), expected);
        }
        for (count, expected) in [(8, None), (9, Some(50303))] {
            let json = format!("{{\"{}\":1}}", "k".repeat(count - 6));
            let form = form(&[("Attributes", &json)]);
            assert_eq!(code(attributes(&form, 8)), expected, "{json}");
        }
        assert_eq!(code(check_task_attributes(&"a".repeat(4_097))), Some(20001));
    }

    #[test]
    fn variables_are_refused_with_the_codes_of_their_pages() {
        let (value, key) = ("v".repeat(1_601), "k".repeat(17));
        let table = [
            (r#"{"1":"a    b"}"#.to_owned(), None),
            (r#"{"1":""}"#.to_owned(), Some(21656)),
            (r#"{"1":null}"#.to_owned(), Some(21656)),
            (r#"{"1":"a\nb"}"#.to_owned(), Some(21656)),
            (r#"{"1":"a\tb"}"#.to_owned(), Some(21656)),
            (r#"{"1":"a     b"}"#.to_owned(), Some(21656)),
            (format!(r#"{{"1":"{value}"}}"#), Some(50541)),
            (format!(r#"{{"{key}":"v"}}"#), Some(50540)),
            ("[]".to_owned(), Some(50527)),
        ];
        for (json, expected) in table {
            let form = form(&[("ContentVariables", &json)]);
            assert_eq!(code(variables(&form, true)), expected, "{json}");
        }
        let form = form(&[("ContentVariables", r#"{"1":"v"}"#)]);
        assert_eq!(code(variables(&form, false)), Some(50528));
    }
}
