//! What tests ask the ledger.

use std::{collections::BTreeMap, future::Future, time::Instant};

use posthaste_engine::{
    floor::Scan,
    lane::{Lane, lanes},
};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use tokio::task::JoinHandle;

use crate::WAIT_LIMIT;

/// A job as `posthaste.jobs` shows it, as far as tests of its state care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// In the words of the contract.
    pub state: String,
    /// Shown to people: 0 before the first dispatch.
    pub attempt: i32,
    /// Of the run that started last; 0 before the first.
    pub run_lease: i64,
    /// Of the last failure, if the job did not complete.
    pub error_code: Option<String>,
    /// JSON text.
    pub result: Option<String>,
}

/// Runs statements that return nothing of interest.
pub async fn run(connection: &mut PgConnection, sql: &str) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await {
        panic!("{sql}: {error}");
    }
}

/// One number.
pub async fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    match sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await {
        Ok(number) => number,
        Err(error) => panic!("{sql}: {error}"),
    }
}

/// One text.
pub async fn text(connection: &mut PgConnection, sql: &str) -> String {
    match sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await {
        Ok(text) => text,
        Err(error) => panic!("{sql}: {error}"),
    }
}

/// Enqueues through the SQL contract; `arguments` as one writes them there: `kind => 'email', priority => 1`.
pub async fn enqueue(connection: &mut PgConnection, arguments: &str) -> i64 {
    number(connection, &format!("select posthaste.enqueue({arguments})")).await
}

/// Cancels through the SQL contract; returns the state after.
pub async fn cancel(connection: &mut PgConnection, job: i64, force: bool) -> String {
    text(connection, &format!("select posthaste.cancel({job}, force => {force})")).await
}

/// The job as read.
pub async fn job(connection: &mut PgConnection, id: i64) -> JobRow {
    let query = "select state, attempt, run_lease, error_code, result::text from posthaste.jobs where id = $1";
    let row = sqlx::query(query).bind(id).fetch_one(connection).await.expect(query);
    JobRow { state: row.get(0), attempt: row.get(1), run_lease: row.get(2), error_code: row.get(3), result: row.get(4) }
}

/// The state of a job, in the words of the contract.
pub async fn state(connection: &mut PgConnection, id: i64) -> String {
    job(connection, id).await.state
}

/// How many jobs are in each state.
pub async fn states(connection: &mut PgConnection) -> BTreeMap<String, i64> {
    let query = "select state, count(*) from posthaste.jobs group by 1";
    let rows = sqlx::query(query).fetch_all(connection).await.expect(query);
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// The rows of one table of the schema.
pub async fn count(connection: &mut PgConnection, table: &str) -> i64 {
    number(connection, &format!("select count(*) from posthaste.{table}")).await
}

/// The rows of every table of the schema, but for lanes, which an enqueue may intern.
pub async fn counts(connection: &mut PgConnection) -> BTreeMap<String, i64> {
    let query = "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'posthaste' and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> 'lane' order by 1";
    let tables: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut *connection).await.expect(query);
    let mut counts = BTreeMap::new();
    for table in tables {
        let rows = count(connection, &table).await;
        counts.insert(table, rows);
    }
    counts
}

/// The attempts of a job, oldest first, as `run_lease:outcome`.
pub async fn attempts(connection: &mut PgConnection, job: i64) -> Vec<String> {
    let query = "select run_lease || ':' || outcome from posthaste.attempt where job_id = $1 order by run_lease";
    sqlx::query_scalar(query).bind(job).fetch_all(connection).await.expect(query)
}

/// Every lane, by number.
pub async fn all_lanes(connection: &mut PgConnection) -> Vec<Lane> {
    lanes(connection).await.expect("the lanes")
}

/// Every priority of every lane, most urgent first.
pub async fn all_scans(connection: &mut PgConnection) -> Vec<Scan> {
    let lanes = all_lanes(connection).await;
    let scans = |priority| lanes.iter().map(move |lane| Scan { lane_id: lane.lane_id, priority });
    (1..=4).flat_map(scans).collect()
}

/// Jobs that are nowhere: not ready or scheduled, neither parked nor in a lease whose run goes on,
/// not ended. Must be empty, always.
pub async fn nowhere_jobs(connection: &mut PgConnection) -> Vec<i64> {
    let query = "select j.job_id from posthaste.job j
        where not exists (select from posthaste.ready r where r.job_id = j.job_id)
          and not exists (select from posthaste.scheduled s where s.job_id = j.job_id)
          and coalesce((
            select a.outcome not in ('completed', 'cancelled', 'dead') from posthaste.attempt a
            where a.job_id = j.job_id order by a.run_lease desc limit 1), true)
          and not exists (select from posthaste.parked w where w.job_id = j.job_id)
          and not exists (
            select from posthaste.lease l, unnest(l.job_ids, l.run_leases) as held (job_id, run_lease)
            where held.job_id = j.job_id and not exists (
              select from posthaste.attempt a where a.job_id = held.job_id and a.run_lease = held.run_lease))
        order by 1";
    sqlx::query_scalar(query).fetch_all(connection).await.expect(query)
}

/// Jobs that are in more than one place at once: ready or scheduled twice, or so while they run or after their end.
pub async fn doubled_jobs(connection: &mut PgConnection) -> Vec<i64> {
    let query = "select job_id from (
          select job_id from posthaste.ready
          union all select job_id from posthaste.scheduled
          -- A lease may not know yet that a run of it is parked.
          union all select job_id from (
            select held.job_id, held.run_lease from posthaste.lease l, unnest(l.job_ids, l.run_leases) as held (job_id, run_lease)
            where not exists (
              select from posthaste.attempt a where a.job_id = held.job_id and a.run_lease = held.run_lease)
            union select w.job_id, w.run_lease from posthaste.parked w) running
          union all select job_id from (
            select distinct on (job_id) job_id, outcome from posthaste.attempt order by job_id, run_lease desc) last
            where outcome in ('completed', 'cancelled', 'dead')
        ) p group by job_id having count(*) > 1 order by 1";
    sqlx::query_scalar(query).fetch_all(connection).await.expect(query)
}

/// Panics unless every job is in exactly one place.
pub async fn assert_each_job_is_in_one_place(connection: &mut PgConnection) {
    assert_eq!(nowhere_jobs(connection).await, Vec::<i64>::new(), "jobs that are nowhere");
    assert_eq!(doubled_jobs(connection).await, Vec::<i64>::new(), "jobs that are in two places");
}

/// The process id of a connection's backend.
pub async fn backend(connection: &mut PgConnection) -> i32 {
    sqlx::query_scalar("select pg_backend_pid()").fetch_one(connection).await.expect("select pg_backend_pid()")
}

/// Starts `work`, which runs a statement on the connection of `backend`, and returns once that backend is blocked
/// by another one. `observer` is a connection that neither of them uses.
pub async fn start_blocked<T: Send + 'static>(
    observer: &mut PgConnection,
    backend: i32,
    work: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let task = tokio::spawn(work);
    wait_until_blocked(observer, backend).await;
    task
}

/// Waits until a backend waits for a lock that another one holds.
pub async fn wait_until_blocked(observer: &mut PgConnection, backend: i32) {
    let started = Instant::now();
    let query = "select cardinality(pg_blocking_pids($1)) > 0";
    loop {
        let blocked: bool = sqlx::query_scalar(query).bind(backend).fetch_one(&mut *observer).await.expect(query);
        if blocked {
            return;
        }
        assert!(
            started.elapsed() < WAIT_LIMIT,
            "backend {backend} is not blocked: the race that this test forces is gone"
        );
        tokio::task::yield_now().await;
    }
}

/// Waits until every transaction of the server that runs now has ended: other tests' transactions hold back the `xmin`
/// of our snapshots, on which the floors rest.
pub async fn wait_until_older_transactions_ended(connection: &mut PgConnection) {
    let started = Instant::now();
    let ours = number(connection, "select pg_current_xact_id()::text::bigint").await;
    while number(connection, "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint").await <= ours {
        assert!(started.elapsed() < WAIT_LIMIT, "some transaction stays open");
        tokio::task::yield_now().await;
    }
}
