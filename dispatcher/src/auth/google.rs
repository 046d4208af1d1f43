//! ID tokens of Google: from the metadata server, for a service account's key, or for an account that one may speak for.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header::AUTHORIZATION, header::CONTENT_TYPE};
use posthaste_protocol::endpoint::Reference;
use posthaste_service::clock;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::{
    assertion::AccountKey,
    bearer,
    exchange::{ANSWER_CAP, PATIENCE, read},
    mint::{Credential, MintError, Minted, Minter},
};
use crate::{
    egress::{Answer, Client, ClientOptions, EgressPolicy},
    secret,
};

const METADATA: &str = "the metadata server";
const TOKENS: &str = "Google's token server";
const IAM: &str = "IAM Credentials";
/// What speaking for another account needs.
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Where Google answers. The default is where it does for everybody.
#[derive(Debug, Clone)]
pub struct GoogleHosts {
    /// Host, and port if any, of the metadata server.
    pub metadata: String,
    /// Base of the IAM Credentials API.
    pub iam_credentials: Url,
}

impl Default for GoogleHosts {
    fn default() -> Self {
        Self {
            metadata: "metadata.google.internal".to_owned(),
            iam_credentials: Url::parse("https://iamcredentials.googleapis.com").expect("a URL"),
        }
    }
}

impl GoogleHosts {
    /// A client that dials this metadata server and nothing else that is private.
    pub(super) fn metadata_client(&self) -> Client {
        let host = self.metadata.rsplit_once(':').map_or(self.metadata.as_str(), |(host, _)| host);
        let policy = EgressPolicy::from_entries([host]).unwrap_or_default();
        Client::new(policy, &ClientOptions { pool_idle_per_host: 1, ..ClientOptions::default() })
    }
}

pub(super) async fn mint(
    minter: &Minter,
    audience: &str,
    key: Option<&Reference>,
    impersonate: Option<&str>,
) -> Result<Minted, MintError> {
    let key = match key {
        Some(reference) => {
            let json = secret::resolve_document(reference).map_err(|reason| MintError::Reference("key", reason))?;
            Some(AccountKey::parse(&json).map_err(MintError::Key)?)
        }
        None => None,
    };
    let token = match (&key, impersonate) {
        (None, None) => {
            let query: String = form_urlencoded::byte_serialize(audience.as_bytes()).collect();
            let answer = metadata(minter, &format!("identity?audience={query}&format=full")).await?;
            text(METADATA, &answer)?.to_owned()
        }
        (Some(key), None) => {
            let asked = json!({"target_audience": audience});
            string(TOKENS, "an id_token", &redeem(minter, key, asked).await?, "id_token")?
        }
        (_, Some(account)) => speak_for(minter, account, audience, key.as_ref()).await?,
    };
    let life = life(&token, clock::unix_now()).ok_or(MintError::Meaningless("Google", "an ID token that ends"))?;
    let value = bearer(&token).ok_or(MintError::Meaningless("Google", "a token that can be sent"))?;
    Ok(Minted { credential: Credential::Token(value), life: Some(life) })
}

/// An ID token of `account`, which our own may make: it has the role Service Account OpenID Connect Identity Token Creator.
async fn speak_for(
    minter: &Minter,
    account: &str,
    audience: &str,
    key: Option<&AccountKey>,
) -> Result<String, MintError> {
    let access = match key {
        Some(key) => redeem(minter, key, json!({"scope": CLOUD_PLATFORM})).await?,
        None => read(METADATA, &metadata(minter, "token").await?)?,
    };
    let access = string("Google", "an access_token", &access, "access_token")?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(AUTHORIZATION, bearer(&access).ok_or(MintError::Meaningless("Google", "an access_token"))?);
    let mut url = minter.google.iam_credentials.clone();
    url.set_path(&format!("/v1/projects/-/serviceAccounts/{account}:generateIdToken"));
    let body = json!({"audience": audience, "includeEmail": true}).to_string();
    string(IAM, "a token", &minter.post(IAM, &url, headers, body.into()).await?, "token")
}

/// What the token server gives for what the key signs.
async fn redeem(minter: &Minter, key: &AccountKey, asked: Value) -> Result<Value, MintError> {
    let assertion = key.assert(asked, clock::unix_now()).map_err(MintError::Key)?;
    let fields = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &assertion)];
    minter.post_form(TOKENS, &key.token_uri, HeaderMap::new(), &fields).await
}

async fn metadata(minter: &Minter, what: &str) -> Result<Answer, MintError> {
    let url = format!("http://{}/computeMetadata/v1/instance/service-accounts/default/{what}", minter.google.metadata);
    let uri: Uri = url.parse().map_err(|_| MintError::Meaningless(METADATA, "a host that can be dialled"))?;
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google"));
    let deadline = Instant::now() + PATIENCE;
    let asked = minter.metadata.send(Method::GET, uri, headers, bytes::Bytes::new(), deadline, ANSWER_CAP).await;
    asked.map_err(|error| MintError::Unreachable(METADATA, error))
}

fn text<'a>(what: &'static str, answer: &'a Answer) -> Result<&'a str, MintError> {
    if !answer.status.is_success() {
        return read(what, answer).map(|_| "");
    }
    std::str::from_utf8(&answer.body).map(str::trim).map_err(|_| MintError::Meaningless(what, "a token"))
}

fn string(what: &'static str, missing: &'static str, answer: &Value, name: &str) -> Result<String, MintError> {
    answer.get(name).and_then(Value::as_str).map(str::to_owned).ok_or(MintError::Meaningless(what, missing))
}

/// How long an ID token is good for. It is not verified: whoever gave it was asked by name.
fn life(token: &str, now_unix: i64) -> Option<Duration> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let left = claims.get("exp")?.as_i64()?.saturating_sub(now_unix);
    u64::try_from(left).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_token_says_when_it_ends() {
        let token = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(life(&token(r#"{"exp":1060}"#), 1000), Some(Duration::from_mins(1)));
        for other in [token(r#"{"exp":999}"#), token("{}"), token("["), "a.b".to_owned(), "<html>".to_owned()] {
            assert_eq!(life(&other, 1000), None, "{other}");
        }
    }
}
