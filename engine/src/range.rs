//! Ranges of job ids: dropped when everything in them is past its retention.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::{
    EngineError,
    sweep::{Retention, seconds},
};

/// The partitioned tables, in the order in which a range of them goes: a job that cannot be seen any more is missed by
/// nobody, an end without its job would be.
const TABLES: [&str; 2] = ["job", "attempt"];

/// Whether this connection may detach and drop partitions itself, concurrently.
const OWNS: &str = "select pg_has_role(c.relowner, 'usage') from pg_class c where c.oid = 'posthaste.job'::regclass";

/// Drops one range whose ids are all used, whose jobs have all ended, the newest of them longer ago than the retention.
/// Detached concurrently, so that nobody's claim waits. Every step can be repeated: a drop that was cut short is taken up
/// by the next call. Returns the range's first id.
pub async fn drop_range(connection: &mut PgConnection, retention: &Retention) -> Result<Option<i64>, EngineError> {
    let mine: bool = sqlx::query_scalar("select pg_try_advisory_lock(28776, 5)").fetch_one(&mut *connection).await?;
    if !mine {
        return Ok(None);
    }
    let dropped = drop_first(connection, retention).await;
    // An error of the unlock says no more than that the connection, and the lock with it, is gone.
    let unlocked = sqlx::query("select pg_advisory_unlock(28776, 5)").execute(connection).await;
    let dropped = dropped?;
    unlocked?;
    Ok(dropped)
}

async fn drop_first(connection: &mut PgConnection, retention: &Retention) -> Result<Option<i64>, EngineError> {
    let keep = seconds(retention.completed.max(retention.cancelled));
    let candidates: Vec<i64> =
        sqlx::query_scalar(include_str!("sql/droppable_range.sql")).bind(keep).fetch_all(&mut *connection).await?;
    let owner: bool = sqlx::query_scalar(OWNS).fetch_one(&mut *connection).await?;
    for lower in candidates {
        let dropped = if owner {
            drop_concurrently(connection, lower, keep).await?
        } else {
            drop_as_owner(connection, lower, keep).await?
        };
        if dropped {
            sqlx::query(include_str!("sql/forget_range.sql")).bind(lower).execute(connection).await?;
            return Ok(Some(lower));
        }
    }
    Ok(None)
}

/// Drops the partitions of a range; `false`: it is not over.
async fn drop_concurrently(connection: &mut PgConnection, lower: i64, keep: i64) -> Result<bool, EngineError> {
    let over = is_over(connection, lower, keep).await?;
    if over {
        for table in TABLES {
            drop_partition(connection, table, lower).await?;
        }
    }
    Ok(over)
}

/// The same through a function that runs as their owner, for a role that owns nothing.
async fn drop_as_owner(connection: &mut PgConnection, lower: i64, keep: i64) -> Result<bool, EngineError> {
    let drop = sqlx::query_scalar("select posthaste.drop_range_v1($1, $2)").bind(lower).bind(keep);
    Ok(drop.fetch_one(connection).await?)
}

/// Whether every job of the range has ended, the newest longer ago than `keep` seconds. A range whose jobs are gone
/// already was found to be over by a call that was cut short.
async fn is_over(connection: &mut PgConnection, lower: i64, keep: i64) -> Result<bool, EngineError> {
    if state(connection, "job", lower).await? != Partition::Attached {
        return Ok(true);
    }
    let statement = format!(
        "select not exists (select from posthaste.attempt_{lower} where finished_at > now() - $1 * interval '1 second')
           and not exists (select from posthaste.job_{lower} j where not exists (
                 select from posthaste.attempt_{lower} a
                 where a.job_id = j.job_id and a.outcome in ('completed', 'cancelled', 'dead')))"
    );
    Ok(sqlx::query_scalar(AssertSqlSafe(statement)).bind(keep).fetch_one(connection).await?)
}

/// Where a partition is on its way out.
#[derive(Debug, PartialEq, Eq)]
enum Partition {
    Attached,
    /// A concurrent detach was interrupted.
    Pending,
    Detached,
    Gone,
}

async fn state(connection: &mut PgConnection, table: &str, lower: i64) -> Result<Partition, EngineError> {
    let (exists, pending): (bool, Option<bool>) = sqlx::query_as(
        "select c.oid is not null, i.inhdetachpending
         from (select to_regclass('posthaste.' || $1) as oid) c left join pg_inherits i on i.inhrelid = c.oid",
    )
    .bind(format!("{table}_{lower}"))
    .fetch_one(connection)
    .await?;
    Ok(match (exists, pending) {
        (false, _) => Partition::Gone,
        (true, None) => Partition::Detached,
        (true, Some(true)) => Partition::Pending,
        (true, Some(false)) => Partition::Attached,
    })
}

async fn drop_partition(connection: &mut PgConnection, table: &str, lower: i64) -> Result<(), EngineError> {
    let detach = format!("alter table posthaste.{table} detach partition posthaste.{table}_{lower}");
    match state(connection, table, lower).await? {
        Partition::Attached => run(connection, format!("{detach} concurrently")).await?,
        Partition::Pending => run(connection, format!("{detach} finalize")).await?,
        Partition::Detached => {}
        Partition::Gone => return Ok(()),
    }
    run(connection, format!("drop table posthaste.{table}_{lower}")).await
}

async fn run(connection: &mut PgConnection, statement: String) -> Result<(), EngineError> {
    sqlx::query(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}
