//! Standard output, which is for data: unchanged for a program, with control characters escaped on a terminal.

use std::io::{self, IsTerminal, Write};

use crate::telemetry::Printable;

/// Standard output. After its reader has closed the pipe (`| head`), data is dropped without an error.
pub(super) struct Out(io::StdoutLock<'static>);

/// Locks standard output.
pub(super) fn stdout() -> Out {
    Out(io::stdout().lock())
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// A writer for data on standard output: unchanged for a program, with control characters escaped on a terminal.
pub(super) fn data() -> Box<dyn Write> {
    match io::stdout().is_terminal() {
        true => Box::new(Printable::new(stdout())),
        false => Box::new(stdout()),
    }
}
