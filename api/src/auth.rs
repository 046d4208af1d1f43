//! Who may call: API keys with scopes, or nobody but loopback while no key exists.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, Uri, header};
use posthaste_engine::api_key::{self, LookUp};
use posthaste_protocol::{
    api_key::{ApiKey, Scope, Verifier},
    problem::Code,
};
use tokio::time::Instant;

use crate::{error::ApiError, state::Api};

/// How long a look-up is believed: a revoked key works this much longer.
const BELIEVED: Duration = Duration::from_secs(5);
/// The most look-ups remembered.
const MAX_REMEMBERED: usize = 10_000;

/// What a request may do.
#[derive(Debug, Clone)]
pub struct Caller {
    scopes: Vec<Scope>,
}

impl Caller {
    /// 403 unless the caller holds this scope.
    pub fn need(&self, scope: Scope) -> Result<(), ApiError> {
        if self.scopes.iter().any(|held| held.grants(scope)) {
            return Ok(());
        }
        Err(ApiError::new(Code::Forbidden, format!("the API key lacks the scope {scope}")))
    }
}

/// The keys that this process knows of.
pub struct Auth {
    bootstrap: Option<Verifier>,
    /// By key id; the empty id stands for "is there any key".
    known: Mutex<HashMap<String, (Instant, LookUp)>>,
}

impl Auth {
    /// With or without a bootstrap key.
    pub fn new(bootstrap: Option<Verifier>) -> Self {
        Self { bootstrap, known: Mutex::new(HashMap::new()) }
    }

    /// Whether there is a bootstrap key.
    pub fn has_bootstrap(&self) -> bool {
        self.bootstrap.is_some()
    }

    fn remembered(&self, key_id: &str) -> Option<LookUp> {
        let known = self.lock();
        known.get(key_id).filter(|(at, _)| at.elapsed() < BELIEVED).map(|(_, found)| found.clone())
    }

    fn remember(&self, key_id: &str, found: &LookUp) {
        let mut known = self.lock();
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(key_id.to_owned(), (Instant::now(), found.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, LookUp)>> {
        // The map is whole after every single operation, whoever panicked.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Middleware of everything: no request under `/v1`, known route or not, gets past it without leave.
pub async fn authenticate(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path != "/v1" && !path.starts_with("/v1/") {
        return next.run(request).await;
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    match caller(&api, request.headers(), request.uri(), peer).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

async fn caller(api: &Api, headers: &HeaderMap, uri: &Uri, peer: Option<SocketAddr>) -> Result<Caller, ApiError> {
    let Some(header) = headers.get(header::AUTHORIZATION) else {
        if api.auth.has_bootstrap() || look_up(api, None).await?.any {
            return Err(unauthorized("send an API key as authorization: Bearer …"));
        }
        return without_key(headers, uri, peer);
    };
    let presented = header.to_str().ok().and_then(bearer).ok_or_else(|| unauthorized("this is not a bearer token"))?;
    let verifier = Verifier::of(presented);
    if api.auth.bootstrap.as_ref() == Some(&verifier) {
        return Ok(Caller { scopes: vec![Scope::Admin] });
    }
    let wrong = || unauthorized("the API key is not valid");
    let key = ApiKey::parse(presented).map_err(|_| wrong())?;
    let found = look_up(api, Some(key.kid())).await?.key.ok_or_else(wrong)?;
    let fits = found.verifier == Some(verifier);
    if fits && found.active { Ok(Caller { scopes: found.scopes }) } else { Err(wrong()) }
}

async fn look_up(api: &Api, key_id: Option<&str>) -> Result<LookUp, ApiError> {
    let name = key_id.unwrap_or_default();
    if let Some(found) = api.auth.remembered(name) {
        return Ok(found);
    }
    let owned = key_id.map(str::to_owned);
    let found = api
        .read(move |connection| {
            let key_id = owned.clone();
            Box::pin(async move { api_key::look_up(connection, key_id.as_deref()).await })
        })
        .await
        .map_err(|error| ApiError::engine(error, Code::Unauthorized))?;
    api.auth.remember(name, &found);
    Ok(found)
}

/// While no key exists, programs on this machine are served; pages in its browsers are not.
fn without_key(headers: &HeaderMap, uri: &Uri, peer: Option<SocketAddr>) -> Result<Caller, ApiError> {
    if !peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback()) {
        return Err(unauthorized("no API key is configured: only loopback is served"));
    }
    let site = headers.get("sec-fetch-site").map(|value| value == "same-origin" || value == "none");
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| uri.authority().map(http::uri::Authority::as_str));
    if site == Some(false) || !host.is_none_or(names_loopback) {
        let detail = "without an API key only loopback addresses are served, and no pages of other sites";
        return Err(ApiError::new(Code::Forbidden, detail));
    }
    Ok(Caller { scopes: vec![Scope::Admin] })
}

/// Whether a `host` is this machine by its own name: another name may have been pointed here by a web page.
fn names_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let by_name = name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    by_name || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.to_canonical().is_loopback())
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthorized(detail: &str) -> ApiError {
    ApiError::new(Code::Unauthorized, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(result: Result<Caller, ApiError>) -> u16 {
        result.map_or_else(|error| error.problem().status, |_| 200)
    }

    #[test]
    fn without_a_key_only_programs_on_this_machine_are_served() {
        let uri = Uri::from_static("/v1/jobs");
        let loopback = "127.0.0.1:9".parse().ok();
        let mapped = "[::ffff:127.0.0.1]:9".parse().ok();
        let far = "192.0.2.1:9".parse().ok();
        let mut headers = HeaderMap::new();
        assert_eq!(status(without_key(&headers, &uri, loopback)), 200);
        assert_eq!(status(without_key(&headers, &uri, mapped)), 200);
        assert_eq!(status(without_key(&headers, &uri, far)), 401);
        assert_eq!(status(without_key(&headers, &uri, None)), 401);
        for (host, expected) in [("localhost:8710", 200), ("[::1]:8710", 200), ("evil.example:8710", 403)] {
            headers.insert(header::HOST, host.parse().unwrap());
            assert_eq!(status(without_key(&headers, &uri, loopback)), expected, "{host}");
        }
        headers.insert(header::HOST, "localhost".parse().unwrap());
        headers.insert("sec-fetch-site", "cross-site".parse().unwrap());
        assert_eq!(status(without_key(&headers, &uri, loopback)), 403);
    }

    #[test]
    fn a_bearer_token_is_taken_in_any_case_of_the_scheme() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc"), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("abc"), None);
    }

    #[test]
    fn scopes_are_needed() {
        let caller = Caller { scopes: vec![Scope::Enqueue] };
        assert!(caller.need(Scope::Enqueue).is_ok());
        assert_eq!(caller.need(Scope::Read).unwrap_err().problem().status, 403);
    }
}
