//! The meter: what there is to see, a few times a second.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use posthaste_engine::{
    EngineError,
    overview::{self, EndedRun, QueueDepth},
    session::{Role, Session},
};
use posthaste_service::telemetry::metrics::Registry;

/// Rates are over this long.
const WINDOW: Duration = Duration::from_secs(5);
/// How many ended runs one look shows.
const ENDED: i64 = 100;

/// One look.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// What waits and runs.
    pub queues: Vec<QueueDepth>,
    /// What ended last, newest first.
    pub ended: Vec<EndedRun>,
    /// What this process counted.
    pub counted: Counted,
    /// Claims a second.
    pub claims_per_s: f64,
    /// Ends a second.
    pub ends_per_s: f64,
}

/// Counters of this process, since its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counted {
    /// Runs claimed.
    pub claimed: f64,
    /// Dispatches open.
    pub in_flight: f64,
    /// Ended runs by outcome.
    pub outcomes: BTreeMap<String, f64>,
    /// Ended runs by what the function answered, or the class where it did not.
    pub answers: BTreeMap<String, f64>,
}

/// Looks into the database and into this process.
pub struct Meter {
    session: Session,
    registry: Registry,
    history: VecDeque<(Instant, f64, f64)>,
}

impl Meter {
    /// Of this database and these metrics.
    pub fn new(url: &str, registry: Registry) -> anyhow::Result<Self> {
        Ok(Self { session: Session::new(url, Role::General)?, registry, history: VecDeque::new() })
    }

    /// What there is now.
    pub async fn look(&mut self) -> Result<Snapshot, EngineError> {
        let (queues, ended) =
            self.session.call(async |c| Ok((overview::queues(c).await?, overview::ended(c, ENDED).await?))).await?;
        let counted = Counted::read(&self.registry.render());
        let ends: f64 = counted.outcomes.values().sum();
        let now = Instant::now();
        self.history.push_back((now, counted.claimed, ends));
        while self.history.len() > 2 && self.history.front().is_some_and(|(at, ..)| now - *at > WINDOW) {
            self.history.pop_front();
        }
        let (claims_per_s, ends_per_s) = match self.history.front() {
            Some((at, claimed, before)) if now > *at => {
                let seconds = (now - *at).as_secs_f64();
                ((counted.claimed - claimed) / seconds, (ends - before) / seconds)
            }
            _ => (0.0, 0.0),
        };
        Ok(Snapshot { queues, ended, counted, claims_per_s, ends_per_s })
    }
}

impl Counted {
    /// Reads Prometheus' text.
    fn read(text: &str) -> Self {
        let mut counted = Self::default();
        for (name, labels, value) in text.lines().filter_map(sample) {
            match name {
                "posthaste_claimed_total" => counted.claimed += value,
                "posthaste_in_flight" => counted.in_flight += value,
                "posthaste_outcomes_total" => {
                    let label = |name| labels.iter().find(|(label, _)| *label == name).map_or("", |(_, value)| *value);
                    let answer = match label("status") {
                        "" | "0" | "none" => label("class"),
                        status => status,
                    };
                    *counted.outcomes.entry(label("outcome").to_owned()).or_default() += value;
                    *counted.answers.entry(answer.to_owned()).or_default() += value;
                }
                _ => {}
            }
        }
        counted
    }
}

type Labels<'a> = Vec<(&'a str, &'a str)>;

/// `name{label="value",…} number`. None of the labels that are read here can hold a quote or a comma.
fn sample(line: &str) -> Option<(&str, Labels<'_>, f64)> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels.trim_end_matches('}').split(',').filter_map(|label| {
        let (name, value) = label.split_once('=')?;
        Some((name, value.trim_matches('"')))
    });
    Some((name, labels.collect(), value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::float_cmp, reason = "whole numbers")]
    #[test]
    fn counters_are_summed_by_outcome_and_answer() {
        let counted = Counted::read(
            "# HELP posthaste_outcomes_total Ended runs.\n\
             posthaste_outcomes_total{class=\"responded\",outcome=\"completed\",status=\"200\"} 3\n\
             posthaste_outcomes_total{class=\"responded\",outcome=\"retried\",status=\"500\"} 1\n\
             posthaste_outcomes_total{class=\"not_sent\",outcome=\"retried\",status=\"\"} 2\n\
             posthaste_claimed_total 6\nposthaste_in_flight{endpoint=\"a\"} 1\nposthaste_in_flight{endpoint=\"b\"} 2\n",
        );
        assert_eq!((counted.claimed, counted.in_flight), (6.0, 3.0));
        assert_eq!(counted.outcomes["retried"], 3.0);
        assert_eq!(counted.answers["not_sent"], 2.0);
        assert_eq!(counted.answers["200"], 3.0);
    }
}
