//! The function: answers with the run it was called for, and counts who called.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use serde_json::{Value, json};

/// The run leases that each job was executed with.
type Runs = Arc<Mutex<HashMap<i64, Vec<i64>>>>;

/// An HTTP server on loopback.
pub struct Function {
    address: SocketAddr,
    runs: Runs,
}

impl Function {
    /// Starts it.
    pub async fn start() -> Self {
        let runs = Runs::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", post(execute)).with_state(Arc::clone(&runs));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, runs }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How often this job was executed.
    pub fn executions(&self, job: i64) -> usize {
        self.runs.lock().unwrap().get(&job).map_or(0, Vec::len)
    }

    /// The run leases that this job was executed with.
    pub fn runs(&self, job: i64) -> Vec<i64> {
        self.runs.lock().unwrap().get(&job).cloned().unwrap_or_default()
    }

    /// Executions in all.
    pub fn total(&self) -> usize {
        self.runs.lock().unwrap().values().map(Vec::len).sum()
    }
}

async fn execute(State(runs): State<Runs>, headers: HeaderMap) -> Json<Value> {
    let number = |name: &str| headers[name].to_str().unwrap().parse::<i64>().unwrap();
    let (job, run) = (number("posthaste-job-id"), number("posthaste-run-lease"));
    runs.lock().unwrap().entry(job).or_default().push(run);
    Json(json!({"run": run}))
}
