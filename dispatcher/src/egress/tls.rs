//! The TLS of connections: whom to trust, and a certificate of one's own.

use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// What an endpoint's TLS is made of, PEM.
#[derive(Clone, Copy)]
pub struct Pems<'a> {
    /// The client certificate with its chain, and its key.
    pub identity: Option<(&'a str, &'a str)>,
    /// Whom to trust; `None` trusts what the machine trusts.
    pub ca: Option<&'a str>,
}

/// The TLS of an endpoint. `Err` says what is wrong, and nothing of the key.
pub fn configure(pems: Pems<'_>) -> Result<Arc<ClientConfig>, String> {
    let trusting = match pems.ca {
        None => builder().with_native_roots().map_err(|error| format!("no root certificates: {error}"))?,
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(ca, "tls.ca")? {
                roots.add(certificate).map_err(|error| format!("tls.ca: {error}"))?;
            }
            builder().with_root_certificates(roots)
        }
    };
    let config = match pems.identity {
        None => trusting.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate, "tls.certificate")?;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| "tls.key: is no private key in PEM")?;
            trusting.with_client_auth_cert(chain, key).map_err(|error| format!("tls.key: {error}"))?
        }
    };
    Ok(Arc::new(config))
}

fn certificates(pem: &str, field: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(format!("{field}: holds no certificate in PEM")),
    }
}

/// What every other connection uses.
pub(super) fn default_config() -> ClientConfig {
    match builder().with_native_roots() {
        Ok(config) => config.with_no_client_auth(),
        Err(error) => {
            // A container without certificates can still reach what is allowed by plain HTTP.
            tracing::warn!(%error, "no root certificates found: every https endpoint will fail with `tls`");
            builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
    }
}

fn builder() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
}
