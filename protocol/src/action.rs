//! Actions: what a callback may do to its run.

use serde::{Serialize, Serializer};

use crate::word::words;

words! {
    /// What a callback does; the last segment of its path.
    pub enum Action {
        /// The job is done.
        Complete = "complete",
        /// The attempt failed.
        Fail = "fail",
        /// Try again; an attempt is counted.
        Retry = "retry",
        /// Ask again later; no attempt is counted.
        Snooze = "snooze",
        /// Cancel the job.
        Cancel = "cancel",
        /// The function is alive.
        Heartbeat = "heartbeat",
        /// How far it is.
        Progress = "progress",
        /// What it has done so far.
        Checkpoint = "checkpoint",
        /// Wake a suspended function.
        Resume = "resume",
    }
}

impl Action {
    /// Its bit in [`Actions`]: 1 for `complete`, doubling in the documented order, 256 for `resume`.
    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of actions, as a token grants them. In JSON a list of words, in the documented order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Actions(u16);

impl Actions {
    /// Every action.
    pub const ALL: Self = Self::of(Action::ALL);

    /// The set of these.
    pub const fn of(actions: &[Action]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < actions.len() {
            bits |= actions[at].bit();
            at += 1;
        }
        Self(bits)
    }

    /// The set of these bits. Bits of no action known here are kept and allow nothing: a newer version may have set
    /// them.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits, as they stand in a token.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether the set has this action.
    pub const fn allow(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }

    /// The known actions of the set, in the documented order.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.iter().copied().filter(move |action| self.allow(*action))
    }
}

impl std::fmt::Debug for Actions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(Action::as_str)).finish()
    }
}

impl Serialize for Actions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_allows_its_own_actions_and_no_other() {
        let set = Actions::of(&[Action::Fail, Action::Resume]);
        assert_eq!(set.bits(), 2 + 256);
        let allowed: Vec<_> = Action::ALL.iter().filter(|action| set.allow(**action)).collect();
        assert_eq!(allowed, [&Action::Fail, &Action::Resume]);
        assert_eq!(Actions::ALL.bits(), 511);
        assert_eq!(Actions::default().iter().count(), 0);
    }

    #[test]
    fn bits_of_a_newer_version_allow_nothing_and_are_kept() {
        let set = Actions::from_bits(0x8001);
        assert_eq!(set.bits(), 0x8001);
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["complete"]"#);
    }
}
