//! Endpoints: their secrets can be opened here, and their servers reached from here. Nothing is sent.

use futures_util::{StreamExt as _, stream};
use posthaste_dispatcher::egress::{EgressPolicy, reach};
use posthaste_engine::{endpoint, endpoint::EndpointRow};
use posthaste_protocol::{endpoint::EndpointSpec, seal::SealKeys};
use sqlx::PgConnection;

use super::checkup::Checkup;

/// Servers asked at once.
const AT_ONCE: usize = 16;

/// Looks at each endpoint.
pub async fn check(
    checkup: &mut Checkup,
    connection: &mut PgConnection,
    policy: &EgressPolicy,
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
    let reached: Vec<Checkup> = stream::iter(&rows).map(|row| reachable(row, policy)).buffered(AT_ONCE).collect().await;
    checkup.findings.extend(reached.into_iter().flat_map(|one| one.findings));
}

fn secrets(checkup: &mut Checkup, rows: &[EndpointRow], keys: Option<&SealKeys>) {
    let Some(keys) = keys else {
        let fix = "set POSTHASTE_SECRET_KEYS to the ring that the dispatchers have";
        return checkup.warn("secret keys", "not set here: signing secrets cannot be checked", fix);
    };
    let closed: Vec<&str> =
        rows.iter().filter(|row| keys.open(&row.secret, &row.name).is_err()).map(|row| row.name.as_str()).collect();
    if closed.is_empty() {
        checkup.ok("secret keys", format!("open the signing secrets of {} endpoints", rows.len()));
    } else {
        let fix = "add the key that sealed them to POSTHASTE_SECRET_KEYS, or rotate their secrets";
        checkup.fail("secret keys", format!("do not open the signing secret of {}", closed.join(", ")), fix);
    }
}

async fn reachable(row: &EndpointRow, policy: &EgressPolicy) -> Checkup {
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
    match reach::reach(policy, &spec.url).await {
        Ok(took) => checkup.ok(&check, format!("reached in {:.0} ms", took.as_secs_f64() * 1e3)),
        Err(error) if error.code == "egress_forbidden" => {
            checkup.fail(&check, error.to_string(), "use a public https URL, or list it in POSTHASTE_EGRESS_ALLOW");
        }
        Err(error) => checkup.fail(&check, error.to_string(), "start the function, or correct the endpoint's URL"),
    }
    checkup
}
