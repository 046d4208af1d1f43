//! Suspended: what has come for a function that waits, and when that is enough to wake it.

use std::time::Duration;

use posthaste_protocol::{callback::Digest, suspend::WaitKind};

use super::{Next, Recorded, RunError, Spent, Transition, dead};

/// How often a function may be woken before its job is dead as `churning`: one that suspends itself for what has come
/// already would go round for ever.
pub const MAX_RESUMES: u32 = 100_000;

/// A suspended run: its waits in the order given, and how many of them wake its function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspended {
    /// 1 to all.
    pub need: usize,
    /// At least one.
    pub waits: Vec<Wait>,
    /// The wait that changed last.
    latest: Option<usize>,
}

/// One of its waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// 1-based, in the order given.
    pub n: i16,
    /// Unique among the waits of the run.
    pub name: String,
    /// What it waits for.
    pub kind: WaitKind,
    /// What has become of it.
    pub fate: Fate,
    /// Its time has come: a timer is met, any other wait has timed out.
    pub passed: bool,
    /// For jobs: enough of them have ended.
    pub enough: bool,
    /// It has expressions of its own: only what they were asked about meets it, and that names it.
    pub has_cel: bool,
    /// Of the signal that met it.
    pub digest: Option<Digest>,
}

/// What has become of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing yet.
    Open,
    /// It is met.
    Met,
    /// It timed out.
    TimedOut,
}

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It met this wait, an index.
    Met(usize),
    /// The same signal met a wait before.
    Duplicate,
    /// No open callback wait takes it.
    NoWait,
}

/// Whether the function goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It waits on.
    Stay,
    /// It is woken by the wait with this index.
    Wake {
        /// An index.
        by: usize,
        /// Enough waits can no longer be met.
        timed_out: bool,
    },
}

impl Suspended {
    /// A suspended run as it was read.
    pub fn new(need: usize, waits: Vec<Wait>) -> Self {
        Self { need, waits, latest: None }
    }

    /// Takes a signal for the first open callback wait, or for the named one. One that names none was judged by no wait, and
    /// meets none while one that is open has expressions. The same signal again is recognised, whichever wait it met: whoever
    /// sends again does not know.
    pub fn signal(&mut self, name: Option<&str>, digest: Digest) -> Taken {
        let named = |wait: &Wait| name.is_none_or(|name| wait.name == name);
        if self.waits.iter().any(|wait| wait.digest == Some(digest)) {
            return Taken::Duplicate;
        }
        if name.is_none() && self.waits.iter().any(|wait| wait.has_cel && wait.fate == Fate::Open) {
            return Taken::NoWait;
        }
        let takes = |wait: &Wait| wait.kind == WaitKind::Callback && wait.fate == Fate::Open && named(wait);
        let Some(at) = self.waits.iter().position(takes) else { return Taken::NoWait };
        self.waits[at].digest = Some(digest);
        self.meet(at, Fate::Met);
        Taken::Met(at)
    }

    /// Looks at what time and other jobs have brought. Returns the waits that this changed, as indices. A wait that woke the
    /// function is the last to change.
    pub fn look(&mut self) -> Vec<usize> {
        let mut changed = Vec::new();
        for at in 0..self.waits.len() {
            let wait = &self.waits[at];
            if wait.fate != Fate::Open || self.verdict() != Verdict::Stay {
                continue;
            }
            let fate = match wait.kind {
                WaitKind::Jobs if wait.enough => Fate::Met,
                WaitKind::Timer if wait.passed => Fate::Met,
                _ if wait.passed => Fate::TimedOut,
                _ => continue,
            };
            self.meet(at, fate);
            changed.push(at);
        }
        changed
    }

    fn meet(&mut self, at: usize, fate: Fate) {
        self.waits[at].fate = fate;
        self.latest = Some(at);
    }

    /// Whether enough has come, or can no longer come.
    pub fn verdict(&self) -> Verdict {
        let count = |fate| self.waits.iter().filter(|wait| wait.fate == fate).count();
        let met = count(Fate::Met);
        let timed_out = met < self.need;
        if timed_out && met + count(Fate::Open) >= self.need {
            return Verdict::Stay;
        }
        Verdict::Wake { by: self.latest.unwrap_or_default(), timed_out }
    }
}

/// What becomes of a suspended run whose function is woken: the same attempt goes on in a new run, at once. `resumes` tells
/// how often the function was woken before.
pub fn wake(spent: Spent, resumes: u32) -> Transition {
    if resumes >= MAX_RESUMES {
        let message = format!("the function was woken {MAX_RESUMES} times");
        return dead("churning".into(), RunError::new("churning", message));
    }
    let Spent { failures, uncounted, snoozing, .. } = spent;
    Transition {
        recorded: Recorded::Suspended,
        next: Next::Again { delay: Duration::ZERO, failures, uncounted, snoozing },
        result: None,
        error: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(n: i16, kind: WaitKind) -> Wait {
        let name = format!("w{n}");
        Wait { n, name, kind, fate: Fate::Open, passed: false, enough: false, has_cel: false, digest: None }
    }

    fn callbacks(count: i16, need: usize) -> Suspended {
        Suspended::new(need, (1..=count).map(|n| wait(n, WaitKind::Callback)).collect())
    }

    #[test]
    fn signals_meet_callback_waits_in_the_order_given_or_by_name() {
        let mut run = callbacks(3, 3);
        assert_eq!(run.signal(Some("w2"), [1; 16]), Taken::Met(1));
        assert_eq!(run.signal(None, [2; 16]), Taken::Met(0));
        assert_eq!(run.signal(Some("w2"), [3; 16]), Taken::NoWait);
        assert_eq!(run.verdict(), Verdict::Stay);
        assert_eq!(run.signal(None, [4; 16]), Taken::Met(2));
        assert_eq!(run.verdict(), Verdict::Wake { by: 2, timed_out: false });
    }

    #[test]
    fn the_same_signal_again_meets_nothing_whatever_wait_it_names() {
        let mut run = callbacks(2, 2);
        assert_eq!(run.signal(None, [1; 16]), Taken::Met(0));
        assert_eq!(run.signal(None, [1; 16]), Taken::Duplicate);
        assert_eq!(run.signal(Some("w1"), [1; 16]), Taken::Duplicate);
        assert_eq!(run.signal(Some("w2"), [1; 16]), Taken::Duplicate);
        assert_eq!(run.signal(Some("w2"), [2; 16]), Taken::Met(1));
    }

    #[test]
    fn a_signal_that_no_wait_judged_meets_none_while_one_has_expressions() {
        let mut run = callbacks(2, 2);
        run.waits[1].has_cel = true;
        assert_eq!(run.signal(None, [1; 16]), Taken::NoWait);
        assert_eq!(run.signal(Some("w2"), [2; 16]), Taken::Met(1));
        assert_eq!(run.signal(None, [1; 16]), Taken::Met(0));
    }

    #[test]
    fn a_timer_is_met_by_its_time_and_takes_no_signal() {
        let mut run = Suspended::new(1, vec![wait(1, WaitKind::Timer)]);
        assert_eq!(run.signal(None, [1; 16]), Taken::NoWait);
        assert_eq!((run.look(), run.verdict()), (vec![], Verdict::Stay));
        run.waits[0].passed = true;
        assert_eq!((run.look(), run.verdict()), (vec![0], Verdict::Wake { by: 0, timed_out: false }));
    }

    #[test]
    fn a_wait_that_is_lost_wakes_only_when_too_few_are_left() {
        let mut run = callbacks(3, 2);
        run.waits[0].passed = true;
        assert_eq!((run.look(), run.verdict()), (vec![0], Verdict::Stay));
        assert_eq!(run.signal(Some("w1"), [1; 16]), Taken::NoWait);
        run.waits[2].passed = true;
        assert_eq!((run.look(), run.verdict()), (vec![2], Verdict::Wake { by: 2, timed_out: true }));
    }

    #[test]
    fn jobs_that_have_ended_count_even_when_their_time_is_over() {
        let mut run = Suspended::new(1, vec![wait(1, WaitKind::Jobs)]);
        (run.waits[0].passed, run.waits[0].enough) = (true, true);
        assert_eq!((run.look(), run.verdict()), (vec![0], Verdict::Wake { by: 0, timed_out: false }));
    }

    #[test]
    fn what_comes_after_the_function_was_woken_changes_nothing() {
        let mut run = callbacks(2, 1);
        run.waits[1].passed = true;
        assert_eq!(run.signal(None, [1; 16]), Taken::Met(0));
        assert_eq!((run.look(), run.verdict()), (vec![], Verdict::Wake { by: 0, timed_out: false }));
    }

    #[test]
    fn a_wake_goes_on_at_once_with_what_was_used_up_until_there_were_too_many() {
        let spent = Spent { failures: 3, uncounted: 2, uncounted_for: Duration::from_secs(5), snoozing: true };
        let woken = wake(spent, MAX_RESUMES - 1);
        assert_eq!(woken.recorded, Recorded::Suspended);
        assert_eq!(woken.next, Next::Again { delay: Duration::ZERO, failures: 3, uncounted: 2, snoozing: true });
        assert_eq!(wake(spent, MAX_RESUMES).next, Next::Dead { reason: "churning".into() });
    }
}
