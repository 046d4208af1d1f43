//! Silence: which dispatchers have not beaten for too long, by this process's monotonic clock. Pure.
//!
//! Only a counter that does not change counts, and only for as long as this process has watched it: a jump of a wall
//! clock, here or in the database, rescues nobody.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use posthaste_engine::fleet::Beat;

/// How long a counter must stand still.
pub const SILENCE: Duration = Duration::from_secs(15);

/// What this process has seen of the others' counters.
#[derive(Debug, Default)]
pub struct Watch {
    seen: HashMap<i64, (Option<i64>, Instant)>,
}

impl Watch {
    /// Takes a look at all counters and returns who has been silent for [`SILENCE`].
    pub fn look(&mut self, beats: &[Beat], now: Instant) -> Vec<i64> {
        self.seen.retain(|id, _| beats.iter().any(|beat| beat.dispatcher_id == *id));
        let mut silent = Vec::new();
        for beat in beats {
            let entry = self.seen.entry(beat.dispatcher_id).or_insert((beat.beat, now));
            if entry.0 != beat.beat {
                *entry = (beat.beat, now);
            } else if now.saturating_duration_since(entry.1) >= SILENCE {
                silent.push(beat.dispatcher_id);
            }
        }
        silent
    }

    /// Forgets everything: after a gap in watching, silence is counted anew.
    pub fn clear(&mut self) {
        self.seen.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(dispatcher_id: i64, beat: i64) -> Beat {
        Beat { dispatcher_id, beat: Some(beat) }
    }

    #[test]
    fn a_counter_that_stands_still_for_15_s_is_silence() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        assert!(watch.look(&[beat(1, 7), beat(2, 1)], start).is_empty());
        let later = start + Duration::from_secs(14);
        assert!(watch.look(&[beat(1, 7), beat(2, 2)], later).is_empty());
        let later = start + Duration::from_secs(15);
        assert_eq!(watch.look(&[beat(1, 7), beat(2, 3)], later), [1]);
    }

    #[test]
    fn a_dispatcher_seen_for_the_first_time_is_never_silent_at_once() {
        let mut watch = Watch::default();
        assert!(watch.look(&[beat(1, 7)], Instant::now()).is_empty());
    }

    #[test]
    fn leases_without_a_dispatcher_row_become_silent_too() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let orphan = Beat { dispatcher_id: 3, beat: None };
        assert!(watch.look(&[orphan], start).is_empty());
        assert_eq!(watch.look(&[orphan], start + SILENCE), [3]);
    }

    #[test]
    fn a_gap_in_watching_counts_silence_anew() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        watch.look(&[beat(1, 7)], start);
        watch.clear();
        assert!(watch.look(&[beat(1, 7)], start + Duration::from_mins(1)).is_empty());
    }
}
