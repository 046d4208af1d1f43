//! Mutations: an input of the corpus, changed in a few places.

use rand::{RngExt as _, rngs::StdRng};

use crate::surface::Surface;

/// The longest input that is blown up: past every bound of a body.
const HUGE_BYTES: usize = 1_100_000;

/// An input made of those of the corpus: half of them of the `committed` ones, which come first, since what is easily
/// accepted soon fills the rest.
pub fn mutated(rng: &mut StdRng, corpus: &[String], committed: usize, surface: &Surface) -> Vec<u8> {
    let starts = if rng.random() { committed } else { corpus.len() };
    let mut text = corpus[rng.random_range(0..starts)].clone();
    for _ in 0..rng.random_range(1..5) {
        change(rng, &mut text, corpus, surface.words);
        text.truncate(text.floor_char_boundary(surface.max_bytes));
    }
    if !surface.any_bytes {
        return text.into_bytes();
    }
    match rng.random_range(0..20_000) {
        0 => blow_up(rng, &mut text),
        1..2000 => return broken(rng, text.into_bytes()),
        _ => {}
    }
    text.into_bytes()
}

fn change(rng: &mut StdRng, text: &mut String, corpus: &[String], words: &[&str]) {
    let (from, to) = (place(rng, text), place(rng, text));
    let (from, to) = (from.min(to), from.max(to));
    match rng.random_range(0..5) {
        0 => text.replace_range(from..to.min(text.ceil_char_boundary(from + 8)), ""),
        1 => text.insert_str(from, words[rng.random_range(0..words.len())]),
        2 => {
            let part = text[from..to].repeat(rng.random_range(1..4));
            text.insert_str(to, &part);
        }
        3 => {
            let other = &corpus[rng.random_range(0..corpus.len())];
            let (a, b) = (place(rng, other), place(rng, other));
            text.insert_str(from, &other[a.min(b)..a.max(b)]);
        }
        _ => {
            let other: String = text[from..to].chars().map(|c| flipped(c, rng)).collect();
            text.replace_range(from..to, &other);
        }
    }
}

/// Repeats a short part of the text very often.
fn blow_up(rng: &mut StdRng, text: &mut String) {
    let from = place(rng, text);
    let to = text.ceil_char_boundary((from + rng.random_range(1..32)).min(text.len()));
    let part = text[from..to].to_owned();
    let times = rng.random_range(0..HUGE_BYTES) / part.len().max(1);
    text.insert_str(to, &part.repeat(times));
}

/// With one byte that may belong to no character.
fn broken(rng: &mut StdRng, mut bytes: Vec<u8>) -> Vec<u8> {
    let at = rng.random_range(0..=bytes.len());
    match bytes.get_mut(at) {
        Some(byte) => *byte = rng.random(),
        None => bytes.push(rng.random()),
    }
    bytes
}

/// Mostly the same; now and then another.
fn flipped(c: char, rng: &mut StdRng) -> char {
    if rng.random_range(0..20) == 0 { char::from(rng.random_range(1..127_u8)) } else { c }
}

fn place(rng: &mut StdRng, text: &str) -> usize {
    text.floor_char_boundary(rng.random_range(0..=text.len()))
}
