//! Malformed enqueues and endpoint definitions: each has its clear error, and nothing of it is written.

use posthaste_engine::{EngineError, endpoint, enqueue, session::Role};
use posthaste_protocol::{endpoint::EndpointSpec, new_job::NewJob, problem::FieldError};
use posthaste_tests::{TestDb, sql::counts};
use sqlx::{AssertSqlSafe, PgConnection, Row};

/// Where a document comes in.
#[derive(Debug, Clone, Copy)]
enum Door {
    /// The arguments of `posthaste.enqueue`, as written in SQL.
    Sql,
    /// A job of `posthaste.enqueue_many`.
    Many,
    /// A job over REST.
    Rest,
    /// An endpoint over REST.
    Endpoint,
}
use Door::{Endpoint, Many, Rest, Sql};

/// Door, input, field, code, part of the message.
type Row5 = (Door, &'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const TABLE: &[Row5] = &[
    (Sql, "null", "kind", "required", "non-empty name"),
    (Sql, "''", "kind", "required", "non-empty name"),
    (Sql, "'a b'", "kind", "invalid_name", "letters, digits and"),
    (Sql, "'é'", "kind", "invalid_name", "letters, digits and"),
    (Sql, "E'k\\n'", "kind", "invalid_name", "letters, digits and"),
    (Sql, "repeat('k', 201)", "kind", "too_long", "at most 200 characters"),
    (Sql, "'k', queue => null", "queue", "required", "non-empty name"),
    (Sql, "'k', queue => ''", "queue", "required", "non-empty name"),
    (Sql, "'k', queue => '/a'", "queue", "invalid_name", "letters, digits"),
    (Sql, "'k', queue => repeat('q', 201)", "queue", "too_long", "at most 200"),
    (Sql, "'k', endpoint => ''", "endpoint", "required", "non-empty name"),
    (Sql, "'k', endpoint => 'a?b'", "endpoint", "invalid_name", "letters, digits"),
    (Sql, "'k', args => null", "args", "required", "must be a JSON value"),
    (Sql, "'k', args => ('\"' || repeat('x', 1048575) || '\"')::json", "args", "too_large", "at most 1048576 bytes"),
    (Sql, "'k', args => ('\"' || repeat('é', 524288) || '\"')::json", "args", "too_large", "at most 1048576 bytes"),
    (Sql, "'k', args => (repeat('[', 65) || repeat(']', 65))::json", "args", "too_deep", "at most 64 deep"),
    (Sql, "'k', args => (repeat('{\"a\":[', 33) || repeat(']}', 33))::json", "args", "too_deep", "at most 64 deep"),
    (Sql, r#"'k', args => '{"a": "\u0000"}'"#, "args", "nul_character", r"must not contain \u0000"),
    (Sql, r#"'k', args => '["\\\u0000"]'"#, "args", "nul_character", r"must not contain \u0000"),
    (Sql, r#"'k', args => '{"\u0000": 1}'"#, "args", "nul_character", r"must not contain \u0000"),
    (Sql, "'k', priority => 0", "priority", "out_of_range", "from 1 (first) to 4"),
    (Sql, "'k', priority => 5", "priority", "out_of_range", "from 1 (first) to 4"),
    (Sql, "'k', priority => null", "priority", "out_of_range", "from 1 (first) to 4"),
    (Sql, "'k', max_attempts => 0", "max_attempts", "out_of_range", "from 1 to 1000"),
    (Sql, "'k', max_attempts => 1001", "max_attempts", "out_of_range", "from 1 to 1000"),
    (Sql, "'k', delay_ms => -1", "delay_ms", "out_of_range", "10 years"),
    (Sql, "'k', delay_ms => 315360000001", "delay_ms", "out_of_range", "10 years"),
    (Sql, "'k', delay_ms => 9223372036854775807", "delay_ms", "out_of_range", "10 years"),
    (Sql, "'k', delay_ms => 1, run_at => now()", "delay_ms", "conflict", "not both"),
    (Sql, "'k', run_at => 'infinity'", "run_at", "out_of_range", "between the years 2000 and 2200"),
    (Sql, "'k', run_at => '-infinity'", "run_at", "out_of_range", "between the years 2000 and 2200"),
    (Sql, "'k', run_at => '1999-12-31Z'", "run_at", "out_of_range", "between the years 2000 and 2200"),
    (Sql, "'k', run_at => '2200-01-02Z'", "run_at", "out_of_range", "between the years 2000 and 2200"),
    (Sql, "'k', timeout_ms => 0", "timeout_ms", "out_of_range", "one hour"),
    (Sql, "'k', timeout_ms => 3600001", "timeout_ms", "out_of_range", "one hour"),
    (Sql, "'k', expires_at => now()", "expires_at", "out_of_range", "in the future"),
    (Sql, "'k', expires_at => 'infinity'", "expires_at", "out_of_range", "before the year 2200"),
    (Sql, "'k', expires_at => now() + interval '1 h', delay_ms => 3600000", "expires_at", "conflict", "after run_at"),
    (Sql, "'k', expires_at => now() + interval '1 h', run_at => now() + interval '2 h'", "expires_at", "conflict", "after run_at"),
    (Sql, "'k', tags => array_fill('t'::text, '{21}')", "tags", "too_many", "at most 20"),
    (Sql, "'k', tags => '{{a},{b}}'", "tags", "too_many", "at most 20"),
    (Sql, "'k', tags => '{a,\"\"}'", "tags[1]", "invalid_tag", "1 to 200 characters"),
    (Sql, "'k', tags => '{null}'", "tags[0]", "invalid_tag", "1 to 200 characters"),
    (Sql, "'k', tags => array[repeat('t', 201)]", "tags[0]", "invalid_tag", "1 to 200 characters"),
    (Sql, "'k', tags => array[E'a\\tb']", "tags[0]", "invalid_tag", "no control characters"),
    (Sql, "'k', metadata => '[]'", "metadata", "wrong_type", "must be an object"),
    (Sql, "'k', metadata => 'null'", "metadata", "wrong_type", "must be an object"),
    (Sql, "'k', metadata => json_build_object('m', repeat('x', 65536))", "metadata", "too_large", "at most 65536 bytes"),
    (Sql, "'k', metadata => (repeat('{\"a\":', 65) || '1' || repeat('}', 65))::json", "metadata", "too_deep", "at most 64 deep"),
    (Sql, r#"'k', metadata => '{"a": "\u0000"}'"#, "metadata", "nul_character", r"\u0000"),
    (Sql, "'k', headers => '[]'", "headers", "wrong_type", "object of strings"),
    (Sql, "'k', headers => '{\"x\": 1}'", "headers.x", "wrong_type", "must be a string"),
    (Sql, "'k', headers => '{\"x\": null}'", "headers.x", "wrong_type", "must be a string"),
    (Sql, "'k', headers => '{\"a b\": \"1\"}'", "headers.a b", "invalid_header", "not a valid header name"),
    (Sql, "'k', headers => '{\"\": \"1\"}'", "headers.", "invalid_header", "not a valid header name"),
    (Sql, "'k', headers => '{\"x\": \"1\\r\\ny: 2\"}'", "headers.x", "invalid_header", "printable ASCII"),
    (Sql, "'k', headers => '{\"x\": \"é\"}'", "headers.x", "invalid_header", "printable ASCII"),
    (Sql, "'k', headers => '{\"Host\": \"a\"}'", "headers.Host", "forbidden_header", "set by Posthaste"),
    (Sql, "'k', headers => '{\"AUTHORIZATION\": \"a\"}'", "headers.AUTHORIZATION", "forbidden_header", "set by Posthaste"),
    (Sql, "'k', headers => '{\"Posthaste-Job-Id\": \"1\"}'", "headers.Posthaste-Job-Id", "forbidden_header", "set by Posthaste"),
    (Sql, "'k', headers => '{\"webhook-signature\": \"v1\"}'", "headers.webhook-signature", "forbidden_header", "set by"),
    (Sql, "'k', headers => '{\"transfer-encoding\": \"chunked\"}'", "headers.transfer-encoding", "forbidden_header", "set by"),
    (Sql, "'k', headers => json_build_object('x', repeat('h', 8192))", "headers", "too_large", "at most 8192 bytes"),
    (Sql, r#"'k', headers => '{"x": "\u0000"}'"#, "headers", "nul_character", r"\u0000"),
    (Sql, "'k', traceparent => 'x'", "traceparent", "invalid", "W3C trace context"),
    (Sql, "'k', traceparent => '00-00000000000000000000000000000000-00f067aa0ba902b7-01'", "traceparent", "invalid", "W3C"),
    (Sql, "'k', callback => '[]'", "callback", "wrong_type", "must be an object"),
    (Sql, "'k', callback => 'null'", "callback", "wrong_type", "must be an object"),
    (Sql, "'k', callback => json_build_object('cel', repeat('x', 8192))", "callback", "too_large", "at most 8192 bytes"),
    (Sql, "'k', callback => (repeat('{\"a\":', 65) || '1' || repeat('}', 65))::json", "callback", "too_deep", "at most 64 deep"),
    (Sql, r#"'k', callback => '{"cel": "\u0000"}'"#, "callback", "nul_character", r"\u0000"),
    (Sql, r#"'k', callback => '{"timeout": 3}'"#, "callback.timeout", "unknown_field", "callback.timeout is not a known"),
    (Sql, r#"'k', callback => '{"cell": {"filter": "false"}}'"#, "callback.cell", "unknown_field", "not a known field"),
    (Sql, r#"'k', callback => '{"filter": "false"}'"#, "callback.filter", "unknown_field", "not a known field"),
    (Sql, r#"'k', callback => '{"cel.filter": "false"}'"#, "callback.cel.filter", "unknown_field", "not a known field"),
    (Sql, r#"'k', callback => '{"cel": "false"}'"#, "callback.cel", "wrong_type", "an object"),
    (Sql, r#"'k', callback => '{"cel": {}, "cel": {}}'"#, "callback.cel", "duplicate_field", "more than once"),
    (Sql, r#"'k', callback => '{"cel": {"on_complet": "false"}}'"#, "callback.cel.on_complet", "unknown_field", "not a known"),
    (Sql, r#"'k', callback => '{"cel": {"timeout_ms": 5}}'"#, "callback.cel.timeout_ms", "unknown_field", "not a known"),
    (Sql, r#"'k', callback => '{"cel": {"on_complete": 7}}'"#, "callback.cel.on_complete", "wrong_type", "a string"),
    (Sql, r#"'k', callback => '{"cel": {"filter": " \n"}}'"#, "callback.cel.filter", "required", "must not be empty"),
    (Sql, "'k', callback => json_build_object('cel', json_build_object('transform', repeat('é', 1025)))", "callback.cel.transform",
        "too_long", "at most 2048 bytes"),
    (Sql, r#"'k', callback => '{"cel": {"fail_open": "true"}}'"#, "callback.cel.fail_open", "wrong_type", "true or false"),
    (Sql, r#"'k', callback => '{"cel": {"default_action": "fial"}}'"#, "callback.cel.default_action", "unknown_word", "ignore"),
    (Sql, r#"'k', callback => '{"timeout_ms": "5"}'"#, "callback.timeout_ms", "wrong_type", "an integer"),
    (Sql, r#"'k', callback => '{"timeout_ms": 1e3}'"#, "callback.timeout_ms", "wrong_type", "an integer"),
    (Sql, r#"'k', callback => '{"timeout_ms": 0}'"#, "callback.timeout_ms", "out_of_range", "30 days"),
    (Sql, r#"'k', callback => '{"timeout_ms": 2592000001}'"#, "callback.timeout_ms", "out_of_range", "30 days"),

    (Many, "1", "", "wrong_type", "must be an object"),
    (Many, "null", "", "wrong_type", "must be an object"),
    (Many, "{}", "kind", "required", "non-empty name"),
    (Many, r#"{"kind": null}"#, "kind", "required", "non-empty name"),
    (Many, r#"{"kind": 5}"#, "kind", "wrong_type", "must be a string"),
    (Many, r#"{"kind": "k", "queue": true}"#, "queue", "wrong_type", "must be a string"),
    (Many, r#"{"kind": "k", "endpoint": {}}"#, "endpoint", "wrong_type", "must be a string"),
    (Many, r#"{"kind": "k", "nope": 1}"#, "nope", "unknown_field", "unknown field nope"),
    (Many, r#"{"kind": "k", "job_id": 1}"#, "job_id", "unknown_field", "unknown field job_id"),
    (Many, r#"{"kind": "k", "priority": "2"}"#, "priority", "wrong_type", "must be an integer"),
    (Many, r#"{"kind": "k", "priority": 1.5}"#, "priority", "wrong_type", "must be an integer"),
    (Many, r#"{"kind": "k", "priority": 99999999999}"#, "priority", "out_of_range", "out of range"),
    (Many, r#"{"kind": "k", "priority": 7}"#, "priority", "out_of_range", "from 1 (first) to 4"),
    (Many, r#"{"kind": "k", "delay_ms": 99999999999999999999}"#, "delay_ms", "out_of_range", "out of range"),
    (Many, r#"{"kind": "k", "max_attempts": true}"#, "max_attempts", "wrong_type", "must be an integer"),
    (Many, r#"{"kind": "k", "timeout_ms": 99999999999}"#, "timeout_ms", "out_of_range", "one hour"),
    (Many, r#"{"kind": "k", "run_at": "tomorrow"}"#, "run_at", "wrong_format", "RFC 3339"),
    (Many, r#"{"kind": "k", "run_at": "infinity"}"#, "run_at", "wrong_format", "RFC 3339"),
    (Many, r#"{"kind": "k", "run_at": "2026-11-21T08:00:00"}"#, "run_at", "wrong_format", "RFC 3339"),
    (Many, r#"{"kind": "k", "run_at": "2026-13-45T08:00:00Z"}"#, "run_at", "wrong_format", "RFC 3339"),
    (Many, r#"{"kind": "k", "expires_at": 1}"#, "expires_at", "wrong_type", "RFC 3339"),
    (Many, r#"{"kind": "k", "tags": "{a}"}"#, "tags", "wrong_type", "array of strings"),
    (Many, r#"{"kind": "k", "tags": ["a", 1]}"#, "tags", "wrong_type", "array of strings"),
    (Many, r#"{"kind": "k", "tags": [["a"]]}"#, "tags", "wrong_type", "array of strings"),
    (Many, r#"{"kind": "k", "tags": [""]}"#, "tags[0]", "invalid_tag", "1 to 200"),
    (Many, r#"{"kind": "k", "metadata": "{}"}"#, "metadata", "wrong_type", "an object"),
    (Many, r#"{"kind": "k", "callback": "{}"}"#, "callback", "wrong_type", "an object"),
    (Many, r#"{"kind": "k", "callback": {"cell": {}}}"#, "callback.cell", "unknown_field", "not a known field"),
    (Many, r#"{"kind": "k", "callback": {"cel": {"default_action": 1}}}"#, "callback.cel.default_action", "wrong_type", "string"),
    (Many, r#"{"kind": "k", "headers": {"x": []}}"#, "headers.x", "wrong_type", "must be a string"),
    (Many, r#"{"kind": "k", "traceparent": 1}"#, "traceparent", "wrong_type", "must be a string"),
    (Many, r#"{"kind": "k", "args_is_null": true}"#, "args_is_null", "unknown_field", "unknown field"),

    (Rest, "", "", "malformed_json", ""),
    (Rest, r#"{"kind":"k""#, "", "malformed_json", ""),
    (Rest, "[]", "", "wrong_type", "object"),
    (Rest, "{}", "kind", "required", "is required"),
    (Rest, r#"{"kind":1}"#, "kind", "wrong_type", "must be a string"),
    (Rest, r#"{"kind":"a","kind":"b"}"#, "kind", "duplicate_field", "more than once"),
    (Rest, r#"{"kind":"k","priority":"1"}"#, "priority", "wrong_type", "must be an integer"),
    (Rest, r#"{"kind":"k","delay_ms":1e3}"#, "delay_ms", "wrong_type", "must be an integer"),
    (Rest, r#"{"kind":"k","max_attempts":99999999999}"#, "max_attempts", "out_of_range", "out of range"),
    (Rest, r#"{"kind":"k","run_at":"tomorrow"}"#, "run_at", "wrong_format", "RFC 3339"),
    (Rest, r#"{"kind":"k","tags":["a",null]}"#, "tags[1]", "wrong_type", "must be a string"),
    (Rest, r#"{"kind":"k","headers":{"x":1}}"#, "headers.x", "wrong_type", "must be a string"),
    (Rest, r#"{"kind":"k","args":"\u0000"}"#, "args", "nul_character", r"\u0000"),
    (Rest, r#"{"kind":"k","metadata":{"a":"\ud800"}}"#, "metadata", "lone_surrogate", "surrogate"),
    (Rest, r#"{"kind":"k","callback":{"cel":{"filter":1}}}"#, "callback.cel.filter", "wrong_type", "a string"),
    (Rest, r#"{"kind":"k","callback":{"cel":{"filter":"payload."}}}"#, "callback.cel.filter", "invalid_expression", "column 9"),
    (Rest, r#"{"kind":"k","unique":{}}"#, "unique", "not_supported_yet", "not supported"),
    (Rest, r#"{"kind":"k","nope":1}"#, "nope", "unknown_field", "not a known field"),

    (Endpoint, r#"{"url":"https://a.example/","cel":{"on_fail":"nope"}}"#, "cel.on_fail", "invalid_expression", "no `nope`"),
    (Endpoint, "{", "", "malformed_json", ""),
    (Endpoint, "{}", "url", "required", "is required"),
    (Endpoint, r#"{"url":"ftp://a.example"}"#, "url", "invalid_url", "http:// or https://"),
    (Endpoint, r#"{"url":"https://u:p@a.example"}"#, "url", "invalid_url", "user name or password"),
    (Endpoint, r#"{"url":"https://a.example/#f"}"#, "url", "invalid_url", "fragment"),
    (Endpoint, r#"{"url":"https://a.example","kinds":["a b"]}"#, "kinds[0]", "invalid_name", ""),
    (Endpoint, r#"{"url":"https://a.example","kinds":["a","a"]}"#, "kinds[1]", "duplicate", ""),
    (Endpoint, r#"{"url":"https://a.example","format":"xml"}"#, "format", "unknown_word", "envelope"),
    (Endpoint, r#"{"url":"https://a.example","timeout_ms":0}"#, "timeout_ms", "out_of_range", "from 1 to 3600000"),
    (Endpoint, r#"{"url":"https://a.example","concurrency":10001}"#, "concurrency", "out_of_range", "from 1 to 10000"),
    (Endpoint, r#"{"url":"https://a.example","sdk":"yes"}"#, "sdk", "wrong_type", "true or false"),
    (Endpoint, r#"{"url":"https://a.example","retry":{"polcy":1}}"#, "retry.polcy", "unknown_field", ""),
    (Endpoint, r#"{"url":"https://a.example","retry":{"jitter":1.5}}"#, "retry.jitter", "out_of_range", ""),
    (Endpoint, r#"{"url":"https://a.example","headers":{"host":"x"}}"#, "headers.host", "forbidden_header", ""),
    (Endpoint, r#"{"url":"https://a.example","headers":{"x":{"env":"PGPASSWORD"}}}"#, "headers.x.env", "forbidden_reference", ""),
    (Endpoint, r#"{"url":"https://a.example","headers":{"authorization":"Bearer x"}}"#, "headers.authorization", "literal_secret", ""),
    (Endpoint, r#"{"url":"https://a.example","auth":{"type":"bearer"}}"#, "auth.token", "required", "required"),
    (Endpoint, r#"{"url":"https://a.example","status_map":{"600":"retry"}}"#, "status_map.600", "out_of_range", "100 to 599"),
    (Endpoint, r#"{"url":"https://a.example","breaker":{"ratio":0}}"#, "breaker.ratio", "out_of_range", ""),
    (Endpoint, r#"{"url":"https://a.example","secret":"hunter2"}"#, "secret", "invalid_secret", ""),
];

/// What the door says: the faults, or `None` when it lets the document pass.
async fn faults(connection: &mut PgConnection, door: Door, input: &str) -> Option<Vec<FieldError>> {
    match door {
        Rest => NewJob::parse(input).and_then(|job| enqueue::check(&job)).err(),
        Endpoint => EndpointSpec::parse(input).and_then(|spec| endpoint::check(&spec)).err(),
        Sql => {
            let query = format!("select posthaste.enqueue({input})");
            match sqlx::raw_sql(AssertSqlSafe(query)).execute(connection).await.map_err(EngineError::from) {
                Ok(_) => None,
                Err(EngineError::Faults(faults)) => Some(faults),
                Err(error) => panic!("{input}: {error}"),
            }
        }
        Many => {
            let query = "select error::text from posthaste.enqueue_many($1::jsonb)";
            let row = sqlx::query(query).bind(format!("[{input}]")).fetch_one(connection).await;
            let error: Option<String> = row.unwrap_or_else(|error| panic!("{input}: {error}")).get(0);
            error.map(|faults| serde_json::from_str(&faults).unwrap())
        }
    }
}

#[tokio::test]
async fn every_malformed_document_is_refused_with_its_field_and_nothing_is_written() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let before = counts(&mut connection).await;
    let mut wrong = Vec::new();
    for &(door, input, field, code, message) in TABLE {
        let shown = format!("{door:?} {}", input.chars().take(100).collect::<String>());
        let said = faults(&mut connection, door, input).await;
        match said.as_deref() {
            None => wrong.push(format!("{shown}: was taken")),
            Some([fault]) if fault.field == field && fault.code == code && fault.message.contains(message) => {}
            Some(other) => wrong.push(format!("{shown}: {other:?}")),
        }
        assert_eq!(counts(&mut connection).await, before, "{shown}: something was written");
    }
    assert!(wrong.is_empty(), "{}\n{} of {}", wrong.join("\n"), wrong.len(), TABLE.len());
    assert!(TABLE.len() >= 60);
}

#[tokio::test]
async fn every_fault_of_a_job_is_named_at_once() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let all = "'', args => null, queue => '', endpoint => '', priority => 0, max_attempts => 0, delay_ms => -1,
        timeout_ms => 0, expires_at => '1999-01-01Z', tags => '{\"\"}', metadata => '1', headers => '1', traceparent => '',
        callback => '1'";
    let said = faults(&mut connection, Sql, all).await.unwrap();
    let fields: Vec<&str> = said.iter().map(|fault| fault.field.as_str()).collect();
    let expected =
        ["kind", "queue", "endpoint", "args", "priority", "max_attempts", "delay_ms", "timeout_ms", "expires_at"];
    assert_eq!(fields[..9], expected);
    assert_eq!(fields[9..], ["tags[0]", "metadata", "headers", "traceparent", "callback"]);
}

#[tokio::test]
async fn one_malformed_job_of_a_batch_keeps_none_of_the_others_out() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    for (door, input, ..) in TABLE.iter().filter(|row| matches!(row.0, Many)) {
        let jobs = format!(r#"[{{"kind": "before"}}, {input}, {{"kind": "after", "delay_ms": 60000}}]"#);
        let query = "select array_agg(id is not null) from posthaste.enqueue_many($1::jsonb)";
        let written: Vec<bool> = sqlx::query_scalar(query).bind(jobs).fetch_one(&mut connection).await.unwrap();
        assert_eq!(written, [true, false, true], "{door:?} {input}");
    }
}

#[tokio::test]
async fn what_postgres_itself_cannot_read_is_refused_and_aborts_nothing_else() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let before = counts(&mut connection).await;
    for (query, code) in [
        ("select posthaste.enqueue('k', args => 'nope')", "22P02"),
        ("select posthaste.enqueue('k', args => (repeat('[', 100000) || repeat(']', 100000))::json)", "54001"),
        ("select posthaste.enqueue('k', run_at => 'never')", "22007"),
        ("select posthaste.enqueue('k', priority => 99999999999)", "42883"),
        ("select posthaste.enqueue('k', nope => 1)", "42883"),
        (r#"select * from posthaste.enqueue_many('[{"kind": "k", "args": "\u0000"}]')"#, "22P05"),
        ("select * from posthaste.enqueue_many('{}')", "PH422"),
        ("select * from posthaste.enqueue_many(null)", "PH422"),
        ("select posthaste.cancel(0)", "PH404"),
        ("select posthaste.cancel(null)", "PH404"),
    ] {
        let error = sqlx::raw_sql(query).execute(&mut connection).await.unwrap_err();
        let said = error.as_database_error().unwrap().code().unwrap_or_default().into_owned();
        assert_eq!(said, code, "{query}: {error}");
        assert_eq!(counts(&mut connection).await, before, "{query}");
    }
}
