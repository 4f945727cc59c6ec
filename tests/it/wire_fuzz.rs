//! Any message that AMQP allows, through the filter and the client's own parser, in process.
//!
//! `FUZZ_FRAMES` says how many frames (20,000 without it), `FUZZ_SEED` from which seed on; `make fuzz` tries ten
//! million.

use amq_protocol::frame::AMQPFrame;
use amq_protocol::frame::parsing::parse_frame;

use super::support::amqp::{body, filter, frame, method, short};
use super::support::amqp_fuzz::Hostile;

/// How many frames go through one connection's filter.
const TOGETHER: usize = 200;

pub(crate) fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |text| text.parse().expect(name))
}

#[test]
fn whatever_a_broker_may_deliver_the_client_reads_once_it_is_mended() {
    let frames = number("FUZZ_FRAMES", 20_000);
    let first = number("FUZZ_SEED", 1);
    let (mut done, mut refused_before, mut seed) = (0, 0, first);
    while done < frames {
        let sent = Connection::of(seed).check();
        done += sent.frames;
        refused_before += sent.unreadable;
        seed += 1;
    }
    println!("{done} frames: {refused_before} that the client refuses, 0 once they are mended");
    assert!(refused_before > 0, "nothing was mended");
}

/// Whether sixty levels of arrays or tables begin here, as [`super::support::amqp::nested`] makes them.
fn is_nested(bytes: &[u8]) -> bool {
    (0..60).all(|level| bytes[level * 5] == b'A') || (0..60).all(|level| bytes[level * 7] == b'F')
}

/// What a broker sends on one connection.
struct Connection {
    seed: u64,
    sent: Vec<u8>,
    frames: u64,
    /// Frames that the stock parser refuses, or would end the process with.
    unreadable: u64,
}

impl Connection {
    fn of(seed: u64) -> Self {
        let mut hostile = Hostile::seeded(seed);
        let mut this = Self {
            seed,
            sent: Vec::new(),
            frames: 0,
            unreadable: 0,
        };
        for tag in 0..TOGETHER / 3 {
            let channel = u16::try_from(1 + hostile.below(3)).expect("small");
            let key = hostile.name();
            let tag = (tag as u64).to_be_bytes();
            let arguments = [&short("c")[..], &tag, &[0], &short("flexcast"), &short(key)];
            this.add(&method(channel, 60, 60, &arguments));
            let message = hostile.message(1);
            let length = message.body.len() as u64;
            this.add(&message.properties.header(channel, length));
            let parts = body(channel, &message.body);
            this.frames += message.body.len().div_ceil(131_064) as u64;
            this.sent.extend(parts);
        }
        this.add(&frame(8, 0, b""));
        this
    }

    fn add(&mut self, frame: &[u8]) {
        self.frames += 1;
        // The parser's recursion would end this process.
        let is_deep = frame.windows(420).any(is_nested);
        let is_readable = !is_deep && parse_frame(frame).is_ok_and(|(rest, _)| rest.is_empty());
        self.unreadable += u64::from(!is_readable);
        self.sent.extend_from_slice(frame);
    }

    /// Sends it in parts and reads all of it.
    fn check(self) -> Self {
        let seed = self.seed;
        let mut cuts = Hostile::seeded(seed ^ 0x5eed);
        let (mut filter, _) = filter();
        let (mut rest, mut out) = (&self.sent[..], Vec::new());
        while !rest.is_empty() {
            let most = [1, 10, 1_000, 100_000][cuts.below(4)];
            let (part, after) = rest.split_at(rest.len().min(1 + cuts.below(most)));
            let pushed = filter.push(part, &mut out);
            pushed.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            rest = after;
        }
        let mut rest = &out[..];
        let (mut expected, mut got) = (0, 0);
        while !rest.is_empty() {
            let read = parse_frame(rest);
            let (after, frame) = read.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
            rest = after;
            match frame {
                AMQPFrame::Header(_, header) => expected += header.body_size,
                AMQPFrame::Body(_, bytes) => got += bytes.len() as u64,
                _ => {}
            }
        }
        assert_eq!(got, expected, "seed {seed}: bodies are as long as is said");
        self
    }
}
