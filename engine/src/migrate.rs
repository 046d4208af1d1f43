//! The schema and its version: migrations own both, and refuse what they do not know.

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::{EngineError, complete::COMPLETE};

/// A migration: number, name, text.
struct Migration {
    version: i64,
    name: &'static str,
    text: &'static str,
}

/// Texts that migrations wrap: whoever changes one keeps the old one for them, as with those of the finalize.
const WAKE: &str = include_str!("sql/wake.sql");
const CHECKPOINT: &str = include_str!("sql/checkpoint.sql");
const KEEP: &str = include_str!("sql/keep.sql");
const COMPLETE_V1: &str = include_str!("../../migrations/complete_v1.sql");
const FINALIZE_V1: &str = include_str!("../../migrations/finalize_v1.sql");
const FINALIZE_V2: &str = include_str!("../../migrations/finalize_v2.sql");
const FINALIZE_V3: &str = include_str!("../../migrations/finalize_v3.sql");

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "ledger", text: include_str!("../../migrations/0001_ledger.sql") },
    Migration { version: 2, name: "ranges", text: include_str!("../../migrations/0002_ranges.sql") },
    Migration { version: 3, name: "producers", text: include_str!("../../migrations/0003_producers.sql") },
    Migration { version: 4, name: "operators", text: include_str!("../../migrations/0004_operators.sql") },
    Migration { version: 5, name: "console", text: include_str!("../../migrations/0005_console.sql") },
    Migration { version: 6, name: "sweeps", text: include_str!("../../migrations/0006_sweeps.sql") },
    Migration { version: 7, name: "enqueue_many", text: include_str!("../../migrations/0007_enqueue_many.sql") },
    Migration { version: 8, name: "waiting", text: include_str!("../../migrations/0008_waiting.sql") },
    Migration { version: 9, name: "suspended", text: include_str!("../../migrations/0009_suspended.sql") },
    Migration { version: 10, name: "deliveries", text: include_str!("../../migrations/0010_deliveries.sql") },
    Migration { version: 11, name: "job_callback", text: include_str!("../../migrations/0011_job_callback.sql") },
    Migration { version: 12, name: "roles", text: include_str!("../../migrations/0012_roles.sql") },
    Migration { version: 13, name: "heard", text: include_str!("../../migrations/0013_heard.sql") },
    Migration { version: 14, name: "narrow_gateway", text: include_str!("../../migrations/0014_narrow_gateway.sql") },
    Migration { version: 15, name: "callback_shape", text: include_str!("../../migrations/0015_callback_shape.sql") },
    Migration { version: 16, name: "complete_held", text: include_str!("../../migrations/0016_complete_held.sql") },
    Migration { version: 17, name: "event_size", text: include_str!("../../migrations/0017_event_size.sql") },
    Migration { version: 18, name: "complete_sooner", text: include_str!("../../migrations/0018_complete_sooner.sql") },
];

/// The newest schema version that this binary knows.
pub const SCHEMA_VERSION: i64 = MIGRATIONS[MIGRATIONS.len() - 1].version;

impl Migration {
    fn sql(&self) -> String {
        self.text
            .replace("{{finalize_v1}}", FINALIZE_V1.trim_end())
            .replace("{{finalize_v2}}", FINALIZE_V2.trim_end())
            .replace("{{finalize_v3}}", FINALIZE_V3.trim_end())
            .replace("{{complete_v1}}", COMPLETE_V1.trim_end())
            .replace("{{complete}}", COMPLETE.trim_end())
            .replace("{{wake}}", WAKE.trim_end())
            .replace("{{checkpoint}}", CHECKPOINT.trim_end())
            .replace("{{keep}}", KEEP.trim_end())
    }

    /// FNV-1a of the text; only tells whether an applied file was edited.
    fn checksum(&self) -> i64 {
        let hash = self
            .sql()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        hash.cast_signed()
    }
}

/// Brings the schema up to date and returns the versions that were applied now. Safe to repeat, and to run
/// twice at once: the second waits for the first. All migrations of one call are one transaction.
pub async fn migrate(connection: &mut PgConnection) -> Result<Vec<i64>, EngineError> {
    let mut tx = connection.begin().await?;
    sqlx::query("select pg_advisory_xact_lock(28776, 0)").execute(&mut *tx).await?;
    sqlx::raw_sql(
        "create schema if not exists posthaste;
         create table if not exists posthaste.schema_migration (
           version bigint primary key, name text not null, checksum bigint not null,
           applied_at timestamptz not null default now());",
    )
    .execute(&mut *tx)
    .await?;
    let found = applied(&mut tx).await?;
    check_known(&found)?;
    let mut now = Vec::new();
    for migration in MIGRATIONS.iter().filter(|m| !found.iter().any(|(version, _)| *version == m.version)) {
        sqlx::raw_sql(AssertSqlSafe(migration.sql())).execute(&mut *tx).await?;
        sqlx::query("insert into posthaste.schema_migration (version, name, checksum) values ($1, $2, $3)")
            .bind(migration.version)
            .bind(migration.name)
            .bind(migration.checksum())
            .execute(&mut *tx)
            .await?;
        now.push(migration.version);
    }
    sqlx::raw_sql(include_str!("sql/grant_roles.sql")).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(now)
}

/// Refuses a database whose schema this binary cannot work with.
pub async fn check(connection: &mut PgConnection) -> Result<(), EngineError> {
    let exists: bool = sqlx::query_scalar("select to_regclass('posthaste.schema_migration') is not null")
        .fetch_one(&mut *connection)
        .await?;
    let found = if exists { applied(connection).await? } else { Vec::new() };
    check_known(&found)?;
    let newest = found.last().map_or(0, |(version, _)| *version);
    if newest < SCHEMA_VERSION {
        return Err(EngineError::SchemaTooOld { found: newest, known: SCHEMA_VERSION });
    }
    Ok(())
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<(i64, i64)>, EngineError> {
    let rows = sqlx::query("select version, checksum from posthaste.schema_migration order by version")
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

fn check_known(found: &[(i64, i64)]) -> Result<(), EngineError> {
    for (version, checksum) in found {
        match MIGRATIONS.iter().find(|m| m.version == *version) {
            None => return Err(EngineError::SchemaTooNew { found: *version, known: SCHEMA_VERSION }),
            Some(known) if known.checksum() != *checksum => return Err(EngineError::MigrationChanged(*version)),
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who edits a text that a migration wraps keeps the old one: databases out there remember its checksum.
    #[test]
    fn migrations_are_what_they_were_when_they_were_applied() {
        let found: Vec<i64> = MIGRATIONS.iter().map(Migration::checksum).collect();
        assert_eq!(found, APPLIED);
    }

    /// From the first migration on.
    const APPLIED: [i64; 18] = [
        7_027_692_167_273_179_736,
        -1_293_164_885_868_342_930,
        -3_024_289_116_176_233_274,
        -3_303_804_878_853_415_143,
        8_697_960_892_268_534_126,
        -7_158_662_480_905_182_596,
        6_851_406_523_605_713_332,
        5_100_241_160_476_943_905,
        -3_093_003_490_424_960_961,
        4_696_096_863_954_699_384,
        -1_463_647_130_152_383_786,
        8_818_075_326_632_744_097,
        -7_456_781_087_895_065_623,
        1_952_038_217_500_613_765,
        6_009_575_997_584_248_132,
        1_420_732_035_236_501_388,
        -2_012_213_802_432_615_134,
        -7_638_442_844_276_730_095,
    ];
}
