//! The filter below the AMQP client: what passes it, what it mends, and that it is all one where bytes are cut.

use amq_protocol::frame::AMQPFrame;
use amq_protocol::frame::parsing::parse_frame;
use flexcast::queue::rabbitmq::wire::{Garbled, Note};

use super::support::amqp::{
    FRAME_MAX, Properties, Property, body, filter, frame, method, nested, short, text,
};

const LIMIT: usize = 131_072;

/// A delivery's method.
fn deliver(channel: u16, tag: u64, key: &[u8]) -> Vec<u8> {
    let tag = tag.to_be_bytes();
    let arguments = [
        &short("ctag")[..],
        &tag,
        &[0],
        &short("flexcast"),
        &short(key),
    ];
    method(channel, 60, 60, &arguments)
}

/// A delivery as a broker sends it.
fn delivery(channel: u16, tag: u64, key: &[u8], properties: &Properties, bytes: &[u8]) -> Vec<u8> {
    let parts = [
        deliver(channel, tag, key),
        properties.header(channel, bytes.len() as u64),
        body(channel, bytes),
    ];
    parts.concat()
}

/// What the client reads of these bytes, given whole.
fn filtered(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    filter().0.push(input, &mut out).expect("well-formed");
    out
}

/// The frames that the client reads, but for heartbeats.
fn frames(mut bytes: &[u8]) -> Vec<AMQPFrame> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (rest, frame) = parse_frame(bytes).expect("the client reads it");
        bytes = rest;
        all.extend(Some(frame).filter(|frame| *frame != AMQPFrame::Heartbeat));
    }
    all
}

/// The length of the bodies in these frames, and what their headers say.
fn bodies(frames: &[AMQPFrame]) -> (u64, u64) {
    frames
        .iter()
        .fold((0, 0), |(sent, said), frame| match frame {
            AMQPFrame::Body(_, bytes) => (sent + bytes.len() as u64, said),
            AMQPFrame::Header(_, header) => (sent, said + header.body_size),
            _ => (sent, said),
        })
}

#[test]
fn what_a_client_can_read_passes_unchanged_and_unnoted() {
    let rich = Properties::default()
        .with(Property::ContentType, short("application/json"))
        .with_headers(&[
            ("na\u{ef}ve", text(b"\xff any bytes \xfe")),
            ("deep", nested(b'A', 32)),
            ("tables", nested(b'F', 32)),
        ])
        .with(Property::AppId, short("crm"))
        .with(Property::MessageId, short("crm-4711"));
    let none = Properties::default();
    let inputs = [
        delivery(1, 1, b"spring", &rich, &[b'x'; 1_000]),
        delivery(1, 2, b"spring", &none, b""),
        delivery(1, 3, b"spring", &none, &[b'x'; LIMIT]),
        frame(8, 0, b""),
        b"AMQP\x00\x00\x09\x01 and whatever comes".to_vec(),
        // A method that nobody knows.
        method(3, 99, 7, &[b"\xff\xff"]),
        // Two bodies at once, on two channels.
        [
            deliver(1, 4, b"spring"),
            deliver(2, 1, b"autumn"),
            none.header(1, 6),
            none.header(2, 4),
            frame(3, 1, b"abc"),
            frame(3, 2, b"abcd"),
            frame(3, 1, b"def"),
        ]
        .concat(),
    ];
    for input in inputs {
        let (mut filter, notes) = filter();
        let mut out = Vec::new();
        filter.push(&input, &mut out).expect("well-formed");
        assert!(out == input, "{input:?}");
        for tag in 1..5 {
            assert_eq!(notes.take(1, tag), None);
        }
    }
}

#[test]
fn each_kind_that_a_client_cannot_read_is_mended_and_noted() {
    let none = Properties::default();
    let altered = Note {
        is_altered: true,
        ..Note::default()
    };
    let key = Note {
        is_key_altered: true,
        ..Note::default()
    };
    let latin = || short(b"M\xfcller");
    let table = [
        (b"spr\xfcng".to_vec(), none.clone(), key),
        (
            b"spring".to_vec(),
            none.clone().with(Property::ContentType, latin()),
            altered,
        ),
        (
            b"spring".to_vec(),
            none.clone().with(Property::AppId, latin()),
            altered,
        ),
        (
            b"spring".to_vec(),
            none.clone().with_headers(&[(b"M\xfcller", text("x"))]),
            altered,
        ),
        (
            b"spring".to_vec(),
            none.clone().with_headers(&[("a", nested(b'A', 2_000))]),
            altered,
        ),
        (
            b"spring".to_vec(),
            none.clone().with_headers(&[("a", nested(b'A', 26_000))]),
            altered,
        ),
        (
            b"spring".to_vec(),
            none.clone().with_headers(&[("a", nested(b'F', 18_000))]),
            altered,
        ),
        // A type that the client does not know.
        (
            b"spring".to_vec(),
            none.clone().with_headers(&[("a", b"?whatever".to_vec())]),
            altered,
        ),
    ];
    for (key, properties, note) in table {
        let input = delivery(7, 1, &key, &properties, b"{}");
        let (mut filter, notes) = filter();
        let mut out = Vec::new();
        filter.push(&input, &mut out).expect("well-formed");
        assert_eq!(out.len(), input.len());
        assert_eq!(frames(&out).len(), 3);
        assert_eq!(notes.take(7, 1), Some(note), "{properties:?}");
        assert_eq!(notes.take(7, 1), None, "a note is taken once");
    }
}

#[test]
fn a_body_that_is_too_long_is_cut_one_byte_behind_the_bound_and_its_size_noted() {
    let publishers = Properties::default();
    let ours = Properties::default().with(Property::AppId, short("flexcast"));
    let table = [
        (&publishers, LIMIT + 1, LIMIT + 1, None),
        (&publishers, LIMIT + 2, LIMIT + 1, Some(LIMIT + 2)),
        (&publishers, 5_000_000, LIMIT + 1, Some(5_000_000)),
        (&ours, 1_048_576, 1_048_576, None),
        (&ours, 5_000_000, 1_048_577, Some(5_000_000)),
    ];
    for (properties, length, passed, cut) in table {
        let input = [
            delivery(1, 1, b"spring", properties, &vec![b'x'; length]),
            // The channel goes on as if nothing had been.
            delivery(1, 2, b"spring", properties, b"good"),
        ];
        let (mut filter, notes) = filter();
        let mut out = Vec::new();
        filter.push(&input.concat(), &mut out).expect("well-formed");
        let passed = passed as u64 + 4;
        assert_eq!(bodies(&frames(&out)), (passed, passed), "{length}");
        let note = notes.take(1, 1).and_then(|note| note.body_was);
        assert_eq!(note, cut.map(|cut| cut as u64), "{length}");
        assert_eq!(notes.take(1, 2), None);
    }
}

#[test]
fn a_heartbeat_takes_the_place_of_each_frame_that_is_dropped() {
    let none = Properties::default();
    let length = LIMIT + 10 * (FRAME_MAX - 8);
    let out = filtered(&delivery(1, 1, b"spring", &none, &vec![b'x'; length]));
    let (mut rest, mut heartbeats) = (&out[..], 0);
    while !rest.is_empty() {
        let (after, frame) = parse_frame(rest).expect("the client reads it");
        heartbeats += usize::from(frame == AMQPFrame::Heartbeat);
        rest = after;
    }
    assert_eq!(heartbeats, 10);
}

#[test]
fn what_a_broker_returns_or_answers_a_get_with_is_mended_too() {
    let latin = short(b"M\xfcller");
    let returned = [&[1, 56][..], &short("NO_ROUTE"), &short(""), &latin];
    let got = [&[0; 9][..], &short("x"), &latin, &[0; 4]];
    let closed = [&[1, 150][..], &latin, &[0; 4]];
    let inputs = [
        method(1, 60, 50, &returned),
        method(1, 60, 71, &got),
        method(0, 10, 50, &closed),
        method(1, 20, 40, &closed),
        method(0, 10, 60, &[&latin]),
        method(1, 50, 11, &[&latin, &[0; 8]]),
    ];
    for input in inputs {
        assert!(parse_frame(&input[..]).is_err(), "{input:?}");
        assert_eq!(frames(&filtered(&input)).len(), 1, "{input:?}");
    }
}

#[test]
fn a_channel_that_is_opened_again_has_no_notes_of_the_one_before() {
    let (mut filter, notes) = filter();
    let mut out = Vec::new();
    let none = Properties::default();
    for channel in [1, 2] {
        let bad = delivery(channel, 1, b"\xff", &none, b"{}");
        filter.push(&bad, &mut out).expect("well-formed");
    }
    let opened = method(1, 20, 11, &[&[0; 4]]);
    filter.push(&opened, &mut out).expect("well-formed");
    assert_eq!(notes.take(1, 1), None);
    assert!(notes.take(2, 1).is_some());
}

#[test]
fn what_no_broker_sends_ends_the_connection_after_what_came_before_it() {
    let good = frame(8, 0, b"");
    let too_long = [&[1, 0, 0][..], &200_000_u32.to_be_bytes()].concat();
    let mut no_end = frame(8, 0, b"");
    *no_end.last_mut().expect("an end") = 0;
    let mut no_end_of_body = frame(3, 1, b"abc");
    *no_end_of_body.last_mut().expect("an end") = 7;
    let table = [
        (vec![4, 0, 0, 0, 0, 0, 0], Garbled::Type(4)),
        (
            too_long,
            Garbled::Length {
                bytes: 200_008,
                max: 131_072,
            },
        ),
        (no_end, Garbled::End(0)),
        (no_end_of_body, Garbled::End(7)),
        // "AMQP" is an answer to our first byte, and to nothing later.
        (b"AMQP\x00\x00\x00".to_vec(), Garbled::Type(b'A')),
    ];
    for (bad, garbled) in table {
        let (mut filter, _) = filter();
        let mut out = Vec::new();
        let input = [good.clone(), bad].concat();
        assert_eq!(filter.push(&input, &mut out), Err(garbled));
        assert!(out.starts_with(&good));
    }
}

#[test]
fn it_is_all_one_where_bytes_are_cut() {
    let latin = Properties::default()
        .with(Property::ContentType, short(b"M\xfcller"))
        .with_headers(&[(b"\xe9", nested(b'A', 40))]);
    let none = Properties::default();
    // A long body whose frames are small: every place in it is tried.
    let small: Vec<u8> = (0..400).flat_map(|_| frame(3, 1, &[b'x'; 700])).collect();
    let long = [deliver(1, 3, b"spring"), none.header(1, 280_000), small].concat();
    let input = [
        frame(8, 0, b""),
        delivery(1, 1, b"spr\xfcng", &latin, b"{}"),
        delivery(2, 1, b"spring", &none, b""),
        long,
        delivery(1, 4, b"spring", &none, b"after it"),
    ]
    .concat();
    let whole = filtered(&input);
    assert_eq!(bodies(&frames(&whole)).0, 2 + LIMIT as u64 + 1 + 8);
    // Around everything that is no body, and every 97th place of the rest.
    let places = (0..1_500).chain((1_500..input.len()).step_by(97));
    for place in places.chain(input.len() - 200..=input.len()) {
        let (mut filter, _) = filter();
        let mut out = Vec::new();
        for part in [&input[..place], &input[place..]] {
            filter.push(part, &mut out).expect("well-formed");
        }
        assert!(out == whole, "cut at {place}");
    }
    for size in [1, 2, 3, 7, 8, 9, 64, 1_021] {
        let (mut filter, _) = filter();
        let mut out = Vec::new();
        for part in input.chunks(size) {
            filter.push(part, &mut out).expect("well-formed");
        }
        assert!(out == whole, "in parts of {size}");
    }
}
