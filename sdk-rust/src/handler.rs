//! Handlers, once their types are forgotten.

use std::{
    any::Any,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{
    error::{Error, Result},
    job::Job,
    outcome::{IntoOutcome, Outcome},
    run::Run,
};

type Handling = Pin<Box<dyn Future<Output = std::result::Result<Outcome, Failure>> + Send>>;

/// A handler of one kind: args as JSON in, an outcome out.
#[derive(Clone)]
pub(crate) struct Handler(Arc<dyn Fn(Box<RawValue>, Run) -> Handling + Send + Sync>);

/// Why there is no outcome.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The args are not those of the type.
    Args(serde_json::Error),
    /// The handler returned an error that is no outcome.
    Error(Box<dyn std::error::Error + Send + Sync>),
    /// The handler panicked, with this message.
    Panic(String),
}

impl Handler {
    pub fn new<J, F, Fut, R>(function: F) -> Self
    where
        J: Job + DeserializeOwned,
        F: Fn(J, Run) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R>> + Send + 'static,
        R: IntoOutcome + 'static,
    {
        Self(Arc::new(move |args, run| match serde_json::from_str::<J>(args.get()) {
            // The call itself is part of the future: a function may panic before its first await.
            Ok(args) => match catch_unwind(AssertUnwindSafe(|| function(args, run))) {
                Ok(future) => Box::pin(outcome_of(future)),
                Err(panic) => Box::pin(std::future::ready(Err(Failure::Panic(message_of(&*panic))))),
            },
            Err(error) => Box::pin(std::future::ready(Err(Failure::Args(error)))),
        }))
    }

    pub async fn run(&self, args: Box<RawValue>, run: Run) -> std::result::Result<Outcome, Failure> {
        (self.0)(args, run).await
    }
}

async fn outcome_of<R: IntoOutcome>(
    future: impl Future<Output = Result<R>> + Send,
) -> std::result::Result<Outcome, Failure> {
    let mut future = Box::pin(future);
    // What a panic leaves behind belongs to this future alone, which is not polled again.
    let result = poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => std::task::Poll::Ready(Err(panic)),
    });
    match result.await {
        Ok(result) => result.map(IntoOutcome::into_outcome).or_else(Error::into_outcome).map_err(Failure::Error),
        Err(panic) => Err(Failure::Panic(message_of(&*panic))),
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
