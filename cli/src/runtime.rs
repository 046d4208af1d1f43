//! The runtime that a command's future runs on.

use std::future::Future;

/// Runs a command's future on a runtime of its own, on every core.
pub fn block_on(future: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(future);
    // A lookup or a read of stdin that hangs must not keep the process.
    runtime.shutdown_background();
    result
}
