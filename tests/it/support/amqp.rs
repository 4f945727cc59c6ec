//! AMQP 0-9-1 as bytes: a publisher that sends whatever a test gives it, as no client library would.
//!
//! The encoders put lengths before contents and check nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use flexcast::queue::rabbitmq::wire::{Bounds, Filter, MendedCounters, Notes};

/// RabbitMQ's own bound on a frame, in bytes.
pub(crate) const FRAME_MAX: usize = 131_072;

const FRAME_END: u8 = 0xce;

/// A string with one byte of length; what is longer loses its tail.
pub(crate) fn short(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    let text = &text[..text.len().min(255)];
    let length = u8::try_from(text.len()).expect("cut above");
    [&[length], text].concat()
}

/// Bytes with four bytes of length.
pub(crate) fn long(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let length = u32::try_from(bytes.len()).expect("no test has 4 GiB");
    [&length.to_be_bytes(), bytes].concat()
}

/// A value of a table or array: its type, then its bytes.
pub(crate) fn value(kind: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [&[kind], bytes.as_ref()].concat()
}

/// A text as a value.
pub(crate) fn text(text: impl AsRef<[u8]>) -> Vec<u8> {
    value(b'S', long(text))
}

/// The entries of a table, without the table's length.
pub(crate) fn entries<N: AsRef<[u8]>>(all: &[(N, Vec<u8>)]) -> Vec<u8> {
    let each = all.iter();
    each.flat_map(|(name, value)| [short(name), value.clone()].concat())
        .collect()
}

/// So many arrays (`A`) or tables (`F`) within one another, as a value.
pub(crate) fn nested(kind: u8, levels: usize) -> Vec<u8> {
    // From the inside out, so that it takes no longer than it is.
    let name: &[u8] = if kind == b'F' { b"\x01n" } else { b"" };
    let mut heads = Vec::with_capacity(levels);
    let mut length = 0;
    for _ in 0..levels {
        let head = value(
            kind,
            u32::try_from(length).expect("fits a frame").to_be_bytes(),
        );
        length += head.len() + name.len();
        heads.push(head);
    }
    let mut all = Vec::with_capacity(length);
    for (at, head) in heads.iter().rev().enumerate() {
        if at > 0 {
            all.extend_from_slice(name);
        }
        all.extend_from_slice(head);
    }
    all
}

/// A frame.
pub(crate) fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let channel = channel.to_be_bytes();
    [&[kind], &channel[..], &long(payload), &[FRAME_END]].concat()
}

/// A method with these arguments.
pub(crate) fn method(channel: u16, class: u16, id: u16, arguments: &[&[u8]]) -> Vec<u8> {
    let id = [class.to_be_bytes(), id.to_be_bytes()].concat();
    frame(1, channel, &[id, arguments.concat()].concat())
}

/// A property's place in the flags, from the highest bit down (AMQP 0-9-1, section 1.8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Property {
    ContentType,
    ContentEncoding,
    Headers,
    DeliveryMode,
    Priority,
    CorrelationId,
    ReplyTo,
    Expiration,
    MessageId,
    Timestamp,
    Type,
    UserId,
    AppId,
    ClusterId,
}

/// Properties, each with its bytes as they stand on the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Properties(std::collections::BTreeMap<Property, Vec<u8>>);

impl Properties {
    /// With a property of these bytes.
    pub(crate) fn with(mut self, property: Property, bytes: Vec<u8>) -> Self {
        self.0.insert(property, bytes);
        self
    }

    /// With these headers.
    pub(crate) fn with_headers<N: AsRef<[u8]>>(self, all: &[(N, Vec<u8>)]) -> Self {
        self.with(Property::Headers, long(entries(all)))
    }

    /// A content header for a body of this length.
    pub(crate) fn header(&self, channel: u16, body: u64) -> Vec<u8> {
        let flags = self
            .0
            .keys()
            .map(|property| 1_u16 << (15 - *property as u16));
        let flags: u16 = flags.sum();
        let head = [&60_u16.to_be_bytes()[..], &[0, 0]].concat();
        let rest: Vec<u8> = self.0.values().flatten().copied().collect();
        let parts = [&head[..], &body.to_be_bytes(), &flags.to_be_bytes(), &rest];
        frame(2, channel, &parts.concat())
    }
}

/// A body in frames that a broker takes.
pub(crate) fn body(channel: u16, bytes: &[u8]) -> Vec<u8> {
    let frames = bytes.chunks(FRAME_MAX - 8);
    frames.flat_map(|part| frame(3, channel, part)).collect()
}

/// A filter with the bounds of the program's own, and where it leaves its notes.
pub(crate) fn filter() -> (Filter, std::sync::Arc<Notes>) {
    let bounds = Bounds {
        frame: u32::try_from(FRAME_MAX).expect("fits"),
        body: 131_072,
        own_body: 1_048_576,
        ours: "flexcast",
    };
    let notes = std::sync::Arc::<Notes>::default();
    let mended = std::sync::Arc::<MendedCounters>::default();
    (Filter::new(bounds, notes.clone(), mended), notes)
}

/// A connection with one channel, which confirms.
pub(crate) struct RawPublisher {
    stream: TcpStream,
    published: u64,
    confirmed: u64,
}

const CHANNEL: u16 = 1;

impl RawPublisher {
    /// Connects to `amqp://user:password@host:port/vhost`.
    pub(crate) fn connect(url: &str) -> Self {
        let url = url::Url::parse(url).expect("an AMQP URL");
        let host = url.host_str().expect("a host");
        let address = (host, url.port().unwrap_or(5672));
        let mut stream = TcpStream::connect(address).expect("a broker");
        stream.set_nodelay(true).expect("a socket");
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("a socket");
        stream.write_all(b"AMQP\x00\x00\x09\x01").expect("sent");
        let mut this = Self {
            stream,
            published: 0,
            confirmed: 0,
        };
        this.expect(10, 10);
        let login = format!("\0{}\0{}", url.username(), url.password().unwrap_or(""));
        let start = [
            &long("")[..],
            &short("PLAIN"),
            &long(login),
            &short("en_US"),
        ];
        this.send(&method(0, 10, 11, &start));
        this.expect(10, 30);
        let frame_max = u32::try_from(FRAME_MAX).expect("fits").to_be_bytes();
        this.send(&method(0, 10, 31, &[&[0, 10], &frame_max, &[0, 0]]));
        let vhost = url.path().trim_start_matches('/').replace("%2f", "/");
        this.send(&method(0, 10, 40, &[&short(vhost), &short(""), &[0]]));
        this.expect(10, 41);
        this.send(&method(CHANNEL, 20, 10, &[&short("")]));
        this.expect(20, 11);
        this.send(&method(CHANNEL, 85, 10, &[&[0]]));
        this.expect(85, 11);
        this
    }

    /// Publishes to the exchange `flexcast`; whether the broker took it is asked by [`Self::confirm`].
    pub(crate) fn publish(&mut self, key: impl AsRef<[u8]>, properties: &Properties, bytes: &[u8]) {
        let arguments = [&[0, 0][..], &short("flexcast"), &short(key), &[0]];
        let mut all = method(CHANNEL, 60, 40, &arguments);
        all.extend(properties.header(CHANNEL, bytes.len() as u64));
        all.extend(body(CHANNEL, bytes));
        self.send(&all);
        self.published += 1;
    }

    /// Waits until all that was published is confirmed.
    pub(crate) fn confirm(&mut self) {
        while self.confirmed < self.published {
            let (class, id, payload) = self.read();
            assert_eq!((class, id), (60, 80), "no ack: {:?}", text_of(&payload));
            let tag = payload[4..12].try_into().expect("a tag");
            self.confirmed = self.confirmed.max(u64::from_be_bytes(tag));
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker takes it");
    }

    fn expect(&mut self, class: u16, id: u16) {
        let (c, i, payload) = self.read();
        assert_eq!((c, i), (class, id), "{:?}", text_of(&payload));
    }

    /// The next method.
    fn read(&mut self) -> (u16, u16, Vec<u8>) {
        loop {
            let mut head = [0; 7];
            self.stream.read_exact(&mut head).expect("a frame");
            let length = u32::from_be_bytes(head[3..7].try_into().expect("four bytes"));
            let mut payload = vec![0; length as usize + 1];
            self.stream.read_exact(&mut payload).expect("a payload");
            if head[0] == 1 {
                let short = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
                return (short(0), short(2), payload);
            }
        }
    }
}

fn text_of(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}
