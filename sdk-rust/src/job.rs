//! Kinds of jobs as types.

use serde::Serialize;

use crate::new_job::NewJob;

/// The args of one kind of job, for producers and handlers. Made by `#[derive(Job)]`.
///
/// ```
/// use posthaste::Job;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Job, Serialize, Deserialize)]
/// #[job(queue = "mail", max_attempts = 5)]
/// struct SendEmail {
///     to: String,
/// }
/// assert_eq!(SendEmail::KIND, "send_email");
/// ```
pub trait Job: Serialize {
    /// The name by which endpoints take jobs, and handlers are found.
    const KIND: &'static str;

    /// A job with these args and the options of the type, to be given more options and to be enqueued.
    fn job(&self) -> NewJob;

    /// Enqueues it, in the transaction that the connection is in. With sqlx the connection is `&mut *transaction`, with
    /// tokio-postgres `&transaction`.
    #[cfg(any(feature = "sqlx", feature = "tokio-postgres"))]
    fn enqueue(
        &self,
        connection: impl crate::enqueue::Connection,
    ) -> impl Future<Output = Result<crate::JobId, crate::enqueue::EnqueueError>> + Send {
        let job = self.job();
        async move { job.enqueue(connection).await }
    }
}
