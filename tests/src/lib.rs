//! Test support: everything that the packages' tests share, so that a test is only its own story.
//!
//! - [`TestDb`]: a migrated database of its own for each test, on one private Postgres per process.
//! - [`FakeEndpoint`]: a real HTTP server with scripted answers that remembers every request.
//! - [`FakeDispatcher`]: claims through the engine as a dispatcher does, and ends what it claimed.
//! - [`storm`]: many callers of one suspended run after the other, held against what is recorded. The benchmark uses it too.
//! - [`sql`]: what tests ask the ledger, and waiting until a statement is blocked by another.
//!
//! Nothing here sleeps; every wait has a bound of [`WAIT_LIMIT`] and panics past it. Helpers panic with what they
//! were doing instead of returning errors: they are for tests alone.

#![expect(clippy::missing_panics_doc, reason = "every helper panics when the test has failed")]

mod cluster;
mod database;
mod dispatcher;
mod endpoint;
pub mod sql;
pub mod storm;

use std::time::Duration;

pub use database::TestDb;
pub use dispatcher::{FakeDispatcher, HOUR, RETRY, failed, policy};
pub use endpoint::{Answer, FakeEndpoint, Gate, Request};

/// The longest any helper waits for something that a test expects.
pub const WAIT_LIMIT: Duration = Duration::from_secs(10);
