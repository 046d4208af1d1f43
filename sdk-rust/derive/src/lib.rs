//! `#[derive(Job)]` of the crate `posthaste`; use it from there.

mod attribute;
mod expand;

use proc_macro::TokenStream;

/// Makes a type the args of one kind of job.
///
/// The kind is the type's name in snake case (`SendEmail`: `send_email`), unless the attribute names it. All options
/// are of the server; one that is left out has the server's default:
///
/// | `#[job(…)]` | |
/// |---|---|
/// | `kind = "send_email"` | 1 to 200 letters, digits and `_ - . : /`, the first a letter or digit |
/// | `queue = "mail"` | as `kind` |
/// | `endpoint = "mailer"` | as `kind`; else the endpoint that takes the kind |
/// | `priority = 1` | 1 (first) to 4 |
/// | `max_attempts = 5` | 1 to 1000 |
/// | `timeout_ms = 10000` | 1 to 3,600,000 |
#[proc_macro_derive(Job, attributes(job))]
pub fn derive_job(input: TokenStream) -> TokenStream {
    let expanded = syn::parse(input).and_then(|input| expand::job(&input));
    expanded.unwrap_or_else(|error| error.to_compile_error()).into()
}
