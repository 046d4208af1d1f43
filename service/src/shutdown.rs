//! Shutting down: softly at the first signal, hard at the second or when the grace is over.

use std::{io, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Two tokens that every loop of the process watches. Clones share them.
///
/// *Soft*: claim and accept nothing new, finish what is in flight. *Hard*: drop everything and return.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// Neither token is cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens for SIGTERM and SIGINT in a background task: see [`Shutdown::drive`].
    ///
    /// Errors when the signal handlers cannot be installed. Must be called within a tokio runtime.
    pub fn on_signals(grace: Duration) -> io::Result<Self> {
        let shutdown = Self::new();
        tokio::spawn(shutdown.clone().drive(os_signals()?, grace));
        Ok(shutdown)
    }

    /// Cancelled when new work must no longer be begun.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when unfinished work must be abandoned; then `soft` is cancelled too.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Begins the soft shutdown.
    pub fn begin(&self) {
        self.soft.cancel();
    }

    /// Ends everything now.
    pub fn force(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Turns signals into the two steps: the first one (or a [`Shutdown::begin`]) is soft; a second one, or
    /// `grace` after the soft step, is hard. Returns after the hard step. A closed channel is no signal.
    pub async fn drive(self, mut signals: mpsc::Receiver<&'static str>, grace: Duration) {
        tokio::select! {
            name = next(&mut signals) => {
                tracing::info!(signal = name, grace_ms = grace.as_millis(), "shutting down; signal again to stop at once");
            }
            () = self.soft.cancelled() => {}
        }
        self.begin();
        tokio::select! {
            name = next(&mut signals) => tracing::warn!(signal = name, "second signal: stopping at once"),
            () = tokio::time::sleep(grace) => tracing::warn!("the grace is over: stopping at once"),
            () = self.hard.cancelled() => {}
        }
        self.force();
    }
}

async fn next(signals: &mut mpsc::Receiver<&'static str>) -> &'static str {
    match signals.recv().await {
        Some(name) => name,
        None => std::future::pending().await,
    }
}

/// SIGTERM and SIGINT of this process, by name.
fn os_signals() -> io::Result<mpsc::Receiver<&'static str>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            // Nobody listens any more once the hard step is done.
            if sender.send(name).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn the_first_signal_is_soft_and_the_second_hard() {
        let (signal, signals) = mpsc::channel(2);
        let shutdown = Shutdown::new();
        let driver = tokio::spawn(shutdown.clone().drive(signals, GRACE));
        assert!(!shutdown.soft().is_cancelled());

        signal.send("SIGTERM").await.unwrap();
        shutdown.soft().cancelled().await;
        assert!(!shutdown.hard().is_cancelled());

        signal.send("SIGINT").await.unwrap();
        driver.await.unwrap();
        assert!(shutdown.hard().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn the_hard_step_comes_when_the_grace_is_over() {
        let (_signal, signals) = mpsc::channel(2);
        let shutdown = Shutdown::new();
        let begun = tokio::time::Instant::now();
        shutdown.begin();

        shutdown.clone().drive(signals, GRACE).await;

        assert!(shutdown.hard().is_cancelled());
        assert!(begun.elapsed() >= GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn forcing_ends_both_steps_at_once() {
        let (_signal, signals) = mpsc::channel(2);
        let shutdown = Shutdown::new();
        shutdown.force();
        shutdown.clone().drive(signals, GRACE).await;
        assert!(shutdown.soft().is_cancelled() && shutdown.hard().is_cancelled());
    }
}
