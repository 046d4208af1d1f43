//! AWS Signature Version 4 of one POST. Computed by AWS's own library, over what AWS demands: the host, the content type,
//! every `x-amz-` header, and the body.

use std::time::{Duration, SystemTime};

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header::CONTENT_TYPE};
use sha2::{Digest, Sha256};

/// What a signature is good for, beside one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Such as `eu-west-1`.
    pub region: String,
    /// `lambda` or `execute-api`.
    pub service: &'static str,
}

impl Scope {
    /// Signs a POST of `body` to `uri`, at `now_unix`.
    pub fn sign(
        &self,
        identity: &Identity,
        now_unix: i64,
        uri: &Uri,
        headers: &mut HeaderMap,
        body: &[u8],
    ) -> Result<(), SigningError> {
        let since = Duration::from_secs(u64::try_from(now_unix).unwrap_or(0));
        let params = v4::SigningParams::builder()
            .identity(identity)
            .region(&self.region)
            .name(self.service)
            .time(SystemTime::UNIX_EPOCH + since)
            .settings(SigningSettings::default())
            .build()
            .expect("every parameter is set")
            .into();
        let signed = headers
            .iter()
            .filter(|(name, _)| **name == CONTENT_TYPE || name.as_str().starts_with("x-amz-"))
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        // The library logs what it is given at its lowest level: a digest says nothing.
        let digest = SignableBody::Precomputed(hex::encode(Sha256::digest(body)));
        let request = SignableRequest::new("POST", uri.to_string(), signed, digest)?;
        let (instructions, _) = sign(request, &params)?.into_parts();
        let (made, _) = instructions.into_parts();
        for header in made {
            if let Ok(mut value) = HeaderValue::from_str(header.value()) {
                value.set_sensitive(true);
                headers.insert(HeaderName::from_static(header.name()), value);
            }
        }
        Ok(())
    }
}
