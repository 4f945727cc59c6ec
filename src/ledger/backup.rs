//! Backups of a ledger that is in use.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::Result;

/// A ledger in a file, to be backed up.
#[async_trait]
pub trait BackupSource: Send + Sync {
    /// The files of the ledger and of the queue beside it. A backup must not overwrite them.
    fn own_files(&self) -> Vec<PathBuf>;

    /// Writes one state of the ledger into an empty file, which is then a whole ledger, and returns how many messages
    /// it has. Reads and writes of the ledger continue meanwhile. After an error the file holds no usable ledger.
    ///
    /// # Errors
    ///
    /// [`crate::ledger::LedgerError::Unavailable`] when the ledger cannot be read or the copy cannot be written,
    /// [`crate::ledger::LedgerError::Misconfigured`] when it is no ledger, or a newer program wrote it.
    async fn copy_to(&self, file: &Path) -> Result<u64>;
}
