//! The plans of the statements of waits, with a million parked runs: by key or by deadline, whatever the statistics say.

use posthaste_engine::session::Role;
use posthaste_tests::{
    TestDb,
    sql::{enqueue, run},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

const TIMED_OUT: &str =
    concat!("prepare timed_out (bigint, timestamptz, bigint[]) as ", include_str!("../../src/sql/timed_out.sql"));
const HELD: &str =
    concat!("prepare held (bigint[], bigint[], bigint[], uuid[]) as ", include_str!("../../src/sql/held.sql"));
const EXTEND: &str = concat!(
    "prepare extend (bigint[], bigint[], bigint[], uuid[], bigint[]) as ",
    include_str!("../../src/sql/extend.sql")
);
const TOLD: &str =
    concat!("prepare told (bigint[], bigint[], bigint[], text[], bytea[]) as ", include_str!("../../src/sql/told.sql"));
const PARK: &str = concat!(
    "prepare park (bigint[], bigint[], bigint[], uuid[], integer[], smallint[], smallint[], smallint[],
       timestamptz[], bigint[], bigint[], bigint[], smallint[], bigint[], integer[], integer[], bigint[]) as ",
    include_str!("../../src/sql/park.sql")
);
const FINALIZE: &str = concat!(
    "prepare finalize (bigint[], bigint[], bigint[], uuid[], text[], text[], smallint[], bigint[], integer[], integer[],
       smallint[], text[], text[], text[], bigint[], bigint[], text[], bigint[], integer[], smallint[], smallint[],
       smallint[], timestamptz[], text, bigint[], text[], bytea[]) as ",
    include_str!("../../src/sql/finalize.sql")
);

/// The statements of suspended runs: name, types, text.
const SUSPENDED: &[(&str, &str, &str)] = &[
    ("suspended", "bigint[]", include_str!("../../src/sql/suspended.sql")),
    ("waits", "bigint[], bigint[], boolean, timestamptz", include_str!("../../src/sql/waits.sql")),
    ("early", "bigint[], bigint[]", include_str!("../../src/sql/early.sql")),
    ("next_look", "bigint[], timestamptz", include_str!("../../src/sql/next_look.sql")),
    ("wake", "bigint[], bigint[], smallint[], boolean[]", include_str!("../../src/sql/wake.sql")),
    (
        "met",
        "bigint[], bigint[], smallint[], boolean[], bytea[], text[]",
        "select posthaste.meet_v1($1, $2, $3, $4, $5, $6)",
    ),
    (
        "checkpoint",
        "bigint[], bigint[], bigint[], uuid[], bigint[], text[], integer",
        include_str!("../../src/sql/checkpoint.sql"),
    ),
    ("waiting_on", "bigint[], bigint[], bigint[], uuid[]", include_str!("../../src/sql/waiting_on.sql")),
    ("inbox_due", "bigint, bigint", include_str!("../../src/sql/inbox_due.sql")),
    (
        "park_held",
        "bigint[], bigint[], bigint[], uuid[], bigint[], bigint[], bigint[]",
        "select posthaste.park_held_v1($1, $2, $3, $4, $5, $6, $7)",
    ),
    (
        "keep",
        "text, bigint[], bigint[], bigint[], uuid[], text[], text[], bytea[], bytea[], text[], text[], bigint, boolean",
        include_str!("../../src/sql/keep.sql"),
    ),
    ("judging_due", "bigint", include_str!("../../src/sql/judging_due.sql")),
    ("forget_inbox", "bigint, bigint", include_str!("../../src/sql/forget_inbox.sql")),
    ("list_deliveries", "bigint, text, bigint, bigint", include_str!("../../src/sql/list_deliveries.sql")),
];

/// An array of a hundred of these.
fn hundred(value: &str) -> String {
    format!("'{{{}}}'", vec![value; 100].join(","))
}

/// A hundred that lease 1 holds, of which nothing is parked yet.
fn claimed() -> String {
    runs().replace("'{500", "'{1002").replace(",500", ",1002")
}

/// A hundred runs of the million, which are parked under lease 1: jobs, runs, leases.
fn runs() -> String {
    let jobs: Vec<String> = (500_001..=500_100).map(|job| job.to_string()).collect();
    format!("'{{{}}}', {ones}, {ones}", jobs.join(","), ones = hundred("1"))
}

/// A million parked runs, of which a tenth is due; ends of as many others.
async fn fill(connection: &mut PgConnection) {
    enqueue(connection, "'k'").await;
    run(
        connection,
        "select posthaste.ensure_ranges();
         insert into posthaste.job (job_id, lane_id, priority, max_attempts, args)
           select g, 1, 2, 25, '{}' from generate_series(1001, 1001000) g;
         insert into posthaste.job (job_id, lane_id, priority, max_attempts, args)
           select g, 1, 2, 25, '{}' from generate_series(1002001, 1002100) g;
         insert into posthaste.waiting (job_id, run_lease, lease_id, deadline_at, hard_at, callback_ms, nonce, lane_id,
             wait_number, priority, failures, uncounted, need)
           select g, 1, 1, now() + (g % 10 - 0.5) * interval '1 minute', now() + interval '1 day', 3600000,
             '00000000-0000-0000-0000-000000000001', 1, 1, 2, 0, 0, case when g > 500000 then 1 end
           from generate_series(1001, 1001000) g",
    )
    .await;
    run(
        connection,
        "insert into posthaste.wait (job_id, run_lease, deadline_at, n, awaits, name)
           select g, 1, now() + interval '1 hour', n, 'callback', 'w' || n
           from generate_series(500001, 600000) g, generate_series(1, 2) n;
         insert into posthaste.continuation (job_id, steps) select g, '{}' from generate_series(500001, 600000) g;
         insert into posthaste.inbox (job_id, run_lease, lease_id, look_at, nonce, why, via, digest)
           select g, 1, 1, now(), '00000000-0000-0000-0000-000000000001', 'early', 'hook', '\\x01'
           from generate_series(600001, 650000) g;
         insert into posthaste.inbox (job_id, run_lease, lease_id, judge_at, nonce, why, via, digest)
           select g, 1, 1, now(), '00000000-0000-0000-0000-000000000001', 'quarantined', 'hook', '\\x01'
           from generate_series(600001, 650000) g;
         insert into posthaste.delivery (job_id, bytes, via, verdict)
           select g, 1, 'hook', 'ignored' from generate_series(600001, 700000) g;
         insert into posthaste.attempt (job_id, run_lease, outcome, ended_by, attempt)
           select g, 1, 'completed', 'dispatcher', 1 from generate_series(1001001, 1101000) g where g not between 1002001 and 1002100;
         insert into posthaste.lease (lease_id, dispatcher_id, nonce, expires_at, job_ids, run_leases, failures, uncounted)
           select 1, 1, '00000000-0000-0000-0000-000000000001', now() + interval '1 minute', array_agg(g), array_agg(1), array_agg(0), array_agg(0)
           from (select generate_series(500001, 500100) union all select generate_series(1002001, 1002100)) as held (g);
         analyze",
    )
    .await;
}

/// Runs it and takes it back; its plan's nodes, with what they read.
async fn ran(connection: &mut PgConnection, execute: &str) -> Vec<Value> {
    run(connection, "begin").await;
    let query = format!("explain (analyze, buffers, timing off, format json) {execute}");
    let row: Value = sqlx::query_scalar(AssertSqlSafe(query.clone())).fetch_one(&mut *connection).await.expect(&query);
    run(connection, "rollback").await;
    let mut nodes = Vec::new();
    collect(&row[0]["Plan"], &mut nodes);
    nodes
}

fn collect(node: &Value, nodes: &mut Vec<Value>) {
    nodes.push(node.clone());
    for child in node["Plans"].as_array().into_iter().flatten() {
        collect(child, nodes);
    }
}

/// It reads few pages, and none of the large tables from end to end.
fn assert_small(what: &str, nodes: &[Value], pages: i64) {
    let read = nodes[0]["Shared Hit Blocks"].as_i64().unwrap() + nodes[0]["Shared Read Blocks"].as_i64().unwrap();
    assert!(read < pages, "{what}: {read} pages: {nodes:#?}");
    for node in nodes {
        let rows = node["Actual Rows"].as_f64().unwrap_or(0.0) * node["Actual Loops"].as_f64().unwrap_or(0.0);
        // What a statement has put aside is as large as its batch, and read from end to end for each of it.
        let most = if node["CTE Name"].is_string() { 100.0 * 100.0 } else { 1000.0 };
        assert!(rows <= most, "{what}: {node:#}");
    }
}

#[tokio::test]
async fn with_a_million_parked_runs_every_statement_reads_only_its_own() {
    let db = TestDb::new().await;
    fill(&mut db.connect(Role::General).await).await;
    let mut connection = db.connect(Role::Settle).await;
    for statement in [TIMED_OUT, HELD, EXTEND, TOLD, PARK, FINALIZE] {
        run(&mut connection, statement).await;
    }

    let due = ran(&mut connection, "execute timed_out (100, null, null)").await;
    assert_small("timed out", &due, 2500);
    assert!(due.iter().any(|node| node["Index Name"] == "waiting_deadline_idx"), "{due:#?}");
    let locked = due.iter().find(|node| node["Node Type"] == "LockRows").unwrap();
    assert_eq!(locked["Actual Rows"].as_f64(), Some(100.0));
    assert!(!due.iter().any(|node| node["Node Type"] == "Sort"), "{due:#?}");

    let (runs, ones, nonces) = (runs(), hundred("1"), hundred("00000000-0000-0000-0000-000000000001"));
    assert_small("held", &ran(&mut connection, &format!("execute held ({runs}, {nonces})")).await, 2500);
    assert_small("extend", &ran(&mut connection, &format!("execute extend ({runs}, {nonces}, '{{}}')")).await, 4000);
    assert_small("told", &ran(&mut connection, &format!("execute told ({runs}, '{{}}', '{{}}')")).await, 6000);
    let park = format!(
        "execute park ({runs}, {nonces}, {ones}, {ones}, {ones}, {ones}, '{{}}', {ones}, '{{}}', {ones},
           {ones}, '{{}}', '{{}}', '{{}}', '{{}}')"
    );
    assert_small("park", &ran(&mut connection, &park).await, 6000);
    let (completed, none) = (hundred("completed"), ["'{}'"; 9].join(", "));
    let finalize = format!(
        "execute finalize ({runs}, {nonces}, {completed}, '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', {ones}, '{{}}', '{{}}',
           '{{}}', {none}, 'callback', '{{}}', '{{}}', '{{}}')"
    );
    let ended = ran(&mut connection, &finalize).await;
    assert_small("finalize", &ended, 6000);
    assert_eq!(ended[0]["Actual Rows"].as_f64(), Some(100.0));
    let ended = finalize.replace("execute finalize", "select * from posthaste.end_held_v1");
    assert_small("end held", &ran(&mut connection, &ended).await, 6000);
    let complete = format!(
        "select * from posthaste.complete_held_v1({runs}, {nonces}, {}, {}, {ones}, {}, '{{1}}')",
        hundred("complete"),
        hundred("\\\\x01"),
        hundred("false"),
    );
    let completed = ran(&mut connection, &complete).await;
    assert_small("complete held", &completed, 6000);
    assert_eq!(completed[0]["Actual Rows"].as_f64(), Some(100.0));
    let completed = ran(&mut connection, &complete.replace(&runs, &claimed())).await;
    assert_small("complete leased", &completed, 6000);
    assert_eq!(completed[0]["Actual Rows"].as_f64(), Some(100.0));
    assert_statements_of_suspended_runs_are_small(&mut connection).await;
}

async fn assert_statements_of_suspended_runs_are_small(connection: &mut PgConnection) {
    for (name, types, text) in SUSPENDED {
        run(connection, &format!("prepare {name} ({types}) as {text}")).await;
    }
    let (runs, ones, nonces) = (runs(), hundred("1"), hundred("00000000-0000-0000-0000-000000000001"));
    let jobs = runs.split(", ").next().unwrap();
    let claimed = claimed();
    for (name, arguments) in [
        ("suspended", jobs.to_owned()),
        ("waits", format!("{jobs}, {ones}, true, null")),
        ("early", format!("{jobs}, {ones}")),
        ("next_look", format!("{jobs}, null")),
        ("met", format!("{jobs}, {ones}, {ones}, {}, '{{}}', '{{}}'", hundred("false"))),
        ("wake", format!("{jobs}, {ones}, {ones}, {}", hundred("false"))),
        ("checkpoint", format!("{runs}, {nonces}, '{{}}', {}, 1000", hundred("\"{}\""))),
        ("waiting_on", format!("{runs}, {nonces}")),
        ("inbox_due", "100, null".to_owned()),
        ("park_held", format!("{claimed}, {nonces}, {ones}, {ones}, {ones}")),
        (
            "keep",
            format!(
                "'early', {runs}, {nonces}, {ones}, '{{}}', {}, '{{}}', '{{}}', '{{}}', 32, false",
                hundred("\\\\x02")
            ),
        ),
        ("judging_due", "100".to_owned()),
        ("forget_inbox", "0, 100".to_owned()),
        ("list_deliveries", "null, null, 90000, 100".to_owned()),
        ("list_deliveries", "null, 'ignored', 90000, 100".to_owned()),
        ("list_deliveries", "600001, null, 90000, 100".to_owned()),
    ] {
        let ran = ran(connection, &format!("execute {name} ({arguments})")).await;
        assert_small(name, &ran, 8000);
    }
}
