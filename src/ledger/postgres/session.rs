//! A session on PostgreSQL: a connection of the pool, or a transaction on it.

use deadpool_postgres::GenericClient;
use tokio_postgres::types::ToSql;

use crate::ledger::Result;
use crate::ledger::session::{Cells, Row, Session, Value};

/// A connection, or a transaction on it.
pub(in crate::ledger) struct PostgresSession<'a, C>(pub(in crate::ledger) &'a C);

/// Parameters as the client takes them.
fn parameters<'a>(values: &'a [Value<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    let parameter = |value: &'a Value<'_>| -> &'a (dyn ToSql + Sync) {
        match value {
            Value::Int(number) => number,
            Value::Text(text) => text,
            Value::Bool(is) => is,
        }
    };
    values.iter().map(parameter).collect()
}

impl<C: GenericClient> Session for PostgresSession<'_, C> {
    const TURNS_COUNT_EVENTS: bool = true;

    async fn query<T: Send>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T> + Send + Sync,
    ) -> Result<Vec<T>> {
        let statement = self.0.prepare_cached(sql).await?;
        let rows = self.0.query(&statement, &parameters(values)).await?;
        rows.iter().map(|row| read(&Row::of(row))).collect()
    }

    async fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64> {
        let statement = self.0.prepare_cached(sql).await?;
        Ok(self.0.execute(&statement, &parameters(values)).await?)
    }

    async fn lock(&self, query: &str, values: &[Value<'_>]) -> Result<()> {
        let sql = format!("{query} FOR UPDATE");
        self.execute(&sql, values).await.map(drop)
    }
}

impl Cells for tokio_postgres::Row {
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
