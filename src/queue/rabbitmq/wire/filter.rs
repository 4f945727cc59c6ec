//! Follows the frames that a broker sends, and mends on the way what the client below cannot read.
//!
//! In: bytes, cut anywhere. Out: bytes; where they were cut makes no difference. Always: pure but for the
//! notes; a frame of a method or header is passed on whole, once it is mended; a body passes by as it comes.
//!
//! A body over its bound is said to be as long as the bound allows, in the content header that comes before
//! it, and what comes after that many bytes is dropped. A heartbeat takes the place of each frame that is dropped as
//! a whole: the client would take the silence for a lost connection.

use std::collections::HashMap;
use std::sync::Arc;

use super::frame::{self, ContentHeader, MethodKind};
use super::mend::Changed;
use super::notes::{MendedCounters, Note, Notes};

/// Types of frames (AMQP 0-9-1, section 4.2.3).
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
/// The first byte of "AMQP": a broker that speaks another version answers with the one it speaks.
const PROTOCOL: u8 = b'A';

const FRAME_END: u8 = 0xce;
const A_HEARTBEAT: [u8; 8] = [HEARTBEAT, 0, 0, 0, 0, 0, 0, FRAME_END];

/// Type, channel and length.
const HEAD: usize = 7;

/// What may pass.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The longest frame in bytes, all of it counted: what was asked of the broker as `frame_max`.
    pub frame: u32,
    /// How much of a publisher's body passes, in bytes.
    pub body: u64,
    /// How much passes of a body whose `app_id` is `ours`.
    pub own_body: u64,
    /// The `app_id` of what this program sends.
    pub ours: &'static str,
}

/// What no broker sends: the connection is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Garbled {
    #[error("a frame of the type {0}, which AMQP 0-9-1 does not have")]
    Type(u8),
    #[error("a frame of {bytes} bytes, where {max} are the most")]
    Length { bytes: u64, max: u32 },
    #[error("a frame that ends with {0} and not with 206")]
    End(u8),
}

/// Where in a frame we are.
#[derive(Debug)]
enum FramePosition {
    /// In its first seven bytes, which are gathered.
    Head,
    /// In a method, header or heartbeat, which is gathered to its end.
    Whole { size: usize },
    /// In a body: so much is passed on, so much is dropped, then comes the end.
    Body {
        pass: usize,
        drop: usize,
        is_void: bool,
    },
    /// The broker speaks another protocol: the client says so.
    Foreign,
}

/// A body under way on a channel.
#[derive(Clone, Copy, Debug)]
struct Content {
    /// Bytes that the broker will send still.
    left: u64,
    /// Bytes that may pass still.
    room: u64,
}

/// The filter of one connection, on its reading side.
#[derive(Debug)]
pub struct Filter {
    bounds: Bounds,
    notes: Arc<Notes>,
    mended: Arc<MendedCounters>,
    place: FramePosition,
    /// What is gathered of the frame at hand.
    frame: Vec<u8>,
    is_first: bool,
    /// Deliveries whose content header is to come, by channel.
    announced: HashMap<u16, (u64, Changed)>,
    contents: HashMap<u16, Content>,
}

impl Filter {
    /// A filter for a new connection.
    #[must_use]
    pub fn new(bounds: Bounds, notes: Arc<Notes>, mended: Arc<MendedCounters>) -> Self {
        Self {
            bounds,
            notes,
            mended,
            place: FramePosition::Head,
            frame: Vec::new(),
            is_first: true,
            announced: HashMap::new(),
            contents: HashMap::new(),
        }
    }

    /// Takes what came from the broker, and adds what the client is to read to `out`.
    ///
    /// # Errors
    ///
    /// [`Garbled`]; what is in `out` came before it, and nothing may be given to this filter any more.
    pub fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), Garbled> {
        while !input.is_empty() {
            match self.place {
                FramePosition::Head => {
                    let rest = self.gather(&mut input, HEAD);
                    if self.is_first && self.frame[0] == PROTOCOL {
                        out.append(&mut self.frame);
                        self.place = FramePosition::Foreign;
                    } else if rest == 0 {
                        self.begin(out)?;
                    }
                }
                FramePosition::Whole { size } => {
                    if self.gather(&mut input, size) == 0 {
                        check_end(self.frame[size - 1])?;
                        self.finish(out);
                        self.frame.clear();
                        self.place = FramePosition::Head;
                    }
                }
                FramePosition::Body {
                    ref mut pass,
                    ref mut drop,
                    is_void,
                } => {
                    if *pass > 0 {
                        let count = input.len().min(*pass);
                        out.extend_from_slice(&input[..count]);
                        (*pass, input) = (*pass - count, &input[count..]);
                    } else if *drop > 0 {
                        let count = input.len().min(*drop);
                        (*drop, input) = (*drop - count, &input[count..]);
                    } else {
                        check_end(input[0])?;
                        input = &input[1..];
                        match is_void {
                            true => out.extend_from_slice(&A_HEARTBEAT),
                            false => out.push(FRAME_END),
                        }
                        self.place = FramePosition::Head;
                    }
                }
                FramePosition::Foreign => {
                    out.extend_from_slice(input);
                    input = &[];
                }
            }
        }
        Ok(())
    }

    /// Moves bytes to the frame at hand until it has `size`; tells how many it lacks still.
    fn gather(&mut self, input: &mut &[u8], size: usize) -> usize {
        let count = input.len().min(size - self.frame.len());
        self.frame.extend_from_slice(&input[..count]);
        *input = &input[count..];
        size - self.frame.len()
    }

    /// A frame's first seven bytes are there.
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), Garbled> {
        self.is_first = false;
        let head: [u8; HEAD] = self.frame[..].try_into().unwrap_or_default();
        let [kind, c1, c2, l1, l2, l3, l4] = head;
        let channel = u16::from_be_bytes([c1, c2]);
        let length = u32::from_be_bytes([l1, l2, l3, l4]);
        if ![METHOD, HEADER, BODY, HEARTBEAT].contains(&kind) {
            return Err(Garbled::Type(kind));
        }
        let (bytes, max) = (u64::from(length) + HEAD as u64 + 1, self.bounds.frame);
        if bytes > max.into() {
            return Err(Garbled::Length { bytes, max });
        }
        // Below the bound, which is 32 bits.
        let (length, size) = (length as usize, bytes as usize);
        match kind {
            BODY => {
                let (pass, is_void) = self.pass(channel, length);
                if !is_void {
                    out.extend_from_slice(&[kind, c1, c2]);
                    // No longer than the frame's own length, which has 32 bits.
                    out.extend_from_slice(&(pass as u32).to_be_bytes());
                }
                self.frame.clear();
                let drop = length - pass;
                self.place = FramePosition::Body {
                    pass,
                    drop,
                    is_void,
                };
            }
            _ => self.place = FramePosition::Whole { size },
        }
        Ok(())
    }

    /// How many of the next `length` bytes of a channel's body may pass, and whether the client has all that
    /// it was told of: then not even an empty frame may.
    fn pass(&mut self, channel: u16, length: usize) -> (usize, bool) {
        // A body that nothing has announced is the client's to refuse.
        let Some(content) = self.contents.get_mut(&channel) else {
            return (length, false);
        };
        let is_void = content.room == 0;
        let room = usize::try_from(content.room).unwrap_or(usize::MAX);
        let pass = length.min(room);
        content.room -= pass as u64;
        content.left = content.left.saturating_sub(length as u64);
        if content.left == 0 {
            self.contents.remove(&channel);
        }
        (pass, is_void)
    }

    /// A method, header or heartbeat is there as a whole.
    fn finish(&mut self, out: &mut Vec<u8>) {
        let channel = u16::from_be_bytes([self.frame[1], self.frame[2]]);
        let end = self.frame.len() - 1;
        let kind = self.frame[0];
        let payload = &mut self.frame[HEAD..end];
        match kind {
            METHOD => {
                let (method, changed) = frame::mend_method(payload);
                self.method(channel, method, changed);
            }
            HEADER => {
                if let Some(header) = frame::mend_header(payload, self.bounds.ours) {
                    self.header(channel, header);
                }
            }
            _ => {}
        }
        out.extend_from_slice(&self.frame);
    }

    fn method(&mut self, channel: u16, method: MethodKind, changed: Changed) {
        // Whatever body was under way on this channel is over.
        self.contents.remove(&channel);
        self.announced.remove(&channel);
        match method {
            MethodKind::Deliver(tag) => drop(self.announced.insert(channel, (tag, changed))),
            MethodKind::ChannelOpened => self.notes.forget(channel),
            MethodKind::Other => {}
        }
    }

    /// Of the content header at hand: bounds its body, and notes what was done to the delivery.
    fn header(&mut self, channel: u16, header: ContentHeader) {
        let bound = match header.is_ours {
            true => self.bounds.own_body,
            false => self.bounds.body,
        };
        // One more than may pass the check behind: a body that was cut must not be taken for whole.
        let room = header.body.min(bound.saturating_add(1));
        let is_cut = room < header.body;
        if is_cut {
            let end = self.frame.len() - 1;
            frame::set_body_size(&mut self.frame[HEAD..end], room);
        }
        if header.body > 0 {
            let left = header.body;
            self.contents.insert(channel, Content { left, room });
        }
        let Some((tag, method)) = self.announced.remove(&channel) else {
            return;
        };
        let is_text = method.text || header.changed.text;
        let note = Note {
            is_altered: is_text || header.changed.nesting,
            is_key_altered: method.key,
            body_was: is_cut.then_some(header.body),
        };
        if note != Note::default() {
            self.mended.count(note, is_text, header.changed.nesting);
            self.notes.put(channel, tag, note);
        }
    }
}

fn check_end(byte: u8) -> Result<(), Garbled> {
    match byte {
        FRAME_END => Ok(()),
        other => Err(Garbled::End(other)),
    }
}
