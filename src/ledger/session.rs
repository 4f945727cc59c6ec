//! Runs statements that are written once for both stores.
//!
//! In: SQL that both databases understand, with parameters `$1`, `$2`, ... Out: rows, read cell by cell. Always: a
//! session is one connection during one call of the store; on SQLite it is one transaction and never waits, on
//! PostgreSQL it is a transaction if the call asks for one.
//!
//! Both databases understand `CAST(x AS BIGINT)`, `ON CONFLICT`, `RETURNING`, `IS NOT DISTINCT FROM` and `count(*)
//! FILTER`. Both have a function `lease_clock`, which returns its argument or, on PostgreSQL, the server's own time for
//! NULL. A cast of the form `$1::TEXT` must not be used: on SQLite it becomes part of the parameter's name.

use std::borrow::Cow;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::columns::{self, campaign_id, column, count, from_json, keepable, message_id, ms};
use super::{LedgerError, MessageKey, Result};
use crate::message::{CampaignId, MessageId};

/// A connection of a store during one call.
pub(super) trait StoreSession {
    /// Whether a row of `turns` has a column `events`, which counts the rows of its message's journal.
    const TURNS_COUNT_EVENTS: bool;

    /// The SQL of a field of the JSON in this column, by its path: a text or a number, or NULL if there is no such
    /// field.
    fn json_field(column: &str, path: &[&str]) -> String;

    /// The rows that a statement returns, each converted by `read`.
    fn query<T: Send>(
        &self,
        sql: &str,
        values: &[SqlValue<'_>],
        read: impl Fn(&StoreRow<'_>) -> Result<T> + Send + Sync,
    ) -> impl Future<Output = Result<Vec<T>>> + Send;

    /// How many rows a statement inserted, updated or deleted.
    fn execute(
        &self,
        sql: &str,
        values: &[SqlValue<'_>],
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Locks the rows that this query finds against changes by other processes (`FOR UPDATE` on PostgreSQL), until the
    /// end of the transaction. On SQLite a writing transaction already locks the whole file.
    fn lock(&self, query: &str, values: &[SqlValue<'_>])
    -> impl Future<Output = Result<()>> + Send;
}

/// The first row that a statement returns.
pub(super) async fn first<T: Send>(
    session: &impl StoreSession,
    sql: &str,
    values: &[SqlValue<'_>],
    read: impl Fn(&StoreRow<'_>) -> Result<T> + Send + Sync,
) -> Result<Option<T>> {
    let rows = session.query(sql, values, read).await?;
    Ok(rows.into_iter().next())
}

/// The result of a future that never waits, as those on SQLite.
pub(super) fn at_once<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("a session on SQLite never waits"),
    }
}

/// A parameter of a statement.
#[derive(Clone, Debug)]
pub(super) enum SqlValue<'a> {
    Int(Option<i64>),
    Text(Option<Cow<'a, str>>),
    Bool(bool),
}

impl From<i64> for SqlValue<'_> {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for SqlValue<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

/// A count.
impl From<u64> for SqlValue<'_> {
    fn from(number: u64) -> Self {
        column(number).into()
    }
}

/// A limit.
impl From<usize> for SqlValue<'_> {
    fn from(number: usize) -> Self {
        (number as u64).into()
    }
}

/// A time, in ms since 1970.
impl From<Timestamp> for SqlValue<'_> {
    fn from(at: Timestamp) -> Self {
        ms(at).into()
    }
}

/// A duration, in ms.
impl From<Duration> for SqlValue<'_> {
    fn from(span: Duration) -> Self {
        Self::Int(Some(columns::millis(span)))
    }
}

impl From<bool> for SqlValue<'_> {
    fn from(is: bool) -> Self {
        Self::Bool(is)
    }
}

impl<'a> From<&'a str> for SqlValue<'a> {
    fn from(text: &'a str) -> Self {
        Some(text).into()
    }
}

impl<'a> From<Option<&'a str>> for SqlValue<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text.map(keepable))
    }
}

/// JSON, in which U+0000 is escaped.
impl From<String> for SqlValue<'_> {
    fn from(text: String) -> Self {
        Self::Text(Some(text.into()))
    }
}

/// JSON, or NULL.
impl From<Option<String>> for SqlValue<'_> {
    fn from(text: Option<String>) -> Self {
        Self::Text(text.map(Cow::from))
    }
}

impl<'a> From<&'a CampaignId> for SqlValue<'a> {
    fn from(id: &'a CampaignId) -> Self {
        id.as_str().into()
    }
}

impl<'a> From<Option<&'a CampaignId>> for SqlValue<'a> {
    fn from(id: Option<&'a CampaignId>) -> Self {
        id.map(CampaignId::as_str).into()
    }
}

impl<'a> From<&'a MessageId> for SqlValue<'a> {
    fn from(id: &'a MessageId) -> Self {
        id.as_str().into()
    }
}

/// The parameters of a statement, in their order.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$($crate::ledger::session::SqlValue::from($value)),*]
    };
}

pub(super) use values;

/// The cells of a row, as the database's client returns them. Columns count from 0.
pub(super) trait RowCells {
    fn int(&self, at: usize) -> Result<Option<i64>>;
    fn text(&self, at: usize) -> Result<Option<&str>>;
    fn bool(&self, at: usize) -> Result<bool>;
}

/// A row that a statement returned.
pub(super) struct StoreRow<'a>(&'a dyn RowCells);

impl<'a> StoreRow<'a> {
    pub(super) fn of(cells: &'a dyn RowCells) -> Self {
        Self(cells)
    }

    pub(super) fn int_or_none(&self, at: usize) -> Result<Option<i64>> {
        self.0.int(at)
    }

    pub(super) fn int(&self, at: usize) -> Result<i64> {
        self.0.int(at)?.ok_or_else(|| empty(at))
    }

    pub(super) fn count(&self, at: usize) -> Result<u64> {
        Ok(count(self.int(at)?))
    }

    /// A number of attempts or tries.
    pub(super) fn small(&self, at: usize) -> Result<u32> {
        Ok(u32::try_from(self.int(at)?).unwrap_or(u32::MAX))
    }

    pub(super) fn is(&self, at: usize) -> Result<bool> {
        self.0.bool(at)
    }

    pub(super) fn time(&self, at: usize) -> Result<Timestamp> {
        columns::time(self.int(at)?)
    }

    pub(super) fn time_or_none(&self, at: usize) -> Result<Option<Timestamp>> {
        self.0.int(at)?.map(columns::time).transpose()
    }

    pub(super) fn str_or_none(&self, at: usize) -> Result<Option<&'a str>> {
        self.0.text(at)
    }

    pub(super) fn str(&self, at: usize) -> Result<&'a str> {
        self.0.text(at)?.ok_or_else(|| empty(at))
    }

    pub(super) fn text(&self, at: usize) -> Result<String> {
        Ok(self.str(at)?.to_owned())
    }

    pub(super) fn text_or_none(&self, at: usize) -> Result<Option<String>> {
        Ok(self.0.text(at)?.map(str::to_owned))
    }

    /// A value of a closed list.
    pub(super) fn word<T: for<'de> Deserialize<'de>>(&self, at: usize) -> Result<T> {
        columns::word(self.str(at)?)
    }

    pub(super) fn json<T: DeserializeOwned>(&self, at: usize) -> Result<T> {
        from_json(self.str(at)?)
    }

    pub(super) fn json_or_none<T: DeserializeOwned>(&self, at: usize) -> Result<Option<T>> {
        self.0.text(at)?.map(from_json).transpose()
    }

    pub(super) fn campaign(&self, at: usize) -> Result<CampaignId> {
        campaign_id(self.str(at)?)
    }

    /// A message's key, from the column of its campaign and the next one.
    pub(super) fn key(&self, at: usize) -> Result<MessageKey> {
        Ok(MessageKey {
            campaign: self.campaign(at)?,
            id: message_id(self.str(at + 1)?)?,
        })
    }
}

fn empty(at: usize) -> LedgerError {
    LedgerError::Damaged(format!("column {at} of a row is empty"))
}
