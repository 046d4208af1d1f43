//! Requests and answers with hostile heads: nothing is verified that was not signed, and no credential is found that is
//! none.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use posthaste_callback_gateway::{credential, route::Route};
use posthaste_dispatcher::{
    outcome::{AnswerContext, AnswerView, RESULT_CAP, Reading, classify},
    retry_after,
};
use posthaste_engine::lifecycle::Outcome;
use posthaste_protocol::{
    accepted::Accepted,
    inbound::{InboundRequest, InboundSecret, InboundSignature, SchemeName},
    token::TokenKind,
};

use crate::{corpus, storable::assert_readable, surface::Surface, token};

pub const SURFACE: Surface = Surface {
    name: "headers",
    words: &[
        "t=1795248000",
        "v1=",
        "v0=",
        "v1,",
        "v1a,",
        "sha256=",
        "sha1=",
        ",",
        ";",
        " ",
        "\t",
        "\n",
        "\r",
        ":",
        ": ",
        "=",
        "==",
        "HMAC ",
        "1795248000",
        "1795248301",
        "-1",
        "+1",
        "01",
        "0",
        "9223372036854775808",
        "msg_1.",
        ".",
        "\n\n",
        "webhook-id: ",
        "webhook-timestamp: ",
        "webhook-signature: ",
        "svix-id: ",
        "svix-timestamp: ",
        "svix-signature: ",
        "stripe-signature: ",
        "x-hub-signature-256: ",
        "x-slack-request-timestamp: ",
        "x-slack-signature: ",
        "x-sig: ",
        "authorization: Bearer ",
        "bearer ",
        "Basic ",
        "/v1/callbacks/",
        "/v1/hooks/",
        "/v1/sources/",
        "/complete",
        "/",
        "//",
        "/../",
        "%2f",
        "%00",
        "/jobs",
        "posthaste-callback-timeout-ms: ",
        "posthaste-heartbeat-timeout-ms: ",
        "posthaste-outcome: ",
        "posthaste-protocol: 1",
        "retry-after: ",
        "date: ",
        "Sat, 21 Nov 2026 08:00:00 GMT",
        "Saturday, 21-Nov-26 08:00:00 GMT",
        "1e3",
        "inf",
        "99999999999999999999",
        "0.0000001",
        "é",
        "\u{0}",
        "\u{7f}",
    ],
    max_bytes: 3000,
    any_bytes: true,
    survives,
};
const NOW_UNIX: i64 = 1_795_248_000;
/// Past every tolerance.
const LATER_S: i64 = 301;
/// As many as the gateway's server reads.
const MAX_HEADERS: usize = 100;

/// Who signs, each with a secret of its own.
struct Sender {
    /// What the names of its files in the corpus begin with.
    name: &'static str,
    signature: InboundSignature,
    secrets: [InboundSecret; 1],
}

static SENDERS: LazyLock<Vec<Sender>> = LazyLock::new(|| {
    [
        ("standard", r#"{"scheme": "standard_webhooks"}"#, "whsec_c3RhbmRhcmQgd2ViaG9va3Mgc2VjcmV0"),
        ("stripe", r#"{"scheme": "stripe"}"#, "whsec_the secret of stripe"),
        ("github", r#"{"scheme": "github"}"#, "the secret of github"),
        ("slack", r#"{"scheme": "slack"}"#, "the secret of slack"),
        ("hex", r#"{"scheme": "hmac", "header": "x-sig", "prefix": "sha256="}"#, "the secret of hex"),
        ("base64", r#"{"scheme": "hmac", "header": "x-sig", "encoding": "base64"}"#, "the secret of base64"),
    ]
    .map(|(name, spec, secret)| {
        let signature = InboundSignature::parse(spec).expect("a signature");
        let secrets = [InboundSecret::parse(signature.scheme.name(), secret).expect("a secret")];
        Sender { name, signature, secrets }
    })
    .into()
});

/// What was signed: by each sender, the messages of its files in the corpus.
static SIGNED: LazyLock<BTreeMap<&str, BTreeSet<Message>>> = LazyLock::new(|| {
    let files = corpus::read_folder("headers", "verified");
    let of = |sender: &'static Sender| {
        let own = files.iter().filter(|(path, _)| is_of(path, sender));
        (sender.name, own.map(|(_, input)| message(sender, &Head::read(input))).collect())
    };
    SENDERS.iter().map(of).collect()
});

fn is_of(path: &str, sender: &Sender) -> bool {
    path.rsplit('/').next().is_some_and(|file| file.starts_with(sender.name))
}

/// What a signature is over: an id and a time, where there are such, and the body.
type Message = (String, String, Vec<u8>);

/// A request or an answer as the corpus writes it: a line with the path or the status, headers, a blank line, a body.
struct Head<'i> {
    /// The second word of the first line.
    target: String,
    headers: HeaderMap,
    body: &'i [u8],
}

impl<'i> Head<'i> {
    /// Reads what can be read, as a server would.
    fn read(input: &'i [u8]) -> Self {
        let end = input.windows(2).position(|two| two == b"\n\n").unwrap_or(input.len());
        let mut lines = input[..end].split(|byte| *byte == b'\n');
        let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let mut headers = HeaderMap::new();
        for line in lines.take(MAX_HEADERS) {
            let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let value = line.get(at + 1..).unwrap_or_default().trim_ascii();
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..at]), HeaderValue::from_bytes(value)) {
                headers.append(name, value);
            }
        }
        let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
        Self { target, headers, body: input.get(end + 2..).unwrap_or_default() }
    }

    fn text(&self, name: &str) -> String {
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
    }
}

fn survives(input: &[u8]) -> bool {
    let head = Head::read(input);
    let is_verified = SENDERS.iter().filter(|sender| is_verified(sender, &head)).count() > 0;
    let is_known = is_known(&head);
    let is_answer = is_answer(&head);
    is_verified || is_known || is_answer
}

/// Whether the sender signed it. Panics if it did not, and it seems so.
fn is_verified(sender: &Sender, head: &Head) -> bool {
    let at = |now_unix| InboundRequest { headers: &head.headers, body: head.body, now_unix };
    let verifies = |secrets: &[InboundSecret], now| sender.signature.verify(secrets, &at(now)).is_ok();
    assert!(!verifies(&[], NOW_UNIX), "verified without a secret");
    if !verifies(&sender.secrets, NOW_UNIX) {
        return false;
    }
    if !matches!(sender.signature.scheme.name(), SchemeName::Github | SchemeName::Hmac) {
        for other in [i64::MIN, NOW_UNIX - LATER_S, NOW_UNIX + LATER_S, i64::MAX] {
            assert!(!verifies(&sender.secrets, other), "verified at any time");
        }
    }
    assert!(SIGNED[sender.name].contains(&message(sender, head)), "{}: nobody signed this", sender.name);
    true
}

/// What the sender would have signed.
fn message(sender: &Sender, head: &Head) -> Message {
    let (id, time) = match sender.signature.scheme.name() {
        SchemeName::StandardWebhooks if head.headers.contains_key("webhook-id") => {
            (head.text("webhook-id"), head.text("webhook-timestamp"))
        }
        SchemeName::StandardWebhooks => (head.text("svix-id"), head.text("svix-timestamp")),
        SchemeName::Slack => (String::new(), head.text("x-slack-request-timestamp")),
        SchemeName::Stripe => {
            let header = head.text("stripe-signature");
            let time = header.split(',').find_map(|item| item.trim().strip_prefix("t=")).unwrap_or_default().to_owned();
            (String::new(), time)
        }
        SchemeName::Github | SchemeName::Hmac => (String::new(), String::new()),
    };
    (id, time, head.body.to_vec())
}

/// Whether its token is good. Panics if it is none that was minted, or if the route is not that of the path.
fn is_known(head: &Head) -> bool {
    for base in ["", "/jobs"] {
        let below = head.target.strip_prefix(base).unwrap_or(&head.target);
        let spelt = Route::of(&head.target, base).map(|route| match route {
            Route::Callback { token: Some(token), action } => format!("/v1/callbacks/{token}/{action}"),
            Route::Callback { token: None, action } => format!("/v1/callbacks/{action}"),
            Route::Hook { token } => format!("/v1/hooks/{token}"),
            Route::Source { name } => format!("/v1/sources/{name}"),
        });
        assert!(spelt.is_none_or(|spelt| spelt == below), "another path");
    }
    let (in_path, kind) = match Route::of(&head.target, "") {
        Some(Route::Callback { token, .. }) => (token, TokenKind::Callback),
        Some(Route::Hook { token }) => (Some(token), TokenKind::Hook),
        _ => (None, TokenKind::Callback),
    };
    if credential::check(token::ring(), in_path, &head.headers, kind).is_err() {
        return false;
    }
    let values: Vec<_> = head.headers.get_all(header::AUTHORIZATION).iter().map(HeaderValue::as_bytes).collect();
    let bearer = || {
        assert_eq!(values.len(), 1, "several credentials");
        let (scheme, credential) = values[0].split_at(7);
        assert!(scheme.eq_ignore_ascii_case(b"bearer "), "another scheme");
        credential.trim_ascii()
    };
    let presented = in_path.map_or_else(bearer, str::as_bytes);
    assert!(token::is_minted(presented), "a token that nobody minted");
    true
}

/// Whether it is an answer with time-outs or waits that can be read. Panics where they are out of their bounds.
fn is_answer(head: &Head) -> bool {
    let accepted = Accepted::read(&head.headers);
    let announced = Accepted::is_announced(&head.headers);
    if let Ok(Accepted { callback_timeout_ms, heartbeat_timeout_ms }) = accepted {
        let all = [
            ("posthaste-callback-timeout-ms", callback_timeout_ms),
            ("posthaste-heartbeat-timeout-ms", heartbeat_timeout_ms),
        ];
        for (name, ms) in all {
            assert!(ms.is_none_or(|ms| (1..=30 * 86_400_000).contains(&ms)), "{name}");
            assert_eq!(head.headers.get_all(name).iter().count(), usize::from(ms.is_some()), "{name}");
        }
    } else {
        assert!(announced);
    }
    let wish = retry_after::from_headers(&head.headers);
    assert!(wish.is_none_or(|wish| (Duration::from_secs(1)..=Duration::from_hours(24)).contains(&wish)));
    classify_all(head);
    wish.is_some() || (announced && accepted.is_ok())
}

/// Reads the answer as a dispatcher does, for every kind of endpoint. Panics where a result cannot be stored.
fn classify_all(head: &Head) {
    let status = head.target.parse().ok().filter(|status| (100..=999).contains(status)).unwrap_or(202);
    for flags in 0..8 {
        let context = AnswerContext {
            status_map: &BTreeMap::new(),
            sdk: flags & 1 != 0,
            accept_202_wait: flags & 2 != 0,
            callbacks: flags & 4 != 0,
            max_run_ms: 1000,
            now_unix: NOW_UNIX,
            result_cap: RESULT_CAP,
        };
        let answer = AnswerView { status, headers: &head.headers, body: head.body, over_cap: false };
        if let (Reading::Ended(Outcome::Completed { result: Some(result) }), _) = classify(&answer, &context) {
            assert_readable(&result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_requests_are_judged_as_their_folder_says() {
        for (path, input) in corpus::read_folder("headers", "verified") {
            let head = Head::read(&input);
            let by: Vec<_> = SENDERS.iter().filter(|sender| is_verified(sender, &head)).collect();
            assert!(by.len() == 1 && is_of(&path, by[0]), "{path}: verified by {} senders", by.len());
        }
        for (folder, is_good) in [("accepted", true), ("refused", false)] {
            for (path, input) in corpus::read_folder("headers", folder) {
                assert_eq!(survives(&input), is_good, "{path}");
            }
        }
    }
}
