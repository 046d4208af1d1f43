use ::hmac::{Hmac, KeyInit as _, Mac as _};
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, Engine as _};
use http::{HeaderName, HeaderValue};
use sha2::Sha256;

use super::*;

const NOW: i64 = 1_795_248_000;
const TEXT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &[u8] = b"{\"a\": 1}";

fn spec(json: &str) -> InboundSignature {
    InboundSignature::parse(json).unwrap()
}

fn of(scheme: &str) -> InboundSignature {
    spec(&format!(r#"{{"scheme": "{scheme}"}}"#))
}

fn hmac_of(rest: &str) -> InboundSignature {
    spec(&format!(r#"{{"scheme": "hmac", "header": "X-Sig"{rest}}}"#))
}

fn secret(spec: &InboundSignature, text: &str) -> InboundSecret {
    InboundSecret::parse(spec.scheme.name(), text).unwrap()
}

fn tag(secret: &InboundSecret, message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_bytes()).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn map(headers: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
    }
    map
}

fn check(
    spec: &InboundSignature,
    secrets: &[InboundSecret],
    headers: &[(&str, &str)],
    body: &[u8],
    now_unix: i64,
) -> Result<(), SignatureFault> {
    let headers = map(headers);
    let request = InboundRequest { headers: &headers, body, now_unix };
    spec.verify(secrets, &request).map_err(InvalidSignature::fault)
}

/// A specification with the headers that sign `BODY` at `NOW` under `TEXT`, for each scheme.
fn signed() -> Vec<(InboundSignature, Vec<(&'static str, String)>)> {
    let message = |prefix: String| [prefix.as_bytes(), BODY].concat();
    let hex = |spec: &InboundSignature, prefix: String| hex::encode(tag(&secret(spec, TEXT), &message(prefix)));
    let (standard, stripe, github, slack) = (of("standard_webhooks"), of("stripe"), of("github"), of("slack"));
    let (plain, prefixed) = (hmac_of(""), hmac_of(r#", "encoding": "base64", "prefix": "HMAC ""#));
    let standard_tag = BASE64_STANDARD.encode(tag(&secret(&standard, TEXT), &message(format!("msg_1.{NOW}."))));
    let stripe_tag = hex(&stripe, format!("{NOW}."));
    let github_tag = hex(&github, String::new());
    let slack_tag = hex(&slack, format!("v0:{NOW}:"));
    let plain_tag = hex(&plain, String::new());
    let base64_tag = BASE64_STANDARD.encode(tag(&secret(&prefixed, TEXT), BODY));
    vec![
        (
            standard,
            vec![
                ("webhook-id", "msg_1".to_owned()),
                ("webhook-timestamp", NOW.to_string()),
                ("webhook-signature", format!("v1,{standard_tag}")),
            ],
        ),
        (stripe, vec![("stripe-signature", format!("t={NOW},v1={stripe_tag}"))]),
        (github, vec![("x-hub-signature-256", format!("sha256={github_tag}"))]),
        (slack, vec![("x-slack-request-timestamp", NOW.to_string()), ("x-slack-signature", format!("v0={slack_tag}"))]),
        (plain, vec![("x-sig", plain_tag)]),
        (prefixed, vec![("x-sig", format!("HMAC {base64_tag}"))]),
    ]
}

fn pairs<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[test]
fn a_request_is_verified_by_any_of_the_secrets() {
    for (spec, headers) in signed() {
        let name = spec.scheme.name();
        let ours = secret(&spec, TEXT);
        let other = InboundSecret::from_bytes(&[9; 100]).unwrap();
        for secrets in [vec![ours.clone()], vec![other.clone(), ours]] {
            assert_eq!(check(&spec, &secrets, &pairs(&headers), BODY, NOW), Ok(()), "{name}");
        }
        assert_eq!(check(&spec, &[other], &pairs(&headers), BODY, NOW), Err(SignatureFault::NoMatch), "{name}");
        assert_eq!(check(&spec, &[], &pairs(&headers), BODY, NOW), Err(SignatureFault::NoSecret), "{name}");
    }
}

#[test]
fn a_changed_body_is_noticed() {
    for (spec, headers) in signed() {
        let secrets = [secret(&spec, TEXT)];
        for body in [&b""[..], b"{\"a\": 2}", b"{\"a\":1}"] {
            let fault = check(&spec, &secrets, &pairs(&headers), body, NOW).unwrap_err();
            assert_eq!(fault, SignatureFault::NoMatch, "{}", spec.scheme.name());
        }
    }
}

#[test]
fn the_head_alone_tells_what_no_body_can_mend() {
    for (spec, headers) in signed() {
        let (secrets, name) = ([secret(&spec, TEXT)], spec.scheme.name());
        let head = |headers: &[(&str, &str)], now| {
            spec.verify_head(&secrets, &map(headers), now).map_err(InvalidSignature::fault)
        };
        assert_eq!(head(&pairs(&headers), NOW), Ok(()), "{name}");
        assert_eq!(head(&[], NOW), Err(SignatureFault::MissingHeader), "{name}");
        let signs_time = !matches!(spec.scheme, Scheme::Github | Scheme::Hmac(_));
        let late = if signs_time { Err(SignatureFault::TooOld) } else { Ok(()) };
        assert_eq!(head(&pairs(&headers), NOW + 301), late, "{name}");
    }
}

#[test]
fn every_header_must_be_there_once_and_within_bounds() {
    for (spec, headers) in signed() {
        let secrets = [secret(&spec, TEXT)];
        for at in 0..headers.len() {
            let name = headers[at].0;
            let mut missing = pairs(&headers);
            missing.remove(at);
            assert_eq!(check(&spec, &secrets, &missing, BODY, NOW), Err(SignatureFault::MissingHeader), "{name}");
            let mut twice = pairs(&headers);
            twice.push(twice[at]);
            assert_eq!(check(&spec, &secrets, &twice, BODY, NOW), Err(SignatureFault::MalformedHeader), "{name}");
            let long = "1".repeat(4097);
            let mut too_long = pairs(&headers);
            too_long[at].1 = &long;
            assert_eq!(check(&spec, &secrets, &too_long, BODY, NOW), Err(SignatureFault::MalformedHeader), "{name}");
        }
    }
}

#[test]
fn a_signed_time_must_be_near() {
    let timed = |spec: &InboundSignature| !matches!(spec.scheme, Scheme::Github | Scheme::Hmac(_));
    for (spec, headers) in signed() {
        let at = |now| check(&spec, &[secret(&spec, TEXT)], &pairs(&headers), BODY, now);
        let name = spec.scheme.name();
        assert_eq!((at(NOW - 300), at(NOW + 300)), (Ok(()), Ok(())), "{name}");
        let (early, late) = (at(NOW - 301), at(NOW + 301));
        let expected =
            if timed(&spec) { (Err(SignatureFault::TooNew), Err(SignatureFault::TooOld)) } else { (Ok(()), Ok(())) };
        assert_eq!((early, late), expected, "{name}");
    }
}

#[test]
fn a_tolerance_can_be_narrower() {
    let narrow = spec(r#"{"scheme": "slack", "tolerance_s": 5}"#);
    let (_, headers) = signed().swap_remove(3);
    let at = |now| check(&narrow, &[secret(&narrow, TEXT)], &pairs(&headers), BODY, now);
    assert_eq!((at(NOW + 5), at(NOW + 6)), (Ok(()), Err(SignatureFault::TooOld)));
}

#[test]
fn standard_webhooks_may_come_under_their_older_names_but_not_mixed() {
    let (spec, headers) = signed().swap_remove(0);
    let [(_, id), (_, at), (_, signature)] = headers.as_slice() else { panic!("three headers") };
    let secrets = [secret(&spec, TEXT)];
    let old = [("svix-id", id.as_str()), ("svix-timestamp", at), ("svix-signature", signature)];
    assert_eq!(check(&spec, &secrets, &old, BODY, NOW), Ok(()));
    let mixed = [("webhook-id", id.as_str()), ("svix-timestamp", at), ("svix-signature", signature)];
    assert_eq!(check(&spec, &secrets, &mixed, BODY, NOW), Err(SignatureFault::MissingHeader));
}

#[test]
fn an_id_with_a_dot_cannot_shift_what_is_signed() {
    let (spec, _) = signed().swap_remove(0);
    let secrets = [secret(&spec, TEXT)];
    // Signed as id `a`, with a body that begins with a number and a dot.
    let body = format!("{NOW}.rest");
    let signature = BASE64_STANDARD.encode(tag(&secrets[0], format!("a.{NOW}.{body}").as_bytes()));
    let (at, signature) = (NOW.to_string(), format!("v1,{signature}"));
    let shifted_id = format!("a.{NOW}");
    let headers = |id| [("webhook-id", id), ("webhook-timestamp", at.as_str()), ("webhook-signature", &signature)];
    assert_eq!(check(&spec, &secrets, &headers("a"), body.as_bytes(), NOW), Ok(()));
    let shifted = check(&spec, &secrets, &headers(&shifted_id), b"rest", NOW);
    assert_eq!(shifted, Err(SignatureFault::MalformedHeader));
}

#[test]
fn stripe_counts_every_v1_and_no_v0() {
    let (spec, headers) = signed().swap_remove(1);
    let secrets = [secret(&spec, TEXT)];
    let good = headers[0].1.split_once("v1=").unwrap().1.to_owned();
    let bad = "0".repeat(64);
    let at = |value: &str| check(&spec, &secrets, &[("stripe-signature", value)], BODY, NOW);
    assert_eq!(at(&format!("t={NOW},v1={bad},v1={good},v0={bad}")), Ok(()));
    assert_eq!(at(&format!("v1={good},t={NOW}")), Ok(()));
    assert_eq!(at(&format!("t={NOW},v0={good}")), Err(SignatureFault::NoMatch));
    assert_eq!(at(&format!("t={NOW},v1={}", &good[2..])), Err(SignatureFault::NoMatch));
    assert_eq!(at(&format!("v1={good}")), Err(SignatureFault::MalformedHeader));
    assert_eq!(at(&format!("t={NOW},t={NOW},v1={good}")), Err(SignatureFault::MalformedHeader));
    assert_eq!(at(&format!("t=+{NOW},v1={good}")), Err(SignatureFault::MalformedHeader));
    let many = format!("v1={bad},").repeat(MAX_TAGS_OF_A_REQUEST);
    assert_eq!(at(&format!("t={NOW},{many}v1={good}")), Err(SignatureFault::NoMatch), "the seventeenth is not read");
}

const MAX_TAGS_OF_A_REQUEST: usize = 16;

#[test]
fn a_signature_in_another_form_is_malformed() {
    let (github, headers) = signed().swap_remove(2);
    let hex = headers[0].1.strip_prefix("sha256=").unwrap();
    let at = |value: &str| check(&github, &[secret(&github, TEXT)], &[("x-hub-signature-256", value)], BODY, NOW);
    assert_eq!(at(&format!("sha256={}", hex.to_uppercase())), Ok(()));
    for bad in [hex.to_owned(), format!("sha1={hex}"), format!("sha256={}", &hex[1..]), format!("sha256={hex}0")] {
        assert_eq!(at(&bad), Err(SignatureFault::MalformedHeader), "{bad}");
    }
}

#[test]
fn plain_base64_may_be_padded_or_not() {
    let spec = hmac_of(r#", "encoding": "base64""#);
    let secrets = [secret(&spec, TEXT)];
    let tag = tag(&secrets[0], BODY);
    for value in [BASE64_STANDARD.encode(tag), BASE64_STANDARD_NO_PAD.encode(tag)] {
        assert_eq!(check(&spec, &secrets, &[("x-sig", &value)], BODY, NOW), Ok(()), "{value}");
    }
    let hex = hex::encode(tag);
    assert_eq!(check(&spec, &secrets, &[("x-sig", &hex)], BODY, NOW), Err(SignatureFault::MalformedHeader));
}

#[test]
fn a_specification_is_read_with_its_defaults_and_written_back() {
    let json = r#"{"secrets": ["0123456789abcdef", {"env": "HOOK_SECRET"}], "scheme": "hmac", "header": "X-Sig"}"#;
    let read = spec(json);
    assert!(matches!(read.secrets.as_slice(), [SecretSource::Literal(_), SecretSource::Reference(_)]));
    let written = serde_json::to_string(&read).unwrap();
    assert_eq!(
        written,
        r#"{"scheme":"hmac","header":"x-sig","encoding":"hex","prefix":"","secrets":[{"env":"HOOK_SECRET"}]}"#
    );
    assert_eq!(spec(&written).scheme, read.scheme);
    assert_eq!(serde_json::to_string(&of("stripe")).unwrap(), r#"{"scheme":"stripe","tolerance_s":300,"secrets":[]}"#);
    assert_eq!(serde_json::to_string(&of("github")).unwrap(), r#"{"scheme":"github","secrets":[]}"#);
}

#[test]
fn every_fault_of_a_specification_is_named() {
    let faults = |json: &str| -> Vec<_> {
        let errors = InboundSignature::parse(json).unwrap_err();
        errors.iter().map(|error| format!("{} {}", error.field, error.code)).collect()
    };
    assert_eq!(faults("{}"), ["scheme required"]);
    assert_eq!(faults("null"), [" wrong_type"]);
    assert_eq!(faults("[]"), [" wrong_type"]);
    assert_eq!(faults("{"), [" malformed_json"]);
    assert_eq!(faults(r#"{"scheme": "twilio", "x": 1}"#), ["scheme unknown_word", "x unknown_field"]);
    assert_eq!(faults(r#"{"scheme": "hmac"}"#), ["header required"]);
    assert_eq!(
        faults(r#"{"scheme": "hmac", "header": "a b", "prefix": "\n", "encoding": "hax"}"#),
        ["header invalid_header", "prefix invalid_header", "encoding unknown_word"]
    );
    assert_eq!(
        faults(r#"{"scheme": "github", "tolerance_s": 5, "header": "x"}"#),
        ["tolerance_s conflict", "header conflict"]
    );
    assert_eq!(faults(r#"{"tolerance_s": 3601, "scheme": "stripe"}"#), ["tolerance_s out_of_range"]);
    assert_eq!(
        faults(r#"{"secrets": ["sk_live_0123456789", 5, {"env": "PGPASSWORD"}, "whsec_x"], "scheme": "stripe"}"#),
        [
            "secrets[0] invalid_secret",
            "secrets[1] wrong_type",
            "secrets[2].env forbidden_reference",
            "secrets[3] invalid_secret"
        ]
    );
    let six = [r#""0123456789abcdef""#; 6].join(",");
    assert_eq!(faults(&format!(r#"{{"scheme": "slack", "secrets": [{six}]}}"#)), ["secrets too_many"]);
}

#[test]
fn a_secret_has_the_form_of_its_scheme() {
    let parse = |scheme, text: &str| InboundSecret::parse(scheme, text).map(|secret| secret.expose_bytes().len());
    assert_eq!(parse(SchemeName::StandardWebhooks, TEXT), Ok(24));
    assert_eq!(parse(SchemeName::Stripe, TEXT), Ok(TEXT.len()));
    assert_eq!(parse(SchemeName::Stripe, "sk_live_0123456789"), Err(InboundSecretError::Stripe));
    assert_eq!(parse(SchemeName::Slack, "fifteen bytes.."), Err(InboundSecretError::Length));
    assert_eq!(parse(SchemeName::Github, &"x".repeat(513)), Err(InboundSecretError::Length));
    assert!(matches!(parse(SchemeName::StandardWebhooks, "x"), Err(InboundSecretError::StandardWebhooks(_))));
}

#[test]
fn a_slack_challenge_is_given_back_and_nothing_else() {
    let asked = br#"{"token": "t", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY", "type": "url_verification"}"#;
    assert_eq!(slack_challenge(asked).as_deref(), Some("3eZbrw1aBm2rZgRNFdxV2595E9CY"));
    let long = format!(r#"{{"type": "url_verification", "challenge": "{}"}}"#, "x".repeat(513));
    for no in [
        r#"{"type": "event_callback", "challenge": "x"}"#,
        r#"{"type": "url_verification"}"#,
        r#"{"type": "url_verification", "challenge": ""}"#,
        r#"{"type": "url_verification", "challenge": "<script> alert"}"#,
        r#"{"type": "url_verification", "challenge": 5}"#,
        "payload=%7B%7D",
        &long,
    ] {
        assert_eq!(slack_challenge(no.as_bytes()), None, "{no}");
    }
}

#[test]
fn secrets_cannot_be_printed() {
    let read = spec(r#"{"scheme": "github", "secrets": ["hunter2 hunter2 hunter2"]}"#);
    assert!(!format!("{read:?}").contains("hunter2"), "{read:?}");
}
