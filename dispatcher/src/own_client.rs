//! The client of an endpoint whose TLS is its own: a client certificate, or a private authority. It has its own connections.

use posthaste_protocol::endpoint::{Reference, Tls};
use sha2::{Digest, Sha256};

use crate::{
    context::Context,
    egress::{self, Client, ClientOptions, Pems},
    secret,
};

/// A client, kept for as long as what it is made of is the same: files are read again whenever the configuration is.
#[derive(Clone)]
pub struct OwnClient {
    /// It.
    pub client: Client,
    made_of: [u8; 32],
}

impl OwnClient {
    /// What `tls` asks for; `before` where that has not changed. `Err` says for people why it cannot be had.
    pub fn of(tls: &Tls, context: &Context, before: Option<&Self>) -> Result<Self, String> {
        let read = |field: &str, reference: Option<&Reference>| {
            let read = reference.map(secret::resolve_document).transpose();
            read.map_err(|reason| format!("tls.{field}: {reason}"))
        };
        let (certificate, key) = (read("certificate", tls.certificate.as_ref())?, read("key", tls.key.as_ref())?);
        let ca = read("ca", tls.ca.as_ref())?;
        let mut digest = Sha256::new();
        for part in [&certificate, &key, &ca].map(|part| part.as_ref().map_or("", |text| text.as_str())) {
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        }
        let made_of: [u8; 32] = digest.finalize().into();
        if let Some(before) = before.filter(|before| before.made_of == made_of) {
            return Ok(before.clone());
        }
        let identity = certificate.as_ref().zip(key.as_ref()).map(|(chain, key)| (chain.as_str(), key.as_str()));
        let config = egress::tls_config(Pems { identity, ca: ca.as_ref().map(|ca| ca.as_str()) })?;
        let options = ClientOptions { tls: Some(config), ..context.egress_options.clone() };
        Ok(Self { client: Client::new(context.policy.clone(), &options), made_of })
    }
}
