//! The function of the end-to-end tests, as a process of its own: on Lambda where there is a Runtime API, else behind axum
//! at the port of the first argument.

mod handlers;

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    match std::env::args().nth(1) {
        Some(port) => {
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
            Ok(axum::serve(listener, handlers::app().into_router()).await?)
        }
        None => posthaste::lambda::run(handlers::app()).await,
    }
}
