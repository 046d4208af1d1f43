//! OAuth 2.0 client credentials (RFC 6749, section 4.4): a token server gives an access token for an id and a secret.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use posthaste_protocol::endpoint::Reference;
use serde_json::Value;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::{
    bearer,
    mint::{Credential, MintError, Minted, Minter},
};
use crate::secret;

const WHAT: &str = "the token server";
/// How long a token is used of which nobody says how long it is good for.
const UNSAID: u64 = 300;
/// The longest that a token is believed to be good for.
const LONGEST: u64 = 86_400;

/// Who asks, and for what.
pub(super) struct Ask<'a> {
    pub(super) client_id: &'a str,
    pub(super) client_secret: &'a Reference,
    pub(super) scope: Option<&'a str>,
    pub(super) audience: Option<&'a str>,
}

pub(super) async fn mint(minter: &Minter, token_url: &Url, ask: &Ask<'_>) -> Result<Minted, MintError> {
    let secret = secret::resolve(ask.client_secret).map_err(|reason| MintError::Reference("client_secret", reason))?;
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, basic(ask.client_id, &secret));
    let mut fields = vec![("grant_type", "client_credentials")];
    fields.extend(ask.scope.map(|scope| ("scope", scope)));
    fields.extend(ask.audience.map(|audience| ("audience", audience)));
    let answer = minter.post_form(WHAT, token_url, headers, &fields).await?;
    token(&answer)
}

/// The access token of an answer, which may come with its life in seconds, as a number or a text.
fn token(answer: &Value) -> Result<Minted, MintError> {
    let token = answer.get("access_token").and_then(Value::as_str).and_then(bearer);
    let token = token.ok_or(MintError::Meaningless(WHAT, "an access_token"))?;
    let said = answer.get("expires_in");
    let life = said.and_then(Value::as_u64).or_else(|| said?.as_str()?.parse().ok()).unwrap_or(UNSAID);
    Ok(Minted { credential: Credential::Token(token), life: Some(Duration::from_secs(life.min(LONGEST))) })
}

/// Both parts are form-encoded first (section 2.3.1).
fn basic(id: &str, secret: &str) -> HeaderValue {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encoded(id), encoded(secret)));
    let mut value =
        HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair.as_bytes()))).expect("base64 can be sent");
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_and_a_secret_with_any_signs_in_them_come_through() {
        assert_eq!(basic("a:b", "p@ss word"), format!("Basic {}", STANDARD.encode("a%3Ab:p%40ss+word")).as_str());
        assert!(!format!("{:?}", basic("id", "s3cret")).contains("Basic"));
    }

    #[test]
    fn a_token_lives_as_long_as_its_answer_says() {
        let life = |answer: Value| token(&answer).unwrap().life.unwrap().as_secs();
        assert_eq!(life(json!({"access_token": "t", "expires_in": 60})), 60);
        assert_eq!(life(json!({"access_token": "t", "expires_in": "60"})), 60);
        assert_eq!(life(json!({"access_token": "t"})), 300);
        assert_eq!(life(json!({"access_token": "t", "expires_in": 1_000_000_000})), 86_400);
        assert!(token(&json!({"token_type": "Bearer"})).is_err());
        assert!(token(&json!({"access_token": "a\nb"})).is_err());
    }
}
