//! Verify, filter, finalize: the callback gateway, the only public room.
//!
//! A request passes `router`, which reads its route. A callback's token is checked by `credential` before its body is
//! read and before the database is asked anything; then come `limit` and `body`. What it asks for is `work`, which
//! `group_commit` takes to the engine, many at once, and which is answered after the commit. Every other answer is a
//! `refusal`; none is a 500, since whoever calls back must try again.

mod admit;
mod aim;
mod answer;
mod background;
mod body;
mod callbacks;
mod came;
mod commit;
pub mod credential;
mod deliveries;
mod gateway;
mod group_commit;
mod hooks;
mod judge;
mod later;
mod limit;
mod metrics;
mod note;
mod payload;
mod refusal;
pub mod route;
mod router;
mod sender;
mod serve;
mod settings;
mod share;
mod start;
mod take;
mod terms;
mod told;
mod verb;
mod webhook;
mod work;

pub use gateway::Gateway;
pub use router::router;
pub use serve::serve_on;
pub use settings::Settings;
