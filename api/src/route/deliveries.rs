//! `GET /v1/deliveries` and `POST /v1/deliveries/{id}/replay`: what came to the gateways, and judging it again.

use axum::{
    Extension,
    extract::{Path, RawQuery, State},
};
use http::StatusCode;
use posthaste_engine::{
    EngineError,
    delivery::{self, DeliveryVerdict, Logged, Which},
    judging,
};
use posthaste_protocol::{api_key::Scope, id::JobId, problem::Code};
use serde_json::{Value, json};

use crate::{
    answer::{Answered, json as answer},
    auth::Caller,
    error::ApiError,
    path::RawPath,
    query::{Query, cursor},
    schema,
    secret::rfc3339,
    state::Api,
};

const DEFAULT_LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 500;

/// List deliveries
///
/// Newest first: what came to the gateways in the last seven days, at most 100,000, but for callbacks that simply ended
/// their run, which are attempts of their job.
#[utoipa::path(
    get, path = "/v1/deliveries", operation_id = "list_deliveries", tag = "deliveries",
    params(
        ("job" = Option<String>, Query, description = "Those of this job"),
        ("verdict" = Option<String>, Query, description = "`applied`, `duplicate`, `ignored`, `buffered`, `quarantined` or `rejected`"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
        ("limit" = Option<u64>, Query, description = "1 to 500 deliveries (50)"),
    ),
    responses(
        (status = 200, description = "A page of deliveries", body = schema::DeliveryPage, content_type = "application/json"),
        (status = 422, description = "`invalid`: each wrong parameter is named", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list_deliveries(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Answered {
    caller.need(Scope::Read)?;
    let mut query = Query::parse(raw.as_deref());
    let job_id = query.word::<JobId>("job").map(|id| id.0);
    let verdict = query.text("verdict");
    let below = query.cursor("cursor");
    let limit = query.integer("limit", 1, MAX_LIMIT).unwrap_or(DEFAULT_LIMIT);
    query.finish()?;
    if let Some(word) = &verdict
        && !DeliveryVerdict::WORDS.contains(&word.as_str())
    {
        let message = format!("must be one of {}", DeliveryVerdict::WORDS.join(", "));
        return Err(ApiError::field("verdict", "unknown_word", message));
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = api
        .read(move |connection| {
            let verdict = verdict.clone();
            Box::pin(async move {
                let which = Which { job_id, verdict: verdict.as_deref() };
                delivery::list(connection, which, below, limit).await
            })
        })
        .await
        .map_err(refused)?;
    let full = i64::try_from(rows.len()).is_ok_and(|count| count >= limit);
    let next = rows.last().filter(|_| full).map(|last| cursor(last.delivery_id));
    let deliveries: Vec<Value> = rows.iter().map(document).collect();
    Ok(answer(StatusCode::OK, &json!({"deliveries": deliveries, "next_cursor": next})))
}

/// Judge a delivery again
///
/// For one in quarantine, after its expressions were mended: a gateway judges it in a moment.
#[utoipa::path(
    post, path = "/v1/deliveries/{id}/replay", operation_id = "replay_delivery", tag = "deliveries",
    params(("id" = String, Path, description = "The delivery's number")),
    responses(
        (status = 202, description = "It will be judged", body = schema::ReplayAsked, content_type = "application/json"),
        (status = 404, description = "`delivery_not_found`: there is none, or nothing of it is kept", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn replay_delivery(State(api): State<Api>, Extension(caller): Extension<Caller>, path: RawPath) -> Answered {
    caller.need(Scope::Operate)?;
    let text = path.map(|Path(text)| text).unwrap_or_default();
    let missing = || ApiError::new(Code::DeliveryNotFound, "there is no such delivery, or nothing of it is kept");
    let id: i64 = text.parse().map_err(|_| missing())?;
    let asked = api
        .act(move |connection| {
            Box::pin(async move {
                match delivery::inbox_id(connection, id).await? {
                    Some(inbox_id) => judging::ask(connection, inbox_id).await,
                    None => Ok(false),
                }
            })
        })
        .await
        .map_err(refused)?;
    if !asked {
        return Err(missing());
    }
    Ok(answer(StatusCode::ACCEPTED, &json!({"id": id.to_string(), "replay_requested": true})))
}

fn refused(error: EngineError) -> ApiError {
    ApiError::engine(error, Code::DeliveryNotFound)
}

fn document(row: &Logged) -> Value {
    json!({
        "id": row.delivery_id.to_string(), "at": rfc3339(row.at), "job_id": row.job_id.map(|id| id.to_string()),
        "run_lease": row.run_lease, "via": row.via, "source": row.source, "action": row.action,
        "verdict": row.verdict, "reason": row.reason, "bytes": row.bytes, "kept": row.kept,
    })
}
