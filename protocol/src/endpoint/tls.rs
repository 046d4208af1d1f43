//! What TLS needs besides: a certificate of one's own, and whom to trust instead of everybody.

use serde::Serialize;

use super::reference::{self, Reference};
use crate::field::Field;
use crate::object::{Faults, Path, Shape};

/// The TLS of an endpoint. At least one of both is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// Where the client certificate is, PEM, its chain included; with `key`.
    pub certificate: Option<Reference>,
    /// Where its private key is, PEM.
    pub key: Option<Reference>,
    /// Where the certificates are that the server's must come from, PEM; `None` trusts what the machine trusts.
    pub ca: Option<Reference>,
}

/// Reads `{"certificate": reference, "key": reference, "ca": reference}`.
pub(super) fn read(field: &Field, faults: &mut Faults) -> Option<Tls> {
    let mut tls = Tls { certificate: None, key: None, ca: None };
    let before = faults.count();
    let shape = Shape { known: &["certificate", "key", "ca"], later: &[] };
    let is_object = field.object(shape, faults, |name, part, faults| {
        let place = match name {
            "certificate" => &mut tls.certificate,
            "key" => &mut tls.key,
            _ => &mut tls.ca,
        };
        if !part.is_null() {
            *place = reference::read_secret(&part, faults);
        }
    });
    if !is_object || faults.count() > before {
        return None;
    }
    let missing = match (&tls.certificate, &tls.key, &tls.ca) {
        (Some(_), None, _) => "key",
        (None, Some(_), _) | (None, None, None) => "certificate",
        _ => return Some(tls),
    };
    faults.push(&Path::Field(&field.path, missing), "required", "is required: a certificate goes with its key");
    None
}
