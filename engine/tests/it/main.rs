//! The engine's verbs against a real Postgres: one binary, a database of its own for each test.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic; the lint's exception covers test functions only")]

mod bad_input;
mod callback;
mod checkpoint;
mod claim;
mod delivery;
mod enqueue;
mod event_size;
mod explain;
mod extend;
mod finalize;
mod floor;
mod inbox;
mod judging;
mod migrate;
mod model;
mod park;
mod plan;
mod prepare;
mod progress;
mod races;
mod range;
mod rescue;
mod roles;
mod session;
mod standing;
mod stranded;
mod suspend;
mod suspend_races;
mod time_out;
mod wait_plan;
mod wait_races;
mod wait_reads;
