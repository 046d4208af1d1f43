//! The client of an endpoint whose TLS is its own: a client certificate, or a private authority. It has its own connections.

use std::sync::Arc;

use posthaste_protocol::endpoint::{Reference, Tls};
use rustls::ClientConfig;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    context::Context,
    egress::{Client, ClientOptions, Pems, tls_config},
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
        let files = Files::read(tls)?;
        let made_of = files.digest();
        if let Some(before) = before.filter(|before| before.made_of == made_of) {
            return Ok(before.clone());
        }
        let options = ClientOptions { tls: Some(files.config()?), ..context.egress_options.clone() };
        Ok(Self { client: Client::new(context.policy.clone(), &options), made_of })
    }
}

/// What an endpoint's TLS is made of, as it is now.
pub(crate) struct Files {
    certificate: Option<Zeroizing<String>>,
    key: Option<Zeroizing<String>>,
    ca: Option<Zeroizing<String>>,
}

impl Files {
    pub(crate) fn read(tls: &Tls) -> Result<Self, String> {
        let read = |field: &str, reference: &Option<Reference>| {
            let read = reference.as_ref().map(secret::resolve_document).transpose();
            read.map_err(|reason| format!("tls.{field}: {reason}"))
        };
        Ok(Self {
            certificate: read("certificate", &tls.certificate)?,
            key: read("key", &tls.key)?,
            ca: read("ca", &tls.ca)?,
        })
    }

    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let identity = self.certificate.as_ref().zip(self.key.as_ref());
        let identity = identity.map(|(chain, key)| (chain.as_str(), key.as_str()));
        tls_config(Pems { identity, ca: self.ca.as_ref().map(|ca| ca.as_str()) })
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for part in [&self.certificate, &self.key, &self.ca].map(|part| part.as_ref().map_or("", |text| text.as_str()))
        {
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}
