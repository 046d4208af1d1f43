//! What is done for every dispatch, and for every stranger, costs no memory.

#![expect(unsafe_code, reason = "counting allocations needs an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use posthaste_protocol::action::Actions;
use posthaste_protocol::dispatch::{CallbackGrant, DispatchJob, Format, Resume, RunContext, body_with};
use posthaste_protocol::gateway_url::GatewayUrl;
use posthaste_protocol::id::JobId;
use posthaste_protocol::key_ring::KeyRing;
use posthaste_protocol::token::{self, Claims, Token, TokenKind};

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

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, new_size) }
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

fn ring() -> KeyRing {
    KeyRing::parse(&format!("1:{}", "a".repeat(64))).expect("a ring")
}

fn claims() -> Claims {
    Claims {
        kind: TokenKind::Callback,
        actions: Actions::ALL,
        namespace: 1,
        job_id: JobId(42),
        run_lease: 3,
        wait: 0,
        lease_id: 9,
        expires_at_unix: 1000,
        nonce: [5; 16],
    }
}

#[test]
fn minting_and_verifying_a_token_allocates_nothing() {
    let (ring, claims) = (ring(), claims());
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

#[test]
fn an_envelope_is_written_into_one_buffer() {
    let (ring, gateway) = (ring(), GatewayUrl::parse("https://cb.example.com").unwrap());
    let tags = ["a".to_owned(), "b".to_owned()];
    let args = format!(r#"{{"text":"{}"}}"#, "x".repeat(300));
    let job = DispatchJob {
        id: JobId(i64::MAX),
        kind: "generate_pdf",
        queue: "default",
        attempt: 25,
        max_attempts: 25,
        run_lease: i64::MAX,
        enqueued_at: "2026-11-21T08:00:00.123456Z".parse().unwrap(),
        tags: &tags,
        metadata: r#"{"m":1}"#,
        args: &args,
        timeout_ms: 30_000,
        idempotency_key: "AAAAAAAAAAAAAAAAAAAAAA",
    };
    let tokens: [Token; 2] = std::array::from_fn(|_| token::mint(&ring, &claims()));
    let context = RunContext {
        callback: Some(CallbackGrant {
            gateway: &gateway,
            token: &tokens[0],
            hook_token: Some(&tokens[1]),
            actions: Actions::ALL,
            deadline_in_ms: u64::MAX,
            token_expires_in_ms: u64::MAX,
        }),
        progress: Some(&args),
        steps: Some(&args),
        resume: Some(Resume { name: "payment", payload: Some(&args), timed_out: false }),
    };
    for context in [RunContext::default(), context] {
        let mut out = Vec::new();
        assert_eq!(allocations(|| body_with(Format::Envelope, &job, &context, &mut out)), 1, "{}", out.len());
    }
}
