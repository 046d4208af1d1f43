//! What can go wrong between the engine and Postgres, and what to do about it.

use posthaste_protocol::problem::FieldError;
use sqlx::error::DatabaseError;

/// An engine verb that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Postgres is away, slow or shutting down. Nothing is known about the statement's commit: every verb can
    /// be issued again.
    #[error("Postgres cannot be reached: {0}")]
    Unavailable(String),
    /// A statement met a lock, a deadlock or a bad row. The batch can be issued again in halves.
    #[error("the statement was refused ({code}): {message}")]
    Refused {
        /// SQLSTATE.
        code: String,
        /// Postgres' words.
        message: String,
    },
    /// The input breaks the contract; each fault names its field.
    #[error("invalid input: {}", first_message(.0))]
    Faults(Vec<FieldError>),
    /// There is no such job, endpoint or key.
    #[error("{0} not found")]
    NotFound(String),
    /// The thing is in a state that does not allow this.
    #[error("{0}")]
    Conflict(String),
    /// The database was migrated by a newer Posthaste.
    #[error("the database has schema {found}, this binary knows {known}: upgrade this binary")]
    SchemaTooNew {
        /// Version in the database.
        found: i64,
        /// Newest version this binary knows.
        known: i64,
    },
    /// The database was not migrated, or by an older Posthaste.
    #[error("the database has schema {found}, this binary needs {known}: run `posthaste migrate`")]
    SchemaTooOld {
        /// Version in the database, 0 for none.
        found: i64,
        /// Version this binary needs.
        known: i64,
    },
    /// A migration that was applied is not the one this binary has.
    #[error("migration {0} was changed after it was applied: another build made this schema")]
    MigrationChanged(i64),
    /// Anything else that Postgres or the driver said.
    #[error("database error: {0}")]
    Database(#[source] sqlx::Error),
}

fn first_message(faults: &[FieldError]) -> &str {
    faults.first().map_or("", |fault| fault.message.as_str())
}

impl EngineError {
    /// Whether the same statement, whole, may succeed later: the connection or the server is at fault.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Whether another writer was first: a key that this statement wrote was there.
    pub fn is_lost_race(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "23505")
    }

    /// Whether a smaller batch may succeed: one row, lock or value of it is at fault.
    pub fn is_divisible(&self) -> bool {
        match self {
            Self::Refused { code, .. } => {
                matches!(code.as_str(), "40P01" | "40001" | "55P03" | "57014" | "54001" | "54000")
                    || code.starts_with("22")
                    || code.starts_with("23")
            }
            _ => false,
        }
    }
}

impl From<sqlx::Error> for EngineError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(database) => from_database(database.as_ref()),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error.to_string()),
            other => Self::Database(other),
        }
    }
}

fn from_database(error: &dyn DatabaseError) -> EngineError {
    let code = error.code().map(std::borrow::Cow::into_owned).unwrap_or_default();
    match code.as_str() {
        "PH422" => {
            let faults = error
                .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
                .and_then(|pg| serde_json::from_str(pg.detail()?).ok());
            EngineError::Faults(faults.unwrap_or_default())
        }
        "PH404" => EngineError::NotFound(error.message().trim_start_matches("no ").to_owned()),
        "PH409" => EngineError::Conflict(error.message().to_owned()),
        // Shutdown, crash recovery, too many connections, a standby: the server, not the statement.
        "57P01" | "57P02" | "57P03" | "53300" | "25006" | "08000" | "08003" | "08006" => {
            EngineError::Unavailable(error.message().to_owned())
        }
        _ => EngineError::Refused { code, message: error.message().to_owned() },
    }
}
