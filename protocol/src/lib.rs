//! What goes over the wire between Posthaste and the people who use it: ids, jobs, endpoints, the dispatch request and
//! its signature, callbacks and their tokens, keys and problems.
//!
//! This room does no I/O, reads no clock, draws no randomness and looks at no environment: time, nonces and key
//! bytes are arguments. It is the only room that computes signatures and MACs. Every parser takes any input without
//! panicking, names each field it refuses, and every secret prints as `[REDACTED]`.
//!
//! Without the feature `server`, which is on by default, there is only what a function and its producers share with us:
//! [`id`], [`job`], [`problem`], [`signature`], [`action`], [`callback_answer`].
//!
//! | coming in | | going out | |
//! |---|---|---|---|
//! | [`new_job`], [`batch`] | jobs as a producer writes them | [`job`] | a job as it is read back |
//! | [`endpoint`] | an endpoint as written and read | [`dispatch`], [`gateway_url`] | the POST to the function |
//! | [`accepted`], [`suspend`], [`steps`] | what a function answers with a 202 | [`signature`], [`idempotency`], [`trace`] | what that POST carries |
//! | [`callback`], [`action`], [`token`] | what it says later, and by what right | [`problem`] | what went wrong, RFC 9457 |
//! | [`inbound`], [`cel`], [`job_callback`], [`source`] | webhooks of third parties | [`excerpt`] | what is kept of the words of strangers |
//! | [`api_key`] | who may call the API | [`seal`], [`signing`], [`key_ring`] | secrets at rest, and the keys of tokens |

#[cfg(feature = "server")]
mod field;
#[cfg(feature = "server")]
mod master_key;
#[cfg(feature = "server")]
mod object;
mod word;

// Answers of functions that will call back.
#[cfg(feature = "server")]
pub mod accepted;
// What a callback may do.
pub mod action;
// API keys: minted form, stored verifier, scopes.
#[cfg(feature = "server")]
pub mod api_key;
// Batches of jobs as written.
#[cfg(feature = "server")]
pub mod batch;
// Callbacks: bodies, digests and answers.
#[cfg(feature = "server")]
pub mod callback;
// What the gateway answers to a callback.
pub mod callback_answer;
// CEL expressions as written.
#[cfg(feature = "server")]
pub mod cel;
// The dispatch request: body and headers of the POST to a function.
#[cfg(feature = "server")]
pub mod dispatch;
// Endpoints as written and as read back.
#[cfg(feature = "server")]
pub mod endpoint;
// What may be kept of the text of strangers.
#[cfg(feature = "server")]
pub mod excerpt;
// The gateway's public URLs.
#[cfg(feature = "server")]
pub mod gateway_url;
// What no JSON value may hold.
#[cfg(feature = "server")]
pub mod guard;
// Header names and values that endpoints and jobs may set.
#[cfg(feature = "server")]
pub mod header;
// Job ids.
pub mod id;
// The idempotency key that a function sees.
#[cfg(feature = "server")]
pub mod idempotency;
// Signatures of third parties.
#[cfg(feature = "server")]
pub mod inbound;
// Jobs and attempts as read.
pub mod job;
// What a job says of its own callbacks.
#[cfg(feature = "server")]
pub mod job_callback;
// The keys of callback tokens.
#[cfg(feature = "server")]
pub mod key_ring;
// Names of kinds.
#[cfg(feature = "server")]
pub mod name;
// Jobs as written.
#[cfg(feature = "server")]
pub mod new_job;
// RFC 9457 problems and the closed list of their codes.
pub mod problem;
// Endpoint secrets at rest.
#[cfg(feature = "server")]
pub mod seal;
// Standard Webhooks signatures.
pub mod signature;
// An endpoint's signing secrets, sealed together.
#[cfg(feature = "server")]
pub mod signing;
// Named senders of webhooks.
#[cfg(feature = "server")]
pub mod source;
// Steps of a function, kept between its runs.
#[cfg(feature = "server")]
pub mod steps;
// Answers of functions that want to be POSTed again.
#[cfg(feature = "server")]
pub mod suspend;
// Callback tokens.
#[cfg(feature = "server")]
pub mod token;
// W3C trace context.
#[cfg(feature = "server")]
pub mod trace;
// JSON of strangers as a tree.
#[cfg(feature = "server")]
pub mod tree;

pub use word::UnknownWord;
