//! The accounting of the answer table: what uses an attempt, what is bounded otherwise, what ends.

use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

fn policy(max_attempts: u32) -> Policy {
    Policy { max_attempts, retry: RetryPolicy::default() }
}

fn error() -> RunError {
    RunError::new("http_500", "why")
}

fn failed() -> Outcome {
    Outcome::Failed { error: error(), retry_after: None }
}

fn throttled(charged: bool) -> Outcome {
    Outcome::Throttled { error: error(), retry_after: None, charged }
}

fn misconfigured() -> Outcome {
    Outcome::Misconfigured { error: error(), retry_after: None }
}

/// A job with these failures and uncounted ends, the first of which was this long ago.
fn spent(failures: u32, uncounted: u32, uncounted_for: Duration) -> Spent {
    Spent { failures, uncounted, uncounted_for, snoozing: false }
}

fn decided(outcome: Outcome, spent: Spent) -> Transition {
    decide(outcome, spent, &policy(25), 0.0)
}

/// Delay, failures and uncounted ends of the next run.
#[track_caller]
fn next_run(transition: &Transition) -> (Duration, u32, u32) {
    match transition.next {
        Next::Again { delay, failures, uncounted, .. } => (delay, failures, uncounted),
        ref other => panic!("{other:?} is no next run"),
    }
}

#[track_caller]
fn assert_dead(transition: &Transition, reason: &str) {
    assert_eq!(transition.recorded, Recorded::Dead);
    assert_eq!(transition.next, Next::Dead { reason: reason.to_owned().into() });
    assert!(transition.error.is_some() && transition.result.is_none());
}

#[test]
fn a_completed_job_keeps_its_result_and_has_no_error() {
    let done = decided(Outcome::Completed { result: Some("1".into()) }, Spent::default());
    assert_eq!((done.recorded, done.next, done.error), (Recorded::Completed, Next::Completed, None));
    assert_eq!(done.result.as_deref(), Some("1"));
}

#[test]
fn a_failure_uses_an_attempt_and_closes_the_row_of_uncounted_ends() {
    let again = decided(failed(), spent(2, 7, HOUR));
    assert_eq!(again.recorded, Recorded::Retried);
    assert_eq!(next_run(&again), (Duration::from_secs(8), 3, 0));
}

#[test]
fn the_last_attempt_that_fails_is_dead() {
    let of_three = |failures| decide(failed(), spent(failures, 0, Duration::ZERO), &policy(3), 0.0);
    assert_eq!(next_run(&of_three(1)).1, 2);
    assert_dead(&of_three(2), "attempts_exhausted");
    assert_dead(&of_three(u32::MAX), "attempts_exhausted");
    assert_dead(&decide(failed(), Spent::default(), &policy(1), 0.0), "attempts_exhausted");
}

#[test]
fn a_retry_waits_for_the_later_of_backoff_and_retry_after() {
    let wishing = |wish| Outcome::Failed { error: error(), retry_after: Some(wish) };
    let (delay, ..) = next_run(&decided(wishing(Duration::from_mins(5)), Spent::default()));
    assert_eq!(delay, Duration::from_mins(5));
    let (delay, ..) = next_run(&decided(wishing(Duration::from_secs(5)), spent(9, 0, Duration::ZERO)));
    assert_eq!(delay, Duration::from_secs(1024));
    let (delay, ..) = next_run(&decide(wishing(Duration::from_mins(5)), Spent::default(), &policy(25), 0.99));
    assert!(delay > Duration::from_mins(5), "jitter goes upwards only: {delay:?}");
    let (delay, ..) = next_run(&decided(wishing(Duration::MAX), Spent::default()));
    assert_eq!(delay, Duration::from_hours(24));
}

#[test]
fn a_throttle_uses_no_attempt_and_backs_off() {
    let held = decided(throttled(false), spent(24, 3, HOUR));
    assert_eq!(held.recorded, Recorded::Throttled);
    assert_eq!(next_run(&held), (Duration::from_secs(8), 24, 4));
}

#[test]
fn a_day_of_throttles_is_dead_throttled_out() {
    let nearly = HOLD_BUDGET.saturating_sub(Duration::from_millis(1));
    assert_eq!(next_run(&decided(throttled(false), spent(0, 90, nearly))).2, 91);
    assert_dead(&decided(throttled(false), spent(0, 90, HOLD_BUDGET)), "throttled_out");
}

#[test]
fn a_charged_throttle_uses_an_attempt() {
    let charged = decided(throttled(true), spent(0, THROTTLES_BEFORE_CHARGE, HOUR));
    assert_eq!(next_run(&charged), (Duration::from_secs(2), 1, 0));
    assert_dead(&decide(throttled(true), spent(2, 10, HOUR), &policy(3), 0.0), "attempts_exhausted");
}

#[test]
fn what_was_not_sent_uses_no_attempt_and_is_dead_unreachable_after_a_day() {
    let not_sent = || Outcome::NotSent { error: RunError::new("refused", "no") };
    let held = decided(not_sent(), spent(24, 0, Duration::ZERO));
    assert_eq!(held.recorded, Recorded::Retried);
    assert_eq!(next_run(&held), (Duration::from_secs(1), 24, 1));
    let dead = decided(not_sent(), spent(24, 99, HOLD_BUDGET));
    assert_dead(&dead, "unreachable");
    assert!(dead.error.unwrap().message.contains("refused"));
}

#[test]
fn a_snooze_uses_no_attempt_and_is_as_long_as_asked() {
    let snoozed = |after, spent| decided(Outcome::Snoozed { after }, spent);
    let one = snoozed(Duration::from_mins(5), spent(24, 0, Duration::ZERO));
    assert_eq!((one.recorded, one.error.clone()), (Recorded::Snoozed, None));
    assert_eq!(next_run(&one), (Duration::from_mins(5), 24, 1));
    assert_eq!(next_run(&snoozed(Duration::from_hours(48), Spent::default())).0, Duration::from_hours(24));
    assert_eq!(next_run(&snoozed(Duration::ZERO, Spent::default())).0, Duration::from_secs(1));
}

#[test]
fn snoozes_in_a_row_back_off_to_an_hour() {
    let after = Duration::from_secs(1);
    for (uncounted, delay) in [(1, 2), (4, 16), (500, 2880)] {
        let again = decided(Outcome::Snoozed { after }, spent(0, uncounted, HOUR));
        assert_eq!(next_run(&again).0, Duration::from_secs(delay), "after {uncounted}");
    }
}

#[test]
fn thirty_days_of_the_shortest_snoozes_are_dead_snoozed_out_and_not_churning() {
    let (mut spent, mut runs) = (Spent::default(), 0);
    loop {
        let again = decided(Outcome::Snoozed { after: Duration::from_secs(1) }, spent);
        if again.recorded == Recorded::Dead {
            break assert_dead(&again, "snoozed_out");
        }
        let (delay, failures, uncounted) = next_run(&again);
        spent = Spent { failures, uncounted, uncounted_for: spent.uncounted_for + delay, snoozing: true };
        runs += 1;
    }
    assert!(runs < MAX_UNCOUNTED, "{runs}");
}

#[test]
fn a_job_that_snoozed_for_days_has_its_whole_budget_when_its_endpoint_throttles_it() {
    let polled = Spent { snoozing: true, ..spent(0, 90, HOLD_BUDGET * 5) };
    let held = decided(throttled(false), polled);
    assert_eq!((held.recorded, next_run(&held).2), (Recorded::Throttled, 91), "the count is common");
    assert!(matches!(held.next, Next::Again { snoozing: false, .. }), "the clock starts anew");
    assert_dead(&decided(throttled(false), Spent { uncounted: MAX_UNCOUNTED, ..polled }), "churning");
}

#[test]
fn giving_up_is_dead_under_the_errors_own_code() {
    let error = RunError::new("card_declined", "no funds");
    assert_dead(&decided(Outcome::GaveUp { error }, Spent::default()), "card_declined");
}

#[test]
fn a_cancelled_job_is_cancelled_with_its_reason() {
    let cancelled = decided(Outcome::Cancelled { reason: Some("duplicate".into()) }, Spent::default());
    assert_eq!((cancelled.recorded, cancelled.next), (Recorded::Cancelled, Next::Cancelled));
    assert_eq!(cancelled.error, Some(RunError::new("cancelled", "duplicate")));
}

#[test]
fn a_wrong_endpoint_costs_no_attempt_within_its_grace() {
    let held = decided(misconfigured(), spent(3, 5, MISCONFIGURED_GRACE.saturating_sub(Duration::from_millis(1))));
    assert_eq!(next_run(&held), (MISCONFIGURED_BACKOFF, 3, 6));
}

#[test]
fn a_wrong_endpoint_costs_attempts_once_the_grace_is_over_for_good() {
    let first = next_run(&decided(misconfigured(), spent(3, 30, MISCONFIGURED_GRACE)));
    assert_eq!(first, (MISCONFIGURED_BACKOFF, 4, 31));
    let second = next_run(&decided(misconfigured(), spent(first.1, first.2, MISCONFIGURED_GRACE + HOUR)));
    assert_eq!((second.1, second.2), (5, 32));
    let last = decide(misconfigured(), spent(24, 60, HOLD_BUDGET), &policy(25), 0.0);
    assert_dead(&last, "attempts_exhausted");
}

#[test]
fn a_wrong_endpoint_is_asked_again_after_a_minute_at_the_earliest_and_when_it_wishes() {
    let wish = |seconds| Outcome::Misconfigured { error: error(), retry_after: Some(Duration::from_secs(seconds)) };
    assert_eq!(next_run(&decided(wish(1), Spent::default())).0, MISCONFIGURED_BACKOFF);
    assert_eq!(next_run(&decided(wish(600), Spent::default())).0, Duration::from_mins(10));
}

#[test]
fn nobody_knows_uses_an_attempt() {
    let unknown = |fail| Outcome::Unknown { error: RunError::new("timeout", "no answer"), fail };
    assert_eq!(next_run(&decided(unknown(false), spent(0, 4, HOUR))), (Duration::from_secs(2), 1, 0));
    assert_dead(&decide(unknown(false), spent(2, 0, Duration::ZERO), &policy(3), 0.0), "attempts_exhausted");
    assert_dead(&decided(unknown(true), Spent::default()), "unknown");
}

#[test]
fn an_expired_job_is_dead_expired() {
    assert_dead(&decided(Outcome::Expired, Spent::default()), "expired");
}

#[test]
fn a_released_job_goes_back_at_once_and_later_backs_off() {
    let released = decided(Outcome::Released, spent(3, 0, Duration::ZERO));
    assert_eq!((released.recorded, next_run(&released)), (Recorded::Released, (Duration::ZERO, 3, 1)));
    assert_eq!(next_run(&decided(Outcome::Released, spent(3, 9, HOUR))).0, Duration::from_secs(10));
    assert_eq!(next_run(&decided(Outcome::Released, spent(3, 500, HOUR))).0, Duration::from_mins(1));
}

#[test]
fn a_thousand_uncounted_ends_in_a_row_are_churning() {
    for outcome in [
        throttled(false),
        Outcome::NotSent { error: error() },
        Outcome::Snoozed { after: HOUR },
        Outcome::Released,
        misconfigured(),
    ] {
        let at = |uncounted| decided(outcome.clone(), spent(0, uncounted, Duration::ZERO));
        assert_eq!(next_run(&at(MAX_UNCOUNTED - 1)).2, MAX_UNCOUNTED);
        assert_dead(&at(MAX_UNCOUNTED), "churning");
        assert_dead(&at(u32::MAX), "churning");
    }
}

#[test]
fn a_job_that_kills_its_dispatcher_every_time_ends_dead() {
    let mut spent = Spent::default();
    for failures in 1..25 {
        let rescued = rescue(spent, &policy(25), false, 0.0);
        assert_eq!(rescued.recorded, Recorded::Rescued);
        let next = next_run(&rescued);
        assert_eq!((next.1, next.2), (failures, 0));
        spent.failures = next.1;
    }
    let last = rescue(spent, &policy(25), false, 0.0);
    assert_dead(&last, "attempts_exhausted");
    assert_eq!(last.error.unwrap().code, "dispatcher_lost");
}

/// Any end that may lead to another run; `None` is the loss of the dispatcher.
fn any_end() -> impl Strategy<Value = Option<Outcome>> {
    let wish = prop::option::of((0..200_000_u64).prop_map(Duration::from_secs));
    prop_oneof![
        Just(None),
        Just(Some(Outcome::Released)),
        Just(Some(Outcome::NotSent { error: error() })),
        Just(Some(Outcome::Unknown { error: error(), fail: false })),
        (0..200_000_u64).prop_map(|s| Some(Outcome::Snoozed { after: Duration::from_secs(s) })),
        wish.clone().prop_map(|retry_after| Some(Outcome::Failed { error: error(), retry_after })),
        wish.clone().prop_map(|retry_after| Some(Outcome::Misconfigured { error: error(), retry_after })),
        (wish, any::<bool>()).prop_map(|(retry_after, charged)| Some(Outcome::Throttled {
            error: error(),
            retry_after,
            charged
        })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_outcomes_runs_forever_or_past_max_attempts(
        ends in prop::collection::vec(any_end(), 1..12),
        max_attempts in 1..=6_u32,
        jitter in 0.0..1.0_f64,
    ) {
        let policy = policy(max_attempts);
        let mut spent = Spent::default();
        let mut runs = 0_u32;
        // Every counted end may be followed by a full row of uncounted ones.
        let bound = max_attempts * (MAX_UNCOUNTED + 1);
        for end in ends.iter().cycle() {
            runs += 1;
            prop_assert!(runs <= bound, "still running after {runs} runs");
            let transition = match end.clone() {
                Some(outcome) => decide(outcome, spent, &policy, jitter),
                None => rescue(spent, &policy, false, jitter),
            };
            let Next::Again { delay, failures, uncounted, snoozing } = transition.next else {
                prop_assert_eq!(transition.recorded, Recorded::Dead);
                break;
            };
            prop_assert!(failures < max_attempts && failures >= spent.failures && uncounted <= MAX_UNCOUNTED);
            prop_assert!(delay <= Duration::from_hours(24) + Duration::from_secs(10));
            prop_assert!(failures > spent.failures || uncounted > spent.uncounted, "this end was free");
            let anew = spent.uncounted == 0 || spent.snoozing != snoozing;
            let open = if anew { Duration::ZERO } else { spent.uncounted_for };
            let uncounted_for = if uncounted == 0 { Duration::ZERO } else { open + delay };
            spent = Spent { failures, uncounted, uncounted_for, snoozing };
        }
    }
}
