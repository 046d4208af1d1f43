//! Compiled filters, kept: the same text is compiled once, not for each webhook.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use posthaste_protocol::cel::CelSpec;
use posthaste_protocol::problem::FieldError;

use super::Filter;

/// Keeps the filters that were used last, for all threads of a process.
///
/// The key is the whole text, which at most 8 KiB and a few patterns keep small: with a hash alone, who finds two
/// texts of one hash would run another's filter.
#[derive(Debug)]
pub struct FilterCache {
    capacity: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_spec: HashMap<CelSpec, Entry>,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    filter: Filter,
    last_use: u64,
}

impl FilterCache {
    /// A cache of at most `capacity` filters, at least one.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), kept: Mutex::default() }
    }

    /// The filter of `spec`, compiled now if it is not kept. Errors as [`Filter::compile`]; faults are not kept.
    pub fn get(&self, spec: &CelSpec) -> Result<Filter, Vec<FieldError>> {
        if let Some(filter) = self.kept().find(spec) {
            return Ok(filter);
        }
        // Compiled outside of the lock: at worst two threads compile the same.
        let filter = Filter::compile(spec)?;
        self.kept().keep(spec.clone(), filter.clone(), self.capacity);
        Ok(filter)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // Nothing in here can be left half done: a thread that panicked did so elsewhere.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn find(&mut self, spec: &CelSpec) -> Option<Filter> {
        self.uses += 1;
        let entry = self.by_spec.get_mut(spec)?;
        entry.last_use = self.uses;
        Some(entry.filter.clone())
    }

    fn keep(&mut self, spec: CelSpec, filter: Filter, capacity: usize) {
        if self.by_spec.len() >= capacity && !self.by_spec.contains_key(&spec) {
            // A walk over all entries: as long as compiling one, and only when one is compiled.
            let oldest = self.by_spec.iter().min_by_key(|(_, entry)| entry.last_use).map(|(spec, _)| spec.clone());
            if let Some(oldest) = oldest {
                self.by_spec.remove(&oldest);
            }
        }
        self.by_spec.insert(spec, Entry { filter, last_use: self.uses });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(filter: &str) -> CelSpec {
        CelSpec { filter: Some(filter.to_owned()), ..CelSpec::default() }
    }

    fn is_kept(cache: &FilterCache, filter: &str) -> bool {
        cache.kept().by_spec.contains_key(&spec(filter))
    }

    #[test]
    fn the_same_text_is_compiled_once() {
        let cache = FilterCache::new(2);
        let first = cache.get(&spec("payload.a")).unwrap();
        let again = cache.get(&spec("payload.a")).unwrap();
        assert!(std::sync::Arc::ptr_eq(&first.0, &again.0));
    }

    #[test]
    fn the_filter_that_was_used_longest_ago_makes_room() {
        let cache = FilterCache::new(2);
        for filter in ["payload.a", "payload.b", "payload.a", "payload.c"] {
            cache.get(&spec(filter)).unwrap();
        }
        assert!(is_kept(&cache, "payload.a") && is_kept(&cache, "payload.c") && !is_kept(&cache, "payload.b"));
        assert_eq!(cache.kept().by_spec.len(), 2);
    }

    #[test]
    fn what_does_not_compile_takes_no_room() {
        let cache = FilterCache::new(1);
        cache.get(&spec("payload.a")).unwrap();
        assert!(cache.get(&spec("payload.")).is_err());
        assert!(is_kept(&cache, "payload.a"));
    }
}
