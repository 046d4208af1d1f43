//! The routes, one file a group.

pub mod action;
pub mod batch;
pub mod cel;
pub mod deliveries;
pub mod endpoint_action;
pub mod endpoints;
pub mod explain;
pub mod job_action;
pub mod jobs;
pub mod new_job;
pub mod sources;
