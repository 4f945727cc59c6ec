//! Filters the frames that a broker sends, and repairs frames that the client (lapin) cannot read.
//!
//! In: bytes, in chunks of any size. Out: bytes; the chunks do not influence the result. Always: pure except for
//! the notes; a method frame or header frame is passed on complete, after its repair; a body is passed on as it
//! arrives.
//!
//! If a body exceeds its limit, the content header before it is changed to the limit's length, and the rest of the
//! body is dropped. A heartbeat replaces each frame that is dropped completely: otherwise the client would take the
//! silence for a lost connection.

use std::collections::HashMap;
use std::sync::Arc;

use super::frame::{self, ContentHeader, MethodKind};
use super::mend::Changed;
use super::notes::{MendedCounters, Note, Notes};

/// Frame types (AMQP 0-9-1, section 4.2.3).
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
/// The first byte of "AMQP": a broker of another protocol version answers with the version that it speaks.
const PROTOCOL: u8 = b'A';

const FRAME_END: u8 = 0xce;
const A_HEARTBEAT: [u8; 8] = [HEARTBEAT, 0, 0, 0, 0, 0, 0, FRAME_END];

/// The length of a frame's head: type, channel and length.
const HEAD: usize = 7;

/// The limits of the filter.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The longest frame in bytes, head and end included: the `frame_max` that was asked of the broker.
    pub frame: u32,
    /// The number of bytes of a publisher's body that are passed on.
    pub body: u64,
    /// The same for a body whose `app_id` is `ours`.
    pub own_body: u64,
    /// The `app_id` of flexcast's own messages.
    pub ours: &'static str,
}

/// A frame that no broker sends: the connection cannot be used further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Garbled {
    #[error("a frame of the type {0}, which AMQP 0-9-1 does not have")]
    Type(u8),
    #[error("a frame of {bytes} bytes, where {max} are the most")]
    Length { bytes: u64, max: u32 },
    #[error("a frame that ends with {0} and not with 206")]
    End(u8),
}

/// The position in the current frame.
#[derive(Debug)]
enum FramePosition {
    /// In the first seven bytes, which are buffered.
    Head,
    /// In a method, header or heartbeat, which is buffered to its end.
    Whole { size: usize },
    /// In a body: the bytes still to pass on, then the bytes to drop, then the end.
    Body {
        pass: usize,
        drop: usize,
        is_void: bool,
    },
    /// The broker speaks another protocol: the client reports it.
    Foreign,
}

/// A body in transit on a channel.
#[derive(Clone, Copy, Debug)]
struct Content {
    /// The bytes that the broker still sends.
    left: u64,
    /// The bytes that may still be passed on.
    room: u64,
}

/// The filter of one connection, on its reading side.
#[derive(Debug)]
pub struct Filter {
    bounds: Bounds,
    notes: Arc<Notes>,
    mended: Arc<MendedCounters>,
    place: FramePosition,
    /// The buffered bytes of the current frame.
    frame: Vec<u8>,
    is_first: bool,
    /// Deliveries without their content header so far, by channel.
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

    /// Filters `input` from the broker and appends the bytes for the client to `out`.
    ///
    /// # Errors
    ///
    /// [`Garbled`]. The bytes in `out` come before the error, and the filter must not be used again.
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

    /// Moves bytes into the current frame until it has `size` bytes; returns the number of missing bytes.
    fn gather(&mut self, input: &mut &[u8], size: usize) -> usize {
        let count = input.len().min(size - self.frame.len());
        self.frame.extend_from_slice(&input[..count]);
        *input = &input[count..];
        size - self.frame.len()
    }

    /// Handles a frame's head once its seven bytes are complete.
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
        // Both are at most `max`, which has 32 bits.
        let (length, size) = (length as usize, bytes as usize);
        match kind {
            BODY => {
                let (pass, is_void) = self.pass(channel, length);
                if !is_void {
                    out.extend_from_slice(&[kind, c1, c2]);
                    // At most the frame's length, which has 32 bits.
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

    /// How many of the next `length` bytes of a channel's body may be passed on, and whether the client already has
    /// the announced length: then not even an empty frame may pass.
    fn pass(&mut self, channel: u16, length: usize) -> (usize, bool) {
        // A body without an announcement is passed on: the client refuses it.
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

    /// Handles a complete method, header or heartbeat.
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
        // A method ends the body in transit on its channel.
        self.contents.remove(&channel);
        self.announced.remove(&channel);
        match method {
            MethodKind::Deliver(tag) => drop(self.announced.insert(channel, (tag, changed))),
            MethodKind::ChannelOpened => self.notes.forget(channel),
            MethodKind::Other => {}
        }
    }

    /// Handles a content header: limits its body, and notes the repairs of the delivery.
    fn header(&mut self, channel: u16, header: ContentHeader) {
        let bound = match header.is_ours {
            true => self.bounds.own_body,
            false => self.bounds.body,
        };
        // One byte more than the limit that consumers check: a truncated body must not look complete.
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
