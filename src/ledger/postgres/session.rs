//! A session on PostgreSQL: a connection of the pool, or a transaction on it.

use deadpool_postgres::GenericClient;
use tokio_postgres::types::ToSql;

use crate::ledger::Result;
use crate::ledger::session::{RowCells, SqlValue, StoreRow, StoreSession};

/// A connection, or a transaction on it.
pub(in crate::ledger) struct PostgresSession<'a, C>(pub(in crate::ledger) &'a C);

/// Parameters as the client takes them.
fn parameters<'a>(values: &'a [SqlValue<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    let parameter = |value: &'a SqlValue<'_>| -> &'a (dyn ToSql + Sync) {
        match value {
            SqlValue::Int(number) => number,
            SqlValue::Text(text) => text,
            SqlValue::Bool(is) => is,
        }
    };
    values.iter().map(parameter).collect()
}

impl<C: GenericClient> StoreSession for PostgresSession<'_, C> {
    const TURNS_COUNT_EVENTS: bool = true;

    fn json_field(column: &str, path: &[&str]) -> String {
        // A U+0000 in any other field would make the server refuse the whole text.
        let readable = format!(r"replace({column}, '\u0000', '\ufffd')");
        format!("(CAST({readable} AS JSON) #>> '{{{}}}')", path.join(","))
    }

    async fn query<T: Send>(
        &self,
        sql: &str,
        values: &[SqlValue<'_>],
        read: impl Fn(&StoreRow<'_>) -> Result<T> + Send + Sync,
    ) -> Result<Vec<T>> {
        let statement = self.0.prepare_cached(sql).await?;
        let rows = self.0.query(&statement, &parameters(values)).await?;
        rows.iter().map(|row| read(&StoreRow::of(row))).collect()
    }

    async fn execute(&self, sql: &str, values: &[SqlValue<'_>]) -> Result<u64> {
        let statement = self.0.prepare_cached(sql).await?;
        Ok(self.0.execute(&statement, &parameters(values)).await?)
    }

    async fn lock(&self, query: &str, values: &[SqlValue<'_>]) -> Result<()> {
        let sql = format!("{query} FOR UPDATE");
        self.execute(&sql, values).await.map(drop)
    }
}

impl RowCells for tokio_postgres::Row {
    fn int(&self, at: usize) -> Result<Option<i64>> {
        Ok(self.try_get(at)?)
    }

    fn text(&self, at: usize) -> Result<Option<&str>> {
        Ok(self.try_get(at)?)
    }

    fn bool(&self, at: usize) -> Result<bool> {
        Ok(self.try_get(at)?)
    }
}
