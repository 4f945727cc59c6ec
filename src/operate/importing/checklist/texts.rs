//! Items about texts: what is sent, in how many segments, and what WhatsApp accepts.

use std::collections::BTreeMap;

use crate::intake::{Sample, SegmentCount};
use crate::message::Channel;
use crate::operate::wording::{counted, grouped};

use super::{CheckCode, CheckItem, Checked};

impl Checked<'_> {
    pub(super) fn of_texts(&self) -> Vec<CheckItem> {
        let segments = self.preview.segments.as_ref();
        let items = [
            self.texts(),
            self.content_variables(),
            self.whatsapp_window(),
            segments.map(of_segments),
            segments.and_then(unicode),
            self.template_segments(),
            segments.and_then(|segments| self.cost(segments)),
        ];
        items.into_iter().flatten().collect()
    }

    fn texts(&self) -> Option<CheckItem> {
        let samples = &self.preview.first_messages;
        if samples.is_empty() || self.campaign.content_sid.is_some() {
            return None;
        }
        let details = samples.iter().map(|sample| {
            let text = sample.body.as_deref();
            let text = text.unwrap_or("(flexcast sends no text: the agent writes first)");
            format!("{}: {}", to(sample), in_one_line(text))
        });
        Some(CheckItem::ok(CheckCode::Texts, "The first messages:").details(details))
    }

    fn content_variables(&self) -> Option<CheckItem> {
        let sid = self.campaign.content_sid.as_ref()?;
        let samples = &self.preview.first_messages;
        if samples.is_empty() {
            return None;
        }
        let text = format!("The content template {sid} is sent with these variables:");
        let details = samples
            .iter()
            .map(|sample| format!("{}: {}", to(sample), variables(&sample.content_variables)));
        Some(CheckItem::ok(CheckCode::ContentVariables, text).details(details))
    }

    fn whatsapp_window(&self) -> Option<CheckItem> {
        if self.campaign.channel != Channel::Whatsapp {
            return None;
        }
        let code = CheckCode::WhatsappWindow;
        if self.campaign.content_sid.is_some() {
            let text = "The text is a template, which WhatsApp delivers at any time. The agents' own texts are \
                        delivered only within 24 hours of the customer's last message.";
            return Some(CheckItem::ok(code, text));
        }
        let text = match self.campaign.body {
            Some(_) => "The text is not a template, so WhatsApp delivers it",
            None => "The agents write first, and WhatsApp delivers their texts",
        };
        Some(CheckItem::warn(
            code,
            format!(
                "{text} only within 24 hours of the customer's last message; otherwise it fails with error 63016. \
                 A content template (content_sid) is delivered at any time. How many customers are outside the 24 \
                 hours is not counted: that takes a look-up for each customer."
            ),
        ))
    }

    /// Segments of a content template, whose text flexcast does not know.
    fn template_segments(&self) -> Option<CheckItem> {
        let is_unknown = self.campaign.channel == Channel::Sms
            && self.campaign.content_sid.is_some()
            && self.preview.acceptable > 0;
        let text = "The segments of a content template are not known here: each message counts as 1 segment.";
        is_unknown.then(|| CheckItem::warn(CheckCode::Segments, text))
    }

    fn cost(&self, segments: &SegmentCount) -> Option<CheckItem> {
        let price = self.assumptions.segment_price?;
        let cost = price.times(segments.total);
        let text = format!(
            "The new messages cost about {cost}: {} at {price}, without carriers' fees.",
            counted(segments.total, "segment")
        );
        Some(CheckItem::ok(CheckCode::Cost, text))
    }
}

/// `1,238 SMS segments (762 messages of 1 segment, 238 messages of 2 segments)`.
fn of_segments(segments: &SegmentCount) -> CheckItem {
    let each: Vec<_> = segments
        .messages
        .iter()
        .map(|(count, messages)| {
            let segments = counted(u64::from(*count), "segment");
            format!("{} of {segments}", counted(*messages, "message"))
        })
        .collect();
    let text = format!(
        "{} ({}).",
        counted(segments.total, "SMS segment"),
        each.join(", ")
    );
    let messages = segments.messages.values().sum();
    CheckItem::ok(CheckCode::Segments, text)
        .counts([("segments", segments.total), ("messages", messages)])
}

fn unicode(segments: &SegmentCount) -> Option<CheckItem> {
    if segments.ucs2 == 0 {
        return None;
    }
    let because: Vec<_> = segments
        .ucs2_because
        .iter()
        .map(|(c, count)| format!("{c:?} (U+{:04X}) in {}", u32::from(*c), grouped(*count)))
        .collect();
    let (have, its) = match segments.ucs2 {
        1 => ("has", "its"),
        _ => ("have", "their"),
    };
    let text = format!(
        "{} {have} a character that is not in the SMS alphabet, so {its} segments hold 70 characters instead of 160: \
         {}.",
        counted(segments.ucs2, "message"),
        because.join(", ")
    );
    Some(CheckItem::warn(CheckCode::Unicode, text).counts([("messages", segments.ucs2)]))
}

/// `line 2 to +1******0173 for alice`.
fn to(sample: &Sample) -> String {
    let agent = sample.agent.as_deref();
    let agent = agent.map(|agent| format!(" for {agent}"));
    let agent = agent.unwrap_or_default();
    format!("line {} to {}{agent}", sample.line, sample.address)
}

fn variables(variables: &BTreeMap<String, String>) -> String {
    let each: Vec<_> = variables
        .iter()
        .map(|(name, value)| format!("{name} = {value:?}"))
        .collect();
    match each.is_empty() {
        true => "no variables".to_owned(),
        false => each.join(", "),
    }
}

/// A text with its line breaks as signs.
fn in_one_line(text: &str) -> String {
    text.replace("\r\n", "\u{23ce}")
        .replace(['\r', '\n'], "\u{23ce}")
}
