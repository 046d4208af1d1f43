//! The delivery log: written beside the callbacks, never in the way of an answer, and bounded.

use std::{sync::Arc, time::Duration};

use posthaste_engine::{
    delivery::{self, Delivery},
    session::Session,
};
use posthaste_service::shutdown::Shutdown;
use tokio::{
    sync::mpsc,
    time::{Instant, interval},
};

use crate::{background::Background, metrics::Metrics};

/// The most deliveries that are logged in a second; others are only counted.
const PER_SECOND: usize = 100;
/// How often the oldest are forgotten.
const TRIM_EVERY: Duration = Duration::from_mins(1);

/// The way in. Clones share the log.
#[derive(Clone)]
pub struct DeliveryLog {
    sender: mpsc::Sender<(Instant, Delivery)>,
    metrics: Arc<Metrics>,
}

impl DeliveryLog {
    /// Starts the writer, which ends with the soft stop, after it has written what was logged till then.
    pub fn start(session: Session, metrics: &Arc<Metrics>, background: &Background, shutdown: Shutdown) -> Self {
        let (sender, receiver) = mpsc::channel(PER_SECOND);
        background.run("deliveries", run(session, receiver, shutdown));
        Self { sender, metrics: Arc::clone(metrics) }
    }

    /// Logs one, or only counts it when the log has enough of them.
    pub fn log(&self, delivery: Delivery) {
        if self.sender.try_send((Instant::now(), delivery)).is_err() {
            self.metrics.log_dropped.inc();
        }
    }
}

async fn run(mut session: Session, mut receiver: mpsc::Receiver<(Instant, Delivery)>, shutdown: Shutdown) {
    let mut seconds = interval(Duration::from_secs(1));
    let mut trimmed = Instant::now();
    loop {
        let last = tokio::select! {
            _ = seconds.tick() => false,
            () = shutdown.soft().cancelled() => true,
        };
        let mut batch = Vec::new();
        while let Ok((at, mut delivery)) = receiver.try_recv() {
            delivery.ago = at.elapsed();
            batch.push(delivery);
        }
        if !batch.is_empty()
            && let Err(error) = session.call(async |connection| delivery::log(connection, &batch).await).await
        {
            tracing::warn!(%error, deliveries = batch.len(), "deliveries could not be logged");
        }
        if last {
            return;
        }
        if trimmed.elapsed() >= TRIM_EVERY {
            trimmed = Instant::now();
            if let Err(error) = session.call(async |connection| delivery::trim(connection).await).await {
                tracing::warn!(%error, "old deliveries could not be forgotten");
            }
        }
    }
}
