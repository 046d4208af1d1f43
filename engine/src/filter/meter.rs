//! The budget of one evaluation, and the two ways in which an expression ends without a value.

/// The most steps of all expressions of a filter together. A step is a node visited, or 64 bytes looked at; it takes
/// some ten nanoseconds, at worst a hundred.
pub const MAX_STEPS: usize = 100_000;
/// The most bytes of new values that all expressions of a filter make together; what lies in the input is not copied.
pub const MAX_MADE_BYTES: usize = 1024 * 1024;

/// Why an expression gave no value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stop {
    /// It does not fit this input. `||`, `&&`, `exists` and `all` may come to a value all the same.
    Failed(String),
    /// A bound is reached: nothing goes on.
    Exhausted(String),
}

impl Stop {
    /// A failure with this message, which never holds a value of the input.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }
}

/// What is left of the budget.
#[derive(Debug)]
pub(super) struct Meter {
    steps: usize,
    bytes: usize,
}

impl Meter {
    /// The whole budget.
    pub(super) fn new() -> Self {
        Self { steps: MAX_STEPS, bytes: MAX_MADE_BYTES }
    }

    /// Pays for `steps`.
    pub(super) fn step(&mut self, steps: usize) -> Result<(), Stop> {
        let left = self.steps.checked_sub(steps);
        // Spent for good: what comes after a refusal, in whatever expression, is refused too.
        self.steps = left.unwrap_or(0);
        left.map(drop).ok_or_else(|| Stop::Exhausted(format!("took more than {MAX_STEPS} steps")))
    }

    /// Pays for looking at `bytes`.
    pub(super) fn scan(&mut self, bytes: usize) -> Result<(), Stop> {
        self.step(bytes / 64)
    }

    /// Pays for making `bytes`, which takes steps too.
    pub(super) fn make(&mut self, bytes: usize) -> Result<(), Stop> {
        self.scan(bytes)?;
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.unwrap_or(0);
        left.map(drop).ok_or_else(|| Stop::Exhausted(format!("made more than {MAX_MADE_BYTES} bytes")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_was_overdrawn_stays_spent() {
        let mut meter = Meter::new();
        assert_eq!(meter.step(MAX_STEPS), Ok(()));
        assert!(matches!(meter.step(1), Err(Stop::Exhausted(_))));
        let mut meter = Meter::new();
        assert!(meter.step(usize::MAX).is_err());
        assert!(meter.step(1).is_err(), "a refused cost leaves nothing");
        let mut meter = Meter::new();
        assert!(matches!(meter.make(MAX_MADE_BYTES + 1), Err(Stop::Exhausted(_))));
        assert!(meter.make(1).is_err());
        assert_eq!(meter.step(1), Ok(()));
    }
}
