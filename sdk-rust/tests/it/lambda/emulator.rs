//! Lambda, as a function sees it: the Runtime API of one sandbox, which is made again when it crashes; and in front of it
//! a function URL, and `Invoke`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Value, json};
use tokio::{
    net::TcpListener,
    process::Command,
    sync::{Mutex as AsyncMutex, mpsc, oneshot},
};

/// What a function said of an event, or why it said nothing.
type Said = Result<Value, String>;

struct Api {
    events: mpsc::UnboundedSender<(String, Value)>,
    waiting: AsyncMutex<mpsc::UnboundedReceiver<(String, Value)>>,
    answers: Mutex<HashMap<String, oneshot::Sender<Said>>>,
    count: AtomicUsize,
    sandboxes: AtomicUsize,
}

/// A function on Lambda; it ends with this value.
pub struct Emulator {
    address: std::net::SocketAddr,
    api: Arc<Api>,
    sandbox: tokio::task::JoinHandle<()>,
}

impl Emulator {
    /// Starts the function that `command` makes, as often as it ends.
    pub async fn start(command: impl Fn() -> Command + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (events, waiting) = mpsc::unbounded_channel();
        let api = Arc::new(Api {
            events,
            waiting: AsyncMutex::new(waiting),
            answers: Mutex::default(),
            count: AtomicUsize::new(0),
            sandboxes: AtomicUsize::new(0),
        });
        let runtime = "/2018-06-01/runtime";
        let router = Router::new()
            .route(&format!("{runtime}/invocation/next"), get(next))
            .route(&format!("{runtime}/invocation/{{id}}/response"), post(response))
            .route(&format!("{runtime}/invocation/{{id}}/error"), post(error))
            .route("/2015-03-31/functions/test/invocations", post(invocation))
            .fallback(post(function_url))
            .with_state(Arc::clone(&api));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let sandbox = tokio::spawn(run(Arc::clone(&api), address.to_string(), command));
        Self { address, api, sandbox }
    }

    /// Its function URL.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Where it is invoked.
    pub fn invoke_url(&self) -> String {
        format!("http://{}/2015-03-31/functions/test/invocations", self.address)
    }

    /// How many sandboxes there were.
    pub fn sandboxes(&self) -> usize {
        self.api.sandboxes.load(Ordering::SeqCst)
    }

    /// `Invoke` with this event.
    pub async fn invoke(&self, event: &Value) -> Said {
        invoke(&self.api, event.clone()).await
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.sandbox.abort();
    }
}

/// Runs the sandbox; whatever it held when it ended failed.
async fn run(api: Arc<Api>, address: String, command: impl Fn() -> Command) {
    loop {
        api.sandboxes.fetch_add(1, Ordering::SeqCst);
        let mut function = command();
        function.env("AWS_LAMBDA_RUNTIME_API", &address);
        for (name, value) in [
            ("AWS_LAMBDA_FUNCTION_NAME", "test"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "test"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "test"),
        ] {
            function.env(name, value);
        }
        function.spawn().unwrap().wait().await.unwrap();
        for (_, answer) in api.answers.lock().unwrap().drain() {
            let _gone = answer.send(Err("the sandbox ended".to_owned()));
        }
    }
}

async fn invoke(api: &Api, event: Value) -> Said {
    let id = format!("request-{}", api.count.fetch_add(1, Ordering::SeqCst));
    let (answer, said) = oneshot::channel();
    api.answers.lock().unwrap().insert(id.clone(), answer);
    api.events.send((id, event)).unwrap();
    said.await.unwrap()
}

/// The runtime asks for the next event, and waits for it.
async fn next(State(api): State<Arc<Api>>) -> Response {
    loop {
        let (id, event) = api.waiting.lock().await.recv().await.unwrap();
        // A request that nobody waits for any more was that of a sandbox that ended.
        if !api.answers.lock().unwrap().contains_key(&id) {
            continue;
        }
        let deadline = posthaste_service::clock::unix_now() * 1000 + 60_000;
        let headers = [
            ("lambda-runtime-aws-request-id", id),
            ("lambda-runtime-deadline-ms", deadline.to_string()),
            ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:1:function:test".to_owned()),
            ("lambda-runtime-trace-id", "Root=1-0-0;Parent=0;Sampled=0".to_owned()),
            ("content-type", "application/json".to_owned()),
        ];
        return (headers.map(|(name, value)| (name, value)), event.to_string()).into_response();
    }
}

fn said(api: &Api, id: &str, said: Said) -> StatusCode {
    if let Some(answer) = api.answers.lock().unwrap().remove(id) {
        let _gone = answer.send(said);
    }
    StatusCode::ACCEPTED
}

async fn response(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    said(&api, &id, Ok(serde_json::from_slice(&body).unwrap()))
}

async fn error(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    said(&api, &id, Err(String::from_utf8_lossy(&body).into_owned()))
}

/// The event of a function URL, payload version 2.0.
pub fn event_of(headers: &Map<String, Value>, body: &str, is_base64: bool) -> Value {
    json!({"version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "", "headers": headers,
        "requestContext": {"accountId": "anonymous", "apiId": "test", "domainName": "test.lambda-url.eu-west-1.on.aws",
            "domainPrefix": "test", "requestId": "r", "routeKey": "$default", "stage": "$default",
            "time": "21/Nov/2026:08:00:00 +0000", "timeEpoch": 1_795_248_000_000i64,
            "http": {"method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test"}},
        "body": body, "isBase64Encoded": is_base64})
}

pub fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// `Invoke`: the event as it comes, and what the function returned; or, as `Event`, nothing of it.
async fn invocation(State(api): State<Arc<Api>>, headers: HeaderMap, body: Bytes) -> Response {
    let event = serde_json::from_slice(&body).unwrap();
    if headers["x-amz-invocation-type"] == "Event" {
        tokio::spawn(async move { invoke(&api, event).await });
        return StatusCode::ACCEPTED.into_response();
    }
    match invoke(&api, event).await {
        Ok(answer) => answer.to_string().into_response(),
        Err(error) => {
            let body = json!({"errorType": "Runtime.ExitError", "errorMessage": error}).to_string();
            ([("x-amz-function-error", "Unhandled")], body).into_response()
        }
    }
}

async fn function_url(State(api): State<Arc<Api>>, headers: HeaderMap, body: Bytes) -> Response {
    let headers: Map<_, _> =
        headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap()))).collect();
    // JSON comes as a text, as it does at a function URL.
    let event = event_of(&headers, std::str::from_utf8(&body).unwrap(), false);
    match tokio::time::timeout(Duration::from_mins(1), invoke(&api, event)).await.unwrap() {
        Ok(answer) => {
            let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap();
            let mut response = Response::builder().status(status);
            for (name, value) in answer["headers"].as_object().unwrap() {
                response = response.header(name, value.as_str().unwrap());
            }
            response.body(answer["body"].as_str().unwrap_or_default().to_owned().into()).unwrap()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error).into_response(),
    }
}
