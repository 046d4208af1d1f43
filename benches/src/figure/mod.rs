//! Figures: one file per figure of the targets, each measured against its floor and its goal.

pub mod callback;
pub mod drain;
pub mod enqueue;
pub mod flood;
pub mod horizon;
pub mod latency;
pub mod peer;
pub mod process;
pub mod race;
pub mod rest;
pub mod verdict;

pub use verdict::Figure;
