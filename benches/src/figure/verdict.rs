//! A figure and what it is held against.

use crate::lab::stats::{Values, number};

/// Which way is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Rates, ratios.
    Higher,
    /// Times, costs.
    Lower,
}

/// One line of the report.
#[derive(Debug, Clone)]
pub struct Figure {
    /// `T1`.
    pub id: &'static str,
    /// What was measured.
    pub what: String,
    /// One value a repetition; none: it was not measured.
    pub values: Values,
    /// Behind the numbers.
    pub unit: &'static str,
    /// Which way is good.
    pub better: Better,
    /// What it may not fall below.
    pub floor: Option<f64>,
    /// Where it is going.
    pub goal: Option<f64>,
}

impl Figure {
    /// A figure without a target: context.
    pub fn context(id: &'static str, what: impl Into<String>, values: Values, unit: &'static str) -> Self {
        Self { id, what: what.into(), values, unit, better: Better::Higher, floor: None, goal: None }
    }

    /// A figure with a floor and a goal; a higher goal means that higher is better.
    pub fn held(
        id: &'static str,
        what: impl Into<String>,
        values: Values,
        unit: &'static str,
        floor: f64,
        goal: f64,
    ) -> Self {
        let better = if goal >= floor { Better::Higher } else { Better::Lower };
        Self { id, what: what.into(), values, unit, better, floor: Some(floor), goal: Some(goal) }
    }

    /// A figure that only has to stay at or below this.
    pub fn at_most(id: &'static str, what: impl Into<String>, values: Values, unit: &'static str, bound: f64) -> Self {
        Self { id, what: what.into(), values, unit, better: Better::Lower, floor: Some(bound), goal: None }
    }

    /// Where the median stands.
    pub fn verdict(&self) -> String {
        let Some(median) = self.values.median() else { return "**not measured**".to_owned() };
        let reaches = |target: f64| match self.better {
            Better::Higher => median >= target,
            Better::Lower => median <= target,
        };
        match (self.floor, self.goal) {
            (_, Some(goal)) if reaches(goal) => "past goal".to_owned(),
            (Some(floor), _) if reaches(floor) => "past floor".to_owned(),
            // Nothing is a multiple of it.
            (Some(0.0), _) => "**BELOW floor**".to_owned(),
            (Some(floor), _) => {
                let by = if self.better == Better::Higher { floor / median } else { median / floor };
                format!("**BELOW floor by {by:.2} ×**")
            }
            _ => "–".to_owned(),
        }
    }

    /// One row of the table.
    pub fn row(&self) -> String {
        let bound = |bound: Option<f64>| {
            let sign = if self.better == Better::Higher { "≥" } else { "≤" };
            bound.map_or_else(|| "–".to_owned(), |value| format!("{sign} {}", number(value)))
        };
        let unit = if self.values.0.is_empty() { "" } else { self.unit };
        format!(
            "| {} | {} | {} {unit} | {} | {} | {} |",
            self.id,
            self.what,
            self.values.show(),
            bound(self.floor),
            bound(self.goal),
            self.verdict()
        )
    }
}
