//! Lists of jobs, by keyset: a page starts from its state's own table and reads a bounded number of rows, so it may
//! be short although more follow.

use posthaste_protocol::job::{Job, State};
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{EngineError, job};

/// How many rows one page may read.
const SCAN_BUDGET: i64 = 10_000;

/// Which jobs.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those in this state now.
    pub state: Option<State>,
    /// Those of this queue.
    pub queue: Option<String>,
    /// Those of this kind.
    pub kind: Option<String>,
    /// Those with this tag.
    pub tag: Option<String>,
}

/// A page of jobs, newest first.
#[derive(Debug, Clone)]
pub struct Page {
    /// The jobs, without their attempts.
    pub jobs: Vec<Job>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<i64>,
}

/// One page of at most `limit` jobs below the place where the last one ended (`None`: from the newest).
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    below: Option<i64>,
    limit: i64,
) -> Result<Page, EngineError> {
    let below = below.unwrap_or(i64::MAX);
    let rows = match filter.state {
        // Nothing writes this one yet.
        Some(State::Blocked) => Vec::new(),
        Some(State::Available) => {
            sqlx::query(include_str!("sql/list_ready.sql"))
                .bind(&filter.queue)
                .bind(&filter.kind)
                .bind(&filter.tag)
                .bind(below)
                .bind(limit)
                .bind(SCAN_BUDGET)
                .fetch_all(&mut *connection)
                .await?
        }
        state => {
            sqlx::query(include_str!("sql/list.sql"))
                .bind(state.map(State::as_str))
                .bind(&filter.queue)
                .bind(&filter.kind)
                .bind(&filter.tag)
                .bind(below)
                .bind(limit)
                .bind(SCAN_BUDGET)
                .fetch_all(&mut *connection)
                .await?
        }
    };
    let (ids, next) = read_page(&rows, limit)?;
    if ids.is_empty() {
        return Ok(Page { jobs: Vec::new(), next });
    }
    let mut jobs = job::jobs(connection, &ids).await?;
    // A job that moved between the two looks is on another list now.
    jobs.retain(|job| filter.state.is_none_or(|state| job.state == state));
    Ok(Page { jobs, next })
}

/// The ids of a page, and the key after which the next one begins.
fn read_page(rows: &[PgRow], limit: i64) -> Result<(Vec<i64>, Option<i64>), EngineError> {
    let mut ids = Vec::with_capacity(rows.len());
    let (mut last, mut cut) = (None, None);
    for row in rows {
        cut = row.try_get::<Option<i64>, _>("cut_key")?;
        if let Some(id) = row.try_get::<Option<i64>, _>("job_id")? {
            ids.push(id);
            last = row.try_get("key")?;
        }
    }
    let full = i64::try_from(ids.len()).is_ok_and(|count| count >= limit);
    Ok((ids, if full { last } else { cut }))
}
