//! The plans of the hot statements, whatever the statistics say: nested index scans that stop at the limit.

use posthaste_engine::session::Role;
use posthaste_tests::{
    FakeDispatcher, TestDb,
    sql::{enqueue, number, run, text},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

const CLAIM: &str = concat!(
    "prepare claim (bigint, bigint, uuid, bigint, integer[], smallint[], bigint[], bigint, integer[], smallint[], bigint[]) as ",
    include_str!("../../src/sql/claim.sql")
);
const PROBE: &str =
    concat!("prepare probe (integer[], smallint[], bigint[]) as ", include_str!("../../src/sql/probe.sql"));
const PROMOTE: &str = concat!("prepare promote (bigint, timestamptz) as ", include_str!("../../src/sql/promote.sql"));

/// Executions, for `explain`, with a candidate floor waiting.
const CLAIM_50: &str =
    "execute claim (1, 1, gen_random_uuid(), 60000, '{1,2}', '{2,2}', '{0,0}', 50, '{1}', '{2}', '{0}')";
const PROBE_2: &str = "execute probe ('{1,2}', '{2,2}', '{0,0}')";
const PROMOTE_50: &str = "execute promote (50, null)";

/// A plan's nodes, outermost first.
async fn nodes(connection: &mut PgConnection, options: &str, execute: &str) -> Vec<Value> {
    let query = format!("explain ({options}, format json) {execute}");
    let row: Value = sqlx::query_scalar(AssertSqlSafe(query.clone())).fetch_one(connection).await.expect(&query);
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

fn is_on(node: &Value, table: &str) -> bool {
    let mut all = Vec::new();
    collect(node, &mut all);
    all.iter().any(|node| node["Relation Name"] == table)
}

/// Nothing reads a table from end to end or sorts the rows of this one.
fn assert_no_scan_or_sort(nodes: &[Value], table: &str) {
    for node in nodes {
        let kind = node["Node Type"].as_str().unwrap();
        assert!(!matches!(kind, "Seq Scan" | "Bitmap Heap Scan" | "Hash Join" | "Merge Join"), "{node:#}");
        assert!(!kind.contains("Sort") || !is_on(node, table), "{node:#}");
    }
}

fn has(nodes: &[Value], kind: &str, index: Option<&str>) -> bool {
    nodes.iter().any(|node| {
        node["Node Type"].as_str().is_some_and(|found| found == kind)
            && index.is_none_or(|index| node["Index Name"] == index)
    })
}

fn assert_claim_shape(nodes: &[Value]) {
    assert_no_scan_or_sort(nodes, "ready");
    assert!(has(nodes, "Index Scan", Some("ready_pkey")), "{nodes:#?}");
    assert!(has(nodes, "Tid Scan", None), "{nodes:#?}");
    // Seen: with an analysed, empty table of attempts, a join or a hash of them read all of them in each claim.
    let on_attempts = |node: &&Value| node["Relation Name"].as_str().is_some_and(|table| table.starts_with("attempt"));
    for node in nodes.iter().filter(on_attempts) {
        assert!(node["Index Cond"].is_string(), "{node:#}");
    }
    assert!(
        !nodes.iter().any(|node| node["Filter"].as_str().is_some_and(|filter| filter.contains("hashed"))),
        "{nodes:#?}"
    );
    let scan = nodes.iter().find(|node| node["Index Name"] == "ready_pkey").unwrap();
    let condition = scan["Index Cond"].as_str().unwrap();
    assert!(["lane_id", "priority", "seq >"].iter().all(|part| condition.contains(part)), "{condition}");
}

fn assert_probe_shape(nodes: &[Value]) {
    assert_no_scan_or_sort(nodes, "ready");
    let by_index = |kind| has(nodes, kind, Some("ready_pkey"));
    assert!(by_index("Index Only Scan") || by_index("Index Scan"), "{nodes:#?}");
}

async fn prepared(db: &TestDb) -> PgConnection {
    let mut connection = db.connect(Role::Claim).await;
    run(&mut connection, CLAIM).await;
    run(&mut connection, PROBE).await;
    connection
}

/// 100,000 available jobs of two lanes, analysed.
async fn fill(connection: &mut PgConnection) {
    enqueue(connection, "'a'").await;
    enqueue(connection, "'b'").await;
    run(
        connection,
        "insert into posthaste.job (job_id, lane_id, priority, max_attempts, args)
           select g, 1 + g % 2, 2, 25, '{}' from generate_series(1001, 101000) g;
         insert into posthaste.ready (seq, job_id, run_lease, lane_id, priority, failures, uncounted)
           select g, g, 1, 1 + g % 2, 2, 0, 0 from generate_series(1001, 101000) g;
         insert into posthaste.scheduled (job_id, run_at, run_lease, lane_id, priority, failures, uncounted)
           select g, now() - interval '1 s', 1, 1, 2, 0, 0 from generate_series(200001, 220000) g;
         analyze",
    )
    .await;
}

#[tokio::test]
async fn claim_and_probe_of_empty_tables_that_were_never_analysed_use_the_key() {
    let db = TestDb::new().await;
    let mut connection = prepared(&db).await;
    assert_claim_shape(&nodes(&mut connection, "costs off", CLAIM_50).await);
    assert_probe_shape(&nodes(&mut connection, "costs off", PROBE_2).await);
}

#[tokio::test]
async fn claim_and_probe_of_a_hundred_thousand_analysed_rows_use_the_key() {
    let db = TestDb::new().await;
    fill(&mut db.connect(Role::General).await).await;
    let mut connection = prepared(&db).await;
    assert_claim_shape(&nodes(&mut connection, "costs off", CLAIM_50).await);
    assert_probe_shape(&nodes(&mut connection, "costs off", PROBE_2).await);
    assert_eq!(text(&mut connection, "show plan_cache_mode").await, "force_generic_plan");
}

#[tokio::test]
async fn a_claim_planned_while_no_run_had_ended_never_reads_all_that_have() {
    let db = TestDb::new().await;
    let mut other = db.connect(Role::General).await;
    run(&mut other, "select posthaste.enqueue('a') from generate_series(1, 300)").await;
    run(&mut other, "vacuum analyze posthaste.attempt").await;
    run(&mut other, "vacuum analyze posthaste.ready").await;
    let mut connection = prepared(&db).await;
    assert_claim_shape(&nodes(&mut connection, "costs off", CLAIM_50).await);
}

#[tokio::test]
async fn a_claim_reads_and_locks_no_more_rows_than_its_limit() {
    let db = TestDb::new().await;
    let mut other = db.connect(Role::General).await;
    fill(&mut other).await;
    let mut connection = prepared(&db).await;

    run(&mut connection, "begin").await;
    let ran = nodes(&mut connection, "analyze, timing off", CLAIM_50).await;
    // The rows that nobody holds, as a neighbour sees them.
    let free =
        "with free as materialized (select from posthaste.ready for update skip locked) select count(*) from free";
    let free = number(&mut other, free).await;
    run(&mut connection, "rollback").await;

    assert_eq!(free, 100_002 - 50);
    for node in ran.iter().filter(|node| node["Relation Name"] == "ready") {
        let rows = node["Actual Rows"].as_f64().unwrap() * node["Actual Loops"].as_f64().unwrap();
        assert!(rows <= 50.0, "{node:#}");
    }
}

#[tokio::test]
async fn a_hundred_thousand_rows_of_other_lanes_do_not_slow_a_claim() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    fill(&mut connection).await;
    let wanted = enqueue(&mut connection, "'c'").await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    let mut claimer = prepared(&db).await;

    let execute = CLAIM_50.replace("'{1,2}', '{2,2}', '{0,0}'", "'{3}', '{2}', '{0}'").replace("'{1}'", "'{3}'");
    run(&mut claimer, "begin").await;
    let ran = nodes(&mut claimer, "analyze, buffers, timing off", &execute).await;
    run(&mut claimer, "rollback").await;

    let touched = ran[0]["Shared Hit Blocks"].as_i64().unwrap() + ran[0]["Shared Read Blocks"].as_i64().unwrap();
    assert!(touched < 100, "{touched} pages");
    let lane = posthaste_engine::floor::Scan { lane_id: 3, priority: 2 };
    assert_eq!(dispatcher.claim(&[lane], 10).await[0].job_id, wanted);
}

#[tokio::test]
async fn a_promote_walks_the_due_index_and_stops_at_its_limit() {
    let db = TestDb::new().await;
    fill(&mut db.connect(Role::General).await).await;
    let mut connection = db.connect(Role::Settle).await;
    run(&mut connection, PROMOTE).await;
    run(&mut connection, "begin").await;
    let ran = nodes(&mut connection, "analyze, timing off", PROMOTE_50).await;
    run(&mut connection, "rollback").await;
    assert!(has(&ran, "Index Scan", Some("scheduled_due_idx")), "{ran:#?}");
    assert!(!has(&ran, "Seq Scan", None), "{ran:#?}");
    let due = ran.iter().find(|node| node["Node Type"] == "LockRows").unwrap();
    assert_eq!(due["Actual Rows"].as_f64(), Some(50.0));
}
