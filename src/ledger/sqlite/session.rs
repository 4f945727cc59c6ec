//! A session on SQLite: the connection of a write or of a read.

use std::future::{Future, ready};

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection};

use crate::ledger::session::{RowCells, SqlValue, StoreRow, StoreSession};
use crate::ledger::{LedgerError, Result};

/// A connection within a transaction.
pub(in crate::ledger) struct SqliteSession<'a>(pub(super) &'a Connection);

impl SqliteSession<'_> {
    /// The statement with its parameters bound. On SQLite `$1` is a name, not a position.
    fn prepare(&self, sql: &str, values: &[SqlValue<'_>]) -> Result<CachedStatement<'_>> {
        let mut statement = self.0.prepare_cached(sql)?;
        for (n, value) in values.iter().enumerate() {
            if let Some(at) = statement.parameter_index(&format!("${}", n + 1))? {
                statement.raw_bind_parameter(at, value)?;
            }
        }
        Ok(statement)
    }

    fn rows<T>(
        &self,
        sql: &str,
        values: &[SqlValue<'_>],
        read: impl Fn(&StoreRow<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.prepare(sql, values)?;
        let mut rows = statement.raw_query();
        let mut read_rows = Vec::new();
        while let Some(row) = rows.next()? {
            read_rows.push(read(&StoreRow::of(row))?);
        }
        Ok(read_rows)
    }

    fn changed(&self, sql: &str, values: &[SqlValue<'_>]) -> Result<u64> {
        Ok(self.prepare(sql, values)?.raw_execute()? as u64)
    }
}

impl StoreSession for SqliteSession<'_> {
    const TURNS_COUNT_EVENTS: bool = false;

    fn json_field(column: &str, path: &[&str]) -> String {
        format!("json_extract({column}, '$.{}')", path.join("."))
    }

    fn query<T: Send>(
        &self,
        sql: &str,
        values: &[SqlValue<'_>],
        read: impl Fn(&StoreRow<'_>) -> Result<T> + Send + Sync,
    ) -> impl Future<Output = Result<Vec<T>>> + Send {
        ready(self.rows(sql, values, read))
    }

    fn execute(
        &self,
        sql: &str,
        values: &[SqlValue<'_>],
    ) -> impl Future<Output = Result<u64>> + Send {
        ready(self.changed(sql, values))
    }

    fn lock(&self, _: &str, _: &[SqlValue<'_>]) -> impl Future<Output = Result<()>> + Send {
        ready(Ok(()))
    }
}

impl ToSql for SqlValue<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Int(number) => number.to_sql(),
            Self::Text(text) => text.to_sql(),
            Self::Bool(is) => is.to_sql(),
        }
    }
}

impl RowCells for rusqlite::Row<'_> {
    fn int(&self, at: usize) -> Result<Option<i64>> {
        Ok(self.get(at)?)
    }

    fn text(&self, at: usize) -> Result<Option<&str>> {
        match self.get_ref(at)? {
            ValueRef::Null => Ok(None),
            cell => match cell.as_str() {
                Ok(text) => Ok(Some(text)),
                Err(error) => Err(LedgerError::Damaged(error.to_string())),
            },
        }
    }

    fn bool(&self, at: usize) -> Result<bool> {
        Ok(self.get(at)?)
    }
}
