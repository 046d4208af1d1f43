//! Explain: why a job is not running. One statement collects what decides it; the rest is pure.

mod last_run;
mod report;

pub use report::{EndpointReport, endpoint_reports};

use chrono::{DateTime, SecondsFormat, Utc};
use posthaste_protocol::{id::JobId, job::State};
use serde::Serialize;
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::EngineError;
use last_run::LastRun;

/// The most runs counted ahead of a job.
const AHEAD_CAP: i64 = 10_000;

/// The first thing that keeps a job from running, in the order in which an operator would mend them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It has ended.
    Ended,
    /// It is running.
    Running,
    /// Its function has accepted it, and has not called back yet.
    WaitingForCallback,
    /// Its function waits for something, and will be asked again.
    Suspended,
    /// It waits for a time.
    Scheduled,
    /// It names an endpoint that does not exist.
    EndpointMissing,
    /// No endpoint takes its kind.
    NoEndpointForKind,
    /// Its endpoint is paused.
    EndpointPaused,
    /// No dispatcher has been heard for 15 s.
    NoDispatcher,
    /// No dispatcher can use its endpoint: an address that is refused, a reference that cannot be read.
    EndpointUnusable,
    /// Every dispatcher has stopped asking its endpoint for a while, after too many failures.
    BreakerOpen,
    /// Its endpoint has as many requests as it may have at once.
    EndpointBusy,
    /// Others of its lane come first.
    BehindOthers,
    /// Nothing: it is next.
    Next,
}

/// Why a job is not running.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The job.
    pub id: JobId,
    /// Where it stands.
    pub state: State,
    /// The stable reason.
    pub reason: Reason,
    /// The same, as a sentence.
    pub detail: String,
    /// The endpoint that takes the job, if one does.
    pub endpoint: Option<String>,
    /// Not before this time.
    pub run_at: DateTime<Utc>,
    /// Whether somebody asked to cancel the running job.
    pub cancel_requested: bool,
    /// Runs of its lane that come first, counted to 10,000; `null` unless it is available.
    pub ahead: Option<i64>,
    /// Dispatchers heard within 15 s.
    pub dispatchers: i64,
    /// Whether a dispatcher finds the endpoint misconfigured.
    pub misconfigured: bool,
}

/// What was read.
struct Facts {
    state: State,
    kind: String,
    named: Option<String>,
    run_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    endpoint: Option<String>,
    endpoint_exists: bool,
    paused: Option<(DateTime<Utc>, Option<String>)>,
    held: Option<(i64, Option<String>, DateTime<Utc>)>,
    last: Option<LastRun>,
    /// Since when it is parked, and until when its function must give a sign of life.
    parked: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// How many of which waits a suspended function needs.
    awaited: Option<(i64, Vec<String>)>,
    cancel_requested: bool,
    alive: i64,
    states: Vec<EndpointReport>,
    ahead: i64,
}

/// Explains one job.
pub async fn explain(connection: &mut PgConnection, id: JobId) -> Result<Explanation, EngineError> {
    let row = sqlx::query(include_str!("sql/explain.sql"))
        .bind(id.0)
        .bind(AHEAD_CAP)
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| EngineError::NotFound(format!("job {id}")))?;
    let facts = Facts::from_row(&row)?;
    let (reason, detail) = facts.reason();
    let misconfigured = facts.misconfigured();
    Ok(Explanation {
        id,
        state: facts.state,
        reason,
        detail,
        ahead: (facts.state == State::Available).then_some(facts.ahead),
        endpoint: facts.endpoint.filter(|_| facts.endpoint_exists),
        run_at: facts.run_at,
        cancel_requested: facts.cancel_requested,
        dispatchers: facts.alive,
        misconfigured,
    })
}

impl Facts {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let state: &str = row.try_get("state")?;
        let paused_at: Option<DateTime<Utc>> = row.try_get("paused_at")?;
        let paused_reason: Option<String> = row.try_get("paused_reason")?;
        let claimed_at: Option<DateTime<Utc>> = row.try_get("claimed_at")?;
        let parked_at: Option<DateTime<Utc>> = row.try_get("parked_at")?;
        let deadline_at: Option<DateTime<Utc>> = row.try_get("deadline_at")?;
        let need: Option<i64> = row.try_get("need")?;
        let dispatcher: Option<i64> = row.try_get("dispatcher_id")?;
        let host: Option<String> = row.try_get("host")?;
        let states: Option<Vec<Option<String>>> = row.try_get("states")?;
        // A dispatcher of another version may say more or less: what cannot be read is left out.
        let states = states.unwrap_or_default().into_iter().flatten();
        Ok(Self {
            state: state.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            kind: row.try_get("kind")?,
            named: row.try_get("named")?,
            run_at: row.try_get("run_at")?,
            finished_at: row.try_get("finished_at")?,
            endpoint: row.try_get("endpoint")?,
            endpoint_exists: row.try_get("endpoint_exists")?,
            paused: paused_at.map(|at| (at, paused_reason)),
            held: dispatcher.zip(claimed_at).map(|(id, at)| (id, host, at)),
            last: LastRun::from_row(row)?,
            parked: parked_at.zip(deadline_at),
            awaited: need.zip(row.try_get("awaited")?),
            cancel_requested: row.try_get("cancel_requested")?,
            alive: row.try_get("alive")?,
            states: states.filter_map(|text| serde_json::from_str(&text).ok()).collect(),
            ahead: row.try_get::<Option<i64>, _>("ahead")?.unwrap_or(0),
        })
    }

    fn reason(&self) -> (Reason, String) {
        match self.state {
            State::Completed | State::Cancelled | State::Dead => {
                let at = self.finished_at.map(|at| format!(" at {}", show(at))).unwrap_or_default();
                let why = self.last.as_ref().map(LastRun::why).unwrap_or_default();
                (Reason::Ended, format!("the job ended{at}: it is {}{why}", self.state))
            }
            State::Running => (Reason::Running, self.running()),
            State::Scheduled => (Reason::Scheduled, self.with_misconfigured(self.scheduled())),
            State::Waiting if self.awaited.is_some() => (Reason::Suspended, self.waiting()),
            State::Waiting => (Reason::WaitingForCallback, self.waiting()),
            State::Available | State::Blocked => {
                let (reason, mut detail) = self.not_started();
                if let Some(last) = &self.last {
                    detail = format!("{detail}; before, {}", last.clause());
                }
                (reason, self.with_misconfigured(detail))
            }
        }
    }

    fn scheduled(&self) -> String {
        let at = show(self.run_at);
        match &self.last {
            Some(last) => format!("{}; it is tried again at {at}", last.clause()),
            None => format!("the job is scheduled to run at {at}"),
        }
    }

    fn misconfigured(&self) -> bool {
        self.states.iter().any(|state| state.misconfigured)
    }

    /// Adds what keeps runs failing until somebody mends the endpoint.
    fn with_misconfigured(&self, detail: String) -> String {
        match &self.endpoint {
            Some(endpoint) if self.misconfigured() => format!(
                "{detail}; endpoint {endpoint} is misconfigured: five jobs got answers such as 401 or 404, and none \
                 succeeded since"
            ),
            _ => detail,
        }
    }

    fn running(&self) -> String {
        let Some((id, host, since)) = &self.held else {
            return "the job is being claimed".to_owned();
        };
        let host = host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
        let asked = if self.cancel_requested { "; it was asked to cancel" } else { "" };
        format!("dispatcher {id}{host} has been running the job since {}{asked}", show(*since))
    }

    fn waiting(&self) -> String {
        let Some((since, deadline)) = self.parked else {
            return "the job waits for a callback".to_owned();
        };
        let asked = if self.cancel_requested { "; it was asked to cancel" } else { "" };
        let (since, deadline) = (show(since), show(deadline));
        match &self.awaited {
            None => format!("the job waits for a callback since {since}, and times out at {deadline}{asked}"),
            Some((need, waits)) => {
                // One of several that is over does not end the others.
                let (of, least) =
                    if waits.len() > 1 { (format!("{need} of "), " at least") } else { (String::new(), "") };
                let waits = waits.join(", ");
                format!(
                    "the function is suspended since {since}, and waits for {of}{waits}, until {deadline}{least}{asked}"
                )
            }
        }
    }

    fn not_started(&self) -> (Reason, String) {
        let kind = &self.kind;
        let Some(endpoint) = self.endpoint.as_ref().filter(|_| self.endpoint_exists) else {
            return match &self.named {
                Some(named) => (
                    Reason::EndpointMissing,
                    format!(
                        "the job names endpoint {named}, which does not exist; make it with `posthaste endpoint put \
                         {named}` or PUT /v1/endpoints/{named}"
                    ),
                ),
                None => {
                    (Reason::NoEndpointForKind, format!("no endpoint takes kind {kind}; add it to the kinds of one"))
                }
            };
        };
        if let Some((at, reason)) = &self.paused {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            return (Reason::EndpointPaused, format!("endpoint {endpoint} is paused since {}{reason}", show(*at)));
        }
        if self.alive == 0 {
            return (Reason::NoDispatcher, "no dispatcher has been heard for 15 s; start one".to_owned());
        }
        if self.all_say(|state| state.unusable.is_some()) {
            let why = self.states.iter().find_map(|state| state.unusable.clone()).unwrap_or_default();
            return (Reason::EndpointUnusable, format!("no dispatcher can use endpoint {endpoint}: {why}"));
        }
        // One dispatcher that can take it is enough.
        if self.all_say(|state| state.breaker == "open") {
            let why = "its breaker is open, and probes will close it";
            return (Reason::BreakerOpen, format!("too many requests to endpoint {endpoint} failed: {why}"));
        }
        if self.all_say(|state| state.limit.is_some_and(|limit| state.in_flight >= limit)) {
            let in_flight: u64 = self.states.iter().map(|state| state.in_flight).sum();
            return (
                Reason::EndpointBusy,
                format!("endpoint {endpoint} has {in_flight} requests in flight, as many as it may have at once"),
            );
        }
        match self.ahead {
            0 => (Reason::Next, format!("the job is next for endpoint {endpoint}")),
            AHEAD_CAP => (Reason::BehindOthers, format!("at least {AHEAD_CAP} runs of its queue and kind come first")),
            n => (Reason::BehindOthers, format!("{n} runs of its queue and kind come first")),
        }
    }

    /// Whether every live dispatcher says so; one that says nothing of the endpoint does not.
    fn all_say(&self, says: impl Fn(&EndpointReport) -> bool) -> bool {
        let said = self.states.iter().filter(|state| says(state)).count();
        said > 0 && i64::try_from(said).is_ok_and(|said| said >= self.alive)
    }
}

/// RFC 3339 in UTC, to the second.
fn show(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            state: State::Available,
            kind: "pdf".to_owned(),
            named: None,
            run_at: DateTime::UNIX_EPOCH,
            finished_at: None,
            endpoint: Some("printer".to_owned()),
            endpoint_exists: true,
            paused: None,
            held: None,
            last: None,
            parked: None,
            awaited: None,
            cancel_requested: false,
            alive: 1,
            states: vec![EndpointReport::default()],
            ahead: 0,
        }
    }

    fn state(json: &str) -> EndpointReport {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_an_operator_must_mend_first_comes_first() {
        let mut facts = facts();
        assert_eq!(facts.reason().0, Reason::Next);
        facts.ahead = 7;
        assert_eq!(facts.reason(), (Reason::BehindOthers, "7 runs of its queue and kind come first".to_owned()));
        facts.states = vec![state(r#"{"breaker":"closed","in_flight":4,"limit":4}"#)];
        assert_eq!(facts.reason().0, Reason::EndpointBusy);
        facts.states = vec![state(r#"{"breaker":"open","in_flight":0,"limit":4,"misconfigured":true,"new":1}"#)];
        assert_eq!(facts.reason().0, Reason::BreakerOpen);
        facts.alive = 0;
        assert_eq!(facts.reason().0, Reason::NoDispatcher);
        facts.states.clear();
        facts.paused = Some((DateTime::UNIX_EPOCH, Some("410".to_owned())));
        assert_eq!(facts.reason().1, "endpoint printer is paused since 1970-01-01T00:00:00Z: 410");
        facts.endpoint_exists = false;
        assert_eq!(facts.reason().0, Reason::NoEndpointForKind);
        facts.named = Some("printer".to_owned());
        assert_eq!(facts.reason().0, Reason::EndpointMissing);
    }

    #[test]
    fn one_dispatcher_that_still_asks_is_enough() {
        let mut facts = facts();
        facts.alive = 2;
        facts.states = vec![state(r#"{"breaker":"open"}"#)];
        assert_eq!(facts.reason().0, Reason::Next);
    }

    #[test]
    fn a_job_that_is_not_available_is_explained_by_its_state() {
        let mut facts = facts();
        for (state, reason) in
            [(State::Dead, Reason::Ended), (State::Running, Reason::Running), (State::Scheduled, Reason::Scheduled)]
        {
            facts.state = state;
            assert_eq!(facts.reason().0, reason);
        }
        facts.state = State::Waiting;
        facts.parked = Some((DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH));
        facts.cancel_requested = true;
        let (reason, detail) = facts.reason();
        assert_eq!(reason, Reason::WaitingForCallback);
        assert!(detail.contains("times out at 1970-") && detail.ends_with("; it was asked to cancel"), "{detail}");
        facts.cancel_requested = false;
        facts.awaited = Some((1, vec!["callback paid".to_owned(), "timer later".to_owned()]));
        let (reason, detail) = facts.reason();
        assert_eq!(reason, Reason::Suspended);
        let until = "until 1970-01-01T00:00:00Z";
        assert!(detail.ends_with(&format!("1 of callback paid, timer later, {until} at least")), "{detail}");
        facts.awaited = Some((1, vec!["callback paid".to_owned()]));
        assert!(facts.reason().1.ends_with(&format!("waits for callback paid, {until}")));
        facts.state = State::Running;
        facts.held = Some((3, Some("box".to_owned()), DateTime::UNIX_EPOCH));
        assert_eq!(facts.reason().1, "dispatcher 3 on box has been running the job since 1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_job_that_failed_is_explained_by_its_last_run_and_by_what_is_wrong_with_its_endpoint() {
        let mut facts = facts();
        facts.last = Some(LastRun {
            run_lease: 3,
            attempt: 1,
            counted: false,
            outcome: "retried".to_owned(),
            class: Some("not_sent".to_owned()),
            code: Some("refused".to_owned()),
            message: Some("connection refused".to_owned()),
        });
        let last = "run 3 was not sent (refused: connection refused) and used no attempt";
        assert_eq!(facts.reason().1, format!("the job is next for endpoint printer; before, {last}"));
        facts.state = State::Scheduled;
        let again = format!("{last}; it is tried again at 1970-01-01T00:00:00Z");
        assert_eq!(facts.reason(), (Reason::Scheduled, again.clone()));
        facts.states = vec![state(r#"{"misconfigured":true}"#)];
        let (_, detail) = facts.reason();
        assert!(detail.starts_with(&format!("{again}; endpoint printer is misconfigured: five jobs")), "{detail}");
    }
}
