//! What SQLite's errors mean.

use rusqlite::{ErrorCode, ffi};

use crate::ledger::LedgerError;

impl From<rusqlite::Error> for LedgerError {
    /// By SQLite's result codes (<https://www.sqlite.org/rescode.html>). Conditions that may pass (a full or read-only
    /// disk, a lock) are the store's. A corrupt file, or a write that the disk did not keep, ends the store's use. A
    /// value that cannot be read is its row's fault. For the rest a probe must find the cause.
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        let Some(sqlite) = error.sqlite_error() else {
            return without_code(&error, text);
        };
        match sqlite.code {
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Corrupt(text),
            ErrorCode::SystemIoFailure if NOT_KEPT.contains(&sqlite.extended_code) => {
                Self::Corrupt(format!("{text}: the disk did not keep what was written"))
            }
            ErrorCode::SystemIoFailure
            | ErrorCode::DiskFull
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OperationInterrupted => Self::Unavailable(text),
            _ => Self::Refused {
                code: format!("SQLite {}", sqlite.extended_code),
                text,
            },
        }
    }
}

/// Results that mean that the disk did not confirm a write. A retry proves nothing: the operating system drops the
/// pages that it could not write, and reports the next flush as successful (PostgreSQL's "fsyncgate", 2018).
const NOT_KEPT: [i32; 4] = [
    ffi::SQLITE_IOERR_FSYNC,
    ffi::SQLITE_IOERR_DIR_FSYNC,
    ffi::SQLITE_IOERR_CORRUPTFS,
    ffi::SQLITE_IOERR_DATA,
];

/// An error of the client library, which has no code of SQLite's.
fn without_code(error: &rusqlite::Error, text: String) -> LedgerError {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => LedgerError::Damaged(text),
        _ => LedgerError::Refused {
            code: "client".to_owned(),
            text,
        },
    }
}
