//! The properties of copies: dead letters, retries, and orphans on their way to their campaign.
//!
//! In: the properties of a publisher's message. Out: the properties of its copy. Always: only allowed properties,
//! and headers that fit. One header lists the dropped ones as text. The broker cannot refuse the copy because of
//! its contents, route it elsewhere or let it expire.

use std::fmt::Write as _;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::broker::wire::{FRAME_MAX, Note};
use super::publisher::PERSISTENT;
use super::value::{shown, size_of_value};

/// The header that lists the dropped properties and headers.
const DROPPED: &str = "flexcast-dropped";

/// The prefix of flexcast's headers: a publisher's header with it would look like a dead letter's.
const OUR_PREFIX: &str = "flexcast-";

/// Headers that would make the broker also send the message elsewhere after the retry delay
/// (<https://www.rabbitmq.com/docs/sender-selected>).
const ROUTING: [&str; 2] = ["CC", "BCC"];

/// Headers that the broker writes; they are not a publisher's. If `x-death` is sent back, the broker may see a
/// cycle.
const BROKERS: [&str; 5] = [
    "x-death",
    "x-first-death-",
    "x-last-death-",
    "x-delivery-count",
    "x-acquired-count",
];

/// The broker refuses this `reply_to` unless the publisher consumes the replies on the same channel
/// (<https://www.rabbitmq.com/docs/direct-reply-to>).
const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to";

/// The longest excerpt of a dropped value, in characters.
const TOLD_MAX: usize = 100;

/// The space for headers of a copy, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeaderRoom {
    /// For all of the publisher's headers together.
    theirs: usize,
    /// For each of flexcast's texts.
    text: usize,
}

impl HeaderRoom {
    /// The space within a frame of this length: a content header cannot be split over frames. 32 KiB and 4 KiB with
    /// the default limits.
    pub(super) fn of(frame_max: u32) -> Self {
        let theirs = frame_max.min(FRAME_MAX) as usize / 4;
        let text = theirs / 8;
        Self { theirs, text }
    }

    /// Cuts one of flexcast's texts to the limit.
    pub(super) fn clip(self, text: &str) -> &str {
        &text[..text.floor_char_boundary(self.text)]
    }
}

/// Whether a message has passed through a retry queue.
pub(super) fn came_back(properties: &BasicProperties) -> bool {
    let headers = properties.headers().as_ref();
    headers.is_some_and(|headers| headers.contains_key("x-death"))
}

/// The number of earlier deliveries, as the broker counts them.
pub(super) fn deliveries(properties: &BasicProperties) -> usize {
    let headers = properties.headers().as_ref();
    let count = headers.and_then(|headers| headers.inner().get("x-delivery-count"));
    let count = match count {
        Some(AMQPValue::LongLongInt(count)) => usize::try_from(*count).ok(),
        Some(AMQPValue::LongInt(count)) => usize::try_from(*count).ok(),
        Some(AMQPValue::ShortShortUInt(count)) => Some(usize::from(*count)),
        _ => None,
    };
    count.unwrap_or_default()
}

/// The properties of a copy, with `ours` among its headers.
pub(super) fn of(
    original: &BasicProperties,
    note: Note,
    ours: &FieldTable,
    room: HeaderRoom,
) -> BasicProperties {
    let mut dropped = DroppedHeaders::default();
    if note.is_altered {
        dropped.0.push_str(
            "altered on arrival: text that was not UTF-8 (U+001A for each such byte), or nesting of more than 32 levels",
        );
    }
    let mut headers = kept_headers(original, room, &mut dropped);
    let copy = kept_properties(original, &mut dropped);
    if !dropped.0.is_empty() {
        let told = AMQPValue::LongString(room.clip(&dropped.0).into());
        headers.insert(DROPPED.into(), told);
    }
    add(&mut headers, ours);
    copy.with_headers(headers)
}

/// The minimal copy, for when the broker refuses the full one: `ours`, the sender and the id.
pub(super) fn bare(original: &BasicProperties, ours: &FieldTable) -> BasicProperties {
    let mut headers = FieldTable::default();
    let told = "everything: the broker refused a copy with the message's properties and headers";
    headers.insert(DROPPED.into(), AMQPValue::LongString(told.into()));
    add(&mut headers, ours);
    let copy = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let copy = put(copy, original.app_id(), BasicProperties::with_app_id);
    put(
        copy,
        original.message_id(),
        BasicProperties::with_message_id,
    )
    .with_headers(headers)
}

fn add(headers: &mut FieldTable, ours: &FieldTable) {
    for (name, value) in ours.inner() {
        headers.insert(name.clone(), value.clone());
    }
}

/// The list of dropped properties and headers, as text.
#[derive(Default)]
struct DroppedHeaders(String);

impl DroppedHeaders {
    fn add(&mut self, what: &str, value: &str) {
        let clipped: String = value.chars().take(TOLD_MAX).collect();
        let more = if clipped.len() < value.len() {
            "..."
        } else {
            ""
        };
        if !self.0.is_empty() {
            self.0.push_str("; ");
        }
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{what} {clipped:?}{more}");
    }
}

fn kept_properties(original: &BasicProperties, dropped: &mut DroppedHeaders) -> BasicProperties {
    let mut lose = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            dropped.add(name, &value);
        }
    };
    let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string);
    // The broker refuses a `user_id` other than the connection's.
    lose("user_id", text(original.user_id()));
    // A dead letter would expire, and a retry would become due early.
    lose("expiration", text(original.expiration()));
    lose(
        "priority",
        original.priority().map(|value| value.to_string()),
    );
    lose("cluster_id", text(original.cluster_id()));
    let reply_to = original.reply_to();
    let is_direct = reply_to
        .as_ref()
        .is_some_and(|to| to.as_str() == DIRECT_REPLY);
    let reply_to = if is_direct {
        lose("reply_to", text(reply_to));
        &None
    } else {
        reply_to
    };
    let mut copy = BasicProperties::default().with_delivery_mode(PERSISTENT);
    if let Some(timestamp) = original.timestamp() {
        copy = copy.with_timestamp(*timestamp);
    }
    copy = put(
        copy,
        original.content_type(),
        BasicProperties::with_content_type,
    );
    copy = put(
        copy,
        original.content_encoding(),
        BasicProperties::with_content_encoding,
    );
    copy = put(copy, original.kind(), BasicProperties::with_type);
    copy = put(
        copy,
        original.message_id(),
        BasicProperties::with_message_id,
    );
    copy = put(
        copy,
        original.correlation_id(),
        BasicProperties::with_correlation_id,
    );
    copy = put(copy, reply_to, BasicProperties::with_reply_to);
    put(copy, original.app_id(), BasicProperties::with_app_id)
}

fn put(
    copy: BasicProperties,
    value: &Option<ShortString>,
    with: fn(BasicProperties, ShortString) -> BasicProperties,
) -> BasicProperties {
    match value {
        Some(value) => with(copy, value.clone()),
        None => copy,
    }
}

fn kept_headers(
    original: &BasicProperties,
    room: HeaderRoom,
    dropped: &mut DroppedHeaders,
) -> FieldTable {
    let mut kept = FieldTable::default();
    let mut room = room.theirs;
    let came_back = came_back(original);
    let headers = original.headers().as_ref();
    for (name, value) in headers.into_iter().flat_map(FieldTable::inner) {
        let text = name.as_str();
        if BROKERS.iter().any(|prefix| text.starts_with(prefix)) {
            continue;
        }
        // The list from an earlier copy.
        if came_back && text == DROPPED {
            dropped.0.push_str(&shown(value));
            continue;
        }
        let is_theirs =
            !text.starts_with("x-") && !text.starts_with(OUR_PREFIX) && !ROUTING.contains(&text);
        let size = 1 + text.len() + size_of_value(value);
        if is_theirs && size <= room {
            room -= size;
            kept.insert(name.clone(), value.clone());
        } else {
            dropped.add(&format!("header {text:?}"), &shown(value));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert((*name).into(), value.clone());
        }
        table
    }

    fn header<'c>(copy: &'c BasicProperties, name: &str) -> Option<&'c AMQPValue> {
        copy.headers().as_ref()?.inner().get(name)
    }

    fn copied(original: &BasicProperties) -> BasicProperties {
        let ours = table(&[("flexcast-reason", text("malformed"))]);
        of(original, Note::default(), &ours, HeaderRoom::of(FRAME_MAX))
    }

    #[test]
    fn a_copy_carries_what_is_on_the_list_and_tells_what_is_not() {
        let original = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_type("customer".into())
            .with_timestamp(1_764_000_000)
            .with_message_id("crm-1".into())
            .with_correlation_id("c-1".into())
            .with_reply_to("answers".into())
            .with_app_id("crm".into());
        let harmless = copied(&original);
        let same = original.clone().with_delivery_mode(PERSISTENT);
        let same = same.with_headers(table(&[("flexcast-reason", text("malformed"))]));
        assert_eq!(harmless, same);

        let harmful = original
            .with_delivery_mode(1)
            .with_user_id("crm".into())
            .with_expiration("4000".into())
            .with_priority(7)
            .with_cluster_id("c".into())
            .with_reply_to(DIRECT_REPLY.into());
        let copy = copied(&harmful);
        assert_eq!(*copy.delivery_mode(), Some(PERSISTENT));
        assert!(copy.user_id().is_none() && copy.expiration().is_none());
        assert!(copy.priority().is_none() && copy.cluster_id().is_none());
        assert!(copy.reply_to().is_none());
        let told = r#"user_id "crm"; expiration "4000"; priority "7"; cluster_id "c"; reply_to "amq.rabbitmq.reply-to""#;
        assert_eq!(header(&copy, DROPPED), Some(&text(told)));
    }

    #[test]
    fn headers_that_route_or_that_are_the_brokers_or_ours_do_not_survive_a_copy() {
        let original = BasicProperties::default().with_headers(table(&[
            ("BCC", text("a")),
            ("CC", text("b")),
            ("crm-batch", text("7")),
            ("flexcast-replay", text("1")),
            ("x-death", text("by the broker")),
            ("x-delay", AMQPValue::LongInt(5_000)),
        ]));
        let copy = copied(&original);
        let names = copy.headers().clone().expect("headers");
        let names: Vec<&str> = names.inner().keys().map(ShortString::as_str).collect();
        assert_eq!(names, ["crm-batch", DROPPED, "flexcast-reason"]);
        let told = r#"header "BCC" "a"; header "CC" "b"; header "flexcast-replay" "1"; header "x-delay" "5000""#;
        assert_eq!(header(&copy, DROPPED), Some(&text(told)));
    }

    #[test]
    fn headers_that_do_not_fit_are_left_out_and_the_others_stay() {
        let long = "x".repeat(33_000);
        let original = BasicProperties::default().with_headers(table(&[
            ("a", text("short")),
            ("b", text(&long)),
            ("c", text("short")),
        ]));
        let copy = copied(&original);
        assert!(header(&copy, "a").is_some() && header(&copy, "c").is_some());
        assert!(header(&copy, "b").is_none());
        let Some(AMQPValue::LongString(told)) = header(&copy, DROPPED) else {
            panic!("{copy:?}");
        };
        assert!(told.to_string().starts_with("header \"b\" \"xxx"), "{told}");
        assert!(told.as_bytes().len() < 200);
    }

    #[test]
    fn however_many_headers_there_are_the_text_about_them_is_bounded() {
        for frame_max in [4_096, FRAME_MAX, u32::MAX] {
            let mut all = FieldTable::default();
            for n in 0..5_000 {
                all.insert(format!("x-{n}").into(), text("\u{fffd}\u{fffd}\u{fffd}"));
            }
            let original = BasicProperties::default().with_headers(all);
            let room = HeaderRoom::of(frame_max);
            let copy = of(&original, Note::default(), &FieldTable::default(), room);
            let size = size_of_value(&AMQPValue::FieldTable(
                copy.headers().clone().expect("headers"),
            ));
            assert!(size < 4_200 && size < frame_max as usize, "{size}");
        }
    }

    #[test]
    fn what_a_retry_has_lost_stands_on_the_dead_letter_too() {
        let lost = text("user_id \"crm\"");
        let original = BasicProperties::default().with_headers(table(&[
            (DROPPED, lost.clone()),
            ("x-death", text("by the broker")),
        ]));
        assert_eq!(header(&copied(&original), DROPPED), Some(&lost));
        // A publisher's own header of this name is ignored.
        let forged = BasicProperties::default().with_headers(table(&[(DROPPED, lost)]));
        let told = "header \"flexcast-dropped\" \"user_id \\\"crm\\\"\"";
        assert_eq!(header(&copied(&forged), DROPPED), Some(&text(told)));
    }
}
