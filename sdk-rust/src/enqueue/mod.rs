//! Enqueue on the caller's own connection: in its transaction, the job commits or rolls back with everything else.

#[cfg(feature = "sqlx")]
mod sqlx;
#[cfg(feature = "tokio-postgres")]
mod tokio_postgres;

use std::sync::Arc;

use posthaste_protocol::{id::JobId, problem::FieldError};
use serde_json::json;

use crate::{faults, new_job::NewJob};

/// The SQLSTATE of a job that is refused.
const REFUSED: &str = "PH422";

/// An id, or the faults as JSON, for each row.
#[doc(hidden)]
pub type Rows = Vec<(Option<i64>, Option<String>)>;

/// A connection to enqueue on: `&mut PgConnection` of sqlx (`&mut *transaction`), a `&Transaction` or `&Client` of
/// tokio-postgres.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a connection to enqueue on",
    note = "use `&mut PgConnection` of sqlx 0.9 (`&mut *transaction`) with the feature `sqlx`, or a `&Transaction` or \
            `&Client` of tokio-postgres 0.7 with the feature `tokio-postgres`"
)]
pub trait Connection: Send + Sealed {
    /// Runs a statement whose parameters are all texts, and whose rows are an id and the faults as JSON.
    #[doc(hidden)]
    fn rows(self, sql: String, values: Vec<String>) -> impl Future<Output = Result<Rows, EnqueueError>> + Send;
}

mod sealed {
    /// Connections are a closed list.
    pub trait Sealed {}
}
use sealed::Sealed;

/// Why nothing was enqueued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// The args are no JSON, such as a map whose keys are no texts.
    #[error("the args of {kind} are no JSON")]
    Args {
        /// The job's kind.
        kind: String,
        /// Why.
        source: Arc<serde_json::Error>,
    },
    /// The job is not as it must be. The transaction is failed, as after every error in Postgres.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The database answered with something else than ids.
    #[error("the database's answer is not that of posthaste.enqueue; is `posthaste migrate` of this version?")]
    Answer,
    /// The database's error.
    #[cfg(feature = "sqlx")]
    #[error(transparent)]
    Sqlx(#[from] ::sqlx::Error),
    /// The database's error.
    #[cfg(feature = "tokio-postgres")]
    #[error(transparent)]
    TokioPostgres(#[from] ::tokio_postgres::Error),
}

/// A job that the database refused, with every fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", faults::text(.faults))]
pub struct Refused {
    /// Each field that is wrong, and why.
    pub faults: Vec<FieldError>,
}

impl Refused {
    /// Of the detail of an error with [`REFUSED`]. Its message is the first fault, for a server that sends no detail.
    fn of(detail: Option<&str>, message: &str) -> Self {
        let faults: Option<Vec<_>> = detail.and_then(|detail| serde_json::from_str(detail).ok());
        let told = faults.filter(|faults| !faults.is_empty());
        Self { faults: told.unwrap_or_else(|| vec![FieldError::new("", "invalid", message)]) }
    }
}

impl NewJob {
    /// Enqueues it, in the transaction that the connection is in.
    pub async fn enqueue(&self, connection: impl Connection) -> Result<JobId, EnqueueError> {
        let args = self.args.as_ref().map_err(|source| self.no_json(source))?;
        let mut values = vec![self.kind.clone(), args.get().to_owned()];
        let mut arguments = vec!["kind => $1".to_owned(), "args => $2::text::json".to_owned()];
        for (name, cast, value) in self.set_options() {
            values.push(value);
            let place = format!("${}::text", values.len());
            arguments.push(match cast {
                "text[]" => format!("{name} => array(select json_array_elements_text({place}::json))"),
                cast => format!("{name} => {place}::{cast}"),
            });
        }
        let sql = format!("select posthaste.enqueue({}), null::text", arguments.join(", "));
        match &*connection.rows(sql, values).await? {
            [(Some(id), _)] => Ok(JobId(*id)),
            _ => Err(EnqueueError::Answer),
        }
    }

    /// Each option that is set: its argument of `posthaste.enqueue`, its type, and its text. The defaults of the others are
    /// the server's.
    fn set_options(&self) -> Vec<(&'static str, &'static str, String)> {
        let options = &self.options;
        let all = [
            ("queue", "text", options.queue.clone()),
            ("endpoint", "text", options.endpoint.clone()),
            ("priority", "integer", options.priority.map(|number| number.to_string())),
            ("run_at", "timestamptz", options.run_at.map(|at| at.to_rfc3339())),
            ("delay_ms", "bigint", options.delay_ms.map(|ms| ms.to_string())),
            ("max_attempts", "integer", options.max_attempts.map(|number| number.to_string())),
            ("timeout_ms", "integer", options.timeout_ms.map(|ms| ms.to_string())),
            ("expires_at", "timestamptz", options.expires_at.map(|at| at.to_rfc3339())),
            ("tags", "text[]", (!options.tags.is_empty()).then(|| json!(options.tags).to_string())),
            ("metadata", "json", options.metadata.as_ref().map(ToString::to_string)),
            ("headers", "json", (!options.headers.is_empty()).then(|| json!(options.headers).to_string())),
            ("callback", "json", options.callback.as_ref().map(|callback| json!(callback).to_string())),
            ("traceparent", "text", self.traceparent.clone()),
        ];
        all.into_iter().filter_map(|(name, cast, value)| Some((name, cast, value?))).collect()
    }

    fn no_json(&self, source: &Arc<serde_json::Error>) -> EnqueueError {
        EnqueueError::Args { kind: self.kind.clone(), source: Arc::clone(source) }
    }
}

/// Enqueues at most 10,000 jobs in one statement, in the transaction that the connection is in. The answers are in the
/// order given: sound jobs are written, one with faults is left out and named as [`Refused`].
///
/// The server keeps these args as `jsonb`: the order of members and the spelling of numbers may change.
pub async fn enqueue_many(
    connection: impl Connection,
    jobs: impl IntoIterator<Item = NewJob>,
) -> Result<Vec<Result<JobId, Refused>>, EnqueueError> {
    let jobs: Vec<NewJob> = jobs.into_iter().collect();
    let documents: Vec<_> =
        jobs.iter().map(|job| job.document(true).map_err(|error| job.no_json(&error))).collect::<Result<_, _>>()?;
    let documents = serde_json::to_string(&documents)
        .map_err(|error| EnqueueError::Args { kind: "the jobs".to_owned(), source: Arc::new(error) })?;
    let sql = "select id, error::text from posthaste.enqueue_many($1::text::jsonb)".to_owned();
    let rows = connection.rows(sql, vec![documents]).await?;
    let answers = rows.into_iter().map(|(id, faults)| match id {
        Some(id) => Ok(JobId(id)),
        None => Err(Refused::of(faults.as_deref(), "the job is refused")),
    });
    Ok(answers.collect())
}
