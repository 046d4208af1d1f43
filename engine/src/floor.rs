//! The floor of a lane: below it nothing live can be, so a claim need not read the dead rows there.
//!
//! With a long reader holding the vacuum horizon, the index entries of claimed rows pile up before the live
//! ones and every claim would walk them all. The obvious rules ("greater than the last claimed", "snapshot
//! xmin ≥ an earlier xmax") strand jobs whose transactions commit late. This one does not:
//!
//! 1. Every seq is drawn after its transaction has an xid.
//! 2. A claim that took rows and whose commit is known makes a candidate `(S, C)`: the highest seq it took,
//!    its own xid. One candidate at a time.
//! 3. A later claim whose snapshot has `xmin > C`, and that sees no row at or above the old floor and below S,
//!    locked or not, makes S the floor.
//!
//! Why: a row s < S drawn by T had T's xid before S was drawn, committed and seen, hence T < C; `xmin > C` says
//! that T has ended; the unlocked read sees rows that neighbours hold.

use std::collections::HashMap;

/// What one claim scans separately: a priority of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scan {
    /// The lane.
    pub lane_id: i32,
    /// 1–4.
    pub priority: i16,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    seq: i64,
    xid: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Floor {
    seq: i64,
    candidate: Option<Candidate>,
}

/// What a committed claim saw, as far as floors are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// The oldest transaction that was running at its snapshot.
    pub snapshot_xmin: i64,
    /// Its own transaction.
    pub xid: i64,
}

/// The floors that one dispatcher knows. They die with its connection.
#[derive(Debug, Default)]
pub struct Floors {
    by_scan: HashMap<Scan, Floor>,
}

impl Floors {
    /// The floor of this scan; 0 when nothing is known.
    pub fn floor(&self, scan: Scan) -> i64 {
        self.by_scan.get(&scan).map_or(0, |floor| floor.seq)
    }

    /// Whether a candidate waits for this scan, so that a claim must look for the least visible row.
    pub fn waits(&self, scan: Scan) -> bool {
        self.by_scan.get(&scan).is_some_and(|floor| floor.candidate.is_some())
    }

    /// Learns from a claim that took something and whose commit is known. `lows` has, for each scan that had a
    /// candidate when the claim was sent, the least visible seq above its floor; `taken` the seqs taken.
    pub fn learn(&mut self, seen: Seen, lows: &[(Scan, Option<i64>)], taken: impl Iterator<Item = (Scan, i64)>) {
        for (scan, low) in lows {
            let Some(floor) = self.by_scan.get_mut(scan) else { continue };
            let Some(candidate) = floor.candidate else { continue };
            if seen.snapshot_xmin > candidate.xid && low.is_none_or(|low| low >= candidate.seq) {
                floor.seq = floor.seq.max(candidate.seq);
                floor.candidate = None;
            }
        }
        let mut highest: HashMap<Scan, i64> = HashMap::new();
        for (scan, seq) in taken {
            let entry = highest.entry(scan).or_insert(seq);
            *entry = (*entry).max(seq);
        }
        for (scan, seq) in highest {
            let floor = self.by_scan.entry(scan).or_default();
            if floor.candidate.is_none() && seq > floor.seq {
                floor.candidate = Some(Candidate { seq, xid: seen.xid });
            }
        }
    }

    /// Forgets everything, as the connection did.
    pub fn clear(&mut self) {
        self.by_scan.clear();
    }

    /// Takes floors back that were forgotten for one claim which found nothing.
    pub fn restore(&mut self, levels: &[(Scan, i64)]) {
        for (scan, seq) in levels.iter().filter(|(_, seq)| *seq > 0) {
            let floor = self.by_scan.entry(*scan).or_default();
            floor.seq = floor.seq.max(*seq);
        }
    }

    /// Forgets one scan, whose next claim then reads from 0.
    pub fn forget(&mut self, scan: Scan) {
        self.by_scan.remove(&scan);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCAN: Scan = Scan { lane_id: 7, priority: 2 };

    fn seen(snapshot_xmin: i64, xid: i64) -> Seen {
        Seen { snapshot_xmin, xid }
    }

    #[test]
    fn a_candidate_becomes_the_floor_once_its_neighbours_have_ended() {
        let mut floors = Floors::default();
        floors.learn(seen(90, 100), &[], [(SCAN, 5), (SCAN, 9)].into_iter());
        assert!(floors.waits(SCAN));
        assert_eq!(floors.floor(SCAN), 0);
        floors.learn(seen(101, 110), &[(SCAN, None)], [(SCAN, 12)].into_iter());
        assert_eq!(floors.floor(SCAN), 9);
        assert!(floors.waits(SCAN), "the same claim proposes the next one");
    }

    #[test]
    fn a_transaction_that_may_still_commit_below_keeps_the_candidate_waiting() {
        let mut floors = Floors::default();
        floors.learn(seen(90, 100), &[], [(SCAN, 9)].into_iter());
        floors.learn(seen(100, 110), &[(SCAN, None)], [(SCAN, 12)].into_iter());
        assert_eq!(floors.floor(SCAN), 0);
        assert!(floors.waits(SCAN));
    }

    #[test]
    fn a_visible_row_below_the_candidate_keeps_it_waiting() {
        let mut floors = Floors::default();
        floors.learn(seen(90, 100), &[], [(SCAN, 9)].into_iter());
        floors.learn(seen(101, 110), &[(SCAN, Some(4))], [(SCAN, 4)].into_iter());
        assert_eq!(floors.floor(SCAN), 0);
        floors.learn(seen(111, 120), &[(SCAN, Some(9))], [(SCAN, 12)].into_iter());
        assert_eq!(floors.floor(SCAN), 9);
    }

    #[test]
    fn floors_of_lanes_and_priorities_are_their_own() {
        let mut floors = Floors::default();
        let other = Scan { lane_id: 7, priority: 3 };
        floors.learn(seen(90, 100), &[], [(SCAN, 9), (other, 3)].into_iter());
        floors.learn(seen(101, 110), &[(SCAN, None), (other, Some(2))], std::iter::empty());
        assert_eq!((floors.floor(SCAN), floors.floor(other)), (9, 0));
        floors.clear();
        assert_eq!(floors.floor(SCAN), 0);
    }
}
