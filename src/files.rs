//! Files that only their owner may read: they contain customers' phone numbers.

use std::fs::OpenOptions;

/// Makes the options create a file that only its owner can read (on Unix: mode 0600). The rights of an existing
/// file stay unchanged.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}
