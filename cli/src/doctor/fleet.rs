//! The fleet and the ledger: dispatchers, ranges, lost and stranded jobs, and what holds vacuum back.

use posthaste_engine::{
    doctor,
    doctor::{Holder, Stranded},
};
use sqlx::PgConnection;

use super::checkup::Checkup;

/// A transaction that is open for longer slows claims down and keeps dead rows.
const WARN_SECONDS: f64 = 60.0;
const FAIL_SECONDS: f64 = 3600.0;
/// How many transactions a slot may hold back.
const WARN_XIDS: i64 = 1_000_000;
const FAIL_XIDS: i64 = 100_000_000;

/// Looks at all of it.
pub async fn check(checkup: &mut Checkup, connection: &mut PgConnection) {
    if let Some(fleet) = checkup.seen("dispatchers", doctor::fleet(connection).await) {
        dispatchers(checkup, fleet);
        ranges(checkup, fleet);
    }
    if let Some(lost) = checkup.seen("jobs nowhere", doctor::nowhere(connection).await) {
        nowhere(checkup, &lost);
    }
    if let Some(found) = checkup.seen("kinds", doctor::stranded(connection).await) {
        stranded(checkup, &found);
    }
    if let Some(found) = checkup.seen("vacuum horizon", doctor::holders(connection).await) {
        holders(checkup, &found);
    }
}

fn dispatchers(checkup: &mut Checkup, fleet: doctor::Fleet) {
    let detail = format!("{} alive", fleet.alive);
    match fleet {
        doctor::Fleet { alive: 0, .. } => {
            checkup.warn(
                "dispatchers",
                "none is alive: jobs wait",
                "start `posthaste dispatcher` or `posthaste serve`",
            );
        }
        doctor::Fleet { silent: 0, .. } => checkup.ok("dispatchers", detail),
        doctor::Fleet { silent, .. } => checkup.warn(
            "dispatchers",
            format!("{detail}, {silent} silent for more than 15 s"),
            "they died or cannot reach the database; a living dispatcher takes over what they held",
        ),
    }
    if fleet.orphaned_leases > 0 {
        checkup.warn(
            "leases",
            format!("{} of dispatchers that are gone", fleet.orphaned_leases),
            "a living dispatcher rescues them within a minute; if this stays, read its log",
        );
    }
}

fn ranges(checkup: &mut Checkup, fleet: doctor::Fleet) {
    let detail = format!("{} ahead of the job ids, {} in all", fleet.ranges_ahead, fleet.ranges);
    match fleet.ranges_ahead {
        ..=0 => checkup.fail("partitions", detail, "select posthaste.ensure_ranges()"),
        1 => checkup.warn("partitions", detail, "start a dispatcher, or select posthaste.ensure_ranges()"),
        _ => checkup.ok("partitions", detail),
    }
}

fn nowhere(checkup: &mut Checkup, lost: &[i64]) {
    if lost.is_empty() {
        checkup.ok("jobs nowhere", "none among the newest 100,000");
        return;
    }
    let some: Vec<String> = lost.iter().take(5).map(ToString::to_string).collect();
    let detail = format!("{} jobs are in no table that would start or end them: {}", lost.len(), some.join(", "));
    checkup.fail(
        "jobs nowhere",
        detail,
        "this is a bug in Posthaste, or tables were changed by hand: please report it",
    );
}

fn stranded(checkup: &mut Checkup, found: &[Stranded]) {
    for Stranded { kind, endpoint, jobs } in found {
        let (jobs, verb) = match *jobs {
            1 => ("1 job".to_owned(), "waits"),
            doctor::STRANDED_CAP.. => (format!("at least {jobs} jobs"), "wait"),
            _ => (format!("{jobs} jobs"), "wait"),
        };
        match endpoint {
            Some(named) => checkup.warn(
                format!("kind {kind}"),
                format!("{jobs} {verb} for endpoint {named}, which does not exist"),
                format!("posthaste endpoint put {named} --spec @FILE, or cancel them"),
            ),
            None => checkup.warn(
                format!("kind {kind}"),
                format!("{jobs} {verb}, and no endpoint takes the kind"),
                "add it to the kinds of an endpoint, or cancel them",
            ),
        }
    }
    if found.is_empty() {
        checkup.ok("kinds", "every job that may start has an endpoint");
    }
}

fn holders(checkup: &mut Checkup, found: &[Holder]) {
    let mut quiet = true;
    for holder in found {
        let age = holder.seconds.unwrap_or(0.0);
        let is_slot = holder.holder == "slot";
        let fail = age > FAIL_SECONDS || (is_slot && holder.xids > FAIL_XIDS);
        let warn = age > WARN_SECONDS || (is_slot && (holder.xids > WARN_XIDS || !holder.active));
        if !fail && !warn {
            continue;
        }
        quiet = false;
        let since = holder.seconds.map(|seconds| format!(", {seconds:.0} s old")).unwrap_or_default();
        let detail = format!("{} {}{since}, {} transactions behind", holder.holder, holder.name, holder.xids);
        let fix = match holder.holder.as_str() {
            "slot" => "resume its consumer, or select pg_drop_replication_slot(…)",
            "prepared" => "commit prepared or rollback prepared",
            _ => "end it: select pg_terminate_backend(pid); and set idle_in_transaction_session_timeout",
        };
        if fail { checkup.fail("vacuum horizon", detail, fix) } else { checkup.warn("vacuum horizon", detail, fix) }
    }
    if quiet {
        checkup.ok("vacuum horizon", "no long transaction, prepared transaction or idle replication slot");
    }
}

#[cfg(test)]
mod tests {
    use super::{super::checkup::Verdict, *};

    fn worst(holder: &str, seconds: Option<f64>, xids: i64, active: bool) -> Verdict {
        let mut checkup = Checkup::default();
        let holder = Holder { holder: holder.to_owned(), name: "n".to_owned(), seconds, xids, active };
        holders(&mut checkup, &[holder]);
        checkup.worst()
    }

    #[test]
    fn old_transactions_and_idle_slots_are_noticed() {
        assert_eq!(worst("transaction", Some(1.0), 10, true), Verdict::Ok);
        assert_eq!(worst("transaction", Some(120.0), 10, true), Verdict::Warn);
        assert_eq!(worst("prepared", Some(7200.0), 10, true), Verdict::Fail);
        assert_eq!(worst("slot", None, 10, true), Verdict::Ok);
        assert_eq!(worst("slot", None, 10, false), Verdict::Warn);
        assert_eq!(worst("slot", None, 200_000_000, true), Verdict::Fail);
    }

    #[test]
    fn a_job_that_is_nowhere_fails() {
        let mut checkup = Checkup::default();
        nowhere(&mut checkup, &[7]);
        assert_eq!(checkup.worst(), Verdict::Fail);
    }
}
