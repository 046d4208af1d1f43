//! Assertions: what a service account's key signs, to be given a token for it (RFC 7523).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::{
    SignatureScheme,
    crypto::ring::sign::any_supported_type,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

/// How long an assertion is good for, in seconds: the longest that Google takes.
const LIFE_S: i64 = 3600;

/// The JSON key of a service account, as Google hands it out.
#[derive(Deserialize)]
pub(super) struct AccountKey {
    #[serde(rename = "type")]
    kind: String,
    client_email: String,
    private_key_id: Option<String>,
    private_key: SecretString,
    /// Where assertions are redeemed.
    pub(super) token_uri: Url,
}

impl AccountKey {
    /// Reads a key. `Err` says what is wrong, and nothing of the key.
    pub(super) fn parse(json: &str) -> Result<Self, &'static str> {
        let shape = "is not the JSON key of a service account (type, client_email, private_key, token_uri)";
        let key: Self = serde_json::from_str(json).map_err(|_| shape)?;
        if key.kind == "service_account" { Ok(key) } else { Err(shape) }
    }

    /// A signed assertion with these claims besides.
    pub(super) fn assert(&self, mut claims: Value, now_unix: i64) -> Result<String, &'static str> {
        claims["iss"] = json!(self.client_email);
        claims["sub"] = json!(self.client_email);
        claims["aud"] = json!(self.token_uri);
        claims["iat"] = json!(now_unix);
        claims["exp"] = json!(now_unix + LIFE_S);
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.private_key_id});
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let payload = format!("{}.{}", encoded(&header), encoded(&claims));
        let der = PrivateKeyDer::from_pem_slice(self.private_key.expose_secret().as_bytes())
            .map_err(|_| "private_key is not PEM")?;
        let key = any_supported_type(&der).map_err(|_| "private_key is not a key that can sign")?;
        let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or("private_key is no RSA key")?;
        let signature = signer.sign(payload.as_bytes()).map_err(|_| "private_key cannot sign")?;
        Ok(format!("{payload}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        let user =
            r#"{"type":"authorized_user","client_email":"a","private_key":"s3cret","token_uri":"https://a.example/"}"#;
        for json in ["", "{}", user] {
            let Err(said) = AccountKey::parse(json) else { panic!("{json}") };
            assert!(!said.contains("s3cret"));
        }
        let bad =
            r#"{"type":"service_account","client_email":"a","private_key":"s3cret","token_uri":"https://a.example/"}"#;
        let said = AccountKey::parse(bad).unwrap().assert(json!({}), 0).unwrap_err();
        assert_eq!(said, "private_key is not PEM");
    }
}
