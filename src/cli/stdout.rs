//! Standard output, which is for data: as they are for a program, and as they can be shown on a terminal.

use std::io::{self, IsTerminal, Write};

use crate::telemetry::Printable;

/// Standard output. What comes after its reader has closed it is dropped: who has read enough
/// (`| head`) is no failure.
pub(super) struct Out(io::StdoutLock<'static>);

/// See [`Out`].
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

/// Data on standard output: as they are for a program, and as they can be shown on a terminal.
pub(super) fn data() -> Box<dyn Write> {
    match io::stdout().is_terminal() {
        true => Box::new(Printable::new(stdout())),
        false => Box::new(stdout()),
    }
}
