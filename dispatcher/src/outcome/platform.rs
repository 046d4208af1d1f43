//! What a platform says in its function's stead, where the status alone would mean something else.

use super::{AnswerView, Meaning};

/// What Lambda calls its errors, in `x-amzn-errortype`, and what they mean where their status (502, 410, 400) means
/// something else.
const LAMBDA: &[(Meaning, &[&str])] = &[
    (
        Meaning::Throttle,
        &[
            "TooManyRequestsException",
            "ThrottlingException",
            "EC2ThrottledException",
            "ENILimitReachedException",
            "SubnetIPAddressLimitReachedException",
        ],
    ),
    (
        Meaning::Misconfigured,
        &[
            "EC2AccessDeniedException",
            "InvalidRuntimeException",
            "InvalidSecurityGroupIDException",
            "InvalidSubnetIDException",
            "InvalidZipFileException",
            "KMSAccessDeniedException",
            "KMSDisabledException",
            "KMSInvalidStateException",
            "KMSNotFoundException",
        ],
    ),
    (Meaning::Retry, &["EFSIOException", "SnapStartException"]),
];

/// What an answer that is no success means, if a platform says so.
pub(super) fn meaning(answer: &AnswerView<'_>) -> Option<Meaning> {
    if answer.is_success() {
        return None;
    }
    if let Some(kind) = answer.header("x-amzn-errortype") {
        // Some come with where they are from: `Name:http://…`.
        let name = kind.split(':').next().unwrap_or_default();
        if let Some((meaning, _)) = LAMBDA.iter().find(|(_, names)| names.contains(&name)) {
            return Some(*meaning);
        }
    }
    (answer.status == 500 && is_cloud_run_full(answer)).then_some(Meaning::Throttle)
}

/// Cloud Run says "overloaded" in a page. It is short; a long body is the function's own.
fn is_cloud_run_full(answer: &AnswerView<'_>) -> bool {
    let words = b"no available instance";
    let head = &answer.body[..answer.body.len().min(4096)];
    !answer.is_encoded() && head.windows(words.len()).any(|window| window == words)
}
