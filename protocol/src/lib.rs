//! What goes over the wire between Posthaste and the people who use it: ids, jobs, endpoints, the dispatch request and
//! its signature, callbacks and their tokens, keys and problems.
//!
//! This room does no I/O, reads no clock, draws no randomness and looks at no environment: time, nonces and key
//! bytes are arguments. It is the only room that computes signatures and MACs. Every parser takes any input without
//! panicking, names each field it refuses, and every secret prints as `[REDACTED]`.
//!
//! | coming in | | going out | |
//! |---|---|---|---|
//! | [`new_job`], [`batch`] | jobs as a producer writes them | [`job`] | a job as it is read back |
//! | [`endpoint`] | an endpoint as written and read | [`dispatch`], [`gateway_url`] | the POST to the function |
//! | [`accepted`], [`suspend`], [`steps`] | what a function answers with a 202 | [`signature`], [`idempotency`], [`trace`] | what that POST carries |
//! | [`callback`], [`action`], [`token`] | what it says later, and by what right | [`problem`] | what went wrong, RFC 9457 |
//! | [`inbound`], [`cel`], [`job_callback`], [`source`] | webhooks of third parties | [`excerpt`] | what is kept of the words of strangers |
//! | [`api_key`] | who may call the API | [`seal`], [`signing`], [`key_ring`] | secrets at rest, and the keys of tokens |

mod field;
mod master_key;
mod object;
mod word;

// Answers of functions that will call back.
pub mod accepted;
// What a callback may do.
pub mod action;
// API keys: minted form, stored verifier, scopes.
pub mod api_key;
// Batches of jobs as written.
pub mod batch;
// Callbacks: bodies, digests and answers.
pub mod callback;
// CEL expressions as written.
pub mod cel;
// The dispatch request: body and headers of the POST to a function.
pub mod dispatch;
// Endpoints as written and as read back.
pub mod endpoint;
// What may be kept of the text of strangers.
pub mod excerpt;
// The gateway's public URLs.
pub mod gateway_url;
// What no JSON value may hold.
pub mod guard;
// Header names and values that endpoints and jobs may set.
pub mod header;
// Job ids.
pub mod id;
// The idempotency key that a function sees.
pub mod idempotency;
// Signatures of third parties.
pub mod inbound;
// Jobs and attempts as read.
pub mod job;
// What a job says of its own callbacks.
pub mod job_callback;
// The keys of callback tokens.
pub mod key_ring;
// Names of kinds.
pub mod name;
// Jobs as written.
pub mod new_job;
// RFC 9457 problems and the closed list of their codes.
pub mod problem;
// Endpoint secrets at rest.
pub mod seal;
// Standard Webhooks signatures.
pub mod signature;
// An endpoint's signing secrets, sealed together.
pub mod signing;
// Named senders of webhooks.
pub mod source;
// Steps of a function, kept between its runs.
pub mod steps;
// Answers of functions that want to be POSTed again.
pub mod suspend;
// Callback tokens.
pub mod token;
// W3C trace context.
pub mod trace;
// JSON of strangers as a tree.
pub mod tree;

pub use word::UnknownWord;
