use posthaste_protocol::{accepted::Accepted as Read, suspend::Suspension};
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::vectors::cases;

#[derive(Deserialize)]
struct Body {
    body: String,
}

/// What a function can say, the server reads as published. How it refuses the rest is its own.
#[test]
fn suspend() {
    let mut said = 0;
    for case in cases::<Body>(include_str!("../../../tests/vectors/suspend.json")) {
        let Some(expect) = case.expect else { continue };
        let written: WrittenSuspension = serde_json::from_str(&case.given.body).unwrap();
        let answer = of_outcome(Suspend::from(written).into());
        assert_eq!(answer.status(), 202);
        assert_eq!(answer.headers()["posthaste-outcome"], "suspend");
        let read = Suspension::parse(std::str::from_utf8(answer.body()).unwrap()).unwrap();
        let steps = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let told = json!({"waits": read.waits, "need": read.need, "seq": read.seq,
            "steps": read.steps.map(|raw| steps(raw.get()))});
        let mut expect = expect;
        // No steps are left out, which is the same: steps are merged.
        let given = expect["steps"].as_str().map(steps).filter(|steps| *steps != json!({}));
        expect["steps"] = given.unwrap_or_default();
        assert_eq!(told, expect, "{}", case.name);
        said += 1;
    }
    assert!(said >= 8, "{said} suspensions");
}

#[test]
fn accepted() {
    let mut said = 0;
    for case in cases::<Value>(include_str!("../../../tests/vectors/accepted.json")) {
        let Some(expect) = case.expect else { continue };
        let timeout = |name: &str| expect[name].as_u64().map(Duration::from_millis);
        let (callback_timeout, heartbeat_timeout) = (timeout("callback_timeout_ms"), timeout("heartbeat_timeout_ms"));
        let answer = of_outcome(Accepted { callback_timeout, heartbeat_timeout }.into());
        let read = Read::read(answer.headers()).unwrap();
        let told =
            json!({"callback_timeout_ms": read.callback_timeout_ms, "heartbeat_timeout_ms": read.heartbeat_timeout_ms});
        assert_eq!((answer.status().as_u16(), told), (202, expect), "{}", case.name);
        said += 1;
    }
    assert!(said >= 3, "{said} answers");
}

#[test]
fn every_answer_names_the_protocol_and_reads_back_as_it_was() {
    let hour = Duration::from_hours(1);
    let outcomes: [Outcome; 11] = [
        Completed::new().into(),
        Outcome::completed(&json!({"a": [1, 2.5]})).unwrap(),
        Accepted::new().callback_timeout(hour).into(),
        Suspend::until(crate::Wait::timer("nap", hour)).step("a", 1).unwrap().into(),
        Snooze::after(Duration::from_millis(1500)).into(),
        Snooze::new().into(),
        Retry::new("on fire").code("fire").after(hour).into(),
        Fail::new("no such order").code("no_such_order").into(),
        Cancel::because("late").into(),
        Throttle::after(hour).message("busy").into(),
        Retire::because("moved").into(),
    ];
    for outcome in outcomes {
        let answer = of_outcome(outcome.clone());
        assert_eq!(answer.headers()["posthaste-protocol"], "1", "{outcome:?}");
        assert_eq!(read::outcome(&answer), Some(outcome));
    }
    assert_eq!(refused(401, "invalid_signature", "no").headers()["posthaste-protocol"], "1");
    let snoozed = of_outcome(Snooze::after(Duration::from_millis(1500)).into());
    assert_eq!(snoozed.headers()["retry-after"], "1.5");
}

#[test]
fn a_code_that_the_server_would_not_take_is_left_out() {
    for code in ["has space", "", "é", &"x".repeat(65)] {
        let of = |outcome: Outcome| {
            let body: Value = serde_json::from_slice(of_outcome(outcome).body()).unwrap();
            body["code"].as_str().map(str::to_owned)
        };
        assert_eq!(of(Retry::new("no").code(code).into()).as_deref(), Some("retry"), "{code}");
        assert_eq!(of(Fail::new("no").code(code).into()), of(Fail::new("no").into()), "{code}");
        assert_ne!(of(Fail::new("no").code("x".repeat(64)).into()), of(Fail::new("no").into()));
    }
}
