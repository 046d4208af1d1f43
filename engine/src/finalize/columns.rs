//! The ends of a batch as the statement takes them: parallel arrays.

use std::borrow::Borrow;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::RunEnd;
use crate::lifecycle::Next;

/// The statement's parallel arrays, in two groups.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) run: RunColumns<'a>,
    pub(super) follow: FollowColumns<'a>,
}

/// One element per run.
#[derive(Default)]
pub(super) struct RunColumns<'a> {
    pub(super) job_ids: Vec<i64>,
    pub(super) run_leases: Vec<i64>,
    pub(super) lease_ids: Vec<i64>,
    pub(super) nonces: Vec<Uuid>,
    pub(super) outcomes: Vec<&'static str>,
    pub(super) classes: Vec<Option<&'static str>>,
    pub(super) http_statuses: Vec<Option<i16>>,
    pub(super) ages_us: Vec<Option<i64>>,
    pub(super) headers_us: Vec<Option<i32>>,
    pub(super) bodies_us: Vec<Option<i32>>,
    pub(super) attempts: Vec<i16>,
    pub(super) results: Vec<Option<&'a str>>,
    pub(super) error_codes: Vec<Option<&'a str>>,
    pub(super) error_messages: Vec<Option<&'a str>>,
    pub(super) actions: Vec<Option<&'static str>>,
    pub(super) digests: Vec<Option<Vec<u8>>>,
}

/// One element per run that goes again or dies: few, where most complete.
#[derive(Default)]
pub(super) struct FollowColumns<'a> {
    pub(super) job_ids: Vec<i64>,
    pub(super) run_leases: Vec<i64>,
    pub(super) reasons: Vec<Option<&'a str>>,
    pub(super) delays_ms: Vec<Option<i64>>,
    pub(super) lanes: Vec<i32>,
    pub(super) priorities: Vec<i16>,
    pub(super) failures: Vec<Option<i16>>,
    pub(super) uncounted: Vec<Option<i16>>,
    pub(super) uncounted_since: Vec<Option<DateTime<Utc>>>,
}

impl<'a> Columns<'a> {
    pub(super) fn of<E: Borrow<RunEnd>>(ends: &'a [E]) -> Self {
        // Sorted: every batch takes the fences in one order, so that two batches cannot deadlock.
        let mut sorted: Vec<&RunEnd> = ends.iter().map(Borrow::borrow).collect();
        sorted.sort_unstable_by_key(|end| (end.job_id, end.run_lease));
        let mut columns = Self::default();
        for end in sorted {
            columns.run.push(end);
            columns.follow.push(end);
        }
        columns
    }
}

impl<'a> RunColumns<'a> {
    fn push(&mut self, end: &'a RunEnd) {
        self.job_ids.push(end.job_id);
        self.run_leases.push(end.run_lease);
        self.lease_ids.push(end.lease.lease_id);
        self.nonces.push(end.lease.nonce);
        self.outcomes.push(end.transition.recorded.as_str());
        self.classes.push(end.class);
        self.http_statuses.push(end.http_status);
        self.ages_us.push(end.age_us);
        self.headers_us.push(end.headers_us);
        self.bodies_us.push(end.body_us);
        self.attempts.push(end.attempt);
        self.results.push(end.transition.result.as_deref());
        self.error_codes.push(end.transition.error.as_ref().map(|error| error.code.as_ref()));
        self.error_messages.push(end.transition.error.as_ref().map(|error| error.message.as_str()));
        self.actions.push(end.callback.map(|mark| mark.action.as_str()));
        self.digests.push(end.callback.map(|mark| mark.digest.to_vec()));
    }
}

impl<'a> FollowColumns<'a> {
    fn push(&mut self, end: &'a RunEnd) {
        let (reason, delay, failures, uncounted) = match &end.transition.next {
            Next::Completed | Next::Cancelled => return,
            Next::Dead { reason } => (Some(reason.as_ref()), None, None, None),
            Next::Again { delay, failures, uncounted, snoozing } => {
                let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
                let uncounted = if *snoozing { -small(*uncounted) } else { small(*uncounted) };
                (None, Some(delay), Some(small(*failures)), Some(uncounted))
            }
        };
        self.job_ids.push(end.job_id);
        self.run_leases.push(end.run_lease);
        self.reasons.push(reason);
        self.delays_ms.push(delay);
        self.lanes.push(end.scan.lane_id);
        self.priorities.push(end.scan.priority);
        self.failures.push(failures);
        self.uncounted.push(uncounted);
        self.uncounted_since.push(end.uncounted_since);
    }
}

/// Counts are bounded by 1000; a count that is not is kept at the column's bound.
pub(crate) fn small(count: u32) -> i16 {
    i16::try_from(count).unwrap_or(i16::MAX)
}
