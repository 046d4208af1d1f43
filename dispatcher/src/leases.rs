//! The leases that this dispatcher holds, and how many of their runs are still its own.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::told::Told;

/// The book of leases.
pub struct Leases(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// Runs that have neither ended nor been parked, by lease; 0 while the claim is under way.
    open: HashMap<i64, usize>,
    /// Leases without open runs that are still to be deleted.
    drained: Vec<i64>,
    /// The last lease id that a claim was sent with.
    last: i64,
}

impl Leases {
    /// An empty book for ids from `dispatcher_id << 32` on.
    pub fn new(dispatcher_id: i64) -> Self {
        Self(Mutex::new(Book { last: dispatcher_id << 32, ..Book::default() }))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a claim that is about to be sent: known before it exists, so that the reconciler never takes it for
    /// one whose answer was lost.
    pub fn begin(&self, lease_id: i64) {
        let mut book = self.book();
        book.open.insert(lease_id, 0);
        book.last = lease_id;
    }

    /// The claim took so many runs; with 0, or after an error, the lease is not (known to be) there.
    pub fn claimed(&self, lease_id: i64, runs: usize) {
        let mut book = self.book();
        if runs == 0 {
            book.open.remove(&lease_id);
        } else {
            book.open.insert(lease_id, runs);
        }
    }

    /// The leases held, and the last one that was begun: what has a higher id is younger than this answer.
    pub fn known(&self) -> (Vec<i64>, i64) {
        let book = self.book();
        (book.open.keys().copied().collect(), book.last)
    }

    /// Whether leases are waiting to be deleted.
    pub fn any_drained(&self) -> bool {
        !self.book().drained.is_empty()
    }

    /// Takes the leases to delete with this batch: those that wait for it, and those whose last open runs it writes.
    pub fn drained_with(&self, batch: &[Told]) -> Vec<i64> {
        let mut counts: HashMap<i64, usize> = HashMap::new();
        for one in batch {
            *counts.entry(one.run().lease.lease_id).or_default() += 1;
        }
        let mut book = self.book();
        let mut drained = std::mem::take(&mut book.drained);
        drained.extend(counts.into_iter().filter(|(id, count)| book.open.get(id) == Some(count)).map(|(id, _)| id));
        drained
    }

    /// The statement that was to delete these failed: those without open runs wait for the next one.
    pub fn not_deleted(&self, leases: &[i64]) {
        let mut book = self.book();
        let gone: Vec<i64> = leases.iter().copied().filter(|id| !book.open.contains_key(id)).collect();
        book.drained.extend(gone);
    }

    /// These runs have ended or wait, durably, and these leases are deleted.
    pub fn written(&self, batch: &[Told], deleted: &[i64]) {
        let mut book = self.book();
        for one in batch {
            let id = one.run().lease.lease_id;
            let Some(count) = book.open.get_mut(&id) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                book.open.remove(&id);
                if !deleted.contains(&id) {
                    book.drained.push(id);
                }
            }
        }
    }
}
