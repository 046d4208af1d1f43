//! REST clients: enqueue as fast as it goes, or enqueue one and wait for its end.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Subcommand;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use sqlx::postgres::PgListener;
use tokio::{net::TcpStream, time::Instant};

use super::{now_us, say, until_dismissed};
use crate::lab::{database::BATCH, dispatcher::API_KEY, job};

/// What to ask for.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Batches of 500 for so many seconds on so many connections
    Batches { port: u16, seconds: u64, connections: u64 },
    /// Single jobs for so many seconds from so many clients
    Singles { port: u16, seconds: u64, clients: u64 },
    /// So many jobs, one at a time, each waited for with `wait_ms`; then `id answer-us notified-us` of each
    Waits { port: u16, url: String, count: u64 },
}

/// Asks, tells, and waits to be looked at.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Batches { port, seconds, connections } => {
            let body = Bytes::from(job::batch("bench", BATCH));
            flood(port, "/v1/jobs/batch", body, BATCH, seconds, connections).await?;
        }
        Command::Singles { port, seconds, clients } => {
            flood(port, "/v1/jobs", Bytes::from(job::one("bench")), 1, seconds, clients).await?;
        }
        Command::Waits { port, url, count } => waits(port, &url, count).await?,
    }
    until_dismissed().await;
    Ok(())
}

/// One kept-alive connection.
struct Client(SendRequest<Full<Bytes>>);

impl Client {
    async fn connect(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// The body of a 2xx answer.
    async fn ask(&mut self, method: &str, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "127.0.0.1")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {API_KEY}"))
            .body(Full::new(body))?;
        self.0.ready().await?;
        let answer = self.0.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        anyhow::ensure!(status.is_success(), "{method} {path}: {status} {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}

async fn flood(
    port: u16,
    path: &'static str,
    body: Bytes,
    rows: usize,
    seconds: u64,
    clients: u64,
) -> anyhow::Result<()> {
    let mut tasks = Vec::new();
    let begin = Instant::now();
    for _ in 0..clients {
        let (mut client, body) = (Client::connect(port).await?, body.clone());
        tasks.push(tokio::spawn(async move {
            let mut sent = 0;
            while begin.elapsed() < Duration::from_secs(seconds) {
                client.ask("POST", path, body.clone()).await?;
                sent += rows;
            }
            anyhow::Ok(sent)
        }));
    }
    let mut total = 0;
    for task in tasks {
        total += task.await??;
    }
    #[expect(clippy::cast_precision_loss, reason = "at most a few million rows")]
    let rate = total as f64 / begin.elapsed().as_secs_f64();
    say(&format!("rate {rate}"))
}

/// The end's commit is seen by a listener of our own: its notification cannot come before.
async fn waits(port: u16, url: &str, count: u64) -> anyhow::Result<()> {
    let mut client = Client::connect(port).await?;
    let mut listener = PgListener::connect(url).await?;
    listener.listen(posthaste_engine::job::DONE_CHANNEL).await?;
    for _ in 0..count {
        let made = client.ask("POST", "/v1/jobs", Bytes::from(job::one("brief"))).await?;
        let made: serde_json::Value = serde_json::from_slice(&made)?;
        let id = made["id"].as_str().context("a job without an id")?.to_owned();
        let notified = async {
            let ended =
                tokio::time::timeout(Duration::from_secs(5), listener.recv()).await.context("no notification")??;
            anyhow::ensure!(ended.payload().split(',').any(|one| one == id), "a notification of another job");
            anyhow::Ok(now_us())
        };
        let path = format!("/v1/jobs/{id}?wait_ms=10000");
        let answered = async {
            let job = client.ask("GET", &path, Bytes::new()).await?;
            let at = now_us();
            let job: serde_json::Value = serde_json::from_slice(&job)?;
            anyhow::ensure!(job["state"] == "completed", "waited for nothing: {job}");
            anyhow::Ok(at)
        };
        let (notified, answered) = tokio::try_join!(notified, answered)?;
        say(&format!("{id} {answered} {notified}"))?;
    }
    say("end")
}
