//! Prometheus instruments: a thin registry that the rooms define their own on.

use std::fmt;

pub use prometheus::{Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec};
use prometheus::{HistogramOpts, Opts, TextEncoder, core::Collector};

/// Histogram boundaries for latencies, in seconds: 1 ms to a minute.
pub const LATENCY_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The metrics of one process. Clones share them; two services of one process share one registry, two *instances*
/// of the same service (as in tests) need their own.
///
/// Never label by job, URL or anything else a producer can invent.
#[derive(Clone, Default)]
pub struct Registry {
    inner: prometheus::Registry,
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// Without any metric.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a counter; `name` ends in `_total`.
    ///
    /// # Panics
    /// When the name or a label is malformed or the name is taken: a mistake in the code, found by any start.
    pub fn counter_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(name, IntCounterVec::new(Opts::new(name, help), labels))
    }

    /// Registers a gauge; `name` ends in its unit, if it has one.
    ///
    /// # Panics
    /// As [`Registry::counter_vec`].
    pub fn gauge_vec(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.register(name, GaugeVec::new(Opts::new(name, help), labels))
    }

    /// Registers a histogram over `boundaries` (upper bounds, ascending), such as [`LATENCY_SECONDS`].
    ///
    /// # Panics
    /// As [`Registry::counter_vec`], and when the boundaries do not ascend.
    pub fn histogram_vec(&self, name: &str, help: &str, labels: &[&str], boundaries: &[f64]) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(boundaries.to_vec());
        self.register(name, HistogramVec::new(options, labels))
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self) -> String {
        let families = self.inner.gather();
        TextEncoder::new()
            .encode_to_string(&families)
            .unwrap_or_else(|error| format!("# metrics cannot be shown: {error}\n"))
    }

    fn register<C: Collector + Clone + 'static>(&self, name: &str, collector: prometheus::Result<C>) -> C {
        let registered = collector.and_then(|collector| {
            self.inner.register(Box::new(collector.clone()))?;
            Ok(collector)
        });
        match registered {
            Ok(collector) => collector,
            Err(error) => panic!("metric {name}: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_counted_in_seconds() {
        let registry = Registry::new();
        let histogram = registry.histogram_vec("posthaste_post_seconds", "A test.", &["class"], LATENCY_SECONDS);

        histogram.with_label_values(&["ok"]).observe(0.003);

        let text = registry.render();
        assert!(text.contains(r#"posthaste_post_seconds_bucket{class="ok",le="0.0025"} 0"#), "{text}");
        assert!(text.contains(r#"posthaste_post_seconds_bucket{class="ok",le="0.005"} 1"#), "{text}");
    }
}
