//! Endpoints: what dispatchers report of them, their secrets opened and their servers reached from here. Nothing is sent.

use futures_util::{StreamExt as _, stream};
use posthaste_dispatcher::egress::{EgressPolicy, reach};
use posthaste_engine::{
    endpoint::{self, EndpointRow},
    explain::{EndpointReport, endpoint_reports},
};
use posthaste_protocol::{endpoint::EndpointSpec, seal::SealKeys};
use posthaste_service::config::EgressProxy;
use sqlx::PgConnection;

use super::checkup::Checkup;

/// Servers asked at once.
const AT_ONCE: usize = 16;

/// Looks at each endpoint.
pub async fn check(
    checkup: &mut Checkup,
    connection: &mut PgConnection,
    policy: &EgressPolicy,
    proxy: Option<&EgressProxy>,
    keys: Option<&SealKeys>,
) {
    let Some(rows) = checkup.seen("endpoints", endpoint::endpoints(connection).await) else { return };
    if rows.is_empty() {
        checkup.warn(
            "endpoints",
            "there are none: nothing can be dispatched",
            "posthaste endpoint put NAME --spec @FILE",
        );
        return;
    }
    secrets(checkup, &rows, keys);
    let mut reports = checkup.seen("endpoints", endpoint_reports(connection).await).unwrap_or_default();
    let reached: Vec<Checkup> =
        stream::iter(&rows).map(|row| reachable(row, policy, proxy)).buffered(AT_ONCE).collect().await;
    for (row, reached) in rows.iter().zip(reached) {
        reported(checkup, &format!("endpoint {}", row.name), &reports.remove(&row.name).unwrap_or_default());
        checkup.findings.extend(reached.findings);
    }
}

/// What the dispatchers say. They may lack what this machine has: a variable, a file, a route.
fn reported(checkup: &mut Checkup, check: &str, reports: &[EndpointReport]) {
    let all = plural(reports.len(), "dispatcher");
    let unusable: Vec<&str> = reports.iter().filter_map(|report| report.unusable.as_deref()).collect();
    if let Some(why) = unusable.first() {
        let detail = format!("{} of {all} cannot use it: {why}", unusable.len());
        checkup.fail(
            check,
            detail,
            "mend it where the dispatcher runs: it reads files again within 15 s, variables when it starts",
        );
    }
    if reports.iter().any(|report| report.misconfigured) {
        checkup.fail(
            check,
            "misconfigured: five jobs got answers such as 401 or 404, and none succeeded since",
            "see the answers with `posthaste job tail`; correct its URL, its credentials or the function",
        );
    }
    let open = reports.iter().filter(|report| report.breaker == "open").count();
    if open > 0 {
        let detail = format!("its breaker is open at {open} of {all}: too many requests failed");
        checkup.warn(check, detail, "see why with `posthaste job tail`; probes close it");
    }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn secrets(checkup: &mut Checkup, rows: &[EndpointRow], keys: Option<&SealKeys>) {
    let Some(keys) = keys else {
        let fix = "set POSTHASTE_SECRET_KEYS to the ring that the dispatchers have";
        return checkup.warn("secret keys", "not set here: signing secrets cannot be checked", fix);
    };
    let closed: Vec<&str> =
        rows.iter().filter(|row| keys.open(&row.secret, &row.name).is_err()).map(|row| row.name.as_str()).collect();
    if closed.is_empty() {
        checkup.ok("secret keys", format!("open the signing secrets of {}", plural(rows.len(), "endpoint")));
    } else {
        let fix = "add the key that sealed them to POSTHASTE_SECRET_KEYS, or rotate their secrets";
        checkup.fail("secret keys", format!("do not open the signing secret of {}", closed.join(", ")), fix);
    }
}

async fn reachable(row: &EndpointRow, policy: &EgressPolicy, proxy: Option<&EgressProxy>) -> Checkup {
    let mut checkup = Checkup::default();
    let check = format!("endpoint {}", row.name);
    if row.paused_at.is_some() {
        let reason = row.paused_reason.as_deref().unwrap_or("no reason given");
        checkup.warn(&check, format!("paused: {reason}"), format!("posthaste endpoint resume {}", row.name));
    }
    let spec = match EndpointSpec::parse(&row.spec) {
        Ok(spec) => spec,
        Err(faults) => {
            let why = faults.first().map(ToString::to_string).unwrap_or_default();
            checkup.fail(&check, format!("cannot be read: {why}"), "put it again with this version");
            return checkup;
        }
    };
    match reach::reach(policy, proxy, &spec).await {
        Ok(took) => checkup.ok(&check, format!("reached in {:.0} ms", took.as_secs_f64() * 1e3)),
        Err(error) if error.code == "egress_forbidden" => {
            checkup.fail(&check, error.to_string(), "use a public https URL, or list it in POSTHASTE_EGRESS_ALLOW");
        }
        Err(error) => checkup.fail(&check, error.to_string(), "start the function, or correct the endpoint's URL"),
    }
    checkup
}

#[cfg(test)]
mod tests {
    use super::{super::checkup::Verdict, *};

    fn said(reports: &[EndpointReport]) -> (Verdict, String) {
        let mut checkup = Checkup::default();
        reported(&mut checkup, "endpoint pdf", reports);
        let details: Vec<_> = checkup.findings.iter().map(|finding| finding.detail.as_str()).collect();
        (checkup.worst(), details.join(" | "))
    }

    #[test]
    fn what_a_dispatcher_reports_is_not_called_well() {
        let fine = EndpointReport { breaker: "closed".to_owned(), ..EndpointReport::default() };
        assert_eq!(said(&[fine.clone(), fine.clone()]), (Verdict::Ok, String::new()));
        let unusable = EndpointReport { unusable: Some("headers.x: PDF_KEY is not set".to_owned()), ..fine.clone() };
        let detail = "1 of 2 dispatchers cannot use it: headers.x: PDF_KEY is not set".to_owned();
        assert_eq!(said(&[fine.clone(), unusable]), (Verdict::Fail, detail));
        let open = EndpointReport { breaker: "open".to_owned(), ..fine.clone() };
        let detail = "its breaker is open at 1 of 1 dispatcher: too many requests failed".to_owned();
        assert_eq!(said(&[open]), (Verdict::Warn, detail));
        let (verdict, detail) = said(&[EndpointReport { misconfigured: true, ..fine }]);
        assert!(verdict == Verdict::Fail && detail.starts_with("misconfigured: five jobs"), "{detail}");
    }
}
