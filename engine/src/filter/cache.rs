//! Compiled filters, kept: the same text is compiled once, not for each webhook.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use posthaste_protocol::cel::CelSpec;
use posthaste_protocol::problem::FieldError;

use super::Filter;

/// How many filters without patterns one pattern counts for: with what matching keeps for each thread it may take two
/// MiB, all nodes of a filter a tenth of one.
const PATTERN_WEIGHT: usize = 20;

/// Keeps the filters that were used last, for all threads of a process.
///
/// The key is the whole text, which at most 8 KiB keep small: with a hash alone, who finds two texts of one hash would
/// run another's filter.
#[derive(Debug)]
pub struct FilterCache {
    capacity: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_spec: HashMap<CelSpec, Entry>,
    weight: usize,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    filter: Filter,
    weight: usize,
    last_use: u64,
}

impl FilterCache {
    /// A cache of at most `capacity` filters, or fewer with patterns, and at least one: a tenth of a MiB each at worst.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, kept: Mutex::default() }
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
        let weight = weight(&spec);
        self.weight += weight;
        let entry = Entry { filter, weight, last_use: self.uses };
        if let Some(same) = self.by_spec.insert(spec, entry) {
            self.weight -= same.weight;
        }
        while self.weight > capacity && self.by_spec.len() > 1 {
            // A walk over all entries: as long as compiling one, and only when one is compiled.
            let oldest = self.by_spec.iter().min_by_key(|(_, entry)| entry.last_use).map(|(spec, _)| spec.clone());
            if let Some(oldest) = oldest.and_then(|spec| self.by_spec.remove(&spec)) {
                self.weight -= oldest.weight;
            }
        }
    }
}

/// What a filter counts for. Each pattern needs the word `matches`; one that stands elsewhere counts too.
fn weight(spec: &CelSpec) -> usize {
    let texts = [&spec.filter, &spec.on_fail, &spec.on_complete, &spec.transform];
    let patterns: usize = texts.into_iter().flatten().map(|text| text.matches("matches").count()).sum();
    1 + PATTERN_WEIGHT * patterns
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
    fn a_pattern_takes_the_room_of_many() {
        let cache = FilterCache::new(30);
        for n in 0..30 {
            cache.get(&spec(&format!("payload.a == {n}"))).unwrap();
        }
        let kept = || {
            let kept = cache.kept();
            (kept.by_spec.len(), kept.weight)
        };
        assert_eq!(kept(), (30, 30));
        cache.get(&spec("payload.a.matches('x')")).unwrap();
        assert_eq!(kept(), (10, 30));
        cache.get(&spec("payload.a.matches('x') || payload.a.matches('y')")).unwrap();
        assert_eq!(kept(), (1, 41), "the newest is kept, whatever it takes");
        cache.get(&spec("payload.a")).unwrap();
        assert_eq!(kept(), (1, 1));
    }

    #[test]
    fn what_does_not_compile_takes_no_room() {
        let cache = FilterCache::new(1);
        cache.get(&spec("payload.a")).unwrap();
        assert!(cache.get(&spec("payload.")).is_err());
        assert!(is_kept(&cache, "payload.a"));
    }
}
