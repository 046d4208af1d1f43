//! Hostile input for everything that reads the words of strangers: `make fuzz ARGS='SECONDS SEED SURFACE'`.
//!
//! Mutates the committed inputs of `tests/corpus` for some seconds, in equal parts for tokens, JSON, headers and
//! expressions, or for one of them. The first input that panics, or that breaks a promise, is written into the corpus
//! and ends the run with exit code 1. The same seed makes the same inputs.

#![expect(clippy::print_stdout, reason = "a tool for people")]

mod cel;
mod corpus;
mod headers;
mod json;
mod mutation;
mod storable;
mod surface;
mod token;

use std::{
    panic::catch_unwind,
    process::ExitCode,
    time::{Duration, Instant},
};

use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};
use rustix::time::{ClockId, clock_gettime};

use crate::surface::Surface;

const SURFACES: [Surface; 4] = [token::SURFACE, json::SURFACE, headers::SURFACE, cel::SURFACE];
/// Half of what a thread of the runtime has.
const STACK_BYTES: usize = 1024 * 1024;
/// The most inputs that are mutated.
const MAX_CORPUS: usize = 2000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().map(|text| text.parse::<u64>().expect("a number"));
    let (seconds, seed) = (number().unwrap_or(3600), number().unwrap_or_else(|| rand::rng().next_u64()));
    let only = arguments.next();
    let surfaces: Vec<Surface> =
        SURFACES.into_iter().filter(|surface| only.as_deref().is_none_or(|only| only == surface.name)).collect();
    assert!(!surfaces.is_empty(), "the surfaces are token, json, headers and cel");
    let share = Duration::from_secs(seconds) / u32::try_from(surfaces.len()).expect("at most four");
    for surface in surfaces {
        println!("{}: {} s from seed {seed}", surface.name, share.as_secs());
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        let fuzzed = thread.spawn(move || fuzz(&surface, share, seed)).expect("a thread").join();
        if !fuzzed.is_ok_and(|clean| clean) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Whether every input survived.
fn fuzz(surface: &Surface, time: Duration, seed: u64) -> bool {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut corpus = corpus::texts(surface.name);
    let committed = corpus.len();
    let (mut tried, mut accepted, mut slowest) = (0_u64, 0_u64, Duration::ZERO);
    let begin = Instant::now();
    while begin.elapsed() < time {
        let input = mutation::mutated(&mut rng, &corpus, committed, surface);
        tried += 1;
        let start = cpu_time();
        let Ok(is_accepted) = catch_unwind(|| (surface.survives)(&input)) else {
            let path = corpus::keep(surface.name, &format!("{seed}-{tried}"), &input);
            println!("{}: input {tried} of seed {seed} FAILED and is now {path}", surface.name);
            return false;
        };
        slowest = slowest.max(cpu_time().saturating_sub(start));
        if is_accepted {
            accepted += 1;
            // What is accepted is the better start; the committed ones stay, and the whole stays small.
            if let Ok(text) = String::from_utf8(input) {
                match rng.random_range(committed..MAX_CORPUS) {
                    place if place < corpus.len() => corpus[place] = text,
                    _ => corpus.push(text),
                }
            }
        }
    }
    println!(
        "{}: {tried} inputs, {} a second, {accepted} accepted, the slowest took {} ms of CPU, none failed",
        surface.name,
        tried / time.as_secs().max(1),
        slowest.as_millis()
    );
    true
}

/// What this thread has used so far: others may hold the machine for seconds.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_survives() {
        for surface in SURFACES {
            let corpus = corpus::read(surface.name);
            assert!(corpus.len() >= 20, "{}", surface.name);
            for (path, input) in corpus {
                println!("{path}");
                (surface.survives)(&input);
            }
        }
    }

    #[test]
    fn what_becomes_of_it_survives() {
        for surface in SURFACES {
            let corpus = corpus::texts(surface.name);
            let mut rng = StdRng::seed_from_u64(3);
            for _ in 0..500 {
                let input = mutation::mutated(&mut rng, &corpus, corpus.len(), &surface);
                let survived = catch_unwind(|| (surface.survives)(&input));
                assert!(survived.is_ok(), "{}: {:?}", surface.name, String::from_utf8_lossy(&input));
            }
        }
    }
}
