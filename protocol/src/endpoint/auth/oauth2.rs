//! OAuth 2.0 client credentials: where the token comes from, and what is asked for.

use super::{Auth, part::Parts};
use crate::endpoint::target;
use crate::object::Faults;

pub(super) fn read(parts: &mut Parts, faults: &mut Faults) -> Option<Auth> {
    let token_url = parts.need("token_url", faults).and_then(|part| target::read(&part, faults));
    let client_id = parts.needed_text("client_id", 1024, faults);
    let client_secret = parts.secret("client_secret", faults);
    let scope = parts.text("scope", 2048, faults);
    let audience = parts.text("audience", 2048, faults);
    Some(Auth::Oauth2 { token_url: token_url?, client_id: client_id?, client_secret: client_secret?, scope, audience })
}
