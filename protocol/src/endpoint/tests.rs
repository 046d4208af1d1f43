use proptest::prelude::*;

use super::*;

fn endpoint(rest: &str) -> EndpointSpec {
    EndpointSpec::parse(&format!(r#"{{"url":"https://a.example/x"{rest}}}"#)).unwrap()
}

fn lambda(rest: &str) -> EndpointSpec {
    let url = "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/pdf/invocations";
    EndpointSpec::parse(&format!(r#"{{"url":"{url}","format":"lambda"{rest}}}"#)).unwrap()
}

fn faults(rest: &str) -> Vec<(String, String)> {
    let json = format!(r#"{{"url":"https://a.example/x",{rest}}}"#);
    let errors = EndpointSpec::parse(&json).expect_err(&json);
    errors.into_iter().map(|e| (e.field, e.code)).collect()
}

#[test]
fn a_url_alone_has_every_default() {
    assert_eq!(
        serde_json::to_string(&endpoint("")).unwrap(),
        r#"{"url":"https://a.example/x","kinds":[],"format":"envelope","invocation_type":"request_response","timeout_ms":30000,"callback_timeout_ms":3600000,"max_run_ms":604800000,"cancel_grace_ms":10000,"idempotency":"job","accept_202":"wait","concurrency":64,"rate":null,"sdk":false,"on_unknown":null,"retry":{"policy":"exponential","base_ms":1000,"max_ms":86400000,"jitter":0.25},"headers":{},"auth":{"type":"none"},"tls":null,"status_map":{},"breaker":{"window_s":30,"min":10,"ratio":0.5,"probe_after_ms":5000},"cel":null}"#
    );
}

#[test]
fn what_is_written_is_read_back_but_for_the_secret() {
    let spec = endpoint(
        r#","kinds":["a","*"],"format":"raw","timeout_ms":1,"callback_timeout_ms":2,"max_run_ms":3,"cancel_grace_ms":0,
        "idempotency":"attempt","accept_202":"wait","concurrency":10000,"sdk":true,"on_unknown":"fail",
        "retry":{"policy":"list","delays_ms":[0,5]},"headers":{"X-A":"1","Cookie":{"env":"TOKEN"},"x-b":{"file":"/run/b"}},
        "auth":{"type":"bearer","token":{"file":"/run/secrets/t"}},"status_map":{"404":"retry"},"breaker":{"min":1},
        "cel":{"filter":"payload.ok","default_action":"fail","fail_open":true},
        "secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw""#,
    );
    assert!(spec.secret.is_some());
    assert_eq!(spec.headers.keys().collect::<Vec<_>>(), ["cookie", "x-a", "x-b"]);
    assert_eq!(spec.status_map[&404], StatusAction::Retry);
    assert_eq!(spec.breaker, Breaker { min: 1, ..Breaker::default() });
    assert!(spec.cel.as_ref().is_some_and(|cel| cel.fail_open && cel.on_complete.is_none()));
    let json = serde_json::to_string(&spec).unwrap();
    assert!(json.contains(r#""cookie":{"env":"TOKEN"}"#) && !json.contains("whsec"), "{json}");
    let again = EndpointSpec::parse(&json).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), json);
}

#[test]
fn a_202_means_what_the_format_suggests() {
    assert_eq!(endpoint("").accept_202, Accept202::Wait);
    assert_eq!(lambda("").accept_202, Accept202::Wait);
    assert_eq!(endpoint(r#","format":"raw""#).accept_202, Accept202::Complete);
    assert_eq!(endpoint(r#","format":"cloudevents""#).accept_202, Accept202::Complete);
    assert_eq!(endpoint(r#","accept_202":"complete""#).accept_202, Accept202::Complete);
}

#[test]
fn null_is_the_same_as_absent() {
    let fields: Vec<_> = SHAPE.known[1..].iter().map(|name| format!(r#","{name}":null"#)).collect();
    let spec = endpoint(&fields.concat());
    assert_eq!(serde_json::to_string(&spec).unwrap(), serde_json::to_string(&endpoint("")).unwrap());
}

/// What follows the URL, the field that is wrong, and its code.
const WRONG: &[(&str, &str, &str)] = &[
    (r#""nope":1"#, "nope", "unknown_field"),
    (r#""url":"https://b.example""#, "url", "duplicate_field"),
    (r#""kinds":"a""#, "kinds", "wrong_type"),
    (r#""kinds":["a",1]"#, "kinds[1]", "wrong_type"),
    (r#""kinds":["a b"]"#, "kinds[0]", "invalid_name"),
    (r#""kinds":["a","a"]"#, "kinds[1]", "duplicate"),
    (r#""format":"xml""#, "format", "unknown_word"),
    (r#""format":"lambda""#, "url", "invalid_url"),
    (r#""invocation_type":"Event""#, "invocation_type", "unknown_word"),
    (r#""invocation_type":"event""#, "invocation_type", "conflict"),
    (r#""timeout_ms":0"#, "timeout_ms", "out_of_range"),
    (r#""timeout_ms":3600001"#, "timeout_ms", "out_of_range"),
    (r#""timeout_ms":-1"#, "timeout_ms", "out_of_range"),
    (r#""timeout_ms":99999999999999999999"#, "timeout_ms", "out_of_range"),
    (r#""timeout_ms":1.5"#, "timeout_ms", "wrong_type"),
    (r#""timeout_ms":"1""#, "timeout_ms", "wrong_type"),
    (r#""callback_timeout_ms":2592000001"#, "callback_timeout_ms", "out_of_range"),
    (r#""max_run_ms":2592000001"#, "max_run_ms", "out_of_range"),
    (r#""cancel_grace_ms":600001"#, "cancel_grace_ms", "out_of_range"),
    (r#""concurrency":10001"#, "concurrency", "out_of_range"),
    (r#""rate":{"per_second":1}"#, "rate", "not_supported_yet"),
    (r#""sdk":"yes""#, "sdk", "wrong_type"),
    (r#""on_unknown":"hope""#, "on_unknown", "unknown_word"),
    (r#""idempotency":"run""#, "idempotency", "unknown_word"),
    (r#""accept_202":true"#, "accept_202", "wrong_type"),
    (r#""retry":[]"#, "retry", "wrong_type"),
    (r#""retry":{"polcy":1}"#, "retry.polcy", "unknown_field"),
    (r#""retry":{"policy":"random"}"#, "retry.policy", "unknown_word"),
    (r#""retry":{"base_ms":0}"#, "retry.base_ms", "out_of_range"),
    (r#""retry":{"base_ms":5,"max_ms":4}"#, "retry.max_ms", "out_of_range"),
    (r#""retry":{"jitter":1.01}"#, "retry.jitter", "out_of_range"),
    (r#""retry":{"jitter":"x"}"#, "retry.jitter", "wrong_type"),
    (r#""retry":{"policy":"list"}"#, "retry.delays_ms", "required"),
    (r#""retry":{"delays_ms":[1]}"#, "retry.delays_ms", "conflict"),
    (r#""retry":{"policy":"list","delays_ms":[1,null]}"#, "retry.delays_ms[1]", "wrong_type"),
    (r#""headers":{"x":1}"#, "headers.x", "wrong_type"),
    (r#""headers":{"a b":"1"}"#, "headers.a b", "invalid_header"),
    (r#""headers":{"x":"1\r\ny: 2"}"#, "headers.x", "invalid_header"),
    (r#""headers":{"Host":"x"}"#, "headers.Host", "forbidden_header"),
    (r#""headers":{"posthaste-x":"x"}"#, "headers.posthaste-x", "forbidden_header"),
    (r#""headers":{"x":"1","X":"2"}"#, "headers.X", "duplicate_field"),
    (r#""headers":{"authorization":"Bearer x"}"#, "headers.authorization", "literal_secret"),
    (r#""headers":{"x":{"env":"PGPASSWORD"}}"#, "headers.x.env", "forbidden_reference"),
    (r#""headers":{"x":{"env":"posthaste_api_key"}}"#, "headers.x.env", "forbidden_reference"),
    (r#""headers":{"x":{"env":"OTEL_X"}}"#, "headers.x.env", "forbidden_reference"),
    (r#""headers":{"x":{"env":"AWS_SECRET_ACCESS_KEY"}}"#, "headers.x.env", "forbidden_reference"),
    (r#""headers":{"x":{"env":"1A"}}"#, "headers.x.env", "invalid_reference"),
    (r#""headers":{"x":{}}"#, "headers.x", "invalid_reference"),
    (r#""headers":{"x":{"env":"A","file":"/a"}}"#, "headers.x", "invalid_reference"),
    (r#""headers":{"x":{"file":"a"}}"#, "headers.x.file", "invalid_reference"),
    (r#""headers":{"x":{"file":"/a/../proc/self/environ"}}"#, "headers.x.file", "invalid_reference"),
    (r#""headers":{"x":{"file":"/proc/self/environ"}}"#, "headers.x.file", "forbidden_reference"),
    (r#""auth":"bearer""#, "auth", "wrong_type"),
    (r#""auth":{"type":"basic"}"#, "auth.type", "unknown_word"),
    (r#""auth":{"type":"bearer","token":{"env":"A"},"nope":1}"#, "auth.nope", "unknown_field"),
    (r#""auth":{"type":"aws_sigv4"}"#, "auth.region", "required"),
    (r#""auth":{"type":"aws_sigv4","region":"Ireland"}"#, "auth.region", "wrong_format"),
    (r#""auth":{"type":"aws_sigv4","region":"eu-west-1","service":"s3"}"#, "auth.service", "unknown_word"),
    (r#""auth":{"type":"aws_sigv4","region":"eu-west-1","role_arn":"invoke"}"#, "auth.role_arn", "wrong_format"),
    (r#""auth":{"type":"aws_sigv4","region":"eu-west-1","external_id":"x7"}"#, "auth.external_id", "conflict"),
    (
        r#""auth":{"type":"aws_sigv4","region":"eu-west-1","role_arn":"arn:aws:iam::123456789012:role/a","external_id":"a b"}"#,
        "auth.external_id",
        "wrong_format",
    ),
    (r#""auth":{"type":"aws_sigv4","region":"eu-west-1","audience":"x"}"#, "auth.audience", "conflict"),
    (r#""auth":{"type":"google_id_token","audience":""}"#, "auth.audience", "wrong_format"),
    (r#""auth":{"type":"google_id_token","key":"{}"}"#, "auth.key", "literal_secret"),
    (r#""auth":{"type":"google_id_token","impersonate":"a/b@c"}"#, "auth.impersonate", "wrong_format"),
    (r#""auth":{"type":"google_id_token","header":"cookie"}"#, "auth.header", "unknown_word"),
    (
        r#""auth":{"type":"google_id_token","header":"authorization"},"headers":{"authorization":{"env":"B"}}"#,
        "headers.authorization",
        "conflict",
    ),
    (r#""auth":{"type":"oauth2","client_id":"a","client_secret":{"env":"A"}}"#, "auth.token_url", "required"),
    (
        r#""auth":{"type":"oauth2","token_url":"ftp://a","client_id":"a","client_secret":{"env":"A"}}"#,
        "auth.token_url",
        "invalid_url",
    ),
    (
        r#""auth":{"type":"oauth2","token_url":"https://a.example","client_secret":{"env":"A"}}"#,
        "auth.client_id",
        "required",
    ),
    (
        r#""auth":{"type":"oauth2","token_url":"https://a.example","client_id":"a","client_secret":"s3cret"}"#,
        "auth.client_secret",
        "literal_secret",
    ),
    (r#""tls":{}"#, "tls.certificate", "required"),
    (r#""tls":{"certificate":{"file":"/c"}}"#, "tls.key", "required"),
    (r#""tls":{"key":{"file":"/k"}}"#, "tls.certificate", "required"),
    (r#""tls":{"ca":"-----BEGIN"}"#, "tls.ca", "literal_secret"),
    (r#""auth":{"type":"bearer"}"#, "auth.token", "required"),
    (r#""auth":{"type":"bearer","token":"x"}"#, "auth.token", "literal_secret"),
    (r#""auth":{"token":{"env":"A"}}"#, "auth.token", "conflict"),
    (r#""auth":{"type":"none","token":{"env":"A"}}"#, "auth.token", "conflict"),
    (
        r#""auth":{"type":"bearer","token":{"env":"A"}},"headers":{"Authorization":{"env":"B"}}"#,
        "headers.authorization",
        "conflict",
    ),
    (r#""status_map":{"600":"retry"}"#, "status_map.600", "out_of_range"),
    (r#""status_map":{"+40":"retry"}"#, "status_map.+40", "out_of_range"),
    (r#""status_map":{"404":"shrug"}"#, "status_map.404", "unknown_word"),
    (r#""status_map":{"404":null}"#, "status_map.404", "wrong_type"),
    (r#""breaker":{"ratio":0}"#, "breaker.ratio", "out_of_range"),
    (r#""breaker":{"window_s":3601}"#, "breaker.window_s", "out_of_range"),
    (r#""breaker":{"probe_after_ms":99}"#, "breaker.probe_after_ms", "out_of_range"),
    (r#""cel":"payload.ok""#, "cel", "wrong_type"),
    (r#""cel":{"filter":" "}"#, "cel.filter", "required"),
    (r#""cel":{"on_fial":"true"}"#, "cel.on_fial", "unknown_field"),
    (r#""cel":{"default_action":"shrug"}"#, "cel.default_action", "unknown_word"),
    (r#""cel":{"fail_open":"yes"}"#, "cel.fail_open", "wrong_type"),
    (r#""secret":"x""#, "secret", "invalid_secret"),
    (r#""secret":"whsec_AAAA""#, "secret", "invalid_secret"),
];

#[test]
fn each_wrong_field_is_named_with_its_code() {
    for &(rest, field, code) in WRONG {
        assert_eq!(faults(rest), [(field.to_owned(), code.to_owned())], "{rest}");
    }
}

/// Endpoints of platforms, whose every field is written back.
const PLATFORMS: &[&str] = &[
    r#""auth":{"type":"aws_sigv4","region":"eu-west-1","service":"execute-api","role_arn":"arn:aws:iam::123456789012:role/a","external_id":"x-7"}"#,
    r#""auth":{"type":"google_id_token","audience":"https://a.run.app","key":{"file":"/k.json"},"impersonate":"a@b","header":"x-serverless-authorization"}"#,
    r#""auth":{"type":"oauth2","token_url":"https://t.example/token","client_id":"a","client_secret":{"env":"A"},"scope":"a b","audience":"c"}"#,
    r#""tls":{"certificate":{"file":"/c"},"key":{"file":"/k"},"ca":{"file":"/a"}}"#,
];

#[test]
fn what_is_written_of_a_platform_is_read_back() {
    for rest in PLATFORMS {
        let json = serde_json::to_string(&endpoint(&format!(",{rest}"))).unwrap();
        assert!(json.contains(rest), "{json}");
        assert_eq!(serde_json::to_string(&EndpointSpec::parse(&json).unwrap()).unwrap(), json);
    }
    let invoke = lambda(r#","invocation_type":"event","auth":{"type":"aws_sigv4"}"#);
    assert_eq!(invoke.auth.region(&invoke.url), Some("eu-west-1"));
    let json = serde_json::to_string(&invoke).unwrap();
    assert_eq!(serde_json::to_string(&EndpointSpec::parse(&json).unwrap()).unwrap(), json);
}

#[test]
fn a_google_token_makes_way_for_the_endpoints_own_authorization() {
    let google = |rest: &str| endpoint(&format!(r#","auth":{{"type":"google_id_token"}}{rest}"#));
    let header = |spec: &EndpointSpec| spec.auth.header(spec.headers.contains_key("authorization"));
    assert_eq!(header(&google("")), Some("authorization"));
    assert_eq!(header(&google(r#","headers":{"Authorization":{"env":"A"}}"#)), Some("x-serverless-authorization"));
    assert!(lambda(r#","auth":{"type":"aws_sigv4"},"headers":{"authorization":{"env":"A"}}"#).headers.len() == 1);
}

#[test]
fn the_endpoints_that_the_how_tos_show_are_sound() {
    let pages = [
        include_str!("../../../docs/how-to/endpoints.md"),
        include_str!("../../../docs/how-to/aws-lambda.md"),
        include_str!("../../../docs/how-to/cloud-run.md"),
    ];
    let blocks =
        pages.iter().flat_map(|page| page.split("```json\n").skip(1)).filter_map(|rest| rest.split("```").next());
    let mut shown = 0;
    for block in blocks.filter(|block| ["{\"url\"", "{\"auth\"", "{\"tls\""].iter().any(|head| block.starts_with(head)))
    {
        let with_url = block.replacen('{', r#"{"url":"https://lambda.eu-west-1.amazonaws.com/","#, 1);
        let whole = if block.starts_with("{\"url\"") { block } else { &with_url };
        EndpointSpec::parse(whole).unwrap_or_else(|faults| panic!("{block}: {faults:?}"));
        shown += 1;
    }
    assert!(shown >= 7, "{shown}");
}

#[test]
fn tls_is_for_https() {
    let json = r#"{"url":"http://127.0.0.1/","tls":{"ca":{"file":"/a"}}}"#;
    let faults = EndpointSpec::parse(json).unwrap_err();
    assert_eq!((faults[0].field.as_str(), faults[0].code.as_str()), ("tls", "conflict"));
}

#[test]
fn all_faults_come_at_once() {
    let errors = EndpointSpec::parse(r#"{"kinds":[1],"sdk":1,"retry":{"base_ms":0,"jitter":2},"x":1}"#).unwrap_err();
    let fields: Vec<_> = errors.iter().map(|e| e.field.as_str()).collect();
    assert_eq!(fields, ["kinds[0]", "sdk", "retry.base_ms", "retry.jitter", "x", "url"]);
}

#[test]
fn a_text_that_is_no_object_is_refused() {
    assert_eq!(EndpointSpec::parse("{").unwrap_err()[0].code, "malformed_json");
    assert_eq!(EndpointSpec::parse("[]").unwrap_err()[0].code, "wrong_type");
}

#[test]
fn a_literal_header_cannot_be_printed() {
    let printed = format!("{:?}", endpoint(r#","headers":{"x-api-key":"s3cret"}"#));
    assert!(!printed.contains("s3cret"), "{printed}");
}

proptest! {
    #[test]
    fn no_text_panics(name in prop::sample::select(SHAPE.known), text in r#"[{}\[\]":,\\a-u0-9 ]{0,30}"#) {
        let _unimportant = EndpointSpec::parse(&format!(r#"{{"{name}":{text}}}"#));
    }

    #[test]
    fn no_url_panics(url in any::<String>()) {
        let json = serde_json::json!({"url": format!("https://{url}")});
        let _unimportant = EndpointSpec::parse(&json.to_string());
    }
}
