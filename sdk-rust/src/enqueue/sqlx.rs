//! On a connection of sqlx.

use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgDatabaseError};

use super::{Connection, EnqueueError, REFUSED, Refused, Rows, Sealed};

impl Sealed for &mut PgConnection {}

impl Connection for &mut PgConnection {
    async fn rows(self, sql: String, values: Vec<String>) -> Result<Rows, EnqueueError> {
        // Nothing of the caller is in the statement: only names of arguments and places.
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in values {
            query = query.bind(value);
        }
        let rows = query.fetch_all(self).await.map_err(refused)?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }
}

fn refused(error: sqlx::Error) -> EnqueueError {
    let database = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    match database {
        Some(error) if error.code() == REFUSED => Refused::of(error.detail(), error.message()).into(),
        _ => error.into(),
    }
}
