//! When to stop asking an endpoint for a while.

use serde::Serialize;

use crate::field::Field;
use crate::object::{Faults, Shape};

/// Opens when, among the answers of the last window, at least `min` were seen and the share of bad ones reached
/// `ratio`; asks again with single probes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Breaker {
    /// Seconds looked back: 1 to 3,600. Default 30.
    pub window_s: u64,
    /// Answers before it may open: 1 to 10,000. Default 10.
    pub min: u64,
    /// Share of bad answers that opens it: above 0, to 1. Default 0.5.
    pub ratio: f64,
    /// Milliseconds until it probes: 100 to 3,600,000. Default 5,000.
    pub probe_after_ms: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { window_s: 30, min: 10, ratio: 0.5, probe_after_ms: 5000 }
    }
}

/// Reads a breaker, which may be partial.
pub(super) fn read(field: &Field, faults: &mut Faults) -> Option<Breaker> {
    let mut breaker = Breaker::default();
    let shape = Shape { known: &["window_s", "min", "ratio", "probe_after_ms"], later: &[] };
    let set = |name: &'static str, part: Field, faults: &mut Faults| match name {
        "window_s" => {
            breaker.window_s = part.integer_in(1, 3600, faults).unwrap_or(breaker.window_s);
        }
        "min" => breaker.min = part.integer_in(1, 10_000, faults).unwrap_or(breaker.min),
        "probe_after_ms" => {
            breaker.probe_after_ms = part.integer_in(100, 3_600_000, faults).unwrap_or(breaker.probe_after_ms);
        }
        _ => match part.number(faults) {
            Some(ratio) if ratio > 0.0 && ratio <= 1.0 => breaker.ratio = ratio,
            Some(_) => part.fault("out_of_range", "must be above 0 and at most 1", faults),
            None => {}
        },
    };
    field.object(shape, faults, set).then_some(breaker)
}
