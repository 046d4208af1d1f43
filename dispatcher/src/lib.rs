//! Claim, POST, outcome: the dispatcher.
//!
//! Permits first: the `claimer` claims at most what can be POSTed now. Each run is one `attempt`: `mint` makes its callback
//! tokens, `request` builds and signs, `egress` sends, `outcome` reads the answer, the engine's lifecycle decides, and its
//! `ending` is told. The `completer` writes ends and parks in batches, and gives the permits back when they are durable.
//! `auth` proves to platforms who sends. `routes`, `target`, `breaker` and `permit` say where to and how much; `beat`,
//! `promoter`, `deadlines`, `rescuer`, `sweeper`, `listener`, `sleeper` and `configurer` are the loops beside.

mod attempt;
mod auth;
mod beat;
mod breaker;
mod claimer;
mod completer;
mod configurer;
mod context;
mod deadlines;
pub mod egress;
mod ending;
mod endpoint;
mod leases;
mod listener;
mod metrics;
mod mint;
pub mod outcome;
mod own_client;
mod permit;
mod promoter;
mod request;
mod rescuer;
pub mod retry_after;
mod routes;
mod run;
mod secret;
mod silence;
mod sleeper;
mod sweeper;
mod target;
mod told;

pub use auth::GoogleHosts;
pub use mint::Callbacks;
pub use run::{Settings, run};
