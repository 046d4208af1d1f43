//! Background: the tasks beside the requests. Should one of them break, the gateway ends rather than go on without it.

use std::future::Future;

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tasks of one gateway. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Background {
    tasks: TaskTracker,
    broken: CancellationToken,
}

impl Background {
    /// Runs a task that ends with the soft stop, and is waited for: a statement that is cut off is an error in Postgres' log.
    pub fn run(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.watch(name, self.tasks.spawn(task));
    }

    /// Watches a task that ends when nobody needs it any more.
    pub fn watch(&self, name: &'static str, task: JoinHandle<()>) {
        let broken = self.broken.clone();
        tokio::spawn(async move {
            // The panic hook has logged why.
            if let Err(error) = task.await
                && error.is_panic()
            {
                tracing::error!(task = name, "a task of the gateway broke: the gateway ends");
                broken.cancel();
            }
        });
    }

    /// Returns when one of them has broken.
    pub async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Returns when all that are waited for have ended.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
