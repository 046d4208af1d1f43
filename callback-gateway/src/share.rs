//! Share: which callbacks of a batch are done together. Some verbs take one callback of a job at a time.

use std::collections::HashMap;

use crate::work::{Beat, Work};

/// The most callbacks of one verb to one job that wait for the batches to come: nobody makes the others wait for ever.
const MAX_WAITING: usize = 32;

/// What becomes of the callbacks of a batch, by their places. Those that are in none of these wait for the next one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// They are done.
    pub now: Vec<usize>,
    /// The first is answered as the second is, which is done: a sign of life speaks for all that came with it.
    pub with: Vec<(usize, usize)>,
    /// Too many of their verb and job wait already.
    pub too_many: Vec<usize>,
}

impl Shares {
    /// Of this batch.
    pub fn of(batch: &[&Work]) -> Self {
        let mut shares = Self::default();
        let beats =
            batch.iter().enumerate().filter_map(|(n, work)| work.beat().map(|beat| (beat.run.job_id, (n, beat))));
        // Of those of one job the last speaks: it says until when.
        let last: HashMap<i64, (usize, Beat)> = beats.collect();
        let mut counts: HashMap<(&str, i64), usize> = HashMap::new();
        for (n, work) in batch.iter().enumerate() {
            if let Some(beat) = work.beat() {
                match last.get(&beat.run.job_id) {
                    Some((last, _)) if *last == n => shares.now.push(n),
                    Some((last, of)) if of.run == beat.run => shares.with.push((n, *last)),
                    _ => {}
                }
                continue;
            }
            let Some(key) = work.alone() else {
                shares.now.push(n);
                continue;
            };
            let count = counts.entry(key).or_default();
            *count += 1;
            match *count {
                1 => shares.now.push(n),
                count if count > MAX_WAITING + 1 => shares.too_many.push(n),
                _ => {}
            }
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use posthaste_engine::{claim::Lease, held::RunRef};
    use posthaste_protocol::callback::Progress;
    use uuid::Uuid;

    use super::*;

    fn run(job_id: i64, run_lease: i64) -> RunRef {
        RunRef { lease: Lease { lease_id: 1, nonce: Uuid::nil() }, job_id, run_lease }
    }

    fn beat(job_id: i64, run_lease: i64) -> Work {
        Work::Heartbeat(Beat { run: run(job_id, run_lease), extend: None })
    }

    fn shares(batch: &[Work]) -> Shares {
        Shares::of(&batch.iter().collect::<Vec<_>>())
    }

    #[test]
    fn the_last_heartbeat_of_a_run_speaks_for_all_and_one_of_another_run_waits() {
        let batch = [beat(1, 2), beat(2, 1), beat(1, 1), beat(1, 2), Work::LookUp(run(1, 2)), beat(1, 2)];
        assert_eq!(shares(&batch), Shares { now: vec![1, 4, 5], with: vec![(0, 5), (3, 5)], too_many: vec![] });
    }

    #[test]
    fn of_what_must_be_done_one_by_one_only_so_many_wait() {
        let progress = |job| Work::Progress(run(job, 1), Progress { percent: None, message: None, metadata: None });
        let mut batch: Vec<Work> = (0..40).map(|_| progress(1)).collect();
        batch.push(progress(2));
        assert_eq!(shares(&batch), Shares { now: vec![0, 40], with: vec![], too_many: (33..40).collect() });
    }
}
