//! Counts the lines of a text.

/// Counts lines as an editor does: each of `
/// `, `\r
/// ` and a single `\r` ends one.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineCount {
    /// The line of the next byte, counted from 1.
    pub(in crate::intake) line: u64,
    after_return: bool,
}

impl Default for LineCount {
    fn default() -> Self {
        Self {
            line: 1,
            after_return: false,
        }
    }
}

impl LineCount {
    pub(super) fn pass_all(&mut self, bytes: &[u8]) {
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return;
        };
        let ends = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r'));
        let pairs = bytes.windows(2).filter(|pair| *pair == b"\r\n");
        let is_cut = self.after_return && *first == b'\n';
        self.line += (ends.count() - pairs.count() - usize::from(is_cut)) as u64;
        self.after_return = *last == b'\r';
    }
}
