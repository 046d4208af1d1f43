//! An app as a whole server.

use std::io;

use tokio::net::{TcpListener, ToSocketAddrs, lookup_host};

use crate::app::App;

impl App {
    /// Serves the app at this address until the process is asked to end (SIGTERM, or Ctrl-C), and then until the runs that are
    /// open have been answered. Cloud Run and its like ask so before they stop a container.
    ///
    /// For TLS, other routes or middleware there is [`into_router`](App::into_router).
    pub async fn serve(self, address: impl ToSocketAddrs) -> io::Result<()> {
        let listener = listen(address).await?;
        tracing::info!(address = %listener.local_addr()?, "listening");
        let asked = asked_to_end()?;
        axum::serve(listener, self.into_router()).with_graceful_shutdown(asked).await
    }
}

/// Listens at the first of the addresses that is free. The system's error does not say which is taken.
async fn listen(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let addresses: Vec<_> = lookup_host(address).await?.collect();
    TcpListener::bind(&*addresses).await.map_err(|error| {
        let named: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        io::Error::new(error.kind(), format!("cannot listen on {}: {error}", named.join(", ")))
    })
}

#[cfg(unix)]
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    // Both are listened to from now on: a signal between here and the first poll is not lost.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere listening may fail")]
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Where the signal cannot be heard, nobody asks: serving goes on.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
