//! The one guarded HTTP client of the product: where a POST may go, and what comes back.
//!
//! Every address is judged where it is dialled ([`resolver`] for names, the connector for literals), so
//! that neither a literal, a redirect nor a name that changes its mind reaches a private network.

pub mod address;
mod body;
pub mod client;
mod connector;
mod dial;
pub mod error;
pub mod policy;
pub mod reach;
pub mod resolver;
#[cfg(test)]
mod tests;
mod tls;

pub use client::{Answer, Client, ClientOptions};
pub use error::{Class, SendError};
pub use policy::{EgressPolicy, EgressRefusal};
pub use tls::{Pems, configure as tls_config};
