//! A function behind TLS, and an authority of its own that certifies everybody.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// An authority, and a folder for what it certifies.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub folder: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        Self { issuer, folder: tempfile::tempdir().expect("a folder") }
    }

    /// A certificate and its key for `name`, as PEM.
    pub fn certify(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.issuer).expect("a certificate").pem(), key.serialize_pem())
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// The `tls` of an endpoint that trusts this authority.
    pub fn trusted(&self) -> Value {
        json!({"ca": {"file": self.write("ca.pem", &self.pem())}})
    }

    /// The same, with a client certificate that `by` gave.
    pub fn trusted_as(&self, by: &Self) -> Value {
        let (certificate, key) = by.certify("dispatcher");
        let mut tls = self.trusted();
        tls["certificate"] = json!({"file": self.write("client.pem", &certificate)});
        tls["key"] = json!({"file": self.write("client.key", &key)});
        tls
    }
}

/// Overwrites a file that `tls` names.
pub fn replace(tls: &Value, field: &str, text: &str) {
    let path = tls[field]["file"].as_str().expect("a file");
    std::fs::write(Path::new(path), text).expect("a file");
}

/// A function that answers 204 to whoever gets through.
pub struct SecureFunction {
    pub address: SocketAddr,
    served: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl SecureFunction {
    /// Serves as `name`; asks for client certificates of `clients`, if that is given.
    pub async fn start(authority: &Authority, name: &str, clients: Option<&Authority>) -> Self {
        posthaste_service::tls::install_crypto_provider();
        let (certificate, key) = authority.certify(name);
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        let builder = match clients {
            None => ServerConfig::builder().with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(clients.pem().as_bytes()).expect("PEM")).expect("a root");
                let verifier = WebPkiClientVerifier::builder(roots.into()).build().expect("a verifier");
                ServerConfig::builder().with_client_cert_verifier(verifier)
            }
        };
        let config = Arc::new(builder.with_single_cert(chain, key).expect("a certificate"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let served = Arc::new(AtomicUsize::new(0));
        let connections = Arc::new(AtomicUsize::new(0));
        let (counter, opened) = (Arc::clone(&served), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                opened.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(TlsAcceptor::from(Arc::clone(&config)), stream, Arc::clone(&counter)));
            }
        });
        Self { address, served, connections, server: task }
    }

    /// How many requests got through.
    pub fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for SecureFunction {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// One request after the other. An envelope ends with `}}`; what does not get through is what the test wants.
async fn serve(acceptor: TlsAcceptor, stream: TcpStream, served: Arc<AtomicUsize>) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut read = Vec::new();
    while stream.read_buf(&mut read).await.unwrap_or(0) > 0 {
        if read.ends_with(b"}}") {
            read.clear();
            served.fetch_add(1, Ordering::SeqCst);
            let _gone = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    }
}
