//! The answer table, row by row.

use http::{HeaderName, HeaderValue};

use super::*;

const JSON: (&str, &str) = ("content-type", "application/json");
const PROBLEM: (&str, &str) = ("content-type", "application/problem+json");
/// 2026-11-21T08:00:00Z
const NOW: i64 = 1_795_248_000;
const PROTOCOL: (&str, &str) = ("posthaste-protocol", "1");

/// An endpoint and its answer.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Case {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    map: BTreeMap<u16, Meaning>,
    sdk: bool,
    wait: bool,
    callbacks: bool,
    over_cap: bool,
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: impl AsRef<[u8]>) -> Case {
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    Case { status, headers, body: body.as_ref().to_vec(), ..Case::default() }
}

impl Case {
    fn reading(&self) -> (Reading, Verdict) {
        let view =
            AnswerView { status: self.status, headers: &self.headers, body: &self.body, over_cap: self.over_cap };
        let context = AnswerContext {
            status_map: &self.map,
            sdk: self.sdk,
            accept_202_wait: self.wait,
            callbacks: self.callbacks,
            max_run_ms: 60_000,
            now_unix: NOW,
            result_cap: RESULT_CAP,
        };
        classify(&view, &context)
    }

    /// Of an answer that ends its run.
    fn read(&self) -> (Outcome, Verdict) {
        match self.reading() {
            (Reading::Ended(outcome), verdict) => (outcome, verdict),
            (other, _) => panic!("{other:?} is no end"),
        }
    }

    /// Outcome as a word, error code or result, verdict.
    fn short(&self) -> (&'static str, String, Verdict) {
        let (outcome, verdict) = self.read();
        let (word, detail) = match outcome {
            Outcome::Completed { result } => ("completed", result.unwrap_or_default()),
            Outcome::Failed { error, .. } => ("failed", error.code.into_owned()),
            Outcome::Throttled { error, charged: false, .. } => ("throttled", error.code.into_owned()),
            Outcome::Snoozed { after } => ("snoozed", after.as_secs().to_string()),
            Outcome::GaveUp { error } => ("gave_up", error.code.into_owned()),
            Outcome::Cancelled { reason } => ("cancelled", reason.unwrap_or_default()),
            Outcome::Misconfigured { error, .. } => ("misconfigured", error.code.into_owned()),
            other => panic!("no answer comes to {other:?}"),
        };
        (word, detail, verdict)
    }

    fn error(&self) -> RunError {
        match self.read().0 {
            Outcome::Failed { error, .. }
            | Outcome::Throttled { error, .. }
            | Outcome::GaveUp { error }
            | Outcome::Misconfigured { error, .. } => error,
            other => panic!("{other:?} has no error"),
        }
    }

    fn wish(&self) -> Option<Duration> {
        match self.read().0 {
            Outcome::Failed { retry_after, .. }
            | Outcome::Throttled { retry_after, .. }
            | Outcome::Misconfigured { retry_after, .. } => retry_after,
            other => panic!("{other:?} has no wish"),
        }
    }
}

#[track_caller]
fn assert_reads(case: &Case, word: &str, detail: &str, verdict: Verdict) {
    assert_eq!(case.short(), (case.short().0, detail.to_owned(), verdict));
    assert_eq!(case.short().0, word);
}

#[test]
fn every_status_means_what_the_table_says() {
    for status in 100..1000_u16 {
        let code = format!("http_{status}");
        let (word, code, verdict) = match status {
            206 | 401 | 403 | 404 | 405 => ("misconfigured", code, Verdict::Misconfigured),
            200..300 => ("completed", String::new(), Verdict::Success),
            408 | 409 | 425 => ("failed", code, Verdict::Neutral),
            410 => ("gave_up", code, Verdict::Retired),
            429 | 503 => ("throttled", code, Verdict::Throttled),
            400..500 => ("gave_up", code, Verdict::Neutral),
            501 => ("gave_up", code, Verdict::Failure5xx),
            500..600 => ("failed", code, Verdict::Failure5xx),
            _ => ("misconfigured", code, Verdict::Misconfigured),
        };
        assert_reads(&answer(status, &[], ""), word, &code, verdict);
    }
}

#[test]
fn done_with_a_result_stores_json_as_json_and_text_as_a_string() {
    for status in [200, 201, 203] {
        assert_reads(&answer(status, &[JSON], "{\"a\": 1}"), "completed", "{\"a\": 1}", Verdict::Success);
        assert_reads(&answer(status, &[("content-type", "text/plain")], "hi"), "completed", "\"hi\"", Verdict::Success);
    }
    assert_eq!(answer(204, &[JSON], "").read().0, Outcome::Completed { result: None });
    assert_eq!(answer(200, &[JSON], "null").read().0, Outcome::Completed { result: None });
}

#[test]
fn a_result_over_one_mebibyte_is_dead() {
    let body = vec![b'x'; RESULT_CAP];
    assert_eq!(answer(200, &[], &body).short().0, "completed");
    assert_reads(&answer(200, &[], [&body[..], b"x"].concat()), "gave_up", "result_too_large", Verdict::Neutral);
    let cut = Case { over_cap: true, ..answer(200, &[], "x") };
    assert_reads(&cut, "gave_up", "result_too_large", Verdict::Neutral);
}

#[test]
fn a_202_that_promises_a_callback_waits_for_it() {
    let timeout = ("posthaste-callback-timeout-ms", "1000");
    let heartbeat = ("posthaste-heartbeat-timeout-ms", "2000");
    let both = Accepted { callback_timeout_ms: Some(1000), heartbeat_timeout_ms: Some(2000) };
    for (case, accepted) in [
        (answer(202, &[PROTOCOL], ""), Accepted::default()),
        (answer(202, &[JSON], "{}"), Accepted::default()),
        (answer(202, &[timeout, heartbeat], ""), both),
    ] {
        let case = Case { callbacks: true, wait: case.headers.contains_key("content-type"), ..case };
        let (Reading::Accepted(Ok(read)), Verdict::Success) = case.reading() else { panic!("{accepted:?}: it waits") };
        assert_eq!(read, accepted);
    }
    let unreadable = Case { callbacks: true, ..answer(202, &[("posthaste-heartbeat-timeout-ms", "1h")], "") };
    let (Reading::Accepted(Err(error)), Verdict::Success) = unreadable.reading() else {
        panic!("it waits all the same")
    };
    assert!(error.to_string().contains("heartbeat"), "{error}");
}

#[test]
fn a_202_that_promises_nothing_or_is_mapped_ends_its_run_also_where_functions_call_back() {
    let callbacks = |case| Case { callbacks: true, ..case };
    assert_reads(&callbacks(answer(202, &[JSON], "{}")), "completed", "{}", Verdict::Success);
    let mapped = Case { wait: true, map: BTreeMap::from([(202, Meaning::Complete)]), ..answer(202, &[], "") };
    assert_reads(&callbacks(mapped), "completed", "", Verdict::Success);
    let sdk = Case { sdk: true, wait: true, ..answer(202, &[], "") };
    assert_reads(&callbacks(sdk), "misconfigured", "not_sdk", Verdict::Misconfigured);
    let said = answer(202, &[PROTOCOL, ("posthaste-outcome", "fail")], "");
    assert_reads(&callbacks(said), "gave_up", "http_202", Verdict::Neutral);
}

fn suspended(body: &str) -> Case {
    let case = answer(202, &[PROTOCOL, ("posthaste-outcome", "suspend")], body);
    Case { callbacks: true, ..case }
}

#[test]
fn a_suspension_is_what_its_body_says() {
    for body in [
        r#"{"wait": {"name": "payment", "for": "callback"}, "steps": {"a": 1}}"#,
        r#"{"wait": {"name": "nap", "for": "timer", "timeout_ms": 60000}}"#,
        r#"{"wait": {"name": "nap", "for": "timer", "until": "2026-11-21T08:01:00Z"}}"#,
        r#"{"wait": {"name": "past", "for": "timer", "until": "2001-01-01T00:00:00Z"}}"#,
    ] {
        let (Reading::Suspended(suspension), Verdict::Success) = suspended(body).reading() else { panic!("{body}") };
        assert_eq!((suspension.waits.len(), suspension.need), (1, 1), "{body}");
    }
}

#[test]
fn a_suspension_that_cannot_be_is_a_failed_attempt_that_names_its_first_fault() {
    for (body, named) in [
        ("", "JSON"),
        (r#"{"wait": {"name": "a", "for": "wind"}}"#, "wait.for"),
        (r#"{"steps": {}}"#, "wait"),
        (r#"{"wait": {"name": "long", "for": "timer", "timeout_ms": 60001}}"#, "timer long"),
        (r#"{"wait": {"name": "late", "for": "timer", "until": "2026-11-21T08:01:01Z"}}"#, "timer late"),
    ] {
        let case = suspended(body);
        assert_reads(&case, "failed", "invalid_suspension", Verdict::Neutral);
        assert!(case.error().message.contains(named), "{body}: {}", case.error().message);
        assert!(!case.error().message.starts_with(':'), "{body}: {}", case.error().message);
    }
    let cut = Case { over_cap: true, ..suspended("{}") };
    assert!(cut.error().message.contains("larger than"));
}

#[test]
fn a_202_that_promises_a_callback_is_dead_where_nothing_takes_callbacks() {
    let timeout = ("posthaste-callback-timeout-ms", "1000");
    let heartbeat = ("posthaste-heartbeat-timeout-ms", "1000");
    for promise in [PROTOCOL, timeout, heartbeat] {
        assert_reads(&answer(202, &[promise], ""), "gave_up", "callbacks_unavailable", Verdict::Neutral);
    }
    let waits = Case { wait: true, ..answer(202, &[], "") };
    assert_reads(&waits, "gave_up", "callbacks_unavailable", Verdict::Neutral);
    let suspend = answer(202, &[PROTOCOL, ("posthaste-outcome", "suspend")], "{\"wait\":{}}");
    assert_reads(&suspend, "gave_up", "callbacks_unavailable", Verdict::Neutral);
}

#[test]
fn a_202_that_promises_nothing_completes() {
    assert_reads(&answer(202, &[JSON], "{}"), "completed", "{}", Verdict::Success);
    let says_complete = Case { wait: true, ..answer(202, &[PROTOCOL, ("posthaste-outcome", "complete")], "") };
    assert_reads(&says_complete, "completed", "", Verdict::Success);
    let map = BTreeMap::from([(202, Meaning::Complete)]);
    let mapped = Case { wait: true, map, ..answer(202, &[], "") };
    assert_reads(&mapped, "completed", "", Verdict::Success);
}

#[test]
fn the_outcome_header_wins_over_every_status() {
    for status in [200, 202, 302, 404, 410, 429, 500] {
        let code = format!("http_{status}");
        let case = |word| answer(status, &[("posthaste-outcome", word), ("retry-after", "7")], "why");
        assert_reads(&case("retry"), "failed", &code, Verdict::Neutral);
        assert_reads(&case("fail"), "gave_up", &code, Verdict::Neutral);
        assert_reads(&case("cancel"), "cancelled", "why", Verdict::Neutral);
        assert_reads(&case("snooze"), "snoozed", "7", Verdict::Neutral);
        assert_reads(&case(" Complete "), "completed", "\"why\"", Verdict::Success);
        assert_reads(&case("suspend"), "gave_up", "callbacks_unavailable", Verdict::Neutral);
    }
}

#[test]
fn a_snooze_without_a_time_waits_a_minute() {
    assert_reads(&answer(200, &[("posthaste-outcome", "snooze")], ""), "snoozed", "60", Verdict::Neutral);
}

#[test]
fn an_unknown_outcome_is_a_failed_attempt_that_names_it() {
    for word in ["completed", "done", ""] {
        let case = answer(200, &[("posthaste-outcome", word)], "{}");
        assert_reads(&case, "failed", "unknown_outcome", Verdict::Neutral);
        assert_eq!(case.error().message, format!("unknown posthaste-outcome: {word}"));
    }
    let mut two = answer(200, &[("posthaste-outcome", "retry")], "");
    two.headers.append("posthaste-outcome", HeaderValue::from_static("retry"));
    assert_eq!(two.short().0, "failed");
    two.headers.append("posthaste-outcome", HeaderValue::from_static("complete"));
    assert_reads(&two, "failed", "unknown_outcome", Verdict::Neutral);
    two.headers.insert("posthaste-outcome", HeaderValue::from_bytes(b"\xff").unwrap());
    assert_reads(&two, "failed", "unknown_outcome", Verdict::Neutral);
}

#[test]
fn a_function_that_fails_may_name_its_own_reason() {
    let said = ("posthaste-outcome", "fail");
    let case = answer(200, &[said, JSON], r#"{"code": "Card.Declined", "message": "no funds"}"#);
    assert_reads(&case, "gave_up", "card.declined", Verdict::Neutral);
    assert_eq!(case.error().message, "no funds");
    let illegal = answer(422, &[said, JSON], r#"{"code": "a b", "message": "m"}"#);
    assert_reads(&illegal, "gave_up", "http_422", Verdict::Neutral);
    let framework = answer(500, &[JSON], r#"{"code": "E1", "message": "m"}"#);
    assert_reads(&framework, "failed", "http_500", Verdict::Failure5xx);
}

#[test]
fn retry_after_is_honoured_everywhere() {
    for status in [302, 401, 404, 408, 409, 425, 429, 500, 502, 503, 504, 520] {
        assert_eq!(answer(status, &[("retry-after", "30")], "").wish(), Some(Duration::from_secs(30)), "{status}");
        assert_eq!(answer(status, &[], "").wish(), None, "{status}");
    }
    let dated = [("retry-after", "Sat, 21 Nov 2026 08:00:09 GMT"), ("date", "Sat, 21 Nov 2026 08:00:00 GMT")];
    assert_eq!(answer(503, &dated, "").wish(), Some(Duration::from_secs(9)));
    let function_error = answer(200, &[("x-amz-function-error", "Unhandled"), ("retry-after", "30")], "");
    assert_eq!(function_error.wish(), Some(Duration::from_secs(30)));
}

#[test]
fn platforms_that_are_overloaded_throttle_whatever_the_status() {
    let lambda = ("x-amzn-errortype", "TooManyRequestsException:http://internal.amazon.com/");
    assert_reads(&answer(400, &[lambda], ""), "throttled", "http_400", Verdict::Throttled);
    assert_reads(&answer(429, &[lambda], ""), "throttled", "http_429", Verdict::Throttled);
    let page = "<html>The request was aborted because there was no available instance.</html>";
    assert_reads(&answer(500, &[], page), "throttled", "http_500", Verdict::Throttled);
    assert_reads(
        &answer(200, &[], "no available instance"),
        "completed",
        "\"no available instance\"",
        Verdict::Success,
    );
}

#[test]
fn a_lambda_function_error_is_a_failed_attempt() {
    let body = r#"{"errorMessage": "division by zero", "errorType": "ZeroDivisionError"}"#;
    let case = answer(200, &[("x-amz-function-error", "Unhandled"), JSON], body);
    assert_reads(&case, "failed", "function_error", Verdict::Failure5xx);
    assert_eq!(case.error().message, "division by zero");
}

#[test]
fn a_2xx_that_does_not_speak_the_protocol_is_not_an_sdk_endpoints_answer() {
    let sdk = |case: Case| Case { sdk: true, ..case };
    for status in [200, 202, 204] {
        assert_reads(&sdk(answer(status, &[], "")), "misconfigured", "not_sdk", Verdict::Misconfigured);
    }
    assert_reads(&sdk(answer(200, &[PROTOCOL], "1")), "completed", "1", Verdict::Success);
    assert_reads(&sdk(answer(500, &[], "")), "failed", "http_500", Verdict::Failure5xx);
}

#[test]
fn the_status_map_of_an_endpoint_overrides_the_table() {
    let map = BTreeMap::from([
        (404, Meaning::Retry),
        (500, Meaning::Fail),
        (409, Meaning::Complete),
        (200, Meaning::Throttle),
        (418, Meaning::Retire),
        (425, Meaning::Snooze),
        (420, Meaning::Cancel),
        (400, Meaning::Misconfigured),
    ]);
    let mapped = |status| Case { map: map.clone(), ..answer(status, &[("retry-after", "5")], "") };
    assert_reads(&mapped(404), "failed", "http_404", Verdict::Neutral);
    assert_reads(&mapped(500), "gave_up", "http_500", Verdict::Failure5xx);
    assert_reads(&mapped(409), "completed", "", Verdict::Success);
    assert_reads(&mapped(200), "throttled", "http_200", Verdict::Throttled);
    assert_reads(&mapped(418), "gave_up", "http_418", Verdict::Retired);
    assert_reads(&mapped(425), "snoozed", "5", Verdict::Neutral);
    assert_reads(&mapped(420), "cancelled", "", Verdict::Neutral);
    assert_reads(&mapped(400), "misconfigured", "http_400", Verdict::Misconfigured);
    let says = Case { map, ..answer(404, &[("posthaste-outcome", "fail")], "") };
    assert_reads(&says, "gave_up", "http_404", Verdict::Neutral);
}

#[test]
fn a_problem_says_whether_and_when_to_retry() {
    let problem = |status, body| answer(status, &[PROBLEM], body);
    assert_reads(&problem(500, r#"{"retryable": false}"#), "gave_up", "http_500", Verdict::Neutral);
    assert_reads(&problem(404, r#"{"retryable": false}"#), "gave_up", "http_404", Verdict::Neutral);
    assert_reads(&problem(400, r#"{"retryable": true}"#), "failed", "http_400", Verdict::Neutral);
    assert_reads(&problem(422, r#"{"code": "no_such_order"}"#), "gave_up", "no_such_order", Verdict::Neutral);
    let wish = problem(500, r#"{"detail": "busy", "title": "x", "retry_after": 12.5}"#);
    assert_eq!(wish.wish(), Some(Duration::from_millis(12_500)));
    assert_eq!(wish.error().message, "busy");
    let both = answer(500, &[PROBLEM, ("retry-after", "3")], r#"{"retry_after": 12}"#);
    assert_eq!(both.wish(), Some(Duration::from_secs(3)));
    let plain = answer(500, &[JSON], r#"{"retryable": false}"#);
    assert_reads(&plain, "failed", "http_500", Verdict::Failure5xx);
    let said = answer(500, &[PROBLEM, ("posthaste-outcome", "retry")], r#"{"retryable": false}"#);
    assert_reads(&said, "failed", "http_500", Verdict::Neutral);
}

#[test]
fn the_message_of_an_error_is_found_cleaned_and_bounded() {
    for (body, message) in [
        ("", "answered 500 Internal Server Error"),
        ("plain\0 words\r\n", "plain words"),
        (r#"{"error": "bad"}"#, "bad"),
        (r#"{"error": {"code": "x", "message": "worse"}}"#, "worse"),
        (r#"{"message": "a\u0000b"}"#, "ab"),
        (r#"{"other": 1}"#, r#"{"other": 1}"#),
        ("{not json", "{not json"),
        ("auth: Bearer abcdefgh12345678", "auth: Bearer [redacted]"),
    ] {
        assert_eq!(answer(500, &[], body).error().message, message, "{body}");
    }
    let long = answer(500, &[], vec![b'e'; 1 << 20]).error().message;
    assert_eq!(long.len(), excerpt::ERROR_BYTES);
    let deep = answer(500, &[JSON], format!("{{\"a\":{}", "[".repeat(10_000)));
    assert_eq!(deep.error().code, "http_500");
    assert!(answer(302, &[], "").error().message.contains("never followed"));
}

#[test]
fn a_compressed_answer_is_a_failed_attempt_and_its_body_is_never_read() {
    let gzip = ("content-encoding", "gzip");
    assert_reads(&answer(200, &[gzip], "\x1f"), "failed", "unsupported_encoding", Verdict::Neutral);
    assert_reads(&answer(200, &[("content-encoding", "Identity")], "1"), "completed", "1", Verdict::Success);
    assert_reads(&answer(204, &[gzip], ""), "completed", "", Verdict::Success);
    let error = answer(500, &[gzip, PROBLEM], r#"{"retryable": false, "detail": "x"}"#);
    assert_reads(&error, "failed", "http_500", Verdict::Failure5xx);
    assert_eq!(error.error().message, "answered 500 Internal Server Error");
}
