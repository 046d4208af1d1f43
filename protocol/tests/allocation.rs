//! What the public room does for strangers costs no memory.

#![expect(unsafe_code, reason = "counting allocations needs an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use posthaste_protocol::action::Actions;
use posthaste_protocol::id::JobId;
use posthaste_protocol::key_ring::KeyRing;
use posthaste_protocol::token::{self, Claims, TokenKind};

/// The system's allocator, counting for each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; the counter itself allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn minting_and_verifying_a_token_allocates_nothing() {
    let ring = KeyRing::parse(&format!("1:{}", "a".repeat(64))).unwrap();
    let claims = Claims {
        kind: TokenKind::Callback,
        actions: Actions::ALL,
        namespace: 1,
        job_id: JobId(42),
        run_lease: 3,
        wait: 0,
        lease_id: 9,
        expires_at_unix: 1000,
        nonce: [5; 16],
    };
    let token = token::mint(&ring, &claims);
    let mut forged = token.expose().to_owned().into_bytes();
    forged[20] ^= 2;
    assert_eq!(allocations(|| drop(token::mint(&ring, &claims))), 0);
    for (presented, now, genuine) in [
        (token.expose().as_bytes(), 999, true),
        (token.expose().as_bytes(), 1000, false),
        (&forged, 999, false),
        (&[b'A'; 10_000], 999, false),
        (b"", 999, false),
    ] {
        let mut verified = false;
        let verify = || verified = token::verify(&ring, presented, TokenKind::Callback, now).is_ok();
        assert_eq!(allocations(verify), 0, "{genuine}");
        assert_eq!(verified, genuine);
    }
    assert_eq!(allocations(|| drop(vec![1])), 1, "the counter counts");
}
