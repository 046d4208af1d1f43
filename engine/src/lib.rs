//! What happens to a job in Postgres: pure lifecycle, one file and one statement per verb.
//!
//! `lifecycle`, `retry`, `floor` and `filter` are pure. Every other module is one verb on the ledger, with its
//! statement beside it in `sql/`. Nothing else in Posthaste holds SQL against tables.

pub mod api_key;
pub mod callback;
pub mod cancel;
pub mod checkpoint;
pub mod claim;
mod complete;
mod cut;
pub mod delivery;
pub mod depth;
pub mod doctor;
pub mod endpoint;
pub mod enqueue;
pub mod error;
pub mod explain;
pub mod extend;
pub mod filter;
pub mod finalize;
pub mod fleet;
pub mod floor;
pub mod held;
pub mod inbox;
pub mod job;
pub mod judging;
pub mod lane;
pub mod lifecycle;
pub mod list;
pub mod migrate;
pub mod overview;
pub mod park;
pub mod probe;
pub mod progress;
pub mod promote;
pub mod range;
pub mod request_key;
pub mod rescue;
pub mod resume;
pub mod retry;
pub mod retry_job;
pub mod session;
pub mod sleep;
pub mod source;
pub mod standing;
pub mod suspend;
pub mod sweep;
pub mod time_out;
pub mod waiting_on;
mod wake;

pub use error::EngineError;
