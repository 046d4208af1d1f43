//! A POST that brought no answer: did it reach the function, and what went wrong.

use std::error::Error;

use hyper_util::client::legacy;
use posthaste_protocol::excerpt;

use super::connector::ConnectFailure;

/// Whether the function may have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Certainly nothing reached it.
    NotSent,
    /// Nobody knows.
    Unknown,
}

/// Why a POST brought no answer. Holds no URL, no header and no body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct SendError {
    /// Whether the function may have run.
    pub class: Class,
    /// `dns`, `refused`, `unreachable`, `connect_timeout`, `tls`, `egress_forbidden`, `timeout`, `reset`
    /// or `protocol`.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl SendError {
    /// The deadline passed.
    pub(super) fn timeout(class: Class) -> Self {
        let message = match class {
            Class::NotSent => "the deadline passed before the request was sent",
            Class::Unknown => "no complete answer before the deadline",
        };
        Self { class, code: "timeout", message: message.to_owned() }
    }

    /// The pool gave up; `class` says whether a connection had taken the request.
    pub(super) fn pool(error: &legacy::Error, class: Class) -> Self {
        let source = error.source();
        if let Some(failure) = source.and_then(|source| source.downcast_ref::<ConnectFailure>()) {
            return Self {
                class: Class::NotSent,
                code: failure.code(),
                message: excerpt::clean(failure.to_string().as_bytes(), 512),
            };
        }
        match source.and_then(|source| source.downcast_ref::<hyper::Error>()) {
            Some(error) => Self::http(error, class),
            None => Self { class, code: "reset", message: "the connection ended before an answer".to_owned() },
        }
    }

    /// The connection broke, or spoke no HTTP.
    pub(super) fn http(error: &hyper::Error, class: Class) -> Self {
        let (code, message) = if error.is_parse_too_large() {
            ("protocol", "the head of the answer is too large")
        } else if error.is_parse() {
            ("protocol", "the answer is not HTTP")
        } else {
            ("reset", "the connection ended before the whole answer")
        };
        Self { class, code, message: message.to_owned() }
    }
}
