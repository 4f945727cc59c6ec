//! Repairs the payload of one frame without a change of length, until the client can read it.
//!
//! In: the complete payload of a method or a content header. Out: the same number of bytes, and the changes that
//! were made. Always: pure; well-formed bytes within the limits stay unchanged.

use super::mend::WireField::{Bytes, Key, Plain, Table, Text};
use super::mend::{Changed, Cursor, WireField};

/// The class `basic` (AMQP 0-9-1, section 1.8).
const BASIC: u16 = 60;

/// The arguments of the broker's methods that contain text, by class and method (AMQP 0-9-1, section 1). A broker
/// cuts error texts at 255 bytes, possibly in the middle of a character.
const LAYOUTS: &[((u16, u16), &[WireField])] = &[
    // connection.start, -.close, -.blocked
    ((10, 10), &[Plain(2), Table, Bytes, Bytes]),
    ((10, 50), &[Plain(2), Text, Plain(4)]),
    ((10, 60), &[Text]),
    // channel.close
    ((20, 40), &[Plain(2), Text, Plain(4)]),
    // queue.declare-ok
    ((50, 11), &[Text, Plain(8)]),
    // basic.consume-ok, -.cancel, -.cancel-ok
    ((BASIC, 21), &[Text]),
    ((BASIC, 30), &[Text, Plain(1)]),
    ((BASIC, 31), &[Text]),
    // basic.return, -.deliver, -.get-ok
    ((BASIC, 50), &[Plain(2), Text, Text, Key]),
    (DELIVER, &[Text, Plain(9), Text, Key]),
    ((BASIC, 71), &[Plain(9), Text, Key, Plain(4)]),
];

const DELIVER: (u16, u16) = (BASIC, 60);
const CHANNEL_OPENED: (u16, u16) = (20, 11);

/// The kind of a method, as far as the filter needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MethodKind {
    /// A delivery to a consumer, with its tag.
    Deliver(u64),
    /// A channel was opened: notes on an earlier channel of this number are void.
    ChannelOpened,
    Other,
}

/// The contents of a content header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentHeader {
    pub(super) changed: Changed,
    /// The length of the body in bytes.
    pub(super) body: u64,
    /// Whether the body's `app_id` is flexcast's.
    pub(super) is_ours: bool,
}

/// Repairs the payload of a method frame.
pub(super) fn mend_method(payload: &mut [u8]) -> (MethodKind, Changed) {
    let mut changed = Changed::default();
    let mut cursor = Cursor::of(payload);
    let id = match (cursor.short(), cursor.short()) {
        (Some(class), Some(method)) => (class, method),
        _ => return (MethodKind::Other, changed),
    };
    let method = match id {
        DELIVER => cursor
            .delivery_tag()
            .map_or(MethodKind::Other, MethodKind::Deliver),
        CHANNEL_OPENED => MethodKind::ChannelOpened,
        _ => MethodKind::Other,
    };
    let layout = LAYOUTS.iter().find(|(known, _)| *known == id);
    for field in layout.into_iter().flat_map(|(_, fields)| *fields) {
        // The client itself refuses truncated arguments.
        if cursor.field(*field, &mut changed).is_none() {
            break;
        }
    }
    (method, changed)
}

/// Repairs the payload of a content header frame; `None` when it is too short.
pub(super) fn mend_header(payload: &mut [u8], ours: &str) -> Option<ContentHeader> {
    let mut cursor = Cursor::of(payload);
    // Class and weight.
    cursor.skip(4)?;
    let body = cursor.long_long()?;
    let flags = cursor.short()?;
    let mut changed = Changed::default();
    let mut is_ours = false;
    // In the order of AMQP 0-9-1, section 1.8.1; the first is the highest bit.
    let properties = [
        Text,     // content-type
        Text,     // content-encoding
        Table,    // headers
        Plain(1), // delivery-mode
        Plain(1), // priority
        Text,     // correlation-id
        Text,     // reply-to
        Text,     // expiration
        Text,     // message-id
        Plain(8), // timestamp
        Text,     // type
        Text,     // user-id
        Text,     // app-id
        Text,     // cluster-id
    ];
    const APP_ID: usize = 12;
    for (at, field) in properties.into_iter().enumerate() {
        if flags & (1 << (15 - at)) == 0 {
            continue;
        }
        let begin = cursor.place();
        if cursor.field(field, &mut changed).is_none() {
            break;
        }
        if at == APP_ID {
            is_ours = cursor.since(begin + 1) == ours.as_bytes();
        }
    }
    Some(ContentHeader {
        changed,
        body,
        is_ours,
    })
}

/// Writes another body length into a content header that was repaired.
pub(super) fn set_body_size(payload: &mut [u8], size: u64) {
    if let Some(field) = payload.get_mut(4..12) {
        field.copy_from_slice(&size.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_tells_its_tag_and_whether_its_key_was_changed() {
        let deliver = |key: &[u8]| {
            let length = u8::try_from(key.len()).expect("short");
            let head = b"\0\x3c\0\x3c\x02ct\0\0\0\0\0\0\0\x07\0\x08flexcast";
            [&head[..], &[length], key].concat()
        };
        let mut good = deliver(b"spring");
        let before = good.clone();
        let changed = Changed::default();
        assert_eq!(mend_method(&mut good), (MethodKind::Deliver(7), changed));
        assert_eq!(good, before);
        let changed = Changed {
            key: true,
            ..changed
        };
        let mut bad = deliver(b"spr\xfcng");
        assert_eq!(mend_method(&mut bad), (MethodKind::Deliver(7), changed));
        assert_eq!(bad, deliver(b"spr\x1ang"));
    }

    #[test]
    fn what_is_cut_short_is_left_to_the_client() {
        let whole = b"\0\x3c\0\x3c\x02ct\0\0\0\0\0\0\0\x07\0\x08flexcast\x06spring";
        for end in 0..whole.len() {
            let mut payload = whole[..end].to_vec();
            let _ = mend_method(&mut payload);
            assert_eq!(payload, &whole[..end]);
        }
        for end in 0..14 {
            assert_eq!(mend_header(&mut vec![0; end], "flexcast"), None);
        }
    }
}
