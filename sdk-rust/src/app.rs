//! The handlers of a function, behind one POST.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::de::DeserializeOwned;

use crate::{
    answer,
    dispatch::{self, Format},
    error::Result,
    handler::Handler,
    job::Job,
    outcome::IntoOutcome,
    run::Run,
    secrets::{Secrets, SecretsError},
};

/// The handlers of a function, by kind. Give it to an adapter (`into_router` of the feature `axum`, `posthaste::lambda::run`
/// of `lambda`), or pass it requests with [`handle`](App::handle).
///
/// ```
/// use posthaste::{App, Job, Result, Run};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Job, Serialize, Deserialize)]
/// struct Greet {
///     name: String,
/// }
///
/// async fn greet(args: Greet, run: Run) -> Result<String> {
///     Ok(format!("Hello {}, attempt {}", args.name, run.attempt()))
/// }
///
/// let app = App::signed_with(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])?.on(greet);
/// # Ok::<(), posthaste::SecretsError>(())
/// ```
#[derive(Clone)]
pub struct App {
    secrets: Option<Secrets>,
    format: Format,
    handlers: BTreeMap<&'static str, Handler>,
}

impl App {
    /// Takes only what is signed with a secret of `POSTHASTE_SIGNING_SECRET`: one, or several with commas or spaces
    /// between them.
    pub fn from_env() -> std::result::Result<Self, SecretsError> {
        Ok(Self::with(Some(Secrets::from_env()?)))
    }

    /// Takes only what is signed with one of these secrets, `whsec_…`. To rotate, give the old and the new one.
    pub fn signed_with(secrets: impl IntoIterator<Item = impl AsRef<str>>) -> std::result::Result<Self, SecretsError> {
        Ok(Self::with(Some(Secrets::parse(secrets)?)))
    }

    /// Takes whatever is POSTed, by anybody: for a network in which nobody else can.
    pub fn unsigned() -> Self {
        Self::with(None)
    }

    fn with(secrets: Option<Secrets>) -> Self {
        Self { secrets, format: Format::default(), handlers: BTreeMap::new() }
    }

    /// For an endpoint of another `format` than `envelope`. It is not guessed, lest args be taken for an envelope; what
    /// comes in another one is answered with 404 `malformed_dispatch`, tried again, and shown as misconfigured.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Adds a handler. Its first argument says of which kind.
    ///
    /// A handler returns a result, which is any value of serde, or an [`Outcome`](crate::Outcome), or an
    /// [`Error`](crate::Error). It may be dropped at any `await`: when the dispatcher hangs up, so does the server.
    ///
    /// # Panics
    ///
    /// When there is a handler of this kind already: a mistake in the program, found when it starts.
    #[must_use]
    #[track_caller]
    pub fn on<J, F, Fut, R>(mut self, handler: F) -> Self
    where
        J: Job + DeserializeOwned,
        F: Fn(J, Run) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R>> + Send + 'static,
        R: IntoOutcome + 'static,
    {
        let before = self.handlers.insert(J::KIND, Handler::new(handler));
        assert!(before.is_none(), "two handlers of the kind {}", J::KIND);
        self
    }

    /// Handles one request: verifies it, runs its handler, and answers. The body must be whole, byte for byte as it came.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return answer::wrong_method();
        }
        if let Some(secrets) = &self.secrets
            && let Err(error) = secrets.verify(&head.headers, &body)
        {
            tracing::warn!(%error, "refused a request that is not signed as it must be");
            return answer::refused(401, "invalid_signature", &error.to_string());
        }
        let (run, args) = match dispatch::read(head, &body, self.format) {
            Ok(dispatch) => dispatch,
            // Not 400, which would end the job: it is the endpoint that is wrong, or older than Posthaste.
            Err(error) => return answer::refused(404, "malformed_dispatch", &error.to_string()),
        };
        let Some(handler) = self.handlers.get(run.kind()) else {
            let known: Vec<_> = self.handlers.keys().copied().collect();
            let detail = format!("no handler for the kind {}; there are: {}", run.kind(), known.join(", "));
            return answer::refused(404, "unknown_kind", &detail);
        };
        match handler.run(args, run.clone()).await {
            Ok(outcome) => answer::of_outcome(outcome),
            Err(failure) => answer::of_failure(&failure, &run),
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn secrets(&self) -> Option<&Secrets> {
        self.secrets.as_ref()
    }

    #[cfg(feature = "testing")]
    pub(crate) fn endpoint_format(&self) -> Format {
        self.format
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kinds: Vec<_> = self.handlers.keys().collect();
        f.debug_struct("App")
            .field("secrets", &self.secrets)
            .field("format", &self.format)
            .field("kinds", &kinds)
            .finish()
    }
}
