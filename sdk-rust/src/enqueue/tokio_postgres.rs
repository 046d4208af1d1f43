//! On a client or a transaction of tokio-postgres.

use tokio_postgres::{GenericClient, types::ToSql};

use super::{Connection, EnqueueError, REFUSED, Refused, Rows, Sealed};

impl<C: GenericClient + Sync> Sealed for &C {}

impl<C: GenericClient + Sync> Connection for &C {
    async fn rows(self, sql: String, values: Vec<String>) -> Result<Rows, EnqueueError> {
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        let rows = self.query(&sql, &values).await.map_err(refused)?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }
}

fn refused(error: tokio_postgres::Error) -> EnqueueError {
    match error.as_db_error() {
        Some(fault) if fault.code().code() == REFUSED => Refused::of(fault.detail(), fault.message()).into(),
        _ => error.into(),
    }
}
