//! ID tokens of Google: for whom, from which source, in which header.

use super::{Auth, part::Parts};
use crate::endpoint::reference;
use crate::object::Faults;
use crate::word::words;

words! {
    /// Where an ID token goes.
    pub enum TokenHeader {
        /// The usual place.
        Authorization = "authorization",
        /// Cloud Run reads it first and takes it away, so that the function's own `authorization` stays.
        ServerlessAuthorization = "x-serverless-authorization",
    }
}

pub(super) fn read(parts: &mut Parts, faults: &mut Faults) -> Auth {
    let audience = parts.text("audience", 2048, faults);
    let key = parts.take("key").and_then(|part| reference::read_secret(&part, faults));
    let impersonate = parts.take("impersonate").and_then(|part| {
        let account = part.text_within(320, faults)?;
        if !is_account(&account) {
            part.fault(
                "wrong_format",
                "must be a service account such as name@project.iam.gserviceaccount.com",
                faults,
            );
            return None;
        }
        Some(account)
    });
    let header = parts.take("header").and_then(|part| part.word(faults));
    Auth::GoogleIdToken { audience, key, impersonate, header }
}

/// It becomes a part of a path.
fn is_account(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"@._-".contains(&b));
    plain && text.split('@').filter(|part| !part.is_empty()).count() == 2 && text.matches('@').count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_an_address_that_fits_a_path() {
        assert!(is_account("invoker@project-1.iam.gserviceaccount.com"));
        for bad in ["", "invoker", "@project", "invoker@", "a@b@c", "a/b@project", "a b@project", "a@b?x"] {
            assert!(!is_account(bad), "{bad}");
        }
    }
}
