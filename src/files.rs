//! Files that only their owner may read: they hold people's numbers.

use std::fs::OpenOptions;

/// Has a file that these options make be its owner's alone (on Unix: mode 0600). The rights of a file that is there stay
/// as they are.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}
