//! The runtime that a command's future runs on, and what the process asks of its host before.

use std::future::Future;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Runs a command's future on a runtime of its own, on every core.
pub fn block_on(future: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    open_many_files();
    use_small_pages();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(future);
    // A lookup or a read of stdin that hangs must not keep the process.
    runtime.shutdown_background();
    result
}

/// As many open files as the process may have: each open request is one, and shells grant 1024.
fn open_many_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // macOS names a maximum that it does not grant. What is granted still holds.
        let _refused = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

/// No transparent huge pages: buffers of open requests are mostly empty, and a huge page keeps what is empty in memory
/// (docs/adr/0015).
fn use_small_pages() {
    #[cfg(target_os = "linux")]
    // Where the kernel has none, or a sandbox forbids to ask, memory is as it was.
    let _refused = rustix::thread::disable_transparent_huge_pages(true);
}
