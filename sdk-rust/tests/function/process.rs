//! The function of the end-to-end tests, as a process of its own: on Lambda where there is a Runtime API, else a server
//! at the port of the first argument.

mod handlers;

#[tokio::main]
async fn main() -> posthaste::Result<()> {
    match std::env::args().nth(1) {
        Some(port) => Ok(handlers::app().serve(("127.0.0.1", port.parse()?)).await?),
        None => posthaste::lambda::run(handlers::app()).await,
    }
}
