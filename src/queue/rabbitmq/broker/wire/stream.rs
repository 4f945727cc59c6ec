//! The stream below the client: TCP, optional TLS, and the filter on the reading side.
//!
//! In: a socket. Out: a stream in the form of the client's runtime. Always: ready bytes are delivered before an end
//! or an error is reported; the end is reported only when the socket has ended.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::io::{AsyncRead, AsyncWrite};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::filter::Filter;

/// The size of one read from the socket, in bytes.
const CHUNK: usize = 64 * 1024;

/// A connection, plain or with TLS.
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection whose reading side is filtered.
pub(super) struct Filtered {
    socket: Socket,
    filter: Filter,
    chunk: Box<[u8]>,
    /// Filtered bytes for the client; those before `given` have been read.
    ready: Vec<u8>,
    given: usize,
    /// The error to report after the ready bytes.
    failure: Option<io::Error>,
}

/// Applies a call to either kind of socket.
macro_rules! with {
    ($socket:expr, $stream:ident => $call:expr) => {
        match &mut $socket {
            Socket::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Socket::Tls(stream) => {
                let $stream = Pin::new(&mut **stream);
                $call
            }
        }
    };
}

impl Filtered {
    pub(super) fn new(socket: Socket, filter: Filter) -> Self {
        Self {
            socket,
            filter,
            chunk: vec![0; CHUNK].into_boxed_slice(),
            ready: Vec::new(),
            given: 0,
            failure: None,
        }
    }

    /// Copies ready bytes into the buffer; `None` when there are none.
    fn give(&mut self, into: &mut [u8]) -> Option<usize> {
        let ready = &self.ready[self.given..];
        if ready.is_empty() {
            self.ready.clear();
            self.given = 0;
            return None;
        }
        let count = ready.len().min(into.len());
        into[..count].copy_from_slice(&ready[..count]);
        self.given += count;
        Some(count)
    }
}

impl AsyncRead for Filtered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // For the client, a read of zero bytes is the end of the stream. After a partial frame or dropped bytes,
        // the loop reads on until bytes are ready or the socket has none.
        loop {
            if let Some(count) = this.give(into) {
                return Poll::Ready(Ok(count));
            }
            if let Some(failure) = this.failure.take() {
                return Poll::Ready(Err(failure));
            }
            let mut chunk = ReadBuf::new(&mut this.chunk);
            ready!(with!(this.socket, stream => stream.poll_read(cx, &mut chunk)))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(0));
            }
            if let Err(garbled) = this.filter.push(chunk.filled(), &mut this.ready) {
                this.failure = Some(io::Error::new(io::ErrorKind::InvalidData, garbled));
            }
        }
    }
}

impl AsyncWrite for Filtered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        with!(self.get_mut().socket, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with!(self.get_mut().socket, stream => stream.poll_write_vectored(cx, slices))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self.get_mut().socket, stream => stream.poll_flush(cx))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self.get_mut().socket, stream => stream.poll_shutdown(cx))
    }
}
