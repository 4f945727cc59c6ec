//! Checks a message's content against the limits of Twilio and Meta before the message starts.
//!
//! In: a campaign and a message. Out: the part that would be refused, and the limit. Always: rows, lines and
//! publishers' messages give the same result; a text that is not sent is not checked; no reason contains a text or
//! a phone number.

use super::sizes::{
    BODY_MAX, CHAT_BODY_BYTES_MAX, CONVERSATION_ATTRIBUTES_BYTES_MAX, NAME_MAX,
    TASK_ATTRIBUTES_BYTES_MAX, TASK_ATTRIBUTES_RESERVED, VARIABLE_KEY_MAX, VARIABLE_MAX,
    VARIABLE_RECOMMENDED_MAX, VARIABLE_SPACES_MAX, VARIABLES_MAX, characters,
};
use crate::campaign::Campaign;
use crate::message::{Api, Channel, Message, Strategy};

/// The part of a message that would be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentPart {
    /// The text or a content variable.
    Text,
    /// The customer's name.
    Name,
    /// The task's attributes: they are too long.
    TaskAttributes,
    /// The task's attributes: a template needs a value that this customer lacks.
    TaskTemplate,
}

/// A part of a message that Twilio or Meta would refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    pub part: ContentPart,
    /// One sentence with the limit and without the message's text.
    pub detail: String,
}

impl Misfit {
    fn of(part: ContentPart, detail: String) -> Self {
        Self { part, detail }
    }
}

impl Campaign {
    /// The part that Twilio or Meta would refuse, of a message with rendered texts.
    #[must_use]
    pub fn misfit(&self, message: &Message) -> Option<Misfit> {
        let name = message.customer.name.as_deref();
        name.and_then(name_misfit)
            .or_else(|| self.body_misfit(message))
            .or_else(|| self.variables_misfit(message))
            .or_else(|| self.task_misfit(message))
    }

    /// Whether a content variable is longer than recommended.
    #[must_use]
    pub fn has_long_variable(&self, message: &Message) -> bool {
        let mut values = message.content_variables.values();
        values.any(|value| characters(value) > VARIABLE_RECOMMENDED_MAX)
    }

    fn body_misfit(&self, message: &Message) -> Option<Misfit> {
        let body = message.body.as_deref()?;
        let strategy = message.strategy.unwrap_or(self.strategy);
        let is_sent = match self.api {
            Api::Conversations => self.content_sid.is_none(),
            Api::Proxy => strategy == Strategy::TaskOnReply,
        };
        if !is_sent {
            return None;
        }
        let refused = |detail| Some(Misfit::of(ContentPart::Text, detail));
        // Without a Proxy session the text stays in chat.
        if self.api == Api::Proxy && self.channel == Channel::Custom {
            let bytes = body.len();
            return match bytes > CHAT_BODY_BYTES_MAX {
                true => refused(format!(
                    "the text has {bytes} bytes; a chat channel takes at most {CHAT_BODY_BYTES_MAX}"
                )),
                false => None,
            };
        }
        match characters(body) {
            count if count > BODY_MAX => refused(format!(
                "the text has {count} characters; Twilio takes at most {BODY_MAX} (error 21617)"
            )),
            _ => None,
        }
    }

    fn variables_misfit(&self, message: &Message) -> Option<Misfit> {
        let variables = &message.content_variables;
        let refused = |detail| Some(Misfit::of(ContentPart::Text, detail));
        // Variables are sent only with a content template.
        self.content_sid.as_ref()?;
        if variables.len() > VARIABLES_MAX {
            let count = variables.len();
            return refused(format!(
                "content_variables: {count} of them; a template takes at most {VARIABLES_MAX}"
            ));
        }
        let misfit = |(key, value): (&String, &String)| {
            variable_key_misfit(key).or_else(|| variable_misfit(key, value))
        };
        variables.iter().find_map(misfit).and_then(refused)
    }

    /// Measures the attributes that are known before the agent is looked up.
    fn task_misfit(&self, message: &Message) -> Option<Misfit> {
        let customer = &message.customer;
        // With task_on_reply the customer's reply creates the task, and Studio sets its attributes; only the
        // Conversation has the columns of `task.show`.
        if message.strategy.unwrap_or(self.strategy) == Strategy::TaskOnReply {
            let bytes = object_bytes(&self.shown_of(customer)) + TASK_ATTRIBUTES_RESERVED;
            return (bytes > CONVERSATION_ATTRIBUTES_BYTES_MAX).then(|| {
                let detail = format!(
                    "the Conversation's attributes have up to {bytes} bytes; Twilio takes at most \
                     {CONVERSATION_ATTRIBUTES_BYTES_MAX}: name fewer columns in task.show"
                );
                Misfit::of(ContentPart::TaskAttributes, detail)
            });
        }
        let agent = message.agent.as_ref().map(|agent| agent.worker.as_str());
        let own = match self.task_fields(customer, agent) {
            Ok(fields) => object_bytes(&fields) + TASK_ATTRIBUTES_RESERVED,
            Err(detail) => return Some(Misfit::of(ContentPart::TaskTemplate, detail)),
        };
        let name = customer.name.as_deref().unwrap_or_default();
        let sender = self.sender_of(message).map_or("", |sender| sender.as_str());
        // Name and address occur twice (Twilio's pages on outbound messages and on Interactions).
        let texts = 2 * (json_bytes(name) + json_bytes(customer.address.as_str()));
        let bytes = own + texts + json_bytes(sender);
        (bytes > TASK_ATTRIBUTES_BYTES_MAX).then(|| {
            let detail = format!(
                "the task's attributes have up to {bytes} bytes with the customer's name; TaskRouter \
                 takes at most {TASK_ATTRIBUTES_BYTES_MAX}: shorten task.attributes, the columns of task.show or the name"
            );
            Misfit::of(ContentPart::TaskAttributes, detail)
        })
    }

    /// The largest size of a task's attributes without customer and sender, in bytes.
    pub(in crate::campaign) fn task_attributes_bytes(&self) -> usize {
        let own = serde_json::to_vec(&self.task.attributes).map_or(0, |json| json.len());
        own + TASK_ATTRIBUTES_RESERVED
    }
}

/// The refusal of a customer's name, if Twilio would refuse it.
#[must_use]
pub fn name_misfit(name: &str) -> Option<Misfit> {
    let count = characters(name);
    (count > NAME_MAX).then(|| {
        let detail = format!("the name has {count} characters; Twilio takes at most {NAME_MAX}");
        Misfit::of(ContentPart::Name, detail)
    })
}

/// The refusal of a variable's key, if Twilio would refuse it.
pub(in crate::campaign) fn variable_key_misfit(key: &str) -> Option<String> {
    let count = characters(key);
    (count == 0 || count > VARIABLE_KEY_MAX).then(|| {
        format!(
            "content_variables: a key has {count} characters; Twilio takes 1 to {VARIABLE_KEY_MAX} \
             (error 50540)"
        )
    })
}

/// The refusal of a variable's value, if Twilio or Meta would refuse it.
fn variable_misfit(key: &str, value: &str) -> Option<String> {
    let count = characters(value);
    let why = if value.trim().is_empty() {
        "it is empty".to_owned()
    } else if value.contains(is_line_break) {
        "it has a line break".to_owned()
    } else if value.contains('\t') {
        "it has a tab".to_owned()
    } else if value.contains(&" ".repeat(VARIABLE_SPACES_MAX + 1)) {
        format!("it has more than {VARIABLE_SPACES_MAX} spaces in a row")
    } else if count > VARIABLE_MAX {
        format!("it has {count} characters, and at most {VARIABLE_MAX} are taken")
    } else {
        return None;
    };
    Some(format!("content_variables.{key}: {why} (error 21656)"))
}

/// All line break characters of Unicode; Twilio names only the newline.
fn is_line_break(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

fn object_bytes(object: &serde_json::Map<String, serde_json::Value>) -> usize {
    serde_json::to_vec(object).map_or(0, |json| json.len())
}

fn json_bytes(text: &str) -> usize {
    serde_json::to_string(text).map_or(text.len(), |json| json.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMS: &str = "id='c'\nchannel='sms'\nsender='+12025550100'\nstrategy='task_on_reply'\n";

    fn misfit(campaign: &str, message: serde_json::Value) -> Option<(ContentPart, String)> {
        let campaign: Campaign = toml::from_str(&format!("{SMS}{campaign}")).expect(campaign);
        let mut json =
            serde_json::json!({"campaign": "c", "customer": {"address": "+12025550173"}});
        if let (Some(json), serde_json::Value::Object(message)) = (json.as_object_mut(), message) {
            json.extend(message);
        }
        let message = Message::from_json(json.to_string().as_bytes()).expect("a message");
        let misfit = campaign.misfit(&message)?;
        assert!(!misfit.detail.contains("2025550173"), "{misfit:?}");
        Some((misfit.part, misfit.detail))
    }

    #[track_caller]
    fn refused(
        found: &Option<(ContentPart, String)>,
        expected: Option<(ContentPart, &str)>,
        context: &str,
    ) {
        match (found, expected) {
            (None, None) => {}
            (Some((part, detail)), Some((wanted, named))) => {
                assert_eq!(*part, wanted, "{context}: {detail}");
                assert!(
                    detail.contains(named),
                    "{context}: {detail} should name {named}"
                );
            }
            _ => panic!("{context}: {found:?}"),
        }
    }

    /// Twilio's OpenAPI (Conversations, Message: Body) and error 21617.
    #[test]
    fn a_text_has_at_most_1600_characters_where_it_is_sent() {
        let long = Some((ContentPart::Text, "1601 characters"));
        let proxy = "api='proxy'\n";
        let table = [
            ("", "a".repeat(1_600), None),
            ("", "a".repeat(1_601), long),
            ("", "ж".repeat(1_600), None),
            ("", "ж".repeat(1_601), long),
            // An emoji counts as several.
            ("", "😀".repeat(800), None),
            ("", format!("a{}", "😀".repeat(800)), long),
            (proxy, "a".repeat(1_600), None),
            (proxy, "a".repeat(1_601), long),
            // A template of Twilio's is sent instead.
            ("content_sid='HX1'\n", "a".repeat(1_601), None),
        ];
        for (campaign, body, expected) in table {
            let context = format!("{campaign}{} bytes", body.len());
            let found = misfit(campaign, serde_json::json!({"body": body}));
            refused(&found, expected, &context);
        }
        // The agent writes first.
        let message = serde_json::json!({"body": "a".repeat(1_601), "strategy": "task_now"});
        refused(&misfit(proxy, message.clone()), None, "task_now on proxy");
        refused(&misfit("", message), long, "task_now on conversations");
    }

    /// twilio.com/docs/conversations/conversations-limits: "Chat: 32KB".
    #[test]
    fn a_text_that_stays_in_a_chat_channel_has_at_most_32_kib() {
        let text =
            "id='c'\nchannel='custom'\nsender='kiosk'\nstrategy='task_on_reply'\napi='proxy'\n";
        let campaign: Campaign = toml::from_str(text).expect("a campaign");
        for (bytes, is_refused) in [(32_768, false), (32_769, true)] {
            let json = serde_json::json!({
                "campaign": "c", "customer": {"address": "somebody"}, "body": "a".repeat(bytes)
            });
            let message = Message::from_json(json.to_string().as_bytes()).expect("a message");
            assert_eq!(campaign.misfit(&message).is_some(), is_refused, "{bytes}");
        }
    }

    /// Twilio's OpenAPI (Conversation: `FriendlyName`) and twilio.com/docs/taskrouter/limits.
    #[test]
    fn a_name_and_what_a_task_carries_have_a_size() {
        let named = |name: String| {
            let customer = serde_json::json!({"address": "+12025550173", "name": name});
            serde_json::json!({"strategy": "task_now", "customer": customer})
        };
        let attributes =
            |bytes: usize| format!("[task.attributes]\nnote='{}'\n", "n".repeat(bytes));
        let name = Some((ContentPart::Name, "257 characters"));
        let task = Some((ContentPart::TaskAttributes, "4096"));
        let table = [
            (String::new(), named("n".repeat(256)), None),
            (String::new(), named("n".repeat(257)), name),
            (String::new(), named("ü".repeat(256)), None),
            (attributes(3_100), named("n".repeat(200)), None),
            (attributes(3_100), named("n".repeat(256)), task),
            (attributes(4_096), named("n".to_owned()), task),
        ];
        for (campaign, message, expected) in table {
            let context = format!("{} {message}", campaign.len());
            refused(&misfit(&campaign, message), expected, &context);
        }
    }

    /// Error 21656 ("null or an empty string", "a newline, a tab, or more than four consecutive spaces") and
    /// twilio.com/docs/content/using-variables-with-content-api (the other numbers).
    #[test]
    fn variables_have_the_shape_that_twilio_and_meta_take() {
        let template = "content_sid='HX1'\n";
        let text = |named| Some((ContentPart::Text, named));
        let long_key = "k".repeat(17);
        let table = [
            ("1", "gold".to_owned(), None),
            ("1", "a    b".to_owned(), None),
            ("1", "a     b".to_owned(), text("more than 4 spaces")),
            ("1", "a\nb".to_owned(), text("line break")),
            ("1", "a\r\nb".to_owned(), text("line break")),
            ("1", "a\u{2028}b".to_owned(), text("line break")),
            ("1", "a\tb".to_owned(), text("tab")),
            ("1", String::new(), text("empty")),
            ("1", "  ".to_owned(), text("empty")),
            ("1", "v".repeat(1_600), None),
            ("1", "v".repeat(1_601), text("1601 characters")),
            (&long_key[..16], "v".to_owned(), None),
            (&long_key, "v".to_owned(), text("17 characters")),
            ("", "v".to_owned(), text("0 characters")),
        ];
        for (key, value, expected) in table {
            let message = serde_json::json!({"content_variables": {key: value}});
            refused(
                &misfit(template, message),
                expected,
                &format!("{key}={value:?}"),
            );
        }
        for (count, expected) in [(100, None), (101, text("101 of them"))] {
            let many: serde_json::Map<_, _> = (0..count)
                .map(|number: u32| (number.to_string(), "v".into()))
                .collect();
            let message = serde_json::json!({"content_variables": many});
            refused(
                &misfit(template, message),
                expected,
                &format!("{count} variables"),
            );
        }
    }

    #[test]
    fn variables_without_a_template_are_not_sent_and_not_measured() {
        let message = serde_json::json!({"body": "Hi", "content_variables": {"1": "a\nb"}});
        refused(&misfit("", message), None, "no template");
    }
}
