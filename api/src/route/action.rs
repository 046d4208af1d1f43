//! What actions on one job or endpoint share: who asks, about what, and with which options.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts as _, Path, Request},
};
use http::HeaderMap;
use posthaste_protocol::{api_key::Scope, id::JobId};

use crate::{
    auth::Caller,
    body::{MAX_DOCUMENT_BYTES, media, text},
    error::ApiError,
    options::Options,
    path::{RawPath, endpoint_name, job_id},
    state::Api,
};

/// A POST on one thing. Its body is read only for a caller that may act.
pub struct Action {
    api: Api,
    caller: Caller,
    path: RawPath,
    headers: HeaderMap,
    body: Body,
}

impl FromRequest<Api> for Action {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let path = Path::<String>::from_request_parts(&mut parts, api).await;
        let caller = parts.extensions.remove::<Caller>().ok_or_else(ApiError::internal)?;
        Ok(Self { api: Api::clone(api), caller, path, headers: parts.headers, body })
    }
}

impl Action {
    /// The job, for a caller with this scope.
    pub async fn on_job(self, scope: Scope) -> Result<(Api, JobId, Options), ApiError> {
        self.caller.need(scope)?;
        let id = job_id(self.path)?;
        let options = options(&self.api, &self.headers, self.body).await?;
        Ok((self.api, id, options))
    }

    /// The endpoint, for an operator.
    pub async fn on_endpoint(self) -> Result<(Api, String, Options), ApiError> {
        self.caller.need(Scope::Operate)?;
        let name = endpoint_name(self.path)?;
        let options = options(&self.api, &self.headers, self.body).await?;
        Ok((self.api, name, options))
    }
}

/// Without a body there are no options, whatever the headers say.
async fn options(api: &Api, headers: &HeaderMap, body: Body) -> Result<Options, ApiError> {
    let held = api.bodies.read(body, MAX_DOCUMENT_BYTES).await?;
    if held.bytes.is_empty() {
        return Ok(Options::default());
    }
    media(headers, false)?;
    Options::parse(text(&held.bytes)?)
}
