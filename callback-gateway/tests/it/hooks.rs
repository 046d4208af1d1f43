//! Webhooks to capability URLs: what they mean is up to expressions.

use posthaste_engine::{
    claim::ClaimedRun,
    delivery::{self, Which},
    inbox, judging,
    suspend::{Suspend, suspend},
};
use posthaste_protocol::{
    suspend::Suspension,
    token::{Claims, TokenKind},
};
use posthaste_tests::{FakeDispatcher, HOUR, sql};

use crate::{
    client::{Answer, exchange, post},
    rig::{Rig, claims, put_endpoint, until},
    signed,
};

impl Rig {
    /// Sends this to the hook of a run.
    pub async fn hook(&self, run: &ClaimedRun, headers: &[&str], body: &str) -> Answer {
        let token = self.gateway.token_of(&Claims { kind: TokenKind::Hook, ..claims(run) });
        exchange(self.gateway.address, &post(&format!("/v1/hooks/{token}"), headers, body.as_bytes())).await
    }

    /// Writes the endpoint of kind `k`, and waits until the gateway has read it.
    pub async fn endpoint(&mut self, cel: &str) {
        put_endpoint(&mut self.connection, "e", "k", cel).await;
        self.settle().await;
    }

    /// Waits until the gateway has read what was written before: it says so by knowing a source that is written now.
    pub async fn settle(&mut self) {
        let spec = r#"{"signature": {"scheme": "github", "secrets": [{"env": "NO_SUCH"}]}, "correlate": "payload"}"#;
        let spec = spec.replace(r#"{"env": "NO_SUCH"}"#, &format!(r#"{{"file": "{}"}}"#, signed::secret_file()));
        let name =
            format!("settled-{}", sql::number(&mut self.connection, "select count(*) from posthaste.source").await);
        let secrets = posthaste_engine::source::Secrets::Replace(None);
        posthaste_engine::source::put(&mut self.connection, &name, &spec, secrets).await.unwrap();
        let path = format!("/v1/sources/{name}");
        until("the gateway has read the configuration", async || {
            exchange(self.gateway.address, &post(&path, &[], b"{}")).await.status == 401
        })
        .await;
    }

    /// Suspends a run as its function asks.
    pub async fn suspend(&mut self, run: &ClaimedRun, body: &str) {
        let suspends = [Suspend {
            run: FakeDispatcher::accepted(run).run,
            suspension: Suspension::parse(body).unwrap(),
            max_run: HOUR.max_run,
            default_timeout: HOUR.callback,
        }];
        suspend(&mut self.dispatcher.settles, &suspends, &[run.lease.lease_id]).await.unwrap();
    }

    /// The hooks that the log lists, newest first, and whether each is still kept.
    async fn listed(&mut self) -> Vec<(String, bool)> {
        let all = delivery::list(&mut self.connection, Which::default(), None, 10).await.unwrap();
        all.into_iter().filter(|one| one.via == "hook").map(|one| (one.verdict, one.kept)).collect()
    }

    pub async fn result(&mut self, run: &ClaimedRun) -> String {
        let query =
            format!("select coalesce(result::text, 'none') from posthaste.attempt where job_id = {}", run.job_id);
        sql::text(&mut self.connection, &query).await
    }
}

#[tokio::test]
async fn a_hook_completes_a_plain_wait_with_whatever_came() {
    let mut rig = Rig::start().await;
    for (content_type, body, result) in [
        ("content-type: application/json", r#"{"paid" : true}"#, r#"{"paid" : true}"#),
        ("content-type: text/plain", "paid", r#""paid""#),
        ("content-type: application/x-www-form-urlencoded", "a=1", r#""a=1""#),
        ("content-type: application/json", "", "none"),
    ] {
        let run = rig.park().await;
        let answer = rig.hook(&run, &[content_type], body).await;
        assert_eq!((answer.status, answer.word(), answer.state()), (200, "applied", "completed"), "{body}");
        assert_eq!(rig.result(&run).await, result);
        let again = rig.hook(&run, &[content_type], body).await;
        assert_eq!((again.status, again.word(), again.state()), (200, "duplicate", "completed"), "{body}");
        let other = rig.hook(&run, &[content_type], r#"{"another": 1}"#).await;
        assert_eq!((other.status, other.word()), (409, "already_finalized"));
    }
}

#[tokio::test]
async fn a_hook_s_token_is_no_callback_s_and_the_other_way_round() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    let callback = rig.gateway.token(&run);
    let hook = rig.gateway.token_of(&Claims { kind: TokenKind::Hook, ..claims(&run) });
    for path in [format!("/v1/hooks/{callback}"), format!("/v1/callbacks/{hook}/complete")] {
        let answer = exchange(rig.gateway.address, &post(&path, &[], b"{}")).await;
        assert_eq!((answer.status, answer.word()), (401, "invalid_token"));
    }
}

#[tokio::test]
async fn what_says_that_it_is_json_and_is_not_is_refused() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    for (headers, body, status) in
        [(&[][..], "{", 400), (&["content-encoding: gzip"], "{}", 415), (&[], r#""\u0000""#, 422)]
    {
        assert_eq!(rig.hook(&run, headers, body).await.status, status, "{body}");
    }
    assert_eq!(rig.state(&run).await, "waiting");
}

#[tokio::test]
async fn the_expressions_of_the_endpoint_decide() {
    let mut rig = Rig::start().await;
    rig.endpoint(
        r#"{"filter": "payload.type.startsWith('charge.')", "on_fail": "payload.type == 'charge.failed'",
            "on_complete": "payload.type == 'charge.paid'", "transform": "{'amount': payload.amount}"}"#,
    )
    .await;
    for (body, status, word, state) in [
        (r#"{"type": "other"}"#, 200, "ignored", "waiting"),
        (r#"{"type": "charge.pending"}"#, 200, "ignored", "waiting"),
        (r#"{"type": "charge.failed"}"#, 200, "applied", "scheduled"),
        (r#"{"type": "charge.paid", "amount": 5}"#, 200, "applied", "completed"),
        (r#"{"type": 7}"#, 202, "quarantined", "waiting"),
    ] {
        let run = rig.park().await;
        let answer = rig.hook(&run, &[], body).await;
        assert_eq!((answer.status, answer.word()), (status, word), "{body}");
        assert_eq!(rig.state(&run).await, state, "{body}");
        if state == "completed" {
            assert_eq!(rig.result(&run).await, r#"{"amount":5}"#);
        }
    }
}

#[tokio::test]
async fn what_no_expression_could_judge_is_judged_again_when_asked() {
    let mut rig = Rig::start().await;
    rig.endpoint(r#"{"on_complete": "payload.state == 'done'"}"#).await;
    let run = rig.park().await;
    let answer = rig.hook(&run, &["x-kind: sent"], r#"{"status": "done"}"#).await;
    assert_eq!((answer.status, answer.word()), (202, "quarantined"));
    let kept = inbox::list(&mut rig.connection, None, None, 10).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].quarantine.payload, br#"{"status": "done"}"#);
    until("it is listed as kept", async || rig.listed().await == [("quarantined".to_owned(), true)]).await;

    rig.endpoint(r#"{"on_complete": "payload.status == 'done' && headers['x-kind'] == 'sent'"}"#).await;
    assert!(judging::ask(&mut rig.connection, kept[0].id).await.unwrap());

    until("it is judged", async || rig.state(&run).await == "completed").await;
    until("it is forgotten", async || sql::count(&mut rig.connection, "inbox").await == 0).await;
    let log = "select string_agg(verdict::text, ' ' order by delivery_id) from posthaste.delivery where via = 'hook'";
    until("both are logged", async || {
        sql::text(&mut rig.connection, &format!("select coalesce(({log}), '')")).await == "quarantined applied"
    })
    .await;
    let settled = [("applied".to_owned(), false), ("quarantined".to_owned(), false)];
    assert_eq!(rig.listed().await, settled, "whoever works off the list sees what is left");
}

#[tokio::test]
async fn a_hook_before_its_wait_is_known_is_kept_and_judged_when_it_is() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;
    let answer = rig.hook(&run, &[], r#"{"early": 1}"#).await;
    assert_eq!((answer.status, answer.word()), (202, "buffered"));
    assert_eq!(rig.state(&run).await, "running");

    rig.dispatcher.park(&run).await;

    until("it is judged", async || rig.state(&run).await == "completed").await;
    assert_eq!(rig.result(&run).await, r#"{"early": 1}"#);
}

#[tokio::test]
async fn a_hook_wakes_a_suspended_function() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;
    rig.suspend(&run, r#"{"wait": {"name": "paid", "for": "callback", "cel": {"on_complete": "payload.paid"}}}"#).await;

    let no = rig.hook(&run, &[], r#"{"paid": false}"#).await;
    let yes = rig.hook(&run, &[], r#"{"paid": true}"#).await;
    let again = rig.hook(&run, &[], r#"{"paid": true}"#).await;

    assert_eq!((no.status, no.word()), (200, "ignored"));
    assert_eq!((yes.status, yes.word(), yes.state()), (200, "applied", "available"));
    assert_eq!((again.status, again.word()), (200, "duplicate"));
    let next = rig.dispatcher.claim_one().await;
    assert!(next.run_lease > run.run_lease);
}

#[tokio::test]
async fn a_wait_that_asks_for_a_signature_takes_nothing_without_it() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;
    let file = signed::secret_file();
    let signature = format!(r#"{{"scheme": "github", "secrets": [{{"file": "{file}"}}]}}"#);
    rig.suspend(&run, &format!(r#"{{"wait": {{"name": "a", "for": "callback", "signature": {signature}}}}}"#)).await;
    let body = r#"{"ref": "main"}"#;

    for headers in [vec![], vec!["x-hub-signature-256: sha256=00".to_owned()], vec![signed::github(b"other")]] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = rig.hook(&run, &headers, body).await;
        assert_eq!((answer.status, answer.word()), (401, "invalid_signature"), "{headers:?}");
    }
    let answer = rig.hook(&run, &[&signed::github(body.as_bytes())], body).await;
    assert_eq!((answer.status, answer.word(), answer.state()), (200, "applied", "available"));
}

#[tokio::test]
async fn a_hook_for_a_wait_whose_secret_cannot_be_read_is_to_be_sent_again_and_the_log_says_why() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;
    let waits = r#"{"waits": [
        {"name": "a", "for": "callback",
          "signature": {"scheme": "github", "secrets": [{"file": "/no/such/webhook-secrets/a"}]}},
        {"name": "b", "for": "callback", "cel": {"filter": "payload.ref == 'b'"}}], "need": 2}"#;
    rig.suspend(&run, waits).await;

    let hidden = rig.hook(&run, &[&signed::github(b"{}")], r#"{"ref": "a"}"#).await;
    let other = rig.hook(&run, &[], r#"{"ref": "b"}"#).await;

    assert_eq!((hidden.status, hidden.word(), hidden.header("retry-after")), (503, "unverifiable", Some("1")));
    assert!(!hidden.body.to_string().contains("/no/such"), "{hidden:?}");
    assert_eq!((other.status, other.word(), other.state()), (200, "applied", "waiting"));
    let log = "delivery where via = 'hook' and verdict = 'rejected'
        and reason like 'unverifiable: the gateway cannot read a secret: %/no/such/webhook-secrets/a%'";
    until("it is logged", async || sql::count(&mut rig.connection, log).await == 1).await;
}

#[tokio::test]
async fn whoever_would_wake_a_function_that_waits_for_no_callback_is_told_so() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;
    rig.suspend(&run, r#"{"wait": {"name": "soon", "for": "timer", "timeout_ms": 60000}}"#).await;
    let answers = [rig.call(&run, "resume", "{}").await, rig.hook(&run, &[], "{}").await];
    for answer in answers {
        assert_eq!((answer.status, answer.word(), answer.state()), (409, "conflict", "waiting"));
    }
}

#[tokio::test]
async fn a_hook_meets_the_first_wait_whose_signature_and_expressions_fit_it() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;
    let signature = format!(r#"{{"scheme": "github", "secrets": [{{"file": "{}"}}]}}"#, signed::secret_file());
    let waits = format!(
        r#"{{"waits": [{{"name": "signed", "for": "callback", "signature": {signature}}},
            {{"name": "paid", "for": "callback", "cel": {{"filter": "payload.type == 'paid'"}}}},
            {{"name": "refunded", "for": "callback", "signature": {signature},
              "cel": {{"filter": "payload.type == 'refunded'"}}}}], "need": 3}}"#
    );
    rig.suspend(&run, &waits).await;
    let body = |event: &str| format!(r#"{{"type": "{event}"}}"#);
    for (event, is_signed, status, word) in [
        ("other", false, 200, "ignored"),
        ("refunded", false, 200, "ignored"),
        ("paid", false, 200, "applied"),
        ("other", false, 401, "invalid_signature"),
        ("other", true, 200, "applied"),
        ("another", true, 200, "ignored"),
        ("refunded", true, 200, "applied"),
    ] {
        let body = body(event);
        let header = signed::github(if is_signed { body.as_bytes() } else { b"other" });
        let answer = rig.hook(&run, &[&header], &body).await;
        assert_eq!((answer.status, answer.word()), (status, word), "{event} {is_signed}");
    }
    assert_eq!(rig.state(&run).await, "available");
    let payload = "select resume_payload::text from posthaste.continuation";
    let met = r#"{"signed":{"type": "other"},"paid":{"type": "paid"},"refunded":{"type": "refunded"}}"#;
    assert_eq!(sql::text(&mut rig.connection, payload).await, met);
}

#[tokio::test]
async fn a_token_wakes_a_suspended_function_and_stores_its_steps() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;
    let early = rig.call(&run, "resume", r#"{"payload": 0}"#).await;
    assert_eq!((early.status, early.word()), (202, "buffered"));
    let kept = rig.call(&run, "checkpoint", r#"{"seq": 0, "steps": {"a": 1}}"#).await;
    assert_eq!((kept.status, kept.word(), &kept.body["seq"]), (200, "applied", &1.into()));
    let late = rig.call(&run, "checkpoint", r#"{"seq": 0, "steps": {"b": 2}}"#).await;
    assert_eq!((late.status, late.word(), &late.body["seq"]), (409, "conflict", &1.into()));
    assert_eq!(late.body["job"], serde_json::json!({"id": run.job_id.to_string(), "state": "running"}));

    rig.suspend(&run, r#"{"waits": [{"name": "a", "for": "callback"}, {"name": "b", "for": "callback"}], "need": 2}"#)
        .await;
    // The early one met the first.
    let second = rig.call(&run, "resume", r#"{"payload": {"n": 2}}"#).await;
    assert_eq!((second.status, second.word(), second.state()), (200, "applied", "available"));
    let again = rig.call(&run, "resume", r#"{"payload": {"n": 2}}"#).await;
    assert_eq!((again.status, again.word()), (200, "duplicate"));
    let late = rig.call(&run, "resume", r#"{"payload": 3}"#).await;
    assert_eq!((late.status, late.word(), late.state()), (409, "already_finalized", "available"));
    assert!(late.body["detail"].as_str().unwrap().starts_with("the run waits no more"), "{late:?}");
}
