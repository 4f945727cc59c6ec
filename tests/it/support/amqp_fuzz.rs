//! Messages that no client library would send, and every broker takes, from a seed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::amqp::{Properties, Property, entries, long, nested, short, text, value};

/// A generator of hostile messages.
pub(crate) struct Hostile {
    rng: StdRng,
}

/// One message.
pub(crate) struct Message {
    pub(crate) properties: Properties,
    pub(crate) body: Vec<u8>,
}

/// Texts that have broken programs before.
const STRANGE: [&str; 10] = [
    "",
    "\u{0}",
    "{{ customer.name }}",
    "\u{202e}txet",
    "O'Brien\"; DROP TABLE turns; --",
    "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "\r\n\r\nGET / HTTP/1.1",
    "null",
    "\u{feff}bom",
    "%s%n%x",
];

impl Hostile {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.rng.random_range(0..bound)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// Any bytes, at most so many.
    pub(crate) fn bytes(&mut self, most: usize) -> Vec<u8> {
        let count = self.below(most + 1);
        (0..count).map(|_| self.rng.random()).collect()
    }

    /// Bytes for a short string: plain, UTF-8 beyond ASCII, Latin-1, or anything.
    pub(crate) fn name(&mut self) -> Vec<u8> {
        match self.below(4) {
            0 => format!("plain-{}", self.below(1_000)).into_bytes(),
            1 => STRANGE[self.below(STRANGE.len())].as_bytes().to_vec(),
            2 => b"M\xfcller".to_vec(),
            _ => self.bytes(255),
        }
    }

    /// A value of any type that a broker knows, at most `depth` levels deep.
    fn value(&mut self, depth: usize) -> Vec<u8> {
        let nests = if depth > 0 { 14 } else { 12 };
        match self.below(nests) {
            0 => value(b't', [self.rng.random_range(0..2)]),
            1 => value(b'b', self.rng.random::<[u8; 1]>()),
            2 => value(b's', self.rng.random::<[u8; 2]>()),
            3 => value(b'I', self.rng.random::<[u8; 4]>()),
            4 => value(b'l', self.rng.random::<[u8; 8]>()),
            5 => value(b'f', 1.5_f32.to_be_bytes()),
            6 => value(b'd', (-0.25_f64).to_be_bytes()),
            7 => value(b'D', self.rng.random::<[u8; 5]>()),
            8 => value(b'T', self.rng.random::<[u8; 8]>()),
            9 => value(b'V', b""),
            10 => value(b'x', long(self.bytes(300))),
            11 => text(self.bytes(300)),
            12 => {
                let count = self.below(4);
                let all: Vec<u8> = (0..count).flat_map(|_| self.value(depth - 1)).collect();
                value(b'A', long(all))
            }
            _ => value(b'F', long(self.table(depth - 1))),
        }
    }

    fn table(&mut self, depth: usize) -> Vec<u8> {
        let count = self.below(5);
        let all: Vec<_> = (0..count)
            .map(|_| (self.name(), self.value(depth)))
            .collect();
        entries(&all)
    }

    /// Any properties that the broker takes from this user; some that make the client stumble.
    pub(crate) fn properties(&mut self) -> Properties {
        let mut properties = Properties::default();
        let texts = [
            Property::ContentType,
            Property::ContentEncoding,
            Property::CorrelationId,
            Property::ReplyTo,
            Property::MessageId,
            Property::Type,
            Property::AppId,
            Property::ClusterId,
        ];
        for property in texts {
            if self.one_in(3) {
                properties = properties.with(property, short(self.name()));
            }
        }
        if self.one_in(2) {
            let mut headers = self.table(4);
            match self.below(12) {
                0 => headers.extend(entries(&[("deep", nested(b'A', 2_000))])),
                1 => headers.extend(entries(&[("deep", nested(b'F', 400))])),
                2 => headers.extend(entries(&[("big", text(vec![b'x'; 60_000]))])),
                3 => headers.extend(entries(&[("x-death", text("forged"))])),
                4 => headers.extend(entries(&[("flexcast-reason", text("stuck"))])),
                _ => {}
            }
            properties = properties.with(Property::Headers, long(headers));
        }
        if self.one_in(3) {
            properties = properties.with(Property::DeliveryMode, vec![2]);
        }
        if self.one_in(4) {
            let priority = self.rng.random();
            properties = properties.with(Property::Priority, vec![priority]);
        }
        if self.one_in(20) {
            // Long enough not to be over before it is seen.
            properties = properties.with(Property::Expiration, short("3600000"));
        }
        if self.one_in(4) {
            let time = self.rng.random::<[u8; 8]>();
            properties = properties.with(Property::Timestamp, time.to_vec());
        }
        properties
    }

    /// A body: a third is JSON, a tenth a message with hostile values, the rest any bytes.
    fn body(&mut self, number: usize) -> Vec<u8> {
        match self.below(30) {
            0..=2 => self.valid(number),
            3..=12 => {
                let strange = STRANGE[self.below(STRANGE.len())];
                let all = [
                    json!({"campaign": strange}),
                    json!([[[[strange]]]]),
                    json!({"campaign": "spring", "customer": {"address": strange}}),
                    json!({"campaign": "spring", "customer": null, strange: 1e300}),
                    json!(strange),
                ];
                let at = self.below(all.len());
                all[at].to_string().into_bytes()
            }
            13 => vec![b'['; 20_000],
            14 if self.one_in(10) => vec![b'x'; 200_000 + self.below(100_000)],
            _ => self.bytes(2_000),
        }
    }

    /// A message as the contract has it, whose values are not what anybody expects.
    fn valid(&mut self, number: usize) -> Vec<u8> {
        let strange = STRANGE[self.below(STRANGE.len())];
        let message = json!({
            "campaign": "spring",
            "id": format!("hostile-{number}"),
            "customer": {
                "address": format!("+1213555{:04}", number % 10_000),
                "name": strange,
                "attributes": {"a": strange, "b": "x".repeat(self.below(3_000))},
            },
        });
        message.to_string().into_bytes()
    }

    /// A message.
    pub(crate) fn message(&mut self, number: usize) -> Message {
        Message {
            properties: self.properties(),
            body: self.body(number),
        }
    }
}
