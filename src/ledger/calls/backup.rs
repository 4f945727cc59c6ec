//! Copies of a ledger, made while it is in use.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::ledger::Result;

/// A ledger whose store is a file.
#[async_trait]
pub trait BackupSource: Send + Sync {
    /// The files of the ledger and of the queue beside it, which a backup must not replace.
    fn own_files(&self) -> Vec<PathBuf>;

    /// Writes one state of the ledger into an empty file, which is then a whole ledger, and counts its
    /// messages. Reads and writes of the ledger go on meanwhile. After an error the file holds no usable ledger.
    ///
    /// # Errors
    ///
    /// [`crate::ledger::LedgerError::Unavailable`] when the ledger cannot be read or the copy cannot be written,
    /// [`crate::ledger::LedgerError::Misconfigured`] when it is no ledger, or a newer program's.
    async fn copy_to(&self, file: &Path) -> Result<u64>;
}
