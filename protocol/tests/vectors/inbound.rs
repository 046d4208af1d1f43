//! Signatures of third parties.

use http::{HeaderMap, HeaderName, HeaderValue};
use posthaste_protocol::inbound::{InboundRequest, InboundSecret, InboundSignature, SecretSource, slack_challenge};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{check, faults};

/// Headers as the vectors write them: a list, so that one can be there twice.
pub fn map(headers: &[(String, String)]) -> HeaderMap {
    let header = |(name, value): &(String, String)| {
        (name.parse::<HeaderName>().expect("a name"), value.parse::<HeaderValue>().expect("a value"))
    };
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter().map(header) {
        map.append(name, value);
    }
    map
}

#[test]
fn inbound_signatures_are_verified_as_published() {
    #[derive(Deserialize)]
    struct Given {
        signature: Value,
        secrets: Vec<String>,
        headers: Vec<(String, String)>,
        body: Option<String>,
        body_hex: Option<String>,
        now_unix: i64,
    }

    check(include_str!("../../../tests/vectors/inbound.json"), |given: &Given| {
        let signature = InboundSignature::parse(&given.signature.to_string()).expect("a specification");
        let scheme = signature.scheme.name();
        let secrets: Vec<_> =
            given.secrets.iter().map(|text| InboundSecret::parse(scheme, text).expect("a secret")).collect();
        let body = match (&given.body, &given.body_hex) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(text)) => hex::decode(text).expect("hexadecimal"),
            _ => panic!("either body or body_hex"),
        };
        let headers = map(&given.headers);
        let request = InboundRequest { headers: &headers, body: &body, now_unix: given.now_unix };
        match signature.verify(&secrets, &request) {
            Ok(()) => Ok(json!({"verified": true})),
            Err(error) => Err(error.fault().as_str().into()),
        }
    });
}

#[test]
fn inbound_signatures_are_specified_as_published() {
    #[derive(Deserialize)]
    struct Given {
        document: String,
    }

    check(include_str!("../../../tests/vectors/inbound_spec.json"), |given: &Given| {
        let signature = InboundSignature::parse(&given.document).map_err(faults)?;
        let literals = signature.secrets.iter().filter(|secret| matches!(secret, SecretSource::Literal(_))).count();
        Ok(json!({"written": signature, "literals": literals}))
    });
}

#[test]
fn slack_is_answered_as_published() {
    #[derive(Deserialize)]
    struct Given {
        body: String,
    }

    check(include_str!("../../../tests/vectors/slack_challenge.json"), |given: &Given| {
        let challenge = slack_challenge(given.body.as_bytes()).ok_or("no challenge")?;
        Ok(json!({"challenge": challenge}))
    });
}
