//! Signatures as third parties make them.

use std::{io::Write as _, sync::OnceLock};

use hmac::{Hmac, KeyInit as _, Mac as _};
use posthaste_service::clock;
use sha2::Sha256;

/// What they sign with.
pub const SECRET: &str = "whsec_0123456789abcdef0123456789abcdef";

/// The path of a file with the secret, there while the tests run.
pub fn secret_file() -> &'static str {
    static FILE: OnceLock<(tempfile::NamedTempFile, String)> = OnceLock::new();
    let (_, path) = FILE.get_or_init(|| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(SECRET.as_bytes()).unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        (file, path)
    });
    path
}

/// GitHub's header.
pub fn github(body: &[u8]) -> String {
    format!("x-hub-signature-256: sha256={}", tag(&[body]))
}

/// Stripe's header.
pub fn stripe(body: &[u8]) -> String {
    let now = clock::unix_now().to_string();
    format!("stripe-signature: t={now},v1={}", tag(&[now.as_bytes(), b".", body]))
}

/// Slack's headers.
pub fn slack(body: &[u8]) -> [String; 2] {
    let now = clock::unix_now().to_string();
    let signature = tag(&[b"v0:", now.as_bytes(), b":", body]);
    [format!("x-slack-request-timestamp: {now}"), format!("x-slack-signature: v0={signature}")]
}

fn tag(parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    for part in parts {
        mac.update(part);
    }
    hex::encode(mac.finalize().into_bytes())
}
